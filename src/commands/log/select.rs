//! Which commits a log shows.

use std::collections::HashMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use plumbing::diff::Options;
use plumbing::history::{Header, Walk, listed_parents, touches};
use plumbing::revision::{self, Range, Revision};
use plumbing::{Id, Store};
use regex::bytes::{Regex, RegexBuilder};

use crate::report::Failure;
use crate::revisions;

/// Which commits to show; the flags are git's.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Which commits to show")]
pub struct Flags {
    /// At most N commits
    #[arg(short = 'n', long, value_name = "N")]
    pub max_count: Option<usize>,
    /// Not the first N commits
    #[arg(long, value_name = "N", default_value_t = 0)]
    skip: usize,
    /// Begin with all images and containers, and other refs
    #[arg(long)]
    all: bool,
    /// The oldest commit first
    #[arg(long, conflicts_with = "graph")]
    reverse: bool,
    /// Follow the first parents alone
    #[arg(long)]
    first_parent: bool,
    /// Only commits with several parents
    #[arg(long)]
    merges: bool,
    /// Only commits with one parent or none
    #[arg(long)]
    no_merges: bool,
    /// Only commits after this date: `2024-05-01`, `2 weeks ago`
    #[arg(long, visible_alias = "after", value_name = "DATE")]
    since: Option<String>,
    /// Only commits before this date
    #[arg(long, visible_alias = "before", value_name = "DATE")]
    until: Option<String>,
    /// Only commits whose author (`Name <email>`) matches this regular expression
    #[arg(long, value_name = "REGEX")]
    author: Option<String>,
    /// Only commits whose message matches this regular expression
    #[arg(long, value_name = "REGEX")]
    grep: Option<String>,
    /// Match regular expressions without regard to case
    #[arg(short = 'i', long)]
    regexp_ignore_case: bool,
}

/// The commits of a walk that pass all conditions.
pub struct Selection<'a> {
    store: &'a Store,
    walk: Walk,
    flags: &'a Flags,
    since: Option<i64>,
    until: Option<i64>,
    author: Option<Regex>,
    grep: Option<Regex>,
    options: Options,
}

impl<'a> Selection<'a> {
    pub fn new(store: &'a Store, revisions: &[OsString], flags: &'a Flags, options: Options) -> Result<Self, Failure> {
        let mut walk = Walk { first_parent: flags.first_parent, ..Walk::default() };
        for revision in revisions {
            add(store, revision.as_bytes(), &mut walk)?;
        }
        if flags.all {
            walk.tips.extend(all_tips(store)?);
        }
        if walk.tips.is_empty() && walk.hidden.is_empty() && !flags.all {
            return Err(Failure::new("no revision was given")
                .hint("`rd log IMAGE` or `rd log CONTAINER` shows one, `rd log --all` everything"));
        }
        let regex =
            |text: &Option<String>| text.as_deref().map(|text| parse_regex(text, flags.regexp_ignore_case)).transpose();
        Ok(Self {
            store,
            walk,
            flags,
            since: flags.since.as_deref().map(parse_date).transpose()?,
            until: flags.until.as_deref().map(parse_date).transpose()?,
            author: regex(&flags.author)?,
            grep: regex(&flags.grep)?,
            options,
        })
    }

    pub fn set_topological(&mut self, topological: bool) {
        self.walk.topological = topological;
    }

    /// The parents to draw between `commits`, where some were left out between them.
    pub fn drawn_parents(&self, commits: &[Header]) -> Result<Option<HashMap<Id, Vec<Id>>>, Failure> {
        let flags = self.flags;
        let has_gaps = self.options.paths.is_some()
            || !self.walk.hidden.is_empty()
            || [&self.author, &self.grep].into_iter().any(Option::is_some)
            || [self.since, self.until].into_iter().any(|date| date.is_some())
            || flags.merges
            || flags.no_merges
            || flags.first_parent;
        let ids: Vec<Id> = commits.iter().map(|commit| commit.id).collect();
        Ok(if has_gaps { Some(listed_parents(self.store, &ids, flags.first_parent)?) } else { None })
    }

    /// Hand each commit to `show`, as soon as it is found.
    pub fn for_each(&self, mut show: impl FnMut(&Header) -> Result<(), Failure>) -> Result<(), Failure> {
        if self.flags.reverse {
            return self.collect()?.iter().rev().try_for_each(show);
        }
        self.visit(&mut show)
    }

    /// All commits at once.
    pub fn collect(&self) -> Result<Vec<Header>, Failure> {
        let mut commits = Vec::new();
        self.visit(&mut |commit: &Header| {
            commits.push(commit.clone());
            Ok(())
        })?;
        Ok(commits)
    }

    fn visit(&self, show: &mut dyn FnMut(&Header) -> Result<(), Failure>) -> Result<(), Failure> {
        let mut skip = self.flags.skip;
        let mut left = self.flags.max_count.unwrap_or(usize::MAX);
        if self.walk.tips.is_empty() {
            return Ok(());
        }
        for commit in self.walk.commits(self.store)? {
            if left == 0 {
                break;
            }
            let commit = commit?;
            if !self.passes(&commit)? {
                continue;
            }
            if skip > 0 {
                skip -= 1;
                continue;
            }
            show(&commit)?;
            left -= 1;
        }
        Ok(())
    }

    /// Cheap conditions first.
    fn passes(&self, commit: &Header) -> Result<bool, Failure> {
        let seconds = commit.committer.time.seconds;
        let merge = commit.parents.len() > 1;
        if self.since.is_some_and(|since| seconds < since)
            || self.until.is_some_and(|until| seconds > until)
            || (self.flags.merges && !merge)
            || (self.flags.no_merges && merge)
        {
            return Ok(false);
        }
        let author = || [commit.author.name.as_slice(), b" <", commit.author.email.as_slice(), b">"].concat();
        if self.author.as_ref().is_some_and(|regex| !regex.is_match(&author()))
            || self.grep.as_ref().is_some_and(|regex| !regex.is_match(&commit.message))
        {
            return Ok(false);
        }
        Ok(self.options.paths.is_none() || touches(self.store, commit, &self.options)?)
    }
}

fn add(store: &Store, spelling: &[u8], walk: &mut Walk) -> Result<(), Failure> {
    let commit = |revision: &Revision| revisions::peel(store, revision);
    match revisions::range(store, spelling)? {
        Range::Single(revision) => walk.tips.push(commit(&revision)?),
        Range::Exclude(revision) => walk.hidden.push(commit(&revision)?),
        Range::Between { from, to } => {
            walk.hidden.push(commit(&from)?);
            walk.tips.push(commit(&to)?);
        }
        Range::Symmetric { left, right } => {
            let (left, right) = (commit(&left)?, commit(&right)?);
            let bases = store.repo().merge_bases_many(left, &[right]);
            let bases = bases.map_err(plumbing::Error::git("find the common base"))?;
            walk.hidden.extend(bases.iter().map(|base| base.detach()));
            walk.tips.extend([left, right]);
        }
        Range::Parents(revision) => walk.tips.extend(store.read_header(&commit(&revision)?)?.parents),
        Range::Alone(revision) => {
            let id = commit(&revision)?;
            walk.hidden.extend(store.read_header(&id)?.parents);
            walk.tips.push(id);
        }
    }
    Ok(())
}

/// What all refs point at, as far as that is a commit.
fn all_tips(store: &Store) -> Result<Vec<Id>, Failure> {
    let refs = store.list_refs("refs/")?;
    Ok(refs.into_iter().filter_map(|(_, id)| revision::resolve_commit(store, id.to_hex().to_string()).ok()).collect())
}

fn parse_regex(text: &str, ignore_case: bool) -> Result<Regex, Failure> {
    let built = RegexBuilder::new(text).multi_line(true).case_insensitive(ignore_case).build();
    built.map_err(|error| Failure::new(format!("invalid regular expression '{text}': {error}")))
}

fn parse_date(text: &str) -> Result<i64, Failure> {
    let invalid = || {
        Failure::new(format!("invalid date '{text}'"))
            .hint("`2024-05-01`, `2024-05-01 12:00:00 +0200` and `2 weeks ago` are dates")
    };
    plumbing::gix::date::parse(text, Some(jiff::Zoned::now())).map(|time| time.seconds).map_err(|_| invalid())
}

//! `rd show-ref`

use std::io::{BufRead, Write};
use std::process::ExitCode;

use plumbing::gix::objs::Kind;
use plumbing::store::refs::is_full_name;
use plumbing::{Error, Id, Store};

use crate::cli::Globals;
use crate::git::{self, Abbrev};
use crate::report::Failure;

/// List refs
///
/// Output and exit status are those of git-show-ref(1). Images are `refs/images/REGISTRY/REPOSITORY@TAG`, containers
/// `refs/containers/NAME`.
///
/// Examples: `rd show-ref`, `rd show-ref --verify refs/containers/web`, `rd show-ref debian@12`.
///
/// Exit status: 0 a ref was found; 1 none was; 2 with --exists no such ref; 128 failed.
#[derive(clap::Args)]
#[command(args_override_self = true, infer_long_args = true)]
pub struct Args {
    /// Show HEAD too, even where it would be filtered out
    #[arg(long)]
    head: bool,
    /// Branches only
    #[arg(long, alias = "heads")]
    branches: bool,
    /// Tags only
    #[arg(long)]
    tags: bool,
    /// Follow tags: a second line, ending in ^{}, shows what a tag names
    #[arg(short = 'd', long)]
    dereference: bool,
    /// Print only ids, cut to N digits
    #[arg(short = 's', long = "hash", value_name = "N", num_args = 0..=1, require_equals = true, default_missing_value = "full")]
    hash: Vec<String>,
    /// Cut ids to N digits
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, default_missing_value = "auto")]
    abbrev: Option<String>,
    /// The patterns are full names of refs, which must exist
    #[arg(long)]
    verify: bool,
    /// Say by the exit status whether a ref exists
    #[arg(long)]
    exists: bool,
    /// Print nothing
    #[arg(short = 'q', long)]
    quiet: bool,
    /// Print those refs of standard input that don't exist
    #[arg(long, value_name = "PATTERN", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    exclude_existing: Option<String>,
    /// Components at the end of a ref's name
    #[arg(value_name = "PATTERN")]
    patterns: Vec<String>,
}

pub fn run(args: Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let abbrev = args.abbrev()?;
    let exclusive = [args.verify, args.exists, args.exclude_existing.is_some()];
    if exclusive.iter().filter(|set| **set).count() > 1 {
        return Err(Failure::fatal("only one of '--exclude-existing', '--verify' or '--exists' can be given"));
    }
    let store = globals.repository()?;
    if let Some(prefix) = &args.exclude_existing {
        return exclude_existing(&store, prefix);
    }
    if args.exists {
        return exists(&store, &args.patterns);
    }
    let mut show = Show { store: &store, args: &args, abbrev, out: git::stdout() };
    let found = if args.verify { show.verify()? } else { show.matching()? };
    show.out.flush()?;
    Ok(if found { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn exists(store: &Store, names: &[String]) -> Result<ExitCode, Failure> {
    let [name] = names else {
        let why =
            if names.is_empty() { "--exists requires a reference" } else { "--exists requires exactly one reference" };
        return Err(Failure::fatal(why));
    };
    if read_ref(store, name)?.is_some() || store.dir().join(name).is_file() {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("error: reference does not exist");
    Ok(ExitCode::from(2))
}

/// What the ref of exactly this name comes to.
fn read_ref(store: &Store, name: &str) -> Result<Option<Id>, Failure> {
    match is_full_name(name.into()) {
        true => Ok(store.follow_ref(name.into())?.map(|(_, id)| id)),
        false => Ok(None),
    }
}

/// All refs with what they come to, by name; those that lead nowhere are left out.
pub fn all_refs(store: &Store) -> Result<Vec<(String, Id)>, Failure> {
    let all = git::refs::list(store, "", false)?;
    Ok(all.into_iter().map(|listed| (listed.name.to_string(), listed.id)).collect())
}

fn exclude_existing(store: &Store, prefix: &str) -> Result<ExitCode, Failure> {
    let existing: std::collections::HashSet<String> = all_refs(store)?.into_iter().map(|(name, _)| name).collect();
    let mut out = git::stdout();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let line = line.strip_suffix("^{}").unwrap_or(&line);
        let name = line.rsplit(char::is_whitespace).next().unwrap_or_default();
        // A name at the top is none, git says.
        let valid = name.contains('/') && is_full_name(format!("refs/{name}").as_str().into());
        if !name.starts_with(prefix) {
            continue;
        }
        if !valid {
            eprintln!("warning: ref '{name}' ignored");
        } else if !existing.contains(name) {
            writeln!(out, "{line}")?;
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

struct Show<'a> {
    store: &'a Store,
    args: &'a Args,
    abbrev: Abbrev,
    out: std::io::BufWriter<std::io::StdoutLock<'static>>,
}

impl Args {
    /// How long ids are; `--hash` alone says nothing of it.
    fn abbrev(&self) -> Result<Abbrev, Failure> {
        let read = |digits: &String| match digits.as_str() {
            "auto" => Ok(Abbrev::Auto),
            number => Abbrev::parse(number),
        };
        let abbrev = self.abbrev.as_ref().map(read).transpose()?;
        let hash = self.hash.iter().rev().find(|digits| *digits != "full").map(read).transpose()?;
        Ok(hash.or(abbrev).unwrap_or(Abbrev::Full))
    }
}

impl Show<'_> {
    fn verify(&mut self) -> Result<bool, Failure> {
        if self.args.patterns.is_empty() {
            return Err(Failure::fatal("--verify requires a reference"));
        }
        for name in &self.args.patterns {
            let found = match name.starts_with("refs/") || is_pseudo_ref(name) {
                true => read_ref(self.store, name)?,
                false => None,
            };
            match found {
                Some(id) => self.show(name, id)?,
                None if self.args.quiet => return Ok(false),
                None => {
                    self.out.flush()?;
                    return Err(Failure::fatal(format!("'{name}' - not a valid ref")));
                }
            }
        }
        Ok(true)
    }

    fn matching(&mut self) -> Result<bool, Failure> {
        let mut found = false;
        if self.args.head
            && let Some(id) = read_ref(self.store, "HEAD")?
        {
            self.show("HEAD", id)?;
            found = true;
        }
        let (branches, tags) = (self.args.branches, self.args.tags);
        for (name, id) in all_refs(self.store)? {
            let in_scope = (!branches && !tags)
                || (branches && name.starts_with("refs/heads/"))
                || (tags && name.starts_with("refs/tags/"));
            if in_scope && self.matches(&name) {
                found = true;
                self.show(&name, id)?;
            }
        }
        Ok(found)
    }

    /// Whether a pattern is the end of the name, at a slash.
    fn matches(&self, name: &str) -> bool {
        let ends = |pattern: &String| {
            name.strip_suffix(pattern.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
        };
        self.args.patterns.is_empty() || self.args.patterns.iter().any(ends)
    }

    fn show(&mut self, name: &str, id: Id) -> Result<(), Failure> {
        let header = self.store.find_header(&id)?;
        let missing = || Failure::fatal(format!("git show-ref: bad ref {name} ({id})"));
        let (kind, _) = header.ok_or_else(missing)?;
        if self.args.quiet {
            return Ok(());
        }
        self.line(&id, name)?;
        if self.args.dereference && kind == Kind::Tag {
            let object = self.store.repo().find_object(id).map_err(Error::git(format!("read object {id}")))?;
            let end = object.peel_tags_to_end().map_err(Error::git(format!("follow tag {id}")))?;
            // With -s too git names what it followed.
            let id = git::abbreviate(self.store, &end.id, self.abbrev)?;
            writeln!(self.out, "{id} {name}^{{}}")?;
        }
        Ok(())
    }

    fn line(&mut self, id: &Id, name: &str) -> Result<(), Failure> {
        let id = git::abbreviate(self.store, id, self.abbrev)?;
        match self.args.hash.is_empty() {
            false => writeln!(self.out, "{id}")?,
            true => writeln!(self.out, "{id} {name}")?,
        }
        Ok(())
    }
}

/// A ref outside `refs/`: capital letters and underscores.
fn is_pseudo_ref(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_' || byte == b'-')
}

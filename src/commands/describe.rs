//! `rd describe`

use std::collections::HashMap;
use std::process::ExitCode;

use plumbing::ancestry::Ancestry;
use plumbing::bstr::{BString, ByteSlice};
use plumbing::describe::{MOST_CANDIDATES, Name, Options, Outcome, Rank, describe, find_blob};
use plumbing::gix::glob::wildmatch;
use plumbing::gix::objs::Kind;
use plumbing::{Error, Id, Store};

use crate::cli::Globals;
use crate::commands::name_rev;
use crate::git::{self, Abbrev, message};
use crate::report::Failure;

/// Name a commit after the nearest tag before it
///
/// Options, output and exit status are those of git-describe(1): TAG-COUNT-gID, where COUNT commits follow the tag. Images
/// are no tags; with --all they are names too.
///
/// Examples: `rd describe --all web~2`, `rd describe --tags --abbrev=0`, `rd describe --contains v1~3`.
///
/// Exit status: 0; 128 failed, or no name was found.
#[derive(clap::Args)]
#[command(args_override_self = true, infer_long_args = true)]
pub struct Args {
    /// Any ref, not only tag objects
    #[arg(long)]
    all: bool,
    /// Any tag, not only tag objects
    #[arg(long)]
    tags: bool,
    /// The name of a ref that comes after the commit, as name-rev has it
    #[arg(long)]
    contains: bool,
    /// Cut ids to N digits; with 0 only the tag
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, default_missing_value = "auto")]
    abbrev: Option<String>,
    /// Only the tag
    #[arg(long)]
    no_abbrev: bool,
    /// Weigh N tags
    #[arg(long, value_name = "N", default_value_t = 10, allow_hyphen_values = true)]
    candidates: i64,
    /// Only a tag at the commit itself
    #[arg(long)]
    exact_match: bool,
    /// COUNT and ID also where the tag is at the commit
    #[arg(long)]
    long: bool,
    /// Only tags that match
    #[arg(long = "match", value_name = "PATTERN")]
    patterns: Vec<String>,
    /// Not tags that match
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<String>,
    /// The commit's id where there is no tag
    #[arg(long)]
    always: bool,
    /// Follow first parents alone
    #[arg(long)]
    first_parent: bool,
    /// Describe the working tree, which a bare repository hasn't
    #[arg(long, value_name = "MARK", num_args = 0..=1, require_equals = true, default_missing_value = "-dirty")]
    dirty: Option<String>,
    /// As --dirty, also for a damaged working tree
    #[arg(long, value_name = "MARK", num_args = 0..=1, require_equals = true, default_missing_value = "-broken")]
    broken: Option<String>,
    /// What to describe [default: HEAD]
    #[arg(value_name = "COMMIT")]
    commits: Vec<String>,
}

pub fn run(args: Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let abbrev = match args.abbrev.as_deref() {
        _ if args.no_abbrev => None,
        None | Some("auto") => Some(Abbrev::Auto),
        Some("0") => None,
        Some(digits) => Some(Abbrev::parse(digits)?),
    };
    if args.long && abbrev.is_none() {
        return Err(Failure::fatal("options '--long' and '--abbrev=0' cannot be used together"));
    }
    if args.contains {
        return contains(&args, &globals.repository()?);
    }
    if (args.dirty.is_some() || args.broken.is_some()) && !args.commits.is_empty() {
        let flag = if args.broken.is_some() { "--broken" } else { "--dirty" };
        return Err(Failure::fatal(format!("option '{flag}' and commit-ishes cannot be used together")));
    }
    if args.dirty.is_some() && args.broken.is_none() {
        return Err(Failure::fatal("this operation must be run in a work tree"));
    }
    let store = globals.repository()?;
    let names = names(&store, &args)?;
    if names.is_empty() && !args.always {
        return Err(Failure::fatal("No names found, cannot describe anything."));
    }
    let mut describer = Describer { store: &store, args: &args, names, abbrev, ancestry: Ancestry::new(&store) };
    let head = [String::from("HEAD")];
    let commits = if args.commits.is_empty() { &head[..] } else { &args.commits };
    for commit in commits {
        // A working tree that isn't there is a damaged one, says git.
        let mark = args.broken.as_deref().unwrap_or_default();
        git::print_line(describer.describe(commit)? + mark)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// `--contains`: what name-rev says.
fn contains(args: &Args, store: &Store) -> Result<ExitCode, Failure> {
    let below = |patterns: &[String]| patterns.iter().map(|pattern| format!("refs/tags/{pattern}")).collect::<Vec<_>>();
    let options = name_rev::Options {
        tags: !args.all,
        refs: if args.all { Vec::new() } else { below(&args.patterns) },
        exclude: if args.all { Vec::new() } else { below(&args.exclude) },
        name_only: true,
        undefined: false,
        always: args.always,
        peel: true,
    };
    let head = [String::from("HEAD")];
    name_rev::print(store, &options, if args.commits.is_empty() { &head } else { &args.commits })
}

/// The names of commits, the best of each.
fn names(store: &Store, args: &Args) -> Result<HashMap<Id, Name>, Failure> {
    let mut names: HashMap<Id, Name> = HashMap::new();
    for listed in git::refs::list(store, if args.all { "refs/" } else { "refs/tags/" }, false)? {
        let tag = listed.name.strip_prefix(b"refs/tags/");
        if !is_wanted(args, listed.name.as_slice()) {
            continue;
        }
        let peeled = match listed.peeled {
            Some(peeled) => Some(peeled),
            None if listed.is_packed => None,
            None => store.peel_tag(listed.id)?,
        };
        let rank = match (tag, peeled) {
            (Some(_), Some(_)) => Rank::Annotated,
            (Some(_), None) => Rank::Lightweight,
            (None, _) => Rank::Ref,
        };
        let skipped = if args.all { "refs/".len() } else { "refs/tags/".len() };
        let text = BString::from(&listed.name[skipped..]);
        let name = Name { text, rank, tag: peeled.map(|_| listed.id).filter(|_| rank == Rank::Annotated) };
        let id = peeled.unwrap_or(listed.id);
        if names.get(&id).is_none_or(|known| is_better(store, &name, known)) {
            names.insert(id, name);
        }
    }
    Ok(names)
}

fn is_wanted(args: &Args, name: &[u8]) -> bool {
    let skipped =
        ["refs/tags/", "refs/heads/", "refs/remotes/"].iter().find_map(|prefix| name.strip_prefix(prefix.as_bytes()));
    let matches =
        |pattern: &String, name: &[u8]| wildmatch(pattern.as_str().into(), name.as_bstr(), wildmatch::Mode::empty());
    // Of other refs nothing is known that a pattern could be about.
    let Some(short) = skipped else { return args.patterns.is_empty() && args.exclude.is_empty() };
    let tag = name.starts_with(b"refs/tags/");
    // Without --all, patterns are for tags, which alone are listed.
    (tag || args.all)
        && !args.exclude.iter().any(|pattern| matches(pattern, short))
        && (args.patterns.is_empty() || args.patterns.iter().any(|pattern| matches(pattern, short)))
}

/// Of two tag objects the one that was made last is the better name.
fn is_better(store: &Store, name: &Name, known: &Name) -> bool {
    let seconds = |name: &Name| {
        let data = store.read_object(&name.tag?, Kind::Tag).ok()?;
        Some(message::time(message::header(&data, "tagger")?)?.seconds)
    };
    match (known.rank, name.rank) {
        (Rank::Annotated, Rank::Annotated) => seconds(known).unwrap_or(0) < seconds(name).unwrap_or(0),
        (known, rank) => known < rank,
    }
}

struct Describer<'a> {
    store: &'a Store,
    args: &'a Args,
    names: HashMap<Id, Name>,
    /// `None`: only the tag is shown.
    abbrev: Option<Abbrev>,
    ancestry: Ancestry<'a>,
}

impl Describer<'_> {
    fn describe(&mut self, text: &str) -> Result<String, Failure> {
        let id = git::object(self.store, text)?;
        let Some(commit) = git::peel(self.store, id, Kind::Commit)? else {
            return match self.store.find_header(&id)? {
                Some((Kind::Blob, _)) => self.describe_blob(id),
                _ => Err(Failure::fatal(format!("{text} is neither a commit nor blob"))),
            };
        };
        self.describe_commit(commit)
    }

    /// The commit in which the blob came in before HEAD, and its path there; nothing where it didn't.
    fn describe_blob(&mut self, blob: Id) -> Result<String, Failure> {
        let head = git::object(self.store, "HEAD")?;
        let Some(head) = git::peel(self.store, head, Kind::Commit)? else { return Ok(String::new()) };
        match find_blob(self.store, head, blob)? {
            Some((commit, path)) => Ok(format!("{}:{path}", self.describe_commit(commit)?)),
            None => Ok(String::new()),
        }
    }

    fn describe_commit(&mut self, commit: Id) -> Result<String, Failure> {
        let least = match (self.args.all, self.args.tags) {
            (true, _) => Rank::Ref,
            (_, true) => Rank::Lightweight,
            _ => Rank::Annotated,
        };
        let candidates = if self.args.exact_match { 0 } else { usize::try_from(self.args.candidates).unwrap_or(0) };
        let exact_only = candidates == 0;
        let options =
            Options { least, candidates: candidates.min(MOST_CANDIDATES), first_parent: self.args.first_parent };
        let exact = self.names.get(&commit).filter(|name| name.rank >= least).cloned();
        let outcome = match exact {
            Some(name) => Outcome::Exact(name),
            None if exact_only => return Err(Failure::fatal(format!("no tag exactly matches '{commit}'"))),
            None => describe(&mut self.ancestry, &self.names, commit, options)?,
        };
        self.text(outcome, commit)
    }

    fn text(&self, outcome: Outcome, commit: Id) -> Result<String, Failure> {
        let (name, depth, exact) = match outcome {
            Outcome::Exact(name) => (name, 0, true),
            Outcome::After(name, depth) => (name, depth, false),
            Outcome::Nothing { .. } if self.args.always => {
                return git::abbreviate(self.store, &commit, self.abbrev.unwrap_or(Abbrev::Full));
            }
            Outcome::Nothing { unannotated: true } => {
                return Err(Failure::fatal(format!(
                    "No annotated tags can describe '{commit}'.\nHowever, there were unannotated tags: try --tags."
                )));
            }
            Outcome::Nothing { unannotated: false } => {
                let why = format!("No tags can describe '{commit}'.\nTry --always, or create some tags.");
                return Err(Failure::fatal(why));
            }
        };
        let (shown, misnamed) = self.shown(&name)?;
        let has_suffix = if exact { misnamed || self.args.long } else { misnamed || self.abbrev.is_some() };
        if !has_suffix {
            return Ok(shown);
        }
        // Of a tag object at the commit git gives what the tag points at, be it another tag.
        let id = name.tag.filter(|_| exact).map_or(Ok(commit), |tag| self.target(tag))?;
        let id = git::abbreviate(self.store, &id, self.abbrev.unwrap_or(Abbrev::Full))?;
        Ok(format!("{shown}-{depth}-g{id}"))
    }

    fn target(&self, tag: Id) -> Result<Id, Failure> {
        let data = self.store.read_object(&tag, Kind::Tag)?;
        let target = message::header(&data, "object").and_then(|hex| Id::from_hex(hex).ok());
        Ok(target.ok_or_else(|| Error::damaged(format!("tag {tag}"), "it names no object"))?)
    }

    /// The name that a tag object gives itself, which may be another one than its ref's.
    fn shown(&self, name: &Name) -> Result<(String, bool), Failure> {
        let Some(tag) = name.tag else { return Ok((name.text.to_string(), false)) };
        let data = self.store.read_object(&tag, Kind::Tag)?;
        let own = message::header(&data, "tag").unwrap_or_default().to_str_lossy().into_owned();
        let path = name.text.to_str_lossy();
        let path = if self.args.all { path.strip_prefix("tags/").unwrap_or(&path) } else { &path };
        let misnamed = path != own;
        if misnamed {
            eprintln!("warning: tag '{}' is externally known as '{own}'", name.text);
        }
        Ok((if self.args.all { format!("tags/{own}") } else { own }, misnamed))
    }
}

//! `rd merge-base`

use std::process::ExitCode;

use plumbing::gix::objs::Kind;
use plumbing::walk::bases;
use plumbing::{Error, Id, Store, revision};

use crate::cli::Globals;
use crate::git;
use crate::report::Failure;

/// Find where lines of history meet
///
/// Output and exit status are those of git-merge-base(1): the best common ancestor of the first commit and any of the
/// others. Images that begin with the same layers share those commits, so that the merge base of two images is the image
/// that both were built on, with or without a name.
///
/// Examples: `rd merge-base web api`, `rd merge-base --is-ancestor debian:12 web && echo built on debian`.
///
/// Exit status: 0 there is one, or yes; 1 there is none, or no; 128 failed.
#[derive(clap::Args)]
#[command(args_override_self = true, infer_long_args = true)]
pub struct Args {
    /// All best common ancestors
    #[arg(short, long)]
    all: bool,
    /// The best common ancestors of all commits together
    #[arg(long)]
    octopus: bool,
    /// Those of the commits that no other one reaches
    #[arg(long)]
    independent: bool,
    /// Say by the exit status whether the second commit is or reaches the first
    #[arg(long)]
    is_ancestor: bool,
    /// Where the second commit (HEAD) left the history of the ref, as far as its reflog knows
    #[arg(long)]
    fork_point: bool,
    /// Commits; with --fork-point a ref and a commit
    #[arg(value_name = "COMMIT")]
    commits: Vec<String>,
}

pub fn run(args: Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let modes = [args.octopus, args.independent, args.is_ancestor, args.fork_point];
    if modes.iter().filter(|mode| **mode).count() > 1 {
        return Err(Failure::usage("--octopus, --independent, --is-ancestor and --fork-point exclude each other"));
    }
    let names = args.commits.as_slice();
    let enough = match () {
        () if args.octopus || args.independent => true,
        () if args.fork_point => (1..=2).contains(&names.len()),
        () => names.len() > 1,
    };
    if !enough {
        return Err(Failure::usage("wrong number of commits"));
    }
    if args.all && (args.is_ancestor || args.independent) {
        let mode = if args.is_ancestor { "--is-ancestor" } else { "--independent" };
        return Err(Failure::fatal(format!("options '{mode}' and '--all' cannot be used together")));
    }
    let store = globals.repository()?;
    let found = match () {
        () if args.fork_point => fork_point(&store, &names[0], names.get(1).map_or("HEAD", String::as_str))?,
        () if args.is_ancestor => return is_ancestor(&store, names),
        () if args.independent => bases::independent(&store, &commits(&store, names)?)?,
        () if args.octopus => bases::octopus_bases(&store, &commits(&store, names)?)?,
        () => {
            let commits = commits(&store, names)?;
            bases::merge_bases(&store, commits[0], &commits[1..])?
        }
    };
    let shown = if args.all || args.independent { found.len() } else { found.len().min(1) };
    found[..shown].iter().try_for_each(git::print_line)?;
    Ok(if found.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn is_ancestor(store: &Store, names: &[String]) -> Result<ExitCode, Failure> {
    let [one, two] = names else { return Err(Failure::fatal("--is-ancestor takes exactly two commits")) };
    let (one, two) = (commit(store, one)?, commit(store, two)?);
    Ok(if bases::is_ancestor(store, one, two)? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn commits(store: &Store, names: &[String]) -> Result<Vec<Id>, Failure> {
    names.iter().map(|name| commit(store, name)).collect()
}

fn commit(store: &Store, name: &str) -> Result<Id, Failure> {
    let id = git::object(store, name)?;
    let found = git::peel(store, id, Kind::Commit)?;
    found.ok_or_else(|| Failure::fatal(format!("Not a valid commit name {name}")))
}

/// The one commit at which `ref_name` once was and that `commit` begins from.
fn fork_point(store: &Store, ref_name: &str, name: &str) -> Result<Vec<Id>, Failure> {
    let id = git::name_to_id(store, name)?;
    let id = id.ok_or_else(|| Failure::fatal(format!("Not a valid object name: '{name}'")))?;
    let derived = git::peel(store, id, Kind::Commit)?.ok_or_else(|| Failure::fatal(format!("no commit: '{name}'")))?;
    let no_ref = || Failure::fatal(format!("No such ref: '{ref_name}'"));
    let found = revision::parse(store, ref_name).map_err(|_| no_ref())?;
    let full = found.name.ok_or_else(no_ref)?;
    if git::refs_named(store, ref_name) > 1 {
        return Err(Failure::fatal(format!("Ambiguous refname: '{ref_name}'")));
    }
    let mut places: Vec<Id> = Vec::new();
    let past = past(store, &full)?;
    for id in if past.is_empty() { vec![found.id] } else { past } {
        let is_commit = matches!(store.find_header(&id)?, Some((Kind::Commit, _)));
        if is_commit && !places.contains(&id) {
            places.push(id);
        }
    }
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let found = bases::merge_bases(store, derived, &places)?;
    Ok(match found.as_slice() {
        [one] if places.contains(one) => found,
        _ => Vec::new(),
    })
}

/// What the ref was at, from the beginning of its reflog on.
fn past(store: &Store, full: &str) -> Result<Vec<Id>, Failure> {
    let doing = || Error::git(format!("read the reflog of '{full}'"));
    let Some(reference) = store.repo().try_find_reference(full).map_err(doing())? else { return Ok(Vec::new()) };
    let mut log = reference.log_iter();
    let mut ids = Vec::new();
    for line in log.all().map_err(Error::io("read", store.dir().join("logs").join(full)))?.into_iter().flatten() {
        let line = line.map_err(|error| Error::damaged(format!("reflog of '{full}'"), error.to_string()))?;
        if ids.is_empty() && !line.previous_oid().is_null() {
            ids.push(line.previous_oid());
        }
        ids.push(line.new_oid());
    }
    Ok(ids)
}

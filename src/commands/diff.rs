//! `rd diff`

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

use plumbing::diff::{self, Difference, Paths, Side, compare_states};
use plumbing::revision::{Range, Revision};
use plumbing::{Id, Store};
use porcelain::container::{Container, Containers, changes as changes_of};

use crate::cli::Globals;
use crate::output::changes;
use crate::output::screen::Screen;
use crate::report::Failure;
use crate::revisions;

/// Show what changed: in a container, or between two images, containers or commits
///
/// `rd diff CONTAINER` lists what a container changed since it was created or last committed, in docker's lines:
/// A added, C changed, D deleted. `rd diff A B` and `rd diff A..B` compare any two revisions and show a patch, as git
/// does; `A...B` compares B with the common base of both. All flags of the one work for the other.
///
/// The image configurations are compared too, field by field, unless paths are given; in lists their fields have the
/// name //config/FIELD. A folder of which nothing but the time differs is left out where the time follows from
/// another change that is listed.
///
/// Exit status: 0; with --exit-code or --quiet 1 where something differs; 2 where rd failed.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  rd diff web                        what the container changed
  rd diff debian:12 web:1 --stat     how many lines differ, and where
  rd diff web~1 web -- /etc          what the last commit changed in /etc
  rd diff --ignore-times --exit-code web:1 web:2 && echo reproducible")]
pub struct Args {
    /// A container, two revisions, or a range of them
    #[arg(required = true, num_args = 1..=2, value_name = "CONTAINER|REV|RANGE")]
    revisions: Vec<OsString>,
    /// Only what is at or below these paths; `*` matches anything, `:!PATH` leaves out
    #[arg(last = true, value_name = "PATH")]
    paths: Vec<OsString>,
    #[command(flatten)]
    style: changes::Style,
    /// Print a JSON object for each change, one a line
    #[arg(long)]
    json: bool,
    /// End with status 1 where something differs
    #[arg(long)]
    exit_code: bool,
    /// Print nothing, and end with status 1 where something differs
    #[arg(short, long)]
    quiet: bool,
}

pub fn run(args: Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let store = globals.store()?;
    if let [name] = args.revisions.as_slice()
        && let Some(name) = name.to_str()
        && let Some(container) = Containers::open(store.dir())?.find_any(name)?
    {
        return container_changes(&store, &container, &args);
    }
    let (before, after) = sides(&store, &args.revisions)?;
    let paths: Vec<&[u8]> = args.paths.iter().map(|path| path.as_bytes()).collect();
    let options = args.style.options(Paths::parse(&paths)?);
    let state = |id: &Id| store.read_commit(id).map(|commit| commit.state);
    let mut difference =
        compare_states(&store, before.as_ref().map(state).transpose()?.as_ref(), &state(&after)?, &options)?;
    difference.drop_implied_times();
    show(&store, &difference, &args)
}

/// What a container changed since its head.
fn container_changes(store: &Store, container: &Container, args: &Args) -> Result<ExitCode, Failure> {
    let paths: Vec<&[u8]> = args.paths.iter().map(|path| path.as_bytes()).collect();
    let options = args.style.options(Paths::parse(&paths)?);
    let head = store.read_commit(&container.head(store)?)?.state.root;
    // What is written for the comparison has no name.
    let _hold = if args.style.shows_contents() { Some(store.hold()?) } else { None };
    // To show what is in files, they have to be in the store; for a list of names their ids are enough.
    let contents = args.style.shows_contents();
    let mut batch = if contents { store.batch() } else { store.hashing_batch() };
    let (root, _) = {
        let _frozen = container.freeze()?;
        changes_of::current_root(store, container, &mut batch)?
    };
    let list = diff::compare(store, Side::Stored(head), Side::Memory(&root), &options)?;
    if contents {
        batch.finish()?;
    }
    if args.style.is_chosen() || args.json || args.quiet {
        let mut difference = Difference { files: list, ..Difference::default() };
        difference.drop_implied_times();
        return show(store, &difference, args);
    }
    let mut screen = Screen::new();
    changes::print_as_docker(&mut screen, &list)?;
    screen.finish()?;
    Ok(if args.exit_code && !list.is_empty() { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

fn show(store: &Store, difference: &Difference, args: &Args) -> Result<ExitCode, Failure> {
    if !args.quiet {
        let mut screen = Screen::new();
        if args.json {
            changes::print_json(&mut screen, difference)?;
        } else {
            changes::print(&mut screen, store, difference, &args.style.clone().or_patch())?;
        }
        screen.finish()?;
    }
    let differs = (args.exit_code || args.quiet) && !difference.is_empty();
    Ok(if differs { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

/// The commits to compare; no first one for a range that begins before the first commit.
fn sides(store: &Store, given: &[OsString]) -> Result<(Option<Id>, Id), Failure> {
    let commit = |revision: &Revision| revisions::peel(store, revision);
    if let [before, after] = given {
        let resolve = |text: &OsString| revisions::commit(store, text.as_bytes());
        return Ok((Some(resolve(before)?), resolve(after)?));
    }
    match revisions::range(store, given[0].as_bytes())? {
        Range::Between { from, to } => Ok((Some(commit(&from)?), commit(&to)?)),
        Range::Symmetric { left, right } => {
            let (left, right) = (commit(&left)?, commit(&right)?);
            Ok((Some(common_base(store, left, right)?), right))
        }
        Range::Alone(revision) => {
            let id = commit(&revision)?;
            Ok((store.read_commit(&id)?.parents.first().copied(), id))
        }
        Range::Single(_) | Range::Exclude(_) | Range::Parents(_) => {
            Err(Failure::new("one revision is nothing to compare")
                .hint("`rd diff A B` compares two, `rd show REV` shows what a commit changed"))
        }
    }
}

fn common_base(store: &Store, left: Id, right: Id) -> Result<Id, Failure> {
    let found = store.repo().merge_base(left, right).map_err(plumbing::Error::git("find the common base"))?;
    Ok(found.ok_or_else(|| Failure::new("the two revisions have no common base"))?.detach())
}

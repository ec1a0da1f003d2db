//! `rd log`

mod select;
mod show;

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

use plumbing::diff::{Options, Paths};

use crate::cli::Globals;
use crate::output::changes;
use crate::output::commits::Format;
use crate::output::commits::date::Style as DateStyle;
use crate::output::screen::Screen;
use crate::report::Failure;

/// Show the history of an image, a container or any revision
///
/// The newest commit comes first: of an image, its layers and what was committed on top of them; of a container, its
/// commits and those of the image it was made from. `A..B` is what B has and A hasn't: `rd log debian:12..web` is what
/// makes up web beside its base. With paths, only commits that changed something there.
///
/// A store has no current branch: without a revision there is nothing to start from, `--all` starts from everything.
///
/// Exit status: 0 done; 2 failed.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  rd log web                       the container's history
  rd log --oneline debian:12..web  what web has and debian:12 hasn't
  rd log --stat -3 web -- /etc     the last three commits that changed /etc
  rd log --all --graph --oneline   everything, as a graph
  rd log --format='%h %an %s' web  a form of your own")]
pub struct Args {
    /// Images, containers or other revisions; `A..B`, `A...B`, `^A`; `-3` as -n 3
    #[arg(value_name = "REV|CONTAINER|RANGE", allow_negative_numbers = true)]
    revisions: Vec<OsString>,
    /// Only commits that changed what is at or below these paths
    #[arg(last = true, value_name = "PATH")]
    paths: Vec<OsString>,
    #[command(flatten)]
    commits: CommitStyle,
    #[command(flatten)]
    select: select::Flags,
    #[command(flatten)]
    changes: changes::Style,
    /// Draw how commits follow one another
    #[arg(long)]
    graph: bool,
    /// Print a JSON object for each commit, one a line; with its changes where -p, --stat or the like is given
    #[arg(long)]
    json: bool,
}

/// How to show commits; the flags are git's.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "How to show commits")]
pub struct CommitStyle {
    /// One line a commit: short id and subject
    #[arg(long)]
    oneline: bool,
    /// oneline, short, medium, full, fuller, raw, or a text with placeholders of git-log(1): %H %h %P %an %ad %s %b %d …
    #[arg(long, alias = "pretty", value_name = "FORMAT", value_parser = Format::parse)]
    format: Option<Format>,
    /// The form of dates
    #[arg(long, value_name = "FORM", default_value = "default")]
    date: DateStyle,
    /// Cut ids to what is unique
    #[arg(long)]
    abbrev_commit: bool,
    /// Name the images and containers that are at a commit [default: on a terminal]
    #[arg(long, overrides_with = "no_decorate")]
    decorate: bool,
    /// Name no images and containers
    #[arg(long)]
    no_decorate: bool,
}

pub use show::Shower;

pub fn run(mut args: Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let store = globals.store()?;
    let max = take_number(&mut args.revisions)?.or(args.select.max_count);
    args.select.max_count = max;
    let paths: Vec<&[u8]> = args.paths.iter().map(|path| path.as_bytes()).collect();
    let options = || -> Result<Options, Failure> { Ok(args.changes.options(Paths::parse(&paths)?)) };
    let mut selection = select::Selection::new(&store, &args.revisions, &args.select, options()?)?;
    selection.set_topological(args.graph);

    let mut screen = Screen::new();
    let mut shower = Shower::new(&store, &screen, &args.commits, &args.changes, args.json)?;
    shower.options = options()?;
    if args.json {
        selection.for_each(|commit| shower.json(&mut screen, commit))?;
    } else if args.graph {
        let commits = selection.collect()?;
        shower.graph(&mut screen, &commits, selection.drawn_parents(&commits)?.as_ref())?;
    } else {
        selection.for_each(|commit| shower.print(&mut screen, commit))?;
    }
    screen.finish()?;
    Ok(ExitCode::SUCCESS)
}

/// Take `-3` out of the revisions.
fn take_number(revisions: &mut Vec<OsString>) -> Result<Option<usize>, Failure> {
    let is_number = |text: &OsString| text.as_bytes().first() == Some(&b'-');
    let Some(at) = revisions.iter().rposition(is_number) else { return Ok(None) };
    let text = revisions.remove(at).to_string_lossy().into_owned();
    revisions.retain(|text| !is_number(text));
    let number = text[1..].parse().map_err(|_| Failure::new(format!("'{text}' is no number of commits")))?;
    Ok(Some(number))
}

//! `rd diff-root`

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

use plumbing::Store;
use plumbing::bstr::ByteSlice;
use plumbing::diff::{self, Aspect, Change, ChangeKind, Entry, Paths, Side, What};
use plumbing::root::{Kind, Root};

use crate::cli::Globals;
use crate::output::mtree::{self, Word, shown_path};
use crate::output::screen::Screen;
use crate::report::Failure;
use crate::revisions;

/// Compare the files of two images, containers or commits, one line an entry that differs
///
/// For scripts; `rd diff` is for people. A line is a letter (A added, D deleted, M modified, T its type changed), a tab, what differs,
/// a tab, the path. What differs are words `-keyword=value` for what was and `+keyword=value` for what is, with the keywords of
/// `rd ls-root`, contents by their id. An entry that is on one side only has all its words. Lines are sorted by path in byte order.
///
/// Every difference is listed, modification times too, but no configuration. `A:/FOLDER` and trees can be compared like revisions.
///
/// Exit status: 0; with --exit-code or --quiet 1 where something differs; 2 where rd failed.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  rd diff-root debian:12 web:1
  rd diff-root --ignore-times --exit-code web:1 web:2 && echo reproducible
  rd diff-root debian:12 web:1 | grep -P '[+]mode=[4-7]'       what became setuid, setgid or sticky
  rd diff-root --name-only -z web~1 web etc | xargs -0 ls")]
pub struct Args {
    /// End lines with NUL instead of a line end, and quote no path
    #[arg(short)]
    z: bool,
    /// Show the paths alone
    #[arg(long)]
    name_only: bool,
    /// Show letters and paths alone
    #[arg(long, conflicts_with = "name_only")]
    name_status: bool,
    /// Don't compare modification times
    #[arg(long)]
    ignore_times: bool,
    /// End with status 1 where something differs
    #[arg(long)]
    exit_code: bool,
    /// Print nothing, and end with status 1 where something differs
    #[arg(short, long)]
    quiet: bool,
    /// A revision, a tree, or a folder in one
    a: OsString,
    /// Another one
    b: OsString,
    /// Only what is at or below these paths; `*` matches anything, `:!PATH` leaves out
    #[arg(value_name = "PATH")]
    paths: Vec<OsString>,
}

pub fn run(args: Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let store = globals.repository()?;
    let before = Root::of_part(&store, &revisions::part(&store, args.a.as_bytes())?)?;
    let after = Root::of_part(&store, &revisions::part(&store, args.b.as_bytes())?)?;
    let paths: Vec<&[u8]> = args.paths.iter().map(|path| path.as_bytes()).collect();
    let options = diff::Options { ignore_times: args.ignore_times, paths: Paths::parse(&paths)? };
    let changes = diff::compare(&store, Side::Memory(&before), Side::Memory(&after), &options)?;
    if !args.quiet {
        let mut screen = Screen::new();
        for change in &changes {
            screen.put(line(&store, change, &args)?)?;
        }
        screen.finish()?;
    }
    let says_so = args.exit_code || args.quiet;
    Ok(if says_so && !changes.is_empty() { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

fn line(store: &Store, change: &Change, args: &Args) -> Result<Vec<u8>, Failure> {
    let mut line = Vec::new();
    if !args.name_only {
        line.extend_from_slice(&[change.kind().letter() as u8, b'\t']);
    }
    if !args.name_only && !args.name_status {
        line.extend_from_slice(&what_differs(store, change, args.ignore_times)?);
        line.push(b'\t');
    }
    line.extend_from_slice(&shown_path(change.path.as_bstr(), args.z));
    line.push(if args.z { 0 } else { b'\n' });
    Ok(line)
}

fn what_differs(store: &Store, change: &Change, ignore_times: bool) -> Result<Vec<u8>, Failure> {
    let words = |entry: &Entry| -> Result<Vec<Word>, Failure> {
        let size = match entry.what {
            What::Leaf(Kind::File { size, .. }) => Some(size),
            _ => None,
        };
        Ok(mtree::words(store, entry, size)?)
    };
    let (before, after) = match (&change.before, &change.after) {
        (Some(before), None) => return Ok(mtree::join("-", &words(before)?)),
        (None, Some(after)) => return Ok(mtree::join("+", &words(after)?)),
        (before, after) => (before.as_ref(), after.as_ref()),
    };
    let is_replaced = change.kind() == ChangeKind::TypeChanged;
    // That a file has another name elsewhere is that name's change, unless both were there before.
    let counts = |word: &Word| match word.key.as_ref() {
        "time" => !ignore_times,
        "nlink" | "hardlink" => is_replaced || change.aspects.contains(&Aspect::Links),
        _ => true,
    };
    let counted = |entry: Option<&Entry>| -> Result<Vec<Word>, Failure> {
        let words = entry.map(&words).transpose()?.unwrap_or_default();
        Ok(words.into_iter().filter(counts).collect())
    };
    Ok(mtree::difference(&counted(before)?, &counted(after)?))
}

//! `rd rev-list`

mod print;

use std::io::Write;
use std::process::ExitCode;

use plumbing::pathspec::Pathspec;
use plumbing::walk::objects::{Found, Options};
use plumbing::walk::{Walk, flag};
use plumbing::{Error, Store};

use crate::cli::Globals;
use crate::git::revisions::{Arguments, Objects};
use crate::report::Failure;
use print::{Printer, Style};

/// List commits, and the objects that they lead to
///
/// Options, output and exit status are those of git-rev-list(1). Revisions may be images and containers.
///
/// Revisions: A B, ^A, A..B, A...B, A^@, A^!, --all, --branches[=GLOB], --tags[=GLOB], --remotes[=GLOB], --glob=GLOB,
/// --exclude=GLOB (before one of these), --not, --stdin, --no-walk[=sorted|unsorted], --ignore-missing; then `-- PATH…`.
///
/// Which commits: -n N (-N, --max-count=N), --skip=N, --since=DATE (--after, --max-age=SECONDS), --until=DATE (--before,
/// --min-age=SECONDS), --since-as-filter=DATE, --author=REGEX, --committer=REGEX, --grep=REGEX (-i -E -F -P, --all-match,
/// --invert-grep), --merges, --no-merges, --min-parents=N, --max-parents=N, --first-parent, --exclude-first-parent-only,
/// --left-only, --right-only, --cherry-pick, --cherry-mark, --cherry, --ancestry-path[=REV], --boundary; with paths
/// --full-history, --dense, --sparse, --simplify-merges, --show-pulls, --remove-empty; --simplify-by-decoration.
///
/// Order: by date, --topo-order, --date-order, --author-date-order, --reverse.
///
/// Objects: --objects, --objects-edge, --in-commit-order, --[no-]object-names,
/// --filter=blob:none|blob:limit=N|tree:N|object:type=T|combine:A+B, --filter-provided-objects,
/// --missing=error|allow-any|print.
///
/// Form: --parents, --children, --left-right, --timestamp, --header, --pretty[=FORM], --format=FORM, --oneline,
/// --date=FORM, --[no-]commit-header, --abbrev-commit, --abbrev=N, --no-abbrev, --count, --disk-usage[=human], --quiet.
///
/// Examples: `rd rev-list -n 3 web`, `rd rev-list --count debian:12..web`,
/// `rd rev-list --objects --filter=object:type=blob web`.
///
/// Exit status: 0; 128 failed; 129 wrong usage.
#[derive(clap::Args)]
pub struct Args {
    /// Options, revisions and paths
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

/// What to do with objects that are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Missing {
    Error,
    Allow,
    Print,
}

/// Options of this command alone.
struct Own {
    style: Style,
    in_commit_order: bool,
    filter_tips: bool,
    missing: Missing,
}

impl Own {
    /// Take an option; false where it is none.
    fn take(&mut self, arg: &str) -> Result<bool, Failure> {
        match arg {
            "--in-commit-order" => self.in_commit_order = true,
            "--filter-provided-objects" => self.filter_tips = true,
            "--missing=error" => self.missing = Missing::Error,
            "--missing=allow-any" => self.missing = Missing::Allow,
            "--missing=print" => self.missing = Missing::Print,
            _ => return self.style.take(arg),
        }
        Ok(true)
    }
}

pub fn run(args: Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let store = globals.repository()?;
    let mut arguments = Arguments::new(&store);
    // What the others mean depends on it.
    let missing = args.args.iter().rev().find_map(|arg| match arg.as_str() {
        "--missing=allow-any" => Some(Missing::Allow),
        "--missing=print" => Some(Missing::Print),
        _ => None,
    });
    let missing = missing.unwrap_or(Missing::Error);
    arguments.options.note_missing = missing != Missing::Error;
    let mut own = Own { style: Style::default(), in_commit_order: false, filter_tips: false, missing };
    arguments.take(&args.args, &mut |arg, _| own.take(arg))?;
    if !arguments.given {
        return Err(Failure::usage("no revision was given"));
    }
    own.style.marks = arguments.left_right;
    own.style.cherries = arguments.options.cherry_mark;
    own.style.parents = arguments.print_parents;
    own.style.children = arguments.options.children;
    if own.style.count && arguments.objects != Objects::None && (own.style.marks || own.style.cherries) {
        return Err(Failure::fatal("marked counting and '--objects' cannot be used together"));
    }
    list(&store, arguments, own)?;
    Ok(ExitCode::SUCCESS)
}

fn list(store: &Store, arguments: Arguments<'_>, own: Own) -> Result<(), Failure> {
    let objects = arguments.objects;
    let options = Options {
        filter: arguments.filter,
        filter_tips: own.filter_tips,
        in_commit_order: own.in_commit_order,
        paths: if objects == Objects::None { Pathspec::default() } else { arguments.options.paths.clone() },
        note_missing: own.missing != Missing::Error,
    };
    let mut printer = Printer::new(store, own.style)?;
    let mut walk = Walk::new(store, arguments.options, &arguments.tips).map_err(fatal)?;
    if objects == Objects::None {
        while let Some(number) = walk.advance().map_err(fatal)? {
            printer.commit(&walk, number)?;
        }
    } else {
        let mut edges = Vec::new();
        walk.hide_edges(|id| edges.push(*id)).map_err(fatal)?;
        if objects == Objects::Edge {
            edges.iter().try_for_each(|id| writeln!(printer.out, "-{id}"))?;
        }
        let mut failure = None;
        let listed = walk.objects(&options, &mut |walk, found| {
            let printed = match found {
                Found::Commit(number) => printer.commit(walk, number),
                Found::Object { id, name, .. } => printer.object(id, name),
            };
            printed.map_err(|error| {
                failure = Some(error);
                Error::damaged("output", "it can't be written")
            })
        });
        if let Some(failure) = failure {
            return Err(failure);
        }
        if let Err(error) = listed {
            printer.out.flush()?;
            return Err(fatal(error));
        }
    }
    if own.missing == Missing::Print {
        walk.missing().iter().try_for_each(|id| writeln!(printer.out, "?{id}"))?;
    }
    printer.finish()
}

/// A failure of the walk, with git's status.
fn fatal(error: Error) -> Failure {
    Failure::from(error).status(128)
}

/// The mark before a commit.
fn mark(flags: u16, left_right: bool, cherries: bool) -> &'static str {
    match () {
        () if flags & flag::BOUNDARY != 0 => "-",
        () if flags & flag::UNINTERESTING != 0 => "^",
        () if flags & flag::SAME_PATCH != 0 => "=",
        () if left_right && flags & flag::LEFT != 0 => "<",
        () if left_right => ">",
        () if cherries => "+",
        () => "",
    }
}

//! `rd symbolic-ref`

use std::process::ExitCode;

use plumbing::Store;
use plumbing::bstr::ByteSlice;
use plumbing::gix::refs::transaction::{Change, LogChange, PreviousValue, RefEdit, RefLog};
use plumbing::gix::refs::{FullName, Target};
use plumbing::revision::Shorten;
use plumbing::store::refs::{Value, is_full_name};

use crate::cli::Globals;
use crate::git;
use crate::report::Failure;

/// Read or set what a symbolic ref stands for
///
/// Options, output and exit status are those of git-symbolic-ref(1).
///
/// Examples: `rd symbolic-ref HEAD`, `rd symbolic-ref -m 'follow main' HEAD refs/heads/main`.
///
/// Exit status: 0; with -q 1 where the ref isn't symbolic; 128 failed.
#[derive(clap::Args)]
#[command(args_override_self = true, infer_long_args = true)]
pub struct Args {
    /// Delete the symbolic ref
    #[arg(short = 'd', long)]
    delete: bool,
    /// Say nothing where the ref isn't symbolic
    #[arg(short = 'q', long)]
    quiet: bool,
    /// Shorten what is printed
    #[arg(long)]
    short: bool,
    /// Stop at the first ref that it stands for, which may be symbolic too
    #[arg(long, overrides_with = "recurse")]
    no_recurse: bool,
    #[arg(long, hide = true)]
    recurse: bool,
    /// Why, for the reflog
    #[arg(short = 'm', value_name = "REASON", allow_hyphen_values = true)]
    reason: Option<String>,
    /// The symbolic ref, and the ref that it is to stand for
    #[arg(value_name = "REF")]
    names: Vec<String>,
}

pub fn run(args: Args, globals: &Globals) -> Result<ExitCode, Failure> {
    if args.reason.as_deref() == Some("") {
        return Err(Failure::fatal("Refusing to perform update with empty message"));
    }
    let names: Vec<&str> = args.names.iter().map(String::as_str).collect();
    match (names.as_slice(), args.delete) {
        ([name], true) => delete(&globals.repository()?, name),
        ([name], false) => read(&globals.repository()?, name, &args),
        ([name, target], false) => set(&globals.repository()?, name, target, args.reason.as_deref()),
        _ => Err(Failure::usage("give REF, REF TARGET, or -d REF")),
    }
}

/// What the ref says, if it is symbolic.
fn target(store: &Store, name: &str) -> Result<Option<String>, Failure> {
    match store.read_ref(name.into())? {
        Some(Value::Symbolic(target)) => Ok(Some(target.to_str_lossy().into_owned())),
        _ => Ok(None),
    }
}

fn read(store: &Store, name: &str, args: &Args) -> Result<ExitCode, Failure> {
    if !is_full_name(format!("refs/{name}").as_str().into()) {
        return Err(Failure::fatal(format!("No such ref: {name}")));
    }
    let Some(first) = target(store, name)? else {
        return Err(match args.quiet {
            true => Failure::silent(1),
            false => Failure::fatal(format!("ref {name} is not a symbolic ref")),
        });
    };
    let end = match args.no_recurse && !args.recurse {
        true => first,
        false => git::refs::end_of(store, &first)?.to_string(),
    };
    let shown = if args.short { git::refs::shorten(store, &end, Shorten::Loose) } else { end };
    git::print_line(shown)?;
    Ok(ExitCode::SUCCESS)
}

fn delete(store: &Store, name: &str) -> Result<ExitCode, Failure> {
    if !is_full_name(name.into()) || target(store, name)?.is_none() {
        return Err(Failure::fatal(format!("Cannot delete {name}, not a symbolic ref")));
    }
    if name == "HEAD" {
        return Err(Failure::fatal("deleting 'HEAD' is not allowed"));
    }
    change(store, name, Change::Delete { expected: PreviousValue::Any, log: RefLog::AndReference })
}

fn set(store: &Store, name: &str, target: &str, reason: Option<&str>) -> Result<ExitCode, Failure> {
    if name == "HEAD" && !target.starts_with("refs/") {
        return Err(Failure::fatal("Refusing to point HEAD outside of refs/"));
    }
    let bad = || Failure::fatal(format!("Refusing to set '{name}' to invalid ref '{target}'"));
    let target = FullName::try_from(target).map_err(|_| bad())?;
    let log = LogChange {
        mode: RefLog::AndReference,
        force_create_reflog: false,
        message: reason.unwrap_or_default().into(),
    };
    change(store, name, Change::Update { log, expected: PreviousValue::Any, new: Target::Symbolic(target) })
}

fn change(store: &Store, name: &str, change: Change) -> Result<ExitCode, Failure> {
    let edit = match FullName::try_from(name) {
        Ok(name) => RefEdit { change, name, deref: false },
        Err(_) => {
            eprintln!("error: cannot lock ref '{}': reference broken", crate::output::printable(name));
            return Ok(ExitCode::FAILURE);
        }
    };
    let (_, who) = git::ident::author_and_committer(store)?;
    let changed = store.prepare_refs(vec![edit]).and_then(|prepared| prepared.commit_as(&who, true));
    changed.map_err(|error| Failure::from(error).status(1))?;
    Ok(ExitCode::SUCCESS)
}

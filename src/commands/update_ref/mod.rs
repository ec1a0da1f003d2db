//! `rd update-ref`

mod input;
mod script;

use std::process::ExitCode;

use plumbing::gix::objs::Kind;
use plumbing::store::refs::{New, Old, RefChange};
use plumbing::{Error, Id, Store};

use crate::cli::Globals;
use crate::git::{self, ident};
use crate::report::Failure;

/// Move a ref, safely
///
/// Options, output and exit status are those of git-update-ref(1): with OLD the ref moves only if it is there; a NEW of
/// all zeros deletes it. Names outside refs/ must be in capitals: others could be those of the store's own files.
///
/// --stdin takes many changes that happen all or not at all: `update REF NEW [OLD]`, `create REF NEW`, `delete REF [OLD]`,
/// `verify REF [OLD]`, `symref-update REF TARGET [oid OLD | ref OLD]`, `symref-create REF TARGET`,
/// `symref-delete REF [OLD]`, `symref-verify REF [OLD]`, `option no-deref`, and for transactions in steps `start`,
/// `prepare`, `commit` and `abort`, which are answered at once.
///
/// Examples: `rd update-ref refs/images/docker.io/library/web@1 3f2a91`, `rd update-ref -d refs/containers/web`.
///
/// Exit status: 0; 1 a ref that isn't as expected was not deleted; 128 failed.
#[derive(clap::Args)]
#[command(args_override_self = true, infer_long_args = true)]
#[command(args(git::options::negations(&NEGATIONS)))]
pub struct Args {
    /// Why, for the reflog
    #[arg(short = 'm', value_name = "REASON", allow_hyphen_values = true)]
    reason: Option<String>,
    /// Delete the ref
    #[arg(short = 'd')]
    delete: bool,
    /// Move the ref itself, not the one that it is symbolic for
    #[arg(long)]
    no_deref: bool,
    /// Begin a reflog where the ref would get none
    #[arg(long)]
    create_reflog: bool,
    /// Read changes from standard input
    #[arg(long)]
    stdin: bool,
    /// With --stdin, NUL ends what a space or line end would
    #[arg(short = 'z')]
    nul: bool,
    /// REF NEW [OLD]
    #[arg(value_name = "REF")]
    words: Vec<String>,
}

const NEGATIONS: [(&str, &str); 3] =
    [("deref", "no_deref"), ("no-create-reflog", "create_reflog"), ("no-stdin", "stdin")];

/// What all changes of a command have in common.
#[derive(Clone)]
struct Options {
    reason: String,
    deref: bool,
    create_reflog: bool,
}

impl Options {
    fn change(&self, name: &str, new: New, old: Old) -> RefChange {
        RefChange {
            name: name.into(),
            new,
            old,
            deref: self.deref,
            begin_log: self.create_reflog,
            message: self.reason.as_str().into(),
        }
    }
}

pub fn run(args: Args, globals: &Globals) -> Result<ExitCode, Failure> {
    if args.reason.as_deref() == Some("") {
        return Err(Failure::fatal("Refusing to perform update with empty message."));
    }
    let options = Options {
        reason: args.reason.clone().unwrap_or_default(),
        deref: !args.no_deref,
        create_reflog: args.create_reflog,
    };
    let words: Vec<&str> = args.words.iter().map(String::as_str).collect();
    if args.stdin {
        if args.delete || !words.is_empty() {
            return Err(Failure::usage("--stdin takes no other arguments"));
        }
        return script::run(&globals.repository()?, options, args.nul);
    }
    if args.nul {
        return Err(Failure::usage("-z is for --stdin"));
    }
    let (name, new, old) = match (args.delete, words.as_slice()) {
        (true, [name]) => (*name, None, None),
        (true, [name, old]) => (*name, None, Some(*old)),
        (false, [name, new]) => (*name, Some(*new), None),
        (false, [name, new, old]) => (*name, Some(*new), Some(*old)),
        _ => return Err(Failure::usage("give REF NEW [OLD], or -d REF [OLD]")),
    };
    let store = globals.repository()?;
    let new = match new {
        None => New::Nothing,
        Some(text) => new_id(named(&store, text, "not a valid SHA1")?),
    };
    let old = match old {
        None => Old::Any,
        // To delete what must not exist makes no sense; git takes it for "whatever it is".
        Some("") if args.delete => Old::Any,
        Some("") => Old::Nothing,
        Some(text) => match named(&store, text, "not a valid old SHA1")? {
            id if id.is_null() && args.delete => Old::Any,
            id => old_id(id),
        },
    };
    let changes = vec![options.change(name, new, old)];
    let changed = check(&store, &changes)
        .and_then(|()| store.prepare_changes(changes.clone()).map_err(|error| in_gits_words(&store, &changes, &error)))
        .and_then(|prepared| prepared.commit_as(&ident::committer(&store), true).map_err(|error| cause(&error)));
    match changed {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(why) if args.delete => {
            eprintln!("error: {}", crate::output::printable(&why));
            Ok(ExitCode::FAILURE)
        }
        Err(why) => Err(Failure::fatal(format!("update_ref failed for ref '{name}': {why}"))),
    }
}

/// Refuse to let refs point to what they must not.
fn check(store: &Store, changes: &[RefChange]) -> Result<(), String> {
    changes.iter().try_for_each(check_name)?;
    for RefChange { name, new, deref, .. } in changes {
        let New::Id(id) = new else { continue };
        // A symbolic ref may stand for a branch.
        let followed = store.follow_ref(name.as_ref()).ok().flatten().filter(|_| *deref);
        let name = followed.map_or_else(|| name.clone(), |(name, _)| name);
        match store.find_header(id).map_err(|error| cause(&error))? {
            None => {
                let why = format!("trying to write ref '{name}' with nonexistent object {id}");
                return Err(format!("cannot update ref '{name}': {why}"));
            }
            Some((kind, _)) if kind != Kind::Commit && (name.starts_with(b"refs/heads/") || name == "HEAD") => {
                let why = format!("trying to write non-commit object {id} to branch '{name}'");
                return Err(format!("cannot update ref '{name}': {why}"));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn check_name(change: &RefChange) -> Result<(), String> {
    change.check_name().map_err(|_| format!("refusing to update ref with bad name '{}'", change.name))
}

/// Why the changes can't be made, in git's words.
fn in_gits_words(store: &Store, changes: &[RefChange], error: &Error) -> String {
    let Error::Raced { name } = error else { return cause(error) };
    let change = changes.iter().find(|change| change.name == name.as_str());
    let now = store.follow_ref(name.as_str().into()).ok().flatten().map(|(_, id)| id);
    match (change.map(|change| &change.old), now) {
        (Some(Old::Nothing), Some(_)) => format!("cannot lock ref '{name}': reference already exists"),
        (Some(Old::Id(_)), None) => format!("cannot lock ref '{name}': unable to resolve reference '{name}'"),
        (Some(Old::Id(old)), Some(now)) => format!("cannot lock ref '{name}': is at {now} but expected {old}"),
        _ => format!("cannot lock ref '{name}': it is not as expected"),
    }
}

/// Zeros delete a ref.
fn new_id(id: Id) -> New {
    if id.is_null() { New::Nothing } else { New::Id(id) }
}

/// Zeros are a ref that doesn't exist.
fn old_id(id: Id) -> Old {
    if id.is_null() { Old::Nothing } else { Old::Id(id) }
}

fn named(store: &Store, text: &str, why: &str) -> Result<Id, Failure> {
    git::name_to_id(store, text)?.ok_or_else(|| Failure::fatal(format!("{text}: {why}")))
}

/// An error with its causes on one line.
fn cause(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text += &format!(": {cause}");
        source = cause.source();
    }
    text
}

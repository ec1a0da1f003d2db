//! `rd update-ref`

mod change;
mod script;

use std::process::ExitCode;

use plumbing::{Id, Store};

use crate::cli::Globals;
use crate::git;
use crate::report::Failure;
use change::{Change, Options};

/// Move a ref, safely
///
/// Options, output and exit status are those of git-update-ref(1): with OLD the ref moves only if it is there; a NEW of
/// all zeros deletes it; --stdin takes many changes that happen all or not at all. Names outside refs/ must be in capitals,
/// as newer versions of git have it too.
///
/// Examples: `rd update-ref refs/images/docker.io/library/web@1 3f2a91`, `rd update-ref -d refs/containers/web`.
///
/// Exit status: 0; 1 a ref that isn't as expected was not deleted; 128 failed.
#[derive(clap::Args)]
#[command(args_override_self = true, infer_long_args = true)]
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
    let new = new.map(|text| named(&store, text, "not a valid SHA1")).transpose()?;
    let old = old.map(|text| if text.is_empty() { Ok(null()) } else { named(&store, text, "not a valid old SHA1") });
    let old = old.transpose()?;
    // To delete what must not exist makes no sense; git takes it for "whatever it is".
    let old = old.filter(|old| !(args.delete && old.is_null()));
    let change = Change::new(name, new.filter(|id| !id.is_null()), old, &options);
    match change::make(&store, vec![change]) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(why) if args.delete => {
            eprintln!("error: {why}");
            Ok(ExitCode::FAILURE)
        }
        Err(why) => Err(Failure::fatal(format!("update_ref failed for ref '{name}': {why}"))),
    }
}

fn null() -> Id {
    Id::null(plumbing::gix::hash::Kind::Sha256)
}

fn named(store: &Store, text: &str, why: &str) -> Result<Id, Failure> {
    git::name_to_id(store, text)?.ok_or_else(|| Failure::fatal(format!("{text}: {why}")))
}

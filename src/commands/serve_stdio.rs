//! `rd serve-stdio`

use std::path::PathBuf;
use std::process::ExitCode;

use plumbing::Store;
use plumbing::transfer::{self, Access};

use crate::cli::Globals;
use crate::report::{FAILED, Failure};

/// Serve a store to another rd over standard input and output
///
/// `rd fetch`, `rd pull` and `rd push` start this by themselves at the other end of ssh, for remotes like
/// ssh://host/var/lib/rd. They ask for what they lack, object by object, and nothing else travels. What is pushed is checked as
/// `rd fsck` would before an image's name moves.
///
/// A key that may do no more than fetch has this in `authorized_keys`:
///   command="rd serve-stdio --read-only /var/lib/rd",restrict ssh-ed25519 …
///
/// Exit status: 0 done; 2 failed: the other side says why.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Refuse pushes
    #[arg(long)]
    read_only: bool,
    /// The store [default: that of this user]
    dir: Option<PathBuf>,
}

pub fn run(args: Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let access = if args.read_only { Access::Read } else { Access::Write };
    let store = match args.dir {
        Some(dir) => Store::open(dir)?,
        None => globals.store()?,
    };
    match transfer::serve(&store, std::io::stdin(), std::io::stdout(), access) {
        Ok(()) => {
            globals.collect_if_due(&store);
            Ok(ExitCode::SUCCESS)
        }
        // Whoever called was told, and prints it; by way of ssh it would be there twice.
        Err(_) if !globals.debug => Err(Failure::silent(FAILED)),
        Err(error) => Err(error.into()),
    }
}

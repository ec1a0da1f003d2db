//! `rd receive-pack`

use std::io::BufRead;
use std::path::PathBuf;
use std::process::ExitCode;

use plumbing::Store;
use plumbing::receive_pack;
use plumbing::upload_pack::Protocol;
use plumbing::view::{Scope, View};

use crate::cli::Globals;
use crate::report::Failure;

/// Take what git pushes into a store
///
/// Git starts this by itself where it is told to: `git push --receive-pack 'rd receive-pack' /var/lib/rd …`, and in clones
/// of `rd::NAME`. Every object is checked, and all that the refs need must be there, before a ref moves.
///
/// A push to a branch that shows an image (`debian@12`) makes the pushed commits the image's: files that didn't change keep
/// their owner, mode, attributes and time, those that did keep owner and mode, new ones are root's with the mode 0644 or
/// 0755. Devices and empty folders, of which git knows nothing, stay. The configuration is the parent's.
///
/// What is pushed to refs/images must be an image's commit in the store's own format. Containers can't be pushed to.
///
/// Example: `git push --receive-pack 'rd receive-pack' /var/lib/rd HEAD:refs/heads/web@2`.
#[derive(clap::Args)]
pub struct Args {
    /// Accepted for git's sake
    #[arg(long, hide = true)]
    quiet: bool,
    /// The store
    dir: PathBuf,
}

pub fn run(args: Args, _: &Globals) -> Result<ExitCode, Failure> {
    let store = Store::open(args.dir)?;
    serve(&View::new(&store, Scope::Store), std::io::stdin().lock())
}

/// Take a push over `input` and standard output.
pub fn serve(view: &View<'_>, input: impl BufRead) -> Result<ExitCode, Failure> {
    let protocol = std::env::var("GIT_PROTOCOL").unwrap_or_default();
    // A push has no version 2: git falls back to the first.
    let protocol = match Protocol::parse(&protocol) {
        Protocol::V1 => Protocol::V1,
        _ => Protocol::V0,
    };
    receive_pack::serve(view, protocol, input, std::io::stdout().lock())?;
    Ok(ExitCode::SUCCESS)
}

//! `rd upload-pack`

use std::path::PathBuf;
use std::process::ExitCode;

use plumbing::Store;
use plumbing::upload_pack::{self, Protocol};
use plumbing::view::{Scope, View};

use crate::cli::Globals;
use crate::report::Failure;

/// Serve a fetch of git's from a store
///
/// Git starts this by itself. A store's git configuration names it, so that `git show` or `git diff -p` in a store gets the
/// contents of files, which lie beside git's own objects. For that `rd` must be found on PATH; else say
/// where it is with `git -c remote.rd.uploadpack='/opt/rd upload-pack' …`.
///
/// A clone has a branch for each image (`debian@12`) that holds the image's files as they are, and checks out the image whose
/// name moved last. What the store has itself, commits with metadata and configurations, is under refs/images and
/// refs/containers. All versions of git's protocol are spoken.
///
/// Examples: `git clone -u 'rd upload-pack' /var/lib/rd files`,
/// `git fetch --upload-pack 'rd upload-pack' /var/lib/rd 'refs/images/*:refs/images/*'`.
#[derive(clap::Args)]
pub struct Args {
    /// Accepted for git's sake
    #[arg(long)]
    strict: bool,
    /// Accepted for git's sake
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// The store
    dir: PathBuf,
}

pub fn run(args: Args, _: &Globals) -> Result<ExitCode, Failure> {
    let store = Store::open_git(args.dir)?;
    serve(&View::new(&store, Scope::Store))
}

/// Serve a fetch over standard input and output, in the version of the protocol that git asks for.
pub fn serve(view: &View<'_>) -> Result<ExitCode, Failure> {
    let protocol = std::env::var("GIT_PROTOCOL").unwrap_or_default();
    let protocol = Protocol::parse(&protocol);
    upload_pack::serve(view, protocol, std::io::stdin().lock(), std::io::stdout().lock())?;
    Ok(ExitCode::SUCCESS)
}

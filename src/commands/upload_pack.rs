//! `rd upload-pack`

use std::path::PathBuf;
use std::process::ExitCode;

use plumbing::{Store, upload_pack};

use crate::cli::Globals;
use crate::report::Failure;

/// Serve a fetch of git's from a store
///
/// Git starts this by itself. A store's git configuration names it, so that `git show` or `git diff -p` in a store gets the
/// contents of files, which lie beside git's own objects. For that `rd` must be found on PATH; else say
/// where it is with `git -c remote.rd.uploadpack='/opt/rd upload-pack' …`.
///
/// Only version 2 of git's protocol is spoken, which is git's default since 2.26.
///
/// Example: `git fetch --upload-pack 'rd upload-pack' /var/lib/rd 'refs/images/*:refs/images/*'`.
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
    let version_2 = std::env::var("GIT_PROTOCOL").is_ok_and(|value| value.split(':').any(|word| word == "version=2"));
    if !version_2 {
        return Err(Failure::new("this client doesn't ask for version 2 of git's protocol")
            .hint("`git -c protocol.version=2 …`"));
    }
    upload_pack::serve(&store, std::io::stdin().lock(), std::io::stdout().lock())?;
    Ok(ExitCode::SUCCESS)
}

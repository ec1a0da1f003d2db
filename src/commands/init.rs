//! `rd init`

use std::path::PathBuf;
use std::process::ExitCode;

use plumbing::Store;

use crate::cli::Globals;
use crate::report::Failure;

/// Create an empty store
///
/// Every command creates the default store by itself; this makes one elsewhere, for use with --root or RD_ROOT.
/// A store is a bare git repository: `git -C DIR log` and `git -C DIR fsck` work in it.
#[derive(clap::Args)]
pub struct Args {
    /// The folder [default: the store that other commands would use]
    dir: Option<PathBuf>,
}

pub fn run(args: Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let dir = args.dir.unwrap_or_else(|| globals.store_dir());
    let existed = dir.join("config").exists();
    let store = Store::open_or_create(&dir)?;
    let verb = if existed { "Reinitialized existing" } else { "Initialized empty" };
    let shown = store.dir().canonicalize().unwrap_or(dir);
    println!("{verb} rd store in {}/", shown.display());
    Ok(ExitCode::SUCCESS)
}

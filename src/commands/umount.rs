//! `rd umount`

use std::path::PathBuf;
use std::process::ExitCode;

use porcelain::{Error, mounts};

use crate::cli::Globals;
use crate::report::{FAILED, Failure};

/// Unmount what `rd mount` mounted
///
/// Anything else that is mounted on the folder is left alone. Of several folders, each is unmounted that can be.
///
/// Exit status: 0; 2 where a folder wasn't unmounted.
#[derive(clap::Args)]
#[command(visible_alias = "unmount", after_help = "Example: `rd umount /mnt`")]
pub struct Args {
    /// Take a mount that is in use out of sight now; it ends when nobody uses it any more
    #[arg(short, long)]
    lazy: bool,
    /// The folders
    #[arg(required = true)]
    dir: Vec<PathBuf>,
}

pub fn run(args: Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let store = globals.store()?;
    let mut status = 0;
    for dir in &args.dir {
        if let Err(error) = mounts::unmount(&store, dir, args.lazy) {
            crate::report::print(&explain(error));
            status = FAILED;
        }
    }
    Ok(ExitCode::from(status))
}

fn explain(error: Error) -> Failure {
    let is_busy = matches!(&error, Error::Io { source, .. } if source.kind() == std::io::ErrorKind::ResourceBusy);
    let is_other = matches!(&error, Error::Invalid { .. });
    let failure = Failure::from(error);
    match (is_busy, is_other) {
        (true, _) => failure.hint("`fuser -m DIR` tells who uses it; --lazy takes it out of sight now"),
        (_, true) => failure.hint("`rd mount` lists what rd mounted"),
        _ => failure,
    }
}

//! `rd image`

use std::process::ExitCode;

use porcelain::housekeeping::prune::Images;

use super::prune::{self, Flags};
use crate::cli::Globals;
use crate::report::Failure;

/// Manage images
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Remove images that nobody uses
    ///
    /// Images that lost their name: commits that a name was at before it moved on or was removed. `NAME@{1}` means
    /// nothing any more then. The room that only they took is free at once.
    ///
    /// Exit status: 0 done, also where nothing was to do; 1 you said no; 2 failed.
    Prune {
        #[command(flatten)]
        flags: Flags,
        /// Also images with a name, of which there is no container
        #[arg(short, long)]
        all: bool,
    },
}

pub fn run(args: Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let Command::Prune { flags, all } = args.command;
    let (images, which) = match all {
        true => (Images::Unused, "all images without at least one container associated to them"),
        false => (Images::Dangling, "all dangling images"),
    };
    prune::go(&flags, &format!("WARNING! This will remove {which}.\n"), false, images, globals)
}

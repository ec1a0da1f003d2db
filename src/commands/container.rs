//! `rd container`

use std::process::ExitCode;

use porcelain::housekeeping::prune::Images;

use super::prune::{self, Flags};
use crate::cli::Globals;
use crate::report::Failure;

/// Manage containers
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Remove all containers that don't run
    ///
    /// What they changed since their last commit goes with them. Their commits stay as long as something names them,
    /// and for the grace period of `rd gc`.
    ///
    /// Exit status: 0 done, also where nothing was to do; 1 you said no; 2 failed.
    Prune {
        #[command(flatten)]
        flags: Flags,
    },
}

pub fn run(args: Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let Command::Prune { flags } = args.command;
    prune::go(&flags, "WARNING! This will remove all stopped containers.\n", true, Images::None, globals)
}

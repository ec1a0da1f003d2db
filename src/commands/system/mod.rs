//! `rd system`

mod df;

use std::process::ExitCode;

use super::prune;
use crate::cli::Globals;
use crate::report::Failure;

/// Manage what takes room
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    Df(df::Args),
    Prune(prune::Args),
}

pub fn run(args: Args, globals: &Globals) -> Result<ExitCode, Failure> {
    match args.command {
        Command::Df(args) => df::run(&args, globals),
        Command::Prune(args) => prune::run(args, globals),
    }
}

//! `rd monitor`: hidden

use std::os::fd::AsFd;
use std::process::ExitCode;

use crate::cli::Globals;
use crate::report::Failure;

/// Run one container to its end: what `rd run` and `rd start` execute; of no use by hand
#[derive(clap::Args)]
#[command(hide = true)]
pub struct Args {
    /// The container, for those who list processes; the orders come through the standard input
    #[arg(value_name = "CONTAINER")]
    _container: String,
}

pub fn run(_: Args, _: &Globals) -> Result<ExitCode, Failure> {
    porcelain::container::run_monitor(std::io::stdin().as_fd().try_clone_to_owned()?)?;
    Ok(ExitCode::SUCCESS)
}

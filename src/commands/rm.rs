//! `rd rm`

use std::process::ExitCode;

use porcelain::container::Containers;

use crate::cli::Globals;
use crate::report::{self, Failure};

/// Remove containers
///
/// What a container changed since its last commit goes with it. Its commits stay as long as something names them.
///
/// Exit status: 0 all were removed; 2 one was not.
#[derive(clap::Args)]
pub struct Args {
    /// Kill a container that runs; don't mind one that doesn't exist
    #[arg(short, long)]
    force: bool,
    /// Names, ids, or beginnings of ids
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
}

pub fn run(args: Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let store = globals.store()?;
    let containers = Containers::open(store.dir())?;
    let mut code = ExitCode::SUCCESS;
    for name in &args.containers {
        match remove(&containers, name, args.force) {
            Ok(()) => println!("{name}"),
            Err(porcelain::Error::NotFound { .. }) if args.force => {}
            Err(error) => code = report::print(&error.into()),
        }
    }
    globals.collect_if_due(&store);
    Ok(code)
}

fn remove(containers: &Containers, name: &str, force: bool) -> porcelain::Result<()> {
    let container = containers.find(name)?;
    containers.remove(&container, force)
}

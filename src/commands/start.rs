//! `rd start`

use std::process::ExitCode;

use plumbing::Store;
use porcelain::container::{Attached, Containers, Io, image_config, lower};

use super::create::{RD_FAILED, launch};
use super::run::{check_terminal, wait};
use crate::cli::Globals;
use crate::report::{self, Failure};

/// Start containers that were created or have ended
///
/// Without -a the containers run in the background, and their names are printed.
///
/// Exit status: with -a that of the container's command, as `rd run`; without, 0 where all were started, else 125.
#[derive(clap::Args)]
pub struct Args {
    /// Attach the container's output, pass signals on, and wait for its end
    #[arg(short, long)]
    attach: bool,
    /// Attach as with -a, and this command's input as well, if the container was created with -i
    #[arg(short, long)]
    interactive: bool,
    /// Names, ids, or beginnings of ids
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
}

pub fn run(args: Args, globals: &Globals) -> Result<ExitCode, Failure> {
    start(&args, globals).map_err(|failure| failure.or_status(RD_FAILED))
}

fn start(args: &Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let attach = args.attach || args.interactive;
    let store = globals.store()?;
    let containers = Containers::open(store.dir())?;
    if attach {
        let [name] = args.containers.as_slice() else {
            return Err(Failure::new("only one container can be attached at a time"));
        };
        let attached = start_one(&store, &containers, name, Some(args.interactive))?;
        return wait(attached, globals);
    }
    let mut code = ExitCode::SUCCESS;
    for name in &args.containers {
        match start_one(&store, &containers, name, None) {
            Ok(_) => println!("{name}"),
            Err(failure) => code = report::print(&failure.or_status(RD_FAILED)),
        }
    }
    Ok(code)
}

/// Start a container, attached (with its input or without) or not.
fn start_one(store: &Store, containers: &Containers, name: &str, attach: Option<bool>) -> Result<Attached, Failure> {
    let container = containers.find(name)?;
    let base = container.config.base()?;
    let io = match attach {
        Some(interactive) => {
            check_terminal(interactive && container.config.open_stdin, container.config.tty)?;
            Io::Attached { stdin: interactive && container.config.open_stdin }
        }
        None => Io::Detached,
    };
    // Nothing of its root may be packed away before it runs.
    let _hold = store.hold()?;
    let lock = containers.lock(&container)?;
    let (lower, image) = (lower(store, &base)?, image_config(store, &base)?);
    let mut launch = launch(store, lower, image);
    launch.io = io;
    Ok(containers.start(&container, lock, launch)?)
}

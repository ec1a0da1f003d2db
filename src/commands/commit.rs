//! `rd commit`

use std::process::ExitCode;

use plumbing::ImageName;
use porcelain::container::Containers;
use porcelain::container::commit::{Request, commit};

use crate::cli::Globals;
use crate::report::Failure;

/// Commit a container's state, and name it as an image
///
/// The container, running or stopped, gets a new commit on top of its last one; with a name, the image of that name is
/// made or moved there too. Only what the container changed is read. A running container stands still meanwhile.
///
/// Its command, environment, user, folder and labels become the image's, as with docker; `-c` changes them further.
/// Volumes and tmpfs mounts aren't part of the state.
///
/// Prints the commit's id. Exit status: 0 done; 2 failed.
#[derive(clap::Args)]
pub struct Args {
    /// The container: its name, or the beginning of its id
    #[arg(value_name = "CONTAINER")]
    container: String,
    /// The image; without a tag it gets `latest`
    #[arg(value_name = "NAME[:TAG]")]
    name: Option<String>,
    /// What was done [default: the container's command]
    #[arg(short, long, value_name = "MESSAGE")]
    message: Option<String>,
    /// Who did it: `Name <email>` [default: this user]
    #[arg(short, long, value_name = "AUTHOR")]
    author: Option<String>,
    /// Apply a Dockerfile instruction to the image's configuration: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, ONBUILD, USER,
    /// VOLUME, WORKDIR …
    #[arg(short, long = "change", value_name = "INSTRUCTION")]
    changes: Vec<String>,
    /// Let the container stand still while its files are read
    #[arg(short, long, value_name = "BOOL", default_value = "true", default_missing_value = "true", num_args = 0..=1, require_equals = true, action = clap::ArgAction::Set)]
    pause: bool,
}

pub fn run(args: Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let name = args.name.as_deref().map(ImageName::parse).transpose()?;
    let store = globals.store()?;
    let container = Containers::open(store.dir())?.find(&args.container)?;
    let request =
        Request { name, message: args.message, author: args.author, changes: args.changes, pause: args.pause };
    println!("sha256:{}", commit(&store, &container, &request)?);
    globals.collect_if_due(&store);
    Ok(ExitCode::SUCCESS)
}

//! `rd logout`

use std::process::ExitCode;

use porcelain::registry::Credentials;

use crate::cli::Globals;
use crate::registries::registry_of;
use crate::report::Failure;

/// Log out of a registry
///
/// Forgets what `rd login` or `docker login` kept for it, in docker's config.json and with the credential helper that this names.
///
/// Exit status: 0 done, or there was nothing to forget; 2 failed.
#[derive(clap::Args)]
pub struct Args {
    /// The registry [default: docker.io]
    #[arg(value_name = "SERVER", conflicts_with = "all")]
    server: Option<String>,
    /// All registries that config.json has credentials for
    #[arg(short, long)]
    all: bool,
}

pub fn run(args: Args, _globals: &Globals) -> Result<ExitCode, Failure> {
    let mut credentials = Credentials::read()?;
    let registries = match args.all {
        true => credentials.registries(),
        false => vec![registry_of(args.server.as_deref())?],
    };
    for registry in registries {
        match credentials.erase(&registry)? {
            true => println!("Removing login credentials for {registry}"),
            false => println!("Not logged in to {registry}"),
        }
    }
    Ok(ExitCode::SUCCESS)
}

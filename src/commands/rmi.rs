//! `rd rmi`

use std::process::ExitCode;

use plumbing::revision::similar;
use porcelain::image::remove::{self, holders};

use crate::cli::Globals;
use crate::report::{self, Failure};

/// Remove names of images
///
/// Prints `Untagged:` for each name that is removed, and `Deleted:` for each commit that nothing names any longer.
/// Deleted commits stay in the store until `rd gc`; until then `rd tag ID NAME` brings one back.
///
/// An image's last name is kept while a container or another image that was made from it exists.
///
/// Exit status: 0 all were removed; 2 at least one was not.
#[derive(clap::Args)]
pub struct Args {
    /// Names, or ids of images with one name
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
    /// Remove the name although stopped containers or other images need the image, and all names of an id
    #[arg(short, long)]
    force: bool,
}

pub fn run(args: Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let store = globals.store()?;
    let holders = holders(&store)?;
    let mut code = ExitCode::SUCCESS;
    for image in &args.images {
        match remove::remove(&store, image, args.force, &holders) {
            Ok(removed) => {
                removed.untagged.iter().for_each(|name| println!("Untagged: {name}"));
                removed.deleted.iter().for_each(|id| println!("Deleted: sha256:{id}"));
            }
            // docker, too, goes on with the others.
            Err(error) => code = report::print_with(&failure(error, args.force), |name| similar(&store, name)),
        }
    }
    globals.collect_if_due(&store);
    Ok(code)
}

fn failure(error: porcelain::Error, force: bool) -> Failure {
    let in_use = matches!(error, porcelain::Error::InUse { .. });
    let failure = Failure::from(error);
    if in_use && !force {
        return failure.hint("`rd rmi -f` removes the name even so, unless a running container needs it");
    }
    failure
}

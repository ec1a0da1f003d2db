//! `rd tag`

use std::process::ExitCode;

use plumbing::ImageName;
use porcelain::image;

use crate::cli::Globals;
use crate::report::Failure;

/// Give an image another name
///
/// SOURCE is an image, a container or any revision (`debian:12~2`, `web`, an id's beginning). A name that exists is moved;
/// what it named before is `TARGET@{1}`, so that `rd tag TARGET@{1} TARGET` undoes the move.
///
/// Exit status: 0 done; 2 failed.
#[derive(clap::Args)]
pub struct Args {
    /// What gets the name
    #[arg(value_name = "SOURCE")]
    source: String,
    /// The name; without a tag it gets `latest`
    #[arg(value_name = "TARGET[:TAG]")]
    target: String,
}

pub fn run(args: Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let target = ImageName::parse(&args.target)?;
    let store = globals.store()?;
    let _hold = store.hold()?;
    let id = image::find_commit(&store, &args.source)?;
    image::tag(&store, id, &target, &args.source)?;
    Ok(ExitCode::SUCCESS)
}

//! `rd pack-refs`

use std::process::ExitCode;

use plumbing::store::refs::Packing;

use crate::cli::Globals;
use crate::report::Failure;

/// Put refs into one file, so that many of them are read at once
///
/// Options and exit status are those of git-pack-refs(1). `rd gc` does it by itself; nothing is different afterwards but
/// the time that it takes to list ten thousand images.
///
/// Without options refs/tags/ are packed. Safe beside any other command.
///
/// Examples: `rd pack-refs --all`, `rd pack-refs --include 'refs/images/*'`.
///
/// Exit status: 0; 128 failed.
#[derive(clap::Args)]
#[command(args_override_self = true, infer_long_args = true)]
pub struct Args {
    /// All refs, not only tags
    #[arg(long)]
    all: bool,
    /// Remove the files of refs that were packed [default]
    #[arg(long, overrides_with = "no_prune")]
    prune: bool,
    /// Leave the files of refs that were packed
    #[arg(long)]
    no_prune: bool,
    /// Only where there is something to gain; refs in files are always packed, as git does it
    #[arg(long)]
    auto: bool,
    /// Also refs whose names match
    #[arg(long, value_name = "PATTERN")]
    include: Vec<String>,
    /// Not refs whose names match
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<String>,
}

pub fn run(args: Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let mut include = args.include;
    if args.all {
        include.push("*".into());
    }
    if include.is_empty() {
        include.push("refs/tags/*".into());
    }
    let exclude = args.exclude.into_iter().map(Into::into).collect();
    let packing = Packing {
        include: include.into_iter().map(Into::into).collect(),
        exclude,
        prune: args.prune || !args.no_prune,
    };
    globals.repository()?.pack_refs(&packing)?;
    Ok(ExitCode::SUCCESS)
}

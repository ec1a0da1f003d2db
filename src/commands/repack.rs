//! `rd repack`

use std::process::ExitCode;

use plumbing::date;
use porcelain::housekeeping::cold;

use crate::cli::Globals;
use crate::output::{emit, size};
use crate::report::Failure;

/// Pack away what was not used for long
///
/// The bytes of files lie in the store as they are, so that they can be mounted. --cold moves those that no running
/// container and no image that was run lately needs into a pack of git's, compressed, and as differences where they are
/// alike. Everything can still be read from there, by rd as by git; running such an image brings its files back first.
///
/// Takes time and up to 400 MB of memory. It can run beside any other command, and be killed at any time.
///
/// Examples:
///   rd repack --cold         what was not used for 30 days
///   rd repack --cold 7d
///   rd repack --cold now     all that no running container needs
///
/// Exit status: 0 done, also where nothing was to do; 2 failed.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Pack contents that were not used for so long: 24h, 7d, 2.weeks.ago, a date, or now
    #[arg(long, value_name = "AGE", num_args = 0..=1, default_missing_value = "30d", required = true)]
    cold: String,
    /// Print nothing
    #[arg(short, long)]
    quiet: bool,
}

pub fn run(args: Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let cutoff = date::cutoff(&args.cold)?;
    let store = globals.store()?;
    let report = cold::repack(&store, cutoff)?;
    if report.damaged > 0 {
        eprintln!("warning: {} contents are damaged and stay as they are; `rd fsck` lists them", report.damaged);
    }
    if !args.quiet {
        emit(&told(&report));
    }
    Ok(ExitCode::SUCCESS)
}

fn told(report: &cold::Report) -> String {
    let raw = size::decimal(report.raw_bytes);
    let packs = match u64::try_from(report.pack_bytes) {
        Ok(grown) => size::decimal(grown),
        Err(_) => format!("-{}", size::decimal(report.pack_bytes.unsigned_abs())),
    };
    let freed = report.raw_bytes.saturating_add_signed(-report.pack_bytes);
    let contents = if report.contents == 1 { "1 content".into() } else { format!("{} contents", report.contents) };
    format!("{contents} packed: {raw} raw, {packs} in packs\nTotal reclaimed space: {}\n", size::decimal(freed))
}

//! `rd prune`, and what all prune commands share.

use std::io::{BufRead, IsTerminal, Write};
use std::process::ExitCode;

use porcelain::housekeeping::prune::{self, Filter, Images, Pruned};

use crate::cli::Globals;
use crate::output::{emit, size};
use crate::report::Failure;

/// Remove stopped containers and images that nobody uses
///
/// All containers that don't run, then images that lost their name (commits that a name was at before it moved on or
/// was removed), with -a also those with a name of which there is no container. The room that only they took is free at
/// once. The same as `rd system prune`; `rd container prune` and `rd image prune` do one of both.
///
/// Exit status: 0 done, also where nothing was to do; 1 you said no; 2 failed.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub flags: Flags,
    /// Also images with a name, of which there is no container
    #[arg(short, long)]
    pub all: bool,
}

/// What every prune command takes.
#[derive(clap::Args)]
pub struct Flags {
    /// Don't ask
    #[arg(short, long)]
    pub force: bool,
    /// Only what it holds for: until=AGE (24h, or a date), label=KEY[=VALUE], label!=KEY[=VALUE]; all must hold
    #[arg(long, value_name = "FILTER")]
    pub filter: Vec<String>,
}

pub fn run(args: Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let images = if args.all { Images::Unused } else { Images::Dangling };
    let which = match args.all {
        true => "all images without at least one container associated to them",
        false => "all dangling images",
    };
    let mut warning = format!("WARNING! This will remove:\n  - all stopped containers\n  - {which}\n");
    if !args.flags.filter.is_empty() {
        warning.push_str("\n  Items to be pruned will be filtered with:\n");
        args.flags.filter.iter().for_each(|filter| warning.push_str(&format!("  - {filter}\n")));
    }
    go(&args.flags, &(warning + "\n"), true, images, globals)
}

/// Ask, prune, and say what went.
pub fn go(
    flags: &Flags,
    warning: &str,
    containers: bool,
    images: Images,
    globals: &Globals,
) -> Result<ExitCode, Failure> {
    let filter = Filter::parse(&flags.filter)?;
    let store = globals.store()?;
    if !flags.force && !confirm(warning)? {
        return Ok(ExitCode::FAILURE);
    }
    emit(&told(&prune::prune(&store, containers, images, &filter)?));
    Ok(ExitCode::SUCCESS)
}

/// Whether the user says yes.
fn confirm(warning: &str) -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::new("there is no terminal to ask on").hint("-f goes ahead without asking"));
    }
    eprint!("{warning}Are you sure you want to continue? [y/N] ");
    std::io::stderr().flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// docker's words: each list with an empty line after it, and the sum.
fn told(pruned: &Pruned) -> String {
    let mut text = String::new();
    if !pruned.containers.is_empty() {
        text.push_str(&format!("Deleted Containers:\n{}\n\n", pruned.containers.join("\n")));
    }
    if !pruned.untagged.is_empty() || !pruned.deleted.is_empty() {
        text.push_str("Deleted Images:\n");
        pruned.untagged.iter().for_each(|name| text.push_str(&format!("untagged: {name}\n")));
        pruned.deleted.iter().for_each(|id| text.push_str(&format!("deleted: sha256:{id}\n")));
        text.push('\n');
    }
    text + &format!("Total reclaimed space: {}\n", size::decimal(pruned.freed))
}

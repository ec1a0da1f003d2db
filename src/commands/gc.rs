//! `rd gc`

use std::process::ExitCode;

use plumbing::{date, gc};
use porcelain::housekeeping::{self, Collected};

use crate::cli::Globals;
use crate::output::{emit, size};
use crate::report::Failure;

/// Collect garbage: free the room of what nothing needs any more
///
/// Needed is what refs and reflogs name, what containers were made of, and what these need in turn. What nothing needs
/// is spared while it is young: a name that was removed, by rmi or rm, can be brought back by its id until then. Loose
/// objects are packed, compressed layers of pulled images replaced by what makes them again bit for bit, copies that git fetched for itself removed, caches of what has no name cleared.
///
/// It can run beside any other command, and be killed at any time. Commands that write wait for it for fractions of a
/// second; it waits for those that are at work. With --prune=now, too, what a running command needs is safe; what an
/// earlier one wrote without naming it (as `rd write-tree` does) is not.
///
/// Examples:
///   rd gc                        free what nothing needed for two weeks
///   rd gc --prune=now            free all that nothing needs
///   rd gc --prune=24h -n         only tell what would go
///
/// Exit status: 0 done; 2 failed: where something needed is missing or damaged nothing is removed.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Spare what is not older: 24h, 7d, 2.weeks.ago, a date, now or never [default: gc.pruneExpire of the store's
    /// configuration, else 2.weeks.ago]
    #[arg(long, value_name = "AGE", num_args = 0..=1, require_equals = true, default_missing_value = "2.weeks.ago")]
    prune: Option<String>,
    /// Remove nothing; tell what would be removed
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Write all packs anew, as one, and take more time to compress
    #[arg(long)]
    aggressive: bool,
    /// As started by itself after commands that write, at most once in rd.gcInterval of the store's configuration (24h;
    /// never turns it off): in the background, and not where another collection is at work
    #[arg(long, conflicts_with = "dry_run")]
    auto: bool,
    /// Print nothing
    #[arg(short, long)]
    quiet: bool,
    /// Print a JSON object
    #[arg(long, conflicts_with = "quiet")]
    json: bool,
}

pub fn run(args: Args, globals: &Globals) -> Result<ExitCode, Failure> {
    if args.auto {
        housekeeping::auto::step_back()?;
    }
    let store = globals.store()?;
    let cutoff = match &args.prune {
        Some(age) => date::cutoff(age)?,
        None => housekeeping::default_cutoff(&store)?,
    };
    let options = gc::Options {
        cutoff,
        dry_run: args.dry_run,
        aggressive: args.aggressive,
        doomed: Vec::new(),
        impatient: args.auto,
    };
    let Some(collected) = housekeeping::collect(&store, &options)? else { return Ok(ExitCode::SUCCESS) };
    if args.json {
        emit(&format!("{:#}\n", as_json(&collected)));
    } else if !args.quiet {
        emit(&told(&collected, args.dry_run));
    }
    Ok(ExitCode::SUCCESS)
}

/// A line for each kind of thing of which there was any, and the sum.
fn told(collected: &Collected, dry_run: bool) -> String {
    let store = &collected.store;
    let removed = if dry_run { "would be removed" } else { "removed" };
    let mut text = String::new();
    let mut line = |count: usize, one: &str, many: &str, what: String| {
        if count > 0 {
            text.push_str(&format!("{count} {} {what}\n", if count == 1 { one } else { many }));
        }
    };
    line(store.contents, "content", "contents", format!("{removed}, {}", size::decimal(store.content_bytes)));
    line(
        store.blobs,
        "compressed layer",
        "compressed layers",
        format!("{removed}, {}", size::decimal(store.blob_bytes)),
    );
    line(
        collected.shrunk.layers,
        "compressed layer",
        "compressed layers",
        format!("made smaller, {}", size::decimal(collected.shrunk.freed)),
    );
    line(store.objects, "object", "objects", removed.into());
    line(store.copies, "copy of a content", "copies of contents", removed.into());
    line(store.packed, "loose object", "loose objects", if dry_run { "would be packed" } else { "packed" }.into());
    line(collected.caches, "cache", "caches", format!("{removed}, {}", size::decimal(collected.cache_bytes)));
    line(collected.leftovers, "left-over folder of a container", "left-over folders of containers", removed.into());
    line(
        store.forgotten,
        "removed name",
        "removed names",
        if dry_run { "would be forgotten" } else { "forgotten" }.into(),
    );
    line(store.waiting, "unneeded object", "unneeded objects", "too young to go".into());
    let total = if dry_run { "Reclaimable space" } else { "Total reclaimed space" };
    text + &format!("{total}: {}\n", size::decimal(collected.freed()))
}

fn as_json(collected: &Collected) -> serde_json::Value {
    let store = &collected.store;
    serde_json::json!({
        "contents": store.contents,
        "contentBytes": store.content_bytes,
        "blobs": store.blobs,
        "blobBytes": store.blob_bytes,
        "objects": store.objects,
        "waiting": store.waiting,
        "packed": store.packed,
        "copies": store.copies,
        "forgotten": store.forgotten,
        "packBytes": store.pack_bytes,
        "shrunk": collected.shrunk.layers,
        "shrunkBytes": collected.shrunk.freed,
        "caches": collected.caches,
        "cacheBytes": collected.cache_bytes,
        "leftovers": collected.leftovers,
        "freed": collected.freed(),
    })
}

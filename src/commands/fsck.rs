//! `rd fsck`

use std::io::Write;
use std::process::ExitCode;

use plumbing::Store;
use plumbing::fsck::{self, Finding, Options, Report};

use crate::cli::Globals;
use crate::git;
use crate::output::{printable, size};
use crate::report::Failure;

/// Check the store: every content and object against its id, every image against itself
///
/// Reads all of it once and hashes it. What is damaged or missing is listed with the images, commits and paths that
/// it belongs to. Contents that nothing refers to are listed as dangling; they harm nothing. Nothing is changed.
///
/// Exit status: 0 nothing is wrong; 1 something is; 2 the check could not be made.
#[derive(clap::Args)]
pub struct Args {
    /// Also make each layer's tar again and compare its digest
    #[arg(long)]
    full: bool,
    /// Hash nothing: check only that all is there
    #[arg(long, conflicts_with = "full")]
    connectivity_only: bool,
    /// Say what was checked, and what is odd but harmless
    #[arg(short, long)]
    verbose: bool,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let store = match &globals.git_dir {
        Some(dir) => Store::open_git(dir)?,
        None => Store::open(globals.store_dir())?,
    };
    let options = Options { connectivity_only: args.connectivity_only, full: args.full };
    let report = fsck::check(&store, options)?;
    if args.json {
        git::print_line(as_json(&report))?;
    } else {
        print(&report)?;
    }
    if args.verbose && !args.json {
        summarize(&report);
    }
    Ok(if report.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print(report: &Report) -> Result<(), Failure> {
    let mut out = git::stdout();
    for finding in &report.findings {
        writeln!(out, "{}", printable(&line(finding)))?;
    }
    for id in &report.dangling {
        writeln!(out, "dangling content {id}")?;
    }
    Ok(out.flush()?)
}

/// `damaged content 3f2a…: its 12 bytes hash to …; belongs to debian:12:/usr/bin/perl (and 2 more)`
fn line(finding: &Finding) -> String {
    let Finding { state, what, why, owners, more } = finding;
    let mut text = format!("{state} {what}: {why}").replace('\n', "\\n");
    if !owners.is_empty() {
        text.push_str("; belongs to ");
        text.push_str(&owners.join(", ").replace('\n', "\\n"));
    }
    if *more > 0 {
        text.push_str(&format!(" (and {more} more)"));
    }
    text
}

fn as_json(report: &Report) -> serde_json::Value {
    let finding = |finding: &Finding| {
        let Finding { state, what, why, owners, more } = finding;
        serde_json::json!({"state": state, "what": what, "why": why, "owners": owners, "more": more})
    };
    let checked = &report.checked;
    serde_json::json!({
        "findings": report.findings.iter().map(finding).collect::<Vec<_>>(),
        "dangling": report.dangling.iter().map(|id| id.to_string()).collect::<Vec<_>>(),
        "notes": report.notes,
        "checked": {
            "tips": checked.tips,
            "commits": checked.commits,
            "folders": checked.folders,
            "objects": checked.objects,
            "packs": checked.packs,
            "contents": checked.contents,
            "bytes": checked.bytes,
        },
    })
}

fn summarize(report: &Report) {
    for note in &report.notes {
        eprintln!("note: {}", printable(note));
    }
    let checked = &report.checked;
    eprintln!(
        "checked {} refs and reflog entries, {} commits, {} folders, {} objects in {} packs, {} contents of {}",
        checked.tips,
        checked.commits,
        checked.folders,
        checked.objects,
        checked.packs,
        checked.contents,
        size::decimal(checked.bytes)
    );
}

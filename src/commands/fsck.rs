//! `rd fsck`

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use plumbing::Store;
use plumbing::fsck::{self, Aside, Finding, Options, Progress, Report};

use crate::cli::Globals;
use crate::git;
use crate::output::{printable, size};
use crate::report::Failure;

/// Check the store: every content and object against its id, every image against itself, containers and caches too
///
/// Reads all of it once and hashes it. What is damaged or missing is listed with the images, commits and paths that
/// it belongs to. Contents that nothing refers to are listed as dangling; they harm nothing. Without --repair nothing is
/// changed.
///
/// With --repair, what is damaged or missing comes back where there is another copy of it: in git's database, in a
/// container's files, in a root that was checked out, in a pack that lost its index. Caches are made again, refs come
/// back from their reflogs. What is damaged goes into the folder lost-found/ of the store, nothing is deleted. Then all
/// is checked again.
///
/// Examples:
///   rd fsck
///   rd fsck --full --repair
///   rd fsck --json | jq -r '.findings[] | [.state, .kind, .id, .path] | @tsv'
///
/// Exit status: 0 nothing is wrong, or nothing any more; 1 something is; 2 the check could not be made.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Also make each layer's tar again and compare its digest
    #[arg(long)]
    full: bool,
    /// Hash nothing: check only that all is there
    #[arg(long, conflicts_with_all = ["full", "repair"])]
    connectivity_only: bool,
    /// Repair what can be, and move aside what is damaged
    #[arg(long)]
    repair: bool,
    /// Say what was checked, and what is odd but harmless
    #[arg(short, long)]
    verbose: bool,
    /// Print a JSON object, in which each finding is one
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let store = match &globals.git_dir {
        Some(dir) => Store::open_git(dir)?,
        None => Store::open(globals.store_dir())?,
    };
    let options = Options { connectivity_only: args.connectivity_only, full: args.full };
    let mut report = check(&store, options)?;
    let mut outcomes: Vec<Option<String>> = vec![None; report.findings.len()];
    let mut is_clean = report.findings.is_empty();
    if args.repair && !is_clean {
        let left = repair(&store, options, &mut report, &mut outcomes)?;
        is_clean = left.findings.is_empty();
    }
    if args.json {
        git::print_line(as_json(&report, &outcomes))?;
    } else {
        print(&report, &outcomes)?;
    }
    if args.verbose && !args.json {
        summarize(&report);
    }
    Ok(if is_clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Check the store, and what is beside it: containers and caches.
fn check(store: &Store, options: Options) -> Result<Report, Failure> {
    let progress = Progress::default();
    let mut report = watched(&progress, || fsck::check_watched(store, options, &progress))?;
    if !store.is_ordinary() {
        let beside = porcelain::fsck::check(store, options)?;
        report.findings.extend(beside.findings);
        report.notes.extend(beside.notes);
    }
    Ok(report)
}

/// Repair what was found, and check again. What shows only then is added to the report; what is left is returned.
fn repair(
    store: &Store,
    options: Options,
    report: &mut Report,
    outcomes: &mut Vec<Option<String>>,
) -> Result<Report, Failure> {
    let aside = Aside::new(store.dir());
    *outcomes = fsck::repair(store, report, &aside)?;
    porcelain::fsck::repair(store, &report.findings, outcomes, &aside)?;
    if let Some(folder) = aside.used() {
        eprintln!("what was taken out of the store is in {}", store.dir().join(folder).display());
    }
    let left = check(store, options)?;
    let is_new = |finding: &&Finding| !report.findings.iter().any(|known| known.what == finding.what);
    let new: Vec<Finding> = left.findings.iter().filter(is_new).cloned().collect();
    report.findings.extend(new);
    outcomes.resize(report.findings.len(), None);
    Ok(left)
}

/// Do `work`, and show meanwhile how far it is where somebody looks on.
fn watched<T>(progress: &Progress, work: impl FnOnce() -> T) -> T {
    if !std::io::stderr().is_terminal() {
        return work();
    }
    let (ended, end) = channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            while end.recv_timeout(Duration::from_millis(200)) == Err(RecvTimeoutError::Timeout) {
                let (done, total) = (progress.done.load(Ordering::Relaxed), progress.total.load(Ordering::Relaxed));
                if total > 0 {
                    let _ = write!(
                        std::io::stderr(),
                        "\rchecked {} of {}\x1b[K",
                        size::decimal(done),
                        size::decimal(total)
                    );
                }
            }
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        });
        let result = work();
        drop(ended);
        result
    })
}

fn print(report: &Report, outcomes: &[Option<String>]) -> Result<(), Failure> {
    let mut out = git::stdout();
    for (finding, outcome) in report.findings.iter().zip(outcomes) {
        let outcome = outcome.as_ref().map(|outcome| format!(" -> {outcome}")).unwrap_or_default();
        writeln!(out, "{}{}", printable(&line(finding)), printable(&outcome))?;
    }
    for id in &report.dangling {
        writeln!(out, "dangling content {id}")?;
    }
    Ok(out.flush()?)
}

/// `damaged content 3f2a…: its 12 bytes hash to …; belongs to debian:12:/usr/bin/perl (and 2 more)`
fn line(finding: &Finding) -> String {
    let Finding { state, what, why, owners, more, .. } = finding;
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

fn as_json(report: &Report, outcomes: &[Option<String>]) -> serde_json::Value {
    let finding = |(finding, outcome): (&Finding, &Option<String>)| {
        let Finding { state, what, kind, id, path, size, why, owners, more } = finding;
        serde_json::json!({
            "state": state, "kind": kind, "what": what, "why": why, "id": id.map(|id| id.to_string()),
            "path": path.as_ref().map(|path| path.to_string_lossy()), "size": size,
            "owners": owners, "more": more, "repaired": outcome,
        })
    };
    let checked = &report.checked;
    serde_json::json!({
        "findings": report.findings.iter().zip(outcomes).map(finding).collect::<Vec<_>>(),
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

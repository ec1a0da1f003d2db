//! Collections that start by themselves: at most one a day, in a process of its own that nobody waits for.
//!
//! A command that wrote looks at the date of one file, `STORE/gc.stamp`; all else is done by the collection itself.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use plumbing::Store;

use crate::{IoResultExt, Result};

/// The time between two collections where the configuration has no `rd.gcInterval`.
const INTERVAL: Duration = Duration::from_secs(24 * 3600);

/// No configuration makes it shorter, so that it needn't be read before.
const SHORTEST: Duration = Duration::from_secs(3600);

/// How much others go before it (nice(2)).
const NICE: i32 = 10;

/// Start a collection if the last one is long ago: `collector` is the program that does it, and its arguments.
///
/// A store that never saw one begins to count now. That it can't be started is no failure of the command that wrote. The process
/// is for those who live on and have to wait for it one day.
pub fn start_if_due(store: &Store, collector: &[OsString]) -> Option<Child> {
    let stamp = store.dir().join("gc.stamp");
    let age = std::fs::metadata(&stamp).ok().and_then(|about| about.modified().ok()).map(|time| time.elapsed());
    match age {
        None => {
            // Where it can't be made, the next command tries again.
            let _ = std::fs::File::create(&stamp);
            None
        }
        Some(Ok(age)) if age >= SHORTEST && interval(store).is_some_and(|interval| age >= interval) => {
            let opened = std::fs::File::options().write(true).open(&stamp);
            opened.and_then(|file| file.set_modified(SystemTime::now())).ok()?;
            start(collector)
        }
        Some(_) => None,
    }
}

/// `rd.gcInterval`: an age (`24h`, `7d`); `never` for none.
fn interval(store: &Store) -> Option<Duration> {
    let text = store.repo().config_snapshot().string("rd.gcInterval").map(|text| text.to_string());
    let Some(text) = text else { return Some(INTERVAL) };
    match plumbing::date::cutoff(&text) {
        Ok(i64::MIN) => None,
        Ok(cutoff) => u64::try_from(plumbing::commit::now().saturating_sub(cutoff)).ok().map(Duration::from_secs),
        // What can't be read is no reason to fill the disk.
        Err(_) => Some(INTERVAL),
    }
}

fn start(collector: &[OsString]) -> Option<Child> {
    let (program, arguments) = collector.split_first()?;
    let mut command = Command::new(program);
    command.args(arguments).arg0("rd-gc").current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // A command doesn't wait for it: it is still at work when this process has ended.
    command.spawn().ok()
}

/// Make this process one that stays behind: of no terminal, and with less right to the processor than others.
pub fn step_back() -> Result<()> {
    // A process that leads a group already stays what it is.
    let _ = rustix::process::setsid();
    rustix::process::nice(NICE).map(drop).on("lower the priority of", "this process")
}

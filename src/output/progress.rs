//! How far transfers are: bars on a terminal, elsewhere a line a blob. All of it goes to stderr.

use std::collections::HashMap;
use std::io::IsTerminal;
use std::sync::{Arc, Mutex, PoisonError};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use plumbing::digest::Digest;
use porcelain::registry::{Event, Listener};

/// A bar whose blob moves.
const MOVING: &str = "{prefix}: {msg} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec}, {eta} left";
/// One that doesn't.
const STILL: &str = "{prefix}: {msg}";

/// Who is told what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Nobody anything.
    Quiet,
    /// A person how far it is.
    Bars,
    /// A log what was done.
    Lines,
}

impl Progress {
    /// What fits where stderr goes.
    pub fn new(quiet: bool) -> Self {
        match quiet {
            true => Self::Quiet,
            false if std::io::stderr().is_terminal() => Self::Bars,
            false => Self::Lines,
        }
    }

    /// Who hears of what happens.
    pub fn listener(self) -> Listener {
        match self {
            Self::Quiet => Arc::new(|_| {}),
            Self::Lines => Arc::new(|event| line(&event).into_iter().for_each(|line| eprintln!("{line}"))),
            Self::Bars => {
                let bars = Bars { all: MultiProgress::new(), each: Mutex::default() };
                Arc::new(move |event| bars.hear(&event))
            }
        }
    }
}

/// Twelve digits, as docker shows layers.
fn short(digest: &Digest) -> String {
    digest.hex()[..12].to_owned()
}

/// What is said of an event where there are no bars: one line a blob.
fn line(event: &Event) -> Option<String> {
    Some(match event {
        Event::Known(digest) => format!("{}: Already exists", short(digest)),
        Event::Read(digest) => format!("{}: Pull complete", short(digest)),
        Event::Sent(digest) => format!("{}: Pushed", short(digest)),
        Event::Mounted(digest, from) => format!("{}: Mounted from {from}", short(digest)),
        Event::There(digest) => format!("{}: Layer already exists", short(digest)),
        Event::Waiting(digest) => format!("{}: Waiting for another command that brings it", short(digest)),
        _ => return None,
    })
}

/// A bar a blob.
struct Bars {
    all: MultiProgress,
    each: Mutex<HashMap<Digest, ProgressBar>>,
}

impl Bars {
    fn hear(&self, event: &Event) {
        let style =
            |template: &str| ProgressStyle::with_template(template).expect("because the template is well formed");
        match event {
            Event::Wanted(digest, size) => {
                let bar = self.bar(digest);
                bar.set_length(*size);
                bar.set_message("Waiting");
            }
            Event::Waiting(digest) => self.bar(digest).set_message("Waiting for another command"),
            Event::Resumed(digest, bytes) => {
                let bar = self.bar(digest);
                bar.set_position(*bytes);
                bar.reset_eta();
            }
            Event::Came(digest, bytes) | Event::Went(digest, bytes) => {
                let bar = self.bar(digest);
                bar.set_style(style(MOVING).progress_chars("=> "));
                bar.set_message(if matches!(event, Event::Came(..)) { "Downloading" } else { "Pushing" });
                bar.inc(*bytes);
            }
            Event::Arrived(digest) => self.still(digest, "Download complete"),
            Event::Reading(digest) => self.bar(digest).set_message("Extracting"),
            Event::Read(digest) => self.end(digest, "Pull complete".into()),
            Event::Known(digest) => self.end(digest, "Already exists".into()),
            Event::There(digest) => self.end(digest, "Layer already exists".into()),
            Event::Mounted(digest, from) => self.end(digest, format!("Mounted from {from}")),
            Event::Sent(digest) => self.end(digest, "Pushed".into()),
        }
    }

    fn still(&self, digest: &Digest, message: &'static str) {
        let bar = self.bar(digest);
        bar.set_style(ProgressStyle::with_template(STILL).expect("because the template is well formed"));
        bar.set_message(message);
    }

    fn end(&self, digest: &Digest, message: String) {
        let bar = self.bar(digest);
        bar.set_style(ProgressStyle::with_template(STILL).expect("because the template is well formed"));
        bar.finish_with_message(message);
    }

    fn bar(&self, digest: &Digest) -> ProgressBar {
        let mut each = self.each.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || {
            let bar = self.all.add(ProgressBar::new(0));
            bar.set_style(ProgressStyle::with_template(STILL).expect("because the template is well formed"));
            bar.set_prefix(short(digest));
            bar
        };
        each.entry(*digest).or_insert_with(new).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_has_one_line_a_layer() {
        let digest = Digest::of(b"");
        let events = [
            Event::Wanted(digest, 5),
            Event::Came(digest, 5),
            Event::Arrived(digest),
            Event::Reading(digest),
            Event::Read(digest),
        ];
        let lines: Vec<_> = events.iter().filter_map(line).collect();
        assert_eq!(lines, ["e3b0c44298fc: Pull complete"]);
    }

    #[test]
    fn bars_can_be_drawn() {
        let digest = Digest::of(b"");
        let bars = Bars {
            all: MultiProgress::with_draw_target(indicatif::ProgressDrawTarget::hidden()),
            each: Mutex::default(),
        };
        for event in [Event::Wanted(digest, 5), Event::Came(digest, 5), Event::Arrived(digest), Event::Read(digest)] {
            bars.hear(&event);
        }
        let bar = bars.bar(&digest);
        assert_eq!((bar.position(), bar.is_finished(), bar.message()), (5, true, "Pull complete".into()));
    }
}

//! Changes as people and scripts read them: git's patch, stat and name lists, docker's letters, JSON.

mod docker;
mod json;
mod names;
mod patch;
pub mod stat;
mod words;

use plumbing::diff::{self, Difference, Paths};
use plumbing::{Id, Store};

use super::screen::Screen;
use crate::report::Failure;

pub use docker::print as print_as_docker;

/// How to show changes; the flags are git's.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "How to show changes")]
pub struct Style {
    /// Show a patch: lines of text files; binary files by size and id; modes, owners, xattrs and times in words
    #[arg(short, long, short_alias = 'u', overrides_with = "no_patch")]
    pub patch: bool,
    /// Show a patch with N lines around each change [default: 3]
    #[arg(short = 'U', long, value_name = "N")]
    pub unified: Option<u32>,
    /// Show no changes
    #[arg(short = 's', long)]
    pub no_patch: bool,
    /// Show how many lines changed in each file
    #[arg(long)]
    pub stat: bool,
    /// Show the last line of --stat alone
    #[arg(long)]
    pub shortstat: bool,
    /// Show how many lines changed in each file, for scripts
    #[arg(long)]
    pub numstat: bool,
    /// Show the paths alone
    #[arg(long)]
    pub name_only: bool,
    /// Show paths and letters: A added, D deleted, M modified, T type changed
    #[arg(long)]
    pub name_status: bool,
    /// End paths with NUL instead of a line end, and quote none
    #[arg(short)]
    pub z: bool,
    /// Don't compare modification times
    #[arg(long)]
    pub ignore_times: bool,
}

impl Style {
    /// Whether a form was asked for.
    pub fn is_chosen(&self) -> bool {
        self.patch
            || self.unified.is_some()
            || self.stat
            || self.shortstat
            || self.numstat
            || self.name_only
            || self.name_status
    }

    /// Whether a form was asked for that shows or counts what is in files.
    pub fn shows_contents(&self) -> bool {
        self.patch || self.unified.is_some() || self.stat || self.shortstat || self.numstat
    }

    /// Whether changes are to be shown at all, by request.
    pub fn shows(&self) -> bool {
        self.is_chosen() && !self.no_patch
    }

    /// What the comparison must look at.
    pub fn options(&self, paths: Option<Paths>) -> diff::Options {
        diff::Options { ignore_times: self.ignore_times, paths }
    }

    /// The same with a patch, where no form was asked for.
    pub fn or_patch(mut self) -> Self {
        self.patch |= !self.is_chosen();
        self
    }
}

/// What the printing functions need.
struct Printer<'a> {
    store: &'a Store,
    screen: &'a mut Screen,
    /// Digits of an id.
    digits: usize,
}

impl Printer<'_> {
    fn short(&self, id: &Id) -> String {
        id.to_hex_with_len(self.digits).to_string()
    }
}

/// Print `difference` in the forms that were asked for, in git's order.
pub fn print(screen: &mut Screen, store: &Store, difference: &Difference, style: &Style) -> Result<(), Failure> {
    if style.no_patch || difference.is_empty() {
        return Ok(());
    }
    let digits = if style.patch || style.unified.is_some() { digits(store)? } else { 0 };
    let mut printer = Printer { store, screen, digits };
    names::print(&mut printer, difference, style)?;
    if style.stat || style.shortstat || style.numstat {
        stat::print(&mut printer, difference, style)?;
    }
    if style.patch || style.unified.is_some() {
        if style.stat || style.shortstat || style.numstat || style.name_only || style.name_status {
            printer.screen.put("\n")?;
        }
        patch::print(&mut printer, difference, style.unified.unwrap_or(3))?;
    }
    Ok(())
}

/// Print `difference` as JSON, one object a line.
pub fn print_json(screen: &mut Screen, difference: &Difference) -> Result<(), Failure> {
    for object in json::objects(difference) {
        screen.put(format!("{object}\n"))?;
    }
    Ok(())
}

/// The changes as JSON objects.
pub use json::objects as json_objects;

/// An entry as a JSON object, with its path.
pub use json::named as json_entry;

/// How many digits of an id git shows: enough for the number of objects, at least 7.
pub fn digits(store: &Store) -> Result<usize, Failure> {
    let count = store.repo().objects.packed_object_count().map_err(plumbing::Error::git("count the objects"))?;
    let bits = 64 - count.leading_zeros() as usize;
    Ok(bits.div_ceil(2).max(7))
}

/// The name that the configuration has among paths; no path in a root begins with a slash.
const CONFIG: &str = "//config";

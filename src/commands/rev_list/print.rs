//! The lines of a list of commits.

use std::io::{BufWriter, StdoutLock, Write};

use clap::ValueEnum;
use plumbing::bstr::BStr;
use plumbing::gix::objs::Kind;
use plumbing::history::Header;
use plumbing::store::DiskUsage;
use plumbing::walk::{Number, Walk, flag};
use plumbing::{Id, Store};

use super::mark;
use crate::git::{self, Abbrev};
use crate::output::commits::date::Style as DateStyle;
use crate::output::commits::names::Names;
use crate::output::commits::{self, Format};
use crate::output::screen::Screen;
use crate::report::Failure;

/// How commits are shown.
#[expect(clippy::struct_excessive_bools, reason = "because each is an option of git's")]
pub(super) struct Style {
    pub(super) marks: bool,
    pub(super) cherries: bool,
    pub(super) parents: bool,
    pub(super) children: bool,
    pub(super) count: bool,
    timestamp: bool,
    /// The raw commit after its id, a NUL at its end.
    header: bool,
    format: Option<Format>,
    date: DateStyle,
    commit_header: bool,
    abbreviated: bool,
    abbrev: Abbrev,
    object_names: bool,
    quiet: bool,
    disk_usage: Option<Unit>,
}

/// How bytes are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Bytes,
    Human,
}

impl Default for Style {
    fn default() -> Self {
        Self {
            marks: false,
            cherries: false,
            parents: false,
            children: false,
            count: false,
            timestamp: false,
            header: false,
            format: None,
            date: DateStyle::Default,
            commit_header: true,
            abbreviated: false,
            abbrev: Abbrev::Auto,
            object_names: true,
            quiet: false,
            disk_usage: None,
        }
    }
}

impl Style {
    /// Take an option; false where it is none.
    pub(super) fn take(&mut self, arg: &str) -> Result<bool, Failure> {
        let (name, value) = arg.split_once('=').map_or((arg, None), |(name, value)| (name, Some(value)));
        match (name, value) {
            ("--count", None) => self.count = true,
            ("--timestamp", None) => self.timestamp = true,
            ("--header", None) => self.header = true,
            ("--quiet", None) => self.quiet = true,
            ("--object-names", None) => self.object_names = true,
            ("--no-object-names", None) => self.object_names = false,
            ("--commit-header", None) => self.commit_header = true,
            ("--no-commit-header", None) => self.commit_header = false,
            ("--abbrev-commit", None) => self.abbreviated = true,
            ("--no-abbrev-commit", None) => self.abbreviated = false,
            ("--abbrev", None) => self.abbrev = Abbrev::Auto,
            ("--no-abbrev", None) => self.abbrev = Abbrev::Full,
            ("--abbrev", Some(digits)) => self.abbrev = Abbrev::AtLeast(digits.parse().unwrap_or(0).clamp(4, 64)),
            ("--oneline", None) => (self.format, self.abbreviated) = (Some(Format::Oneline), true),
            ("--pretty", None) => self.format = Some(Format::Medium),
            ("--pretty" | "--format", Some(text)) => {
                let invalid = |_| Failure::fatal(format!("invalid --pretty format: {text}"));
                self.format = Some(Format::parse(text).map_err(invalid)?);
            }
            ("--date", Some(text)) => {
                let invalid = |_| Failure::fatal(format!("unknown date format {text}"));
                self.date = DateStyle::from_str(text, false).map_err(invalid)?;
            }
            ("--disk-usage", None) => self.disk_usage = Some(Unit::Bytes),
            ("--disk-usage", Some("human")) => self.disk_usage = Some(Unit::Human),
            ("--disk-usage", Some(text)) => {
                return Err(Failure::fatal(format!(
                    "invalid value for '--disk-usage=<format>': '{text}', the only allowed format is 'human'"
                )));
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// Prints what a walk finds.
pub(super) struct Printer<'s> {
    store: &'s Store,
    style: Style,
    commits: commits::Style,
    screen: Screen,
    pub(super) out: BufWriter<StdoutLock<'static>>,
    left: u64,
    right: u64,
    same: u64,
    disk: Option<DiskUsage>,
    used: u64,
}

impl<'s> Printer<'s> {
    pub(super) fn new(store: &'s Store, style: Style) -> Result<Self, Failure> {
        let format = style.format.clone().unwrap_or(Format::Raw);
        let names = if format.wants_names() { Names::of_git(store)? } else { Names::default() };
        let commits = commits::Style {
            format,
            date: style.date,
            short_ids: false,
            abbrev: Some(style.abbrev),
            decorate: false,
            names,
        };
        let disk = style.disk_usage.map(|_| DiskUsage::read(store)).transpose()?;
        let (screen, out) = (Screen::plain(), git::stdout());
        Ok(Self { store, style, commits, screen, out, left: 0, right: 0, same: 0, disk, used: 0 })
    }

    /// A commit of the result.
    pub(super) fn commit(&mut self, walk: &Walk<'_>, number: Number) -> Result<(), Failure> {
        let commit = walk.graph().at(number);
        if self.is_counted(&commit.id)? {
            return Ok(());
        }
        if self.style.count {
            match () {
                () if commit.is(flag::SAME_PATCH) => self.same += 1,
                () if commit.is(flag::LEFT) => self.left += 1,
                () => self.right += 1,
            }
            return Ok(());
        }
        if self.style.timestamp {
            write!(self.out, "{} ", commit.date)?;
        }
        let custom = matches!(self.style.format, Some(Format::Custom { .. }));
        let has_header = self.style.commit_header || !custom;
        self.line_of(walk, number, has_header)?;
        match self.style.format {
            Some(Format::Oneline) => self.out.write_all(b" ")?,
            _ if has_header => self.out.write_all(b"\n")?,
            _ => {}
        }
        if self.style.format.is_some() || self.style.header {
            self.message(walk, number)?;
        }
        Ok(())
    }

    /// The id of a commit, where it is wanted, and what belongs to it.
    fn line_of(&mut self, walk: &Walk<'_>, number: Number, has_header: bool) -> Result<(), Failure> {
        let commit = walk.graph().at(number);
        if has_header {
            if self.style.format.as_ref().is_some_and(|format| *format != Format::Oneline) {
                self.out.write_all(b"commit ")?;
            }
            self.out.write_all(mark(commit.flags, self.style.marks, self.style.cherries).as_bytes())?;
            match self.style.abbreviated {
                true => write!(self.out, "{}", git::abbreviate(self.store, &commit.id, self.style.abbrev)?)?,
                false => write!(self.out, "{}", commit.id)?,
            }
        }
        let parents = commit.parents.iter().filter(|_| self.style.parents);
        let children = walk.children(number).iter().filter(|_| self.style.children);
        for other in parents.chain(children) {
            write!(self.out, " {}", walk.graph().at(*other).id)?;
        }
        Ok(())
    }

    fn message(&mut self, walk: &Walk<'_>, number: Number) -> Result<(), Failure> {
        let commit = walk.graph().at(number);
        let data = self.store.read_object(&commit.id, Kind::Commit)?;
        // As far as history was simplified its parents are others.
        let parents = commit.parents.iter().map(|parent| walk.graph().at(*parent).id).collect();
        let header = Header { parents, ..self.store.read_header(&commit.id)? };
        let text = commits::text(self.store, &header, &data, &self.commits, &self.screen)?;
        if !text.is_empty() {
            self.out.write_all(&text)?;
            self.out.write_all(if self.style.format.is_some() { b"\n" } else { b"\0" })?;
        } else if self.style.format == Some(Format::Oneline) {
            self.out.write_all(b"\n")?;
        }
        Ok(())
    }

    /// Another object.
    pub(super) fn object(&mut self, id: &Id, name: &BStr) -> Result<(), Failure> {
        if self.is_counted(id)? {
            return Ok(());
        }
        if self.style.count {
            self.right += 1;
            return Ok(());
        }
        let mut hex = [0; 64];
        self.out.write_all(id.hex_to_buf(&mut hex).as_bytes())?;
        if self.style.object_names {
            self.out.write_all(b" ")?;
            self.out.write_all(name)?;
        }
        Ok(self.out.write_all(b"\n")?)
    }

    /// Add up what the object takes on disk, where that is asked for; whether nothing else is.
    fn is_counted(&mut self, id: &Id) -> Result<bool, Failure> {
        if let Some(disk) = &self.disk {
            self.used += disk.of(self.store, id)?;
        }
        Ok(self.disk.is_some() || self.style.quiet)
    }

    /// Print the sums.
    pub(super) fn finish(mut self) -> Result<(), Failure> {
        if self.style.count {
            match (self.style.marks, self.style.cherries) {
                (true, true) => writeln!(self.out, "{}\t{}\t{}", self.left, self.right, self.same)?,
                (true, false) => writeln!(self.out, "{}\t{}", self.left, self.right)?,
                (false, true) => writeln!(self.out, "{}\t{}", self.left + self.right, self.same)?,
                (false, false) => writeln!(self.out, "{}", self.left + self.right)?,
            }
        }
        match self.style.disk_usage {
            Some(Unit::Bytes) => writeln!(self.out, "{}", self.used)?,
            Some(Unit::Human) => writeln!(self.out, "{}", human(self.used))?,
            None => {}
        }
        Ok(self.out.flush()?)
    }
}

/// A number of bytes as git shows it.
fn human(bytes: u64) -> String {
    let scaled = |shift: u32, unit: &str| {
        let hundredths = ((bytes & ((1 << shift) - 1)) * 100) >> shift;
        format!("{}.{hundredths:02} {unit}", bytes >> shift)
    };
    match bytes {
        _ if bytes > 1 << 30 => scaled(30, "GiB"),
        _ if bytes > 1 << 20 => scaled(20, "MiB"),
        _ if bytes > 1 << 10 => scaled(10, "KiB"),
        1 => "1 byte".into(),
        _ => format!("{bytes} bytes"),
    }
}

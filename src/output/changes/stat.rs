//! `--stat`, `--shortstat` and `--numstat`, laid out as git lays them out.

use plumbing::bstr::{BString, ByteSlice};
use plumbing::diff::{Change, Difference, Entry, What, text};
use plumbing::root::Kind;

use super::names::shown;
use super::{CONFIG, Printer, Style, patch, words};
use crate::output::quote::c_style;
use crate::output::screen::{Part, Screen};
use crate::report::Failure;

/// One line of the list.
pub struct Row {
    /// The name as it is printed.
    pub name: BString,
    pub count: Count,
    /// What changed beside lines.
    pub words: Option<String>,
}

/// How much of a file changed.
#[derive(Debug, Clone)]
pub enum Count {
    Lines {
        added: u64,
        removed: u64,
    },
    /// The sizes of a file that has no lines; none are shown where both are 0.
    Bytes {
        before: u64,
        after: u64,
    },
}

impl Count {
    fn lines(&self) -> (u64, u64) {
        match self {
            Count::Lines { added, removed } => (*added, *removed),
            Count::Bytes { .. } => (0, 0),
        }
    }
}

/// Print the forms that were asked for.
pub(super) fn print(printer: &mut Printer<'_>, difference: &Difference, style: &Style) -> Result<(), Failure> {
    let mut rows = Vec::with_capacity(difference.files.len() + 1);
    rows.extend(config_row(difference));
    for change in &difference.files {
        rows.push(Row {
            name: shown(change.path.as_bstr()).to_owned(),
            count: count(printer, change, &difference.files)?,
            words: note(change, &difference.files),
        });
    }
    if style.numstat {
        rows.iter().try_for_each(|row| numstat(printer.screen, row, style.z))?;
    }
    rows.iter_mut().for_each(|row| row.name = c_style(row.name.as_bstr()).into_owned());
    if style.stat {
        list(printer.screen, &rows, &Limits { columns: printer.screen.columns(), name: 0, graph: 0 })?;
    }
    if style.stat || style.shortstat {
        printer.screen.put(total(&rows))?;
    }
    Ok(())
}

/// How wide the list and its parts may be; 0 where that is not said.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub columns: usize,
    pub name: usize,
    pub graph: usize,
}

/// Print the list without the line of sums.
pub fn list(screen: &mut Screen, rows: &[Row], limits: &Limits) -> Result<(), Failure> {
    let layout = Layout::of(rows, limits);
    rows.iter().try_for_each(|row| layout.print(screen, row))
}

/// The configuration counts as a file with a line for each field.
fn config_row(difference: &Difference) -> Option<Row> {
    let count = |set: usize| set as u64;
    let added = count(difference.config.iter().filter(|change| change.after.is_some()).count());
    let removed = count(difference.config.iter().filter(|change| change.before.is_some()).count());
    (!difference.config.is_empty()).then(|| Row {
        name: CONFIG.into(),
        count: Count::Lines { added, removed },
        words: None,
    })
}

fn count(printer: &Printer<'_>, change: &Change, all: &[Change]) -> Result<Count, Failure> {
    if !patch::has_contents(change, all) {
        return Ok(Count::Lines { added: 0, removed: 0 });
    }
    let sides = patch::read(printer.store, change)?;
    Ok(match (patch::lines(&sides[0]), patch::lines(&sides[1])) {
        (Some(before), Some(after)) => {
            let (added, removed) = text::count(before, after);
            Count::Lines { added: added.into(), removed: removed.into() }
        }
        _ => {
            let size = |side: &Option<patch::Side>| side.as_ref().map_or(0, |side| side.size);
            Count::Bytes { before: size(&sides[0]), after: size(&sides[1]) }
        }
    })
}

/// A word where lines say nothing.
fn note(change: &Change, all: &[Change]) -> Option<String> {
    let is_text = |entry: &&Entry| matches!(entry.what, What::Leaf(Kind::File { .. } | Kind::Symlink { .. }));
    if patch::has_contents(change, all) && [&change.before, &change.after].into_iter().flatten().all(|e| is_text(&e)) {
        return None;
    }
    let link = || patch::is_further_name(change, all).then(|| "hard link".to_owned());
    words::summary(change).or_else(link)
}

fn numstat(screen: &mut Screen, row: &Row, z: bool) -> Result<(), Failure> {
    let counts = match row.count {
        Count::Lines { added, removed } => format!("{added}\t{removed}\t"),
        Count::Bytes { .. } => "-\t-\t".into(),
    };
    screen.put(counts)?;
    let name = if z { row.name.as_bstr().into() } else { c_style(row.name.as_bstr()) };
    screen.put(name.as_ref())?;
    Ok(screen.put(if z { "\0" } else { "\n" })?)
}

/// The line of sums.
pub fn total(rows: &[Row]) -> String {
    let (added, removed) =
        rows.iter().map(|row| row.count.lines()).fold((0, 0), |sum, lines| (sum.0 + lines.0, sum.1 + lines.1));
    let s = |count: u64| if count == 1 { "" } else { "s" };
    let files = rows.len() as u64;
    let mut line = format!(" {files} file{} changed", s(files));
    if added > 0 || removed == 0 {
        line += &format!(", {added} insertion{}(+)", s(added));
    }
    if removed > 0 || added == 0 {
        line += &format!(", {removed} deletion{}(-)", s(removed));
    }
    line + "\n"
}

/// The widths of git's columns: names, numbers and the graph share the screen, the names at most five eighths of it where
/// the graph needs the rest.
struct Layout {
    name: usize,
    number: usize,
    graph: u64,
    largest: u64,
}

impl Layout {
    fn of(rows: &[Row], limits: &Limits) -> Self {
        let digits = |number: u64| number.to_string().len();
        let largest =
            rows.iter().map(|row| row.count.lines()).map(|(added, removed)| added + removed).max().unwrap_or(0);
        let binary = rows.iter().filter_map(|row| match row.count {
            Count::Bytes { before, after } => Some(14 + digits(before) + digits(after)),
            Count::Lines { .. } => None,
        });
        let binary = binary.max();
        let number = digits(largest).max(if binary.is_some() { 3 } else { 0 });
        let binary = binary.unwrap_or(0);
        let columns = limits.columns.max(16 + 6 + number);
        let at_most = |wanted: usize, limit: usize| if limit > 0 { wanted.min(limit) } else { wanted };
        let longest = rows.iter().map(|row| width(&row.name.to_str_lossy())).max().unwrap_or(0);
        let mut name = at_most(longest, limits.name);
        let wanted = usize::try_from(largest).unwrap_or(usize::MAX);
        let mut graph = if wanted.saturating_add(4) > binary { wanted } else { binary - 4 };
        graph = at_most(graph, limits.graph);
        if (name + number + 6).saturating_add(graph) > columns {
            let share = (columns * 3 / 8) as i64 - number as i64 - 6;
            if graph as i64 > share {
                graph = usize::try_from(share).unwrap_or(0).max(6);
            }
            graph = at_most(graph, limits.graph);
            if name > columns - number - 6 - graph {
                name = columns - number - 6 - graph;
            } else {
                graph = columns - number - 6 - name;
            }
        }
        Self { name, number, graph: graph as u64, largest }
    }

    fn print(&self, screen: &mut Screen, row: &Row) -> Result<(), Failure> {
        let name = self.shorten(&row.name.to_str_lossy());
        let padding = " ".repeat(self.name.saturating_sub(width(&name)));
        let number = self.number;
        match row.count {
            Count::Bytes { before, after } => {
                screen.put(format!(" {name}{padding} | {:>number$}", "Bin"))?;
                if before + after == 0 {
                    return Ok(screen.put("\n")?);
                }
                screen.put(" ")?;
                screen.paint(Part::Removed, before.to_string())?;
                screen.put(" -> ")?;
                screen.paint(Part::Added, after.to_string())?;
                screen.put(" bytes")?;
            }
            Count::Lines { added, removed } => {
                screen.put(format!(" {name}{padding} | {:>number$}", added + removed))?;
                let (plus, minus) = self.graph(added, removed);
                if added + removed > 0 {
                    screen.put(" ")?;
                    paint_some(screen, Part::Added, "+", plus)?;
                    paint_some(screen, Part::Removed, "-", minus)?;
                }
            }
        }
        if let Some(words) = &row.words {
            screen.put(format!(" ({words})"))?;
        }
        Ok(screen.put("\n")?)
    }

    /// The end of a name that is too long, from a slash on where there is one.
    fn shorten(&self, name: &str) -> String {
        if width(name) <= self.name {
            return name.to_owned();
        }
        let room = self.name.saturating_sub(3);
        let cut: String = name.chars().skip(name.chars().count() - room).collect();
        format!("...{}", cut.find('/').map_or(cut.as_str(), |at| &cut[at..]))
    }

    /// How many signs stand for so many lines.
    fn graph(&self, added: u64, removed: u64) -> (u64, u64) {
        if self.graph > self.largest {
            return (added, removed);
        }
        let scale = |lines: u64| if lines == 0 { 0 } else { 1 + lines * (self.graph - 1) / self.largest };
        let both = added > 0 && removed > 0;
        let total = scale(added + removed).max(if both { 2 } else { 0 });
        if added < removed { (scale(added), total - scale(added)) } else { (total - scale(removed), scale(removed)) }
    }
}

fn paint_some(screen: &mut Screen, part: Part, sign: &str, count: u64) -> Result<(), Failure> {
    if count > 0 {
        screen.paint(part, sign.repeat(usize::try_from(count).unwrap_or(0)))?;
    }
    Ok(())
}

/// Columns of a name, which is quoted and thus ASCII.
fn width(name: &str) -> usize {
    name.chars().count()
}

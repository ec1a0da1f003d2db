//! `--stat`, `--numstat` and `--shortstat`.

use std::io::Write;

use plumbing::Store;
use plumbing::bstr::{BString, ByteSlice};
use plumbing::diff::renames::{Pair, Status};
use plumbing::diff::text;

use super::{Options, has_tree, is_moved, lists, quoted, read};
use crate::output::changes::stat::{self as layout, Count, Row};
use crate::output::screen::Screen;
use crate::report::Failure;

/// How wide `--stat` may be, as far as that is said; 0 where it isn't.
#[derive(Debug, Clone, Copy, Default)]
pub struct Widths {
    total: usize,
    name: usize,
    graph: usize,
    /// How many files are listed.
    count: usize,
}

impl Widths {
    /// Take `--stat=TOTAL,NAME,COUNT` or one of the `--stat-…=N`.
    pub(super) fn set(&mut self, name: &str, value: Option<&str>) -> Result<(), Failure> {
        let bad = || Failure::usage(format!("invalid {name} value: {}", value.unwrap_or_default()));
        let number = |text: &str| text.parse::<usize>().map_err(|_| bad());
        let Some(value) = value else { return Ok(()) };
        match name {
            "--stat-width" => self.total = number(value)?,
            "--stat-name-width" => self.name = number(value)?,
            "--stat-graph-width" => self.graph = number(value)?,
            "--stat-count" => self.count = number(value)?,
            _ => {
                let mut parts = value.split(',');
                for place in [&mut self.total, &mut self.name, &mut self.count] {
                    if let Some(part) = parts.next().filter(|part| !part.is_empty()) {
                        *place = number(part)?;
                    }
                }
                if parts.next().is_some() {
                    return Err(bad());
                }
            }
        }
        Ok(())
    }
}

/// Print what was asked for.
pub(super) fn print(out: &mut dyn Write, store: &Store, pairs: &[Pair], options: &Options) -> Result<(), Failure> {
    let mut rows = Vec::with_capacity(pairs.len());
    for pair in pairs.iter().filter(|pair| !has_tree(pair)) {
        rows.push((pair, count(store, pair, options)?));
    }
    if rows.is_empty() {
        return Ok(());
    }
    if options.formats.numstat {
        rows.iter().try_for_each(|(pair, count)| numstat(out, pair, count, options))?;
    }
    let shown: Vec<Row> =
        rows.iter().map(|(pair, count)| Row { name: name(pair, options), count: count.clone(), words: None }).collect();
    if options.formats.stat {
        let Widths { total, name, graph, count } = options.widths;
        let columns = if total == 0 { 80 } else { total };
        let listed = if count == 0 { shown.len() } else { count.min(shown.len()) };
        let limits = layout::Limits { columns, name, graph };
        let mut screen = Screen::plain();
        layout::list(&mut screen, &shown[..listed], &limits)?;
        out.write_all(&screen.into_text())?;
        if listed < shown.len() {
            out.write_all(b" ...\n")?;
        }
    }
    // Each of both prints the sum.
    for wanted in [options.formats.stat, options.formats.shortstat] {
        if wanted {
            out.write_all(layout::total(&shown).as_bytes())?;
        }
    }
    Ok(())
}

/// What is printed as the file's name.
fn name(pair: &Pair, options: &Options) -> BString {
    let mut name: BString = match is_moved(pair) {
        true => lists::moved(pair.old_path(), pair.path()).into(),
        false => quoted(pair.path()),
    };
    if let Some(word) = options.compact_summary.then(|| summary(pair)).flatten() {
        name.extend_from_slice(format!(" ({word})").as_bytes());
    }
    name
}

/// What `--compact-summary` says beside the name.
fn summary(pair: &Pair) -> Option<&'static str> {
    let mode = |file: &Option<plumbing::diff::renames::File>| file.as_ref().map(|file| file.version.mode);
    let (before, after) = (mode(&pair.before), mode(&pair.after));
    Some(match (pair.status, before, after) {
        (Status::Added, _, Some(mode)) if mode.is_link() => "new +l",
        (Status::Added, _, Some(mode)) if mode.value() & 0o777 == 0o755 => "new +x",
        (Status::Added, ..) => "new",
        (Status::Deleted, ..) => "gone",
        (_, Some(a), Some(b)) if a.is_link() && !b.is_link() => "mode -l",
        (_, Some(a), Some(b)) if !a.is_link() && b.is_link() => "mode +l",
        (_, Some(a), Some(b)) if a.value() & 0o777 == 0o644 && b.value() & 0o777 == 0o755 => "mode +x",
        (_, Some(a), Some(b)) if a.value() & 0o777 == 0o755 && b.value() & 0o777 == 0o644 => "mode -x",
        _ => return None,
    })
}

/// The lines that came and went.
fn count(store: &Store, pair: &Pair, options: &Options) -> Result<Count, Failure> {
    let id = |file: &Option<plumbing::diff::renames::File>| file.as_ref().map(|file| file.version.id);
    let same = id(&pair.before) == id(&pair.after);
    let before = read(store, pair.before.as_ref(), options)?;
    let after = read(store, pair.after.as_ref(), options)?;
    Ok(match (&before.text, &after.text) {
        (Some(_), Some(_)) if same => Count::Lines { added: 0, removed: 0 },
        (Some(before), Some(after)) => {
            let (added, removed) = text::count(before, after);
            Count::Lines { added: added.into(), removed: removed.into() }
        }
        _ if same => Count::Bytes { before: 0, after: 0 },
        _ => Count::Bytes { before: before.size, after: after.size },
    })
}

fn numstat(out: &mut dyn Write, pair: &Pair, count: &Count, options: &Options) -> Result<(), Failure> {
    match count {
        Count::Lines { added, removed } => write!(out, "{added}\t{removed}\t")?,
        Count::Bytes { .. } => out.write_all(b"-\t-\t")?,
    }
    if !options.nul {
        out.write_all(&if is_moved(pair) { name(pair, options) } else { quoted(pair.path()) })?;
        return Ok(out.write_all(b"\n")?);
    }
    if is_moved(pair) {
        out.write_all(&[b"\0", pair.old_path().as_bytes(), b"\0"].concat())?;
    }
    Ok(out.write_all(&[pair.path().as_bytes(), b"\0"].concat())?)
}

//! The patch: what git would print, and the rest in words.
//!
//! What git knows (contents, links, the executable bit) begins with `diff --git`, so that `git apply` and `patch`
//! take it; folders, devices, owners, attributes and times begin with `diff --rd`, which they skip.

use plumbing::bstr::{BStr, BString, ByteSlice};
use plumbing::diff::config::ConfigChange;
use plumbing::diff::text::{self, Contents, Hunk, Line};
use plumbing::diff::{Aspect, Change, ChangeKind, Difference, Entry, What};
use plumbing::root::Kind;
use plumbing::{Id, Store};
use serde_json::Value;

use super::names::shown;
use super::{CONFIG, Printer, words};
use crate::output::quote::c_style;
use crate::output::screen::Part;
use crate::report::Failure;

/// Print the patch with `context` lines around each change.
pub(super) fn print(printer: &mut Printer<'_>, difference: &Difference, context: u32) -> Result<(), Failure> {
    if !difference.config.is_empty() {
        printer.screen.paint(Part::Meta, format!("diff --rd {CONFIG}\n"))?;
    }
    for change in &difference.config {
        config(printer, change)?;
    }
    let all = &difference.files;
    for change in all {
        if change.kind() == ChangeKind::TypeChanged {
            let path = || change.path.clone();
            let gone = Change { path: path(), before: change.before.clone(), after: None, aspects: Vec::new() };
            let come = Change { path: path(), before: None, after: change.after.clone(), aspects: Vec::new() };
            file(printer, &gone, all, context)?;
            file(printer, &come, all, context)?;
        } else {
            file(printer, change, all, context)?;
        }
    }
    Ok(())
}

fn config(printer: &mut Printer<'_>, change: &ConfigChange) -> Result<(), Failure> {
    let line = |sign: char, value: &Value| match value {
        Value::String(text) if !text.contains(char::is_control) => format!("{sign}{}: {text}\n", change.field),
        value => format!("{sign}{}: {value}\n", change.field),
    };
    if let Some(value) = &change.before {
        printer.screen.paint(Part::Removed, line('-', value))?;
    }
    if let Some(value) = &change.after {
        printer.screen.paint(Part::Added, line('+', value))?;
    }
    Ok(())
}

fn file(printer: &mut Printer<'_>, change: &Change, all: &[Change], context: u32) -> Result<(), Failure> {
    let old = name(b"a/", change);
    let new = name(b"b/", change);
    let tool = if git_knows(change, all) { "git" } else { "rd" };
    let mut header = format!("diff --{tool} {} {}\n", c_style(old.as_bstr()), c_style(new.as_bstr()));
    for line in words::header_lines(change) {
        header += &line;
        header.push('\n');
    }
    if has_contents(change, all) {
        return with_contents(printer, change, header, [old, new], context);
    }
    paint_lines(printer, Part::Meta, header.as_bytes())
}

fn name(side: &[u8], change: &Change) -> BString {
    [side, shown(change.path.as_bstr()).as_bytes()].concat().into()
}

fn with_contents(
    printer: &mut Printer<'_>,
    change: &Change,
    mut header: String,
    names: [BString; 2],
    context: u32,
) -> Result<(), Failure> {
    let sides = read(printer.store, change)?;
    let id = |side: &Option<Side>| match side {
        Some(side) => printer.short(&side.id),
        None => "0".repeat(printer.digits),
    };
    header += &format!("index {}..{}", id(&sides[0]), id(&sides[1]));
    if change.kind() == ChangeKind::Modified && !change.aspects.contains(&Aspect::Mode) {
        header += &format!(" {}", words::mode(change.entry()));
    }
    header.push('\n');
    let [old, new] = [0, 1].map(|side| match &sides[side] {
        Some(_) => names[side].clone(),
        None => "/dev/null".into(),
    });
    if let (Some(before), Some(after)) = (lines(&sides[0]), lines(&sides[1])) {
        let hunks = text::hunks(before, after, context);
        if !hunks.is_empty() {
            header += &format!("--- {}\n+++ {}\n", in_header(old.as_bstr()), in_header(new.as_bstr()));
        }
        paint_lines(printer, Part::Meta, header.as_bytes())?;
        return hunks.iter().try_for_each(|hunk| print_hunk(printer, hunk));
    }
    for (word, side) in [("old", &sides[0]), ("new", &sides[1])] {
        if let Some(side) = side {
            header += &format!("{word} size {}\n", side.size);
        }
    }
    paint_lines(printer, Part::Meta, header.as_bytes())?;
    let text = format!("Binary files {} and {} differ\n", c_style(old.as_bstr()), c_style(new.as_bstr()));
    Ok(printer.screen.put(text)?)
}

/// git ends a name that has a blank with a tab, so that patch(1) finds its end.
fn in_header(name: &BStr) -> String {
    let quoted = c_style(name);
    let tab = if quoted.contains(&b' ') && !quoted.starts_with(b"\"") { "\t" } else { "" };
    format!("{quoted}{tab}")
}

fn paint_lines(printer: &mut Printer<'_>, part: Part, text: &[u8]) -> Result<(), Failure> {
    text.split_inclusive(|byte| *byte == b'\n').try_for_each(|line| Ok(printer.screen.paint(part, line)?))
}

fn print_hunk(printer: &mut Printer<'_>, hunk: &Hunk<'_>) -> Result<(), Failure> {
    let range = |(start, len): (u32, u32)| if len == 1 { start.to_string() } else { format!("{start},{len}") };
    let screen = &mut *printer.screen;
    screen.paint(Part::Position, format!("@@ -{} +{} @@", range(hunk.before), range(hunk.after)))?;
    if let Some(heading) = hunk.heading {
        screen.put(" ")?;
        screen.put(heading)?;
    }
    screen.put("\n")?;
    for (kind, line) in &hunk.lines {
        let (sign, part) = match kind {
            Line::Kept => (" ", None),
            Line::Added => ("+", Some(Part::Added)),
            Line::Removed => ("-", Some(Part::Removed)),
        };
        let text = [sign.as_bytes(), line].concat();
        match part {
            None => screen.put(&text)?,
            Some(part) => screen.paint(part, &text)?,
        }
        if !line.ends_with(b"\n") {
            screen.put("\n\\ No newline at end of file\n")?;
        }
    }
    Ok(())
}

/// The contents of a file or the target of a link on one side.
pub(super) struct Side {
    pub id: Id,
    pub size: u64,
    pub contents: Contents,
}

/// Both sides of a change with contents.
pub(super) fn read(store: &Store, change: &Change) -> Result<[Option<Side>; 2], Failure> {
    Ok([read_side(store, change.before.as_ref())?, read_side(store, change.after.as_ref())?])
}

fn read_side(store: &Store, entry: Option<&Entry>) -> Result<Option<Side>, Failure> {
    let Some(id) = entry.and_then(content_id) else { return Ok(None) };
    let contents = Contents::read(store, &id)?;
    let size = match (entry.map(|entry| &entry.what), &contents) {
        (Some(What::Leaf(Kind::File { size, .. })), _) => *size,
        (_, Contents::Text(bytes)) => bytes.len() as u64,
        _ => 0,
    };
    Ok(Some(Side { id, size, contents }))
}

/// The bytes to compare line by line; a side that isn't there has none.
pub(super) fn lines(side: &Option<Side>) -> Option<&[u8]> {
    match side {
        None => Some(b""),
        Some(Side { contents: Contents::Text(bytes), .. }) => Some(bytes),
        Some(Side { contents: Contents::Binary, .. }) => None,
    }
}

fn content_id(entry: &Entry) -> Option<Id> {
    match &entry.what {
        What::Leaf(Kind::File { id, .. } | Kind::Symlink { id }) => Some(*id),
        _ => None,
    }
}

/// Whether the change has lines to show. A further name of a file shows them only under the first name.
pub(super) fn has_contents(change: &Change, all: &[Change]) -> bool {
    match change.kind() {
        ChangeKind::Added | ChangeKind::Deleted => {
            content_id(change.entry()).is_some() && !is_further_name(change, all)
        }
        ChangeKind::Modified => change.aspects.iter().any(|aspect| matches!(aspect, Aspect::Content | Aspect::Target)),
        ChangeKind::TypeChanged => {
            [&change.before, &change.after].into_iter().flatten().any(|e| content_id(e).is_some())
        }
    }
}

/// Whether the file that came or went has a name that stays, or one that is shown before; `all` are sorted.
pub(super) fn is_further_name(change: &Change, all: &[Change]) -> bool {
    let is_alike = |name: &BString| {
        let other = all.binary_search_by(|other| other.path.cmp(name)).ok().map(|at| &all[at]);
        other.is_some_and(|other| other.before.is_some() == change.before.is_some() && other.kind() == change.kind())
    };
    let names = change.entry().links.iter().flat_map(|names| names.iter());
    names.filter(|name| **name != change.path).any(|name| *name < change.path || !is_alike(name))
}

/// Whether git can apply the change.
fn git_knows(change: &Change, all: &[Change]) -> bool {
    let executable = |entry: &Option<Entry>| entry.as_ref().map(|entry| entry.attrs.mode & 0o100);
    has_contents(change, all)
        || (change.kind() == ChangeKind::Modified
            && matches!(change.entry().what, What::Leaf(Kind::File { .. }))
            && executable(&change.before) != executable(&change.after))
}

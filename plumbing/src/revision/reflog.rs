//! `NAME@{n}` and `NAME@{date}`: where a ref was.

use gix::bstr::{BStr, ByteSlice};

use crate::{Error, Id, Result, Store};

/// A number from here on is a time, as in git.
const FIRST_TIME: u64 = 100_000_000;

/// One line of a reflog.
struct Line {
    old: Id,
    new: Id,
    seconds: i64,
}

/// Where the ref `name`, which is at `now`, was `moves` ago or at a date.
pub(super) fn lookup(store: &Store, name: &str, now: Id, spelled: &BStr) -> Result<Id> {
    let input = || format!("{name}@{{{spelled}}}");
    let bad = |why: String| Error::Invalid { what: "reflog entry", input: input(), why };
    let text = spelled.to_str_lossy();
    let lines = read(store, name)?;
    match text.parse::<u64>() {
        Ok(number) if number < FIRST_TIME => nth(&lines, number, now).ok_or_else(|| match lines.len() {
            0 => bad("its reflog is empty".into()),
            count => bad(format!("its reflog has only {count} entries")),
        }),
        _ => {
            let date = gix::date::parse(&text, Some(gix::date::Zoned::now()));
            let date = date.map_err(|_| Error::NotFound { what: "revision", name: input() })?;
            at_date(&lines, date.seconds).ok_or_else(|| bad("its reflog is empty".into()))
        }
    }
}

/// The `number`th place before the present one; what was before the first line counts too.
fn nth(lines: &[Line], number: u64, now: Id) -> Option<Id> {
    let number = usize::try_from(number).ok()?;
    match lines.get(number) {
        Some(line) => Some(line.new),
        None if lines.is_empty() => (number == 0).then_some(now),
        None if number == lines.len() => lines.last().map(|line| line.old).filter(|id| !id.is_null()),
        None => None,
    }
}

/// The place at a time; before the first line, where the log begins.
fn at_date(lines: &[Line], seconds: i64) -> Option<Id> {
    if let Some(line) = lines.iter().find(|line| line.seconds <= seconds) {
        return Some(line.new);
    }
    lines.last().map(|line| if line.old.is_null() { line.new } else { line.old })
}

/// The lines of a ref's log, the youngest first; none where it has no log.
fn read(store: &Store, name: &str) -> Result<Vec<Line>> {
    let Ok(full) = gix::refs::FullName::try_from(name) else { return Ok(Vec::new()) };
    let mut buffer = Vec::new();
    let log = store.repo().refs.reflog_iter(full.as_ref(), &mut buffer);
    let log = log.map_err(Error::git(format!("read the reflog of '{name}'")))?;
    let mut lines = Vec::new();
    for line in log.into_iter().flatten() {
        let line = line.map_err(|error| Error::damaged(format!("reflog of '{name}'"), error.to_string()))?;
        lines.push(Line { old: line.previous_oid(), new: line.new_oid(), seconds: line.signature.seconds() });
    }
    lines.reverse();
    Ok(lines)
}

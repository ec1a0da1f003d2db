//! What git's patches have no line for, in words: types, owners, extended attributes, times, devices, hard links.

use plumbing::bstr::{BString, ByteSlice};
use plumbing::diff::{Aspect, Change, ChangeKind, Entry, What};
use plumbing::root::Kind;

use super::json::time;
use crate::output::quote::{c_style, value};

/// What an entry is, where git has no word for it.
pub(super) fn type_word(entry: &Entry) -> String {
    match &entry.what {
        What::Folder => "folder".into(),
        What::Leaf(Kind::File { .. } | Kind::Symlink { .. }) => "file".into(),
        What::Leaf(Kind::Char { major, minor }) => format!("character device {major},{minor}"),
        What::Leaf(Kind::Block { major, minor }) => format!("block device {major},{minor}"),
        What::Leaf(Kind::Fifo) => "fifo".into(),
        What::Leaf(Kind::Socket) => "socket".into(),
    }
}

/// The mode as git writes it: all of `st_mode`; a link has the one that git gives all links, unless it is odd.
pub(super) fn mode(entry: &Entry) -> String {
    match (&entry.what, entry.attrs.mode) {
        (What::Leaf(Kind::Symlink { .. }), 0o777) => "120000".into(),
        _ => format!("{:06o}", entry.st_mode()),
    }
}

/// The lines between a change's first line and its `index` line.
pub(super) fn header_lines(change: &Change) -> Vec<String> {
    match (&change.before, &change.after) {
        (None, Some(entry)) => {
            [vec![format!("new {} mode {}", type_word(entry), mode(entry))], extras(change, entry)].concat()
        }
        (Some(entry), None) => vec![format!("deleted {} mode {}", type_word(entry), mode(entry))],
        (Some(before), Some(after)) => {
            change.aspects.iter().flat_map(|aspect| aspect_lines(*aspect, before, after)).collect()
        }
        (None, None) => Vec::new(),
    }
}

/// What a new entry has that most haven't.
fn extras(change: &Change, entry: &Entry) -> Vec<String> {
    let mut lines = Vec::new();
    if (entry.attrs.uid, entry.attrs.gid) != (0, 0) {
        lines.push(format!("new owner {}", owner(entry)));
    }
    lines.extend(entry.attrs.xattrs.iter().map(|(name, bytes)| xattr(name, &format!("added {}", value(bytes)))));
    if entry.links.is_some() {
        lines.push(format!("hard link of {}", other_names(&change.path, entry)));
    }
    lines
}

fn aspect_lines(aspect: Aspect, before: &Entry, after: &Entry) -> Vec<String> {
    let pair = |what: &str, old: String, new: String| vec![format!("old {what} {old}"), format!("new {what} {new}")];
    match aspect {
        Aspect::Content | Aspect::Target => Vec::new(),
        Aspect::Device => vec![format!("old {}", type_word(before)), format!("new {}", type_word(after))],
        Aspect::Mode => pair("mode", mode(before), mode(after)),
        Aspect::Owner => pair("owner", owner(before), owner(after)),
        Aspect::Xattrs => xattr_lines(before, after),
        Aspect::Time => pair("time", time(before.mtime), time(after.mtime)),
        Aspect::Links => pair("names", names(before), names(after)),
    }
}

fn owner(entry: &Entry) -> String {
    format!("{}:{}", entry.attrs.uid, entry.attrs.gid)
}

fn xattr(name: &BString, what: &str) -> String {
    format!("xattr {}: {what}", c_style(name.as_bstr()))
}

fn xattr_lines(before: &Entry, after: &Entry) -> Vec<String> {
    let (old, new) = (&before.attrs.xattrs, &after.attrs.xattrs);
    let names: std::collections::BTreeSet<_> = old.keys().chain(new.keys()).collect();
    let line = |name: &BString| match (old.get(name), new.get(name)) {
        (old, new) if old == new => None,
        (None, Some(new)) => Some(xattr(name, &format!("added {}", value(new)))),
        (Some(old), Some(new)) => Some(xattr(name, &format!("changed from {} to {}", value(old), value(new)))),
        (Some(old), None) => Some(xattr(name, &format!("removed {}", value(old)))),
        (None, None) => None,
    };
    names.into_iter().filter_map(line).collect()
}

/// At most so many names of one file are listed.
const MANY: usize = 5;

fn join<'a>(names: impl ExactSizeIterator<Item = &'a BString>) -> String {
    let more = names.len().saturating_sub(MANY);
    let mut text = names.take(MANY).map(|name| c_style(name.as_bstr()).to_string()).collect::<Vec<_>>().join(", ");
    if more > 0 {
        text += &format!(" and {more} more");
    }
    text
}

fn names(entry: &Entry) -> String {
    entry.links.as_ref().map_or_else(|| "this one alone".into(), |links| join(links.iter()))
}

/// The other names of the file at `path`.
fn other_names(path: &BString, entry: &Entry) -> String {
    let others: Vec<&BString> =
        entry.links.iter().flat_map(|links| links.iter()).filter(|name| *name != path).collect();
    join(others.into_iter())
}

/// The change in few words, for what has no lines to count; `None` where a count says enough.
pub(super) fn summary(change: &Change) -> Option<String> {
    match change.kind() {
        ChangeKind::Added | ChangeKind::Deleted => match &change.entry().what {
            What::Leaf(Kind::File { .. } | Kind::Symlink { .. }) => None,
            _ => Some(format!(
                "{} {}",
                if change.before.is_none() { "new" } else { "deleted" },
                type_word(change.entry())
            )),
        },
        ChangeKind::TypeChanged => {
            let word = |entry: &Option<Entry>| entry.as_ref().map_or("", |entry| entry.what.word());
            Some(format!("{} -> {}", word(&change.before), word(&change.after)))
        }
        ChangeKind::Modified => {
            let words: Vec<&str> = change.aspects.iter().map(|aspect| aspect.word()).collect();
            Some(words.join(", "))
        }
    }
}

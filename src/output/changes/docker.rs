//! The lines of `docker diff`: `A`, `C` and `D` with absolute paths.

use std::collections::BTreeMap;

use plumbing::bstr::{BStr, BString, ByteSlice};
use plumbing::diff::{Aspect, Change, ChangeKind};
use plumbing::root::split_path;

use crate::output::quote::c_style;
use crate::output::screen::Screen;
use crate::report::Failure;

/// Print the changes as docker does: sorted by path, folders with changes in them as `C`, what lay in a removed folder not at all.
pub fn print(screen: &mut Screen, changes: &[Change]) -> Result<(), Failure> {
    for (path, letter) in lines(changes) {
        let path = [b"/", path.as_slice()].concat();
        // docker prints all names as they are; those that would break the line or the terminal are quoted here.
        let is_plain = path.to_str().is_ok_and(|text| !text.chars().any(char::is_control));
        let shown = if is_plain { path.as_bstr().into() } else { c_style(path.as_bstr()) };
        screen.put(format!("{letter} {shown}\n"))?;
    }
    Ok(())
}

fn lines(changes: &[Change]) -> BTreeMap<BString, char> {
    let mut lines = BTreeMap::new();
    for change in changes {
        let folder = split_path(change.path.as_bstr()).0;
        let letter = match change.kind() {
            ChangeKind::Added => 'A',
            ChangeKind::Deleted if is_gone(folder, changes) => continue,
            ChangeKind::Deleted => 'D',
            ChangeKind::Modified if is_folder_time(change) => continue,
            _ => 'C',
        };
        lines.insert(change.path.clone(), letter);
        mark_folders(folder, &mut lines);
    }
    if lines.get(b"".as_bstr()) == Some(&'C') && !changes.iter().any(|c| c.path.is_empty() && !is_folder_time(c)) {
        lines.remove(b"".as_bstr());
    }
    lines
}

/// A folder's time says nothing that its entries don't.
fn is_folder_time(change: &Change) -> bool {
    change.entry().is_folder() && change.aspects.iter().all(|aspect| *aspect == Aspect::Time)
}

/// Whether `folder` is no folder any more.
fn is_gone(folder: &BStr, changes: &[Change]) -> bool {
    let at = changes.binary_search_by(|change| change.path.as_bstr().cmp(folder));
    at.is_ok_and(|at| matches!(changes[at].kind(), ChangeKind::Deleted | ChangeKind::TypeChanged))
}

fn mark_folders(mut folder: &BStr, lines: &mut BTreeMap<BString, char>) {
    while !lines.contains_key(folder) {
        lines.insert(folder.to_owned(), 'C');
        folder = split_path(folder).0;
    }
}

#[cfg(test)]
mod tests {
    use plumbing::diff::{Entry, What};
    use plumbing::root::{Attrs, Kind, Time};

    use super::*;

    fn entry(what: What) -> Option<Entry> {
        Some(Entry { what, attrs: Attrs::default(), mtime: Time::default(), links: None })
    }

    fn folder() -> Option<Entry> {
        entry(What::Folder)
    }

    fn file() -> Option<Entry> {
        entry(What::Leaf(Kind::Fifo))
    }

    fn change(path: &str, before: Option<Entry>, after: Option<Entry>, aspects: &[Aspect]) -> Change {
        Change { path: path.into(), before, after, aspects: aspects.to_vec() }
    }

    fn shown(changes: &[Change]) -> Vec<String> {
        lines(changes).iter().map(|(path, letter)| format!("{letter} /{path}")).collect()
    }

    #[test]
    fn folders_above_a_change_are_changed() {
        let changes = [
            change("", folder(), folder(), &[Aspect::Time]),
            change("a.b", None, file(), &[]),
            change("a/b/c", file(), file(), &[Aspect::Content]),
            change("new", None, folder(), &[]),
            change("new/x", None, file(), &[]),
            change("time", folder(), folder(), &[Aspect::Time]),
            change("touched", file(), file(), &[Aspect::Time]),
        ];
        assert_eq!(shown(&changes), ["C /a", "A /a.b", "C /a/b", "C /a/b/c", "A /new", "A /new/x", "C /touched"]);
    }

    #[test]
    fn what_lay_in_a_removed_folder_is_not_listed() {
        let changes = [
            change("d", folder(), None, &[]),
            change("d/e", folder(), None, &[]),
            change("d/e/f", file(), None, &[]),
            change("now-file", folder(), file(), &[]),
            change("now-file/x", file(), None, &[]),
            change("x/gone", file(), None, &[]),
        ];
        assert_eq!(shown(&changes), ["D /d", "C /now-file", "C /x", "D /x/gone"]);
    }

    #[test]
    fn the_top_is_listed_where_it_changed_itself() {
        assert_eq!(shown(&[change("", folder(), folder(), &[Aspect::Mode])]), ["C /"]);
        assert!(shown(&[change("", folder(), folder(), &[Aspect::Time])]).is_empty());
    }
}

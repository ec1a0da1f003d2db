//! The lines of `docker diff`: `A`, `C` and `D` with absolute paths.

use std::collections::BTreeMap;

use plumbing::bstr::{BStr, BString, ByteSlice};
use plumbing::diff::{Aspect, Change, ChangeKind};
use plumbing::root::split_path;

use crate::output::screen::Screen;
use crate::report::Failure;

/// Print the changes as docker does: sorted by path, folders with changes in them as `C`, what lay in a removed folder not at all.
pub fn print(screen: &mut Screen, changes: &[Change]) -> Result<(), Failure> {
    for (path, letter) in lines(changes) {
        // One path a line, whatever the name: docker prints bytes as they are, which nobody could read back.
        let path = [b"/", path.as_slice()].concat();
        screen.put(format!("{letter} {}\n", crate::output::quote::c_style(path.as_bstr())))?;
    }
    Ok(())
}

fn lines(changes: &[Change]) -> BTreeMap<BString, char> {
    let mut lines = BTreeMap::new();
    for change in changes {
        let folder = split_path(change.path.as_bstr()).0;
        let letter = match change.kind() {
            ChangeKind::Added => 'A',
            ChangeKind::Deleted if lines.get(folder) == Some(&'D') || is_replaced(folder, changes) => continue,
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
fn is_replaced(folder: &BStr, changes: &[Change]) -> bool {
    let at = changes.binary_search_by(|change| change.path.as_bstr().cmp(folder));
    at.is_ok_and(|at| changes[at].kind() == ChangeKind::TypeChanged)
}

fn mark_folders(mut folder: &BStr, lines: &mut BTreeMap<BString, char>) {
    while !lines.contains_key(folder) {
        lines.insert(folder.to_owned(), 'C');
        folder = split_path(folder).0;
    }
}

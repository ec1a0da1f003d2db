//! One root: its three trees must agree, be written as rd writes them, and name contents that are there.

use std::rc::Rc;

use gix::bstr::{BStr, BString, ByteSlice};
use gix::objs::{Kind as ObjectKind, TreeRefIter};

use super::walk::{Below, Here, REMEMBERED, Walk, reason};
use crate::root::{Folder, HARDLINKS_BLOB, Hardlinks, Kind, RootIds, ids_of, join_path, read_folder_with};
use crate::{Error, Id};

/// A folder that is being checked; those below it go first. Folders may be deep, so that the stack is ours.
struct Frame {
    ids: RootIds,
    path: BString,
    folder: Option<Folder>,
    /// Folders still to be checked, the last first.
    waiting: Vec<(BString, RootIds)>,
    /// Sizes of files so far.
    total: u64,
    wrong: Vec<(BString, usize)>,
}

/// Check the root `ids` of the commit `label`.
pub(super) fn check(walk: &mut Walk<'_>, ids: &RootIds, label: &str) {
    let here = Here { label, part: ":/" };
    if let Some((_, known)) = walk.folders.get(ids).cloned() {
        return walk.own(&known, &here, b"".as_bstr());
    }
    let hardlinks = hardlink_table(walk, &ids.meta);
    let mut stack = vec![open(walk, ids, BString::default(), hardlinks, &here)];
    while let Some(frame) = stack.last_mut() {
        let Some((name, ids)) = frame.waiting.pop() else {
            let frame = stack.pop().expect("because there is a last one");
            let (name, total, wrong) = close(walk, frame, &here);
            if let Some(parent) = stack.last_mut() {
                join(parent, total, &wrong, name.as_bstr());
            }
            continue;
        };
        let path = join_path(frame.path.as_bstr(), name.as_bstr());
        if let Some((total, known)) = walk.folders.get(&ids).cloned() {
            walk.own(&known, &here, path.as_bstr());
            join(frame, total, &known, name.as_bstr());
            continue;
        }
        stack.push(open(walk, &ids, path, None, &here));
    }
    if let Some(table) = hardlinks {
        check_hardlinks(walk, ids, &table, label);
    }
}

/// A folder below is done: its size and its problems are the parent's too.
fn join(parent: &mut Frame, total: u64, wrong: &Below, name: &BStr) {
    parent.total = parent.total.saturating_add(total);
    let room = REMEMBERED.saturating_sub(parent.wrong.len());
    parent.wrong.extend(wrong.iter().take(room).map(|(path, number)| {
        let path = if path.is_empty() { name.to_owned() } else { join_path(name, path.as_bstr()) };
        (path, *number)
    }));
}

impl Frame {
    /// The entry `name` of the folder, or with an empty name the folder itself, has the problem `number`.
    fn blame(&mut self, walk: &mut Walk<'_>, here: &Here<'_>, name: &BStr, number: usize) {
        let path = if name.is_empty() { self.path.clone() } else { join_path(self.path.as_bstr(), name) };
        walk.issues.add_owner(number, here.owner(path.as_bstr()));
        if self.wrong.len() < REMEMBERED {
            self.wrong.push((name.to_owned(), number));
        }
    }
}

/// Read a folder and check what it holds itself.
fn open(walk: &mut Walk<'_>, ids: &RootIds, path: BString, hardlinks: Option<Id>, here: &Here<'_>) -> Frame {
    let mut frame = Frame { ids: *ids, path, folder: None, waiting: Vec::new(), total: 0, wrong: Vec::new() };
    let mut failed = None;
    let mut read = |id: &Id, kind: ObjectKind| match walk.try_read(id, Some(kind)) {
        Ok((_, data)) => Ok(data),
        Err(number) => {
            failed = Some(number);
            Err(Error::damaged("object", "it was found before"))
        }
    };
    match read_folder_with(&mut read, ids) {
        Ok(folder) => {
            check_encoding(walk, &mut frame, &folder, hardlinks, here);
            for (name, leaf) in &folder.leaves {
                frame.total = frame.total.saturating_add(leaf.kind.size());
                let number = match &leaf.kind {
                    Kind::File { id, size } => walk.content(id, Some(*size)),
                    Kind::Symlink { id } => walk.try_read(id, Some(ObjectKind::Blob)).err(),
                    _ => None,
                };
                if let Some(number) = number {
                    frame.blame(walk, here, name.as_bstr(), number);
                }
            }
            frame.waiting = folder.dirs.iter().map(|(name, ids)| (name.clone(), *ids)).collect();
            frame.folder = Some(folder);
        }
        Err(error) => {
            let number = failed.unwrap_or_else(|| {
                walk.issues.add_once(&ids.meta, "wrong", format!("folder {}", ids.rootfs), || reason(&error))
            });
            frame.blame(walk, here, b"".as_bstr(), number);
        }
    }
    frame
}

/// The folder must be encoded as rd encodes it: equal folders have equal ids.
fn check_encoding(walk: &mut Walk<'_>, frame: &mut Frame, folder: &Folder, hardlinks: Option<Id>, here: &Here<'_>) {
    if ids_of(folder, hardlinks) != frame.ids {
        let why = || "its entries are not encoded as rd encodes them".to_owned();
        let number = walk.issues.add_once(&frame.ids.meta, "wrong", format!("folder {}", frame.ids.rootfs), why);
        frame.blame(walk, here, b"".as_bstr(), number);
    }
}

/// All below is done: compare the total, and remember the folder. Gives its name, size and problems.
fn close(walk: &mut Walk<'_>, mut frame: Frame, here: &Here<'_>) -> (BString, u64, Below) {
    match &frame.folder {
        Some(folder) if folder.total != frame.total && frame.wrong.is_empty() => {
            let why = || format!("it says that its files have {} bytes, they have {}", folder.total, frame.total);
            let number = walk.issues.add_once(&frame.ids.meta, "wrong", format!("folder {}", frame.ids.rootfs), why);
            frame.blame(walk, here, b"".as_bstr(), number);
        }
        Some(_) => {}
        // What can't be read as a folder still holds things that must be there.
        None => {
            for id in [frame.ids.rootfs, frame.ids.meta, frame.ids.times] {
                reach_below(walk, &id);
            }
        }
    }
    let name = crate::root::split_path(frame.path.as_bstr()).1.to_owned();
    let wrong = Rc::new(frame.wrong);
    let total = frame.folder.as_ref().map_or(frame.total, |folder| folder.total);
    walk.folders.insert(frame.ids, (total, wrong.clone()));
    (name, total, wrong)
}

/// Count all below a tree as reached.
fn reach_below(walk: &mut Walk<'_>, id: &Id) {
    let mut waiting = vec![*id];
    while let Some(tree) = waiting.pop() {
        let Some((ObjectKind::Tree, data)) = walk.objects.read(&tree) else { continue };
        for entry in TreeRefIter::from_bytes(&data, gix::hash::Kind::Sha256).filter_map(|entry| entry.ok()) {
            if walk.reached.insert(entry.oid.to_owned()) && entry.mode.is_tree() {
                waiting.push(entry.oid.to_owned());
            }
        }
    }
}

/// The id of the hard link table in the top folder of `meta/`.
fn hardlink_table(walk: &mut Walk<'_>, meta: &Id) -> Option<Id> {
    let (_, data) = walk.try_read(meta, Some(ObjectKind::Tree)).ok()?;
    let mut entries = TreeRefIter::from_bytes(&data, gix::hash::Kind::Sha256).filter_map(|entry| entry.ok());
    entries.find(|entry| entry.filename == HARDLINKS_BLOB.as_bytes()).map(|entry| entry.oid.to_owned())
}

/// All names of a group must be files, and one and the same.
fn check_hardlinks(walk: &mut Walk<'_>, ids: &RootIds, table: &Id, label: &str) {
    let owner = format!("{label}:meta/{HARDLINKS_BLOB}");
    let Some((_, data)) = walk.read(table, Some(ObjectKind::Blob), &owner) else { return };
    let links = match Hardlinks::decode(&data) {
        Ok(links) => links,
        Err(error) => return walk.damaged_object(table, &reason(&error), &owner),
    };
    for group in links.groups() {
        let mut paths = group.iter();
        let first = paths.next().and_then(|path| file_at(walk, ids, path.as_bstr()));
        for path in paths {
            let other = file_at(walk, ids, path.as_bstr());
            if first.is_none() || other != first {
                let why = format!("'{path}' is not the file that it says");
                walk.damaged_object(table, &why, &owner);
            }
        }
    }
}

/// What the names of one file must have in common.
fn file_at(walk: &mut Walk<'_>, ids: &RootIds, path: &BStr) -> Option<Kind> {
    let (folder, name) = crate::root::split_path(path);
    let mut at = *ids;
    let mut read = |id: &Id, kind: ObjectKind| {
        let found = walk.objects.read(id).filter(|(found, _)| *found == kind);
        found.map(|(_, data)| data).ok_or_else(|| Error::damaged("object", "it was found before"))
    };
    for component in folder.split_str("/").filter(|component| !component.is_empty()) {
        at = *read_folder_with(&mut read, &at).ok()?.dirs.get(component.as_bstr())?;
    }
    read_folder_with(&mut read, &at).ok()?.leaves.remove(name).map(|leaf| leaf.kind)
}

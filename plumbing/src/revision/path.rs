//! Paths after a revision: `REV:/PATH` in the image's root, `REV:PATH` in the commit's tree.

use gix::bstr::{BStr, BString, ByteSlice};
use gix::objs::Kind;

use super::{Revision, Spelling, suffix};
use crate::root::{Leaf, RootIds, read_folder, split_path};
use crate::{Error, Id, Result, Store};

/// What is at a path of a root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// A folder: its three trees.
    Dir(RootIds),
    /// Anything else.
    Leaf(Leaf),
}

/// What is at `path` (relative, empty for the top) in the root `ids`, without following links; `None` where nothing is.
pub fn find(store: &Store, ids: &RootIds, path: &BStr) -> Result<Option<Found>> {
    let (folder, name) = split_path(path);
    let mut at = *ids;
    for component in folder.split_str("/").filter(|component| !component.is_empty()) {
        match read_folder(store, &at)?.dirs.get(component.as_bstr()) {
            Some(next) => at = *next,
            None => return Ok(None),
        }
    }
    if name.is_empty() {
        return Ok(Some(Found::Dir(at)));
    }
    let mut folder = read_folder(store, &at)?;
    let dir = folder.dirs.get(name).copied().map(Found::Dir);
    Ok(dir.or_else(|| folder.leaves.remove(name).map(Found::Leaf)))
}

/// Finish a revision that has a path, which must exist.
pub(super) fn complete(store: &Store, id: Id, path: &BStr, split: &Spelling<'_>) -> Result<Revision> {
    let missing = || Error::NotFound { what: "path", name: format!("{path}' in '{}{}", split.name, split.operators) };
    if path.starts_with(b"./") || path.starts_with(b"../") {
        let why = "a repository without a working tree has no folder that one is in";
        return Err(Error::Invalid { what: "relative path", input: path.to_string(), why: why.into() });
    }
    if !path.starts_with(b"/") {
        let id = in_tree(store, id, path).ok_or_else(missing)?;
        return Ok(Revision { id, path: None, name: None });
    }
    let path = normal(path).ok_or_else(missing)?;
    let root = root_of(store, &id)?;
    find(store, &root, path.as_bstr())?.ok_or_else(missing)?;
    Ok(Revision { id, path: Some(path), name: None })
}

/// The object at a path of the root of the commit or commit's tree `id`.
pub(super) fn object(store: &Store, id: &Id, path: &BStr) -> Result<Id> {
    use crate::root::Kind as Entry;
    match find(store, &root_of(store, id)?, path)? {
        Some(Found::Dir(ids)) => Ok(ids.rootfs),
        Some(Found::Leaf(Leaf { kind: Entry::File { id, .. } | Entry::Symlink { id }, .. })) => Ok(id),
        Some(Found::Leaf(leaf)) => Err(Error::Invalid {
            what: "path",
            input: format!("/{path}"),
            why: format!("a {} has no content", leaf.kind.word()),
        }),
        None => Err(Error::NotFound { what: "path", name: format!("/{path}") }),
    }
}

fn root_of(store: &Store, id: &Id) -> Result<RootIds> {
    let tree = suffix::peel(store, *id, Kind::Tree).map_err(|()| Error::Invalid {
        what: "revision",
        input: id.to_string(),
        why: "it names no commit".into(),
    })?;
    store.read_root(&tree)
}

/// The path without empty components and `.`; `None` where it has a `..`, which without following links means nothing.
fn normal(path: &BStr) -> Option<BString> {
    let components: Vec<&[u8]> = path.split_str("/").filter(|component| !matches!(*component, b"" | b".")).collect();
    (!components.contains(&b"..".as_slice())).then(|| components.join(&b'/').into())
}

/// The object at a git path.
fn in_tree(store: &Store, id: Id, path: &BStr) -> Option<Id> {
    let mut at = suffix::peel(store, id, Kind::Tree).ok()?;
    let trimmed = path.strip_suffix(b"/").unwrap_or(path);
    if trimmed.is_empty() {
        return Some(at);
    }
    let mut components = trimmed.split_str("/").peekable();
    while let Some(component) = components.next() {
        let data = store.read_object(&at, Kind::Tree).ok()?;
        let mut entries = gix::objs::TreeRefIter::from_bytes(&data, gix::hash::Kind::Sha256).filter_map(|e| e.ok());
        let entry = entries.find(|entry| entry.filename == component)?;
        if (components.peek().is_some() || trimmed.len() < path.len()) && !entry.mode.is_tree() {
            return None;
        }
        at = entry.oid.to_owned();
    }
    Some(at)
}

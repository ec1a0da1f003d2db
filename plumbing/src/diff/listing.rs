//! One folder of either side, its entries in byte order.

use gix::bstr::BString;

use super::{Entry, Side};
use crate::root::{Dir, Folder, Hardlinks, Leaf, RootIds, View, read_differing, read_folder, read_hardlinks};
use crate::{Result, Store};

/// A folder of either side.
#[derive(Clone, Copy)]
pub(super) enum FolderRef<'a> {
    Stored(RootIds),
    Memory(&'a Dir),
}

/// An entry of a folder.
pub(super) enum Item<'a> {
    Folder(FolderRef<'a>),
    Leaf(Leaf),
}

/// The entries of a folder, sorted by name.
pub(super) type Items<'a> = Vec<(BString, Item<'a>)>;

/// A folder that was read.
pub(super) struct Listing<'a> {
    /// The folder itself.
    pub own: Entry,
    /// What is in it.
    pub items: Items<'a>,
}

impl<'a> FolderRef<'a> {
    /// The top folder of a side.
    pub fn top(side: Side<'a>) -> Option<Self> {
        match side {
            Side::Empty => None,
            Side::Stored(ids) => Some(Self::Stored(ids)),
            Side::Memory(root) => Some(Self::Memory(root.folder())),
        }
    }

    /// The trees that hold the folder, where they are known.
    pub fn ids(&self) -> Option<RootIds> {
        match self {
            Self::Stored(ids) => Some(*ids),
            Self::Memory(dir) => dir.stored_ids(),
        }
    }

    /// Read the folder.
    pub fn list(&self, store: &Store) -> Result<Listing<'a>> {
        match self {
            Self::Stored(ids) => Ok(list_stored(read_folder(store, ids)?)),
            Self::Memory(dir) => Ok(list_memory(dir)),
        }
    }
}

/// Read a folder of each side, without the entries that are found to be equal.
pub(super) fn list_both<'a>(
    store: &Store,
    before: &FolderRef<'a>,
    after: &FolderRef<'a>,
) -> Result<(Listing<'a>, Listing<'a>)> {
    match (before, after) {
        (FolderRef::Stored(before), FolderRef::Stored(after)) => {
            let (before, after) = read_differing(store, before, after)?;
            Ok((list_stored(before), list_stored(after)))
        }
        _ => Ok((before.list(store)?, after.list(store)?)),
    }
}

fn list_stored<'a>(folder: Folder) -> Listing<'a> {
    let mut items: Vec<_> = folder.leaves.into_iter().map(|(name, leaf)| (name, Item::Leaf(leaf))).collect();
    items.extend(folder.dirs.into_iter().map(|(name, ids)| (name, Item::Folder(FolderRef::Stored(ids)))));
    items.sort_by(|a, b| a.0.cmp(&b.0));
    Listing { own: Entry::folder(folder.attrs, folder.mtime), items }
}

fn list_memory(dir: &Dir) -> Listing<'_> {
    let items = dir
        .entries()
        .map(|(name, view)| {
            let item = match view {
                View::Stored(ids) => Item::Folder(FolderRef::Stored(ids)),
                View::Dir(dir) => Item::Folder(FolderRef::Memory(dir)),
                View::Leaf(leaf) => Item::Leaf(leaf.clone()),
            };
            (name.to_owned(), item)
        })
        .collect();
    Listing { own: Entry::folder(dir.attrs.clone(), dir.mtime), items }
}

/// The hard link table of a side.
pub(super) fn hardlinks(store: &Store, side: Side<'_>) -> Result<Hardlinks> {
    match side {
        Side::Empty => Ok(Hardlinks::default()),
        Side::Stored(ids) => read_hardlinks(store, &ids.meta),
        Side::Memory(root) => Ok(root.hardlinks().clone()),
    }
}

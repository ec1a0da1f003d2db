//! Writing a root: the changed folders as three trees and two blobs each, everything else by the id it has.

use gix::bstr::{BStr, BString, ByteSlice};
use gix::objs::tree::{Entry, EntryKind};

use super::tree::Slot;
use super::{
    Dir, Folder, HARDLINKS_BLOB, Hardlinks, Kind, META_BLOB, Node, Root, RootIds, TIMES_BLOB, join_path, lines, name,
};
use crate::store::{Batch, hash_content};
use crate::{Id, Result};

impl Root {
    /// Write the root into `batch`. Afterwards the folders know their ids, so that writing again costs nothing.
    pub fn write(&mut self, batch: &mut Batch<'_>) -> Result<RootIds> {
        // From the deepest up, without recursion: an image's folders may be deeper than a thread's stack allows.
        for path in changed_folders(&self.top).iter().rev() {
            // The hard link table lies in the top folder of meta/, so that a change of it alone is a change of the top.
            let hardlinks = path.is_empty().then_some(&self.hardlinks);
            write_dir(loaded(&mut self.top, path.as_bstr()), batch, hardlinks)?;
        }
        Ok(self.top.clean.expect("because the top folder was written last"))
    }
}

/// The paths of the folders that aren't stored as they are, each before those in it. All folders above a changed one
/// are changed.
fn changed_folders(top: &Dir) -> Vec<BString> {
    let mut paths = Vec::new();
    let mut todo = vec![(BString::default(), top)];
    while let Some((path, dir)) = todo.pop() {
        if dir.clean.is_some() {
            continue;
        }
        for (name, slot) in &dir.entries {
            if let Slot::Loaded(Node::Dir(child)) = slot {
                todo.push((join_path(path.as_bstr(), name.as_bstr()), child));
            }
        }
        paths.push(path);
    }
    paths
}

/// The folder at `path`, which is loaded.
fn loaded<'d>(top: &'d mut Dir, path: &BStr) -> &'d mut Dir {
    path.split_str("/").filter(|name| !name.is_empty()).fold(top, |dir, name| {
        match dir.entries.get_mut(name.as_bstr()) {
            Some(Slot::Loaded(Node::Dir(child))) => child,
            _ => unreachable!("because it was found a moment ago"),
        }
    })
}

/// Write a folder whose folders are written.
fn write_dir(dir: &mut Dir, batch: &mut Batch<'_>, hardlinks: Option<&Hardlinks>) -> Result<()> {
    let mut trees = Trees::default();
    let mut total = dir.stored_total;
    for (name, slot) in &dir.entries {
        let tree_name = name::encode(name.as_bstr());
        match slot {
            Slot::Stored(ids) => trees.push_dir(tree_name, ids),
            Slot::Loaded(Node::Dir(child)) => {
                total += child.total;
                trees.push_dir(tree_name, &child.clean.expect("because it was written before"));
            }
            Slot::Loaded(Node::Leaf(leaf)) => {
                total += leaf.kind.size();
                trees.push_leaf(tree_name, &leaf.kind, leaf.attrs.mode);
            }
        }
    }
    let meta = lines::encode_folder(&dir.attrs, total, leaves(dir).map(|(n, l)| (n, &l.kind, &l.attrs)));
    let times = lines::encode_times(dir.mtime, leaves(dir).map(|(n, l)| (n, l.mtime)));
    trees.meta.push(blob_entry(META_BLOB, batch.write_blob(&meta)?));
    trees.times.push(blob_entry(TIMES_BLOB, batch.write_blob(&times)?));
    if let Some(table) = hardlinks.filter(|table| !table.is_empty()) {
        trees.meta.push(blob_entry(HARDLINKS_BLOB, batch.write_blob(&table.encode())?));
    }
    dir.clean = Some(trees.write(batch)?);
    dir.total = total;
    Ok(())
}

fn leaves(dir: &Dir) -> impl Iterator<Item = (&BStr, &super::Leaf)> {
    dir.entries.iter().filter_map(|(name, slot)| match slot {
        Slot::Loaded(Node::Leaf(leaf)) => Some((name.as_bstr(), leaf)),
        _ => None,
    })
}

/// The entries of a folder's three trees.
#[derive(Default)]
struct Trees {
    rootfs: Vec<Entry>,
    meta: Vec<Entry>,
    times: Vec<Entry>,
}

impl Trees {
    fn push_dir(&mut self, name: BString, ids: &RootIds) {
        let entry = |oid| Entry { mode: EntryKind::Tree.into(), filename: name.clone(), oid };
        self.rootfs.push(entry(ids.rootfs));
        self.meta.push(entry(ids.meta));
        self.times.push(entry(ids.times));
    }

    /// Files and symlinks have an entry in `rootfs/`; devices and their like are in `meta/` alone.
    fn push_leaf(&mut self, filename: BString, kind: &Kind, mode: u32) {
        let (mode, oid) = match kind {
            Kind::File { id, .. } if mode & 0o100 != 0 => (EntryKind::BlobExecutable, *id),
            Kind::File { id, .. } => (EntryKind::Blob, *id),
            Kind::Symlink { id } => (EntryKind::Link, *id),
            _ => return,
        };
        self.rootfs.push(Entry { mode: mode.into(), filename, oid });
    }

    fn write(self, batch: &mut Batch<'_>) -> Result<RootIds> {
        Ok(RootIds {
            rootfs: write_tree(self.rootfs, batch)?,
            meta: write_tree(self.meta, batch)?,
            times: write_tree(self.times, batch)?,
        })
    }
}

/// The ids that a folder as it was read must have: those that writing it would give. `hardlinks` is the blob of the
/// hard link table, which lies in the top folder of a root that has one.
pub(crate) fn ids_of(folder: &Folder, hardlinks: Option<Id>) -> RootIds {
    let mut trees = Trees::default();
    for (name, ids) in &folder.dirs {
        trees.push_dir(name::encode(name.as_bstr()), ids);
    }
    for (name, leaf) in &folder.leaves {
        trees.push_leaf(name::encode(name.as_bstr()), &leaf.kind, leaf.attrs.mode);
    }
    let leaves = || folder.leaves.iter().map(|(name, leaf)| (name.as_bstr(), leaf));
    let meta = lines::encode_folder(&folder.attrs, folder.total, leaves().map(|(n, l)| (n, &l.kind, &l.attrs)));
    let times = lines::encode_times(folder.mtime, leaves().map(|(n, l)| (n, l.mtime)));
    trees.meta.push(blob_entry(META_BLOB, hash_content(&meta)));
    trees.times.push(blob_entry(TIMES_BLOB, hash_content(&times)));
    trees.meta.extend(hardlinks.map(|id| blob_entry(HARDLINKS_BLOB, id)));
    RootIds { rootfs: hash_tree(trees.rootfs), meta: hash_tree(trees.meta), times: hash_tree(trees.times) }
}

fn hash_tree(mut entries: Vec<Entry>) -> Id {
    entries.sort();
    let mut bytes = Vec::new();
    let tree = gix::objs::Tree { entries };
    gix::objs::WriteTo::write_to(&tree, &mut bytes).expect("because names that were decoded are names of a tree");
    gix::objs::compute_hash(gix::hash::Kind::Sha256, gix::objs::Kind::Tree, &bytes)
        .expect("because SHA-256 has no collision detection that could fail")
}

fn blob_entry(name: &str, oid: Id) -> Entry {
    Entry { mode: EntryKind::Blob.into(), filename: name.into(), oid }
}

fn write_tree(mut entries: Vec<Entry>, batch: &mut Batch<'_>) -> Result<Id> {
    entries.sort();
    batch.write_object(&gix::objs::Tree { entries })
}

//! Reading one folder of a root out of its three trees, and checking that they agree.

use std::collections::BTreeMap;

use gix::bstr::{BStr, BString, ByteSlice};
use gix::objs::tree::EntryKind;

use super::{Attrs, HARDLINKS_BLOB, Hardlinks, Leaf, META_BLOB, RootIds, TIMES_BLOB, Time, lines, name};
use crate::{Error, Id, Result, Store};

/// One folder as it is stored: its own metadata, its entries, and the trees of its folders.
#[derive(Debug, Clone)]
pub struct Folder {
    /// The folder's own mode, owner and xattrs.
    pub attrs: Attrs,
    /// The folder's own modification time.
    pub mtime: Time,
    /// The sum of all file sizes in and below the folder, in bytes.
    pub total: u64,
    /// Entries that are no folders.
    pub leaves: BTreeMap<BString, Leaf>,
    /// Folders.
    pub dirs: BTreeMap<BString, RootIds>,
}

/// A tree's entries: name as in the tree, whether it is a tree, id.
struct TreeEntries {
    dirs: BTreeMap<BString, Id>,
    others: BTreeMap<BString, Id>,
}

/// Read the folder `ids`; `Damaged` where its three trees don't agree.
pub fn read_folder(store: &Store, ids: &RootIds) -> Result<Folder> {
    read_folder_with(&mut |id, kind| store.read_object(id, kind), ids)
}

/// How an object's bytes are come by.
pub(crate) type ReadObject<'a> = dyn FnMut(&Id, gix::objs::Kind) -> Result<Vec<u8>> + 'a;

/// As [`read_folder`], with objects from anywhere.
pub(crate) fn read_folder_with(read: &mut ReadObject<'_>, ids: &RootIds) -> Result<Folder> {
    let rootfs = read_tree(read, &ids.rootfs)?;
    let mut meta = read_tree(read, &ids.meta)?;
    let mut times = read_tree(read, &ids.times)?;
    meta.others.remove(HARDLINKS_BLOB.as_bytes().as_bstr());
    let meta_lines = take_blob(read, &mut meta, META_BLOB, &ids.meta)?;
    let times_lines = take_blob(read, &mut times, TIMES_BLOB, &ids.times)?;

    let files = decode_names(rootfs.others)?;
    let (attrs, total, entries) = lines::decode_folder(&meta_lines, |name| files.get(name).copied())?;
    let (mtime, entry_times) = lines::decode_times(&times_lines)?;
    if entries.len() != entry_times.len() {
        return Err(disagree(&ids.meta, "meta/ and times/ list different entries"));
    }
    let leaves = entries
        .into_iter()
        .zip(entry_times)
        .map(|((name, entry), (timed, mtime))| {
            if name != timed {
                return Err(disagree(&ids.meta, "meta/ and times/ list different entries"));
            }
            Ok((name, Leaf { kind: entry.kind, attrs: entry.attrs, mtime }))
        })
        .collect::<Result<BTreeMap<_, _>>>()?;
    if files.keys().any(|name| !leaves.contains_key(name)) {
        return Err(disagree(&ids.rootfs, "rootfs/ has a file that meta/ doesn't know"));
    }
    let dirs = join_dirs(ids, rootfs.dirs, meta.dirs, times.dirs)?;
    Ok(Folder { attrs, mtime, total, leaves, dirs })
}

/// The hard link table of the root whose metadata tree is `meta`.
pub fn read_hardlinks(store: &Store, meta: &Id) -> Result<Hardlinks> {
    match read_tree(&mut |id, kind| store.read_object(id, kind), meta)?.others.get(HARDLINKS_BLOB.as_bytes().as_bstr())
    {
        Some(id) => Hardlinks::decode(&store.read_object(id, gix::objs::Kind::Blob)?),
        None => Ok(Hardlinks::default()),
    }
}

fn read_tree(read: &mut ReadObject<'_>, id: &Id) -> Result<TreeEntries> {
    let data = read(id, gix::objs::Kind::Tree)?;
    let mut entries = TreeEntries { dirs: BTreeMap::new(), others: BTreeMap::new() };
    for entry in gix::objs::TreeRefIter::from_bytes(&data, gix::hash::Kind::Sha256) {
        let entry = entry.map_err(|error| Error::damaged(format!("tree {id}"), error.to_string()))?;
        let into = if entry.mode.kind() == EntryKind::Tree { &mut entries.dirs } else { &mut entries.others };
        into.insert(entry.filename.to_owned(), entry.oid.to_owned());
    }
    Ok(entries)
}

fn take_blob(read: &mut ReadObject<'_>, tree: &mut TreeEntries, name: &str, id: &Id) -> Result<Vec<u8>> {
    let blob = tree.others.remove(BStr::new(name)).ok_or_else(|| disagree(id, &format!("it has no {name}")))?;
    read(&blob, gix::objs::Kind::Blob)
}

fn decode_names(entries: BTreeMap<BString, Id>) -> Result<BTreeMap<BString, Id>> {
    entries.into_iter().map(|(name, id)| Ok((name::decode(name.as_bstr())?, id))).collect()
}

fn join_dirs(
    ids: &RootIds,
    rootfs: BTreeMap<BString, Id>,
    mut meta: BTreeMap<BString, Id>,
    mut times: BTreeMap<BString, Id>,
) -> Result<BTreeMap<BString, RootIds>> {
    if rootfs.len() != meta.len() || rootfs.len() != times.len() {
        return Err(disagree(&ids.rootfs, "its three trees have different folders"));
    }
    rootfs
        .into_iter()
        .map(|(name, rootfs)| match (meta.remove(&name), times.remove(&name)) {
            (Some(meta), Some(times)) => Ok((name::decode(name.as_bstr())?, RootIds { rootfs, meta, times })),
            _ => Err(disagree(&ids.rootfs, "its three trees have different folders")),
        })
        .collect()
}

fn disagree(id: &Id, why: &str) -> Error {
    Error::damaged(format!("root folder {id}"), why)
}

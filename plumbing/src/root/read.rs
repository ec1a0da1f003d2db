//! Reading one folder of a root out of its three trees, and checking that they agree.

use std::collections::BTreeMap;

use gix::bstr::{BStr, BString, ByteSlice};
use gix::objs::tree::EntryKind;

use super::{Attrs, HARDLINKS_BLOB, Hardlinks, Leaf, META_BLOB, RootIds, TIMES_BLOB, Time, differing, lines, name};
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

/// A tree's entries by the file's name.
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
    RawFolder::read(read, ids)?.decode(&|_| true)
}

/// Read two folders without the entries that are the same in both. Of large folders that differ little this takes a
/// fraction of the time that reading them whole does; whether the equal parts are sound isn't looked at.
pub(crate) fn read_differing(store: &Store, one: &RootIds, other: &RootIds) -> Result<(Folder, Folder)> {
    let mut read = |id: &Id, kind| store.read_object(id, kind);
    let (one, other) = (RawFolder::read(&mut read, one)?, RawFolder::read(&mut read, other)?);
    let names = differing::names(&one, &other)?;
    let keep = |name: &BStr| names.binary_search_by(|kept| kept.as_bstr().cmp(name)).is_ok();
    Ok((one.decode(&keep)?, other.decode(&keep)?))
}

/// The objects of one folder: its three trees, and the lines in two of them.
pub(super) struct RawFolder {
    ids: RootIds,
    pub(super) rootfs: Vec<u8>,
    pub(super) meta: Vec<u8>,
    pub(super) times: Vec<u8>,
    pub(super) meta_lines: Vec<u8>,
    pub(super) times_lines: Vec<u8>,
}

impl RawFolder {
    fn read(read: &mut ReadObject<'_>, ids: &RootIds) -> Result<Self> {
        let mut tree = |id: &Id| read(id, gix::objs::Kind::Tree);
        let (rootfs, meta, times) = (tree(&ids.rootfs)?, tree(&ids.meta)?, tree(&ids.times)?);
        let meta_lines = read_lines(read, &meta, META_BLOB, &ids.meta)?;
        let times_lines = read_lines(read, &times, TIMES_BLOB, &ids.times)?;
        Ok(Self { ids: *ids, rootfs, meta, times, meta_lines, times_lines })
    }

    pub(super) fn ids(&self) -> &RootIds {
        &self.ids
    }

    /// The folder with those of its entries that `keep` says yes to.
    fn decode(&self, keep: &dyn Fn(&BStr) -> bool) -> Result<Folder> {
        let ids = &self.ids;
        let rootfs = decode_tree(&self.rootfs, &ids.rootfs, keep, false)?;
        let (attrs, total, entries) =
            lines::decode_folder(&self.meta_lines, |name| rootfs.others.get(name).copied(), keep)?;
        let (mtime, entry_times) = lines::decode_times(&self.times_lines, keep)?;
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
        if rootfs.others.keys().any(|name| !leaves.contains_key(name)) {
            return Err(disagree(&ids.rootfs, "rootfs/ has a file that meta/ doesn't know"));
        }
        let meta = decode_tree(&self.meta, &ids.meta, keep, true)?;
        let times = decode_tree(&self.times, &ids.times, keep, true)?;
        let dirs = join_dirs(ids, rootfs.dirs, meta.dirs, times.dirs)?;
        Ok(Folder { attrs, mtime, total, leaves, dirs })
    }
}

/// The hard link table of the root whose metadata tree is `meta`.
pub fn read_hardlinks(store: &Store, meta: &Id) -> Result<Hardlinks> {
    let tree = store.read_object(meta, gix::objs::Kind::Tree)?;
    match find_blob(&tree, HARDLINKS_BLOB, meta)? {
        Some(id) => Hardlinks::decode(&store.read_object(&id, gix::objs::Kind::Blob)?),
        None => Ok(Hardlinks::default()),
    }
}

/// The entries of an encoded tree.
pub(super) fn tree_entries<'t>(
    data: &'t [u8],
    id: &Id,
) -> impl Iterator<Item = Result<gix::objs::tree::EntryRef<'t>>> + use<'t> {
    let id = *id;
    gix::objs::TreeRefIter::from_bytes(data, gix::hash::Kind::Sha256)
        .map(move |entry| entry.map_err(|error| Error::damaged(format!("tree {id}"), error.to_string())))
}

/// Whether a tree's entry is one of the blobs that make the metadata trees what they are.
pub(super) fn is_own_blob(name: &BStr) -> bool {
    [META_BLOB, TIMES_BLOB, HARDLINKS_BLOB].iter().any(|own| name == own.as_bytes())
}

fn find_blob(tree: &[u8], name: &str, id: &Id) -> Result<Option<Id>> {
    for entry in tree_entries(tree, id) {
        let entry = entry?;
        if entry.filename == name.as_bytes() && entry.mode.kind() != EntryKind::Tree {
            return Ok(Some(entry.oid.to_owned()));
        }
    }
    Ok(None)
}

fn read_lines(read: &mut ReadObject<'_>, tree: &[u8], name: &str, id: &Id) -> Result<Vec<u8>> {
    let blob = find_blob(tree, name, id)?.ok_or_else(|| disagree(id, &format!("it has no {name}")))?;
    read(&blob, gix::objs::Kind::Blob)
}

/// The entries by the files' names; with `mirror` it is a tree that mirrors `rootfs/`, in which there are blobs of its own.
fn decode_tree(data: &[u8], id: &Id, keep: &dyn Fn(&BStr) -> bool, mirror: bool) -> Result<TreeEntries> {
    let mut entries = TreeEntries { dirs: BTreeMap::new(), others: BTreeMap::new() };
    for entry in tree_entries(data, id) {
        let entry = entry?;
        let is_dir = entry.mode.kind() == EntryKind::Tree;
        if mirror && !is_dir && is_own_blob(entry.filename) {
            continue;
        }
        // Most names are themselves, which to find out costs more than to ask.
        if !name::is_escaped(entry.filename) && !keep(entry.filename) {
            continue;
        }
        let name = name::decode(entry.filename)?;
        if keep(name.as_bstr()) {
            let into = if is_dir { &mut entries.dirs } else { &mut entries.others };
            into.insert(name, entry.oid.to_owned());
        }
    }
    Ok(entries)
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
            (Some(meta), Some(times)) => Ok((name, RootIds { rootfs, meta, times })),
            _ => Err(disagree(&ids.rootfs, "its three trees have different folders")),
        })
        .collect()
}

fn disagree(id: &Id, why: &str) -> Error {
    Error::damaged(format!("root folder {id}"), why)
}

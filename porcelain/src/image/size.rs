//! Sizes of roots, and of what one root adds to another.

use std::collections::HashMap;

use plumbing::Store;
use plumbing::bstr::{BStr, BString, ByteSlice};
use plumbing::root::{Folder, META_BLOB, Node, Root, RootIds, folder_total, join_path, read_folder, read_hardlinks};

use crate::Result;

/// The sum of the sizes of all files of a root, in bytes; a file with several names counts once.
pub fn of_root(store: &Store, ids: &RootIds) -> Result<u64> {
    let links = read_hardlinks(store, &ids.meta)?;
    let mut total = total(store, ids)?;
    if links.is_empty() {
        return Ok(total);
    }
    let mut root = Root::open(store, ids)?;
    for group in links.groups() {
        let first = group.first().map(|path| path.as_bstr()).unwrap_or_default();
        if let Some(Node::Leaf(leaf)) = root.get(store, first)? {
            total = total.saturating_sub(leaf.kind.size().saturating_mul(group.len() as u64 - 1));
        }
    }
    Ok(total)
}

/// The total that the top folder's own line gives.
fn total(store: &Store, ids: &RootIds) -> Result<u64> {
    use plumbing::gix::objs::{Kind, TreeRefIter};
    let tree = store.read_object(&ids.meta, Kind::Tree)?;
    let blob = TreeRefIter::from_bytes(&tree, plumbing::gix::hash::Kind::Sha256)
        .filter_map(std::result::Result::ok)
        .find(|entry| entry.filename == META_BLOB)
        .map(|entry| entry.oid.to_owned());
    let damaged = || plumbing::Error::damaged(format!("root folder {}", ids.meta), format!("it has no {META_BLOB}"));
    let bytes = store.read_object(&blob.ok_or_else(damaged)?, Kind::Blob)?;
    Ok(folder_total(&bytes)?)
}

/// The size of the files that `new` has and `old` doesn't, or has in another state: what docker calls a layer's size.
/// Folders that both have are skipped, so that the cost is that of the change. A file with several names counts once,
/// and not at all where it only got another name.
pub fn added(store: &Store, old: Option<&RootIds>, new: &RootIds) -> Result<u64> {
    let links = read_hardlinks(store, &new.meta)?;
    let mut names_added: HashMap<&BStr, usize> = HashMap::new();
    let mut size = 0;
    let mut pending = vec![(BString::default(), old.copied(), *new)];
    while let Some((path, old, new)) = pending.pop() {
        if old == Some(new) {
            continue;
        }
        let before = old.map(|old| read_folder(store, &old)).transpose()?;
        let after = read_folder(store, &new)?;
        for (name, file) in added_here(before.as_ref(), &after) {
            match links.group(join_path(path.as_bstr(), name).as_bstr()) {
                None => size += file,
                Some(group) => {
                    let first = group.first().map(|path| path.as_bstr()).unwrap_or_default();
                    let added = names_added.entry(first).or_default();
                    *added += 1;
                    size += if *added == group.len() { file } else { 0 };
                }
            }
        }
        let old_dir = |name| before.as_ref().and_then(|before| before.dirs.get(name)).copied();
        pending.extend(
            after.dirs.iter().map(|(name, ids)| (join_path(path.as_bstr(), name.as_bstr()), old_dir(name), *ids)),
        );
    }
    Ok(size)
}

/// Names and sizes of the files in this folder that are not as they were.
fn added_here<'f>(before: Option<&'f Folder>, after: &'f Folder) -> impl Iterator<Item = (&'f BStr, u64)> {
    let same = move |name, leaf| before.and_then(|before| before.leaves.get(name)) == Some(leaf);
    let changed = after.leaves.iter().filter(move |(name, leaf)| !same(*name, *leaf));
    changed.map(|(name, leaf)| (name.as_bstr(), leaf.kind.size()))
}

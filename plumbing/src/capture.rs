//! Reading what a container changed: the upper folder of its overlay, applied to the root that lies below it.
//!
//! The rules are the kernel's (filesystems/overlayfs.rst): the character device 0:0 is a removed entry, a
//! folder with `trusted.overlay.opaque=y` hides all that was there, everything else replaces its namesake whole.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use gix::bstr::{BStr, BString, ByteSlice};
use rustix::fs::FileType;

use crate::disk::{OpenDir, Stat};
use crate::root::{Attrs, Kind, Leaf, Node, Root, join_path};
use crate::stat_cache::StatCache;
use crate::store::{Batch, Contents};
use crate::{Error, Result};

/// What overlayfs keeps for itself in the upper folder.
const OVERLAY: &[u8] = b"trusted.overlay.";
/// What it stores where somebody in the container wrote an attribute of that name.
const ESCAPED: &[u8] = b"trusted.overlay.overlay.";

/// Apply the upper folder `upper` to `root`, storing new contents through `batch`. `root` must be what the overlay has
/// below: an entry that was made and removed again leaves no trace in the upper folder.
///
/// Entries of `made` (paths that the runtime made as mount points) are left out where they are empty and not in
/// `root`. Files that `cache` knows unchanged are not read again; it learns the others.
pub fn capture(
    root: &mut Root,
    upper: &Path,
    made: &BTreeSet<BString>,
    cache: &mut StatCache,
    batch: &mut Batch<'_>,
) -> Result<()> {
    let contents = batch.contents()?;
    let dir = OpenDir::open(upper)?;
    Capture { root, batch, contents: &contents, made, cache, files: HashMap::new() }.dir(&dir, BStr::new(""))
}

struct Capture<'a, 's> {
    root: &'a mut Root,
    batch: &'a mut Batch<'s>,
    contents: &'a Contents,
    made: &'a BTreeSet<BString>,
    cache: &'a mut StatCache,
    /// Files with several names in the upper folder: the first path of each inode.
    files: HashMap<(u64, u64), BString>,
}

impl Capture<'_, '_> {
    fn dir(&mut self, dir: &OpenDir, path: &BStr) -> Result<()> {
        let stat = dir.own_stat()?;
        let (attrs, opaque) = own_attrs(dir.own_attrs()?, path)?;
        let store = self.batch.store();
        if opaque && self.root.dir(store, path)?.is_some() {
            self.root.clear(store, path)?;
        }
        let same = self.root.dir(store, path)?.is_some_and(|old| old.attrs == attrs && old.mtime == stat.mtime);
        if !same && !self.root.put_dir(store, path, attrs, stat.mtime)? {
            return Err(Error::damaged(format!("upper folder at '/{path}'"), "the folder above it is missing"));
        }
        for name in dir.names()? {
            self.entry(dir, path, name.as_bstr())?;
        }
        Ok(())
    }

    fn entry(&mut self, dir: &OpenDir, folder: &BStr, name: &BStr) -> Result<()> {
        let path = join_path(folder, name);
        let path = path.as_bstr();
        let stat = dir.stat(name)?;
        if stat.is_whiteout() {
            self.root.remove(self.batch.store(), path)?;
        } else if self.made.contains(path) && self.is_bare_mount_point(dir, path, name, &stat)? {
            // Not the container's doing.
        } else if stat.is_dir() {
            self.dir(&dir.open_dir(name)?, path)?;
        } else {
            self.leaf(dir, path, name, &stat)?;
        }
        Ok(())
    }

    /// Whether this is there only because something was mounted on it.
    fn is_bare_mount_point(&mut self, dir: &OpenDir, path: &BStr, name: &BStr, stat: &Stat) -> Result<bool> {
        if self.root.get(self.batch.store(), path)?.is_some() {
            return Ok(false);
        }
        Ok(match stat.file_type {
            FileType::Directory => dir.open_dir(name)?.names()?.is_empty(),
            FileType::RegularFile => stat.size == 0,
            _ => false,
        })
    }

    fn leaf(&mut self, dir: &OpenDir, path: &BStr, name: &BStr, stat: &Stat) -> Result<()> {
        let store = self.batch.store();
        let shared = stat.links > 1 && stat.file_type != FileType::Directory;
        if let Some(first) = self.files.get(&stat.inode).filter(|_| shared) {
            if !self.root.link(store, first.as_bstr(), path)? {
                return Err(Error::damaged(format!("upper folder at '/{path}'"), "a hard link leads nowhere"));
            }
            return Ok(());
        }
        let leaf = self.read(dir, path, name, stat)?;
        self.root.unshare(store, path)?;
        let same = matches!(self.root.get(store, path)?, Some(Node::Leaf(old)) if *old == leaf);
        if !same && !self.root.put_leaf(store, path, leaf)? {
            return Err(Error::damaged(format!("upper folder at '/{path}'"), "the folder above it is missing"));
        }
        if shared {
            self.files.insert(stat.inode, path.to_owned());
        }
        Ok(())
    }

    fn read(&mut self, dir: &OpenDir, path: &BStr, name: &BStr, stat: &Stat) -> Result<Leaf> {
        let mut leaf = match self.cache.get(stat).filter(|id| self.batch.store().content_file(id).exists()) {
            Some(id) => {
                let kind = Kind::File { id, size: stat.size };
                Leaf { kind, attrs: dir.attrs(name, stat)?, mtime: stat.mtime }
            }
            None => dir.leaf(name, stat, self.contents, self.batch)?,
        };
        if let Kind::File { id, .. } = leaf.kind {
            self.cache.put(stat, id);
        }
        leaf.attrs = own_attrs(leaf.attrs, path)?.0;
        Ok(leaf)
    }
}

/// The attributes as the container sees them, and whether the folder is opaque.
fn own_attrs(mut attrs: Attrs, path: &BStr) -> Result<(Attrs, bool)> {
    let mut opaque = false;
    let mut xattrs = std::collections::BTreeMap::new();
    for (name, value) in std::mem::take(&mut attrs.xattrs) {
        if let Some(rest) = name.strip_prefix(ESCAPED) {
            xattrs.insert([OVERLAY, rest].concat().into(), value);
        } else if let Some(word) = name.strip_prefix(OVERLAY) {
            match word {
                b"opaque" => opaque |= value == "y",
                b"metacopy" | b"redirect" => {
                    return Err(Error::Unsupported {
                        what: format!("upper folder at '/{path}'"),
                        why: "it was mounted with metacopy or redirect_dir, so that it does not hold the whole change"
                            .into(),
                    });
                }
                _ => {}
            }
        } else {
            xattrs.insert(name, value);
        }
    }
    Ok((Attrs { xattrs, ..attrs }, opaque))
}

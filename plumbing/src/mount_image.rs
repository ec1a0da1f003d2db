//! The mountable metadata image of a root: EROFS with names, types and attributes, whose regular files point
//! into `content/` for their bytes. overlayfs serves those from a data-only lower layer.
//!
//! The encoding is composefs's, made by its crate; only images that were made here are ever mounted. The
//! image's own `trusted.overlay.*` attributes are escaped in it, so that they steer nothing.

use std::collections::{BTreeSet, HashMap};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use composefs::erofs::writer::{ValidatedFileSystem, mkfs_erofs};
use composefs::fsverity::{FsVerityHashValue, Sha256HashValue};
use composefs::generic_tree::{Inode, LeafContent, LeafId, Stat};
use composefs::tree::{Directory, FileSystem, RegularFile};
use gix::bstr::{BStr, BString, ByteSlice};

use crate::root::{self, Attrs, Folder, Hardlinks, Kind, Leaf, Part, RootIds, Time, read_folder};
use crate::{Error, Id, Result, Store};

/// Files up to this size lie in the image itself.
const INLINE: u64 = 64;

/// An inode's xattrs must fit here: the format counts them in a `u16` of four-byte words.
const XATTRS: usize = 128 << 10;

/// Encode the root `ids` as an EROFS image.
///
/// `Unsupported` where the format can't hold it (gigantic xattrs, device numbers beyond 12 and 20 bits).
pub fn encode(store: &Store, ids: &RootIds) -> Result<Box<[u8]>> {
    encode_part(store, &Part::whole(store, *ids)?)
}

/// As [`encode`], of a root or of a folder of one as a root of its own.
pub fn encode_part(store: &Store, part: &Part) -> Result<Box<[u8]>> {
    let folder = read_folder(store, &part.ids)?;
    let mut builder = Builder {
        store,
        hardlinks: &part.hardlinks,
        fs: FileSystem::new(stat(&folder.attrs, folder.mtime, b"")?),
        seen: HashMap::new(),
    };
    builder.fs.root = builder.dir(BStr::new(""), folder)?;
    let fs = ValidatedFileSystem::new(builder.fs).map_err(|error| unsupported(b"", error.to_string()))?;
    Ok(mkfs_erofs(&fs))
}

struct Builder<'a> {
    store: &'a Store,
    hardlinks: &'a Hardlinks,
    fs: FileSystem<Sha256HashValue>,
    /// The leaf of each hard link group, by the group's first path.
    seen: HashMap<BString, LeafId>,
}

impl Builder<'_> {
    fn dir(&mut self, path: &BStr, folder: Folder) -> Result<Directory<Sha256HashValue>> {
        let mut dir = Directory::new(stat(&folder.attrs, folder.mtime, path)?);
        for (name, leaf) in folder.leaves {
            let id = self.leaf(root::join_path(path, name.as_bstr()).as_bstr(), leaf)?;
            dir.insert(OsStr::from_bytes(&name), Inode::leaf(id));
        }
        for (name, ids) in folder.dirs {
            let child = self.dir(root::join_path(path, name.as_bstr()).as_bstr(), read_folder(self.store, &ids)?)?;
            dir.insert(OsStr::from_bytes(&name), Inode::Directory(Box::new(child)));
        }
        Ok(dir)
    }

    fn leaf(&mut self, path: &BStr, leaf: Leaf) -> Result<LeafId> {
        let group = self.hardlinks.group(path).and_then(BTreeSet::first);
        if let Some(id) = group.and_then(|first| self.seen.get(first)) {
            return Ok(*id);
        }
        let content = self.content(path, &leaf.kind)?;
        let id = self.fs.push_leaf(stat(&leaf.attrs, leaf.mtime, path)?, content);
        if let Some(first) = group {
            self.seen.insert(first.clone(), id);
        }
        Ok(id)
    }

    fn content(&self, path: &BStr, kind: &Kind) -> Result<LeafContent<RegularFile<Sha256HashValue>>> {
        Ok(match kind {
            Kind::File { size: 0, .. } => LeafContent::Regular(RegularFile::Inline(Box::default())),
            Kind::File { id, size } if *size <= INLINE => {
                LeafContent::Regular(RegularFile::Inline(self.store.read_blob(id)?.into()))
            }
            Kind::File { id, size } => LeafContent::Regular(RegularFile::ExternalNoVerity(content_name(id), *size)),
            Kind::Symlink { id } => {
                let target = self.store.read_object(id, gix::objs::Kind::Blob)?;
                if target.is_empty() || target.len() > 4095 {
                    return Err(unsupported(path, "a link's target must have 1 to 4095 bytes".into()));
                }
                LeafContent::Symlink(OsStr::from_bytes(&target).into())
            }
            Kind::Char { major, minor } => LeafContent::CharacterDevice(device(path, *major, *minor)?),
            Kind::Block { major, minor } => LeafContent::BlockDevice(device(path, *major, *minor)?),
            Kind::Fifo => LeafContent::Fifo,
            Kind::Socket => LeafContent::Socket,
        })
    }
}

/// The id as composefs spells it in the path below the data layer, `/ab/cdef…`.
fn content_name(id: &Id) -> Sha256HashValue {
    Sha256HashValue::from_hex(id.to_hex().to_string()).expect("because an id is 64 hex digits")
}

fn stat(attrs: &Attrs, mtime: Time, path: &[u8]) -> Result<Stat> {
    let size: usize = attrs.xattrs.iter().map(|(name, value)| name.len() + value.len() + 8).sum();
    if size > XATTRS {
        return Err(unsupported(path, format!("its extended attributes have {size} bytes")));
    }
    let xattrs = attrs.xattrs.iter().map(|(name, value)| (OsStr::from_bytes(name).into(), value.as_slice().into()));
    Ok(Stat {
        st_mode: attrs.mode,
        st_uid: attrs.uid,
        st_gid: attrs.gid,
        st_mtim_sec: mtime.sec,
        st_mtim_nsec: mtime.nsec,
        xattrs: xattrs.collect(),
    })
}

/// The kernel's encoding of a device number in 32 bits (`new_encode_dev`).
fn device(path: &BStr, major: u32, minor: u32) -> Result<u64> {
    if major >= 1 << 12 || minor >= 1 << 20 {
        return Err(unsupported(path, format!("device number {major}:{minor} is out of range")));
    }
    Ok(u64::from((minor & 0xff) | (major << 8) | ((minor & !0xff) << 12)))
}

fn unsupported(path: &[u8], why: String) -> Error {
    Error::Unsupported { what: format!("entry '/{}' in a mount image", path.as_bstr()), why }
}

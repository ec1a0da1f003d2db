//! A root: the files of an image or container as three parallel trees, and as a structure to read and edit.
//!
//! - `rootfs/` holds names and contents, as git would;
//! - `meta/` mirrors its folders with one blob each: type, mode, owner, size, xattrs, device numbers;
//! - `times/` mirrors them with the modification times.
//!
//! [`Root`] loads folders only when they are looked at, and writes only those that were changed.
//! `docs/format.md` describes the encoding.

mod differing;
mod hardlinks;
mod lines;
pub mod name;
mod part;
mod read;
mod tree;
mod write;

use std::collections::BTreeMap;

use gix::bstr::{BString, ByteSlice};
use gix::objs::WriteTo;
use gix::objs::tree::{Entry, EntryKind};

pub use hardlinks::Hardlinks;
pub use lines::{EntryMeta, decode_folder, encode_folder, escape, folder_total, unescape};
pub use part::Part;
pub use read::{Folder, read_folder, read_hardlinks};
pub(crate) use read::{read_differing, read_folder_with};
pub use tree::{Dir, Node, Root, View};
pub(crate) use write::ids_of;

use crate::Id;

/// The blob in each folder of `meta/`; the name codec never produces it.
pub const META_BLOB: &str = "%meta";
/// The blob in each folder of `times/`.
pub const TIMES_BLOB: &str = "%times";
/// The blob in the top folder of `meta/` that lists hard link groups, where there are any.
pub const HARDLINKS_BLOB: &str = "%hardlinks";

/// The three trees of a folder, the top one or any below.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RootIds {
    /// Names and contents.
    pub rootfs: Id,
    /// Type, mode, owner, xattrs.
    pub meta: Id,
    /// Modification times.
    pub times: Id,
}

impl RootIds {
    /// The id that a git tree of the three would have: one name for all that a root is.
    pub fn name(&self) -> Id {
        let entry = |name: &str, oid| Entry { mode: EntryKind::Tree.into(), filename: name.into(), oid };
        let entries = vec![entry("meta", self.meta), entry("rootfs", self.rootfs), entry("times", self.times)];
        let mut data = Vec::new();
        gix::objs::Tree { entries }.write_to(&mut data).expect("because a vector takes all that is written");
        gix::objs::compute_hash(gix::hash::Kind::Sha256, gix::objs::Kind::Tree, &data)
            .expect("because SHA-256 has no collision detection that could fail")
    }
}

/// Mode bits, owner and extended attributes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attrs {
    /// Permission bits with setuid, setgid and sticky: at most 0o7777.
    pub mode: u32,
    /// Numeric owner.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
    /// Extended attributes by full name (`user.x`, `security.capability`), raw values.
    pub xattrs: BTreeMap<BString, BString>,
}

/// A modification time: seconds since 1970, which may be negative, and nanoseconds that are added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time {
    /// Seconds since the epoch.
    pub sec: i64,
    /// Nanoseconds, at most 999,999,999.
    pub nsec: u32,
}

/// What an entry is that is no folder.
#[expect(missing_docs, reason = "because the variants' comments speak of their fields")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A regular file: the id and size in bytes of its content.
    File { id: Id, size: u64 },
    /// A symbolic link: the id of the blob that holds its target.
    Symlink { id: Id },
    /// A character device.
    Char { major: u32, minor: u32 },
    /// A block device.
    Block { major: u32, minor: u32 },
    /// A named pipe.
    Fifo,
    /// A socket left behind.
    Socket,
}

impl Kind {
    /// The keyword of mtree(5).
    pub fn word(&self) -> &'static str {
        match self {
            Kind::File { .. } => "file",
            Kind::Symlink { .. } => "link",
            Kind::Char { .. } => "char",
            Kind::Block { .. } => "block",
            Kind::Fifo => "fifo",
            Kind::Socket => "socket",
        }
    }

    /// The size in bytes that counts towards a folder's total.
    pub fn size(&self) -> u64 {
        if let Kind::File { size, .. } = self { *size } else { 0 }
    }
}

/// An entry that is no folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// What it is.
    pub kind: Kind,
    /// Mode, owner, xattrs.
    pub attrs: Attrs,
    /// Modification time.
    pub mtime: Time,
}

/// The folder and the last component of a path (`a/b/c` → `a/b`, `c`); a path is relative, without empty components.
pub fn split_path(path: &gix::bstr::BStr) -> (&gix::bstr::BStr, &gix::bstr::BStr) {
    match path.rfind_byte(b'/') {
        Some(at) => (path[..at].as_bstr(), path[at + 1..].as_bstr()),
        None => (b"".as_bstr(), path),
    }
}

/// `folder/name`, or `name` in the top folder.
pub fn join_path(folder: &gix::bstr::BStr, name: &gix::bstr::BStr) -> BString {
    let mut path = BString::from(folder);
    if !path.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name);
    path
}

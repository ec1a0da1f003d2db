//! What changed between two roots, and between two image configurations.
//!
//! Equal folders have equal ids and are skipped unread, so that a comparison costs what the change costs.
//! [`compare`] takes roots in the store and roots in memory alike; [`config`] compares configurations field by
//! field, [`text`] the lines of two files.

pub mod combined;
pub mod config;
mod links;
mod listing;
pub mod paths;
pub mod renames;
mod state;
pub mod text;
pub mod trees;
mod walk;
mod window;

use std::collections::BTreeSet;
use std::sync::Arc;

use gix::bstr::BString;

pub use paths::Paths;
pub use state::{Difference, compare_states};

use crate::root::{Attrs, Kind, Leaf, Root, RootIds, Time};
use crate::{Result, Store};

/// One side of a comparison.
#[derive(Debug, Clone, Copy)]
pub enum Side<'a> {
    /// No root at all: everything on the other side is added or deleted.
    Empty,
    /// A root in the store.
    Stored(RootIds),
    /// A root in memory, whose unchanged folders may still be in the store alone.
    Memory(&'a Root),
}

/// What a comparison looks at.
#[derive(Debug, Default)]
pub struct Options {
    /// Compare names, contents and metadata, but not modification times.
    pub ignore_times: bool,
    /// Only what these match; all where it is `None`.
    pub paths: Option<Paths>,
}

/// An entry of a root that differs between the two sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Where it is, relative to the root; the empty path is the top folder.
    pub path: BString,
    /// What was there.
    pub before: Option<Entry>,
    /// What is there now.
    pub after: Option<Entry>,
    /// What differs, in the order of [`Aspect`]; empty where the entry is on one side only.
    pub aspects: Vec<Aspect>,
}

/// An entry of a root, without what is below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub what: What,
    /// Mode, owner, xattrs.
    pub attrs: Attrs,
    /// Modification time.
    pub mtime: Time,
    /// All names of the file, this one included, where it has several.
    pub links: Option<Arc<BTreeSet<BString>>>,
}

/// A folder, or anything else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A folder.
    Folder,
    /// A file, link, device, pipe or socket.
    Leaf(Kind),
}

/// Added, deleted, or changed in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChangeKind {
    /// It is there only now.
    Added,
    /// It is there no more.
    Deleted,
    /// It is the same kind of thing, and something about it differs.
    Modified,
    /// A file became a folder, a link a device, and the like.
    TypeChanged,
}

/// One thing about an entry that can differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Aspect {
    /// The bytes of a file.
    Content,
    /// Where a symbolic link points.
    Target,
    /// The numbers of a device.
    Device,
    /// Permission bits.
    Mode,
    /// User or group.
    Owner,
    /// Extended attributes.
    Xattrs,
    /// Modification time.
    Time,
    /// Which other paths that exist on both sides are names of the same file.
    Links,
}

impl ChangeKind {
    /// git's letter.
    pub fn letter(self) -> char {
        match self {
            Self::Added => 'A',
            Self::Deleted => 'D',
            Self::Modified => 'M',
            Self::TypeChanged => 'T',
        }
    }

    /// The change in a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Deleted => "deleted",
            Self::Modified => "modified",
            Self::TypeChanged => "type changed",
        }
    }
}

impl Aspect {
    /// The aspect in a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Content => "content",
            Self::Target => "target",
            Self::Device => "device",
            Self::Mode => "mode",
            Self::Owner => "owner",
            Self::Xattrs => "xattrs",
            Self::Time => "time",
            Self::Links => "links",
        }
    }
}

impl What {
    /// The keyword of mtree(5).
    pub fn word(&self) -> &'static str {
        match self {
            What::Folder => "dir",
            What::Leaf(kind) => kind.word(),
        }
    }

    /// Whether two entries are the same kind of thing.
    fn is_like(&self, other: &What) -> bool {
        self.word() == other.word()
    }

    /// What differs between two things of one kind.
    fn difference(&self, other: &What) -> Option<Aspect> {
        match (self, other) {
            (What::Leaf(a), What::Leaf(b)) if a != b => Some(match a {
                Kind::File { .. } => Aspect::Content,
                Kind::Symlink { .. } => Aspect::Target,
                _ => Aspect::Device,
            }),
            _ => None,
        }
    }
}

impl Entry {
    pub(crate) fn folder(attrs: Attrs, mtime: Time) -> Self {
        Self { what: What::Folder, attrs, mtime, links: None }
    }

    pub(crate) fn leaf(leaf: Leaf) -> Self {
        Self { what: What::Leaf(leaf.kind), attrs: leaf.attrs, mtime: leaf.mtime, links: None }
    }

    /// Whether it is a folder.
    pub fn is_folder(&self) -> bool {
        self.what == What::Folder
    }

    /// Type and permission bits as in `st_mode` of stat(2).
    pub fn st_mode(&self) -> u32 {
        let file_type = match &self.what {
            What::Folder => 0o040_000,
            What::Leaf(Kind::File { .. }) => 0o100_000,
            What::Leaf(Kind::Symlink { .. }) => 0o120_000,
            What::Leaf(Kind::Char { .. }) => 0o020_000,
            What::Leaf(Kind::Block { .. }) => 0o060_000,
            What::Leaf(Kind::Fifo) => 0o010_000,
            What::Leaf(Kind::Socket) => 0o140_000,
        };
        file_type | self.attrs.mode
    }
}

impl Change {
    /// The change of `path`, or `None` where nothing differs that `options` look at.
    fn between(path: BString, before: Option<Entry>, after: Option<Entry>, ignore_times: bool) -> Option<Self> {
        let aspects = match (&before, &after) {
            (None, None) => return None,
            (Some(a), Some(b)) => {
                let aspects = aspects(a, b, ignore_times);
                if aspects.is_empty() && a.what.is_like(&b.what) {
                    return None;
                }
                aspects
            }
            _ => Vec::new(),
        };
        Some(Self { path, before, after, aspects })
    }

    /// Added, deleted, or changed in place.
    pub fn kind(&self) -> ChangeKind {
        match (&self.before, &self.after) {
            (None, _) => ChangeKind::Added,
            (_, None) => ChangeKind::Deleted,
            (Some(before), Some(after)) if before.what.is_like(&after.what) => ChangeKind::Modified,
            _ => ChangeKind::TypeChanged,
        }
    }

    /// Whether nothing but the modification time differs.
    pub fn is_time_alone(&self) -> bool {
        self.kind() == ChangeKind::Modified && self.aspects == [Aspect::Time]
    }

    /// The entry as it is now, or as it was where it is gone.
    pub fn entry(&self) -> &Entry {
        let entry = self.after.as_ref().or(self.before.as_ref());
        entry.expect("because a change has a side")
    }
}

fn aspects(before: &Entry, after: &Entry, ignore_times: bool) -> Vec<Aspect> {
    let mut aspects: Vec<Aspect> = before.what.difference(&after.what).into_iter().collect();
    if !before.what.is_like(&after.what) {
        aspects.clear();
    }
    let (a, b) = (&before.attrs, &after.attrs);
    let checks = [
        (a.mode != b.mode, Aspect::Mode),
        ((a.uid, a.gid) != (b.uid, b.gid), Aspect::Owner),
        (a.xattrs != b.xattrs, Aspect::Xattrs),
        (before.mtime != after.mtime && !ignore_times, Aspect::Time),
    ];
    aspects.extend(checks.into_iter().filter_map(|(differs, aspect)| differs.then_some(aspect)));
    aspects
}

/// What changed from `before` to `after`, sorted by path in byte order.
///
/// A folder that is on one side only is listed with all that is below it. Applied to `before`, the changes give `after`.
pub fn compare(store: &Store, before: Side<'_>, after: Side<'_>, options: &Options) -> Result<Vec<Change>> {
    let mut changes = walk::compare(store, before, after, options)?;
    changes.sort_by(|a, b| a.path.cmp(&b.path));
    links::compare(store, before, after, options, &mut changes)?;
    Ok(changes)
}

//! A root as a real folder: what `rd checkout-tree` makes, and what a container runs on where the kernel can't mount
//! images.
//!
//! Every call is relative to an open folder, no path of the root is opened through a symbolic link or a mount, and a
//! name in the store can hold no slash: nothing outside the folder is reached, whatever lies in it and whoever changes
//! it meanwhile.

mod attributes;
mod fill;
mod place;
mod threads;

use std::os::fd::OwnedFd;
use std::path::Path;

use gix::bstr::{BStr, ByteSlice};
use rustix::fs::{Mode, OFlags, ResolveFlags};

pub use place::checkout_tree;

use crate::root::Part;
use crate::{Error, Result, Store};

/// What a folder is filled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// To be read by people and programs.
    Files,
    /// To be a lower layer of overlayfs, which takes `trusted.overlay.X` for its own and shows
    /// `trusted.overlay.overlay.X` as the former (kernel: filesystems/overlayfs.rst, "Nesting overlayfs mounts").
    Layer,
}

/// How a folder is filled.
#[derive(Debug, Clone, Copy)]
struct Manner {
    purpose: Purpose,
    /// What is in the way is replaced; else it is an error.
    force: bool,
}

/// Write `part` into the folder `dir`, which must exist and be empty, as a lower layer for overlayfs.
///
/// Contents are shared with the store where the filesystem can (reflink), else copied.
pub fn checkout(store: &Store, part: &Part, dir: &Path) -> Result<()> {
    let manner = Manner { purpose: Purpose::Layer, force: false };
    let top = open_top(dir)?;
    fill::fill(store, part, &top, manner)?.finish(&top, manner)
}

const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::RDONLY).union(OFlags::CLOEXEC);

/// Open the folder that is to be filled; links on the way to it are the user's own.
fn open_top(dir: &Path) -> Result<OwnedFd> {
    rustix::fs::open(dir, FOLDER, Mode::empty()).map_err(|errno| Error::io("open", dir)(errno.into()))
}

/// Longest path that is opened at once: PATH_MAX with some room.
const LONGEST: usize = 4000;

/// Open the folder at `path` below `top`, through no link and onto no other filesystem.
///
/// No folder stays open between two calls, so that depth is no matter of how many files may be open.
fn open_below(top: &OwnedFd, path: &BStr) -> rustix::io::Result<OwnedFd> {
    let how = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV;
    let mut rest = path;
    let mut at = None;
    loop {
        let end = match rest.len() {
            length if length > LONGEST => rest[..LONGEST].rfind_byte(b'/').unwrap_or(length),
            length => length,
        };
        let piece: &[u8] = if rest.is_empty() { b"." } else { &rest[..end] };
        let open = rustix::fs::openat2(at.as_ref().unwrap_or(top), piece, FOLDER, Mode::empty(), how)?;
        rest = rest[end..].strip_prefix(b"/").unwrap_or_default().as_bstr();
        if rest.is_empty() {
            return Ok(open);
        }
        at = Some(open);
    }
}

/// A path in the root, for messages.
fn display(path: &BStr) -> std::path::PathBuf {
    Path::new("/").join(path.to_path_lossy())
}

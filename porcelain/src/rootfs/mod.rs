//! Mounting a container's root: an image below, the container's own writable layer on top.
//!
//! A root is never unpacked. What an image looks like is an EROFS image of metadata, whose regular files name their
//! contents in the store; overlayfs brings both together. Where a kernel can't do that, a checked-out folder takes
//! the image's place. Every mount is made in the mount namespace of the caller, which is a container's monitor: when
//! its processes are gone the kernel clears the mounts, so the host never sees one.

mod mounter;
mod strategy;
mod upper;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use strategy::{Strategy, StrategyCache};

use crate::{Error, IoResultExt, Result};

/// The read-only part of a root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lower {
    /// A composefs image: metadata in `image`, the bytes of regular files below `content`.
    Erofs {
        /// The EROFS metadata image; only images that rd itself made may be given.
        image: PathBuf,
        /// The folder that the image's redirects (`/ab/cdef…`) are relative to.
        content: PathBuf,
    },
    /// A folder that holds the whole root.
    Folder(PathBuf),
}

/// What to mount, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Root {
    /// The image below.
    pub lower: Lower,
    /// The folder that receives every change; made at the first mount, as a copy of the image's root folder without its
    /// entries, since what an overlay shows of its root folder is the upper one's.
    pub upper: PathBuf,
    /// Overlayfs's work folder: empty, on the same file system as `upper`.
    pub work: PathBuf,
    /// True where nothing has to survive a crash of the machine: overlayfs then never waits for the disk.
    pub volatile: bool,
}

/// Mounts `root` at `target` in the current mount namespace and says how it was done.
///
/// The upper folder has plain semantics: full copies of changed files, no `redirect`, no `metacopy`, no index, so that what it
/// holds can be read without overlayfs. Renaming a folder of the image gives `EXDEV`, which `mv` answers by copying.
pub fn mount(root: &Root, target: &Path, cache: &StrategyCache) -> Result<Strategy> {
    let Lower::Erofs { image, content } = &root.lower else {
        let Lower::Folder(folder) = &root.lower else { unreachable!("because Lower has two variants") };
        mounter::overlay_on_folder(folder, root, target)?;
        return Ok(Strategy::Folder);
    };
    let mut refusals = Vec::new();
    for strategy in cache.candidates() {
        let tried = match strategy {
            Strategy::Single => mounter::single_overlay(image, content, root, target),
            Strategy::Stacked => mounter::stacked_overlays(image, content, root, target),
            Strategy::Folder => continue,
        };
        match tried {
            Ok(()) => {
                cache.remember(strategy);
                return Ok(strategy);
            }
            Err(error @ Error::Mount { .. }) => refusals.push(error.chain().join(": ")),
            Err(error) => return Err(error),
        }
    }
    Err(Error::runtime("this kernel can't mount an image", refusals))
}

/// Mounts `lower` alone at `target` in the current mount namespace: read-only, without devices and setuid bits.
///
/// mountinfo names the mount by `source`. `empty` is a folder with nothing in it.
pub fn mount_read_only(
    lower: &Lower,
    source: &str,
    target: &Path,
    empty: &Path,
    cache: &StrategyCache,
) -> Result<Strategy> {
    let (image, content) = match lower {
        Lower::Erofs { image, content } => (image, content),
        Lower::Folder(folder) => {
            mounter::read_only_folder(folder, empty, source, target)?;
            return Ok(Strategy::Folder);
        }
    };
    let mut refusals = Vec::new();
    for strategy in cache.candidates() {
        let tried = match strategy {
            Strategy::Single => mounter::read_only_file(image, content, source, target),
            Strategy::Stacked => mounter::read_only_loop(image, content, source, target),
            Strategy::Folder => continue,
        };
        match tried {
            Ok(()) => return Ok(strategy),
            Err(error @ Error::Mount { .. }) => refusals.push(error.chain().join(": ")),
            Err(error) => return Err(error),
        }
    }
    Err(Error::runtime("this kernel can't mount an image", refusals))
}

/// True where the kernel has all that mounting an image needs: EROFS, and data-only layers in overlayfs (Linux 6.5).
pub fn can_mount_images() -> bool {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|digits| digits.parse::<u32>().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    version >= (6, 5) && rustix::mount::fsopen("erofs", rustix::mount::FsOpenFlags::FSOPEN_CLOEXEC).is_ok()
}

/// Opens `path` for use as a mount's source, layer or target: nothing is read from it.
fn open_path(path: &Path) -> Result<std::os::fd::OwnedFd> {
    use rustix::fs::{Mode, OFlags};
    rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).on("open", path)
}

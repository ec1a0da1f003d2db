//! The mounts themselves, through the mount API that takes file descriptors and strings rather than one line of
//! options: paths with commas and colons are safe, and the kernel says in words what it disliked.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, UnmountFlags, fsconfig_create, fsconfig_set_fd,
    fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount,
};

use super::{Root, open_path, upper};
use crate::sys;
use crate::{Error, IoResultExt, Result};

/// Settings under which an upper folder holds complete files and nothing that only overlayfs understands.
const PLAIN_UPPER: [(&str, &str); 4] =
    [("metacopy", "off"), ("redirect_dir", "nofollow"), ("index", "off"), ("xino", "off")];

/// One overlay over the image, the contents as a data-only layer. Needs Linux 6.16, where data-only layers are followed
/// although `metacopy` is off, and 6.12 for EROFS images in plain files.
pub(super) fn single_overlay(image: &Path, content: &Path, root: &Root, target: &Path) -> Result<()> {
    let erofs = erofs_from_file(image, target)?;
    upper::prepare(&root.upper, &erofs)?;
    let overlay = Context::open("overlay", target)?;
    overlay.string("source", "rd")?;
    overlay.layer("lowerdir+", &erofs)?;
    overlay.layer("datadir+", &open_path(content)?)?;
    overlay.plain_upper(root)?;
    attach(overlay.mount(MountAttrFlags::empty())?.as_fd(), target)
}

/// A read-only overlay that brings image and contents together, and the container's own overlay on top of it. The
/// image sits on a loop device, since a file-backed EROFS would be one level of stacking too much. Needs Linux 6.5.
pub(super) fn stacked_overlays(image: &Path, content: &Path, root: &Root, target: &Path) -> Result<()> {
    // Before Linux 6.15 overlayfs takes no detached mount as a layer: each is attached to the target and then covered.
    attach(erofs_from_loop(image, target)?.as_fd(), target)?;
    let (image, content) = (open_path(target)?, open_path(content)?);
    let lower = Context::over_image("rd-image", target)?;
    lower.string("lowerdir", &format!("{}::{}", fd_path(&image), fd_path(&content)))?;
    attach(lower.mount(MountAttrFlags::MOUNT_ATTR_RDONLY)?.as_fd(), target)?;
    overlay_on_folder(target, root, target)
}

/// The container's own overlay over a folder that holds the whole root.
pub(super) fn overlay_on_folder(folder: &Path, root: &Root, target: &Path) -> Result<()> {
    let folder = open_path(folder)?;
    upper::prepare(&root.upper, &folder)?;
    let overlay = Context::open("overlay", target)?;
    overlay.string("source", "rd")?;
    overlay.string("lowerdir", &fd_path(&folder))?;
    overlay.plain_upper(root)?;
    attach(overlay.mount(MountAttrFlags::empty())?.as_fd(), target)
}

/// What nobody shall wake up by looking at an image: it may come from anywhere.
const LOOK_ONLY: MountAttrFlags =
    MountAttrFlags::MOUNT_ATTR_RDONLY.union(MountAttrFlags::MOUNT_ATTR_NOSUID).union(MountAttrFlags::MOUNT_ATTR_NODEV);

/// Image and contents, read-only. Needs Linux 6.12 for EROFS images in plain files, 6.15 for layers that are mounted nowhere.
pub(super) fn read_only_file(image: &Path, content: &Path, source: &str, target: &Path) -> Result<()> {
    let erofs = erofs_from_file(image, target)?;
    let overlay = Context::over_image(source, target)?;
    overlay.layer("lowerdir+", &erofs)?;
    overlay.layer("datadir+", &open_path(content)?)?;
    attach(overlay.mount(LOOK_ONLY)?.as_fd(), target)
}

/// The same with the image on a loop device. Needs Linux 6.5. The image is attached to the target only until the
/// overlay holds it.
pub(super) fn read_only_loop(image: &Path, content: &Path, source: &str, target: &Path) -> Result<()> {
    attach(erofs_from_loop(image, target)?.as_fd(), target)?;
    let overlay = (|| {
        let (image, content) = (open_path(target)?, open_path(content)?);
        let overlay = Context::over_image(source, target)?;
        overlay.string("lowerdir", &format!("{}::{}", fd_path(&image), fd_path(&content)))?;
        overlay.mount(LOOK_ONLY)
    })();
    let flags = UnmountFlags::DETACH | UnmountFlags::NOFOLLOW;
    rustix::mount::unmount(target, flags).on("unmount", target)?;
    attach(overlay?.as_fd(), target)
}

/// A folder that holds the whole root, read-only. An overlay without an upper layer has two lower ones at least.
pub(super) fn read_only_folder(folder: &Path, empty: &Path, source: &str, target: &Path) -> Result<()> {
    let (folder, empty) = (open_path(folder)?, open_path(empty)?);
    let overlay = Context::open("overlay", target)?;
    overlay.string("source", source)?;
    overlay.string("lowerdir", &format!("{}:{}", fd_path(&folder), fd_path(&empty)))?;
    attach(overlay.mount(LOOK_ONLY)?.as_fd(), target)
}

fn erofs_from_file(image: &Path, target: &Path) -> Result<OwnedFd> {
    let image = open_read(image)?;
    let erofs = Context::open("erofs", target)?;
    erofs.flag("ro")?;
    erofs.string("source", &fd_path(&image))?;
    erofs.mount(MountAttrFlags::MOUNT_ATTR_RDONLY)
}

fn erofs_from_loop(image: &Path, target: &Path) -> Result<OwnedFd> {
    let device = sys::loop_device(&open_read(image)?)?;
    let erofs = Context::open("erofs", target)?;
    erofs.flag("ro")?;
    erofs.string("source", &fd_path(&device))?;
    erofs.mount(MountAttrFlags::MOUNT_ATTR_RDONLY)
}

fn open_read(path: &Path) -> Result<OwnedFd> {
    Ok(std::fs::File::open(path).on("open", path)?.into())
}

fn attach(mount: BorrowedFd<'_>, target: &Path) -> Result<()> {
    move_mount(mount, "", rustix::fs::CWD, target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH).on("mount on", target)
}

/// A short path without special characters: option strings end at 256 bytes and `:` separates layers in them.
fn fd_path(fd: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}

/// A file system that is being configured.
struct Context<'a> {
    what: &'static str,
    target: &'a Path,
    fd: OwnedFd,
}

impl<'a> Context<'a> {
    fn open(what: &'static str, target: &'a Path) -> Result<Self> {
        let fd = fsopen(what, FsOpenFlags::FSOPEN_CLOEXEC).map_err(|error| Error::Mount {
            what,
            target: target.to_owned(),
            details: String::new(),
            source: error.into(),
        })?;
        Ok(Context { what, target, fd })
    }

    /// An overlay whose lowest layer is an image that says which contents its files have.
    fn over_image(source: &str, target: &'a Path) -> Result<Self> {
        let overlay = Context::open("overlay", target)?;
        overlay.string("source", source)?;
        overlay.string("metacopy", "on")?;
        overlay.string("redirect_dir", "on")?;
        Ok(overlay)
    }

    fn flag(&self, name: &str) -> Result<()> {
        fsconfig_set_flag(&self.fd, name).map_err(|error| self.refused(error))
    }

    fn string(&self, name: &str, value: &str) -> Result<()> {
        fsconfig_set_string(&self.fd, name, value).map_err(|error| self.refused(error))
    }

    fn layer(&self, name: &str, layer: &OwnedFd) -> Result<()> {
        fsconfig_set_fd(&self.fd, name, layer).map_err(|error| self.refused(error))
    }

    fn plain_upper(&self, root: &Root) -> Result<()> {
        let (upper, work) = (open_path(&root.upper)?, open_path(&root.work)?);
        self.string("upperdir", &fd_path(&upper))?;
        self.string("workdir", &fd_path(&work))?;
        if root.volatile {
            self.flag("volatile")?;
        }
        PLAIN_UPPER.iter().try_for_each(|(name, value)| self.string(name, value))
    }

    fn mount(&self, attributes: MountAttrFlags) -> Result<OwnedFd> {
        fsconfig_create(&self.fd).map_err(|error| self.refused(error))?;
        fsmount(&self.fd, FsMountFlags::FSMOUNT_CLOEXEC, attributes).map_err(|error| self.refused(error))
    }

    /// The error with what the kernel logged for this context, one line a read, each with a level in front (`e `).
    fn refused(&self, error: rustix::io::Errno) -> Error {
        let mut lines = Vec::new();
        let mut line = [0; 1024];
        while let Ok(length @ 1..) = rustix::io::read(&self.fd, &mut line) {
            let text = String::from_utf8_lossy(&line[..length]);
            lines.push(text.trim().get(2..).unwrap_or_default().to_owned());
        }
        Error::Mount {
            what: self.what,
            target: self.target.to_owned(),
            details: lines.join("; "),
            source: io::Error::from(error),
        }
    }
}

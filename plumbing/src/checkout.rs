//! Writing a root into a folder of the host, for kernels and filesystems that can't mount it.
//!
//! Every call is relative to an open folder that this code made itself, and nothing is opened by following a link,
//! so that no name in the root reaches outside.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use gix::bstr::{BStr, BString, ByteSlice};
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, RawMode, Timespec, Timestamps, Uid, XattrFlags};

use crate::root::{self, Attrs, Folder, Hardlinks, Kind, Leaf, RootIds, Time, read_folder, read_hardlinks};
use crate::{Error, Id, Result, Store};

/// Write the root `ids` into the folder `dir`, which must exist and be empty.
///
/// Contents are shared with the store where the filesystem can (reflink), else copied.
pub fn checkout(store: &Store, ids: &RootIds, dir: &Path) -> Result<()> {
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
    let top = rustix::fs::open(dir, flags, Mode::empty()).map_err(|e| Error::io("open", dir)(e.into()))?;
    let hardlinks = read_hardlinks(store, &ids.meta)?;
    let mut writer = Writer {
        store,
        top: top.as_fd().try_clone_to_owned().map_err(Error::io("open", dir))?,
        hardlinks: &hardlinks,
        made: HashMap::new(),
    };
    writer.folder(&top, BStr::new(""), read_folder(store, ids)?)
}

/// Give the folder `dir` these attributes and this time: those of a root's top folder are what the folder above it in
/// an overlay has to carry.
pub fn apply_folder(dir: &Path, attrs: &Attrs, mtime: Time) -> Result<()> {
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
    rustix::fs::open(dir, flags, Mode::empty())
        .and_then(|fd| apply_to_fd(&fd, attrs, mtime))
        .map_err(|e| Error::io("set the attributes of", dir)(e.into()))
}

struct Writer<'a> {
    store: &'a Store,
    top: OwnedFd,
    hardlinks: &'a Hardlinks,
    /// The path that was made first of each hard link group, by the group's first path.
    made: HashMap<BString, BString>,
}

impl Writer<'_> {
    fn folder(&mut self, fd: &OwnedFd, path: &BStr, folder: Folder) -> Result<()> {
        for (name, leaf) in &folder.leaves {
            let path = root::join_path(path, name.as_bstr());
            self.leaf(fd, name.as_bstr(), &path, leaf).map_err(|error| self.explain(path.as_bstr(), error))?;
        }
        for (name, ids) in &folder.dirs {
            let path = root::join_path(path, name.as_bstr());
            let child =
                make_folder(fd, name.as_bstr()).map_err(|e| Error::io("create", display(path.as_bstr()))(e.into()))?;
            self.folder(&child, path.as_bstr(), read_folder(self.store, ids)?)?;
        }
        apply_to_fd(fd, &folder.attrs, folder.mtime)
            .map_err(|e| Error::io("set the attributes of", display(path))(e.into()))
    }

    fn explain(&self, path: &BStr, error: Failure) -> Error {
        match error {
            Failure::Store(error) => error,
            Failure::Errno(errno) => Error::io("create", display(path))(errno.into()),
            Failure::Io(error) => Error::io("write", display(path))(error),
        }
    }

    fn leaf(&mut self, dir: &OwnedFd, name: &BStr, path: &BString, leaf: &Leaf) -> Result<(), Failure> {
        let group = self.hardlinks.group(path.as_bstr()).and_then(BTreeSet::first);
        if let Some(existing) = group.and_then(|first| self.made.get(first)) {
            rustix::fs::linkat(&self.top, existing.as_slice(), dir, name.as_bytes(), AtFlags::empty())?;
            return Ok(());
        }
        match &leaf.kind {
            Kind::File { id, .. } => self.file(dir, name, id, leaf)?,
            Kind::Symlink { id } => {
                let target = self.store.read_object(id, gix::objs::Kind::Blob)?;
                rustix::fs::symlinkat(target, dir, name.as_bytes())?;
                apply_by_name(dir, name, leaf, true)?;
            }
            Kind::Char { major, minor } => make_node(dir, name, leaf, FileType::CharacterDevice, (*major, *minor))?,
            Kind::Block { major, minor } => make_node(dir, name, leaf, FileType::BlockDevice, (*major, *minor))?,
            Kind::Fifo => make_node(dir, name, leaf, FileType::Fifo, (0, 0))?,
            Kind::Socket => make_node(dir, name, leaf, FileType::Socket, (0, 0))?,
        }
        if let Some(first) = group {
            self.made.insert(first.clone(), path.clone());
        }
        Ok(())
    }

    fn file(&self, dir: &OwnedFd, name: &BStr, id: &Id, leaf: &Leaf) -> Result<(), Failure> {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let to = rustix::fs::openat(dir, name.as_bytes(), flags, Mode::RUSR | Mode::WUSR)?;
        match self.store.open_content(id)? {
            Some(from) if rustix::fs::ioctl_ficlone(&to, &from).is_ok() => {}
            _ => {
                let (mut from, _) = self.store.blob_reader(id)?;
                std::io::copy(&mut from, &mut File::from(to.try_clone().map_err(Failure::Io)?)).map_err(Failure::Io)?;
            }
        }
        Ok(apply_to_fd(&to, &leaf.attrs, leaf.mtime)?)
    }
}

/// Why one entry could not be made.
enum Failure {
    Store(Error),
    Errno(rustix::io::Errno),
    Io(std::io::Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Store(error)
    }
}

impl From<rustix::io::Errno> for Failure {
    fn from(errno: rustix::io::Errno) -> Self {
        Failure::Errno(errno)
    }
}

fn display(path: &BStr) -> std::path::PathBuf {
    Path::new("/").join(path.to_path_lossy())
}

fn make_folder(dir: &OwnedFd, name: &BStr) -> rustix::io::Result<OwnedFd> {
    rustix::fs::mkdirat(dir, name.as_bytes(), Mode::RWXU)?;
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(dir, name.as_bytes(), flags, Mode::empty())
}

fn make_node(
    dir: &OwnedFd,
    name: &BStr,
    leaf: &Leaf,
    kind: FileType,
    (major, minor): (u32, u32),
) -> rustix::io::Result<()> {
    rustix::fs::mknodat(dir, name.as_bytes(), kind, Mode::RUSR | Mode::WUSR, rustix::fs::makedev(major, minor))?;
    apply_by_name(dir, name, leaf, false)
}

/// Owner first: changing it takes away setuid bits and capabilities.
fn apply_to_fd(fd: &OwnedFd, attrs: &Attrs, mtime: Time) -> rustix::io::Result<()> {
    rustix::fs::fchown(fd, Some(Uid::from_raw(attrs.uid)), Some(Gid::from_raw(attrs.gid)))?;
    for (name, value) in &attrs.xattrs {
        rustix::fs::fsetxattr(fd, escape_overlay(name.as_bstr()).as_slice(), value, XattrFlags::empty())?;
    }
    rustix::fs::fchmod(fd, Mode::from_raw_mode(attrs.mode as RawMode))?;
    rustix::fs::futimens(fd, &times(mtime))
}

/// For what can't be opened: links, devices, pipes, sockets.
fn apply_by_name(dir: &OwnedFd, name: &BStr, leaf: &Leaf, link: bool) -> rustix::io::Result<()> {
    let attrs = &leaf.attrs;
    let (uid, gid) = (Uid::from_raw(attrs.uid), Gid::from_raw(attrs.gid));
    rustix::fs::chownat(dir, name.as_bytes(), Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
    if !attrs.xattrs.is_empty() {
        let mut path = format!("/proc/self/fd/{}/", std::os::fd::AsRawFd::as_raw_fd(dir)).into_bytes();
        path.extend_from_slice(name);
        for (name, value) in &attrs.xattrs {
            rustix::fs::lsetxattr(&path, escape_overlay(name.as_bstr()).as_slice(), value, XattrFlags::empty())?;
        }
    }
    if !link {
        rustix::fs::chmodat(dir, name.as_bytes(), Mode::from_raw_mode(attrs.mode as RawMode), AtFlags::empty())?;
    }
    rustix::fs::utimensat(dir, name.as_bytes(), &times(leaf.mtime), AtFlags::SYMLINK_NOFOLLOW)
}

/// The folder becomes a lower layer of overlayfs, which takes `trusted.overlay.X` for its own and shows
/// `trusted.overlay.overlay.X` as the former (kernel: filesystems/overlayfs.rst, "Nesting overlayfs mounts").
fn escape_overlay(name: &BStr) -> BString {
    match name.strip_prefix(b"trusted.overlay.") {
        Some(rest) => [b"trusted.overlay.overlay.", rest].concat().into(),
        None => name.to_owned(),
    }
}

fn times(mtime: Time) -> Timestamps {
    let time = Timespec { tv_sec: mtime.sec, tv_nsec: mtime.nsec.into() };
    Timestamps { last_access: time, last_modification: time }
}

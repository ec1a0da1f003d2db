//! Where a root is checked out to, and that half of it is never taken for the whole.
//!
//! A folder that is missing is made beside its place, under another name, and renamed when it is complete. One that is
//! there has to be filled where it is: it may be a mount point, or somebody's working folder. Until it is complete it
//! holds a file that says so.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use gix::bstr::{BString, ByteSlice};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags, Timespec, Timestamps, UTIME_OMIT, XattrFlags};
use rustix::io::Errno;

use super::fill::fill;
use super::{Manner, Purpose, attributes, open_top};
use crate::root::{Part, Time, read_folder};
use crate::store::staging::Staging;
use crate::{Error, Result, Store};

/// What folders begin with that will be renamed to their place.
const PREFIX: &str = ".rd-checkout-";
/// The file in a folder that isn't complete; where the root has a file of that name, `~` is put behind it.
const MARKER: &str = ".rd-checkout-unfinished";
const MARKER_TEXT: &[u8] = b"rd checkout-tree has not finished filling this folder\n";

/// Make the folder `dir` of `part`. It must be missing or empty; with `force` it may be filled, and what is in the way is
/// replaced: files by anything, folders by nothing but themselves.
///
/// Killed, it leaves no `dir` where there was none, and else one in which a file `.rd-checkout-unfinished` says so. After an
/// error `dir` is missing or empty as it was; by force it is unfinished and says so.
pub fn checkout_tree(store: &Store, part: &Part, dir: &Path, force: bool) -> Result<()> {
    match dir.symlink_metadata() {
        Ok(_) => in_place(store, part, dir, force),
        Err(error) if error.kind() == ErrorKind::NotFound => fresh(store, part, dir),
        Err(error) => Err(Error::io("look up", dir)(error)),
    }
}

fn fresh(store: &Store, part: &Part, dir: &Path) -> Result<()> {
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let staging = Staging::create_named(parent, PREFIX)?;
    let top = open_top(staging.path())?;
    let manner = Manner { purpose: Purpose::Files, force: false };
    fill(store, part, &top, manner)?.finish(&top, manner)?;
    let renamed = match rustix::fs::renameat_with(CWD, staging.path(), CWD, dir, RenameFlags::NOREPLACE) {
        // The filesystem can't promise not to replace; rename(2) replaces no folder that has something in it.
        Err(Errno::INVAL | Errno::NOSYS) => rustix::fs::rename(staging.path(), dir),
        other => other,
    };
    renamed.map_err(|errno| Error::io("create", dir)(errno.into()))
}

fn in_place(store: &Store, part: &Part, dir: &Path, force: bool) -> Result<()> {
    let top = open_top(dir)?;
    let names = names(&top).map_err(|errno| Error::io("list", dir)(errno.into()))?;
    if !names.is_empty() && !force {
        let unfinished = names.iter().any(|name| name.starts_with(MARKER.as_bytes()));
        let why = if unfinished { "it holds what an interrupted checkout left" } else { "it is not empty" };
        return Err(Error::Invalid { what: "folder", input: dir.display().to_string(), why: why.into() });
    }
    let before = Before::read(&top).map_err(|errno| Error::io("stat", dir)(errno.into()))?;
    let result = fill_marked(store, part, dir, &top, Manner { purpose: Purpose::Files, force });
    if result.is_err() && names.is_empty() {
        // The error that led here is the one to be told.
        let _ = empty(&top).and_then(|()| Ok(before.restore(&top)?));
    }
    result
}

fn fill_marked(store: &Store, part: &Part, dir: &Path, top: &OwnedFd, manner: Manner) -> Result<()> {
    let own = read_folder(store, &part.ids)?;
    let mut marker = BString::from(MARKER);
    while own.leaves.contains_key(&marker) || own.dirs.contains_key(&marker) {
        marker.push(b'~');
    }
    put_marker(top, &marker).map_err(Error::io("create", dir.join(marker.to_path_lossy())))?;
    fill(store, part, top, manner)?.finish(top, manner)?;
    let end = || -> rustix::io::Result<()> {
        rustix::fs::unlinkat(top, marker.as_bytes(), AtFlags::empty())?;
        set_mtime(top, own.mtime)
    };
    end().map_err(|errno| Error::io("finish", dir)(errno.into()))
}

fn put_marker(top: &OwnedFd, name: &BString) -> std::io::Result<()> {
    let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = rustix::fs::openat(top, name.as_bytes(), flags, Mode::RUSR | Mode::WUSR)?;
    File::from(file).write_all(MARKER_TEXT)
}

fn names(top: &OwnedFd) -> rustix::io::Result<Vec<BString>> {
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(top)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(name.into());
        }
    }
    Ok(names)
}

/// Remove all that is in `top`; no link is followed.
fn empty(top: &OwnedFd) -> std::io::Result<()> {
    for name in names(top)? {
        let mut path = PathBuf::from(format!("/proc/self/fd/{}", top.as_raw_fd()));
        path.push(std::ffi::OsStr::from_bytes(&name));
        match std::fs::remove_file(&path) {
            Err(_) if path.symlink_metadata()?.is_dir() => std::fs::remove_dir_all(&path)?,
            other => other?,
        }
    }
    Ok(())
}

/// What changes of an empty folder before anything of the root is in it.
struct Before {
    mtime: Time,
    default_acl: Option<Vec<u8>>,
}

impl Before {
    fn read(top: &OwnedFd) -> rustix::io::Result<Self> {
        let stat = rustix::fs::fstat(top)?;
        let mut value = vec![0; 64 * 1024];
        let default_acl = match rustix::fs::fgetxattr(top, attributes::DEFAULT_ACL, &mut value) {
            Ok(length) => Some(value[..length].to_vec()),
            Err(Errno::NODATA | Errno::OPNOTSUPP) => None,
            Err(errno) => return Err(errno),
        };
        let nsec = u32::try_from(stat.st_mtime_nsec).unwrap_or(0);
        Ok(Self { mtime: Time { sec: stat.st_mtime, nsec }, default_acl })
    }

    fn restore(&self, top: &OwnedFd) -> rustix::io::Result<()> {
        if let Some(value) = &self.default_acl {
            rustix::fs::fsetxattr(top, attributes::DEFAULT_ACL, value, XattrFlags::empty())?;
        }
        set_mtime(top, self.mtime)
    }
}

fn set_mtime(top: &OwnedFd, mtime: Time) -> rustix::io::Result<()> {
    let times = Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: mtime.sec, tv_nsec: mtime.nsec.into() },
    };
    rustix::fs::futimens(top, &times)
}

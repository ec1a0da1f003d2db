//! Owner, extended attributes, mode and time of what was made.

use std::os::fd::{AsFd, AsRawFd};

use gix::bstr::{BStr, BString, ByteSlice};
use rustix::fs::{AtFlags, Gid, Mode, RawMode, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

use super::Purpose;
use crate::root::{Attrs, Leaf, Time};

/// What a new entry inherits from the folder it is made in.
pub(super) const DEFAULT_ACL: &str = "system.posix_acl_default";
/// Labels that the security module keeps by rules of its own.
const LABEL: &[u8] = b"security.selinux";

/// Give the open file or folder `fd` its attributes. Owner first: changing it takes away setuid bits and capabilities.
pub(super) fn apply(fd: &impl AsFd, attrs: &Attrs, mtime: Time, purpose: Purpose) -> rustix::io::Result<()> {
    rustix::fs::fchown(fd, Some(Uid::from_raw(attrs.uid)), Some(Gid::from_raw(attrs.gid)))?;
    for (name, value) in &attrs.xattrs {
        rustix::fs::fsetxattr(fd, real_name(name.as_bstr(), purpose).as_slice(), value, XattrFlags::empty())?;
    }
    rustix::fs::fchmod(fd, Mode::from_raw_mode(attrs.mode as RawMode))?;
    rustix::fs::futimens(fd, &times(mtime))?;
    check_time(mtime, || rustix::fs::fstat(fd))
}

/// As [`apply`], for the entry `name` in `dir` that can't be opened: a link, device, pipe or socket.
pub(super) fn apply_by_name(
    dir: &impl AsFd,
    name: &BStr,
    leaf: &Leaf,
    is_link: bool,
    purpose: Purpose,
) -> rustix::io::Result<()> {
    let attrs = &leaf.attrs;
    let name = name.as_bytes();
    let (uid, gid) = (Uid::from_raw(attrs.uid), Gid::from_raw(attrs.gid));
    rustix::fs::chownat(dir, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
    // Through the descriptor's entry in /proc no component but the last is looked up, and lsetxattr(2) doesn't follow it.
    let mut path = format!("/proc/self/fd/{}/", dir.as_fd().as_raw_fd()).into_bytes();
    path.extend_from_slice(name);
    for (name, value) in &attrs.xattrs {
        rustix::fs::lsetxattr(&path, real_name(name.as_bstr(), purpose).as_slice(), value, XattrFlags::empty())?;
    }
    if !is_link {
        rustix::fs::chmodat(dir, name, Mode::from_raw_mode(attrs.mode as RawMode), AtFlags::empty())?;
    }
    rustix::fs::utimensat(dir, name, &times(leaf.mtime), AtFlags::SYMLINK_NOFOLLOW)?;
    check_time(leaf.mtime, || rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW))
}

/// Take from a folder what new entries in it would inherit.
pub(super) fn inherit_nothing(folder: &impl AsFd) -> rustix::io::Result<()> {
    match rustix::fs::fremovexattr(folder, DEFAULT_ACL) {
        Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(()),
        other => other,
    }
}

/// Take from a folder that was there before the attributes that `attrs` doesn't have.
pub(super) fn drop_others(folder: &impl AsFd, attrs: &Attrs) -> rustix::io::Result<()> {
    let mut names = vec![0; 64 * 1024];
    let length = match rustix::fs::flistxattr(folder, &mut names) {
        Err(Errno::OPNOTSUPP) => return Ok(()),
        length => length?,
    };
    for name in names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        if !attrs.xattrs.contains_key(name.as_bstr()) && name != LABEL {
            rustix::fs::fremovexattr(folder, name)?;
        }
    }
    Ok(())
}

fn real_name(name: &BStr, purpose: Purpose) -> BString {
    match name.strip_prefix(b"trusted.overlay.") {
        Some(rest) if purpose == Purpose::Layer => [b"trusted.overlay.overlay.", rest].concat().into(),
        _ => name.to_owned(),
    }
}

fn times(mtime: Time) -> Timestamps {
    let time = Timespec { tv_sec: mtime.sec, tv_nsec: mtime.nsec.into() };
    Timestamps { last_access: time, last_modification: time }
}

/// A filesystem that can't hold a time sets the nearest one that it can, and says nothing. All hold these.
const COMMON: std::ops::RangeInclusive<i64> = 0..=i32::MAX as i64;

fn check_time(mtime: Time, stat: impl FnOnce() -> rustix::io::Result<rustix::fs::Stat>) -> rustix::io::Result<()> {
    if COMMON.contains(&mtime.sec) || stat()?.st_mtime == mtime.sec { Ok(()) } else { Err(Errno::OVERFLOW) }
}

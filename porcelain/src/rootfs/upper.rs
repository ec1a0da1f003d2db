//! The upper folder at its beginning: an empty copy of the image's root folder.

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags, lgetxattr, lsetxattr, statat, utimensat};

use crate::{IoResultExt, Result};

/// Makes `upper` with the mode, owner, extended attributes and modification time of `lower`, unless it exists.
///
/// It appears under its name only when it is complete.
pub(super) fn prepare(upper: &Path, lower: &OwnedFd) -> Result<()> {
    if upper.try_exists().on("look up", upper)? {
        return Ok(());
    }
    let draft = upper.with_extension("new");
    match fs::remove_dir(&draft) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error).on("remove", &draft),
        _ => fs::create_dir(&draft).on("create", &draft)?,
    }
    let stat = statat(lower, "", AtFlags::EMPTY_PATH).on("look up", "the image's root")?;
    rustix::fs::chown(&draft, Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)))
        .on("change the owner of", &draft)?;
    rustix::fs::chmod(&draft, Mode::from_raw_mode(stat.st_mode & 0o7777)).on("change the mode of", &draft)?;
    copy_attributes(lower, &draft)?;
    let times = Timestamps {
        last_access: Timespec { tv_sec: stat.st_atime, tv_nsec: stat.st_atime_nsec.cast_signed() },
        last_modification: Timespec { tv_sec: stat.st_mtime, tv_nsec: stat.st_mtime_nsec.cast_signed() },
    };
    utimensat(rustix::fs::CWD, &draft, &times, AtFlags::empty()).on("change the times of", &draft)?;
    fs::rename(&draft, upper).on("rename", draft)
}

/// Copies extended attributes, but none that overlayfs would take for its own.
fn copy_attributes(lower: &OwnedFd, to: &Path) -> Result<()> {
    let from = format!("/proc/self/fd/{}", lower.as_raw_fd());
    let mut names = vec![0; 1 << 16];
    let length = match rustix::fs::listxattr(&from, &mut names) {
        Err(rustix::io::Errno::NOTSUP) => return Ok(()),
        length => length.on("read the attributes of", &from)?,
    };
    let mut value = vec![0; 1 << 16];
    for name in names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let name = String::from_utf8_lossy(name).into_owned();
        if name.starts_with("trusted.overlay.") || name.starts_with("user.overlay.") {
            continue;
        }
        let length = lgetxattr(format!("{from}/."), name.as_str(), &mut value).on("read the attributes of", &from)?;
        lsetxattr(to, name.as_str(), &value[..length], XattrFlags::empty()).on("set an attribute of", to)?;
    }
    Ok(())
}

//! A root before its container starts: every mount point and the working folder exist, and where they are is known.
//!
//! What is made here lands in the container's upper folder without being a change of the container's; it is noted, so
//! that a commit can leave it out. The root is hostile: paths are resolved inside it only.

use std::collections::BTreeSet;
use std::fs;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use oci_spec::runtime::{Mount, Spec};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT};

use super::folder::Folder;
use super::state::replace;
use crate::{Error, IoResultExt, Result};

/// How many symbolic links a path may lead through, as in the kernel.
const MOST_LINKS: usize = 40;

/// Makes what the specification's mounts need in the mounted root, and lets the specification name the resolved paths.
pub(super) fn root(folder: &Folder, spec: &mut Spec) -> Result<()> {
    let rootfs = folder.rootfs();
    let mut made = BTreeSet::new();
    let mut mounts = spec.mounts().clone().unwrap_or_default();
    let mut outer: Vec<PathBuf> = Vec::new();
    for mount in &mut mounts {
        if outer.iter().any(|outer| mount.destination().starts_with(outer)) {
            continue;
        }
        let is_file = binds_a_file(mount)?;
        let path = ensure(&rootfs, mount.destination(), is_file, &mut made)?;
        refuse_moved(mount.destination(), &path)?;
        outer.push(mount.destination().clone());
        mount.set_destination(path);
    }
    spec.set_mounts(Some(mounts));
    if let Some(process) = spec.process() {
        let cwd = process.cwd();
        if !outer.iter().any(|outer| cwd.starts_with(outer)) {
            // The working folder is the container's own: docker makes it too, and commits it.
            ensure(&rootfs, cwd, false, &mut BTreeSet::new())?;
        }
    }
    record(folder, made)
}

/// Libcontainer puts devices and links below the root's `/dev` by path: a link there would lead it onto the host, and
/// so would a link of the image that leads one of the user's mounts there.
fn refuse_moved(wanted: &Path, found: &Path) -> Result<()> {
    let system = ["/dev", "/proc", "/sys"].map(Path::new);
    if wanted != found && (system.contains(&wanted) || system.contains(&found)) {
        return Err(Error::invalid("image: its folder", wanted.display(), "it is a link"));
    }
    Ok(())
}

fn binds_a_file(mount: &Mount) -> Result<bool> {
    match (mount.typ().as_deref(), mount.source()) {
        (Some("bind"), Some(source)) if !source.starts_with("/sys/fs/cgroup") => {
            Ok(!fs::metadata(source).on("look up", source)?.is_dir())
        }
        _ => Ok(false),
    }
}

/// Makes `path` inside the root if it is missing, following links as the container would, and returns where it is.
fn ensure(rootfs: &Path, path: &Path, is_file: bool, made: &mut BTreeSet<PathBuf>) -> Result<PathBuf> {
    let mut found = PathBuf::from("/");
    let mut links = 0;
    let mut pending: Vec<std::ffi::OsString> = components(path);
    while let Some(name) = pending.pop() {
        if name == ".." {
            found.pop();
            continue;
        }
        let next = found.join(&name);
        let here = open_folder(rootfs, &found)?;
        match rustix::fs::statat(&here, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode).is_symlink() => {
                links += 1;
                if links > MOST_LINKS {
                    return Err(Error::io("resolve", path, rustix::io::Errno::LOOP));
                }
                let target = rustix::fs::readlinkat(&here, &name, Vec::new()).on("read", &next)?;
                let target = Path::new(std::ffi::OsStr::from_bytes(target.to_bytes()));
                if target.is_absolute() {
                    found = PathBuf::from("/");
                }
                pending.extend(components(target));
            }
            Ok(_) => found = next,
            Err(rustix::io::Errno::NOENT) => {
                make(&here, &name, is_file && pending.is_empty()).on("create", &next)?;
                made.insert(next.clone());
                found = next;
            }
            Err(error) => return Err(error).on("look up", next),
        }
    }
    Ok(found)
}

/// The names of a path, the last one first.
fn components(path: &Path) -> Vec<std::ffi::OsString> {
    let names = path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    });
    let mut names: Vec<_> = names.collect();
    names.reverse();
    names
}

/// Opens a folder of the root whose path holds no link.
fn open_folder(rootfs: &Path, path: &Path) -> Result<std::os::fd::OwnedFd> {
    let root = rustix::fs::open(rootfs, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    let root = root.on("open", rootfs)?;
    let inner = path.strip_prefix("/").unwrap_or(path);
    if inner.as_os_str().is_empty() {
        return Ok(root);
    }
    rustix::fs::openat2(
        &root,
        inner,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
        rustix::fs::ResolveFlags::IN_ROOT | rustix::fs::ResolveFlags::NO_MAGICLINKS,
    )
    .on("open", path)
}

/// Makes an empty file or folder, and leaves the time of the folder it is in as it was.
fn make(folder: &impl AsFd, name: &std::ffi::OsStr, is_file: bool) -> rustix::io::Result<()> {
    let before = rustix::fs::fstat(folder)?;
    if is_file {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        rustix::fs::openat(folder, name, flags, Mode::from_raw_mode(0o644))?;
    } else {
        rustix::fs::mkdirat(folder, name, Mode::from_raw_mode(0o755))?;
    }
    let times = Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: before.st_mtime, tv_nsec: before.st_mtime_nsec.cast_signed() },
    };
    rustix::fs::utimensat(folder, ".", &times, AtFlags::empty())
}

/// Adds to the list of what rd made; a second start finds it made and must not forget it.
fn record(folder: &Folder, made: BTreeSet<PathBuf>) -> Result<()> {
    if made.is_empty() {
        return Ok(());
    }
    let all: BTreeSet<PathBuf> = made_mount_points(folder)?.into_iter().chain(made).collect();
    let bytes = serde_json::to_vec(&all).map_err(|error| Error::invalid("mount point", "in UTF-8", error))?;
    replace(&folder.mount_points_file(), &bytes, false)
}

/// The files and folders that rd made in a container's upper folder as mount points, absolute paths in the container.
pub(super) fn made_mount_points(folder: &Folder) -> Result<Vec<PathBuf>> {
    let file = folder.mount_points_file();
    let bytes = match fs::read(&file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        bytes => bytes.on("read", &file)?,
    };
    // A power cut may have emptied it; then the mount points are taken for changes, as the upper folder has them.
    Ok(serde_json::from_slice(&bytes).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, symlink};

    #[test]
    fn mount_points_are_made_inside_the_root_whatever_links_say() {
        let outside = tempfile::tempdir().unwrap();
        let root = outside.path().join("root");
        fs::create_dir_all(root.join("etc")).unwrap();
        symlink("../run/resolv.conf", root.join("etc/resolv.conf")).unwrap();
        symlink("/../../..", root.join("up")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        let mut made = BTreeSet::new();
        let mut ensure = |path: &str, is_file| ensure(&root, path.as_ref(), is_file, &mut made);
        assert_eq!(ensure("/etc/resolv.conf", true).unwrap(), Path::new("/run/resolv.conf"));
        assert_eq!(ensure("/up/x", false).unwrap(), Path::new("/x"));
        assert_eq!(ensure("/a/b/c", false).unwrap(), Path::new("/a/b/c"));
        assert!(ensure("/loop/x", false).is_err());
        assert!(ensure("/run/resolv.conf/x", false).is_err());
        assert!(root.join("run/resolv.conf").is_file() && root.join("x").is_dir());
        let shown: Vec<&str> = made.iter().map(|path| path.to_str().unwrap()).collect();
        assert_eq!(shown, ["/a", "/a/b", "/a/b/c", "/run", "/run/resolv.conf", "/x"]);
    }

    #[test]
    fn the_time_of_a_folder_survives_a_new_mount_point() {
        let root = tempfile::tempdir().unwrap();
        let before = root.path().metadata().unwrap();
        ensure(root.path(), "/x".as_ref(), true, &mut BTreeSet::new()).unwrap();
        let after = root.path().metadata().unwrap();
        assert_eq!((before.mtime(), before.mtime_nsec()), (after.mtime(), after.mtime_nsec()));
    }
}

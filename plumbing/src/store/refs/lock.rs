//! Git's lock files: whoever makes `<file>.lock` may change `<file>`, and nobody else.
//!
//! rd's own locks are held by flock(2) too, and say so in their bytes. So one whose owner was killed is known from one
//! that is in use, and the next command breaks it. Of git's own locks nothing is known: they are waited for, not long.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, CWD, FlockOperation, Mode, OFlags};

use crate::{Error, Result};

/// What a lock of rd's holds.
const MARK: &[u8] = b"rd lock\n";

/// The mode of a lock of rd's: nobody may write to it. After a power cut it may be there without its bytes; git's own
/// locks, which are empty at first, can be written to.
const MODE: u32 = 0o444;

/// How long git's locks are waited for, as git itself does.
const WAIT_FOR_GIT: Duration = Duration::from_secs(1);

/// How long one of git's that is younger than that: most likely its owner lives, on a slow disk.
const WAIT_FOR_YOUNG: Duration = Duration::from_secs(20);

/// How long those of a living rd are: it holds them for milliseconds, but there may be many before us.
const WAIT_FOR_RD: Duration = Duration::from_secs(60);

/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

/// The right to change a file; given up when the value goes.
#[derive(Debug)]
pub(super) struct Lock {
    path: PathBuf,
    /// Open for as long as the lock is held: flock(2) goes with it.
    _file: File,
    /// Whether the one before was left by a command that was killed.
    pub(super) was_left: bool,
}

/// Who has a lock that wasn't free.
enum Owner {
    /// It was given up, or broken: try again at once.
    Nobody,
    Rd,
    Git {
        is_young: bool,
    },
}

impl Lock {
    /// Lock `target`, whose folder is made where it is missing.
    pub(super) fn acquire(target: &Path) -> Result<Self> {
        let path = with_suffix(target, ".lock");
        let begun = Instant::now();
        let mut pause = Duration::from_micros(500);
        let mut was_left = false;
        loop {
            match take(&path) {
                Ok(file) => return Ok(Self { path, _file: file, was_left }),
                Err(error) if error.kind() == ErrorKind::NotFound => make_folder(&path)?,
                Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(Error::io("lock", path)(error)),
                Err(_) => {
                    let limit = match owner(&path)? {
                        Owner::Nobody => {
                            was_left = true;
                            continue;
                        }
                        Owner::Rd => WAIT_FOR_RD,
                        Owner::Git { is_young: true } => WAIT_FOR_YOUNG,
                        Owner::Git { is_young: false } => WAIT_FOR_GIT,
                    };
                    if begun.elapsed() > limit {
                        return Err(in_use(target, &path));
                    }
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Before the descriptor is closed: a lock that exists and isn't held counts as left behind.
        let _ = std::fs::remove_file(&self.path);
    }
}

fn in_use(target: &Path, lock: &Path) -> Error {
    let why = format!("another process has '{}'; if none is running, it was left behind: remove it", lock.display());
    Error::io("lock", target)(std::io::Error::new(ErrorKind::WouldBlock, why))
}

/// `path` with something at its end, whatever its name.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn make_folder(path: &Path) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    match std::fs::create_dir_all(folder) {
        // Somebody removes folders that became empty while we make them.
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::io("create", folder)(error)),
        _ => Ok(()),
    }
}

/// Make the lock `path`, which appears with its mark and held, so that nobody takes it for one left behind.
fn take(path: &Path) -> std::io::Result<File> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mode = Mode::from_raw_mode(MODE);
    let unnamed = rustix::fs::open(folder, OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC, mode);
    let Ok(unnamed) = unnamed else { return take_in_steps(path) };
    let mut file = File::from(unnamed);
    hold(&mut file)?;
    let itself = format!("/proc/self/fd/{}", file.as_raw_fd());
    match rustix::fs::linkat(CWD, itself, CWD, path, AtFlags::SYMLINK_FOLLOW) {
        Ok(()) => Ok(file),
        Err(errno) if errno == rustix::io::Errno::EXIST => Err(errno.into()),
        Err(_) => take_in_steps(path),
    }
}

/// The same where the filesystem has no files without names. Between its making and its being held another command may
/// break it: then it is made again.
fn take_in_steps(path: &Path) -> std::io::Result<File> {
    let mut file = File::options().read(true).write(true).create_new(true).mode(MODE).open(path)?;
    let held = hold(&mut file);
    let is_ours =
        std::fs::symlink_metadata(path).is_ok_and(|named| named.ino() == file.metadata().map_or(0, |f| f.ino()));
    match held {
        Ok(()) if is_ours => Ok(file),
        Ok(()) => Err(ErrorKind::AlreadyExists.into()),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Err(ErrorKind::AlreadyExists.into()),
        Err(error) => Err(error),
    }
}

fn hold(file: &mut File) -> std::io::Result<()> {
    rustix::fs::flock(&*file, FlockOperation::NonBlockingLockExclusive)?;
    file.write_all(MARK)
}

/// Find out who has the lock `path`; one that an rd left behind when it was killed is removed.
fn owner(path: &Path) -> Result<Owner> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Owner::Nobody),
        file => file.map_err(Error::io("open", path))?,
    };
    let mut bytes = Vec::new();
    let read = (&mut file).take(MARK.len() as u64 + 1).read_to_end(&mut bytes);
    let is_rds = bytes == MARK || bytes.is_empty() && file.metadata().is_ok_and(|about| about.mode() & 0o222 == 0);
    if read.is_err() || !is_rds {
        let age = file.metadata().and_then(|about| about.modified()).map(|made| made.elapsed().unwrap_or_default());
        return Ok(Owner::Git { is_young: age.is_ok_and(|age| age < WAIT_FOR_YOUNG) });
    }
    if rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        return Ok(Owner::Rd);
    }
    let is_still_there = match (file.metadata(), std::fs::symlink_metadata(path)) {
        (Ok(held), Ok(named)) => (held.dev(), held.ino()) == (named.dev(), named.ino()),
        _ => false,
    };
    if is_still_there {
        // Whoever else wants to remove it needs the flock(2) that is ours.
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(Error::io("remove", path)(error)),
            _ => {}
        }
    }
    Ok(Owner::Nobody)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_there_while_it_is_held() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("a/b/ref");
        let lock = Lock::acquire(&target).unwrap();
        assert!(dir.path().join("a/b/ref.lock").exists());
        assert!(matches!(owner(&lock.path).unwrap(), Owner::Rd));
        drop(lock);
        assert!(!dir.path().join("a/b/ref.lock").exists());
    }

    #[test]
    fn a_lock_whose_owner_died_is_broken() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("ref.lock"), MARK).unwrap();
        Lock::acquire(&dir.path().join("ref")).unwrap();
    }

    #[test]
    fn a_lock_that_lost_its_bytes_in_a_power_cut_is_broken() {
        let dir = tempfile::tempdir().unwrap();
        File::options().write(true).create_new(true).mode(MODE).open(dir.path().join("ref.lock")).unwrap();
        Lock::acquire(&dir.path().join("ref")).unwrap();
    }

    #[test]
    fn a_lock_of_gits_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let long_ago = std::time::SystemTime::now() - 2 * WAIT_FOR_YOUNG;
        File::create(dir.path().join("ref.lock")).unwrap().set_modified(long_ago).unwrap();
        let error = Lock::acquire(&dir.path().join("ref")).unwrap_err();
        assert!(error.to_string().contains("can't lock"), "{error}");
        assert!(dir.path().join("ref.lock").exists());
    }

    #[test]
    fn a_young_lock_of_gits_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let (target, lock) = (dir.path().join("ref"), dir.path().join("ref.lock"));
        std::fs::write(&lock, "").unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(WAIT_FOR_GIT + Duration::from_millis(300));
                std::fs::remove_file(&lock).unwrap();
            });
            Lock::acquire(&target).unwrap();
        });
    }

    #[test]
    fn many_take_turns() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("count");
        std::fs::write(&target, "0").unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        let _lock = Lock::acquire(&target).unwrap();
                        let count: u32 = std::fs::read_to_string(&target).unwrap().parse().unwrap();
                        std::fs::write(&target, (count + 1).to_string()).unwrap();
                    }
                });
            }
        });
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "160");
    }
}

//! A folder for files that have no name yet, which the next command clears away if its owner is killed.
//!
//! Its owner holds a lock (flock(2)) on it for as long as it lives; what nobody holds is left over. Locks die with
//! their process, so nothing here needs a clock or a process number.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};

use crate::{Error, Result};

/// What the folders of a store's writers begin with.
const PREFIX: &str = "tmp-";

/// A locked folder; removed when dropped.
pub(crate) struct Staging {
    path: PathBuf,
    lock: Flock<File>,
}

impl Staging {
    /// Make a folder in `parent`, and clear away what was left there.
    pub(crate) fn create(parent: &Path) -> Result<Self> {
        Self::create_named(parent, PREFIX)
    }

    /// As [`create`](Self::create), with names that begin with `prefix`. Renamed, it is no longer removed when dropped.
    pub(crate) fn create_named(parent: &Path, prefix: &str) -> Result<Self> {
        clear(parent, prefix)?;
        loop {
            let fresh = tempfile::Builder::new().prefix(prefix).tempdir_in(parent);
            let path = fresh.map_err(Error::io("create a folder in", parent))?.keep();
            // Between its making and its locking another command may have taken it for left over.
            if let Some(lock) = lock(&path)? {
                return Ok(Self { path, lock });
            }
        }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The folder itself, opened.
    pub(super) fn folder(&self) -> &File {
        &self.lock
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // What can't be removed now is cleared by a later command.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// Lock the folder at `path`; `None` where somebody else holds it or has removed it.
fn lock(path: &Path) -> Result<Option<Flock<File>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io("open", path)(error)),
    };
    let Ok(locked) = Flock::lock(file, FlockArg::LockExclusiveNonblock) else { return Ok(None) };
    let inode = locked.metadata().map_err(Error::io("stat", path))?.ino();
    let same = std::fs::metadata(path).is_ok_and(|there| there.ino() == inode);
    Ok(same.then_some(locked))
}

/// Remove the folders in `parent` that nobody holds. Others may write into `parent` too: what isn't ours stays.
fn clear(parent: &Path, prefix: &str) -> Result<()> {
    let is_ours = |path: &Path| {
        let user = rustix::process::geteuid().as_raw();
        path.symlink_metadata().is_ok_and(|there| there.is_dir() && there.uid() == user)
    };
    for entry in std::fs::read_dir(parent).map_err(Error::io("list", parent))? {
        let entry = entry.map_err(Error::io("list", parent))?;
        if entry.file_name().as_encoded_bytes().starts_with(prefix.as_bytes())
            && is_ours(&entry.path())
            && let Some(lock) = lock(&entry.path())?
        {
            drop(Staging { path: entry.path(), lock });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_stays_and_what_is_left_over_goes() {
        let dir = tempfile::tempdir().unwrap();
        let left = dir.path().join("tmp-left");
        std::fs::create_dir(&left).unwrap();
        std::fs::write(left.join("0"), "x").unwrap();
        let first = Staging::create(dir.path()).unwrap();
        assert!(!left.exists());
        let second = Staging::create(dir.path()).unwrap();
        assert!(first.path().exists() && second.path().exists());
        let gone = first.path().to_owned();
        drop(first);
        assert!(!gone.exists() && second.path().exists());
    }
}

//! Where what is damaged goes: `STORE/lost-found/SECONDS/` and the path that it had in the store.

use std::cell::OnceCell;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::store::sync;
use crate::{Error, Result};

/// A folder for what one repair takes out of the store; made when something is.
pub struct Aside {
    store: PathBuf,
    dir: OnceCell<PathBuf>,
}

impl Aside {
    /// For the store in the folder `store`.
    pub fn new(store: &Path) -> Self {
        Self { store: store.to_owned(), dir: OnceCell::new() }
    }

    /// The folder, relative to the store, where anything was put aside.
    pub fn used(&self) -> Option<&Path> {
        self.dir.get().map(|dir| dir.strip_prefix(&self.store).unwrap_or(dir))
    }

    /// Move a file or folder of the store, given by its path in it, out of it; false where it isn't there any more.
    pub fn take(&self, path: &Path) -> Result<bool> {
        let from = self.store.join(path);
        let to = self.place(path)?;
        match std::fs::rename(&from, &to) {
            Ok(()) => sync::sync_folder(from.parent().unwrap_or(&self.store)).map(|()| true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Error::io("move", from)(error)),
        }
    }

    /// Keep a copy of a file that is going to be replaced.
    pub fn keep(&self, path: &Path) -> Result<()> {
        let (from, to) = (self.store.join(path), self.place(path)?);
        let linked = std::fs::hard_link(&from, &to).or_else(|_| std::fs::copy(&from, &to).map(drop));
        match linked {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::io("copy", from)(error)),
            _ => Ok(()),
        }
    }

    /// Replace a file of the store by one that was made in the folder of [`draft`](Self::draft), keeping the old one.
    pub fn replace(&self, draft: &Path, path: &Path) -> Result<()> {
        self.keep(path)?;
        sync::sync_file(draft)?;
        let to = self.store.join(path);
        let folder = to.parent().unwrap_or(&self.store);
        std::fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        std::fs::rename(draft, &to).map_err(Error::io("replace", &to))?;
        sync::sync_folder(folder)
    }

    /// A path for a file in the making, on the store's filesystem.
    pub fn draft(&self) -> Result<PathBuf> {
        self.place(Path::new("draft"))
    }

    /// Where a file of the store goes; the folders for it are made.
    fn place(&self, path: &Path) -> Result<PathBuf> {
        let dir = match self.dir.get() {
            Some(dir) => dir,
            None => {
                let made = self.make()?;
                self.dir.get_or_init(|| made)
            }
        };
        let mut place = dir.join(path);
        let folder = place.parent().unwrap_or(dir);
        std::fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        // What was put here before stays.
        for number in 1.. {
            if place.symlink_metadata().is_err() {
                break;
            }
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            place.set_file_name(format!("{name}.{number}"));
        }
        Ok(place)
    }

    fn make(&self) -> Result<PathBuf> {
        let all = self.store.join("lost-found");
        std::fs::create_dir_all(&all).map_err(Error::io("create", &all))?;
        let seconds = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs();
        for second in seconds.. {
            let dir = all.join(second.to_string());
            match std::fs::create_dir(&dir) {
                Ok(()) => return Ok(dir),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(Error::io("create", dir)(error)),
            }
        }
        unreachable!("because there are more seconds than repairs")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_aside_keeps_its_path_and_covers_nothing() {
        let store = tempfile::tempdir().unwrap();
        let aside = Aside::new(store.path());
        assert!(aside.used().is_none());
        let path = Path::new("content/ab/c");
        std::fs::create_dir_all(store.path().join("content/ab")).unwrap();
        for text in ["one", "two"] {
            std::fs::write(store.path().join(path), text).unwrap();
            assert!(aside.take(path).unwrap());
        }
        assert!(!aside.take(path).unwrap());
        let dir = store.path().join(aside.used().unwrap());
        let read = |name: &str| std::fs::read_to_string(dir.join(name)).unwrap();
        assert_eq!((read("content/ab/c"), read("content/ab/c.1")), ("one".into(), "two".into()));
    }
}

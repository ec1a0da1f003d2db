//! The bytes of regular files: raw, mode 0444, named by their git blob id.
//!
//! A content gets its name only after its bytes are on disk: it is written into a staging folder, and
//! [`Contents::publish`] syncs and renames. A name in `content/` can therefore be trusted, also after a power cut.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::sync;
use crate::{Error, Id, Result};

/// Up to so many new files are flushed one by one; beyond that the filesystem is flushed once.
const FEW: usize = 32;

/// `ab/cdef…`: where the content `id` lies below the content folder.
pub fn content_path(id: &Id) -> PathBuf {
    let hex = id.to_hex().to_string();
    Path::new(&hex[..2]).join(&hex[2..])
}

/// A hasher for a content of `size` bytes: what git's blob id hashes, `"blob <size>\0"` first.
pub fn content_hasher(size: u64) -> gix::hash::Hasher {
    let mut hasher = gix::hash::hasher(gix::hash::Kind::Sha256);
    hasher.update(&gix::objs::encode::loose_header(gix::objs::Kind::Blob, size));
    hasher
}

/// The id of a content that is in memory.
pub fn hash_content(bytes: &[u8]) -> Id {
    let mut hasher = content_hasher(bytes.len() as u64);
    hasher.update(bytes);
    finish(hasher)
}

fn finish(hasher: gix::hash::Hasher) -> Id {
    hasher.try_finalize().expect("because SHA-256 has no collision detection that could fail")
}

/// New contents on their way into the store; may be shared between threads.
///
/// Dropped without [`publish`](Self::publish), it removes what it staged.
pub struct Contents {
    dir: PathBuf,
    staging: tempfile::TempDir,
    /// Contents written here and contents found in the store, with the staged file's number.
    known: Mutex<HashMap<Id, Option<u64>>>,
    next: AtomicU64,
}

impl Contents {
    /// Start staging contents for the store whose content folder is `dir`.
    pub(super) fn create(dir: &Path) -> Result<Self> {
        let staging =
            tempfile::Builder::new().prefix("tmp-").tempdir_in(dir).map_err(Error::io("create a folder in", dir))?;
        Ok(Self { dir: dir.to_owned(), staging, known: Mutex::default(), next: AtomicU64::new(0) })
    }

    /// Add a content that is in memory.
    pub fn put(&self, bytes: &[u8]) -> Result<Id> {
        let id = hash_content(bytes);
        if self.is_known(&id) {
            return Ok(id);
        }
        let (number, path) = self.next_file();
        let mut file = create_file(&path)?;
        file.write_all(bytes).map_err(Error::io("write", &path))?;
        self.keep(id, number, &path)?;
        Ok(id)
    }

    /// Add a content of exactly `size` bytes from `reader`; a shorter stream is an error of kind `UnexpectedEof`.
    pub fn copy(&self, size: u64, reader: &mut dyn Read) -> Result<Id> {
        let (number, path) = self.next_file();
        let mut file = create_file(&path)?;
        let mut hasher = content_hasher(size);
        let mut buffer = vec![0; 256 * 1024];
        let mut left = size;
        while left > 0 {
            let want = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let got = match reader.read(&mut buffer[..want]) {
                Ok(0) => return Err(Error::io("read the bytes of", &path)(std::io::ErrorKind::UnexpectedEof.into())),
                Ok(got) => got,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Error::io("read the bytes of", &path)(error)),
            };
            hasher.update(&buffer[..got]);
            file.write_all(&buffer[..got]).map_err(Error::io("write", &path))?;
            left -= got as u64;
        }
        let id = finish(hasher);
        if self.is_known(&id) {
            std::fs::remove_file(&path).map_err(Error::io("remove", &path))?;
        } else {
            self.keep(id, number, &path)?;
        }
        Ok(id)
    }

    fn next_file(&self) -> (u64, PathBuf) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        (number, self.staged(number))
    }

    fn staged(&self, number: u64) -> PathBuf {
        self.staging.path().join(number.to_string())
    }

    fn is_known(&self, id: &Id) -> bool {
        if self.lock().contains_key(id) {
            return true;
        }
        let stored = self.dir.join(content_path(id)).exists();
        if stored {
            self.lock().entry(*id).or_insert(None);
        }
        stored
    }

    /// Remember a staged file; the loser of two equal contents at once is removed.
    fn keep(&self, id: Id, number: u64, path: &Path) -> Result<()> {
        let loser = {
            let mut known = self.lock();
            match known.entry(id) {
                std::collections::hash_map::Entry::Occupied(_) => true,
                std::collections::hash_map::Entry::Vacant(slot) => {
                    slot.insert(Some(number));
                    false
                }
            }
        };
        if loser {
            std::fs::remove_file(path).map_err(Error::io("remove", path))?;
        }
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Id, Option<u64>>> {
        self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Flush the staged bytes and give them their names. The names are durable once the folders are
    /// synced, which is returned to the caller as a list for [`sync_names`].
    pub(super) fn publish(self) -> Result<Published> {
        let known = std::mem::take(&mut *self.lock());
        let staged: Vec<(Id, u64)> = known.iter().filter_map(|(id, n)| n.map(|n| (*id, n))).collect();
        if staged.len() <= FEW {
            for (_, number) in &staged {
                sync::sync_file(&self.staged(*number))?;
            }
        } else {
            sync::sync_filesystem(self.staging.path())?;
        }
        for (id, number) in &staged {
            self.rename(id, &self.staged(*number))?;
        }
        Ok(Published { dir: self.dir.clone(), ids: known.into_keys().collect() })
    }

    fn rename(&self, id: &Id, from: &Path) -> Result<()> {
        let to = self.dir.join(content_path(id));
        match std::fs::rename(from, &to) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::io("create", to)(error)),
        }
        let folder = to.parent().expect("because a content path has two components");
        std::fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        std::fs::rename(from, &to).map_err(Error::io("create", to))
    }
}

/// Contents that have their names, which may not be durable yet.
pub(super) struct Published {
    dir: PathBuf,
    ids: Vec<Id>,
}

impl Published {
    /// Make the names durable: also those that another command made a moment ago.
    pub(super) fn sync(&self) -> Result<()> {
        if self.ids.len() > FEW {
            return sync::sync_filesystem(&self.dir);
        }
        let mut folders: Vec<PathBuf> =
            self.ids.iter().filter_map(|id| self.dir.join(content_path(id)).parent().map(Path::to_owned)).collect();
        folders.sort();
        folders.dedup();
        folders.iter().try_for_each(|folder| sync::sync_folder(folder))?;
        if folders.is_empty() { Ok(()) } else { sync::sync_folder(&self.dir) }
    }
}

/// A staged file: readable by all, writable by nobody, as it will stay.
fn create_file(path: &Path) -> Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new().write(true).create_new(true).mode(0o444).open(path).map_err(Error::io("create", path))
}

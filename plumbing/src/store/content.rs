//! The bytes of regular files: raw, mode 0444, named by their git blob id.
//!
//! A content gets its name only after its bytes are on disk: it is written into a staging folder, and
//! [`Contents::publish`] syncs and renames. A name in `content/` can therefore be trusted, also after a power cut.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use rustix::fs::{AtFlags, Mode, OFlags, Timespec, Timestamps, UTIME_NOW};

use super::staging::Staging;
use super::sync;
use crate::{Error, Id, Result};

/// Up to so many new files are flushed one by one; beyond that the filesystem is flushed once.
const FEW: usize = 32;

/// So many contents lie in the staging folder itself. Beyond that they lie in folders as in the store: threads that make files
/// in one folder wait for each other, and a whole folder can be renamed at once.
const FLAT: u64 = 64;

/// A content that is older than so many seconds gets a new date when it is needed again.
const FRESH: i64 = 3600;

/// Bytes are looked at in pieces up to the next multiple of this; pieces that are all zero become holes.
const HOLE: usize = 64 * 1024;

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
    hash_parts(&[bytes])
}

fn hash_parts(parts: &[&[u8]]) -> Id {
    let mut hasher = content_hasher(size_of(parts));
    parts.iter().for_each(|part| hasher.update(part));
    finish(hasher)
}

fn size_of(parts: &[&[u8]]) -> u64 {
    parts.iter().map(|part| part.len() as u64).sum()
}

fn finish(hasher: gix::hash::Hasher) -> Id {
    hasher.try_finalize().expect("because SHA-256 has no collision detection that could fail")
}

/// Where a content is staged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In the staging folder, by number.
    Number(u64),
    /// In a folder of the staging folder, both named as in the store.
    Folder(Id),
}

impl Place {
    /// The path in the staging folder.
    fn path(self) -> PathBuf {
        match self {
            // No folder has a name of this kind.
            Place::Number(number) => PathBuf::from(format!("n{number}")),
            Place::Folder(id) => content_path(&id),
        }
    }
}

/// New contents on their way into the store; may be shared between threads.
///
/// Dropped without [`publish`](Self::publish), it removes what it staged.
pub struct Contents {
    dir: PathBuf,
    dir_fd: File,
    staging: Arc<Staging>,
    /// Contents written here, with their places, and contents found in the store.
    known: Mutex<HashMap<Id, Option<Place>>>,
    next: AtomicU64,
    /// Which folders of [`Place::Folder`] exist.
    folders: [AtomicBool; 256],
    /// Nothing is kept: contents only get their ids.
    hash_only: bool,
    /// When it was made, in seconds since 1970.
    begun: i64,
}

impl Contents {
    /// Start staging contents in `staging` for the store whose content folder is `dir`.
    pub(super) fn create(dir: &Path, staging: Arc<Staging>, hash_only: bool) -> Result<Self> {
        let dir_fd = File::open(dir).map_err(Error::io("open", dir))?;
        Ok(Self {
            dir: dir.to_owned(),
            dir_fd,
            staging,
            known: Mutex::default(),
            next: AtomicU64::new(0),
            folders: [const { AtomicBool::new(false) }; 256],
            hash_only,
            begun: crate::commit::now(),
        })
    }

    /// Add a content that is in memory.
    pub fn put(&self, bytes: &[u8]) -> Result<Id> {
        self.put_parts(&[bytes])
    }

    /// Add a content that is in memory in several parts.
    pub fn put_parts(&self, parts: &[&[u8]]) -> Result<Id> {
        let id = hash_parts(parts);
        if self.hash_only || self.is_known(&id) {
            return Ok(id);
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut writer = if number < FLAT {
            Writer::create(self, Place::Number(number), size_of(parts))?
        } else {
            match self.create_in_folder(id, size_of(parts))? {
                Some(writer) => writer,
                // Another thread writes the same content, and keeps it.
                None => return Ok(id),
            }
        };
        parts.iter().try_for_each(|part| writer.write_bytes(part))?;
        writer.keep(id)?;
        Ok(id)
    }

    /// Add a content of exactly `size` bytes from `reader`; a shorter stream is an error of kind `UnexpectedEof`.
    pub fn copy(&self, size: u64, reader: &mut dyn Read) -> Result<Id> {
        let mut writer = self.begin(size)?;
        let mut buffer = vec![0; 256 * 1024];
        while writer.missing() > 0 {
            let want = buffer.len().min(usize::try_from(writer.missing()).unwrap_or(usize::MAX));
            match reader.read(&mut buffer[..want]) {
                Ok(0) => return Err(writer.failed("read the bytes of", ErrorKind::UnexpectedEof.into())),
                Ok(got) => writer.write(&buffer[..got])?,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(writer.failed("read the bytes of", error)),
            }
        }
        writer.finish()
    }

    /// Start to write a content of `size` bytes that comes piece by piece.
    pub fn begin(&self, size: u64) -> Result<ContentWriter<'_>> {
        let place = Place::Number(self.next.fetch_add(1, Ordering::Relaxed));
        Ok(ContentWriter { file: Writer::create(self, place, size)?, hasher: content_hasher(size) })
    }

    fn staged(&self, place: Place) -> PathBuf {
        self.staging.path().join(place.path())
    }

    /// Stage the content `id` under its own name; `None` where another thread is at it.
    fn create_in_folder(&self, id: Id, size: u64) -> Result<Option<Writer<'_>>> {
        let place = Place::Folder(id);
        let made = &self.folders[usize::from(id.first_byte())];
        if !made.load(Ordering::Acquire) {
            let path = self.staged(place);
            let folder = path.parent().expect("because a content path has two components");
            std::fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
            made.store(true, Ordering::Release);
        }
        match Writer::create(self, place, size) {
            Err(Error::Io { source, .. }) if source.kind() == ErrorKind::AlreadyExists => Ok(None),
            result => result.map(Some),
        }
    }

    fn is_known(&self, id: &Id) -> bool {
        if self.lock().contains_key(id) {
            return true;
        }
        let Ok(found) = rustix::fs::statat(&self.dir_fd, content_path(id), AtFlags::SYMLINK_NOFOLLOW) else {
            return false;
        };
        if found.st_mtime < self.begun - FRESH && self.freshen(id).is_err() {
            return false;
        }
        self.lock().entry(*id).or_insert(None);
        true
    }

    /// A content that is needed again is as young as a new one: `rd gc` spares it although nothing refers to it yet.
    fn freshen(&self, id: &Id) -> rustix::io::Result<()> {
        let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
        let times = Timestamps { last_access: now, last_modification: now };
        rustix::fs::utimensat(&self.dir_fd, content_path(id), &times, AtFlags::SYMLINK_NOFOLLOW)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Id, Option<Place>>> {
        self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Flush the staged bytes, which happens at the end anyhow: worth calling while there is other work to do.
    pub fn flush(&self) -> Result<()> {
        match self.staged_files() {
            Some(files) => sync::sync_all(&files),
            None => sync::sync_filesystem(self.staging.path()),
        }
    }

    /// The files whose bytes must be on disk before they get their names; `None` for so many that it is better to flush
    /// the filesystem.
    pub(super) fn staged_files(&self) -> Option<Vec<PathBuf>> {
        let staged: Vec<Place> = self.lock().values().filter_map(|place| *place).collect();
        (staged.len() <= FEW).then(|| staged.into_iter().map(|place| self.staged(place)).collect())
    }

    /// Give the staged bytes, which are on disk, their names. These are durable once their folders are flushed, which
    /// are returned; `None` for so many that it is better to flush the filesystem.
    pub(super) fn publish(self) -> Result<Option<Vec<PathBuf>>> {
        let known = std::mem::take(&mut *self.lock());
        let whole = self.rename_folders()?;
        for (id, place) in &known {
            match place {
                Some(Place::Folder(_)) if whole[usize::from(id.first_byte())] => {}
                Some(place) => self.rename(id, &self.staged(*place))?,
                None => {}
            }
        }
        // Also the names of those that were there: another command may have made them a moment ago.
        Ok((known.len() <= FEW).then(|| self.folders_of(known.keys())))
    }

    fn folders_of<'i>(&self, ids: impl Iterator<Item = &'i Id>) -> Vec<PathBuf> {
        let mut folders: Vec<PathBuf> =
            ids.filter_map(|id| self.dir.join(content_path(id)).parent().map(Path::to_owned)).collect();
        if !folders.is_empty() {
            folders.push(self.dir.clone());
        }
        folders.sort();
        folders.dedup();
        folders
    }

    /// Rename the folders that the store doesn't have yet; which they were.
    fn rename_folders(&self) -> Result<[bool; 256]> {
        let mut whole = [false; 256];
        for (byte, whole) in whole.iter_mut().enumerate() {
            if !self.folders[byte].load(Ordering::Acquire) {
                continue;
            }
            let name = format!("{byte:02x}");
            let to = self.dir.join(&name);
            *whole = match std::fs::rename(self.staging.path().join(&name), &to) {
                Ok(()) => true,
                Err(error) if matches!(error.kind(), ErrorKind::DirectoryNotEmpty | ErrorKind::AlreadyExists) => false,
                Err(error) => return Err(Error::io("create", to)(error)),
            };
        }
        Ok(whole)
    }

    fn rename(&self, id: &Id, from: &Path) -> Result<()> {
        let to = self.dir.join(content_path(id));
        match std::fs::rename(from, &to) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(Error::io("create", to)(error)),
        }
        let folder = to.parent().expect("because a content path has two components");
        std::fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        std::fs::rename(from, &to).map_err(Error::io("create", to))
    }
}

/// A content that is written piece by piece. Dropped before [`finish`](Self::finish), it leaves nothing.
pub struct ContentWriter<'c> {
    file: Writer<'c>,
    hasher: gix::hash::Hasher,
}

impl ContentWriter<'_> {
    /// Add bytes. More than the size that was said are refused.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        if bytes.len() as u64 > self.missing() {
            return Err(self.failed("write more than announced to", ErrorKind::InvalidInput.into()));
        }
        self.hasher.update(bytes);
        if self.file.contents.hash_only {
            self.file.at += bytes.len() as u64;
            return Ok(());
        }
        self.file.write(bytes)
    }

    /// Add `length` zeros, which take no room on disk.
    pub fn hole(&mut self, length: u64) -> Result<()> {
        static ZEROS: [u8; HOLE] = [0; HOLE];
        if length > self.missing() {
            return Err(self.failed("write more than announced to", ErrorKind::InvalidInput.into()));
        }
        let mut left = length;
        while left > 0 {
            let now = left.min(HOLE as u64);
            self.hasher.update(&ZEROS[..now as usize]);
            left -= now;
        }
        self.file.at += length;
        Ok(())
    }

    /// The number of bytes still to come.
    pub fn missing(&self) -> u64 {
        self.file.size - self.file.at
    }

    /// Give the content its id. All bytes must have come.
    pub fn finish(mut self) -> Result<Id> {
        if self.missing() > 0 {
            return Err(self.failed("write less than announced to", ErrorKind::UnexpectedEof.into()));
        }
        let hasher = std::mem::replace(&mut self.hasher, gix::hash::hasher(gix::hash::Kind::Sha256));
        let id = finish(hasher);
        if self.file.contents.hash_only || self.file.contents.is_known(&id) {
            return Ok(id);
        }
        self.file.keep(id)?;
        Ok(id)
    }

    fn failed(&self, verb: &'static str, error: std::io::Error) -> Error {
        Error::io(verb, self.file.contents.staged(self.file.place))(error)
    }
}

/// A staged file: readable by all, writable by nobody, as it will stay.
struct Writer<'c> {
    contents: &'c Contents,
    file: File,
    place: Place,
    size: u64,
    at: u64,
    /// How far bytes were written: behind it is a hole.
    end: u64,
    kept: bool,
}

impl<'c> Writer<'c> {
    fn create(contents: &'c Contents, place: Place, size: u64) -> Result<Self> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = rustix::fs::openat(contents.staging.folder(), place.path(), flags, Mode::from_raw_mode(0o444))
            .map_err(|errno| Error::io("create", contents.staged(place))(errno.into()))?;
        Ok(Self { contents, file: file.into(), place, size, at: 0, end: 0, kept: false })
    }

    /// Write bytes, leaving holes where long runs of them are zero.
    fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let to_boundary = HOLE - (self.at % HOLE as u64) as usize;
            let (now, rest) = bytes.split_at(bytes.len().min(to_boundary));
            if now.iter().all(|byte| *byte == 0) {
                self.at += now.len() as u64;
            } else {
                self.write_bytes(now)?;
            }
            bytes = rest;
        }
        Ok(())
    }

    fn write_bytes(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all_at(bytes, self.at).map_err(|error| self.failed("write", error))?;
        self.at += bytes.len() as u64;
        self.end = self.at;
        Ok(())
    }

    fn failed(&self, verb: &'static str, error: std::io::Error) -> Error {
        Error::io(verb, self.contents.staged(self.place))(error)
    }

    /// Remember the staged file; the loser of two equal contents at once is removed.
    fn keep(mut self, id: Id) -> Result<()> {
        if self.end < self.size {
            self.file.set_len(self.size).map_err(|error| self.failed("write", error))?;
        }
        if let Entry::Vacant(slot) = self.contents.lock().entry(id) {
            slot.insert(Some(self.place));
            self.kept = true;
        }
        Ok(())
    }
}

impl Drop for Writer<'_> {
    fn drop(&mut self) {
        if !self.kept {
            // What can't be removed now goes with the staging folder.
            let _ = std::fs::remove_file(self.contents.staged(self.place));
        }
    }
}

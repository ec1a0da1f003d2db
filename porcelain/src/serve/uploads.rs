//! Blobs that came and that no manifest needs yet: outside of the store's objects, and gone after a day.
//!
//! `STORE/uploads/` (`docs/format.md`, "Uploads"): sessions in `open/`, whole blobs in `done/`. A session is locked
//! (flock) by the request that writes to it.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use nix::fcntl::{Flock, FlockArg};
use plumbing::digest::{Digest, Hasher};

use super::problem::{Answer, Problem};
use super::repository::Repository;
use crate::{IoResultExt, Result};

/// What nobody touched for so long goes.
const STALE: Duration = Duration::from_secs(24 * 3600);

/// Sessions that may be open at once.
const MOST_SESSIONS: usize = 4096;

/// Where blobs wait.
pub(super) struct Uploads {
    dir: PathBuf,
    /// The largest blob, in bytes.
    largest: u64,
    /// How far sessions are hashed: id, bytes.
    hashed: Mutex<HashMap<String, (Hasher, u64)>>,
}

/// An upload that this request works on.
pub(super) struct Session<'u> {
    uploads: &'u Uploads,
    id: String,
    path: PathBuf,
    file: Flock<File>,
    /// Bytes that are there.
    pub(super) size: u64,
}

/// A blob that waits in a repository.
pub(super) enum Waiting {
    /// Its bytes.
    File(PathBuf, u64),
    /// They are another repository's.
    Mounted(String),
}

impl Uploads {
    pub(super) fn new(store: &Path, largest: u64) -> Self {
        Self { dir: store.join("uploads"), largest, hashed: Mutex::default() }
    }

    fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.dir.join(name);
        std::fs::create_dir_all(&folder).on("create", &folder)?;
        Ok(folder)
    }

    /// Begin a session.
    pub(super) fn begin(&self, repository: &Repository) -> Answer<Session<'_>> {
        let open = self.folder("open")?;
        let count = || std::fs::read_dir(&open).map_or(0, Iterator::count);
        if count() >= MOST_SESSIONS && (self.clear_stale().is_err() || count() >= MOST_SESSIONS) {
            return Err(Problem::too_many("too many uploads are under way"));
        }
        let mut random = [0; 16];
        rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty()).on("read", "random numbers")?;
        let id = u128::from_ne_bytes(random);
        let id = format!("{id:032x}");
        let path = open.join(format!("{id}.{}", repository.mark()));
        let file = File::options().read(true).write(true).create_new(true).open(&path).on("create", &path)?;
        let file = lock(file)?.ok_or_else(busy)?;
        Ok(Session { uploads: self, id, path, file, size: 0 })
    }

    /// The session of this id.
    pub(super) fn session(&self, repository: &Repository, id: &str) -> Answer<Session<'_>> {
        let unknown = || Problem::upload_unknown("no such upload: it ended, was cancelled or is too old");
        let path = self.dir.join("open").join(format!("{id}.{}", repository.mark()));
        let file = match File::options().read(true).write(true).open(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(unknown()),
            file => file.on("open", &path)?,
        };
        let file = lock(file)?.ok_or_else(busy)?;
        // Another request may have ended it before this one had the lock.
        if !path.exists() {
            return Err(unknown());
        }
        let size = file.metadata().on("stat", &path)?.len();
        Ok(Session { uploads: self, id: id.into(), path, file, size })
    }

    fn done_path(&self, repository: &Repository, digest: &Digest) -> PathBuf {
        self.dir.join("done").join(format!("{}.{}", digest.hex(), repository.mark()))
    }

    fn mount_path(&self, repository: &Repository, digest: &Digest) -> PathBuf {
        self.dir.join("done").join(format!("{}.{}.from", digest.hex(), repository.mark()))
    }

    /// The blob that waits in a repository.
    pub(super) fn waiting(&self, repository: &Repository, digest: &Digest) -> Result<Option<Waiting>> {
        let path = self.done_path(repository, digest);
        if let Ok(file) = File::open(&path) {
            // Who asks for it means to use it: it stays for another day.
            let _ = file.set_modified(SystemTime::now());
            let size = file.metadata().on("stat", &path)?.len();
            return Ok(Some(Waiting::File(path, size)));
        }
        let path = self.mount_path(repository, digest);
        match std::fs::read_to_string(&path) {
            Ok(from) => Ok(Some(Waiting::Mounted(from))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).on("read", &path),
        }
    }

    /// Let a repository have a blob of another one: that of a manifest, or one that waits there.
    pub(super) fn mount(&self, from: &Repository, to: &Repository, digest: &Digest) -> Result<()> {
        self.folder("done")?;
        let (source, target) = (self.done_path(from, digest), self.done_path(to, digest));
        match std::fs::hard_link(&source, &target) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let path = self.mount_path(to, digest);
                let mut draft = tempfile::NamedTempFile::new_in(&self.dir).on("create a file in", &self.dir)?;
                draft.write_all(from.full().as_bytes()).on("write", &path)?;
                draft.persist(&path).map(drop).map_err(|error| error.error).on("write", &path)
            }
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error).on("link", &target),
            _ => Ok(()),
        }
    }

    /// Let a repository have a blob that waits in any other; whether there is one.
    pub(super) fn mount_any(&self, to: &Repository, digest: &Digest) -> Result<bool> {
        let done = self.folder("done")?;
        let prefix = format!("{}.", digest.hex());
        for entry in std::fs::read_dir(&done).on("list", &done)? {
            let entry = entry.on("list", &done)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_blob = name.strip_prefix(&prefix).is_some_and(|rest| !rest.contains('.'));
            if is_blob && std::fs::hard_link(entry.path(), self.done_path(to, digest)).is_ok() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Forget a blob that waits; whether there was one.
    pub(super) fn forget(&self, repository: &Repository, digest: &Digest) -> Result<bool> {
        let mut was_there = false;
        for path in [self.done_path(repository, digest), self.mount_path(repository, digest)] {
            was_there |= remove(&path)?;
        }
        Ok(was_there)
    }

    /// Remove what nobody touched for a day.
    pub(super) fn clear_stale(&self) -> Result<()> {
        clear_stale(&self.dir, STALE)
    }

    fn hashes(&self) -> std::sync::MutexGuard<'_, HashMap<String, (Hasher, u64)>> {
        self.hashed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Remove what is older in the folder of uploads `dir`.
fn clear_stale(dir: &Path, age: Duration) -> Result<()> {
    for folder in ["open", "done", ""] {
        let folder = dir.join(folder);
        let entries = match std::fs::read_dir(&folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            entries => entries.on("list", &folder)?,
        };
        for entry in entries {
            let entry = entry.on("list", &folder)?;
            let Ok(about) = entry.metadata() else { continue };
            let touched = about.modified().ok().and_then(|time| SystemTime::now().duration_since(time).ok());
            let is_stale = touched.is_some_and(|passed| passed >= age);
            if is_stale && about.is_file() {
                remove(&entry.path())?;
            }
        }
    }
    Ok(())
}

fn busy() -> Problem {
    Problem::upload_busy("another request writes to this upload")
}

/// Lock a session; `None` where another request has it.
fn lock(file: File) -> Result<Option<Flock<File>>> {
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(Some(lock)),
        Err((_, nix::errno::Errno::EWOULDBLOCK)) => Ok(None),
        Err((_, errno)) => Err(errno).on("lock", "an upload"),
    }
}

fn remove(path: &Path) -> Result<bool> {
    match std::fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).on("remove", path),
    }
}

impl Session<'_> {
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Add bytes until `body` ends, at most `most` where that is known. What came stays where it breaks off, so that the
    /// client can go on from there.
    pub(super) fn append(&mut self, body: &mut dyn Read, most: Option<u64>) -> Answer<()> {
        let before = self.size;
        let (mut hasher, hashed) = self.uploads.hashes().remove(&self.id).unwrap_or_default();
        let mut hashes = hashed == self.size;
        self.file.seek(SeekFrom::Start(self.size)).on("read", &self.path)?;
        let mut buffer = vec![0; 128 << 10];
        let outcome = loop {
            let count = match body.read(&mut buffer) {
                Ok(0) => break Ok(()),
                Ok(count) => count,
                Err(error) if error.kind() == std::io::ErrorKind::TimedOut => {
                    break Err(Problem::timed_out("nothing came for a while"));
                }
                Err(error) => break Err(Problem::upload_invalid(format!("the upload broke off: {error}"))),
            };
            if most.is_some_and(|most| self.size - before + count as u64 > most) {
                self.cut(before)?;
                hashes &= before == 0;
                hasher = Hasher::default();
                break Err(Problem::size_invalid("there are more bytes than the range says"));
            }
            if self.size + count as u64 > self.uploads.largest {
                self.remove()?;
                let largest = self.uploads.largest;
                return Err(Problem::blob_too_large(format!("blobs may have {largest} bytes here")));
            }
            if let Err(error) = self.file.write_all(&buffer[..count]) {
                self.cut(before)?;
                return Err(crate::Error::io("write", &self.path, error).into());
            }
            hasher.update(&buffer[..count]);
            self.size += count as u64;
        };
        if hashes {
            self.uploads.hashes().insert(self.id.clone(), (hasher, self.size));
        }
        outcome
    }

    /// Take back what came since.
    pub(super) fn cut(&mut self, size: u64) -> Result<()> {
        self.size = size;
        self.file.set_len(size).on("shorten", &self.path)
    }

    /// It is whole: give it its place, if it is what `digest` says.
    pub(super) fn finish(self, repository: &Repository, digest: &Digest) -> Answer<()> {
        let found = match self.uploads.hashes().remove(&self.id) {
            Some((hasher, size)) if size == self.size => hasher.finish(),
            _ => self.hash()?,
        };
        if found != *digest {
            let size = self.size;
            self.remove()?;
            return Err(Problem::digest_invalid(format!("it should be {digest}, and is {found} of {size} bytes")));
        }
        self.uploads.folder("done")?;
        let target = self.uploads.done_path(repository, digest);
        std::fs::rename(&self.path, &target).on("rename", &target)?;
        Ok(())
    }

    fn hash(&self) -> Result<Digest> {
        let mut file = File::open(&self.path).on("open", &self.path)?;
        let mut hasher = Hasher::default();
        let mut buffer = vec![0; 128 << 10];
        loop {
            match file.read(&mut buffer).on("read", &self.path)? {
                0 => return Ok(hasher.finish()),
                count => hasher.update(&buffer[..count]),
            }
        }
    }

    /// End it without a blob.
    pub(super) fn remove(&self) -> Result<()> {
        self.uploads.hashes().remove(&self.id);
        remove(&self.path).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository(name: &str) -> Repository {
        Repository::parse(name).unwrap()
    }

    #[test]
    fn an_upload_goes_on_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let web = repository("web");
        let uploads = Uploads::new(dir.path(), 100);
        let mut session = uploads.begin(&web).unwrap();
        session.append(&mut &b"hel"[..], None).unwrap();
        let id = session.id().to_owned();
        assert!(uploads.session(&web, &id).is_err(), "somebody else is at it");
        drop(session);
        let uploads = Uploads::new(dir.path(), 100);
        assert!(uploads.session(&repository("other"), &id).is_err());
        let mut session = uploads.session(&web, &id).unwrap();
        assert_eq!(session.size, 3);
        session.append(&mut &b"lo"[..], Some(2)).unwrap();
        session.finish(&web, &Digest::of(b"hello")).unwrap();
        assert!(uploads.session(&web, &id).is_err());
        let Some(Waiting::File(path, 5)) = uploads.waiting(&web, &Digest::of(b"hello")).unwrap() else { panic!() };
        assert_eq!(std::fs::read(path).unwrap(), b"hello");
    }

    #[test]
    fn too_much_is_taken_back() {
        let dir = tempfile::tempdir().unwrap();
        let web = repository("web");
        let uploads = Uploads::new(dir.path(), 10);
        let mut session = uploads.begin(&web).unwrap();
        session.append(&mut &b"12345"[..], None).unwrap();
        assert!(session.append(&mut &b"123"[..], Some(2)).is_err());
        assert_eq!(session.size, 5, "a chunk that lies about its size leaves what was there");
        assert_eq!(session.append(&mut &b"123456"[..], None).unwrap_err().status.as_u16(), 413);
        let id = session.id().to_owned();
        drop(session);
        assert!(uploads.session(&web, &id).is_err(), "a blob that is too large is not kept");
    }

    #[test]
    fn stale_uploads_go() {
        let dir = tempfile::tempdir().unwrap();
        let (web, other) = (repository("web"), repository("other"));
        let uploads = Uploads::new(dir.path(), 10);
        let id = uploads.begin(&web).unwrap().id().to_owned();
        let mut session = uploads.begin(&web).unwrap();
        session.append(&mut &b"x"[..], None).unwrap();
        session.finish(&web, &Digest::of(b"x")).unwrap();
        uploads.mount(&web, &other, &Digest::of(b"y")).unwrap();
        uploads.clear_stale().unwrap();
        drop(uploads.session(&web, &id).unwrap());
        assert!(
            matches!(uploads.waiting(&other, &Digest::of(b"y")).unwrap(), Some(Waiting::Mounted(from)) if from == web.full())
        );
        clear_stale(&dir.path().join("uploads"), Duration::ZERO).unwrap();
        assert!(uploads.session(&web, &id).is_err());
        assert!(uploads.waiting(&web, &Digest::of(b"x")).unwrap().is_none());
        assert!(uploads.waiting(&other, &Digest::of(b"y")).unwrap().is_none());
    }
}

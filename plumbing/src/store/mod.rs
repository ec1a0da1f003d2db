//! A store: a bare SHA-256 git repository, the raw contents beside it, and the folders of containers.
//!
//! Opening reads the configuration and refuses a format that this version doesn't know. Writing goes
//! through a [`Batch`]; names move through [`refs`].

mod arrivals;
mod batch;
mod config;
mod consolidate;
mod content;
mod count;
mod disk_usage;
mod hold;
mod objects;
mod pack;
mod pack_file;
mod places;
pub mod refs;
mod removed;
pub(crate) mod staging;
pub(crate) mod sync;
mod unneeded;

use std::path::{Path, PathBuf};

use gix::objs::Kind;

pub(crate) use arrivals::Arrivals;
pub use batch::Batch;
use batch::PACK_LIMIT;
pub use config::FORMAT;
pub(crate) use consolidate::{lock as lock_packs, remove as remove_pack};
pub use content::{ContentWriter, Contents, content_hasher, content_path, hash_content};
pub use count::Counts;
pub use disk_usage::DiskUsage;
pub(crate) use hold::Alone;
pub use hold::Hold;
pub use objects::{Found, Objects};
pub(crate) use pack::{
    Entry as PackEntry, HEADER as PACK_HEADER, MARK, StagedPack, TRAILER as PACK_TRAILER, UNNEEDED_MARK,
    encode_entry_header, encode_index, pack_header, sync_names,
};
pub(crate) use pack_file::PackFile;
pub use places::Place;
pub use removed::Removed;
pub(crate) use staging::Staging;

use crate::{Error, Id, Result};

/// A store for other threads: each makes one of its own of it, which is cheap.
pub(crate) struct SharedStore {
    dir: PathBuf,
    repo: gix::ThreadSafeRepository,
    ordinary: bool,
    sweeps: u64,
}

impl SharedStore {
    pub(crate) fn to_local(&self) -> Store {
        Store {
            dir: self.dir.clone(),
            repo: self.repo.to_thread_local(),
            ordinary: self.ordinary,
            held: hold::Held::default(),
            sweeps: self.sweeps,
        }
    }
}

/// How often an object is looked for anew before it is missing.
const TRIES: usize = 2;

/// An open store.
pub struct Store {
    dir: PathBuf,
    repo: gix::Repository,
    /// A git repository that rd didn't make: without contents, written as git would.
    ordinary: bool,
    held: hold::Held,
    /// How many sweeps of `rd gc` had removed objects when it was opened.
    sweeps: u64,
}

impl Store {
    /// Open the store at `dir`.
    ///
    /// `NotFound` where there is none, `Unsupported` where another format version wrote it.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self> {
        let dir = dir.into();
        if !dir.join("config").is_file() {
            return Err(Error::NotFound { what: "store", name: dir.display().to_string() });
        }
        let sweeps = hold::sweeps(&dir);
        let repo = config::open_repository(&dir)?;
        config::check_format(&dir, &repo)?;
        let repo = if config::protect(&dir, &repo) { config::open_repository(&dir)? } else { repo };
        Ok(Self { dir, repo, ordinary: false, held: hold::Held::default(), sweeps })
    }

    /// Open the SHA-256 git repository at `dir` (its git folder), be it a store or not: for the object commands, which
    /// work on both.
    pub fn open_git(dir: impl Into<PathBuf>) -> Result<Self> {
        let dir = dir.into();
        if !dir.join("HEAD").exists() || !dir.join("objects").is_dir() {
            return Err(Error::NotFound { what: "git repository", name: dir.display().to_string() });
        }
        let repo = config::open_repository(&dir)?;
        if repo.config_snapshot().integer("rd.format").is_some() {
            return Self::open(dir);
        }
        match repo.object_hash() {
            gix::hash::Kind::Sha256 => Ok(Self { dir, repo, ordinary: true, held: hold::Held::default(), sweeps: 0 }),
            other => Err(Error::Unsupported {
                what: format!("object format {other} of '{}'", dir.display()),
                why: "rd reads SHA-256 repositories only".into(),
            }),
        }
    }

    /// Whether this is a git repository that is no store of rd's: it has no contents and no promisor.
    pub fn is_ordinary(&self) -> bool {
        self.ordinary
    }

    /// Create an empty store at `dir`, which must not exist or be empty.
    pub fn create(dir: impl Into<PathBuf>) -> Result<Self> {
        let dir = dir.into();
        config::create(&dir)?;
        Self::open(dir)
    }

    /// Open the store at `dir`, creating it first where there is none.
    ///
    /// Two first commands at once are fine: one of them creates, both open.
    pub fn open_or_create(dir: impl Into<PathBuf>) -> Result<Self> {
        let dir = dir.into();
        match Self::open(&dir) {
            Err(Error::NotFound { .. }) => {}
            other => return other,
        }
        match config::create(&dir) {
            Ok(()) => {}
            Err(error) => return Self::open(&dir).map_err(|_| error),
        }
        Self::open(dir)
    }

    /// The store's folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The store for other threads to read.
    pub(crate) fn share(&self) -> SharedStore {
        let repo = self.repo.clone().into_sync();
        SharedStore { dir: self.dir.clone(), repo, ordinary: self.ordinary, sweeps: self.sweeps }
    }

    /// The git repository that the store is.
    pub fn repo(&self) -> &gix::Repository {
        &self.repo
    }

    /// The folder of raw contents, `ab/cdef…` by id.
    pub fn content_dir(&self) -> PathBuf {
        self.dir.join("content")
    }

    /// The folder in which files without a name are staged.
    pub(crate) fn staging_parent(&self) -> PathBuf {
        if self.ordinary { self.dir.join("objects") } else { self.content_dir() }
    }

    fn pack_dir(&self) -> PathBuf {
        self.dir.join("objects/pack")
    }

    /// The cache of mountable metadata images.
    pub fn mounts_dir(&self) -> PathBuf {
        self.dir.join("mounts")
    }

    /// The folder of container states, one folder each.
    pub fn containers_dir(&self) -> PathBuf {
        self.dir.join("containers")
    }

    /// The file that would hold the content `id`.
    pub fn content_file(&self, id: &Id) -> PathBuf {
        self.content_dir().join(content_path(id))
    }

    /// What lists the contents that lie as raw files, for another thread: quicker than asking for many of them one by one.
    pub(crate) fn content_lister(&self) -> impl FnOnce() -> Result<Vec<Id>> + Send + 'static {
        let folder = (!self.ordinary).then(|| self.content_dir());
        move || folder.map_or_else(|| Ok(Vec::new()), |folder| places::loose(&folder))
    }

    /// Open a content for reading where it lies as a raw file; `None` where it doesn't.
    pub fn open_content(&self, id: &Id) -> Result<Option<std::fs::File>> {
        let path = self.content_file(id);
        match std::fs::File::open(&path) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("open", path)(error)),
        }
    }

    /// Whether the content or object `id` can be read.
    pub fn has(&self, id: &Id) -> bool {
        self.content_file(id).exists() || self.repo.has_object(id)
    }

    /// The kind and the size in bytes of the content or object `id`; `None` where it is missing.
    pub fn find_header(&self, id: &Id) -> Result<Option<(Kind, u64)>> {
        let found = self.repo.try_find_header(*id).map_err(Error::git(format!("read object {id}")))?;
        if let Some(header) = found {
            return Ok(Some((header.kind(), header.size())));
        }
        let path = self.content_file(id);
        match std::fs::metadata(&path) {
            Ok(file) => Ok(Some((Kind::Blob, file.len()))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("stat", path)(error)),
        }
    }

    /// All bytes of the blob `id`: a raw content, or else a blob of the object database.
    pub fn read_blob(&self, id: &Id) -> Result<Vec<u8>> {
        let path = self.content_file(id);
        match std::fs::read(&path) {
            Ok(bytes) => Ok(bytes),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => self.read_object(id, Kind::Blob),
            Err(error) => Err(Error::io("read", path)(error)),
        }
    }

    /// A reader over the blob `id` and its size in bytes, without holding a raw content in memory.
    pub fn blob_reader(&self, id: &Id) -> Result<(Box<dyn std::io::Read>, u64)> {
        if let Some(file) = self.open_content(id)? {
            let size = file.metadata().map_err(Error::io("stat", self.content_file(id)))?.len();
            return Ok((Box::new(file), size));
        }
        let bytes = self.read_object(id, Kind::Blob)?;
        let size = bytes.len() as u64;
        Ok((Box::new(std::io::Cursor::new(bytes)), size))
    }

    /// The bytes of the object `id`, which must be of `kind`: of the git object database, and where that lacks a blob,
    /// of a raw content.
    pub fn read_object(&self, id: &Id, kind: Kind) -> Result<Vec<u8>> {
        let doing = || Error::git(format!("read object {id}"));
        let object = match self.repo.try_find_object(*id).map_err(doing())? {
            Some(object) => object.detach(),
            None => {
                if kind == Kind::Blob
                    && let Ok(bytes) = std::fs::read(self.content_file(id))
                {
                    return Ok(bytes);
                }
                self.find_again(id)?
                    .ok_or_else(|| Error::damaged(format!("store: {kind} {id}"), "the object is missing"))?
            }
        };
        if object.kind != kind {
            return Err(Error::damaged(
                format!("store: object {id}"),
                format!("expected a {kind}, found a {}", object.kind),
            ));
        }
        Ok(object.data)
    }

    /// Look for an object with eyes of their own: while packs are joined, a folder that is being read may show neither the
    /// new pack, which came where it was read already, nor the old one, which went before it was read.
    fn find_again(&self, id: &Id) -> Result<Option<gix::ObjectDetached>> {
        for _ in 0..TRIES {
            let repo = config::open_repository(&self.dir)?;
            let found = repo.try_find_object(*id).map_err(Error::git(format!("read object {id}")))?;
            if let Some(object) = found {
                return Ok(Some(object.detach()));
            }
        }
        Ok(None)
    }

    /// The object database as it is now, for who holds off `rd gc`: what was remembered of the packs before the last
    /// sweep may be wrong.
    fn current_objects(&self, hold: &Hold) -> Result<gix::OdbHandle> {
        if hold.sweeps() == self.sweeps {
            return Ok(self.repo.objects.clone());
        }
        Ok(config::open_repository(&self.dir)?.objects.clone())
    }

    /// Start a batch of writes.
    pub fn batch(&self) -> Batch<'_> {
        Batch::new(self, false)
    }

    /// Start a batch that only tells ids: contents are read and hashed, and nothing of it may be
    /// [finished](Batch::finish).
    pub fn hashing_batch(&self) -> Batch<'_> {
        Batch::new(self, true)
    }
}

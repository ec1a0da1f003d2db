//! Blobs of a repository: those that its manifests need, and those that wait for a manifest.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hyper::StatusCode;
use plumbing::config::LIMIT;
use plumbing::digest::Digest;
use plumbing::oci::Image;
use plumbing::{Id, Store, travel};

use super::Registry;
use super::held::{self, Held, Kind};
use super::problem::{Answer, Problem};
use super::range::{Wanted, wanted};
use super::reply::{Body, Reply};
use super::repository::Repository;
use super::uploads::Waiting;
use crate::{Error, IoResultExt, Result};

/// How often a mounted blob may be mounted from where it was mounted itself.
const MOUNTS: usize = 8;

/// A blob that can be had.
pub(super) struct Blob {
    pub(super) size: u64,
    source: Source,
}

/// Where its bytes are.
enum Source {
    /// It waits for a manifest.
    Waiting(PathBuf),
    /// In the store as they are.
    Content(Id),
    /// These.
    Bytes(&'static [u8]),
    /// In a file that several may read at once.
    Open(Arc<File>),
    /// Of an image: made as it is read, where it isn't kept.
    Image(Arc<Image>, Digest),
}

impl Blob {
    /// The file that it is, where it waits.
    pub(super) fn file(&self) -> Option<&Path> {
        match &self.source {
            Source::Waiting(path) => Some(path),
            _ => None,
        }
    }

    /// All of a blob that can't be large: `Refused` where it is.
    pub(super) fn read_small(self, store: &Store) -> Result<Vec<u8>> {
        if self.size > LIMIT {
            let why = format!("it has {} bytes, {LIMIT} are allowed", self.size);
            return Err(plumbing::Error::Refused { entry: "configuration".into(), why }.into());
        }
        let mut bytes = Vec::new();
        self.reader(store, 0)?.take(LIMIT).read_to_end(&mut bytes).on("read", "configuration")?;
        Ok(bytes)
    }

    /// A reader of its bytes from `offset` on.
    pub(super) fn reader(self, store: &Store, offset: u64) -> Result<Box<dyn Read + Send>> {
        Ok(match self.source {
            Source::Waiting(path) => from(File::open(&path).on("open", &path)?, offset)?,
            Source::Content(id) => match store.open_content(&id)? {
                Some(file) => from(file, offset)?,
                None => rest(store.read_blob(&id)?, offset),
            },
            Source::Bytes(bytes) => rest(bytes.to_vec(), offset),
            Source::Open(file) => Box::new(Shared { file, at: offset }),
            Source::Image(image, digest) => match image.blob(store, &digest, offset)? {
                Some((reader, _)) => reader,
                None => return Err(Error::NotFound { what: "blob", name: digest.to_string() }),
            },
        })
    }
}

fn from(mut file: File, offset: u64) -> Result<Box<dyn Read + Send>> {
    file.seek(SeekFrom::Start(offset)).on("read", "blob")?;
    Ok(Box::new(file))
}

fn rest(bytes: Vec<u8>, offset: u64) -> Box<dyn Read + Send> {
    let mut reader = std::io::Cursor::new(bytes);
    reader.set_position(offset);
    Box::new(reader)
}

/// Reads a file without moving its position.
struct Shared {
    file: Arc<File>,
    at: u64,
}

impl Read for Shared {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.file.read_at(buffer, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Registry {
    /// The blob of this digest in a repository.
    pub(super) fn find_blob(&self, store: &Store, repository: &Repository, digest: &Digest) -> Result<Option<Blob>> {
        let mut repository = repository.clone();
        for _ in 0..MOUNTS {
            for held in repository.manifests(store, &self.manifests)? {
                if let Some(blob) = held_blob(store, &held, digest)? {
                    return Ok(Some(blob));
                }
            }
            repository = match self.uploads.waiting(&repository, digest)? {
                Some(Waiting::File(path, size)) => return Ok(Some(Blob { size, source: Source::Waiting(path) })),
                Some(Waiting::Mounted(from)) => match Repository::parse(&from) {
                    Ok(from) => from,
                    Err(_) => return Ok(None),
                },
                None => return Ok(None),
            };
        }
        Ok(None)
    }

    /// The blob of this digest, which was there a moment ago.
    pub(super) fn need_blob(&self, store: &Store, repository: &Repository, digest: &Digest) -> Result<Blob> {
        let found = self.find_blob(store, repository, digest)?;
        found.ok_or_else(|| plumbing::Error::NotFound { what: "blob", name: digest.to_string() }.into())
    }

    /// Answer with a blob, or the part of it that is wanted.
    pub(super) fn get_blob(
        &self,
        store: &Store,
        repository: &Repository,
        digest: &Digest,
        range: Option<&str>,
        is_head: bool,
    ) -> Answer<Reply> {
        let mut blob = self.find_blob(store, repository, digest)?;
        // Who asks whether a blob is there means to push: nothing is made for that.
        if blob.is_none()
            && !is_head
            && repository.make(store, &self.manifests, |held| held.blob(digest).is_some())?.is_some()
        {
            blob = self.find_blob(store, repository, digest)?;
        }
        let blob = blob.ok_or_else(|| Problem::blob_unknown(format!("'{}' has no {digest}", repository.familiar())))?;
        let size = blob.size;
        let reply = |status| {
            let reply = Reply::empty(status).with("Docker-Content-Digest", digest.to_string());
            let reply = reply.with("Content-Type", "application/octet-stream").with("Accept-Ranges", "bytes");
            // What a digest names never changes.
            reply.with("ETag", format!("\"{digest}\"")).with("Cache-Control", "max-age=31536000, immutable")
        };
        match wanted(range, size) {
            _ if is_head => Ok(reply(StatusCode::OK).carrying(Body::Reader(Box::new(std::io::empty()), size))),
            Wanted::All => Ok(reply(StatusCode::OK).carrying(Body::Reader(blob.reader(store, 0)?, size))),
            Wanted::Part { first, length } => {
                let part = format!("bytes {first}-{}/{size}", first + length - 1);
                let reply = reply(StatusCode::PARTIAL_CONTENT).with("Content-Range", part);
                Ok(reply.carrying(Body::Reader(blob.reader(store, first)?, length)))
            }
            Wanted::Nothing => Err(Problem::no_such_range(format!("the blob has {size} bytes"))
                .with("Content-Range", format!("bytes */{size}"))),
        }
    }

    /// Forget a blob that waits. One that a manifest needs stays.
    pub(super) fn delete_blob(&self, store: &Store, repository: &Repository, digest: &Digest) -> Answer<Reply> {
        for held in repository.manifests(store, &self.manifests)? {
            if held.blob(digest).is_some() {
                let why = format!("the manifest {} needs it: delete that", held.digest);
                return Err(Problem::in_use(why).with("Allow", "GET, HEAD"));
            }
        }
        match self.uploads.forget(repository, digest)? {
            true => Ok(Reply::empty(StatusCode::ACCEPTED)),
            false => Err(Problem::blob_unknown(format!("'{}' has no {digest}", repository.familiar()))),
        }
    }
}

/// A blob of a manifest; `None` where the manifest doesn't need it, or it isn't here.
fn held_blob(store: &Store, held: &Held, digest: &Digest) -> Result<Option<Blob>> {
    let Some(descriptor) = held.blob(digest) else { return Ok(None) };
    let size = descriptor.size;
    match &held.kind {
        Kind::Artifact(artifact) => {
            let id = artifact.blobs.get(digest).copied();
            Ok(id.map(|id| Blob { size, source: Source::Content(id) }))
        }
        Kind::History(_) if *digest == Digest::of(travel::EMPTY) => {
            Ok(Some(Blob { size, source: Source::Bytes(travel::EMPTY) }))
        }
        Kind::History(file) => Ok(Some(Blob { size, source: Source::Open(file.clone()) })),
        Kind::Image(image) => {
            let source = Source::Image(held::image(store, held, image)?, *digest);
            Ok(Some(Blob { size, source }))
        }
    }
}

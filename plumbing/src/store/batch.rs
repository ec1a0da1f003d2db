//! A batch of writes: contents and objects that become visible and durable together.

use std::collections::HashSet;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use gix::objs::{Kind, WriteTo};

use super::content::Contents;
use super::hold::Hold;
use super::pack::{Pack, StagedPack};
use super::staging::Staging;
use super::unneeded::Unneeded;
use super::{Store, consolidate, sync};
use crate::blobs::{Arrival, Arrived};
use crate::digest::Digest;
use crate::{Error, Id, Result};

/// Beyond this size a pack is written out and another begun, so that memory stays bounded.
pub(super) const PACK_LIMIT: usize = 32 << 20;

/// New contents and objects. Nothing of it can be read before [`finish`](Self::finish); dropped, it leaves no trace.
pub struct Batch<'s> {
    store: &'s Store,
    contents: Option<Arc<Contents>>,
    hash_only: bool,
    /// Keeps `rd gc` from removing what the batch found in the store.
    hold: Option<Arc<Hold>>,
    objects: Option<gix::OdbHandle>,
    /// Objects that nothing needs and that `rd gc` may remove soon.
    unneeded: Option<Unneeded>,
    pack: Pack,
    written: HashSet<Id>,
    /// Where contents and packs lie until the batch is finished.
    staging: Option<Arc<Staging>>,
    /// Packs that grew to the limit.
    packs: Vec<StagedPack>,
    /// Compressed layers that are to get names.
    arrived: Arrived,
    /// How many began.
    arrivals: usize,
}

impl<'s> Batch<'s> {
    pub(super) fn new(store: &'s Store, hash_only: bool) -> Self {
        Self {
            store,
            contents: None,
            hash_only,
            hold: None,
            objects: None,
            unneeded: None,
            pack: Pack::new(),
            written: HashSet::new(),
            staging: None,
            packs: Vec::new(),
            arrived: Arrived::default(),
            arrivals: 0,
        }
    }

    /// The store that is written to.
    pub fn store(&self) -> &'s Store {
        self.store
    }

    /// Where contents go; may be handed to other threads, which must drop it before [`finish`](Self::finish).
    pub fn contents(&mut self) -> Result<Arc<Contents>> {
        if let Some(contents) = &self.contents {
            return Ok(contents.clone());
        }
        self.hold()?;
        let contents = Arc::new(Contents::create(&self.store.content_dir(), self.staging()?, self.hash_only)?);
        self.contents = Some(contents.clone());
        Ok(contents)
    }

    fn hold(&mut self) -> Result<Arc<Hold>> {
        if let Some(hold) = &self.hold {
            return Ok(hold.clone());
        }
        Ok(self.hold.insert(self.store.hold()?).clone())
    }

    /// Whether the store has the object, other than as one that may be removed soon: such a one is written again, so
    /// that it is as young as one that was missing.
    fn has_for_long(&mut self, id: &Id) -> Result<bool> {
        use gix::objs::Exists;
        let objects = match &self.objects {
            Some(objects) => objects,
            None => {
                let hold = self.hold()?;
                let mut objects = self.store.current_objects(&hold)?;
                objects.refresh_never();
                self.objects.insert(objects)
            }
        };
        if !objects.exists(id) {
            return Ok(false);
        }
        if self.unneeded.is_none() {
            self.unneeded = Some(Unneeded::open(&self.store.pack_dir())?);
        }
        Ok(!self.unneeded.as_ref().is_some_and(|unneeded| unneeded.contains(id)))
    }

    fn staging(&mut self) -> Result<Arc<Staging>> {
        if let Some(staging) = &self.staging {
            return Ok(staging.clone());
        }
        Ok(self.staging.insert(Arc::new(Staging::create(&self.store.content_dir())?)).clone())
    }

    /// Add a git object, given its encoded bytes.
    pub fn write(&mut self, kind: Kind, data: &[u8]) -> Result<Id> {
        use gix::objs::Write;
        let id = gix::objs::compute_hash(gix::hash::Kind::Sha256, kind, data).map_err(Error::git("hash an object"))?;
        if self.written.contains(&id) || self.has_for_long(&id)? {
            return Ok(id);
        }
        if self.store.is_ordinary() {
            let written = self.store.repo().objects.write_buf(kind, data);
            return written.map_err(Error::git(format!("write object {id}")));
        }
        self.pack.add(id, kind, data);
        self.written.insert(id);
        self.limit_pack()?;
        Ok(id)
    }

    fn limit_pack(&mut self) -> Result<()> {
        if self.pack.len() > PACK_LIMIT {
            let full = std::mem::replace(&mut self.pack, Pack::new());
            let staging = self.staging()?;
            self.packs.push(full.stage(staging.path())?);
        }
        Ok(())
    }

    /// Add a git object even where the database has it already: what it has may be damaged.
    pub(crate) fn write_again(&mut self, kind: Kind, data: &[u8]) -> Result<()> {
        let id = gix::objs::compute_hash(gix::hash::Kind::Sha256, kind, data).map_err(Error::git("hash an object"))?;
        if self.written.insert(id) {
            self.pack.add(id, kind, data);
        }
        self.limit_pack()
    }

    /// Add a tree, commit or tag.
    pub fn write_object(&mut self, object: &impl WriteTo) -> Result<Id> {
        let mut data = Vec::with_capacity(usize::try_from(object.size()).unwrap_or(0));
        object.write_to(&mut data).map_err(Error::io("encode", "object"))?;
        self.write(object.kind(), &data)
    }

    /// Add the bytes of a file of exactly `size` bytes: a content, or a blob in a repository that has none.
    pub fn write_content(&mut self, size: u64, reader: &mut dyn std::io::Read) -> Result<Id> {
        if !self.store.is_ordinary() {
            return self.contents()?.copy(size, reader);
        }
        use gix::objs::Write;
        let written = self.store.repo().objects.write_stream(Kind::Blob, size, reader);
        written.map_err(Error::git("write a blob"))
    }

    /// Add a small blob to the object database: metadata, a symlink's target, a configuration.
    pub fn write_blob(&mut self, data: &[u8]) -> Result<Id> {
        self.write(Kind::Blob, data)
    }

    /// Whether the store keeps the compressed layer `digest`, and will until the batch ends.
    pub fn has_blob(&mut self, digest: &Digest) -> Result<bool> {
        self.hold()?;
        Ok(self.store.find_blob(digest)?.is_some())
    }

    /// Begin to keep a compressed layer's bytes.
    pub fn begin_blob(&mut self) -> Result<Arrival> {
        self.hold()?;
        self.arrivals += 1;
        Arrival::create(self.staging()?.path(), &format!("layer-{}", self.arrivals))
    }

    /// Begin to keep a compressed layer whose bytes are in `file`, which nobody writes to any more.
    pub fn adopt_blob(&mut self, file: &Arc<File>) -> Result<Arrival> {
        self.hold()?;
        self.arrivals += 1;
        Arrival::of(file, self.staging()?.path(), &format!("layer-{}", self.arrivals))
    }

    /// Keep what arrived: all bytes of the compressed layer `digest`, as the caller has checked.
    pub fn keep_blob(&mut self, digest: Digest, arrival: &Arrival) {
        self.arrived.push(digest, arrival);
    }

    /// Make all of it durable and visible. After this a ref may point at it.
    pub fn finish(mut self) -> Result<()> {
        let contents = self
            .contents
            .take()
            .map(|contents| Arc::into_inner(contents).expect("because writers drop their share before the batch ends"));
        if !self.pack.is_empty() {
            let last = std::mem::replace(&mut self.pack, Pack::new());
            let staging = self.staging()?;
            self.packs.push(last.stage(staging.path())?);
        }
        let packs = std::mem::take(&mut self.packs);
        let wrote = !packs.is_empty();
        let dir = self.store.pack_dir();

        // Packs and contents are staged on one filesystem: to flush it covers both.
        let mut files = contents.as_ref().map_or_else(|| Some(Vec::new()), Contents::staged_files);
        let arrived = std::mem::take(&mut self.arrived);
        files
            .iter_mut()
            .for_each(|files| files.extend(packs.iter().flat_map(StagedPack::files).chain(arrived.files())));
        self.flush(files)?;
        let mut folders = contents.map_or_else(|| Ok(Some(Vec::new())), Contents::publish)?;
        packs.into_iter().try_for_each(|pack| pack.rename_into(&dir).map(drop))?;
        let blobs = arrived.publish(self.store)?;
        folders
            .iter_mut()
            .for_each(|folders| folders.extend(wrote.then(|| dir.clone()).into_iter().chain(blobs.clone())));
        self.flush(folders)?;
        if wrote { consolidate::run(&dir, self.staging()?.path()) } else { Ok(()) }
    }

    /// Flush these, or where they are too many to name the filesystem.
    fn flush(&self, paths: Option<Vec<PathBuf>>) -> Result<()> {
        match paths {
            Some(paths) => sync::sync_all(&paths),
            None => sync::sync_filesystem(&self.store.content_dir()),
        }
    }
}

//! Layers of which only the files that the store lacks are fetched.

use std::fs::File;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use plumbing::Store;
use plumbing::archive::{LayerBlob, LayerBytes};
use plumbing::chunked::{Places, Plan};
use plumbing::digest::Digest;

use super::blob::Transfer;
use super::downloads::{Event, Listener};
use super::pull::downloads_dir;
use super::remote::Remote;
use crate::{Error, IoResultExt, Result};

/// Ranges that are asked for at the same time.
const AT_ONCE: usize = 4;

/// Layers of fewer bytes are fetched whole.
const SMALL: u64 = 64 << 10;

/// A layer whose missing files were fetched.
pub(super) struct Partial {
    digest: Digest,
    plan: Plan,
    file: Arc<File>,
}

impl Partial {
    /// Fetch what the store lacks of the layer; `None` where it can't be fetched in parts, or most of it is missing.
    ///
    /// What is wrong with its description or with how the registry answers is no error: the layer is fetched whole then, where
    /// nothing is taken on trust.
    pub(super) fn bring(
        store: &Store,
        remote: &Remote,
        layer: &LayerBlob,
        listener: &Listener,
    ) -> Result<Option<Self>> {
        let (Some(places), Some((digest, size))) = (&layer.chunked, layer.expected) else { return Ok(None) };
        if size < SMALL || store.find_blob(&digest)?.is_some() {
            return Ok(None);
        }
        let dir = downloads_dir(store);
        std::fs::create_dir_all(&dir).on("create", &dir)?;
        let file = tempfile::tempfile_in(&dir).on("create a file in", &dir)?;
        let blob = Blob { remote, digest, size, file: &file, listener };
        match blob.bring(store, places) {
            Ok(plan) => Ok(plan.map(|plan| Self { digest, plan, file: Arc::new(file) })),
            Err(error @ Error::Io { .. }) => Err(error),
            Err(_) => Ok(None),
        }
    }

    /// Whether it is this layer.
    pub(super) fn is(&self, layer: &LayerBlob) -> bool {
        layer.expected.is_some_and(|(digest, _)| digest == self.digest)
    }

    /// The layer's tar.
    pub(super) fn open(self) -> LayerBytes {
        // Its diff id is all that is known of it.
        LayerBytes { reader: Box::new(self.plan.tar(self.file)), size: u64::MAX, file: None, is_tar: true }
    }
}

/// A blob and the file that gets its parts, where they are in it.
struct Blob<'r> {
    remote: &'r Remote,
    digest: Digest,
    size: u64,
    file: &'r File,
    listener: &'r Listener,
}

impl Blob<'_> {
    /// Fetch the description, and then what the store lacks; `None` where that is nearly all.
    fn bring(&self, store: &Store, places: &Places) -> Result<Option<Plan>> {
        let range = places.range();
        self.fetch(&range, &|_| {})?;
        let mut bytes = vec![0; (range.end - range.start) as usize];
        std::os::unix::fs::FileExt::read_exact_at(self.file, &mut bytes, range.start).on("read", "downloads")?;
        let plan = Plan::make(store, places.read(&bytes)?)?;
        if plan.cost() > self.size / 10 * 9 {
            return Ok(None);
        }
        (self.listener)(Event::Wanted(self.digest, plan.cost()));
        self.fetch_all(plan.fetched())?;
        (self.listener)(Event::Arrived(self.digest));
        Ok(Some(plan))
    }

    /// Fetch all ranges, some at the same time; the first error ends it.
    fn fetch_all(&self, ranges: &[Range<u64>]) -> Result<()> {
        let (next, failed) = (AtomicUsize::new(0), Mutex::new(None));
        let came = |bytes| (self.listener)(Event::Came(self.digest, bytes));
        let work = || {
            while let Some(range) = ranges.get(next.fetch_add(1, Ordering::Relaxed)) {
                if let Err(error) = self.fetch(range, &came) {
                    next.store(ranges.len(), Ordering::Relaxed);
                    failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                }
            }
        };
        std::thread::scope(|scope| (0..AT_ONCE.min(ranges.len())).for_each(|_| drop(scope.spawn(work))));
        failed.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
    }

    fn fetch(&self, range: &Range<u64>, came: &(dyn Fn(u64) + Sync)) -> Result<()> {
        let (start, end) = (range.start, range.end);
        let mut transfer = Transfer { digest: self.digest, size: self.size, file: self.file, at: start, end };
        self.remote.download(&mut transfer, &mut |bytes| {
            came(bytes);
            true
        })
    }
}

//! Contents by the digests of their plain bytes, which the store doesn't know them by.

use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::digest::{Digest, Hasher};
use crate::{Error, Id, Result, Store};

/// Those of these files that the store has. Only contents of a wanted size are read, on all processors.
pub(super) fn find(store: &Store, wanted: &HashMap<u64, HashSet<Digest>>) -> Result<HashMap<Digest, Id>> {
    let mut candidates = Vec::new();
    for id in store.content_lister()()? {
        // One that went meanwhile is none that can be relied on.
        let size = std::fs::metadata(store.content_file(&id)).map_or(0, |about| about.len());
        if wanted.contains_key(&size) {
            candidates.push((size, id));
        }
    }
    // The large ones first, so that all processors end at about the same time.
    candidates.sort_unstable_by_key(|(size, _)| std::cmp::Reverse(*size));
    let dir = store.content_dir();
    let (next, found) = (AtomicUsize::new(0), Mutex::new(HashMap::new()));
    let work = || -> Result<()> {
        let mut buffer = vec![0; 64 << 10];
        while let Some((size, id)) = candidates.get(next.fetch_add(1, Ordering::Relaxed)) {
            let path = dir.join(crate::store::content_path(id));
            let mut hasher = Hasher::default();
            let mut file = match std::fs::File::open(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                file => file.map_err(Error::io("open", &path))?,
            };
            loop {
                let read = file.read(&mut buffer).map_err(Error::io("read", &path))?;
                if read == 0 {
                    break;
                }
                hasher.update(&buffer[..read]);
            }
            let digest = hasher.finish();
            if wanted[size].contains(&digest) {
                found.lock().unwrap_or_else(PoisonError::into_inner).insert(digest, *id);
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let mut ended = workers.into_iter().map(|worker| worker.join());
        ended.try_for_each(|done| done.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })?;
    Ok(found.into_inner().unwrap_or_else(PoisonError::into_inner))
}

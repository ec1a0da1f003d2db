//! Manifests that commits have, remembered: a commit never changes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use plumbing::artifact::{self, Artifact, Descriptor, Manifest};
use plumbing::commit::Commit;
use plumbing::digest::Digest;
use plumbing::{Id, Store};

use crate::Result;

/// So many bytes of manifests are remembered.
const MEMORY: usize = 32 << 20;

/// A manifest and the commit that it is of.
pub(super) struct Held {
    pub(super) commit: Id,
    pub(super) digest: Digest,
    /// The manifest's exact bytes.
    pub(super) bytes: Vec<u8>,
    pub(super) manifest: Manifest,
    pub(super) kind: Kind,
}

/// What a manifest is of.
pub(super) enum Kind {
    Artifact(Artifact),
    Image(Box<Commit>),
}

impl Held {
    /// The blob with this digest that the manifest needs: what it says of it.
    pub(super) fn blob(&self, digest: &Digest) -> Option<&Descriptor> {
        self.manifest.blobs().find(|blob| blob.digest == *digest)
    }
}

/// Manifests by their commits.
#[derive(Default)]
pub(super) struct Manifests(Mutex<Remembered>);

#[derive(Default)]
struct Remembered {
    /// `None` for a commit that has no manifest.
    held: HashMap<Id, Option<Arc<Held>>>,
    bytes: usize,
}

impl Manifests {
    /// The manifest of a commit; `None` where it has none.
    pub(super) fn get(&self, store: &Store, id: &Id) -> Result<Option<Arc<Held>>> {
        if let Some(held) = self.lock().held.get(id) {
            return Ok(held.clone());
        }
        let held = read(store, id)?.map(Arc::new);
        let mut remembered = self.lock();
        remembered.bytes += 1024 + held.as_ref().map_or(0, |held| 2 * held.bytes.len());
        if remembered.bytes > MEMORY {
            *remembered = Remembered::default();
        }
        remembered.held.insert(*id, held.clone());
        Ok(held)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Remembered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(store: &Store, id: &Id) -> Result<Option<Held>> {
    let (blob, kind) = match artifact::read(store, id)? {
        Some(artifact) => (artifact.manifest, Kind::Artifact(artifact)),
        None => {
            let commit = store.read_commit(id)?;
            let Some(manifest) = commit.state.manifest else { return Ok(None) };
            (manifest, Kind::Image(Box::new(commit)))
        }
    };
    let bytes = store.read_blob(&blob)?;
    // A docker archive's manifest, or one that somebody wrote by hand, may be none that can be served.
    let Ok(manifest) = Manifest::parse(&bytes, None) else { return Ok(None) };
    Ok(Some(Held { commit: *id, digest: Digest::of(&bytes), manifest, bytes, kind }))
}

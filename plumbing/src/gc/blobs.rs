//! Compressed layers, and which of them the manifests of images list.

use std::collections::HashSet;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use crate::blobs;
use crate::config::LIMIT;
use crate::digest::Digest;
use crate::oci::Manifest;
use crate::{Id, Result, Store};

/// A file of a compressed layer.
#[derive(PartialEq, Eq)]
pub(super) struct Blob {
    pub(super) digest: Digest,
    pub(super) path: PathBuf,
    /// What it takes on the disk, in bytes.
    pub(super) size: u64,
    /// When it came, in seconds since 1970.
    pub(super) seconds: i64,
}

/// All that the store has.
pub(super) fn list(store: &Store) -> Result<Vec<Blob>> {
    let found = blobs::files(store)?.into_iter().filter_map(|(digest, _, path)| {
        let about = path.symlink_metadata().ok()?;
        Some(Blob { digest, path, size: about.blocks() * 512, seconds: about.mtime() })
    });
    Ok(found.collect())
}

/// The layers that these manifests list. One that can't be read lists none: what else needs it says that it is damaged.
pub(super) fn listed(store: &Store, manifests: impl Iterator<Item = Id>) -> HashSet<Digest> {
    let mut digests = HashSet::new();
    for id in manifests {
        let is_small = matches!(store.find_header(&id), Ok(Some((gix::objs::Kind::Blob, size))) if size <= LIMIT);
        let manifest = is_small.then(|| store.read_blob(&id).and_then(|bytes| Manifest::parse(&bytes)));
        if let Some(Ok(manifest)) = manifest {
            digests.extend(manifest.layers.into_iter().map(|layer| layer.digest));
        }
    }
    digests
}

//! Images that are pushed: their layers as commits. Layers that the store has read before are not read again.

use std::fs::File;
use std::sync::Arc;

use plumbing::archive::{Chain, Image, LayerBlob, LayerBytes};
use plumbing::artifact::Manifest;
use plumbing::{Error as StoreError, Id, Store};

use super::repository::Repository;
use super::{Registry, held};
use crate::{Error, Result};

impl Registry {
    /// Make commits of an image whose blobs are all there. Why not, where it isn't an image that can be unpacked. The caller
    /// holds off `rd gc`.
    pub(super) fn commit_image(
        &self,
        store: &Store,
        repository: &Repository,
        bytes: &[u8],
        manifest: &Manifest,
    ) -> Result<Result<Id, String>> {
        let written = self.write_image(store, repository, bytes, manifest);
        match written {
            Err(Error::Store(
                error @ (StoreError::Invalid { .. }
                | StoreError::Refused { .. }
                | StoreError::Unsupported { .. }
                | StoreError::NotFound { .. }),
            )) => Ok(Err(Error::from(error).chain().join(": "))),
            written => written.map(Ok),
        }
    }

    fn write_image(&self, store: &Store, repository: &Repository, bytes: &[u8], manifest: &Manifest) -> Result<Id> {
        let config = manifest.config.as_ref().expect("because images have one");
        let config = self.need_blob(store, repository, &config.digest)?.read_small(store)?;
        let layer = |layer: &plumbing::artifact::Descriptor| LayerBlob {
            path: layer.digest.to_string(),
            expected: Some((layer.digest, layer.size)),
            chunked: None,
        };
        let layers = manifest.layers.iter().map(layer).collect();
        let image = Image { config, manifest: Some(bytes.to_vec()), layers };
        let chain = match Chain::new(image.clone())?.skip_known(store)? {
            chain if can_skip(store, &chain, &image.config)? => chain,
            // What is known was compressed otherwise: the bytes that came now are read, and kept.
            _ => Chain::new(image)?,
        };
        let mut batch = store.batch();
        let mut failure = None;
        let commit = chain.write(&mut batch, &mut |layer| {
            self.open_layer(store, repository, layer).map_err(|error| match error {
                Error::Store(error) => error,
                other => {
                    let what = StoreError::damaged("upload", other.to_string());
                    failure = Some(other);
                    what
                }
            })
        });
        let commit = commit.map_err(|error| failure.take().unwrap_or_else(|| error.into()))?;
        batch.finish()?;
        Ok(commit)
    }

    /// The bytes of a layer. One that waits is a file that the store can have as it is.
    fn open_layer(&self, store: &Store, repository: &Repository, layer: &LayerBlob) -> Result<LayerBytes> {
        let (digest, _) = layer.expected.expect("because all layers of a manifest have one");
        let blob = self.need_blob(store, repository, &digest)?;
        let size = blob.size;
        let file = blob.file().and_then(|path| File::open(path).ok()).map(Arc::new);
        let file = file.map(|file| Box::new(move || Some(file)) as plumbing::archive::WholeFile);
        Ok(LayerBytes { reader: blob.reader(store, 0)?, size, file, is_tar: false })
    }
}

/// Whether the layers that needn't be read again can be given as the manifest names them.
fn can_skip(store: &Store, chain: &Chain, config: &[u8]) -> Result<bool> {
    let known = &chain.layers()[..chain.layers().len() - chain.missing().len()];
    for (digest, _) in known.iter().filter_map(|layer| layer.expected) {
        if !held::is_plain(config, &digest)? && store.find_blob(&digest)?.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

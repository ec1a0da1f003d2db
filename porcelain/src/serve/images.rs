//! Images that are pushed: their layers as commits.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use plumbing::archive::{Blobs, Platform};
use plumbing::artifact::{Descriptor, Manifest};
use plumbing::digest::Digest;
use plumbing::{Error as StoreError, Id, Store};
use serde_json::json;

use super::Registry;
use super::repository::Repository;
use crate::{Error, IoResultExt, Result};

impl Registry {
    /// Make commits of an image whose blobs are all there. Why not, where it isn't an image that can be unpacked.
    pub(super) fn commit_image(
        &self,
        store: &Store,
        repository: &Repository,
        bytes: &[u8],
        manifest: &Manifest,
    ) -> Result<Result<Id, String>> {
        let layout = self.uploads.draft()?;
        let blobs = layout.path().join("blobs/sha256");
        std::fs::create_dir_all(&blobs).on("create", &blobs)?;
        let digest = Digest::of(bytes);
        write(&blobs.join(digest.hex()), bytes)?;
        let descriptor = json!({ "mediaType": manifest.media_type, "digest": digest.to_string(), "size": bytes.len() });
        write(&layout.path().join("index.json"), json!({ "schemaVersion": 2, "manifests": [descriptor] }).to_string())?;
        write(&layout.path().join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)?;
        for blob in manifest.blobs() {
            if !self.place(store, repository, blob, &blobs.join(blob.digest.hex()))? {
                return Ok(Err(format!("the layer {} is not here", blob.digest)));
            }
        }
        let blobs = Blobs::open(store, layout.path())?;
        let loaded = plumbing::archive::load(store, &blobs, &Platform::host());
        match loaded {
            Ok(images) => Ok(images.first().map(|image| image.commit).ok_or_else(|| "it is empty".to_owned())),
            Err(
                error @ (StoreError::Invalid { .. }
                | StoreError::Refused { .. }
                | StoreError::Unsupported { .. }
                | StoreError::NotFound { .. }),
            ) => Ok(Err(Error::from(error).chain().join(": "))),
            Err(error) => Err(error.into()),
        }
    }

    /// Put a blob at `path`, by a second name where it is a file; whether there is one.
    fn place(&self, store: &Store, repository: &Repository, blob: &Descriptor, path: &Path) -> Result<bool> {
        let Some(found) = self.find_blob(store, repository, &blob.digest)? else { return Ok(false) };
        if path.exists() || found.link(path) {
            return Ok(true);
        }
        let mut out = BufWriter::with_capacity(256 << 10, File::create_new(path).on("create", path)?);
        std::io::copy(&mut found.reader(store, 0)?, &mut out).and_then(|_| out.flush()).on("write", path)?;
        Ok(true)
    }
}

fn write(path: &Path, bytes: impl AsRef<[u8]>) -> Result<()> {
    std::fs::write(path, bytes).on("write", path)
}

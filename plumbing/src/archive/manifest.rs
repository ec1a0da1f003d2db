//! Manifests and indexes, wherever they come from: which one is for a platform, and what image it describes.

use std::str::FromStr;

use oci_spec::image::{Descriptor, ImageIndex, ImageManifest, MediaType};

use super::Platform;
use super::chain::{Image, LayerBlob};
use crate::chunked::Places;
use crate::digest::Digest;
use crate::{Error, Result};

/// Indexes in indexes are followed this deep.
const DEEPEST: usize = 4;

/// Where manifests and configurations come from: an archive or a registry. What it gives has the descriptor's size and digest.
pub trait Source {
    /// Why it can't give one.
    type Error: From<Error>;
    /// The bytes of a manifest or an index.
    fn manifest(&mut self, descriptor: &Descriptor) -> Result<Vec<u8>, Self::Error>;
    /// The bytes of a configuration.
    fn config(&mut self, descriptor: &Descriptor) -> Result<Vec<u8>, Self::Error>;
}

/// A manifest, and what led to it.
#[derive(Debug, Clone)]
pub struct Found {
    /// Its exact bytes.
    pub bytes: Vec<u8>,
    /// Its media type, digest and size.
    pub descriptor: Descriptor,
}

/// The manifest for `platform` that a descriptor leads to; `None` where there is none. `skipped` collects the platforms of the others.
pub fn find<S: Source>(
    source: &mut S,
    descriptor: &Descriptor,
    platform: &Platform,
    skipped: &mut Vec<String>,
) -> Result<Option<Found>, S::Error> {
    find_below(source, descriptor, platform, DEEPEST, skipped)
}

fn find_below<S: Source>(
    source: &mut S,
    descriptor: &Descriptor,
    platform: &Platform,
    depth: usize,
    skipped: &mut Vec<String>,
) -> Result<Option<Found>, S::Error> {
    if !fits(descriptor, platform) {
        skipped.extend(descriptor.platform().as_ref().map(|other| format!("{}/{}", other.os(), other.architecture())));
        return Ok(None);
    }
    let bytes = source.manifest(descriptor)?;
    refuse_odd(&bytes, descriptor.digest().as_ref())?;
    if !is_index(descriptor.media_type(), &bytes) {
        return Ok(Some(Found { bytes, descriptor: descriptor.clone() }));
    }
    let digest = descriptor.digest().to_string();
    if depth == 0 {
        let why = format!("indexes in indexes are more than {DEEPEST} deep");
        return Err(Error::Invalid { what: "image index", input: digest, why }.into());
    }
    for inner in parse_index(&bytes, &digest)?.manifests() {
        if let Some(found) = find_below(source, inner, platform, depth - 1, skipped)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Whether the descriptor may lead to an image for `platform`. Attestations are for the platform `unknown`.
fn fits(descriptor: &Descriptor, platform: &Platform) -> bool {
    let Some(theirs) = descriptor.platform() else { return true };
    let variant = || match (&platform.variant, theirs.variant()) {
        (Some(ours), Some(theirs)) => ours == theirs,
        _ => true,
    };
    theirs.os().to_string() == platform.os && theirs.architecture().to_string() == platform.architecture && variant()
}

fn is_index(media_type: &MediaType, bytes: &[u8]) -> bool {
    match media_type {
        MediaType::ImageIndex => true,
        MediaType::ImageManifest => false,
        MediaType::Other(name) if name.ends_with("manifest.list.v2+json") => true,
        MediaType::Other(name) if name.ends_with("manifest.v2+json") => false,
        _ => serde_json::from_slice::<ImageManifest>(bytes).is_err(),
    }
}

pub(super) fn parse_index(bytes: &[u8], name: &str) -> Result<ImageIndex> {
    serde_json::from_slice(bytes).map_err(|error| Error::Invalid {
        what: "image index",
        input: name.into(),
        why: error.to_string(),
    })
}

/// The image that a manifest describes. `Unsupported` where it is no image's, or one of docker's first schema.
pub fn image<S: Source>(source: &mut S, found: Found) -> Result<Image, S::Error> {
    let digest = found.descriptor.digest().to_string();
    let manifest: ImageManifest = serde_json::from_slice(&found.bytes).map_err(|error| Error::Invalid {
        what: "image manifest",
        input: digest.clone(),
        why: error.to_string(),
    })?;
    let media_type = manifest.config().media_type().to_string();
    if !media_type.contains("image") && !media_type.contains("container") {
        let why = format!("its configuration is '{media_type}', no image's");
        return Err(Error::Unsupported { what: format!("artifact {digest}"), why }.into());
    }
    let layers = manifest.layers().iter().map(|layer| {
        let digest = digest_of(layer)?;
        Ok(LayerBlob { path: blob_path(&digest), expected: Some((digest, layer.size())), chunked: Places::of(layer) })
    });
    let layers = layers.collect::<Result<_>>()?;
    let config = source.config(manifest.config())?;
    Ok(Image { config, layers, manifest: Some(found.bytes) })
}

/// Docker's first schema has neither a configuration nor diff ids; and what is an index as well as a manifest would be one thing
/// to some and another to others.
fn refuse_odd(bytes: &[u8], digest: &str) -> Result<()> {
    let Ok(serde_json::Value::Object(manifest)) = serde_json::from_slice(bytes) else { return Ok(()) };
    if manifest.get("schemaVersion").and_then(serde_json::Value::as_u64) == Some(1) {
        let why = "schema 1 says neither what the layers are decompressed nor what the image is; pushed again by any engine of \
                   the last years it becomes schema 2";
        return Err(Error::Unsupported { what: format!("manifest {digest}"), why: why.into() });
    }
    if manifest.contains_key("manifests") && (manifest.contains_key("config") || manifest.contains_key("layers")) {
        let why = "it is an index and an image's manifest at the same time".into();
        return Err(Error::Invalid { what: "manifest", input: digest.into(), why });
    }
    Ok(())
}

/// The digest of a descriptor.
pub(super) fn digest_of(descriptor: &Descriptor) -> Result<Digest> {
    Digest::from_str(descriptor.digest().as_ref())
}

/// Where a layout has the blob `digest`.
pub(super) fn blob_path(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

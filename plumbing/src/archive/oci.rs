//! OCI image layouts: `index.json` leads to manifests, these to configurations and layers, all named by digest.

use std::str::FromStr;

use oci_spec::image::{Descriptor, ImageIndex, ImageManifest, MediaType};

use super::Platform;
use super::blobs::Blobs;
use super::docker::missing;
use super::load::{Image, LayerBlob};
use crate::config::LIMIT;
use crate::digest::Digest;
use crate::{Error, ImageName, Result};

/// Where a layout begins.
pub(super) const INDEX: &str = "index.json";
/// What makes a folder or archive a layout.
pub(super) const MARK: &str = "oci-layout";

/// Indexes in indexes are followed this deep.
const DEEPEST: usize = 4;

/// Annotations that name an image: containerd's and docker's full name, and OCI's tag.
pub(super) const FULL_NAME: &str = "io.containerd.image.name";
pub(super) const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// The images of a layout: every one that its index lists. Of images for several platforms the one for `platform`.
pub(super) fn images(blobs: &Blobs, index: &[u8], platform: &Platform) -> Result<Vec<Image>> {
    let index = parse_index(index, INDEX)?;
    let mut images = Vec::new();
    let mut skipped = Vec::new();
    for descriptor in index.manifests() {
        let names = names(descriptor)?;
        match find_manifest(blobs, descriptor, platform, DEEPEST, &mut skipped)? {
            Some((bytes, found)) => images.push(image(blobs, bytes, &found, names)?),
            None => continue,
        }
    }
    if images.is_empty() {
        return Err(Error::NotFound {
            what: "image in the archive",
            name: format!("for {platform}; it has {}", listed(&skipped)),
        });
    }
    Ok(images)
}

fn listed(platforms: &[String]) -> String {
    if platforms.is_empty() { "none".into() } else { platforms.join(", ") }
}

fn names(descriptor: &Descriptor) -> Result<Vec<ImageName>> {
    let Some(annotations) = descriptor.annotations() else { return Ok(Vec::new()) };
    if let Some(name) = annotations.get(FULL_NAME) {
        return Ok(vec![ImageName::parse(name)?]);
    }
    // A tag without a repository is no name.
    let name = annotations.get(REF_NAME).filter(|name| name.contains([':', '/']));
    Ok(name.map(|name| ImageName::parse(name)).transpose()?.into_iter().collect())
}

/// The manifest that a descriptor leads to, and its own descriptor; `None` where it is for another platform.
fn find_manifest(
    blobs: &Blobs,
    descriptor: &Descriptor,
    platform: &Platform,
    depth: usize,
    skipped: &mut Vec<String>,
) -> Result<Option<(Vec<u8>, Descriptor)>> {
    if !fits(descriptor, platform) {
        skipped.extend(descriptor.platform().as_ref().map(|other| format!("{}/{}", other.os(), other.architecture())));
        return Ok(None);
    }
    let bytes = checked(blobs, descriptor)?;
    if !is_index(descriptor.media_type(), &bytes) {
        return Ok(Some((bytes, descriptor.clone())));
    }
    let digest = descriptor.digest().to_string();
    if depth == 0 {
        return Err(Error::Invalid {
            what: "image index",
            input: digest,
            why: format!("indexes in indexes are more than {DEEPEST} deep"),
        });
    }
    for inner in parse_index(&bytes, &digest)?.manifests() {
        if let Some(found) = find_manifest(blobs, inner, platform, depth - 1, skipped)? {
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

fn parse_index(bytes: &[u8], name: &str) -> Result<ImageIndex> {
    serde_json::from_slice(bytes).map_err(|error| Error::Invalid {
        what: "image index",
        input: name.into(),
        why: error.to_string(),
    })
}

fn image(blobs: &Blobs, bytes: Vec<u8>, descriptor: &Descriptor, names: Vec<ImageName>) -> Result<Image> {
    let digest = descriptor.digest().to_string();
    let manifest: ImageManifest = serde_json::from_slice(&bytes).map_err(|error| Error::Invalid {
        what: "image manifest",
        input: digest.clone(),
        why: error.to_string(),
    })?;
    let media_type = manifest.config().media_type().to_string();
    if !media_type.contains("image") && !media_type.contains("container") {
        return Err(Error::Unsupported {
            what: format!("artifact {digest}"),
            why: format!("its configuration is '{media_type}', no image's"),
        });
    }
    let config = checked(blobs, manifest.config())?;
    let layers = manifest.layers().iter().map(|layer| {
        let digest = digest_of(layer)?;
        Ok(LayerBlob { path: blob_path(&digest), expected: Some((digest, layer.size())) })
    });
    Ok(Image { names, config, layers: layers.collect::<Result<_>>()?, manifest: Some(bytes) })
}

fn digest_of(descriptor: &Descriptor) -> Result<Digest> {
    Digest::from_str(descriptor.digest().as_ref())
}

fn blob_path(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// A small blob with the size and digest that it should have.
fn checked(blobs: &Blobs, descriptor: &Descriptor) -> Result<Vec<u8>> {
    let digest = digest_of(descriptor)?;
    let path = blob_path(&digest);
    let bytes = blobs.small(&path, LIMIT)?.ok_or_else(|| missing(&path))?;
    let found = Digest::of(&bytes);
    if found != digest || bytes.len() as u64 != descriptor.size() {
        let why = format!("it should be {digest} of {} bytes, and is {found} of {}", descriptor.size(), bytes.len());
        return Err(Error::Refused { entry: path, why });
    }
    Ok(bytes)
}

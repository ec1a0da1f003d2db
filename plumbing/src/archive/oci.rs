//! OCI image layouts: `index.json` leads to manifests, these to configurations and layers, all named by digest.

use oci_spec::image::Descriptor;

use super::Platform;
use super::blobs::Blobs;
use super::docker::missing;
use super::load::Named;
use super::manifest::{Source, blob_path, digest_of, find, image, parse_index};
use crate::config::LIMIT;
use crate::digest::Digest;
use crate::{Error, ImageName, Result};

/// Where a layout begins.
pub(super) const INDEX: &str = "index.json";
/// What makes a folder or archive a layout.
pub(super) const MARK: &str = "oci-layout";

/// Annotations that name an image: containerd's and docker's full name, and OCI's tag.
pub(super) const FULL_NAME: &str = "io.containerd.image.name";
pub(super) const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// The images of a layout: every one that its index lists. Of images for several platforms the one for `platform`.
pub(super) fn images(blobs: &Blobs, index: &[u8], platform: &Platform) -> Result<Vec<Named>> {
    let index = parse_index(index, INDEX)?;
    let mut images = Vec::new();
    let mut skipped = Vec::new();
    for descriptor in index.manifests() {
        let names = names(descriptor)?;
        let mut source = blobs;
        if let Some(found) = find(&mut source, descriptor, platform, &mut skipped)? {
            images.push(Named { names, image: image(&mut source, found)? });
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

impl Source for &Blobs {
    type Error = Error;

    fn manifest(&mut self, descriptor: &Descriptor) -> Result<Vec<u8>> {
        checked(self, descriptor)
    }

    fn config(&mut self, descriptor: &Descriptor) -> Result<Vec<u8>> {
        checked(self, descriptor)
    }
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

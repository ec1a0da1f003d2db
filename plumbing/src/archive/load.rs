//! `rd load`: all images of an archive as commits.

use super::blobs::Blobs;
use super::chain::{Chain, Image, LayerBlob, LayerBytes};
use super::docker::missing;
use super::{Platform, docker, oci};
use crate::config::LIMIT;
use crate::store::Batch;
use crate::{Error, Id, ImageName, Result, Store};

/// An image of an archive that became a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The commit. It is durable, but has no name yet.
    pub commit: Id,
    /// The names that the archive gives it.
    pub names: Vec<ImageName>,
}

/// An image and the names that an archive gives it.
pub(super) struct Named {
    pub(super) names: Vec<ImageName>,
    pub(super) image: Image,
}

/// Commit all images of an archive. An OCI layout is taken as one also where docker's list is there: it has the exact manifests.
pub fn load(store: &Store, blobs: &Blobs, platform: &Platform) -> Result<Vec<Loaded>> {
    let index = match blobs.small(oci::MARK, LIMIT)? {
        Some(_) => blobs.small(oci::INDEX, LIMIT)?,
        None => None,
    };
    let images = match (index, blobs.small(docker::MANIFEST, LIMIT)?) {
        (Some(index), _) => oci::images(blobs, &index, platform)?,
        (None, Some(list)) => docker::images(blobs, &list)?,
        (None, None) => {
            let why = format!(
                "it has neither '{}' nor '{}': is it the tar of a root, for rd import?",
                docker::MANIFEST,
                oci::INDEX
            );
            return Err(Error::Invalid { what: "image archive", input: "archive".into(), why });
        }
    };
    let mut batch = store.batch();
    let loaded = images.into_iter().map(|image| commit_image(&mut batch, blobs, image)).collect::<Result<Vec<_>>>()?;
    batch.finish()?;
    Ok(loaded)
}

fn commit_image(batch: &mut Batch<'_>, blobs: &Blobs, Named { names, image }: Named) -> Result<Loaded> {
    let chain = Chain::new(image)?;
    let mut open = |layer: &LayerBlob| {
        let (reader, size) = blobs.get(&layer.path)?.ok_or_else(|| missing(&layer.path))?;
        Ok(LayerBytes { reader, size, file: None, is_tar: false })
    };
    Ok(Loaded { commit: chain.write(batch, &mut open)?, names })
}

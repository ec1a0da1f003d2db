//! Docker archives: `manifest.json` lists images, each with a configuration and layer tars.

use serde::Deserialize;

use super::blobs::Blobs;
use super::chain::{Image, LayerBlob};
use super::load::Named;
use crate::config::LIMIT;
use crate::{Error, ImageName, Result};

/// The list of images.
pub(super) const MANIFEST: &str = "manifest.json";

/// An entry of the list.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    config: String,
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Vec<String>,
}

/// The images of a docker archive.
pub(super) fn images(blobs: &Blobs, list: &[u8]) -> Result<Vec<Named>> {
    let invalid = |why: String| Error::Invalid { what: "docker archive", input: MANIFEST.into(), why };
    let list: Vec<Listed> = serde_json::from_slice(list).map_err(|error| invalid(error.to_string()))?;
    list.into_iter().map(|listed| image(blobs, listed)).collect()
}

fn image(blobs: &Blobs, listed: Listed) -> Result<Named> {
    let config = blobs.small(&listed.config, LIMIT)?;
    let config = config.ok_or_else(|| missing(&listed.config))?;
    let names =
        listed.repo_tags.unwrap_or_default().iter().map(|name| ImageName::parse(name)).collect::<Result<_>>()?;
    let layers = listed.layers.into_iter().map(|path| LayerBlob { path, expected: None, chunked: None }).collect();
    Ok(Named { names, image: Image { config, manifest: None, layers } })
}

/// A file that the archive should have.
pub(super) fn missing(path: &str) -> Error {
    Error::Invalid {
        what: "image archive",
        input: crate::layer::shown(path.into()),
        why: "the archive has no such file".into(),
    }
}

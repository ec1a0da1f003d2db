//! Images of the store to registries.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io::{Cursor, Read};
use std::path::Path;

use plumbing::digest::Digest;
use plumbing::oci::{self, Image, Layer};
use plumbing::store::refs::{IMAGES, REMOTES};
use plumbing::walk::bases::is_ancestor;
use plumbing::{ImageName, Store, Tracking};

use super::downloads::Listener;
use super::remote::{Manifest, Remote};
use super::upload::Part;
use crate::Result;

/// Send what the registry lacks of an image, and let `tag` name it there. The registry takes layers from other repositories of
/// its own where they are known to have them.
pub fn push(store: &Store, remote: &Remote, image: &Image, tag: &str, listener: &Listener) -> Result<()> {
    let registry = remote.reference().registry();
    let (elsewhere, kin) = (elsewhere(store, registry)?, kin(store, registry, image)?);
    let mut seen = HashSet::new();
    let layers = image.layers().iter().filter(|layer| seen.insert(layer.descriptor().digest));
    let mut parts: Vec<Part<'_>> = layers.map(|layer| layer_part(store.dir(), layer, &elsewhere, &kin)).collect();
    let config = image.config_descriptor();
    let open = |at: u64| {
        let at = usize::try_from(at).unwrap_or(usize::MAX).min(image.config().len());
        Ok(Box::new(Cursor::new(image.config()[at..].to_vec())) as Box<dyn Read + Send>)
    };
    parts.push(Part { digest: config.digest, size: config.size, elsewhere: Vec::new(), open: Box::new(open) });
    remote.send(&parts, listener)?;
    remote.put_manifest(tag, &Manifest::new(image.manifest().to_vec(), &image.descriptor().media_type))
}

/// A layer to send. A store of its own is opened where it is sent, by whatever thread.
fn layer_part<'a>(
    dir: &'a Path,
    layer: &'a Layer,
    elsewhere: &HashMap<Digest, BTreeSet<String>>,
    kin: &[String],
) -> Part<'a> {
    let descriptor = layer.descriptor();
    let open = move |at: u64| layer.reader(&Store::open(dir)?, at);
    let known = elsewhere.get(&descriptor.digest).filter(|known| !known.is_empty());
    let repositories = known.map_or_else(|| kin.to_vec(), |known| known.iter().cloned().collect());
    Part { digest: descriptor.digest, size: descriptor.size, elsewhere: repositories, open: Box::new(open) }
}

/// So many repositories are asked for a layer that isn't known to be in any.
const MOST_KIN: usize = 2;

/// Repositories of a registry that have had an ancestor of the image, and so most likely its layers, which say nothing of
/// themselves where rd made them.
fn kin(store: &Store, registry: &str, image: &Image) -> Result<Vec<String>> {
    let mut found = BTreeSet::new();
    for (name, id) in store.list_refs(REMOTES)? {
        let Some(name) = Tracking::from_ref(&name).filter(|name| name.remote() == registry) else { continue };
        if found.len() < MOST_KIN && !found.contains(name.repository()) && is_ancestor(store, id, image.commit())? {
            found.insert(name.repository().to_owned());
        }
    }
    Ok(found.into_iter().collect())
}

/// The repositories of a registry that are known to have a layer, by its digest: those whose images are here.
fn elsewhere(store: &Store, registry: &str) -> Result<HashMap<Digest, BTreeSet<String>>> {
    let mut found: HashMap<Digest, BTreeSet<String>> = HashMap::new();
    for (name, id) in store.list_refs(IMAGES)? {
        let Some(name) = ImageName::from_ref(&name).filter(|name| name.registry() == registry) else { continue };
        let Some(manifest) = store.read_commit(&id).ok().and_then(|commit| commit.state.manifest) else { continue };
        let Ok(manifest) = oci::Manifest::parse(&store.read_blob(&manifest)?) else { continue };
        for layer in manifest.layers {
            found.entry(layer.digest).or_default().insert(name.repository().to_owned());
        }
    }
    Ok(found)
}

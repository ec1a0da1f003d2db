//! Any commit as an image of the OCI image specification: manifest, configuration and layers, as registries have them.
//!
//! A commit that came from a registry or an OCI archive is the very image that came: its manifest, its configuration and its layers
//! byte for byte. Any other commit becomes an image whose bytes follow from the commit and the encoding alone, on every
//! machine: on top of the layers of the nearest ancestor that came from elsewhere, one for each commit that changed files.
//! `docs/oci.md` says what that is in detail.

mod cache;
mod chain;
pub mod encoding;
mod gzip;
mod layer;
mod manifest;
pub(crate) mod pipe;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use gix::bstr::ByteSlice;
use serde_json::{Map, Value, json};

use cache::Cache;
use chain::{Base, Chain, Step};
pub use encoding::Encoding;
pub use layer::Layer;
use layer::{Source, Tar};
pub use manifest::{COMMIT, Descriptor, Manifest, OCI_CONFIG, OCI_MANIFEST};

use crate::config::format_time;
use crate::digest::Digest;
use crate::{Error, Id, Result, Store};

/// A commit as an image.
#[derive(Clone)]
pub struct Image {
    commit: Id,
    manifest: Vec<u8>,
    descriptor: Descriptor,
    config: Vec<u8>,
    config_descriptor: Descriptor,
    layers: Vec<Layer>,
    exact: bool,
}

impl Image {
    /// The image that the commit is.
    ///
    /// With an `encoding` all layers are compressed so, whatever they came as, and a layer that is compressed so stays as it
    /// came if its bytes are here. Without one, layers are as they came, and those that rd makes are compressed by the default.
    ///
    /// What has to be compressed to know its digest is compressed now, into files without a name that go with the value.
    pub fn of(store: &Store, commit: &Id, encoding: Option<Encoding>) -> Result<Self> {
        let chain = Chain::read(store, commit)?;
        let mut cache = Cache::open(store);
        let mut layers = Vec::new();
        for (number, tar) in
            chain.base.iter().flat_map(|base| base.recipes.iter().map(|id| Tar::Recipe(*id)).enumerate())
        {
            let base = chain.base.as_ref().expect("because it is walked over");
            layers.push(base_layer(store, base, number, tar, encoding, &mut cache)?);
        }
        for step in &chain.steps {
            if let Some(tar) = step.tar {
                layers.push(layer::encoded(store, &mut cache, tar, encoding.unwrap_or_default())?);
            }
        }
        cache.save();
        assemble(*commit, chain, layers)
    }

    /// The commit.
    pub fn commit(&self) -> Id {
        self.commit
    }

    /// Whether manifest, configuration and layers are those that came from elsewhere.
    pub fn is_exact(&self) -> bool {
        self.exact
    }

    /// The manifest's bytes.
    pub fn manifest(&self) -> &[u8] {
        &self.manifest
    }

    /// Media type, digest and size of the manifest.
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// The digest of the manifest, by which registries know the image.
    pub fn digest(&self) -> Digest {
        self.descriptor.digest
    }

    /// The configuration's bytes.
    pub fn config(&self) -> &[u8] {
        &self.config
    }

    /// Media type, digest and size of the configuration.
    pub fn config_descriptor(&self) -> &Descriptor {
        &self.config_descriptor
    }

    /// The layers, the lowest first.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// The layers whose bytes the store doesn't have, each once.
    pub fn missing(&self, store: &Store) -> Result<BTreeSet<Digest>> {
        let mut missing = BTreeSet::new();
        for layer in &self.layers {
            if !layer.is_here(store)? {
                missing.insert(layer.descriptor().digest);
            }
        }
        Ok(missing)
    }

    /// A reader of the configuration or layer `digest` from the byte `offset` on, and the size of the whole; `None` where the
    /// image has no such blob.
    pub fn blob(&self, store: &Store, digest: &Digest, offset: u64) -> Result<Option<(Box<dyn Read + Send>, u64)>> {
        if *digest == self.config_descriptor.digest {
            let at = usize::try_from(offset).unwrap_or(usize::MAX).min(self.config.len());
            let rest = std::io::Cursor::new(self.config[at..].to_vec());
            return Ok(Some((Box::new(rest), self.config_descriptor.size)));
        }
        let layer = self.layers.iter().find(|layer| layer.descriptor().digest == *digest);
        layer.map(|layer| Ok((layer.reader(store, offset)?, layer.descriptor().size))).transpose()
    }
}

/// A layer of the base: as it came, or compressed as is wanted.
fn base_layer(
    store: &Store,
    base: &Base,
    number: usize,
    tar: Tar,
    encoding: Option<Encoding>,
    cache: &mut Cache,
) -> Result<Layer> {
    let came = base.manifest.as_ref().map(|(manifest, _)| &manifest.layers[number]);
    match (came, encoding) {
        (Some(came), None) => Ok(as_it_came(base, number, tar, came.clone())),
        (Some(came), Some(encoding)) if encoding.is_of(came) && store.find_blob(&came.digest)?.is_some() => {
            let came = Descriptor { media_type: manifest::oci_layer_type(&came.media_type), ..came.clone() };
            Ok(as_it_came(base, number, tar, came))
        }
        (_, encoding) => layer::encoded(store, cache, tar, encoding.unwrap_or_default()),
    }
}

fn as_it_came(base: &Base, number: usize, tar: Tar, descriptor: Descriptor) -> Layer {
    let diff_id = base.diff_ids[number];
    let source = if descriptor.digest == diff_id { Source::Plain } else { Source::Kept };
    Layer { descriptor, diff_id, tar, source }
}

/// Put manifest and configuration together.
fn assemble(commit: Id, chain: Chain, layers: Vec<Layer>) -> Result<Image> {
    let Chain { base, steps } = chain;
    let unchanged = |base: &Base| {
        let came = base.manifest.as_ref().map(|(manifest, _)| &manifest.layers);
        steps.is_empty() && came.is_some_and(|came| came.iter().eq(layers.iter().map(Layer::descriptor)))
    };
    if let Some(Base { manifest: Some((manifest, bytes)), config_bytes, .. }) =
        base.as_ref().filter(|base| unchanged(base))
    {
        let media_type = manifest.media_type.clone().unwrap_or_else(|| OCI_MANIFEST.into());
        return Ok(Image {
            commit,
            descriptor: describe(&media_type, bytes),
            manifest: bytes.clone(),
            config: config_bytes.clone(),
            config_descriptor: manifest.config.clone(),
            layers,
            exact: true,
        });
    }
    let config = match (&base, &steps[..]) {
        (Some(base), []) => base.config_bytes.clone(),
        _ => fill(base.as_ref(), &steps, &layers)?,
    };
    let layers = layers.into_iter().map(in_oci_words).collect::<Vec<_>>();
    let config_descriptor = describe(OCI_CONFIG, &config);
    let mut annotations = BTreeMap::new();
    if let (Some(Base { manifest: Some((manifest, _)), .. }), []) = (&base, &steps[..]) {
        annotations.extend(manifest.annotations.clone().unwrap_or_default());
    }
    annotations.insert(COMMIT.into(), commit.to_string());
    let descriptors = layers.iter().map(|layer| layer.descriptor.clone()).collect();
    let manifest = Manifest::new(config_descriptor.clone(), descriptors, Some(annotations)).encode();
    let descriptor = describe(OCI_MANIFEST, &manifest);
    Ok(Image { commit, manifest, descriptor, config, config_descriptor, layers, exact: false })
}

fn in_oci_words(mut layer: Layer) -> Layer {
    layer.descriptor.media_type = manifest::oci_layer_type(&layer.descriptor.media_type);
    layer
}

fn describe(media_type: &str, bytes: &[u8]) -> Descriptor {
    Descriptor {
        media_type: media_type.into(),
        digest: Digest::of(bytes),
        size: bytes.len() as u64,
        urls: None,
        annotations: None,
    }
}

/// The configuration of the topmost commit, with the layers and the history of all.
fn fill(base: Option<&Base>, steps: &[Step], layers: &[Layer]) -> Result<Vec<u8>> {
    let Some(tip) = steps.last() else {
        return Err(Error::damaged("image", "it has neither a base nor a commit of its own"));
    };
    let mut config = tip.config.clone();
    let mut history = base.map(|base| chain::history(&base.config)).unwrap_or_default();
    history.extend(steps.iter().map(entry));
    let made = tip.commit.committer.time.seconds;
    let fields = config.fields_mut();
    let mut default = |key: &str, value: Value| {
        if fields.get(key).is_none_or(Value::is_null) {
            fields.insert(key.into(), value);
        }
    };
    default("created", format_time(made).into());
    default("architecture", "unknown".into());
    default("os", "linux".into());
    default("config", Value::Object(Map::new()));
    let diff_ids: Vec<String> = layers.iter().map(|layer| layer.diff_id.to_string()).collect();
    fields.insert("rootfs".into(), json!({ "type": "layers", "diff_ids": diff_ids }));
    fields.insert("history".into(), history.into());
    Ok(config.encode())
}

/// What a commit did, as an entry of the history.
fn entry(step: &Step) -> Value {
    let commit = &step.commit;
    let mut entry = Map::new();
    entry.insert("created".into(), format_time(commit.committer.time.seconds).into());
    entry.insert("created_by".into(), commit.message.trim_end().to_str_lossy().into());
    if commit.author != crate::commit::neutral_signature(commit.author.time.seconds) {
        entry.insert("author".into(), format!("{} <{}>", commit.author.name, commit.author.email).into());
    }
    if step.tar.is_none() {
        entry.insert("empty_layer".into(), true.into());
    }
    Value::Object(entry)
}

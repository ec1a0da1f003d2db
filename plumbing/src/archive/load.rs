//! Images of an archive as commits: one for each step of an image's history, and one for the image itself.
//!
//! The commits of the steps are determined by layers and history alone (`docs/format.md`, "Commits"), so that images
//! share those of a common base on every machine.

use std::io::Read;

use serde_json::{Map, Value, json};

use super::blobs::Blobs;
use super::docker::missing;
use super::{Platform, docker, oci};
use crate::blobs::Arrival;
use crate::commit::{NewCommit, State, neutral_signature};
use crate::config::{ImageConfig, LIMIT, parse_time};
use crate::digest::Digest;
use crate::layer::compression::{Compression, sniff};
use crate::layer::{Form, Unpacker};
use crate::root::RootIds;
use crate::store::Batch;
use crate::{Error, Id, ImageName, Result, Store};

/// Commits have dates from 1970 to the year 9999.
const LAST_SECOND: i64 = 253_402_300_799;

/// An image of an archive that became a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The commit. It is durable, but has no name yet.
    pub commit: Id,
    /// The names that the archive gives it.
    pub names: Vec<ImageName>,
}

/// An image as an archive describes it.
pub(super) struct Image {
    pub(super) names: Vec<ImageName>,
    /// The configuration's exact bytes.
    pub(super) config: Vec<u8>,
    /// The manifest's exact bytes, where it is OCI's.
    pub(super) manifest: Option<Vec<u8>>,
    pub(super) layers: Vec<LayerBlob>,
}

/// A layer in an archive.
pub(super) struct LayerBlob {
    pub(super) path: String,
    /// Digest and size of the blob, compressed or not, where the archive says them.
    pub(super) expected: Option<(Digest, u64)>,
}

/// A step of an image's history.
#[derive(Debug, PartialEq, Eq)]
struct Step {
    message: String,
    created: i64,
    /// The number of its layer, where it has one.
    layer: Option<usize>,
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

fn commit_image(batch: &mut Batch<'_>, blobs: &Blobs, image: Image) -> Result<Loaded> {
    let config = ImageConfig::parse(&image.config)?;
    let digest = Digest::of(&image.config);
    let diff_ids = diff_ids(&config, &digest)?;
    if diff_ids.len() != image.layers.len() {
        let why = format!("it lists {} layers, the archive {}", diff_ids.len(), image.layers.len());
        return Err(Error::Invalid { what: "image configuration", input: digest.to_string(), why });
    }
    let steps = steps(&config, &diff_ids);
    let plain = json!({ "architecture": config.architecture(), "os": config.os() }).to_string();
    let plain = batch.write_blob(plain.as_bytes())?;
    let mut unpacker = Unpacker::new(batch);
    let mut root = None;
    let mut parent = None;
    for step in &steps {
        let layer = match step.layer {
            Some(number) => {
                let recipe = unpack(&mut unpacker, blobs, &image.layers[number], &diff_ids[number])?;
                root = Some(unpacker.write_root()?);
                Some(recipe)
            }
            None => None,
        };
        let root = match root {
            Some(root) => root,
            None => *root.insert(unpacker.write_root()?),
        };
        parent = Some(write_commit(unpacker.batch(), parent, root, plain, layer, &step.message, step.created)?);
    }
    let root = match root {
        Some(root) => root,
        None => unpacker.write_root()?,
    };
    let state = State {
        root,
        config: batch.write_blob(&image.config)?,
        manifest: image.manifest.map(|manifest| batch.write_blob(&manifest)).transpose()?,
        layer: None,
        container: None,
    };
    let created = config.created().unwrap_or(0).clamp(0, LAST_SECOND);
    let commit = batch.write_commit(&state, new_commit(parent, &format!("image {digest}"), created))?;
    Ok(Loaded { commit, names: image.names })
}

fn write_commit(
    batch: &mut Batch<'_>,
    parent: Option<Id>,
    root: RootIds,
    config: Id,
    layer: Option<Id>,
    message: &str,
    created: i64,
) -> Result<Id> {
    let state = State { root, config, manifest: None, layer, container: None };
    batch.write_commit(&state, new_commit(parent, message, created))
}

fn new_commit(parent: Option<Id>, message: &str, created: i64) -> NewCommit {
    let who = neutral_signature(created);
    NewCommit { parents: parent.into_iter().collect(), author: who.clone(), committer: who, message: message.into() }
}

/// Unpack a layer; its recipe. It must be what the archive and the configuration say.
fn unpack(unpacker: &mut Unpacker<'_, '_>, blobs: &Blobs, layer: &LayerBlob, diff_id: &Digest) -> Result<Id> {
    let (reader, size) = blobs.get(&layer.path)?.ok_or_else(|| missing(&layer.path))?;
    let refused = |why: String| Error::Refused { entry: crate::layer::shown(layer.path.as_str().into()), why };
    if let Some((_, expected)) = layer.expected
        && expected != size
    {
        return Err(refused(format!("it should have {expected} bytes, and has {size}")));
    }
    let (compression, reader) = sniff(reader.take(size))?;
    let arrival = match layer.expected {
        Some((digest, _)) if compression != Compression::None => arrive(unpacker.batch(), &digest)?,
        _ => None,
    };
    let reader: Box<dyn Read + Send> = match &arrival {
        Some(arrival) => Box::new(arrival.tee(reader)),
        None => Box::new(reader),
    };
    let unpacked = unpacker.unpack(reader, Form::Layer)?;
    if let Some((digest, _)) = layer.expected
        && unpacked.ending.wire.0 != digest
    {
        return Err(refused(format!("it should be {digest}, and is {}", unpacked.ending.wire.0)));
    }
    if unpacked.ending.diff_id != *diff_id {
        return Err(refused(format!("decompressed it should be {diff_id}, and is {}", unpacked.ending.diff_id)));
    }
    if let (Some(arrival), Some((digest, _))) = (&arrival, layer.expected) {
        unpacker.batch().keep_blob(digest, arrival);
    }
    Ok(unpacked.layer)
}

/// A place for the compressed layer's bytes, where the store doesn't have them yet.
fn arrive(batch: &mut Batch<'_>, digest: &Digest) -> Result<Option<Arrival>> {
    if batch.has_blob(digest)? { Ok(None) } else { batch.begin_blob().map(Some) }
}

/// Digests of the layer tars, as the configuration lists them.
fn diff_ids(config: &ImageConfig, digest: &Digest) -> Result<Vec<Digest>> {
    let invalid =
        |why: &str| Error::Invalid { what: "image configuration", input: digest.to_string(), why: why.into() };
    let list = config.fields().get("rootfs").and_then(|rootfs| rootfs.get("diff_ids")).and_then(Value::as_array);
    let list = list.ok_or_else(|| invalid("it has no list of diff ids"))?;
    list.iter().map(|id| id.as_str().ok_or_else(|| invalid("a diff id is no text"))?.parse()).collect()
}

/// The steps of an image. A history that is too short has steps without a word for the rest of the layers; one that is too long
/// has steps without a layer. What has no time has that of the step before.
fn steps(config: &ImageConfig, diff_ids: &[Digest]) -> Vec<Step> {
    let history = config.fields().get("history").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let nothing = Map::new();
    let mut layers = 0..diff_ids.len();
    let mut steps: Vec<Step> = Vec::new();
    for entry in history {
        let entry = entry.as_object().unwrap_or(&nothing);
        let empty = entry.get("empty_layer").and_then(Value::as_bool).unwrap_or(false);
        let layer = if empty { None } else { layers.next() };
        let text = |key: &str| entry.get(key).and_then(Value::as_str).map(|text| text.replace('\0', ""));
        let text = |key: &str| text(key).filter(|text| !text.trim().is_empty());
        let message = text("created_by").or(text("comment"));
        let created = text("created").and_then(|text| parse_time(&text)).map(|time| time.clamp(0, LAST_SECOND));
        let created = created.or(steps.last().map(|step| step.created)).unwrap_or(0);
        steps.push(Step { message: message.unwrap_or_else(|| unnamed(layer, diff_ids)), created, layer });
    }
    for layer in layers {
        let created = steps.last().map_or(0, |step| step.created);
        steps.push(Step { message: unnamed(Some(layer), diff_ids), created, layer: Some(layer) });
    }
    steps
}

/// What a step is called about which the history says nothing.
fn unnamed(layer: Option<usize>, diff_ids: &[Digest]) -> String {
    layer.map_or_else(|| "empty layer".into(), |number| format!("layer {}", diff_ids[number]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps_of(history: Value, layers: usize) -> Vec<(String, i64, Option<usize>)> {
        let config = ImageConfig::parse(json!({ "history": history }).to_string().as_bytes()).unwrap();
        let ids: Vec<_> = (0..layers).map(|number| Digest::of(&[number as u8])).collect();
        steps(&config, &ids).into_iter().map(|step| (step.message, step.created, step.layer)).collect()
    }

    #[test]
    fn history_and_layers_need_not_agree() {
        let named = |name: &str| name.to_owned();
        let layer = |number: u8| format!("layer {}", Digest::of(&[number]));
        assert_eq!(
            steps_of(
                json!([{"created_by": "a", "created": "1970-01-01T00:00:07Z"}, {"created_by": "b", "empty_layer": true}, {"comment": "c"}]),
                2
            ),
            [(named("a"), 7, Some(0)), (named("b"), 7, None), (named("c"), 7, Some(1))]
        );
        assert_eq!(steps_of(json!([{"created_by": "a"}]), 2), [(named("a"), 0, Some(0)), (layer(1), 0, Some(1))]);
        assert_eq!(
            steps_of(json!([{"created_by": "a"}, {"created_by": "b"}]), 1),
            [(named("a"), 0, Some(0)), (named("b"), 0, None)]
        );
        assert_eq!(steps_of(json!(null), 1), [(layer(0), 0, Some(0))]);
        assert_eq!(
            steps_of(json!([7, {"created": 5, "created_by": "\u{0}"}]), 1),
            [(layer(0), 0, Some(0)), (named("empty layer"), 0, None)]
        );
    }
}

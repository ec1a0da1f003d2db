//! Images as commits: one for each step of an image's history, and one for the image itself.
//!
//! The commits of the steps are determined by layers and history alone (`docs/format.md`, "Commits"), so that images
//! share those of a common base on every machine. Steps that the store has already are not read again.

use std::fs::File;
use std::io::Read;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::known::{self, Known};
use crate::chunked::Places;
use crate::commit::{NewCommit, State, neutral_signature};
use crate::config::{ImageConfig, parse_time};
use crate::digest::Digest;
use crate::layer::compression::{Compression, sniff};
use crate::layer::{Form, Unpacker};
use crate::root::{Root, RootIds};
use crate::store::Batch;
use crate::{Error, Id, Result, Store};

/// Commits have dates from 1970 to the year 9999.
const LAST_SECOND: i64 = 253_402_300_799;

/// An image as an archive or a registry describes it, and that will be commits.
#[derive(Debug, Clone)]
pub struct Image {
    /// The configuration's exact bytes.
    pub config: Vec<u8>,
    /// The manifest's exact bytes, where it is OCI's or docker's.
    pub manifest: Option<Vec<u8>>,
    /// The layers, the lowest first.
    pub layers: Vec<LayerBlob>,
}

/// A layer of an image, compressed or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerBlob {
    /// Where it is, or what it is called in messages.
    pub path: String,
    /// Digest and size of the blob where the image's description says them.
    pub expected: Option<(Digest, u64)>,
    /// Where it describes itself, if it can be fetched in parts.
    pub chunked: Option<Places>,
}

/// Gives the file of a layer that has arrived.
pub type WholeFile = Box<dyn FnOnce() -> Option<Arc<File>>>;

/// A layer's bytes, compressed or not.
pub struct LayerBytes {
    /// The bytes.
    pub reader: Box<dyn Read + Send>,
    /// Their number.
    pub size: u64,
    /// A file on the store's filesystem that has just these bytes when they were read, and that nobody writes to any more.
    pub file: Option<WholeFile>,
    /// They are not the blob's: the layer's tar was put together from parts of it.
    pub is_tar: bool,
}

/// A step of an image's history.
#[derive(Debug, PartialEq, Eq)]
struct Step {
    message: String,
    created: i64,
    /// The number of its layer, where it has one.
    layer: Option<usize>,
}

/// The commits that an image will be.
#[derive(Debug)]
pub struct Chain {
    image: Image,
    config: ImageConfig,
    diff_ids: Vec<Digest>,
    steps: Vec<Step>,
    /// The configuration of the steps' commits.
    plain: String,
    /// Commits of the first steps that the store has.
    known: Vec<Id>,
}

impl Chain {
    /// The commits that `image` will be.
    pub fn new(image: Image) -> Result<Self> {
        let config = ImageConfig::parse(&image.config)?;
        let digest = Digest::of(&image.config);
        let diff_ids = diff_ids(&config, &digest)?;
        if diff_ids.len() != image.layers.len() {
            let why = format!("it lists {} layers, the image has {}", diff_ids.len(), image.layers.len());
            return Err(Error::Invalid { what: "image configuration", input: digest.to_string(), why });
        }
        let steps = steps(&config, &diff_ids);
        let plain = json!({ "architecture": config.architecture(), "os": config.os() }).to_string();
        Ok(Self { image, config, diff_ids, steps, plain, known: Vec::new() })
    }

    /// Read no layers that `store` has read before. Who holds off `rd gc` from here to the move of a ref can rely on what is
    /// there.
    pub fn skip_known(mut self, store: &Store) -> Result<Self> {
        let known = Known::open(store)?;
        while let Some(step) = self.steps.get(self.known.len())
            && let Some(id) = known.get(store, &self.noted(step, self.known.last().copied()))?
        {
            self.known.push(id);
        }
        Ok(self)
    }

    /// What determines the commit of a step.
    fn noted<'a>(&'a self, step: &'a Step, parent: Option<Id>) -> known::Step<'a> {
        let diff_id = step.layer.map(|number| self.diff_ids[number]);
        known::Step { parent, config: &self.plain, message: &step.message, seconds: step.created, diff_id }
    }

    /// The layers that have to be read, in this order.
    pub fn missing(&self) -> &[LayerBlob] {
        let known = self.steps[..self.known.len()].iter().filter(|step| step.layer.is_some()).count();
        &self.image.layers[known..]
    }

    /// All layers, also those that needn't be read.
    pub fn layers(&self) -> &[LayerBlob] {
        &self.image.layers
    }

    /// Write the commits; gives the image's. `open` gives a layer's bytes, and is asked for the missing ones only.
    pub fn write(self, batch: &mut Batch<'_>, open: &mut dyn FnMut(&LayerBlob) -> Result<LayerBytes>) -> Result<Id> {
        let store = batch.store();
        let mut notes = Known::open(store)?;
        let mut parent = self.known.last().copied();
        let mut root = parent.map(|id| store.read_commit(&id)).transpose()?.map(|commit| commit.state.root);
        let plain = batch.write_blob(self.plain.as_bytes())?;
        let mut unpacker = match &root {
            Some(root) => Unpacker::on(batch, Root::open(store, root)?),
            None => Unpacker::new(batch),
        };
        for step in &self.steps[self.known.len()..] {
            let layer = match step.layer {
                Some(number) => {
                    let layer = &self.image.layers[number];
                    let recipe = unpack(&mut unpacker, open(layer)?, layer, &self.diff_ids[number])?;
                    root = Some(unpacker.write_root()?);
                    Some(recipe)
                }
                None => None,
            };
            let root = match root {
                Some(root) => root,
                None => *root.insert(unpacker.write_root()?),
            };
            let state = State { root, config: plain, manifest: None, layer, container: None };
            let id = unpacker.batch().write_commit(&state, new_commit(parent, step.message.clone(), step.created))?;
            notes.add(&self.noted(step, parent), id);
            parent = Some(id);
        }
        notes.save()?;
        let root = match root {
            Some(root) => root,
            None => unpacker.write_root()?,
        };
        self.write_image(batch, root, parent)
    }

    fn write_image(&self, batch: &mut Batch<'_>, root: RootIds, parent: Option<Id>) -> Result<Id> {
        let manifest = self.image.manifest.as_ref();
        let state = State {
            root,
            config: batch.write_blob(&self.image.config)?,
            manifest: manifest.map(|manifest| batch.write_blob(manifest)).transpose()?,
            layer: None,
            container: None,
        };
        let created = self.config.created().unwrap_or(0).clamp(0, LAST_SECOND);
        let message = format!("image {}", Digest::of(&self.image.config));
        batch.write_commit(&state, new_commit(parent, message, created))
    }
}

fn new_commit(parent: Option<Id>, message: String, created: i64) -> NewCommit {
    let who = neutral_signature(created);
    NewCommit { parents: parent.into_iter().collect(), author: who.clone(), committer: who, message: message.into() }
}

/// Unpack a layer; its recipe. It must be what the image's description says. Compressed bytes are kept.
fn unpack(unpacker: &mut Unpacker<'_, '_>, bytes: LayerBytes, layer: &LayerBlob, diff_id: &Digest) -> Result<Id> {
    let LayerBytes { reader, size, file, is_tar } = bytes;
    let expected = layer.expected.filter(|_| !is_tar);
    let refused = |why: String| Error::Refused { entry: crate::layer::shown(layer.path.as_str().into()), why };
    if let Some((_, wanted)) = expected
        && wanted != size
    {
        return Err(refused(format!("it should have {wanted} bytes, and has {size}")));
    }
    let (compression, reader) = sniff(reader.take(size))?;
    let kept = match expected {
        Some((digest, _)) if compression != Compression::None && !unpacker.batch().has_blob(&digest)? => Some(digest),
        _ => None,
    };
    let arrival = match (kept, &file) {
        (Some(_), None) => Some(unpacker.batch().begin_blob()?),
        _ => None,
    };
    let reader: Box<dyn Read + Send> = match &arrival {
        Some(arrival) => Box::new(arrival.tee(reader)),
        None => Box::new(reader),
    };
    let unpacked = unpacker.unpack(reader, Form::Layer)?;
    if let Some((digest, _)) = expected
        && unpacked.ending.wire.0 != digest
    {
        return Err(refused(format!("it should be {digest}, and is {}", unpacked.ending.wire.0)));
    }
    if unpacked.ending.diff_id != *diff_id {
        return Err(refused(format!("decompressed it should be {diff_id}, and is {}", unpacked.ending.diff_id)));
    }
    if let Some(digest) = kept {
        let arrival = match (arrival, file) {
            (Some(arrival), _) => arrival,
            (None, file) => {
                let file = file.expect("because it is there where no arrival was begun")();
                unpacker.batch().adopt_blob(&file.expect("because all of it was read"))?
            }
        };
        unpacker.batch().keep_blob(digest, &arrival);
    }
    Ok(unpacked.layer)
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

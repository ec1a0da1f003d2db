//! The commits that an image is made of: from one back to the nearest that says what its layers are.

use serde_json::Value;

use super::layer::Tar;
use super::manifest::Manifest;
use crate::commit::Commit;
use crate::config::{ImageConfig, LIMIT};
use crate::digest::Digest;
use crate::root::{Root, RootIds};
use crate::{Error, Id, Result, Store, layer};

/// A commit that says itself what its layers are: one that came from a registry or an archive.
pub(super) struct Base {
    pub(super) config: ImageConfig,
    pub(super) config_bytes: Vec<u8>,
    pub(super) diff_ids: Vec<Digest>,
    /// The recipe of each layer.
    pub(super) recipes: Vec<Id>,
    /// The manifest and its exact bytes, where it came with one.
    pub(super) manifest: Option<(Manifest, Vec<u8>)>,
}

/// A commit above the base.
pub(super) struct Step {
    pub(super) commit: Commit,
    pub(super) config: ImageConfig,
    /// What it changed; `None` where that is nothing.
    pub(super) tar: Option<Tar>,
}

/// The base, where there is one, and the steps above it, the oldest first.
pub(super) struct Chain {
    pub(super) base: Option<Base>,
    pub(super) steps: Vec<Step>,
}

impl Chain {
    /// Follow first parents from `tip`.
    pub(super) fn read(store: &Store, tip: &Id) -> Result<Self> {
        let mut steps = Vec::new();
        let mut next = Some(store.read_commit(tip)?);
        while let Some(commit) = next {
            let config_bytes = store.read_blob(&commit.state.config)?;
            let config = ImageConfig::parse(&config_bytes)?;
            let config = match Base::of(store, &commit, config, config_bytes)? {
                Ok(base) => {
                    steps.reverse();
                    return Ok(Self { base: Some(base), steps });
                }
                Err(config) => config,
            };
            let parent = commit.parents.first().map(|id| store.read_commit(id)).transpose()?;
            let tar = changed(store, &commit, parent.as_ref())?;
            steps.push(Step { commit, config, tar });
            next = parent;
        }
        steps.reverse();
        Ok(Self { base: None, steps })
    }
}

/// What a commit changed.
fn changed(store: &Store, commit: &Commit, parent: Option<&Commit>) -> Result<Option<Tar>> {
    if let Some(layer) = commit.state.layer {
        return Ok(Some(Tar::Recipe(layer)));
    }
    let (before, after) = (parent.map(|parent| parent.state.root), commit.state.root);
    let nothing = match before {
        Some(before) => before == after,
        None => after == empty_root(store)?,
    };
    Ok((!nothing).then_some(Tar::Changes { before, after }))
}

/// The root of an image without layers.
fn empty_root(store: &Store) -> Result<RootIds> {
    let (attrs, mtime) = layer::implied();
    Root::new(attrs, mtime).write(&mut store.hashing_batch())
}

impl Base {
    /// The commit as one that says what its layers are. Its configuration back where that lists none, or others than its
    /// ancestors have.
    fn of(store: &Store, commit: &Commit, config: ImageConfig, bytes: Vec<u8>) -> Result<Result<Self, ImageConfig>> {
        let manifest = commit.state.manifest.map(|id| read_manifest(store, &id)).transpose()?;
        let Some(diff_ids) = diff_ids(&config) else {
            return match manifest {
                None => Ok(Err(config)),
                Some(_) => Err(damaged(commit, "it has a manifest, and its configuration lists no layers")),
            };
        };
        let recipes = recipes(store, commit, diff_ids.len())?;
        let found = recipes.iter().map(|layer| Ok(layer::head(store, layer)?.diff_id)).collect::<Result<Vec<_>>>()?;
        match manifest {
            Some((manifest, _)) if manifest.layers.len() != diff_ids.len() => {
                Err(damaged(commit, "its manifest and its configuration list different numbers of layers"))
            }
            Some(_) if found != diff_ids => Err(damaged(commit, "its ancestors have other layers than it lists")),
            None if found != diff_ids => Ok(Err(config)),
            manifest => Ok(Ok(Self { config, config_bytes: bytes, diff_ids, recipes, manifest })),
        }
    }
}

fn damaged(commit: &Commit, why: &str) -> Error {
    Error::damaged(format!("commit {}", commit.id), why)
}

fn read_manifest(store: &Store, id: &Id) -> Result<(Manifest, Vec<u8>)> {
    let bytes = store.read_object(id, gix::objs::Kind::Blob)?;
    if bytes.len() as u64 > LIMIT {
        return Err(Error::damaged(format!("manifest {id}"), format!("it has {} bytes", bytes.len())));
    }
    Ok((Manifest::parse(&bytes)?, bytes))
}

/// The digests of the layers' tars as a configuration lists them.
pub(super) fn diff_ids(config: &ImageConfig) -> Option<Vec<Digest>> {
    let list = config.fields().get("rootfs")?.get("diff_ids")?.as_array()?;
    list.iter().map(|id| id.as_str()?.parse().ok()).collect::<Option<Vec<Digest>>>()
}

/// The recipes of the nearest `count` commits that have one, the oldest first.
fn recipes(store: &Store, commit: &Commit, count: usize) -> Result<Vec<Id>> {
    let mut found = Vec::new();
    let mut next = Some(commit.clone());
    while let Some(commit) = next.take() {
        found.extend(commit.state.layer);
        if found.len() >= count {
            break;
        }
        next = commit.parents.first().map(|id| store.read_commit(id)).transpose()?;
    }
    found.truncate(count);
    found.reverse();
    Ok(found)
}

/// The entries of a configuration's history.
pub(super) fn history(config: &ImageConfig) -> Vec<Value> {
    config.fields().get("history").and_then(Value::as_array).cloned().unwrap_or_default()
}

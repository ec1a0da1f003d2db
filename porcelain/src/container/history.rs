//! A container's history: the commits that its ref points at.
//!
//! `refs/containers/NAME` is a container's head. Creating makes its first commit, `rd commit` adds one. A container that
//! is removed when it ends (`--rm`) has no ref until somebody commits it: its head is the commit that it started from.

use plumbing::commit::{NewCommit, State, host_signature};
use plumbing::store::Batch;
use plumbing::store::refs::{CONTAINERS, Expect};
use plumbing::{Id, Store};

use super::{Config, Container};
use crate::{Error, Result};

/// The full name of a container's ref.
pub fn ref_name(name: &str) -> String {
    format!("{CONTAINERS}{name}")
}

impl Config {
    /// The commit that the container started from: what lies below its upper folder.
    pub fn base(&self) -> Result<Id> {
        Id::from_hex(self.base.as_bytes()).map_err(|error| Error::invalid("base commit", &self.base, error))
    }
}

impl Container {
    /// The commit that the container is at.
    pub fn head(&self, store: &Store) -> Result<Id> {
        Ok(head_and_ref(store, self)?.0)
    }
}

/// The commit that the container is at, and what its ref has to be for it to move on.
pub(super) fn head_and_ref(store: &Store, container: &Container) -> Result<(Id, Expect)> {
    Ok(match store.get_ref(&ref_name(&container.config.name))? {
        Some(id) => (id, Expect::Id(id)),
        None => (container.config.base()?, Expect::Missing),
    })
}

/// Make the container's first commit: the state that it starts from, with its configuration.
pub(super) fn begin(store: &Store, config: &Config) -> Result<Id> {
    let _hold = store.hold()?;
    let from = store.read_commit(&config.base()?)?;
    let mut batch = store.batch();
    let container = Some(write_config(&mut batch, config)?);
    let state = State { container, layer: None, manifest: None, ..from.state };
    let who = host_signature()?;
    let message = format!("create {} from {}", config.name, config.image);
    let new =
        NewCommit { parents: vec![from.id], author: who.clone(), committer: who, message: message.as_str().into() };
    let id = batch.write_commit(&state, new)?;
    batch.finish()?;
    // The name is this container's already: a ref that is there belonged to one that was killed while it was removed.
    store.update_ref(&ref_name(&config.name), id, Expect::Any, &message)?;
    Ok(id)
}

/// Remove a container's ref, if it has one.
pub(super) fn forget(store: &Store, name: &str) -> Result<()> {
    match store.get_ref(&ref_name(name))? {
        Some(id) => Ok(store.delete_ref(&ref_name(name), id)?),
        None => Ok(()),
    }
}

/// The container's create-time configuration as a blob.
pub(super) fn write_config(batch: &mut Batch<'_>, config: &Config) -> Result<Id> {
    let json = serde_json::to_vec_pretty(config).expect("because a configuration holds nothing that JSON lacks");
    Ok(batch.write_blob(&json)?)
}

//! Layers of images as registries have them.

use std::io::Read;

use plumbing::commit::Commit;
use plumbing::digest::Digest;
use plumbing::{Id, Store, layer};

use crate::Result;

/// A layer that can be made.
pub(super) struct Layer(Id);

/// The layer of this digest.
pub(super) fn find(store: &Store, commit: &Commit, digest: &Digest) -> Result<Option<Layer>> {
    let mut next = Some(commit.clone());
    while let Some(commit) = next {
        if let Some(recipe) = commit.state.layer
            && layer::head(store, &recipe)?.diff_id == *digest
        {
            return Ok(Some(Layer(recipe)));
        }
        next = commit.parents.first().map(|id| store.read_commit(id)).transpose()?;
    }
    Ok(None)
}

impl Layer {
    pub(super) fn reader(self, store: &Store, offset: u64) -> Result<Box<dyn Read + Send>> {
        let mut bytes = Vec::new();
        layer::replay(store, &self.0, &mut bytes)?;
        let at = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        Ok(Box::new(std::io::Cursor::new(bytes.split_off(at))))
    }
}

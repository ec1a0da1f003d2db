//! Which blobs there are: asked one by one, or, where many are asked for, by a list of all contents.

use std::collections::HashSet;

use crate::{Id, Result, Store};

/// Which blobs there are.
#[derive(Default)]
pub(super) struct Existing {
    asked: usize,
    /// All contents, once it has shown that many are asked for.
    contents: Option<HashSet<Id>>,
}

impl Existing {
    /// So many contents are looked for one by one.
    const FEW: usize = 256;

    /// Whether the blob is there.
    pub(super) fn has(&mut self, store: &Store, id: &Id) -> Result<bool> {
        self.asked += 1;
        if self.asked > Self::FEW && self.contents.is_none() {
            self.contents = Some(store.content_ids()?.into_iter().collect());
        }
        let is_listed = self.contents.as_ref().is_some_and(|contents| contents.contains(id));
        Ok(is_listed || store.has(id))
    }
}

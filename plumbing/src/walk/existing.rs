//! Which blobs there are: asked one by one, or, where many are asked for, by a list of all contents.

use std::thread::JoinHandle;

use gix::hashtable::HashSet;

use crate::{Id, Result, Store};

/// Which blobs there are.
#[derive(Default)]
pub(super) struct Existing {
    asked: usize,
    contents: Contents,
}

/// A list of all contents.
#[derive(Default)]
enum Contents {
    /// So few were asked for that it isn't worth while.
    #[default]
    Unknown,
    /// It is being made beside the walk.
    Coming(JoinHandle<Result<HashSet<Id>>>),
    Known(HashSet<Id>),
}

impl Existing {
    /// So many contents are looked for one by one.
    const FEW: usize = 256;

    /// Whether the blob is there.
    pub(super) fn has(&mut self, store: &Store, id: &Id) -> Result<bool> {
        self.asked += 1;
        if self.asked == Self::FEW {
            self.contents = Contents::list(store);
        }
        self.contents.arrive()?;
        Ok(match &self.contents {
            // What is no content is most likely an object, and the list may be older than a content.
            Contents::Known(contents) => contents.contains(id) || store.repo().has_object(id) || store.has(id),
            _ => store.has(id),
        })
    }
}

impl Contents {
    fn list(store: &Store) -> Self {
        let list = store.content_lister();
        Self::Coming(std::thread::spawn(move || Ok(list()?.into_iter().collect())))
    }

    /// Take over the list once it is there.
    fn arrive(&mut self) -> Result<()> {
        if !matches!(self, Self::Coming(list) if list.is_finished()) {
            return Ok(());
        }
        if let Self::Coming(list) = std::mem::take(self) {
            *self = Self::Known(list.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        }
        Ok(())
    }
}

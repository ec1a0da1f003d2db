//! Objects that arrive before they may be seen: packs in a repository of their own, which become the store's all at once.

use std::path::{Path, PathBuf};

use gix::objs::Kind;

use super::consolidate::{self, copy_entries};
use super::pack::{Pack, StagedPack};
use super::{PACK_LIMIT, Store, sync};
use crate::{Id, Result};

/// Packs in the making, in the pack folder of a repository that nobody else reads.
pub(crate) struct Arrivals {
    folder: PathBuf,
    pack: Pack,
    staged: Vec<StagedPack>,
}

impl Arrivals {
    /// Objects will lie in `folder`.
    pub(crate) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), pack: Pack::new(), staged: Vec::new() }
    }

    /// Add an object that wasn't added before; `id` is that of its bytes. It can be read after the next [`show`](Self::show).
    pub(crate) fn add(&mut self, id: Id, kind: Kind, data: &[u8]) -> Result<()> {
        self.pack.add(id, kind, data);
        if self.pack.len() > PACK_LIMIT { self.show() } else { Ok(()) }
    }

    /// Let all objects so far be read in the repository of the folder.
    pub(crate) fn show(&mut self) -> Result<()> {
        if !self.pack.is_empty() {
            self.staged.push(std::mem::replace(&mut self.pack, Pack::new()).stage(&self.folder)?);
        }
        Ok(())
    }

    /// Make all of it the store's, durably.
    pub(crate) fn publish(mut self, store: &Store) -> Result<()> {
        self.show()?;
        self.join()?;
        let files: Vec<PathBuf> = self.staged.iter().flat_map(StagedPack::files).collect();
        if files.is_empty() {
            return Ok(());
        }
        sync::sync_all(&files)?;
        let folder = store.pack_dir();
        self.staged.into_iter().try_for_each(|pack| pack.rename_into(&folder).map(drop))?;
        sync::sync_folder(&folder)?;
        consolidate::run(&folder, &self.folder)
    }

    /// Make one pack of several small ones.
    fn join(&mut self) -> Result<()> {
        let size: u64 = self.staged.iter().map(StagedPack::size).sum();
        if self.staged.len() < 2 || size > PACK_LIMIT as u64 {
            return Ok(());
        }
        let mut joined = Pack::new();
        let mut seen = std::collections::HashSet::new();
        for pack in &self.staged {
            let [pack, ..] = pack.files();
            copy_entries(&pack, &mut seen, &mut joined)?;
        }
        self.staged = vec![joined.stage(&self.folder)?];
        Ok(())
    }
}

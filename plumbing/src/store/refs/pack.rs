//! Packing refs: what ten thousand files say moves into one.

use std::collections::BTreeMap;
use std::path::PathBuf;

use gix::bstr::{BStr, BString, ByteSlice};
use gix::glob::wildmatch;
use gix::objs::Kind;

use super::lock::Lock;
use super::log::remove_empty_parents;
use super::packed::Entry;
use super::place::{Value, is_shared};
use crate::store::Store;
use crate::{Error, Id, Result};

/// Which refs to pack, and how.
#[derive(Debug, Clone)]
pub struct Packing {
    /// Patterns of full names, in which `*` stands for slashes too; a ref is packed that matches one of these…
    pub include: Vec<BString>,
    /// …and none of these.
    pub exclude: Vec<BString>,
    /// Remove the loose refs that were packed.
    pub prune: bool,
}

impl Default for Packing {
    /// All refs.
    fn default() -> Self {
        Self { include: vec!["*".into()], exclude: Vec::new(), prune: true }
    }
}

impl Packing {
    fn takes(&self, name: &BStr) -> bool {
        let matches = |pattern: &BString| wildmatch(pattern.as_bstr(), name, wildmatch::Mode::empty());
        is_shared(name) && self.include.iter().any(matches) && !self.exclude.iter().any(matches)
    }
}

impl Store {
    /// Move refs into `packed-refs`, durably; how many were moved. Refs that point at nothing stay as they are.
    ///
    /// Safe beside everything else that reads or changes refs, git's commands too: the file is complete in its place
    /// before a loose ref goes, and that goes under its lock and only if it still says what was packed.
    pub fn pack_refs(&self, packing: &Packing) -> Result<usize> {
        let lock = Lock::acquire(&self.packed_file())?;
        let mut entries: BTreeMap<BString, Entry> =
            self.read_packed()?.all()?.into_iter().map(|entry| (entry.name.clone(), entry)).collect();
        let mut moved = Vec::new();
        for (name, value) in self.loose_refs(b"refs/".as_bstr())? {
            let Value::Id(id) = value else { continue };
            if packing.takes(name.as_bstr()) && self.has(&id) {
                entries.insert(name.clone(), Entry { peeled: self.peel_tag(id)?, id, name: name.clone() });
                moved.push((name, id));
            }
        }
        if !moved.is_empty() {
            let entries: Vec<Entry> = entries.into_values().collect();
            self.write_packed(&lock, &entries, true)?;
        }
        drop(lock);
        if packing.prune {
            moved.iter().try_for_each(|(name, id)| self.prune_loose(name.as_bstr(), *id))?;
        }
        let _ = self.repo().refs.force_refresh_packed_buffer();
        Ok(moved.len())
    }

    /// What a tag leads to; `None` for what is none.
    pub fn peel_tag(&self, id: Id) -> Result<Option<Id>> {
        match self.find_header(&id)? {
            Some((Kind::Tag, _)) => {
                let object = self.repo().find_object(id).map_err(Error::git(format!("read tag {id}")))?;
                let end = object.peel_tags_to_end().map_err(Error::git(format!("follow tag {id}")))?;
                Ok(Some(end.id))
            }
            _ => Ok(None),
        }
    }

    /// Remove a loose ref that says what was packed. If somebody is changing it, it stays: what is loose counts. So does one
    /// that was removed meanwhile, from both places, and made anew at the same object.
    fn prune_loose(&self, name: &BStr, id: Id) -> Result<()> {
        let path: PathBuf = self.ref_file(name);
        let Ok(lock) = Lock::acquire(&path) else { return Ok(()) };
        if self.read_loose(name)? == Some(Value::Id(id)) && self.read_packed()?.find(name)? == Some(id) {
            std::fs::remove_file(&path).map_err(Error::io("remove", &path))?;
        }
        drop(lock);
        remove_empty_parents(&path, &self.repo().common_dir().join("refs"));
        Ok(())
    }
}

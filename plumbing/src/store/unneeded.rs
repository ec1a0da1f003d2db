//! Packs of objects that nothing needs: `rd gc` puts them there, and removes them when the pack is old.
//!
//! They are git's cruft packs by another name: a promisor pack can't be one of those.

use std::path::{Path, PathBuf};

use gix::odb::pack::index;

use super::pack::UNNEEDED_MARK;
use crate::{Error, Id, Result};

/// What lies in such packs.
pub(super) struct Unneeded {
    indexes: Vec<index::File<gix::odb::pack::MMap>>,
}

impl Unneeded {
    /// The packs of this kind in the folder `dir`.
    pub(super) fn open(dir: &Path) -> Result<Self> {
        let mut indexes = Vec::new();
        for path in list(dir)? {
            // One that can't be read protects nothing: what is in it is written again.
            indexes.extend(index::File::at(path.with_extension("idx"), gix::hash::Kind::Sha256));
        }
        Ok(Self { indexes })
    }

    /// Whether one of them has the object.
    pub(super) fn contains(&self, id: &Id) -> bool {
        self.indexes.iter().any(|index| index.lookup(id).is_some())
    }
}

fn list(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut packs = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(Error::io("list", dir))? {
        let path = entry.map_err(Error::io("list", dir))?.path();
        let is_mark = path.extension().is_some_and(|extension| extension == "promisor");
        if is_mark && std::fs::metadata(&path).is_ok_and(|mark| mark.len() == UNNEEDED_MARK.len() as u64) {
            packs.push(path);
        }
    }
    Ok(packs)
}

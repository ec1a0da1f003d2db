//! A root, or a folder of one that is taken for a root of its own.

use gix::bstr::{BStr, ByteSlice};

use super::{Hardlinks, RootIds, ids_of, read_folder, read_hardlinks};
use crate::store::hash_content;
use crate::{Id, Result, Store};

/// The files below a folder of a root: what commands work on that take `REV` and `REV:/FOLDER` alike.
#[derive(Debug, Clone)]
pub struct Part {
    /// The trees of the folder.
    pub ids: RootIds,
    /// Which files in it have several names in it, by their paths in the folder.
    pub hardlinks: Hardlinks,
}

impl Part {
    /// The whole root `ids`.
    pub fn whole(store: &Store, ids: RootIds) -> Result<Self> {
        Ok(Self { ids, hardlinks: read_hardlinks(store, &ids.meta)? })
    }

    /// The folder at `path` (relative, empty for the top) of the root `ids`, without following links; `None` where there
    /// is no folder.
    pub fn folder(store: &Store, ids: RootIds, path: &BStr) -> Result<Option<Self>> {
        let mut at = ids;
        for name in path.split_str("/").filter(|name| !name.is_empty()) {
            match read_folder(store, &at)?.dirs.get(name.as_bstr()) {
                Some(next) => at = *next,
                None => return Ok(None),
            }
        }
        Ok(Some(Self { ids: at, hardlinks: read_hardlinks(store, &ids.meta)?.below(path) }))
    }

    /// The trees that it has as a root of its own. They differ from [`ids`](Self::ids) where the table of hard links has to
    /// be another, and need not be in the store then.
    pub fn own_ids(&self, store: &Store) -> Result<RootIds> {
        let table = (!self.hardlinks.is_empty()).then(|| hash_content(&self.hardlinks.encode()));
        Ok(ids_of(&read_folder(store, &self.ids)?, table))
    }

    /// The id that names it as a root of its own ([`RootIds::name`]).
    pub fn name(&self, store: &Store) -> Result<Id> {
        Ok(self.own_ids(store)?.name())
    }
}

//! What objects take on disk.

use gix::hashtable::HashMap;

use super::Store;
use crate::{Error, Id, Result};

/// Size in bytes of the checksum at the end of a pack.
const TRAILER: u64 = 32;

/// The sizes of all objects in packs.
pub struct DiskUsage {
    packed: HashMap<Id, u64>,
}

impl DiskUsage {
    /// Read the indices of all packs. Of an object that is in several the size in the youngest counts.
    pub fn read(store: &Store) -> Result<Self> {
        let dir = store.dir().join("objects/pack");
        let mut indices = Vec::new();
        for entry in std::fs::read_dir(&dir).map_err(Error::io("list", &dir))? {
            let path = entry.map_err(Error::io("list", &dir))?.path();
            if path.extension().is_some_and(|extension| extension == "idx")
                && let Ok(pack) = std::fs::metadata(path.with_extension("pack"))
            {
                indices.push((pack.modified().ok(), pack.len(), path));
            }
        }
        indices.sort();
        let mut packed = HashMap::default();
        for (_, length, path) in indices {
            let index = gix::odb::pack::index::File::at(&path, gix::hash::Kind::Sha256)
                .map_err(|error| Error::damaged(format!("pack index '{}'", path.display()), error.to_string()))?;
            let mut entries: Vec<(u64, Id)> = index.iter().map(|entry| (entry.pack_offset, entry.oid)).collect();
            entries.sort_unstable();
            let ends = entries.iter().skip(1).map(|(offset, _)| *offset).chain([length.saturating_sub(TRAILER)]);
            let sizes: Vec<u64> =
                entries.iter().zip(ends).map(|((offset, _), end)| end.saturating_sub(*offset)).collect();
            packed.extend(entries.into_iter().map(|(_, id)| id).zip(sizes));
        }
        Ok(Self { packed })
    }

    /// The bytes that the object `id` takes: its part of a pack, its file, or the content itself.
    pub fn of(&self, store: &Store, id: &Id) -> Result<u64> {
        if let Some(size) = self.packed.get(id) {
            return Ok(*size);
        }
        let loose = store.dir().join("objects").join(super::content_path(id));
        for path in [loose, store.content_file(id)] {
            if let Ok(file) = std::fs::metadata(path) {
                return Ok(file.len());
            }
        }
        Err(Error::damaged(format!("store: object {id}"), "the object is missing"))
    }
}

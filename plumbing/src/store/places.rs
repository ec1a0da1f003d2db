//! Where git objects lie on disk: for those who ask how a store is kept rather than what is in it.

use std::cell::OnceCell;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

use gix::odb::pack::{Bundle, data::entry::Header};

use super::Store;
use crate::{Error, Id, Result};

/// How an object is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The bytes that it takes, compressed where it is.
    pub disk_size: u64,
    /// The object that it is stored as the difference to.
    pub delta_base: Option<Id>,
}

/// Where an object was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Location {
    Packed {
        pack: usize,
        offset: u64,
    },
    /// A file of its own below `objects/`.
    Loose(PathBuf),
}

/// The packs and folders of a repository and of those that it borrows objects from.
pub(super) struct Places {
    packs: Vec<Pack>,
    /// Numbers of packs, that of the last find first: git looks for copies of an object in this order.
    recent: Vec<usize>,
    folders: Vec<PathBuf>,
}

struct Pack {
    bundle: Bundle,
    /// Offset and place in the index of every entry, by offset.
    by_offset: OnceCell<Vec<(u64, u32)>>,
}

impl Pack {
    fn by_offset(&self) -> &[(u64, u32)] {
        self.by_offset.get_or_init(|| {
            let numbers = 0..self.bundle.index.num_objects();
            let mut entries: Vec<_> = numbers.map(|at| (self.bundle.index.pack_offset_at_index(at), at)).collect();
            entries.sort_unstable();
            entries
        })
    }

    fn place(&self, offset: u64) -> Result<Place> {
        let entry = self.bundle.pack.entry(offset).map_err(Error::git("read a pack"))?;
        let entries = self.by_offset();
        let next = entries.partition_point(|(other, _)| *other <= offset);
        let end = entries.get(next).map_or(self.bundle.pack.pack_end() as u64, |(offset, _)| *offset);
        let id_at = |offset: u64| {
            let at = entries.binary_search_by_key(&offset, |(offset, _)| *offset).ok()?;
            Some(self.bundle.index.oid_at_index(entries[at].1).to_owned())
        };
        let delta_base = match entry.header {
            Header::RefDelta { base_id } => Some(base_id),
            Header::OfsDelta { base_distance } => offset.checked_sub(base_distance).and_then(id_at),
            _ => None,
        };
        Ok(Place { disk_size: end.saturating_sub(offset), delta_base })
    }
}

impl Places {
    pub(super) fn open(store: &Store) -> Result<Self> {
        let objects = store.objects_dir();
        let current = std::env::current_dir().map_err(Error::io("find", "the current folder"))?;
        let borrowed = gix::odb::alternate::resolve(objects.clone(), &current);
        let borrowed = borrowed.map_err(Error::git("find the folders that objects are borrowed from"))?;
        let folders: Vec<PathBuf> = std::iter::once(objects).chain(borrowed).collect();
        let mut packs = Vec::new();
        for folder in &folders {
            for index in indexes(&folder.join("pack"))? {
                // Another command may have joined it with others meanwhile; those are found then.
                if let Ok(bundle) = Bundle::at(&index, gix::hash::Kind::Sha256) {
                    packs.push(Pack { bundle, by_offset: OnceCell::new() });
                }
            }
        }
        Ok(Self { recent: (0..packs.len()).collect(), packs, folders })
    }

    /// Where the object `id` is found first, as git looks: in packs, then in files of their own.
    pub(super) fn find(&mut self, id: &Id) -> Option<Location> {
        let mut packs = self.recent.iter().enumerate();
        let found = packs.find_map(|(at, number)| {
            let index = &self.packs[*number].bundle.index;
            Some((at, index.pack_offset_at_index(index.lookup(id)?)))
        });
        if let Some((at, offset)) = found {
            let pack = self.recent.remove(at);
            self.recent.insert(0, pack);
            return Some(Location::Packed { pack, offset });
        }
        self.folders.iter().find_map(|folder| {
            let path = folder.join(super::content_path(id));
            path.symlink_metadata().is_ok().then_some(Location::Loose(path))
        })
    }

    pub(super) fn place(&self, location: &Location) -> Result<Place> {
        match location {
            Location::Packed { pack, offset } => self.packs[*pack].place(*offset),
            Location::Loose(path) => {
                let about = path.symlink_metadata().map_err(Error::io("stat", path))?;
                Ok(Place { disk_size: about.len(), delta_base: None })
            }
        }
    }

    /// The compressed bytes of a packed object that is stored whole, and what may follow them.
    pub(super) fn whole_entry(&self, pack: usize, offset: u64) -> Result<Option<&[u8]>> {
        let pack = &self.packs[pack].bundle.pack;
        let entry = pack.entry(offset).map_err(Error::git("read a pack"))?;
        if entry.header.is_delta() {
            return Ok(None);
        }
        Ok(pack.entry_slice(entry.data_offset..pack.pack_end() as u64))
    }

    /// Whether a pack holds the object `id`.
    pub(super) fn is_packed(&self, id: &Id) -> bool {
        self.packs.iter().any(|pack| pack.bundle.index.lookup(id).is_some())
    }

    /// The packs in `folder`: index, pack, and number of objects.
    pub(super) fn packs_in(&self, folder: &Path) -> impl Iterator<Item = (&Path, &Path, u32)> {
        let all = self.packs.iter().map(|pack| &pack.bundle);
        let here = all.filter(move |bundle| bundle.pack.path().parent() == Some(folder));
        here.map(|bundle| (bundle.index.path(), bundle.pack.path(), bundle.index.num_objects()))
    }

    /// The folders that objects are borrowed from.
    pub(super) fn borrowed(&self) -> &[PathBuf] {
        &self.folders[1..]
    }

    /// Every object once, in the order in which they lie: files of their own, then pack by pack.
    pub(super) fn all(&self) -> Result<Vec<Id>> {
        let mut found = Vec::new();
        for folder in &self.folders {
            found.extend(loose(folder)?);
        }
        for pack in &self.packs {
            let ids = pack.by_offset().iter().map(|(_, at)| pack.bundle.index.oid_at_index(*at).to_owned());
            found.extend(ids);
        }
        let mut seen = HashSet::with_capacity(found.len());
        found.retain(|id| seen.insert(*id));
        Ok(found)
    }
}

/// The index files in a folder of packs, the youngest pack first, as git sorts them.
fn indexes(folder: &Path) -> Result<Vec<PathBuf>> {
    use std::os::unix::fs::MetadataExt;
    let mut found = Vec::new();
    for path in list(folder)? {
        let pack = path.with_extension("pack");
        if path.extension().is_some_and(|extension| extension == "idx")
            && let Ok(about) = pack.metadata()
        {
            found.push((about.mtime(), path));
        }
    }
    // Among packs of one second git has the one that it read last first.
    found.reverse();
    found.sort_by_key(|(time, _)| std::cmp::Reverse(*time));
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// The ids that files of `folder` are named by, in the order in which the filesystem has them: loose objects, or contents.
pub(super) fn loose(folder: &Path) -> Result<Vec<Id>> {
    let mut found = Vec::new();
    for byte in 0..=255u8 {
        let first = format!("{byte:02x}");
        let folder = folder.join(&first);
        let mut hex = [0; 64];
        hex[..2].copy_from_slice(first.as_bytes());
        for entry in entries(&folder)? {
            let name = entry.map_err(Error::io("list", &folder))?.file_name();
            if name.len() == hex.len() - 2 {
                hex[2..].copy_from_slice(name.as_encoded_bytes());
                found.extend(Id::from_hex(&hex).ok());
            }
        }
    }
    Ok(found)
}

/// What is in a folder; nothing where there is none.
pub(super) fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    entries(folder)?.map(|entry| Ok(entry.map_err(Error::io("list", folder))?.path())).collect()
}

fn entries(folder: &Path) -> Result<impl Iterator<Item = std::io::Result<std::fs::DirEntry>>> {
    match std::fs::read_dir(folder) {
        Ok(entries) => Ok(Some(entries).into_iter().flatten()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None.into_iter().flatten()),
        Err(error) => Err(Error::io("list", folder)(error)),
    }
}

//! How many objects there are and how much room they take, by git's way of counting (git-count-objects(1)).

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::Store;
use super::places::{Places, list};
use crate::{Id, Result};

/// What `git count-objects -v` tells. Contents of files are no objects of git's and not counted.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Counts {
    /// Objects with files of their own.
    pub loose: u64,
    /// The room that they take on disk, in bytes.
    pub loose_bytes: u64,
    /// Objects in packs.
    pub packed: u64,
    /// Packs.
    pub packs: u64,
    /// Bytes of packs and of their indexes.
    pub pack_bytes: u64,
    /// Loose objects that a pack holds too.
    pub prunable: u64,
    /// Files that don't belong among objects, and why.
    pub garbage: Vec<(PathBuf, &'static str)>,
    /// Bytes of them.
    pub garbage_bytes: u64,
    /// Folders that objects are borrowed from.
    pub alternates: Vec<PathBuf>,
}

impl Store {
    /// Count the objects.
    pub fn count_objects(&self) -> Result<Counts> {
        let places = Places::open(self)?;
        let objects = self.objects_dir();
        let mut counts = Counts::default();
        let loose = count_loose(&objects, &mut counts)?;
        counts.prunable = loose.iter().filter(|id| places.is_packed(id)).count() as u64;
        let packs = objects.join("pack");
        for (index, pack, objects) in places.packs_in(&packs) {
            counts.packs += 1;
            counts.packed += u64::from(objects);
            counts.pack_bytes += size(index) + size(pack);
        }
        count_garbage(&packs, &mut counts)?;
        counts.alternates = places.borrowed().to_vec();
        Ok(counts)
    }
}

fn size(path: &Path) -> u64 {
    path.metadata().map_or(0, |about| about.len())
}

impl Counts {
    fn add_garbage(&mut self, path: PathBuf, why: &'static str) {
        self.garbage_bytes += size(&path);
        self.garbage.push((path, why));
    }
}

/// Count the files of the folders `00` to `ff`; the objects among them.
fn count_loose(objects: &Path, counts: &mut Counts) -> Result<Vec<Id>> {
    let mut ids = Vec::new();
    for byte in 0..=255u8 {
        let folder = format!("{byte:02x}");
        for path in list(&objects.join(&folder))? {
            let name = path.file_name().unwrap_or_default().as_encoded_bytes();
            let id = Id::from_hex(&[folder.as_bytes(), name].concat()).ok().filter(|_| name.len() == 62);
            match (id, path.symlink_metadata()) {
                (Some(id), Ok(about)) if about.is_file() => {
                    counts.loose += 1;
                    counts.loose_bytes += about.blocks() * 512;
                    ids.push(id);
                }
                _ => counts.add_garbage(path, "garbage found"),
            }
        }
    }
    Ok(ids)
}

/// The endings of files that belong to a pack.
const OF_PACKS: [&str; 7] = ["idx", "rev", "pack", "bitmap", "keep", "promisor", "mtimes"];

/// Find what belongs to no pack in the folder of packs.
fn count_garbage(folder: &Path, counts: &mut Counts) -> Result<()> {
    let mut groups: BTreeMap<PathBuf, Vec<PathBuf>> = BTreeMap::new();
    for path in list(folder)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let extension = path.extension().unwrap_or_default().to_string_lossy().into_owned();
        let is_of_all = name == "multi-pack-index"
            || name == "multi-pack-index.d"
            || (name.starts_with("multi-pack-index") && ["bitmap", "rev"].contains(&extension.as_str()));
        match OF_PACKS.contains(&extension.as_str()) {
            _ if is_of_all => {}
            true => groups.entry(path.with_extension("")).or_default().push(path),
            false => counts.add_garbage(path, "garbage found"),
        }
    }
    for files in groups.into_values() {
        let has = |extension| files.iter().any(|file| file.extension().is_some_and(|found| found == extension));
        let why = match (has("pack"), has("idx")) {
            (true, true) => continue,
            (true, false) => "no corresponding .idx",
            (false, true) => "no corresponding .pack",
            (false, false) => "no corresponding .idx or .pack",
        };
        files.into_iter().for_each(|file| counts.add_garbage(file, why));
    }
    Ok(())
}

//! Cold contents: those that no image in use needs lie compressed in packs until somebody runs such an image.
//!
//! The packs are git's, with deltas between contents that are alike; git and gix read them as any other. What was
//! packed is removed from `content/` when the pack is durable ([`repack`]), and [`thaw`] brings back what a root needs
//! before it is mounted.

pub(crate) mod delta;
mod line;
mod order;
mod pack;
mod sketch;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use gix::odb::pack::index;
use order::{Item, Names};

use crate::gc::{Marker, Roots};
use crate::store::{Alone, PackFile, StagedPack, Staging, lock_packs, remove_pack, sync_names};
use crate::{Error, Id, Result, Store};

/// What the promisor mark of a pack of contents says. Its length tells it from others.
pub(crate) const MARK: &[u8] = b"rd cold contents\n\n";

/// Larger contents stay raw: who reads a packed one has it in memory.
const LARGEST: u64 = 192 << 20;

/// So long nobody may write in one go.
const SLICE: Duration = Duration::from_millis(100);

/// What a repacking came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    /// Contents that are in packs now and no longer raw.
    pub contents: usize,
    /// What they took on the disk, in bytes.
    pub raw_bytes: u64,
    /// Bytes of the packs that were written, less those of packs that they replace.
    pub pack_bytes: i64,
    /// Contents whose bytes are not those of their ids: they stay for `rd fsck` to tell of.
    pub damaged: usize,
}

/// What must stay raw, and what speaks of it.
pub struct Warm<'a> {
    /// Trees of roots in use: asked for again and again.
    pub roots: &'a dyn Fn() -> Result<Vec<Id>>,
    /// Remove the mountable images of all other roots: nobody writes meanwhile.
    pub forget_others: &'a dyn Fn() -> Result<()>,
}

/// Move contents that are older than `cutoff` (seconds since 1970) and that no root in use needs into a pack; with
/// `more_roots` as for [`gc::run`](crate::gc::run).
pub fn repack(store: &Store, cutoff: i64, more_roots: &dyn Fn() -> Result<Vec<Id>>, warm: &Warm<'_>) -> Result<Report> {
    let dir = store.dir().join("objects/pack");
    let _lock = lock_packs(&dir, true)?;
    let mut hot = Hot { warm, roots: HashSet::new(), needed: Marker::new(store) };
    hot.refresh()?;
    let names = names(store, more_roots)?;
    let old = list(&dir)?;
    let found = find(store, cutoff, &names, &hot, &old)?;
    let mut report = Report::default();
    let mut movable: HashMap<Id, u64> = found.packed.iter().copied().collect();
    if !found.items.is_empty() {
        let joined = choose(&old, found.items.iter().map(|item| item.size).sum());
        let mut items = found.items;
        items.extend(joined.iter().flat_map(|pack| pack.items(store, &names)));
        let mut seen = HashSet::new();
        items.retain(|item| seen.insert(item.id));
        order::sort(&mut items);
        let (likes, damaged) = pack::compare(store, &mut items)?;
        if let Some(item) = damaged.iter().find(|item| item.is_packed) {
            return Err(packed_damage(item));
        }
        report.damaged = damaged.len();
        report.pack_bytes = write(store, &items, &likes, &joined)?;
        movable.extend(items.iter().filter(|item| !item.is_packed).map(|item| (item.id, item.size)));
    }
    remove_raw(store, movable, &mut hot, &mut report)?;
    Ok(report)
}

/// What is in use.
struct Hot<'a> {
    warm: &'a Warm<'a>,
    roots: HashSet<Id>,
    needed: Marker,
}

impl Hot<'_> {
    fn refresh(&mut self) -> Result<()> {
        for root in (self.warm.roots)()? {
            if self.roots.insert(root) {
                self.needed.mark_rest(root, |_| false)?;
            }
        }
        Ok(())
    }
}

/// What of the pack at `path` (its `.pack`) is to be kept, as a pack in `staging`.
pub(crate) fn shrink(
    store: &Store,
    path: &Path,
    staging: &Staging,
    more_roots: &dyn Fn() -> Result<Vec<Id>>,
    keep: impl Fn(&Id) -> bool,
) -> Result<StagedPack> {
    let index = index::File::at(path.with_extension("idx"), gix::hash::Kind::Sha256)
        .map_err(|error| Error::damaged(format!("pack index of '{}'", path.display()), error.to_string()))?;
    let pack = ColdPack { path: path.to_owned(), size: 0, index };
    let names = names(store, more_roots)?;
    let mut items: Vec<Item> = pack.items(store, &names).filter(|item| keep(&item.id)).collect();
    order::sort(&mut items);
    stage(store, items, staging)
}

/// Pack contents all of which lie in packs or are to be sound.
fn stage(store: &Store, mut items: Vec<Item>, staging: &Staging) -> Result<StagedPack> {
    let (likes, damaged) = pack::compare(store, &mut items)?;
    if let Some(item) = damaged.first() {
        return Err(packed_damage(item));
    }
    let mut pack = PackFile::create(staging.path(), items.len(), 1)?;
    pack::write(store, &items, &likes, &mut pack)?;
    pack.finish(MARK)
}

fn packed_damage(item: &Item) -> Error {
    Error::damaged(format!("content {}", item.id), "its bytes in a pack hash to another id")
}

fn names(store: &Store, more_roots: &dyn Fn() -> Result<Vec<Id>>) -> Result<HashMap<Id, order::Name>> {
    let mut names = Names::new(store);
    Roots::new(store.dir()).news()?.into_iter().for_each(|tip| names.add(tip.id));
    more_roots()?.into_iter().for_each(|id| names.add(id));
    Ok(names.into_found())
}

/// Contents to move: those to pack, and those that a pack has already.
struct Found {
    items: Vec<Item>,
    packed: Vec<(Id, u64)>,
}

fn find(
    store: &Store,
    cutoff: i64,
    names: &HashMap<Id, order::Name>,
    hot: &Hot<'_>,
    old: &[ColdPack],
) -> Result<Found> {
    use std::os::unix::fs::MetadataExt;
    let mut found = Found { items: Vec::new(), packed: Vec::new() };
    for (id, name) in names {
        if hot.needed.contains(id) {
            continue;
        }
        let Ok(about) = store.content_file(id).symlink_metadata() else { continue };
        let size = about.len();
        if !about.is_file() || size > LARGEST || about.mtime() >= cutoff {
            continue;
        }
        match old.iter().any(|pack| pack.index.lookup(id).is_some()) {
            true => found.packed.push((*id, size)),
            false => found.items.push(Item { id: *id, name: *name, size, is_packed: false }),
        }
    }
    Ok(found)
}

/// A pack of contents.
struct ColdPack {
    path: PathBuf,
    size: u64,
    index: index::File<gix::odb::pack::MMap>,
}

impl ColdPack {
    fn items<'a>(&'a self, store: &'a Store, names: &'a HashMap<Id, order::Name>) -> impl Iterator<Item = Item> + 'a {
        self.index.iter().map(move |entry| {
            let size = store.repo().find_header(entry.oid).map_or(0, |header| header.size());
            let name = names.get(&entry.oid).copied().unwrap_or_default();
            Item { id: entry.oid, name, size, is_packed: true }
        })
    }
}

/// The packs of contents in the folder `dir`.
fn list(dir: &Path) -> Result<Vec<ColdPack>> {
    let mut packs = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(Error::io("list", dir))? {
        let path = entry.map_err(Error::io("list", dir))?.path();
        let is_mark = path.extension().is_some_and(|extension| extension == "promisor")
            && std::fs::metadata(&path).is_ok_and(|mark| mark.len() == MARK.len() as u64);
        if !is_mark || std::fs::read(&path).map_err(Error::io("read", &path))? != MARK {
            continue;
        }
        let path = path.with_extension("pack");
        let index = index::File::at(path.with_extension("idx"), gix::hash::Kind::Sha256);
        if let (Ok(index), Ok(about)) = (index, std::fs::metadata(&path)) {
            packs.push(ColdPack { path, size: about.len(), index });
        }
    }
    packs.sort_by_key(|pack| pack.size);
    Ok(packs)
}

/// The packs that are packed anew together with so many new bytes: a delta can't lead into another pack, and each pack
/// stays at least twice as large as all that came after it.
fn choose(old: &[ColdPack], new_bytes: u64) -> Vec<&ColdPack> {
    // New contents shrink to about a third.
    let mut sum = new_bytes / 3;
    let mut chosen = Vec::new();
    for pack in old {
        if pack.size >= 2 * sum {
            break;
        }
        sum += pack.size;
        chosen.push(pack);
    }
    chosen
}

/// Write the pack, let it take the place of those that it joins; how many bytes the packs grew by.
fn write(store: &Store, items: &[Item], likes: &sketch::Likes, joined: &[&ColdPack]) -> Result<i64> {
    let dir = store.dir().join("objects/pack");
    let staging = Staging::create(&store.content_dir())?;
    let mut pack = PackFile::create(staging.path(), items.len(), 1)?;
    pack::write(store, items, likes, &mut pack)?;
    let staged = pack.finish(MARK)?;
    let grown = i64::try_from(staged.size()).unwrap_or(i64::MAX);
    let made = staged.publish(&dir)?;
    sync_names(&dir)?;
    let mut shrunk = 0;
    for pack in joined.iter().filter(|pack| pack.path != made) {
        remove_pack(&pack.path)?;
        shrunk += i64::try_from(pack.size).unwrap_or(i64::MAX);
    }
    Ok(grown - shrunk)
}

/// Remove what is in a durable pack, in small portions, as long as no root comes into use that needs it.
fn remove_raw(store: &Store, movable: HashMap<Id, u64>, hot: &mut Hot<'_>, report: &mut Report) -> Result<()> {
    use std::os::unix::fs::MetadataExt;
    let mut waiting: Vec<Id> = movable.into_keys().collect();
    while !waiting.is_empty() {
        let _alone = Alone::take(store.dir())?;
        hot.refresh()?;
        // Without its mountable image a root is looked at again before it is mounted.
        (hot.warm.forget_others)()?;
        let begun = Instant::now();
        while begun.elapsed() < SLICE
            && let Some(id) = waiting.pop()
        {
            let path = store.content_file(&id);
            let Ok(about) = path.symlink_metadata() else { continue };
            if hot.needed.contains(&id) {
                continue;
            }
            std::fs::remove_file(&path).map_err(Error::io("remove", &path))?;
            report.contents += 1;
            report.raw_bytes += about.blocks() * 512;
        }
    }
    Ok(())
}

/// Bring back what the tree `rootfs` needs and `content/` lacks; how many contents that were. Durable when the call
/// returns. The caller holds off collections until the root is in use.
pub fn thaw(store: &Store, rootfs: &Id) -> Result<usize> {
    if list(&store.dir().join("objects/pack"))?.is_empty() {
        return Ok(0);
    }
    let missing = missing(store, rootfs)?;
    if missing.is_empty() {
        return Ok(0);
    }
    let mut batch = store.batch();
    let contents = batch.contents()?;
    let line = line::Line::new(missing.len());
    let (content_dir, count) = (store.content_dir(), missing.len());
    let thawed = line::run(store, &line, |mut repo| {
        repo.object_cache_size(32 << 20);
        let reader = pack::Reader::new(content_dir.clone(), repo);
        while let Some((number, _room)) = line.begin(|_| 64 << 20) {
            let bytes = reader.read(&missing[number], true)?;
            let id = contents.put(&bytes)?;
            if id != missing[number] {
                return Err(Error::damaged(format!("content {}", missing[number]), format!("its bytes hash to {id}")));
            }
        }
        Ok(())
    });
    drop(contents);
    thawed?;
    batch.finish()?;
    Ok(count)
}

/// The contents of regular files below a tree that aren't raw, in the order of the tree. Where one is in no pack
/// either, reading it fails later as it did before.
fn missing(store: &Store, rootfs: &Id) -> Result<Vec<Id>> {
    use gix::objs::Exists;
    let mut missing = files(store, rootfs)?;
    missing.retain(|id| !store.content_file(id).exists() && store.repo().objects.exists(id));
    Ok(missing)
}

/// The sizes in bytes of the contents of regular files below the tree `rootfs`, raw or packed.
pub fn file_sizes(store: &Store, rootfs: &Id) -> Result<HashMap<Id, u64>> {
    let size = |id: Id| match store.content_file(&id).metadata() {
        Ok(about) => Some((id, about.len())),
        Err(_) => store.repo().try_find_header(id).ok().flatten().map(|header| (id, header.size())),
    };
    Ok(files(store, rootfs)?.into_iter().filter_map(size).collect())
}

/// The contents of regular files below a tree, each once.
fn files(store: &Store, rootfs: &Id) -> Result<Vec<Id>> {
    use gix::objs::{Kind, TreeRefIter};
    let (mut waiting, mut seen, mut found) = (vec![*rootfs], HashSet::new(), Vec::new());
    while let Some(tree) = waiting.pop() {
        let data = store.read_object(&tree, Kind::Tree)?;
        for entry in TreeRefIter::from_bytes(&data, gix::hash::Kind::Sha256) {
            let entry = entry.map_err(|error| Error::damaged(format!("tree {tree}"), error.to_string()))?;
            let id = entry.oid.to_owned();
            let is_file = entry.mode.is_blob() && !entry.mode.is_link();
            if !(is_file || entry.mode.is_tree()) || !seen.insert(id) {
                continue;
            }
            if entry.mode.is_tree() {
                waiting.push(id);
            } else {
                found.push(id);
            }
        }
    }
    Ok(found)
}

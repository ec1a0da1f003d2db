//! Packs: which of them hold what nobody needs, and what takes their place.
//!
//! A pack of which everything is needed stays as it is. From others the needed objects go into a new pack, and those
//! that are not needed but too young to go into a pack of unneeded objects.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gix::objs::{FindExt, Kind};
use gix::odb::pack;

use crate::store::{MARK, PackFile, StagedPack, Staging, UNNEEDED_MARK, remove_pack};
use crate::{Error, Id, Result, Store};

/// Size in bytes of the checksum at the end of a pack.
const TRAILER: usize = 32;

/// zlib's level for new packs, and with `--aggressive`.
const LEVELS: (u32, u32) = (6, 9);

/// Who made a pack, which is what its promisor mark tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Maker {
    /// rd: whole objects.
    Rd,
    /// `rd gc`: objects that nothing needs.
    Unneeded,
    /// `rd repack --cold`: contents.
    Cold,
    /// git, with a promisor mark or without.
    Git,
}

/// A pack that was found.
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) maker: Maker,
    /// When it was made, in seconds since 1970.
    pub(super) seconds: i64,
    has_mark: bool,
    /// A `.keep` file says that it has to stay.
    is_kept: bool,
    pub(super) bundle: pack::Bundle,
    /// Where entries begin, sorted.
    offsets: OnceCell<Vec<u64>>,
}

impl Source {
    fn open(index: &Path) -> Result<Option<Self>> {
        let path = index.with_extension("pack");
        let Ok(about) = std::fs::metadata(&path) else { return Ok(None) };
        let bundle = pack::Bundle::at(&path, gix::hash::Kind::Sha256)
            .map_err(|error| Error::damaged(format!("pack '{}'", path.display()), error.to_string()))?;
        let mark = std::fs::read(path.with_extension("promisor")).ok();
        let maker = match mark.as_deref() {
            Some(MARK) => Maker::Rd,
            Some(UNNEEDED_MARK) => Maker::Unneeded,
            Some(mark) if mark == crate::cold::MARK => Maker::Cold,
            _ => Maker::Git,
        };
        let time = about.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let seconds = time.map_or(0, |time| i64::try_from(time.as_secs()).unwrap_or(i64::MAX));
        let is_kept = path.with_extension("keep").exists();
        Ok(Some(Self { path, maker, seconds, has_mark: mark.is_some(), is_kept, bundle, offsets: OnceCell::new() }))
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = Id> + '_ {
        (0..self.bundle.index.num_objects()).map(|at| self.bundle.index.oid_at_index(at).to_owned())
    }

    /// Where the entry that begins at `start` ends.
    fn end_of(&self, start: u64) -> u64 {
        let offsets = self.offsets.get_or_init(|| self.bundle.index.sorted_offsets());
        let next = offsets.partition_point(|offset| *offset <= start);
        offsets.get(next).copied().unwrap_or((self.bundle.pack.data_len() - TRAILER) as u64)
    }

    /// How many bytes of it are entries that are `kept`, and how many are others.
    pub(super) fn shares(&self, kept: impl Fn(&Id) -> bool) -> (u64, u64) {
        let mut shares = (0, 0);
        for (id, at) in self.ids().zip(0..) {
            let start = self.bundle.index.pack_offset_at_index(at);
            let share = if kept(&id) { &mut shares.0 } else { &mut shares.1 };
            *share += self.end_of(start).saturating_sub(start);
        }
        shares
    }

    fn size(&self) -> u64 {
        self.bundle.pack.data_len() as u64
    }
}

/// The packs in the folder `dir` that are not `known`.
pub(super) fn list(dir: &Path, known: &HashSet<PathBuf>) -> Result<Vec<Source>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(Error::io("list", dir))? {
        let path = entry.map_err(Error::io("list", dir))?.path();
        if path.extension().is_some_and(|extension| extension == "idx") && !known.contains(&path.with_extension("pack"))
        {
            paths.push(path);
        }
    }
    paths.sort();
    let opened: Result<Vec<_>> = paths.iter().map(|path| Source::open(path)).collect();
    Ok(opened?.into_iter().flatten().collect())
}

/// What becomes of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Something needs it.
    Live,
    /// Nothing needs it, but it must not go yet.
    Waits,
    /// It goes.
    Goes,
    /// The store has it as a content: this copy goes.
    IsContent,
}

/// What is to be done with the packs.
#[derive(Default)]
pub(super) struct Plan {
    /// Packs that go, by number.
    pub(super) doomed: Vec<usize>,
    /// Needed objects for a new pack, with pack and place in its index.
    live: Vec<(Id, usize, u32)>,
    /// Unneeded ones, likewise, by the age of the new pack; `None` for a pack that is as young as it is.
    waiting: HashMap<Option<i64>, Vec<(Id, usize, u32)>>,
    /// What is in the doomed packs and nowhere else.
    pub(super) lost: HashMap<Id, (usize, u32)>,
    /// Copies of contents that go.
    pub(super) copies: usize,
}

impl Plan {
    /// Decide: `fate` tells what becomes of each object of a pack.
    pub(super) fn make(sources: &[Source], rewrite_all: bool, fate: impl Fn(&Source, &Id) -> Fate) -> Self {
        let mut plan = Self::default();
        let mut elsewhere: HashSet<Id> = HashSet::new();
        for (number, source) in sources.iter().enumerate() {
            let fates = || source.ids().map(|id| fate(source, &id));
            let stays = match source.maker {
                _ if source.is_kept => true,
                Maker::Cold => fates().any(|fate| matches!(fate, Fate::Live | Fate::Waits)),
                Maker::Unneeded => fates().all(|fate| fate != Fate::Goes) && fates().any(|fate| fate == Fate::Waits),
                _ => !rewrite_all && source.has_mark && fates().all(|fate| fate == Fate::Live),
            };
            match stays {
                // What is needed must not be in a pack of unneeded objects only.
                true if source.maker == Maker::Unneeded => plan.rescue(number, source, &fate),
                true => elsewhere.extend(source.ids()),
                false => plan.doomed.push(number),
            }
        }
        for number in plan.doomed.clone() {
            plan.take_apart(number, &sources[number], &fate);
        }
        plan.settle(&elsewhere);
        plan
    }

    fn rescue(&mut self, number: usize, source: &Source, fate: &impl Fn(&Source, &Id) -> Fate) {
        let live = source.ids().zip(0..).filter(|(id, _)| fate(source, id) == Fate::Live);
        self.live.extend(live.map(|(id, at)| (id, number, at)));
    }

    fn take_apart(&mut self, number: usize, source: &Source, fate: &impl Fn(&Source, &Id) -> Fate) {
        for (id, at) in source.ids().zip(0..) {
            match fate(source, &id) {
                Fate::Live => self.live.push((id, number, at)),
                Fate::Waits => {
                    let age = (source.maker == Maker::Unneeded).then_some(source.seconds);
                    self.waiting.entry(age).or_default().push((id, number, at));
                }
                Fate::Goes => drop(self.lost.insert(id, (number, at))),
                Fate::IsContent => self.copies += 1,
            }
        }
    }

    /// Each object goes into one new pack, unless one that stays has it.
    fn settle(&mut self, elsewhere: &HashSet<Id>) {
        let mut seen: HashSet<Id> = HashSet::new();
        self.live.retain(|(id, ..)| !elsewhere.contains(id) && seen.insert(*id));
        let mut ages: Vec<Option<i64>> = self.waiting.keys().copied().collect();
        // The youngest first: `None` is younger than all.
        ages.sort_by_key(|age| std::cmp::Reverse(age.unwrap_or(i64::MAX)));
        for age in ages {
            let list = self.waiting.get_mut(&age).expect("because it is one of the keys");
            list.retain(|(id, ..)| !elsewhere.contains(id) && seen.insert(*id));
        }
        self.lost.retain(|id, _| !elsewhere.contains(id) && !seen.contains(id));
    }

    /// Write the new packs into `staging`, in addition the loose objects `loose`.
    pub(super) fn stage(
        &self,
        store: &Store,
        sources: &[Source],
        loose: &[Id],
        staging: &Staging,
        aggressive: bool,
    ) -> Result<Vec<StagedPack>> {
        let level = if aggressive { LEVELS.1 } else { LEVELS.0 };
        let copier = Copier { store, sources, whole: aggressive };
        let taken: HashSet<&Id> = self.live.iter().map(|(id, ..)| id).collect();
        let loose: Vec<&Id> = loose.iter().filter(|id| !taken.contains(id)).collect();
        let mut packs = Vec::new();
        if self.live.len() + loose.len() > 0 {
            let mut pack = PackFile::create(staging.path(), self.live.len() + loose.len(), level)?;
            self.live.iter().try_for_each(|entry| copier.copy(entry, &mut pack))?;
            loose.iter().try_for_each(|id| copier.encode(id, &mut pack))?;
            packs.push(pack.finish(MARK)?);
        }
        for (age, list) in self.waiting.iter().filter(|(_, list)| !list.is_empty()) {
            let mut pack = PackFile::create(staging.path(), list.len(), level)?;
            list.iter().try_for_each(|entry| copier.copy(entry, &mut pack))?;
            let pack = pack.finish(UNNEEDED_MARK)?;
            if let Some(age) = age {
                pack.date(time(*age))?;
            }
            packs.push(pack);
        }
        Ok(packs)
    }

    /// A pack of those objects that would be lost, and that `needed` says are needed after all.
    pub(super) fn stage_rescued(
        &self,
        store: &Store,
        sources: &[Source],
        needed: impl Fn(&Id) -> bool,
        staging: &Staging,
    ) -> Result<Option<StagedPack>> {
        let entries = self.lost.iter().filter(|(id, _)| needed(id));
        let mut entries: Vec<(Id, usize, u32)> = entries.map(|(id, (number, at))| (*id, *number, *at)).collect();
        if entries.is_empty() {
            return Ok(None);
        }
        entries.sort_unstable();
        let copier = Copier { store, sources, whole: false };
        let mut pack = PackFile::create(staging.path(), entries.len(), LEVELS.0)?;
        entries.iter().try_for_each(|entry| copier.copy(entry, &mut pack))?;
        pack.finish(MARK).map(Some)
    }

    /// Remove the packs that go; how many bytes that frees.
    pub(super) fn remove(&self, sources: &[Source], made: &[PathBuf]) -> Result<u64> {
        let mut freed = 0;
        for source in self.doomed.iter().map(|number| &sources[*number]) {
            // The same objects give the same pack.
            if made.contains(&source.path) {
                continue;
            }
            remove_pack(&source.path)?;
            freed += source.size();
        }
        Ok(freed)
    }

    /// Whether the packs are as they should be.
    pub(super) fn is_idle(&self) -> bool {
        self.doomed.is_empty() && self.live.is_empty()
    }

    /// How many objects are in packs of unneeded ones now.
    pub(super) fn waiting_count(&self) -> usize {
        self.waiting.values().map(Vec::len).sum()
    }
}

fn time(seconds: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}

/// Copies objects from packs into another.
struct Copier<'a> {
    store: &'a Store,
    sources: &'a [Source],
    /// Everything is compressed anew.
    whole: bool,
}

impl Copier<'_> {
    fn copy(&self, (id, number, at): &(Id, usize, u32), into: &mut PackFile) -> Result<()> {
        let source = &self.sources[*number];
        match self.entry(source, *at).filter(|_| !self.whole) {
            Some(entry) => into.add_raw(*id, entry),
            None => self.encode(id, into),
        }
    }

    /// The entry as it lies in the pack, unless it is a delta; its checksum is right.
    fn entry<'s>(&self, source: &'s Source, at: u32) -> Option<&'s [u8]> {
        let (index, data) = (&source.bundle.index, &source.bundle.pack);
        if source.maker == Maker::Git {
            return None;
        }
        let start = index.pack_offset_at_index(at);
        data.entry(start).ok().filter(|entry| entry.header.is_base())?;
        let entry = data.entry_slice(start..source.end_of(start))?;
        let mut crc = flate2::Crc::new();
        crc.update(entry);
        (index.crc32_at_index(at) == Some(crc.sum())).then_some(entry)
    }

    fn encode(&self, id: &Id, into: &mut PackFile) -> Result<()> {
        let mut buffer = Vec::new();
        let found = self.store.repo().objects.find(id, &mut buffer);
        let (kind, data): (Kind, &[u8]) = match &found {
            Ok(found) => (found.kind, found.data),
            Err(error) => return Err(Error::damaged(format!("object {id}"), error.to_string())),
        };
        let hash =
            gix::objs::compute_hash(gix::hash::Kind::Sha256, kind, data).map_err(Error::git("hash an object"))?;
        if hash != *id {
            return Err(Error::damaged(format!("object {id}"), format!("its bytes hash to {hash}")));
        }
        into.add(*id, kind, data)
    }
}

/// Loose objects, each with its file and age.
pub(super) fn loose(objects: &Path) -> Result<Vec<(Id, PathBuf, i64)>> {
    use std::os::unix::fs::MetadataExt;
    let mut found = Vec::new();
    for byte in 0..=255u8 {
        let prefix = format!("{byte:02x}");
        let dir = objects.join(&prefix);
        let entries = match std::fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(Error::io("list", dir)(error)),
        };
        for entry in entries {
            let path = entry.map_err(Error::io("list", &dir))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if let Ok(id) = Id::from_hex(format!("{prefix}{name}").as_bytes())
                && let Ok(about) = File::open(&path).and_then(|file| file.metadata())
            {
                found.push((id, path.clone(), about.mtime()));
            }
        }
    }
    Ok(found)
}

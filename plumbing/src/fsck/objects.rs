//! The object database, read without trusting it: packs, their indexes, loose objects.
//!
//! An index whose checksum is wrong is not used at all. Of a pack whose checksum is wrong only those entries are used
//! whose own checksum (the index has one of each) is right.

use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use gix::objs::Kind;
use gix::odb::pack;

use super::Issues;
use crate::{Error, Id, Result, Store};

/// Size in bytes of the checksum at the end of a pack and of an index.
const TRAILER: usize = 32;

/// How often to start again when packs vanish while they are looked at.
const RETRIES: usize = 5;

/// Entries that a thread checks before it asks for more.
const PORTION: usize = 256;

/// Where an object is.
#[derive(Clone, Copy)]
enum Place {
    Packed { pack: usize, index: u32 },
    Loose,
}

/// All objects of the store, by id.
pub(super) struct Objects {
    packs: Vec<Pack>,
    places: HashMap<Id, Place>,
    loose_dir: PathBuf,
    /// Loose objects that are damaged, whatever packs have.
    loose: HashSet<Id>,
    /// Objects that are there and unusable, with the reason.
    pub(super) damaged: HashMap<Id, String>,
    /// Whether an index is damaged, so that what it lists is unknown.
    pub(super) blind: bool,
}

struct Pack {
    bundle: pack::Bundle,
    /// Where each entry ends, and its place in the index, by where it begins.
    entries: HashMap<u64, (u64, u32)>,
    /// Whether the checksum of the whole is right.
    sound: bool,
}

impl Objects {
    /// Find all objects; with `rehash` check each against its id.
    pub(super) fn load(store: &Store, rehash: bool, issues: &mut Issues) -> Result<Self> {
        // Another command may join packs meanwhile: then those that were listed are gone, and the list is made again.
        for _ in 0..RETRIES {
            let (findings, notes) = (issues.list.len(), issues.notes.len());
            match Self::try_load(store, rehash, issues) {
                Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                    issues.list.truncate(findings);
                    issues.notes.truncate(notes);
                }
                outcome => return outcome,
            }
        }
        Self::try_load(store, rehash, issues)
    }

    fn try_load(store: &Store, rehash: bool, issues: &mut Issues) -> Result<Self> {
        let loose_dir = store.dir().join("objects");
        let (packs, places, loose, damaged) = (Vec::new(), HashMap::new(), HashSet::new(), HashMap::new());
        let mut objects = Self { packs, places, loose_dir, loose, damaged, blind: false };
        objects.load_packs(rehash, issues)?;
        objects.load_loose(rehash, issues)?;
        if !store.is_ordinary() {
            objects.check_marks(issues);
        }
        let graph = objects.loose_dir.join("info/commit-graph");
        if graph.exists() {
            check_helper(&graph, issues)?;
        }
        if rehash {
            objects.rehash_packs();
        }
        // An object that is damaged in one place may be sound in another.
        let damaged = std::mem::take(&mut objects.damaged);
        for (id, why) in damaged {
            if objects.read_any(&id).is_none() {
                objects.damaged.insert(id, why);
            } else if objects.loose.contains(&id) {
                let path = Path::new("objects").join(crate::store::content_path(&id));
                issues.add_at(path, "damaged", format!("loose object {id}"), format!("{why}; a pack has it too"));
            }
        }
        Ok(objects)
    }

    /// How many objects there are.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// How many packs there are.
    pub(super) fn pack_count(&self) -> usize {
        self.packs.len()
    }

    /// Whether there is such an object, sound or not.
    pub(super) fn contains(&self, id: &Id) -> bool {
        self.places.contains_key(id)
    }

    /// An object that is there and sound.
    pub(super) fn read(&self, id: &Id) -> Option<(Kind, Vec<u8>)> {
        if self.damaged.contains_key(id) { None } else { self.read_any(id) }
    }

    /// The objects that the index of the pack at `path` lists; none where it can't be read.
    pub(super) fn of_pack(&self, path: &Path) -> Vec<Id> {
        let packs = self.packs.iter().filter(|pack| pack.bundle.pack.path().file_name() == path.file_name());
        packs.flat_map(|pack| pack.bundle.index.iter().map(|entry| entry.oid)).collect()
    }

    fn load_packs(&mut self, rehash: bool, issues: &mut Issues) -> Result<()> {
        let dir = self.loose_dir.join("pack");
        let mut paths: Vec<PathBuf> = list(&dir)?;
        paths.sort();
        for path in &paths {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let exists = |extension| path.with_extension(extension).exists();
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("idx") if !exists("pack") => {
                    issues.add_at(
                        in_pack_dir(&name),
                        "missing",
                        format!("pack of '{name}'"),
                        "its index is there".into(),
                    );
                }
                Some("idx") => self.load_pack(path, rehash, issues)?,
                Some("pack") if !exists("idx") => {
                    issues.note(format!(
                        "pack '{name}' has no index and isn't used: a command that was killed left it, or its index is lost (`git index-pack` makes one)"
                    ));
                }
                Some("rev" | "bitmap") => check_helper(path, issues)?,
                None if name == "multi-pack-index" => check_helper(path, issues)?,
                Some("promisor") if !exists("pack") && !exists("idx") => {
                    issues.note(format!("'{name}' belongs to no pack"));
                }
                _ if name.starts_with("tmp_") => issues.note(format!("'{name}' is left of a command that was killed")),
                _ => {}
            }
        }
        Ok(())
    }

    /// A pack without a promisor mark is one of git's own, as long as all is there that its objects refer to.
    fn check_marks(&self, issues: &mut Issues) {
        for pack in &self.packs {
            let path = pack.bundle.pack.path();
            let mut objects = (0..pack.bundle.index.num_objects()).filter_map(|index| pack.read(index).ok());
            if !path.with_extension("promisor").exists() && objects.any(|(kind, bytes)| self.lacks(kind, &bytes)) {
                let why = "without it git looks for contents that are no objects".into();
                let name = file_name(path);
                issues.add_at(in_pack_dir(&name), "missing", format!("promisor mark of pack '{name}'"), why);
            }
        }
    }

    /// Whether a tree names something that is no object.
    fn lacks(&self, kind: Kind, bytes: &[u8]) -> bool {
        let entries = gix::objs::TreeRefIter::from_bytes(bytes, gix::hash::Kind::Sha256).filter_map(Result::ok);
        let mut files = entries.filter(|entry| kind == Kind::Tree && !entry.mode.is_commit());
        files.any(|entry| !self.contains(&entry.oid.to_owned()))
    }

    fn load_pack(&mut self, index: &Path, rehash: bool, issues: &mut Issues) -> Result<()> {
        let name = index.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let bytes = std::fs::read(index).map_err(Error::io("read", index))?;
        if let Err(why) = check_trailer(&bytes) {
            issues.add_at(in_pack_dir(&name), "damaged", format!("index '{name}' of a pack"), why);
            self.blind = true;
            return Ok(());
        }
        drop(bytes);
        let path = index.with_extension("pack");
        let sound = if rehash { check_pack(&path)? } else { Ok(()) };
        let bundle = match pack::Bundle::at(&path, gix::hash::Kind::Sha256) {
            Ok(bundle) => bundle,
            Err(error) => {
                let name = file_name(&path);
                issues.add_at(in_pack_dir(&name), "damaged", format!("pack '{name}'"), error.to_string());
                return self.list_lost(index);
            }
        };
        let matches = bundle.index.pack_checksum() == bundle.pack.checksum();
        let sound = sound.and_then(|()| if matches { Ok(()) } else { Err("its index is of another pack".into()) });
        let is_sound = sound.is_ok();
        if let Err(why) = sound {
            let name = file_name(&path);
            issues.add_at(in_pack_dir(&name), "damaged", format!("pack '{name}'"), why);
        }
        self.add_pack(bundle, is_sound);
        Ok(())
    }

    /// The pack can't be read at all: note what its index says was in it.
    fn list_lost(&mut self, index: &Path) -> Result<()> {
        let file = pack::index::File::at(index, gix::hash::Kind::Sha256);
        let Ok(file) = file else {
            self.blind = true;
            return Ok(());
        };
        for entry in file.iter() {
            self.damaged
                .insert(entry.oid, format!("pack '{}' can't be read", file_name(&index.with_extension("pack"))));
        }
        Ok(())
    }

    fn add_pack(&mut self, bundle: pack::Bundle, sound: bool) {
        let number = self.packs.len();
        let offsets = bundle.index.sorted_offsets();
        let end = bundle.pack.data_len().saturating_sub(TRAILER) as u64;
        let ends: HashMap<u64, u64> =
            offsets.iter().copied().zip(offsets.iter().skip(1).copied().chain([end])).collect();
        let mut entries = HashMap::with_capacity(offsets.len());
        for index in 0..bundle.index.num_objects() {
            let id = bundle.index.oid_at_index(index).to_owned();
            self.places.entry(id).or_insert(Place::Packed { pack: number, index });
            let offset = bundle.index.pack_offset_at_index(index);
            entries.insert(offset, (ends.get(&offset).copied().unwrap_or(end), index));
        }
        self.packs.push(Pack { bundle, entries, sound });
    }

    /// Check every entry of every pack against its id, on all processors.
    fn rehash_packs(&mut self) {
        let portions: Vec<(usize, u32)> = (self.packs.iter().enumerate())
            .flat_map(|(number, pack)| {
                (0..pack.bundle.index.num_objects()).step_by(PORTION).map(move |at| (number, at))
            })
            .collect();
        let next = AtomicUsize::new(0);
        let damaged = Mutex::new(Vec::new());
        super::on_all_processors(|| {
            while let Some((number, from)) = portions.get(next.fetch_add(1, Ordering::Relaxed)) {
                let pack = &self.packs[*number];
                let to = (from + PORTION as u32).min(pack.bundle.index.num_objects());
                for index in *from..to {
                    if let Err((id, why)) = pack.check(index) {
                        damaged.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((id, why));
                    }
                }
            }
        });
        self.damaged.extend(damaged.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner));
    }

    fn load_loose(&mut self, rehash: bool, issues: &mut Issues) -> Result<()> {
        for folder in list(&self.loose_dir)? {
            let prefix = file_name(&folder);
            if prefix.len() != 2 || !prefix.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                continue;
            }
            for path in list(&folder)? {
                let Ok(id) = Id::from_hex(format!("{prefix}{}", file_name(&path)).as_bytes()) else {
                    issues.note(format!("'{}' is no object", path.display()));
                    continue;
                };
                self.places.entry(id).or_insert(Place::Loose);
                if rehash && let Err(why) = check_loose(&path, &id) {
                    self.loose.insert(id);
                    self.damaged.insert(id, why);
                }
            }
        }
        Ok(())
    }

    /// An object from the place it was found at, or from any other that has it, whose bytes are those of its id.
    fn read_any(&self, id: &Id) -> Option<(Kind, Vec<u8>)> {
        let found = match self.places.get(id)? {
            Place::Packed { pack, index } => self.packs[*pack].read(*index).ok(),
            Place::Loose => self.read_loose(id),
        };
        let is_right = |(kind, bytes): &(Kind, Vec<u8>)| hash(*kind, bytes) == *id;
        let elsewhere = || {
            let packed = self.packs.iter().filter_map(|pack| pack.read(pack.bundle.index.lookup(id)?).ok());
            packed.chain(self.read_loose(id)).find(is_right)
        };
        found.filter(is_right).or_else(elsewhere)
    }

    fn read_loose(&self, id: &Id) -> Option<(Kind, Vec<u8>)> {
        let hex = id.to_hex().to_string();
        read_loose(&self.loose_dir.join(&hex[..2]).join(&hex[2..])).ok()
    }
}

impl Pack {
    /// Whether the entry's bytes are those of its id.
    fn check(&self, index: u32) -> Result<(), (Id, String)> {
        let id = self.bundle.index.oid_at_index(index).to_owned();
        let (kind, bytes) = self.read(index).map_err(|why| (id, why))?;
        let found = hash(kind, &bytes);
        if found == id { Ok(()) } else { Err((id, format!("its bytes hash to {found}"))) }
    }

    fn read(&self, index: u32) -> Result<(Kind, Vec<u8>), String> {
        let offset = self.bundle.index.pack_offset_at_index(index);
        let in_pack = || format!("its entry in pack '{}' is damaged", file_name(self.bundle.pack.path()));
        if !self.is_readable(offset, 0) {
            return Err(in_pack());
        }
        let mut bytes = Vec::new();
        let mut inflate = gix::zlib::Inflate::default();
        let found = self.bundle.get_object_by_index(index, &mut bytes, &mut inflate, &mut pack::cache::Never);
        let kind = found.map(|(data, _)| data.kind).map_err(|_| in_pack())?;
        Ok((kind, bytes))
    }

    /// Whether the entry at `offset` and those that it is a delta to can be decoded without surprises.
    fn is_readable(&self, offset: u64, depth: u32) -> bool {
        /// Longer chains of deltas are made by nobody.
        const DEEPEST: u32 = 4096;
        let Some((end, at)) = self.entries.get(&offset).filter(|(end, _)| *end > offset) else { return false };
        let Some(entry) = self.bundle.pack.entry_slice(offset..*end) else { return false };
        if self.sound {
            return true;
        }
        let index = &self.bundle.index;
        let found = self.bundle.pack.entry_crc32(offset, entry.len());
        if index.crc32_at_index(*at) != Some(found) || depth > DEEPEST {
            return false;
        }
        match self.bundle.pack.entry(offset).map(|entry| (entry.header, entry.pack_offset())) {
            Ok((pack::data::entry::Header::OfsDelta { base_distance }, at)) => {
                let base = at.checked_sub(base_distance);
                base.is_some_and(|base| base < offset && self.is_readable(base, depth + 1))
            }
            Ok((pack::data::entry::Header::RefDelta { base_id }, _)) => {
                index.lookup(base_id).is_some_and(|at| self.is_readable(index.pack_offset_at_index(at), depth + 1))
            }
            Ok(_) => true,
            Err(_) => false,
        }
    }
}

/// Whether the last 32 bytes are the SHA-256 of all before.
pub(super) fn check_trailer(bytes: &[u8]) -> Result<(), String> {
    let Some(at) = bytes.len().checked_sub(TRAILER) else { return Err(format!("it has only {} bytes", bytes.len())) };
    let (body, trailer) = bytes.split_at(at);
    let mut hasher = gix::hash::hasher(gix::hash::Kind::Sha256);
    hasher.update(body);
    compare(hasher, trailer)
}

/// Files by which git finds things faster, and which it can make again.
fn check_helper(path: &Path, issues: &mut Issues) -> Result<()> {
    let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
    if let Err(why) = check_trailer(&bytes) {
        let below =
            if path.parent().is_some_and(|dir| dir.ends_with("info")) { "objects/info" } else { "objects/pack" };
        let name = file_name(path);
        issues.add_at(
            Path::new(below).join(&name),
            "damaged",
            format!("'{name}'"),
            format!("{why}; it can be deleted"),
        );
    }
    Ok(())
}

fn compare(hasher: gix::hash::Hasher, trailer: &[u8]) -> Result<(), String> {
    let found = hasher.try_finalize().map_err(|error| error.to_string())?;
    if found.as_slice() == trailer { Ok(()) } else { Err("its checksum is wrong".into()) }
}

/// As [`check_trailer`], for a file that may be larger than memory.
fn check_pack(path: &Path) -> Result<Result<(), String>> {
    let mut file = std::fs::File::open(path).map_err(Error::io("open", path))?;
    let size = file.metadata().map_err(Error::io("stat", path))?.len();
    let Some(mut left) = size.checked_sub(TRAILER as u64) else { return Ok(Err(format!("it has only {size} bytes"))) };
    let mut hasher = gix::hash::hasher(gix::hash::Kind::Sha256);
    let mut buffer = vec![0; 1 << 20];
    while left > 0 {
        let want = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let got = file.read(&mut buffer[..want]).map_err(Error::io("read", path))?;
        if got == 0 {
            return Ok(Err("it became shorter while it was read".into()));
        }
        hasher.update(&buffer[..got]);
        left -= got as u64;
    }
    let mut trailer = [0; TRAILER];
    file.read_exact(&mut trailer).map_err(Error::io("read", path))?;
    Ok(compare(hasher, &trailer))
}

fn check_loose(path: &Path, id: &Id) -> Result<(), String> {
    let (kind, bytes) = read_loose(path)?;
    let found = hash(kind, &bytes);
    if found == *id { Ok(()) } else { Err(format!("its bytes hash to {found}")) }
}

/// A loose object: zlib over `KIND SIZE NUL BYTES`.
fn read_loose(path: &Path) -> Result<(Kind, Vec<u8>), String> {
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    flate2::read::ZlibDecoder::new(file).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    let malformed = || "its header is malformed".to_owned();
    let (kind, size, header) = gix::objs::decode::loose_header(&bytes).map_err(|_| malformed())?;
    bytes.drain(..header);
    if bytes.len() as u64 == size { Ok((kind, bytes)) } else { Err(malformed()) }
}

pub(super) fn hash(kind: Kind, bytes: &[u8]) -> Id {
    gix::objs::compute_hash(gix::hash::Kind::Sha256, kind, bytes)
        .expect("because SHA-256 has no collision detection that could fail")
}

/// A file of a pack, relative to the store.
fn in_pack_dir(name: &str) -> PathBuf {
    Path::new("objects/pack").join(name)
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The paths in a folder; none where it isn't there.
pub(super) fn list(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(Error::io("list", dir)(error)),
    };
    entries.map(|entry| Ok(entry.map_err(Error::io("list", dir))?.path())).collect()
}

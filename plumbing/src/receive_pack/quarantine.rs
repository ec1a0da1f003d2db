//! A pushed pack in a folder of its own, where it can be read beside the store's objects and nobody else sees it.
//!
//! The folder is a repository with the store's objects as alternates and the store's contents, so that all that reads
//! a store can read it.

use std::collections::HashMap;
use std::fs::File;
use std::io::BufRead;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use gix::objs::{Data, Kind};
use gix::odb::pack;
use gix::odb::pack::data::EntryRange;
use gix::odb::pack::data::input::{
    BytesToEntriesIter, EntriesToBytesIter, EntryDataMode, LookupRefDeltaObjectsIter, Mode,
};

use super::guard::{Guard, LARGEST, Meter, Metered};
use crate::store::Staging;
use crate::well_formed;
use crate::{Error, Id, Result, Store};

const SHA256: gix::hash::Kind = gix::hash::Kind::Sha256;

/// A pushed pack. Dropped, it leaves no trace.
pub(super) struct Quarantine {
    store: Store,
    /// All objects of the pack, and with them the bases that it left out.
    objects: HashMap<Id, Kind>,
    /// Removed last.
    _staging: Staging,
}

impl Quarantine {
    /// Take a pack from `input`, resolve its deltas, and check each of its objects.
    pub(super) fn receive(store: &Store, input: impl BufRead) -> Result<Self> {
        let staging = Staging::create(&store.staging_parent())?;
        let path = prepare(store, staging.path())?;
        index(store, input, &path)?;
        let store = Store::open_git(staging.path())?;
        let objects = check(&store, &path)?;
        Ok(Self { store, objects, _staging: staging })
    }

    /// The store with the pack's objects beside its own.
    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    /// Whether the pack has this object.
    pub(super) fn contains(&self, id: &Id) -> bool {
        self.objects.contains_key(id)
    }
}

/// Make the repository in `dir`; the path of its one pack, which is to be written.
pub(crate) fn prepare(store: &Store, dir: &Path) -> Result<std::path::PathBuf> {
    let from = store.dir().canonicalize().map_err(Error::io("resolve", store.dir()))?;
    for folder in ["refs", "objects/info", "objects/pack"] {
        let path = dir.join(folder);
        std::fs::create_dir_all(&path).map_err(Error::io("create", &path))?;
    }
    for (name, bytes) in [
        ("HEAD", b"ref: refs/heads/main\n".to_vec()),
        ("objects/info/alternates", [from.join("objects").as_os_str().as_encoded_bytes(), b"\n"].concat()),
        ("config", std::fs::read(from.join("config")).map_err(Error::io("read", from.join("config")))?),
        ("shallow", Vec::new()),
    ] {
        let path = dir.join(name);
        std::fs::write(&path, bytes).map_err(Error::io("write", &path))?;
    }
    let contents = dir.join("content");
    std::os::unix::fs::symlink(from.join("content"), &contents).map_err(Error::io("create", &contents))?;
    Ok(dir.join("objects/pack/pack-pushed.pack"))
}

/// Write the pack with all its bases, and its index.
fn index(store: &Store, input: impl BufRead, path: &Path) -> Result<()> {
    let refused =
        |error: gix::Error| Error::Invalid { what: "pack", input: "of the push".into(), why: error.to_string() };
    let options = || std::fs::OpenOptions::new().read(true).write(true).create_new(true).to_owned();
    let file = options().open(path).map_err(Error::io("create", path))?;
    let meter = Meter::default();
    let bytes = Metered::new(input, meter.clone());
    let entries = BytesToEntriesIter::new_from_header(bytes, Mode::Verify, EntryDataMode::KeepAndCrc32, SHA256);
    let entries = entries.map_err(refused)?;
    let version = entries.version();
    let whole = LookupRefDeltaObjectsIter::new(entries, Bases(store), gix::zlib::Compression::BEST_SPEED);
    let mut written = EntriesToBytesIter::new(Guard::new(whole, meter), file, version, SHA256);
    let index_path = path.with_extension("idx");
    let mut index = std::io::BufWriter::new(options().open(&index_path).map_err(Error::io("create", &index_path))?);
    pack::index::write_data_iter_to_stream(
        pack::index::Version::default(),
        || Ok((entry_bytes as fn(EntryRange, &pack::data::File) -> Option<&[u8]>, open_pack(path)?)),
        &mut written,
        None,
        &mut gix::progress::Discard,
        &mut index,
        &AtomicBool::new(false),
        SHA256,
        usize::try_from(LARGEST).ok(),
        version,
    )
    .map_err(refused)?;
    std::io::Write::flush(&mut index).map_err(Error::io("write", &index_path))
}

fn open_pack(path: &Path) -> std::io::Result<pack::data::File> {
    pack::data::File::at(path, SHA256).map_err(std::io::Error::other)
}

fn entry_bytes(range: EntryRange, pack: &pack::data::File) -> Option<&[u8]> {
    pack.entry_slice(range)
}

/// Objects of the store from which a pack may start without having them.
struct Bases<'s>(&'s Store);

impl gix::objs::Find for Bases<'_> {
    fn try_find<'a>(&self, id: &gix::oid, buffer: &'a mut Vec<u8>) -> Result<Option<Data<'a>>, gix::Error> {
        let found = self.0.repo().objects.try_find(id, buffer)?.map(|data| data.kind);
        if let Some(kind) = found {
            return Ok(Some(Data { kind, object_hash: SHA256, data: buffer }));
        }
        let path = self.0.content_file(&id.to_owned());
        match File::open(path).and_then(|mut file| {
            buffer.clear();
            std::io::Read::read_to_end(&mut std::io::Read::take(&mut file, LARGEST), buffer)
        }) {
            Ok(_) => Ok(Some(Data { kind: Kind::Blob, object_hash: SHA256, data: buffer })),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(gix::Error::from_error(error)),
        }
    }
}

/// Check each object of the pack by git's rules. Their ids are those of their bytes: the index was made from these.
fn check(store: &Store, path: &Path) -> Result<HashMap<Id, Kind>> {
    let index = path.with_extension("idx");
    let file = pack::index::File::at(&index, SHA256)
        .map_err(|error| Error::damaged("index of the push", error.to_string()))?;
    let mut objects = HashMap::new();
    for id in file.iter().map(|entry| entry.oid) {
        let missing = || Error::damaged(format!("object {id} of the push"), "it can't be read");
        let (kind, _) = store.find_header(&id)?.ok_or_else(missing)?;
        if kind != Kind::Blob {
            let data = store.read_object(&id, kind)?;
            well_formed::check(kind, &data).map_err(|why| Error::Invalid {
                what: "object",
                input: id.to_string(),
                why,
            })?;
        }
        objects.insert(id, kind);
    }
    Ok(objects)
}

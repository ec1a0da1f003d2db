//! Packs: how objects are written. Every batch becomes one pack of whole objects with its index and promisor mark.
//!
//! The formats are git's (gitformat-pack(5)): pack version 2, index version 2, both with SHA-256. No deltas are
//! written, so that packs can be joined by copying their entries ([`super::consolidate`]).

use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::{Compress, Compression, Crc, FlushCompress, Status};
use gix::objs::Kind;

use super::sync;
use crate::{Error, Id, Result};

/// What the promisor mark of a pack of whole objects says; a pack that git wrote says something else.
pub(crate) const MARK: &[u8] = b"rd whole objects\n";

/// What the promisor mark of a pack of objects says that nothing needs. Its length tells it from the other.
pub(crate) const UNNEEDED_MARK: &[u8] = b"rd unneeded objects\n";

/// Size of the pack's header: magic, version, number of objects.
pub(crate) const HEADER: usize = 12;

/// Size in bytes of the checksum at the end of a pack.
pub(crate) const TRAILER: usize = 32;

/// One object in a pack.
pub(crate) struct Entry {
    pub(crate) id: Id,
    pub(crate) crc: u32,
    pub(crate) offset: u64,
}

/// A pack in the making, in memory.
pub(super) struct Pack {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    deflate: Compress,
}

impl Pack {
    pub(super) fn new() -> Self {
        Self { bytes: vec![0; HEADER], entries: Vec::new(), deflate: Compress::new(Compression::new(1), true) }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The size of the pack so far, in bytes.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Add an object whose id is known.
    pub(super) fn add(&mut self, id: Id, kind: Kind, data: &[u8]) {
        let offset = self.bytes.len();
        encode_entry_header(kind, data.len() as u64, &mut self.bytes);
        deflate_into(&mut self.deflate, data, &mut self.bytes);
        self.note(id, offset);
    }

    /// Add an entry as another pack holds it.
    pub(super) fn add_raw(&mut self, id: Id, entry: &[u8]) {
        let offset = self.bytes.len();
        self.bytes.extend_from_slice(entry);
        self.note(id, offset);
    }

    fn note(&mut self, id: Id, offset: usize) {
        let mut crc = Crc::new();
        crc.update(&self.bytes[offset..]);
        self.entries.push(Entry { id, crc: crc.sum(), offset: offset as u64 });
    }

    /// Write pack, promisor mark and index into the folder `staging`, where nobody looks for them.
    pub(super) fn stage(mut self, staging: &Path) -> Result<StagedPack> {
        let count = u32::try_from(self.entries.len()).map_err(|_| Error::Unsupported {
            what: "pack".into(),
            why: "more than 4,294,967,295 objects at once".into(),
        })?;
        self.bytes[..HEADER].copy_from_slice(&pack_header(count));
        let checksum = sha256(&self.bytes);
        self.bytes.extend_from_slice(checksum.as_slice());
        let index = encode_index(&mut self.entries, &checksum);
        let staged = staging.join(format!("pack-{}", checksum.to_hex()));
        for (extension, bytes) in EXTENSIONS.into_iter().zip([&self.bytes[..], MARK, &index]) {
            write_file(&staged.with_extension(extension), bytes)?;
        }
        Ok(StagedPack { staged })
    }
}

/// The files of a pack, the index last, since it makes the pack visible.
const EXTENSIONS: [&str; 3] = ["pack", "promisor", "idx"];

/// A complete pack that nobody sees yet.
pub(crate) struct StagedPack {
    pub(super) staged: PathBuf,
}

impl StagedPack {
    /// How many bytes the pack has.
    pub(crate) fn size(&self) -> u64 {
        std::fs::metadata(self.staged.with_extension("pack")).map_or(0, |about| about.len())
    }

    /// Make the pack as old as another.
    pub(crate) fn date(&self, time: std::time::SystemTime) -> Result<()> {
        let path = self.staged.with_extension("pack");
        let file = std::fs::File::open(&path).map_err(Error::io("open", &path))?;
        file.set_modified(time).map_err(Error::io("set the time of", path))
    }

    /// Flush the pack's bytes and give it its name in the folder `dir`. Returns the pack's path.
    pub(crate) fn publish(self, dir: &Path) -> Result<PathBuf> {
        sync::sync_all(&self.files())?;
        self.rename_into(dir)
    }

    /// The files whose bytes must be on disk before the pack is visible.
    pub(super) fn files(&self) -> [PathBuf; 3] {
        EXTENSIONS.map(|extension| self.staged.with_extension(extension))
    }

    /// Give the pack, whose bytes are on disk, its name in the folder `dir`. Returns the pack's path.
    pub(super) fn rename_into(self, dir: &Path) -> Result<PathBuf> {
        let target = dir.join(self.staged.file_name().expect("because it was given a name"));
        for extension in EXTENSIONS {
            let to = target.with_extension(extension);
            std::fs::rename(self.staged.with_extension(extension), &to).map_err(Error::io("create", to))?;
        }
        Ok(target.with_extension("pack"))
    }
}

/// A pack's header: magic, version 2, number of objects.
pub(crate) fn pack_header(count: u32) -> [u8; HEADER] {
    let mut header = *b"PACK\0\0\0\x02\0\0\0\0";
    header[8..].copy_from_slice(&count.to_be_bytes());
    header
}

/// The type and the inflated size, as variable-length bytes (gitformat-pack(5), "pack entry").
pub(crate) fn encode_entry_header(kind: Kind, size: u64, out: &mut Vec<u8>) {
    let code = match kind {
        Kind::Commit => 1,
        Kind::Tree => 2,
        Kind::Blob => 3,
        Kind::Tag => 4,
    };
    let mut byte = (code << 4) | (size & 0x0f) as u8;
    let mut rest = size >> 4;
    while rest > 0 {
        out.push(byte | 0x80);
        byte = (rest & 0x7f) as u8;
        rest >>= 7;
    }
    out.push(byte);
}

pub(super) fn deflate_into(deflate: &mut Compress, data: &[u8], out: &mut Vec<u8>) {
    deflate.reset();
    loop {
        out.reserve(data.len() / 2 + 128);
        let consumed = usize::try_from(deflate.total_in()).unwrap_or(data.len());
        let status = deflate
            .compress_vec(&data[consumed..], out, FlushCompress::Finish)
            .expect("because compressing in memory can't fail");
        if status == Status::StreamEnd {
            return;
        }
    }
}

/// An index of version 2 over `entries`, which are sorted by this.
pub(crate) fn encode_index(entries: &mut [Entry], pack: &Id) -> Vec<u8> {
    entries.sort_unstable_by_key(|entry| entry.id);
    let mut out = Vec::with_capacity(8 + 1024 + entries.len() * 40 + 64);
    out.extend_from_slice(b"\xfftOc\0\0\0\x02");
    let mut seen = 0u32;
    for first in 0..=255u8 {
        let from = seen as usize;
        seen += entries[from..].iter().take_while(|entry| entry.id.first_byte() == first).count() as u32;
        out.extend_from_slice(&seen.to_be_bytes());
    }
    entries.iter().for_each(|entry| out.extend_from_slice(entry.id.as_slice()));
    entries.iter().for_each(|entry| out.extend_from_slice(&entry.crc.to_be_bytes()));
    let mut large = Vec::new();
    for entry in entries.iter() {
        let word = u32::try_from(entry.offset).ok().filter(|offset| offset >> 31 == 0).unwrap_or_else(|| {
            large.extend_from_slice(&entry.offset.to_be_bytes());
            (1 << 31) | (large.len() / 8 - 1) as u32
        });
        out.extend_from_slice(&word.to_be_bytes());
    }
    out.extend_from_slice(&large);
    out.extend_from_slice(pack.as_slice());
    let checksum = sha256(&out);
    out.extend_from_slice(checksum.as_slice());
    out
}

fn sha256(bytes: &[u8]) -> Id {
    let mut hasher = gix::hash::hasher(gix::hash::Kind::Sha256);
    hasher.update(bytes);
    hasher.try_finalize().expect("because SHA-256 has no collision detection that could fail")
}

pub(super) fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::OpenOptions::new();
    let mut file =
        options.write(true).create(true).truncate(true).mode(0o444).open(path).map_err(Error::io("create", path))?;
    file.write_all(bytes).map_err(Error::io("write", path))
}

/// Flush the names of the packs in `dir`.
pub(crate) fn sync_names(dir: &Path) -> Result<()> {
    sync::sync_folder(dir)
}

//! A pack that is written entry by entry, for more objects than fit into memory.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use flate2::{Compress, Compression, Crc};
use gix::objs::Kind;

use super::pack::{Entry, StagedPack, deflate_into, encode_entry_header, encode_index, pack_header, write_file};
use crate::{Error, Id, Result};

/// A pack in the making, as a file that nobody looks for.
pub(crate) struct PackFile {
    staging: PathBuf,
    path: PathBuf,
    out: BufWriter<File>,
    hasher: gix::hash::Hasher,
    entries: Vec<Entry>,
    at: u64,
    count: u32,
    deflate: Compress,
    buffer: Vec<u8>,
}

impl PackFile {
    /// Begin a pack of exactly `count` objects in the folder `staging`; `level` is zlib's.
    pub(crate) fn create(staging: &Path, count: usize, level: u32) -> Result<Self> {
        let count = u32::try_from(count).map_err(|_| Error::Unsupported {
            what: "pack".into(),
            why: "more than 4,294,967,295 objects at once".into(),
        })?;
        let file = tempfile::Builder::new().prefix("new-").tempfile_in(staging);
        let (file, path) = file
            .and_then(|file| file.keep().map_err(|error| error.error))
            .map_err(Error::io("create a file in", staging))?;
        let mut pack = Self {
            staging: staging.to_owned(),
            path,
            out: BufWriter::with_capacity(1 << 20, file),
            hasher: gix::hash::hasher(gix::hash::Kind::Sha256),
            entries: Vec::with_capacity(count as usize),
            at: 0,
            count,
            deflate: Compress::new(Compression::new(level), true),
            buffer: Vec::new(),
        };
        pack.write(&pack_header(count))?;
        Ok(pack)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.hasher.update(bytes);
        self.at += bytes.len() as u64;
        self.out.write_all(bytes).map_err(Error::io("write", &self.path))
    }

    /// Where the next entry begins.
    pub(crate) fn offset(&self) -> u64 {
        self.at
    }

    /// Add an object whose id is known.
    pub(crate) fn add(&mut self, id: Id, kind: Kind, data: &[u8]) -> Result<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        encode_entry_header(kind, data.len() as u64, &mut buffer);
        deflate_into(&mut self.deflate, data, &mut buffer);
        let added = self.add_raw(id, &buffer);
        self.buffer = buffer;
        added
    }

    /// Add an entry that is encoded already.
    pub(crate) fn add_raw(&mut self, id: Id, entry: &[u8]) -> Result<()> {
        let mut crc = Crc::new();
        crc.update(entry);
        self.entries.push(Entry { id, crc: crc.sum(), offset: self.at });
        self.write(entry)
    }

    /// Write trailer, promisor mark and index, and flush all of it.
    pub(crate) fn finish(mut self, mark: &[u8]) -> Result<StagedPack> {
        assert_eq!(self.entries.len(), self.count as usize, "because the header has said so");
        let hasher = std::mem::replace(&mut self.hasher, gix::hash::hasher(gix::hash::Kind::Sha256));
        let checksum = hasher.try_finalize().expect("because SHA-256 has no collision detection that could fail");
        self.write(checksum.as_slice())?;
        let file = self.out.into_inner().map_err(|error| Error::io("write", &self.path)(error.into_error()))?;
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o444);
        file.set_permissions(permissions).and_then(|()| file.sync_all()).map_err(Error::io("sync", &self.path))?;
        let staged = self.staging.join(format!("pack-{}", checksum.to_hex()));
        std::fs::rename(&self.path, staged.with_extension("pack")).map_err(Error::io("rename", &self.path))?;
        write_file(&staged.with_extension("promisor"), mark)?;
        write_file(&staged.with_extension("idx"), &encode_index(&mut self.entries, &checksum))?;
        super::sync::sync_file(&staged.with_extension("promisor"))?;
        super::sync::sync_file(&staged.with_extension("idx"))?;
        Ok(StagedPack { staged })
    }
}

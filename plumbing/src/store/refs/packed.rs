//! The file `packed-refs`: many refs in one file, sorted, with what their tags lead to (gitrepository-layout(5)).

use std::io::{BufWriter, ErrorKind, Write};
use std::path::PathBuf;

use gix::bstr::{BStr, BString, ByteSlice};
use gix::refs::packed::Buffer;

use super::lock::Lock;
use crate::store::{Store, sync};
use crate::{Error, Id, Result};

/// As git writes it: tags are followed, and all refs are in it of which that is so.
const HEADER: &[u8] = b"# pack-refs with: peeled fully-peeled sorted \n";

/// A ref of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: BString,
    pub(super) id: Id,
    /// What the tag that it points at leads to.
    pub(super) peeled: Option<Id>,
}

/// The file as it was at one moment.
pub(super) struct Packed(Option<Buffer>);

impl Store {
    pub(super) fn packed_file(&self) -> PathBuf {
        self.repo().common_dir().join("packed-refs")
    }

    /// Read the file as it is now. (What gix remembers of it may be older.)
    pub(super) fn read_packed(&self) -> Result<Packed> {
        let buffer = self.repo().refs.open_packed_buffer();
        Ok(Packed(buffer.map_err(Error::git("read 'packed-refs'"))?))
    }

    /// Replace the file under `lock`, which is its lock; without entries there is none.
    pub(super) fn write_packed(&self, _lock: &Lock, entries: &[Entry], durable: bool) -> Result<()> {
        let path = self.packed_file();
        if entries.is_empty() {
            return match std::fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::io("remove", path)(error)),
                _ => Ok(()),
            };
        }
        let new = self.repo().common_dir().join("packed-refs.new");
        let write = || -> std::io::Result<()> {
            let mut out = BufWriter::with_capacity(1 << 16, std::fs::File::create(&new)?);
            out.write_all(HEADER)?;
            for entry in entries {
                write!(out, "{} ", entry.id)?;
                out.write_all(&entry.name)?;
                out.write_all(b"\n")?;
                if let Some(peeled) = entry.peeled {
                    writeln!(out, "^{peeled}")?;
                }
            }
            let file = out.into_inner().map_err(|error| error.into_error())?;
            if durable { file.sync_all() } else { Ok(()) }
        };
        if let Err(error) = write() {
            let _ = std::fs::remove_file(&new);
            return Err(Error::io("write", new)(error));
        }
        std::fs::rename(&new, &path).map_err(Error::io("replace", &path))?;
        if durable { sync::sync_folder(self.repo().common_dir()) } else { Ok(()) }
    }
}

impl Packed {
    /// What the ref of exactly this name points at.
    pub(super) fn find(&self, name: &BStr) -> Result<Option<Id>> {
        let (Some(buffer), Ok(full)) = (&self.0, gix::refs::FullName::try_from(name.to_owned())) else {
            return Ok(None);
        };
        let found =
            buffer.try_find(full.as_ref()).map_err(Error::git(format!("look for '{name}' in 'packed-refs'")))?;
        Ok(found.map(|found| found.target()))
    }

    /// The refs whose names begin with `prefix`, sorted by name.
    pub(super) fn entries(&self, prefix: &BStr) -> Result<Box<dyn Iterator<Item = Result<Entry>> + '_>> {
        let Some(buffer) = &self.0 else { return Ok(Box::new(std::iter::empty())) };
        let failed = || Error::git("read 'packed-refs'");
        let found = if prefix.is_empty() { buffer.iter() } else { buffer.iter_prefixed(prefix.to_owned()) };
        Ok(Box::new(found.map_err(failed())?.map(move |entry| {
            let entry = entry.map_err(failed())?;
            let name = entry.name.as_bstr().to_owned();
            let peeled = entry.object.map(|_| entry.object());
            Ok(Entry { id: entry.target(), peeled, name })
        })))
    }

    pub(super) fn all(&self) -> Result<Vec<Entry>> {
        self.entries(b"".as_bstr())?.collect()
    }
}

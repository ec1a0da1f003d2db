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
    pub(super) fn entries<'a>(&'a self, prefix: &'a BStr) -> impl Iterator<Item = Result<Entry>> + 'a {
        let mut lines = self.from(prefix).lines().enumerate().peekable();
        std::iter::from_fn(move || {
            let (number, line) = lines.next()?;
            let Some(mut entry) = decode(line) else {
                let why = format!("line {} after '{prefix}' is no id and name", number + 1);
                return Some(Err(Error::damaged("packed-refs", why)));
            };
            if !entry.name.starts_with(prefix) {
                return None;
            }
            let peeled = lines.next_if(|(_, line)| line.starts_with(b"^"));
            entry.peeled = peeled.and_then(|(_, line)| Id::from_hex(&line[1..]).ok());
            Some(Ok(entry))
        })
        .fuse()
    }

    /// The lines from the first on whose name isn't before `prefix`, by bisection: names are sorted.
    fn from(&self, prefix: &BStr) -> &[u8] {
        let bytes: &[u8] = self.0.as_ref().map_or(b"", |buffer| buffer.as_ref());
        let (mut low, mut high) = (0, bytes.len());
        while low < high {
            let middle = low + (high - low) / 2;
            let mut begin = bytes[low..middle].rfind_byte(b'\n').map_or(low, |at| low + at + 1);
            // What a tag leads to belongs to the line before.
            if bytes[begin..].starts_with(b"^") && begin > low {
                begin = bytes[low..begin - 1].rfind_byte(b'\n').map_or(low, |at| low + at + 1);
            }
            let length = bytes[begin..].find_byte(b'\n').map_or(bytes.len() - begin, |at| at + 1);
            let name = bytes[begin..begin + length].trim_end().get(NAME..).unwrap_or_default();
            if name < prefix.as_bytes() {
                low = begin + length;
                if bytes[low..].starts_with(b"^") {
                    low += bytes[low..].find_byte(b'\n').map_or(bytes.len() - low, |at| at + 1);
                }
            } else {
                high = begin;
            }
        }
        &bytes[low..]
    }

    pub(super) fn all(&self) -> Result<Vec<Entry>> {
        self.entries(b"".as_bstr()).collect()
    }
}

/// Where the name begins in a line: after the id and a blank.
const NAME: usize = 65;

fn decode(line: &[u8]) -> Option<Entry> {
    let (id, name) = line.split_at_checked(NAME)?;
    let id = Id::from_hex(id.strip_suffix(b" ")?).ok().filter(|_| !name.is_empty())?;
    Some(Entry { name: name.into(), id, peeled: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_by_their_beginning() {
        let id = |number: usize| Id::from_hex(format!("{number:064}").as_bytes()).unwrap();
        let mut text = String::from_utf8_lossy(HEADER).into_owned();
        let names = ["refs/a", "refs/b/1", "refs/b/2", "refs/c", "refs/tags/v1", "refs/tags/v2", "refs/x"];
        for (number, name) in names.iter().enumerate() {
            text += &format!("{} {name}\n", id(number));
            if name.contains("tags") {
                text += &format!("^{}\n", id(99));
            }
        }
        let packed = Packed(Some(Buffer::from_bytes(text.as_bytes(), gix::hash::Kind::Sha256).unwrap()));
        for prefix in
            ["", "refs/", "refs/b/", "refs/b", "refs/tags/", "refs/tags/v2", "refs/x", "refs/y", "refs/bb", "r", "z"]
        {
            let found: Vec<Entry> = packed.entries(prefix.into()).collect::<Result<_>>().unwrap();
            let wanted: Vec<&str> = names.iter().copied().filter(|name| name.starts_with(prefix)).collect();
            assert_eq!(found.iter().map(|entry| entry.name.to_string()).collect::<Vec<_>>(), wanted, "{prefix}");
            assert!(found.iter().all(|entry| entry.peeled.is_some() == entry.name.contains_str("tags")));
            assert!(
                found.iter().all(|entry| entry.id == id(names.iter().position(|name| entry.name == *name).unwrap()))
            );
        }
    }

    #[test]
    fn what_is_no_line_is_damage() {
        assert_eq!(decode(b"0123 refs/a"), None);
        assert_eq!(decode(format!("{:064} ", 1).as_bytes()), None);
    }
}

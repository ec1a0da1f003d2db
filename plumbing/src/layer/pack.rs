//! A root as a flat tar: what `rd export` writes, and every other engine reads.
//!
//! Entries are in the order of a walk, folders first, names in byte order; the format is POSIX pax with extended headers
//! where the plain ones have no room. Unpacking the tar gives the same root again, ids included.

use std::collections::HashMap;
use std::io::{Read, Write};

use gix::bstr::{BStr, BString, ByteSlice};
use tar::{EntryType, Header};

use super::pax::RD_TYPE;
use super::stream::BLOCK;
use crate::root::{Attrs, Folder, Hardlinks, Kind, Leaf, Part, RootIds, Time, join_path, read_folder};
use crate::{Error, Result, Store};

/// Largest number of 11 octal digits.
const LARGE: u64 = 0o77_777_777_777;
/// Largest number of 7 octal digits.
const SMALL: u64 = 0o7_777_777;
/// Room for a name in a header.
const NAME: usize = 100;

/// Writes entries of a tar.
pub struct Packer<W> {
    out: W,
}

/// Write the root `ids` of the store as a tar.
pub fn pack_root(store: &Store, ids: &RootIds, out: impl Write) -> Result<()> {
    pack_part(store, &Part::whole(store, *ids)?, out)
}

/// Write a root, or a folder of one as a root of its own, as a tar.
pub fn pack_part(store: &Store, part: &Part, out: impl Write) -> Result<()> {
    let mut packer = Packer { out };
    let mut walk = Walk { store, hardlinks: &part.hardlinks, first_names: HashMap::new() };
    // Folders still to be written, the next one last: depth is a matter of memory, not of the machine's stack.
    let mut todo = vec![(BString::default(), part.ids)];
    while let Some((path, ids)) = todo.pop() {
        let folder = read_folder(store, &ids)?;
        packer.dir(path.as_bstr(), &folder.attrs, folder.mtime)?;
        walk.leaves(&mut packer, &path, &folder)?;
        let dirs = folder.dirs.iter().rev();
        todo.extend(dirs.map(|(name, ids)| (join_path(path.as_bstr(), name.as_bstr()), *ids)));
    }
    packer.finish()?;
    Ok(())
}

/// What a walk over a root remembers.
struct Walk<'s> {
    store: &'s Store,
    hardlinks: &'s Hardlinks,
    /// By a group's first path in byte order, the path under which its file was written.
    first_names: HashMap<BString, BString>,
}

impl Walk<'_> {
    fn leaves<W: Write>(&mut self, packer: &mut Packer<W>, folder: &BString, entries: &Folder) -> Result<()> {
        for (name, leaf) in &entries.leaves {
            let path = join_path(folder.as_bstr(), name.as_bstr());
            if let Some(group) = self.hardlinks.group(path.as_bstr()) {
                let key = group.first().expect("because a group has members").clone();
                if let Some(existing) = self.first_names.get(&key) {
                    packer.link(path.as_bstr(), existing.as_bstr(), leaf)?;
                    continue;
                }
                self.first_names.insert(key, path.clone());
            }
            packer.leaf(self.store, path.as_bstr(), leaf)?;
        }
        Ok(())
    }
}

impl<W: Write> Packer<W> {
    /// Start a tar.
    pub fn new(out: W) -> Self {
        Self { out }
    }

    /// Write a folder; the empty path is the root's own entry.
    pub fn dir(&mut self, path: &BStr, attrs: &Attrs, mtime: Time) -> Result<()> {
        let mut name = if path.is_empty() { BString::from(".") } else { path.to_owned() };
        name.push(b'/');
        self.entry(Fields {
            name: name.as_bstr(),
            kind: EntryType::Directory,
            link: None,
            size: 0,
            attrs,
            mtime,
            device: None,
            socket: false,
        })
    }

    /// Write another name of the file that was written as `existing`.
    pub fn link(&mut self, path: &BStr, existing: &BStr, leaf: &Leaf) -> Result<()> {
        // Readers take the attributes from the first name; the xattrs would only be repeated.
        let attrs = Attrs { xattrs: Default::default(), ..leaf.attrs.clone() };
        self.entry(Fields {
            name: path,
            kind: EntryType::Link,
            link: Some(existing),
            size: 0,
            attrs: &attrs,
            mtime: leaf.mtime,
            device: None,
            socket: false,
        })
    }

    /// Write a whiteout, whose name says what it hides: an empty file of nobody in particular.
    pub(super) fn whiteout(&mut self, path: &BStr) -> Result<()> {
        self.entry(Fields {
            name: path,
            kind: EntryType::Regular,
            link: None,
            size: 0,
            attrs: &Attrs { mode: 0o644, ..Attrs::default() },
            mtime: Time::default(),
            device: None,
            socket: false,
        })
    }

    /// Write anything but a folder.
    pub fn leaf(&mut self, store: &Store, path: &BStr, leaf: &Leaf) -> Result<()> {
        let target = match &leaf.kind {
            Kind::Symlink { id } => Some(BString::from(store.read_blob(id)?)),
            _ => None,
        };
        let (kind, device) = match leaf.kind {
            Kind::File { .. } | Kind::Socket => (EntryType::Regular, None),
            Kind::Symlink { .. } => (EntryType::Symlink, None),
            Kind::Char { major, minor } => (EntryType::Char, Some((major, minor))),
            Kind::Block { major, minor } => (EntryType::Block, Some((major, minor))),
            Kind::Fifo => (EntryType::Fifo, None),
        };
        let socket = leaf.kind == Kind::Socket;
        let link = target.as_ref().map(|target| target.as_bstr());
        let size = leaf.kind.size();
        self.entry(Fields { name: path, kind, link, size, attrs: &leaf.attrs, mtime: leaf.mtime, device, socket })?;
        if let Kind::File { id, size } = &leaf.kind {
            let (reader, found) = store.blob_reader(id)?;
            if found != *size {
                return Err(Error::damaged(format!("content {id}"), format!("it has {found} bytes, not {size}")));
            }
            self.bytes(reader, *size, id)?;
        }
        Ok(())
    }

    /// Write the end mark.
    pub fn finish(mut self) -> Result<W> {
        self.write(&[0; 2 * BLOCK])?;
        self.out.flush().map_err(Error::io("write", "tar"))?;
        Ok(self.out)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write_all(bytes).map_err(Error::io("write", "tar"))
    }

    fn bytes(&mut self, reader: Box<dyn Read>, size: u64, id: &crate::Id) -> Result<()> {
        let copied = std::io::copy(&mut reader.take(size), &mut self.out).map_err(Error::io("write", "tar"))?;
        if copied < size {
            return Err(Error::damaged(format!("content {id}"), format!("it has {copied} bytes, not {size}")));
        }
        self.pad(size)
    }

    fn pad(&mut self, size: u64) -> Result<()> {
        let padding = size.wrapping_neg() % BLOCK as u64;
        self.write(&[0; BLOCK][..padding as usize])
    }

    fn entry(&mut self, fields: Fields<'_>) -> Result<()> {
        let mut records = Vec::new();
        let header = fields.header(&mut records);
        if !records.is_empty() {
            let mut extended = Header::new_ustar();
            set_bytes(&mut extended.as_old_mut().name, b"././@PaxHeader");
            extended.set_entry_type(EntryType::XHeader);
            extended.set_mode(0o644);
            extended.set_uid(0);
            extended.set_gid(0);
            extended.set_mtime(0);
            extended.set_size(records.len() as u64);
            extended.set_cksum();
            self.write(extended.as_bytes())?;
            self.write(&records)?;
            self.pad(records.len() as u64)?;
        }
        self.write(header.as_bytes())
    }
}

/// What a header says.
struct Fields<'f> {
    name: &'f BStr,
    kind: EntryType,
    link: Option<&'f BStr>,
    size: u64,
    attrs: &'f Attrs,
    mtime: Time,
    device: Option<(u32, u32)>,
    socket: bool,
}

impl Fields<'_> {
    /// The plain header; what has no room in it becomes pax `records`.
    fn header(&self, records: &mut Vec<u8>) -> Header {
        let mut header = Header::new_ustar();
        let link = self.link.unwrap_or_default();
        if self.name.len() > NAME || link.len() > NAME {
            // Bytes, not UTF-8: tells readers that convert names to leave them alone.
            if std::str::from_utf8(self.name).is_err() || std::str::from_utf8(link).is_err() {
                record(records, b"hdrcharset", b"BINARY");
            }
        }
        if self.name.len() > NAME {
            record(records, b"path", self.name);
        }
        if link.len() > NAME {
            record(records, b"linkpath", link);
        }
        set_bytes(&mut header.as_old_mut().name, self.name);
        set_bytes(&mut header.as_old_mut().linkname, link);
        header.set_entry_type(self.kind);
        header.set_mode(self.attrs.mode);
        header.set_uid(number(u64::from(self.attrs.uid), SMALL, b"uid", records));
        header.set_gid(number(u64::from(self.attrs.gid), SMALL, b"gid", records));
        header.set_size(number(self.size, LARGE, b"size", records));
        header.set_mtime(self.seconds(records));
        if let Some((major, minor)) = self.device {
            // A ustar header has these fields, and Linux's numbers fit.
            let fields = header.as_ustar_mut().expect("because it was made as one");
            fields.set_device_major(major);
            fields.set_device_minor(minor);
        }
        if self.socket {
            record(records, RD_TYPE.as_bytes(), b"socket");
        }
        for (name, value) in &self.attrs.xattrs {
            record(records, &[b"SCHILY.xattr.", name.as_slice()].concat(), value);
        }
        header.set_cksum();
        header
    }

    /// Seconds for the plain header; a record where that can't say all.
    fn seconds(&self, records: &mut Vec<u8>) -> u64 {
        let Time { sec, nsec } = self.mtime;
        match u64::try_from(sec) {
            Ok(seconds) if nsec == 0 && seconds <= LARGE => seconds,
            seconds => {
                record(records, b"mtime", time(self.mtime).as_bytes());
                seconds.unwrap_or(0).min(LARGE)
            }
        }
    }
}

/// A time in decimal, with a fraction where it has one.
fn time(time: Time) -> String {
    let nanoseconds = i128::from(time.sec) * 1_000_000_000 + i128::from(time.nsec);
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let (whole, fraction) = (nanoseconds.unsigned_abs() / 1_000_000_000, nanoseconds.unsigned_abs() % 1_000_000_000);
    let text = format!("{sign}{whole}.{fraction:09}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn number(value: u64, most: u64, key: &[u8], records: &mut Vec<u8>) -> u64 {
    if value <= most {
        return value;
    }
    record(records, key, value.to_string().as_bytes());
    0
}

fn set_bytes(field: &mut [u8], bytes: &[u8]) {
    let length = field.len().min(bytes.len());
    field[..length].copy_from_slice(&bytes[..length]);
}

/// `LENGTH KEY=VALUE\n`, where the length counts itself.
fn record(records: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    records.extend_from_slice(length.to_string().as_bytes());
    records.push(b' ');
    records.extend_from_slice(key);
    records.push(b'=');
    records.extend_from_slice(value);
    records.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_count_themselves() {
        for (length, text) in [(1, "6 a=b\n"), (94, "101 "), (93, "99 "), (92, "98 ")] {
            let mut records = Vec::new();
            record(&mut records, b"a", &vec![b'b'; length]);
            assert!(records.starts_with(text.as_bytes()), "{length} {}", records.as_bstr());
            let counted: usize = records.to_str().unwrap().split(' ').next().unwrap().parse().unwrap();
            assert_eq!(counted, records.len(), "{length}");
        }
    }

    #[test]
    fn times_in_decimal() {
        for (sec, nsec, text) in [
            (1, 0, "1"),
            (1, 500_000_000, "1.5"),
            (-2, 500_000_000, "-1.5"),
            (-1, 1, "-0.999999999"),
            (10, 1, "10.000000001"),
            (100, 0, "100"),
        ] {
            assert_eq!(time(Time { sec, nsec }), text);
        }
    }
}

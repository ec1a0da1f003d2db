//! Tars made entry by entry, also such as no archiver writes.

use tar::{EntryType, Header};

/// A tar in the making.
#[derive(Default, Clone)]
pub struct Tarball(pub Vec<u8>);

impl Tarball {
    /// Add any header and the bytes behind it, padded.
    pub fn raw(mut self, mut header: Header, bytes: &[u8]) -> Self {
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(bytes);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    pub fn entry(self, kind: EntryType, name: &[u8], link: &str, bytes: &[u8]) -> Self {
        let mut header = header(kind, name, bytes.len() as u64);
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
        self.raw(header, bytes)
    }

    pub fn file(self, name: &str, bytes: &str) -> Self {
        self.entry(EntryType::Regular, name.as_bytes(), "", bytes.as_bytes())
    }

    pub fn dir(self, name: &str) -> Self {
        self.entry(EntryType::Directory, name.as_bytes(), "", b"")
    }

    pub fn symlink(self, name: &str, target: &str) -> Self {
        self.entry(EntryType::Symlink, name.as_bytes(), target, b"")
    }

    pub fn link(self, name: &str, target: &str) -> Self {
        self.entry(EntryType::Link, name.as_bytes(), target, b"")
    }

    /// Add an extended header with these bytes.
    pub fn pax(self, bytes: &[u8]) -> Self {
        self.entry(EntryType::XHeader, b"x", "", bytes)
    }

    /// Add an extended header with these records.
    pub fn records(self, records: &[(&str, &[u8])]) -> Self {
        let bytes: Vec<u8> = records.iter().flat_map(|(key, value)| record(key, value)).collect();
        self.pax(&bytes)
    }

    /// Add GNU tar's header for a long name.
    pub fn long_name(self, name: &str) -> Self {
        self.entry(EntryType::GNULongName, b"././@LongLink", "", format!("{name}\0").as_bytes())
    }

    /// With the end mark.
    pub fn end(mut self) -> Vec<u8> {
        self.0.extend_from_slice(&[0; 1024]);
        self.0
    }
}

pub fn header(kind: EntryType, name: &[u8], size: u64) -> Header {
    let mut header = if matches!(kind, EntryType::GNUSparse | EntryType::GNULongName) {
        Header::new_gnu()
    } else {
        Header::new_ustar()
    };
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(1000);
    header.set_size(size);
    header
}

fn record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let length = (rest..).find(|length| *length == rest + length.to_string().len()).unwrap();
    [format!("{length} {key}=").as_bytes(), value, b"\n"].concat()
}

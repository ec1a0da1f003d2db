//! Where the files of an uncompressed tar lie, found by reading its headers alone.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;

use gix::bstr::{BString, ByteSlice};

use super::entry::{Entries, Entry, Next, What, refused};
use super::path;
use super::recipe::Sink;
use super::stream::{Blocks, Slice};
use crate::{Error, Result};

/// More entries than this are refused: the index must fit into memory. Image archives have some hundreds.
const ENTRIES: usize = 100_000;

/// A file of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Indexed {
    /// Its bytes.
    File {
        /// Where they begin in the archive.
        offset: u64,
        /// Their number.
        size: u64,
    },
    /// Those of another file, by its path in the archive.
    Link(BString),
}

/// Headers read from a file that can be read at any place.
struct Headers<'f> {
    file: &'f File,
    at: u64,
    size: u64,
}

impl Blocks for Headers<'_> {
    fn position(&self) -> u64 {
        self.at
    }

    fn take(&mut self, max: usize) -> Result<Option<Slice>> {
        let left = usize::try_from(self.size - self.at).unwrap_or(usize::MAX);
        if left == 0 {
            return Ok(None);
        }
        let mut bytes = vec![0; max.min(left).min(64 * 1024)];
        self.file.read_exact_at(&mut bytes, self.at).map_err(Error::io("read", "archive"))?;
        self.at += bytes.len() as u64;
        Ok(Some(Slice::owned(bytes)))
    }
}

/// What nobody wants to have.
struct Nowhere;

impl Sink for Nowhere {
    fn raw(&mut self, _: &[u8]) {}
}

/// The files of the tar in `file`, by their paths; of two with the same path the later one.
pub fn index(file: &File) -> Result<BTreeMap<BString, Indexed>> {
    let size = file.metadata().map_err(Error::io("stat", "archive"))?.len();
    let mut headers = Headers { file, at: 0, size };
    let mut entries = Entries::default();
    let mut files = BTreeMap::new();
    while let Next::Entry(Entry { name, what, .. }, payload) = entries.next(&mut headers, &mut Nowhere)? {
        let refuse = |why: String| refused(name.as_bstr(), why);
        let path = path::parse(name.as_bstr()).map_err(refuse)?;
        let found = match what {
            What::File(map) if map.holes() > 0 => return Err(refuse("it is sparse".into())),
            What::File(map) => Some(Indexed::File { offset: headers.at, size: map.size }),
            What::Link(target) => Some(Indexed::Link(path::parse(target.as_bstr()).map_err(refuse)?)),
            What::Symlink(target) => Some(Indexed::Link(
                beside(&path, &target).ok_or_else(|| refuse("it is a link out of the archive".into()))?,
            )),
            What::Dir | What::Special(_) | What::Nothing => None,
        };
        let length = payload.stored + payload.padding;
        headers.at = headers
            .at
            .checked_add(length)
            .filter(|end| *end <= size + payload.padding)
            .ok_or_else(|| refuse("the archive ends in the middle of it".into()))?
            .min(size);
        files.extend(found.map(|found| (path, found)));
        if files.len() > ENTRIES {
            return Err(refuse(format!("the archive has more than {ENTRIES} files")));
        }
    }
    Ok(files)
}

/// Where a symbolic link at `path` leads, as names alone say; `None` outside of the archive.
fn beside(path: &BString, target: &BString) -> Option<BString> {
    let mut parts: Vec<&[u8]> = path.split_str("/").collect();
    parts.pop();
    if target.starts_with(b"/") {
        return None;
    }
    for part in target.split_str("/") {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join(&b"/"[..]).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_stay_in_the_archive() {
        let beside = |path: &str, target: &str| beside(&path.into(), &target.into()).map(|found| found.to_string());
        assert_eq!(beside("a/layer.tar", "../b/layer.tar").as_deref(), Some("b/layer.tar"));
        assert_eq!(beside("a/x", "./y").as_deref(), Some("a/y"));
        assert_eq!(beside("a/x", "../../etc/passwd"), None);
        assert_eq!(beside("a/x", "/etc/passwd"), None);
    }
}

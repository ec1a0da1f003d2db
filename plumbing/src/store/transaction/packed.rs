//! `packed-refs`: what it holds, and what is left of it when refs are deleted.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Write};

use gix::bstr::ByteSlice;

use super::Refusal;
use crate::store::{Store, sync};
use crate::{Error, Id, Result};

/// How long to wait for the file, which every command that deletes refs locks.
const LOCK_WAIT: gix::lock::acquire::Fail =
    gix::lock::acquire::Fail::AfterDurationWithBackoff(std::time::Duration::from_secs(1));

/// `packed-refs`, locked.
pub(super) struct Packed {
    lock: gix::lock::File,
    /// What it becomes; nothing where it stays as it is.
    new: Option<Vec<u8>>,
}

fn path(store: &Store) -> std::path::PathBuf {
    store.repo().common_dir().join("packed-refs")
}

/// Read anew where the file has changed.
fn buffer(store: &Store) -> Result<Option<gix::refs::file::packed::SharedBufferSnapshot>> {
    store.repo().refs.cached_packed_buffer().map_err(Error::git("read packed-refs"))
}

/// The id of a packed ref.
pub(super) fn find(store: &Store, name: &str) -> Result<Option<Id>> {
    // Names that refs can't have are in no list of them, and others than these are looked for elsewhere.
    let Ok(full) = <&gix::refs::PartialNameRef>::try_from(name) else { return Ok(None) };
    let Some(buffer) = buffer(store)?.filter(|_| name.starts_with("refs/")) else { return Ok(None) };
    let found = buffer.try_find(full).map_err(Error::git("read packed-refs"))?;
    Ok(found.map(|found| found.target()))
}

/// The first packed ref whose name begins with `prefix`.
pub(super) fn first_below(store: &Store, prefix: &str) -> Result<Option<String>> {
    let Some(buffer) = buffer(store)? else { return Ok(None) };
    let mut found = buffer.iter_prefixed(prefix.into()).map_err(Error::git("read packed-refs"))?;
    Ok(found.next().and_then(|found| Some(found.ok()?.name.as_bstr().to_string())))
}

impl Packed {
    /// Lock the file, and leave `deleted` out of it.
    pub(super) fn lock(store: &Store, deleted: &BTreeSet<&str>) -> Result<Self, Refusal> {
        let path = path(store);
        let lock = gix::lock::File::acquire_to_update_resource(&path, LOCK_WAIT, None, 0);
        let lock = lock.map_err(|error| Refusal::Locked { name: "packed-refs".into(), why: error.to_string() })?;
        let old = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self { lock, new: None }),
            Err(error) => return Err(Error::io("read", path)(error).into()),
        };
        let new = without(&old, deleted);
        Ok(Self { lock, new: (new.len() < old.len()).then_some(new) })
    }

    pub(super) fn commit(mut self) -> Result<()> {
        let Some(new) = self.new else { return Ok(()) };
        let path = self.lock.resource_path();
        let written = self.lock.with_mut(|file| file.write_all(&new).and_then(|()| file.sync_all()));
        written.map_err(Error::io("write", &path))?;
        self.lock.commit().map_err(|error| Error::io("create", &path)(error.error))?;
        path.parent().map_or(Ok(()), sync::sync_folder)
    }
}

/// The lines without those of `deleted`, and without what the tags among them point to, which is on a line of its own.
fn without(lines: &[u8], deleted: &BTreeSet<&str>) -> Vec<u8> {
    let mut kept = Vec::with_capacity(lines.len());
    let mut keep = true;
    for line in lines.lines_with_terminator() {
        if !line.starts_with(b"^") {
            let name = line.split_once_str(" ").map_or(&b""[..], |(_, name)| name.trim_end());
            keep = line.starts_with(b"#") || !name.to_str().is_ok_and(|name| deleted.contains(name));
        }
        if keep {
            kept.extend_from_slice(line);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_goes_with_what_it_points_to() {
        let lines = b"# pack-refs with: peeled\n11 refs/heads/a\n22 refs/tags/b\n^33\n44 refs/tags/c\n^55\n";
        let left = without(lines, &BTreeSet::from(["refs/tags/b", "refs/heads/x"]));
        assert_eq!(left.as_bstr(), "# pack-refs with: peeled\n11 refs/heads/a\n44 refs/tags/c\n^55\n");
    }
}

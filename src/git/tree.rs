//! Lines of `ls-tree`, which `cat-file -p` prints and `mktree` reads too.

use std::io::Write;

use plumbing::bstr::{BStr, BString, ByteSlice};
use plumbing::gix::objs::tree::EntryMode;
use plumbing::gix::objs::{Kind, TreeRefIter};
use plumbing::{Error, Id, Store};

use crate::report::Failure;

/// An entry of a tree.
pub struct Entry {
    pub mode: EntryMode,
    pub name: BString,
    pub id: Id,
}

/// The entries of the tree `id` in its order.
pub fn read(store: &Store, id: &Id) -> Result<Vec<Entry>, Failure> {
    let data = store.read_object(id, Kind::Tree)?;
    TreeRefIter::from_bytes(&data, plumbing::gix::hash::Kind::Sha256)
        .map(|entry| {
            let entry = entry.map_err(|error| Error::damaged(format!("tree {id}"), error.to_string()))?;
            Ok(Entry { mode: entry.mode, name: entry.filename.to_owned(), id: entry.oid.to_owned() })
        })
        .collect()
}

/// The kind of object that an entry of this mode names.
pub fn kind_of(mode: EntryMode) -> Kind {
    match mode {
        mode if mode.is_tree() => Kind::Tree,
        mode if mode.is_commit() => Kind::Commit,
        _ => Kind::Blob,
    }
}

/// Write a path as git does: quoted where it has special characters, unless NUL ends it.
pub fn write_path(out: &mut impl Write, path: &BStr, nul: bool) -> std::io::Result<()> {
    if nul {
        out.write_all(path)?;
        return out.write_all(b"\0");
    }
    out.write_all(&plumbing::gix::quote::ansi_c::quote(path))?;
    out.write_all(b"\n")
}

/// The mode as git prints it: six octal digits.
pub fn octal(mode: EntryMode) -> String {
    format!("{:06o}", mode.value())
}

/// Write the lines of the tree `id`, as `cat-file -p` shows it.
pub fn print(store: &Store, id: &Id, out: &mut impl Write) -> Result<(), Failure> {
    for entry in read(store, id)? {
        write!(out, "{} {} {}\t", octal(entry.mode), kind_of(entry.mode), entry.id)?;
        write_path(out, entry.name.as_bstr(), false)?;
    }
    Ok(())
}

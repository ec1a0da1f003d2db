//! Lines of `ls-tree`, which `cat-file -p` prints and `mktree` reads too.

use std::io::Write;

use plumbing::bstr::{BStr, BString, ByteSlice};
use plumbing::gix::hash::oid;
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

/// Add a path as git prints it: with `quoted` in quotation marks where it has special characters.
pub fn push_path(line: &mut Vec<u8>, path: &BStr, quoted: bool) {
    let is_plain = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
    match quoted && !path.iter().all(is_plain) {
        true => line.extend_from_slice(&plumbing::gix::quote::ansi_c::quote(path)),
        false => line.extend_from_slice(path),
    }
}

/// Add a mode as git prints it: six octal digits.
pub fn push_octal(line: &mut Vec<u8>, mode: EntryMode) {
    let digits = [15, 12, 9, 6, 3, 0].map(|shift| b'0' + (mode.value() >> shift & 7) as u8);
    line.extend_from_slice(&digits);
}

/// Add an id in full.
pub fn push_hex(line: &mut Vec<u8>, id: &oid) {
    let mut buffer = [0; 64];
    line.extend_from_slice(id.hex_to_buf(&mut buffer).as_bytes());
}

/// Write the lines of the tree `id`, as `cat-file -p` shows it.
pub fn print(store: &Store, id: &Id, out: &mut impl Write) -> Result<(), Failure> {
    let mut line = Vec::new();
    for entry in read(store, id)? {
        line.clear();
        push_octal(&mut line, entry.mode);
        write!(line, " {} ", kind_of(entry.mode))?;
        push_hex(&mut line, &entry.id);
        line.push(b'\t');
        push_path(&mut line, entry.name.as_bstr(), true);
        line.push(b'\n');
        out.write_all(&line)?;
    }
    Ok(())
}

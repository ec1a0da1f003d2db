//! Going through trees and printing entries. Lines are put together by hand: an image has tens of thousands of them.

use std::cell::RefCell;
use std::io::{BufWriter, StdoutLock, Write};

use plumbing::bstr::{BStr, BString, ByteSlice};
use plumbing::gix::objs::tree::EntryRef;
use plumbing::gix::objs::{Kind, TreeRefIter};
use plumbing::store::Objects;
use plumbing::{Error, Id, Store};

use super::format::{Columns, Piece};
use super::pathspec::Pathspec;
use crate::git::{self, Abbrev, tree};
use crate::report::Failure;

/// Deeper trees git reads neither.
const DEEPEST: usize = 2048;

/// What is listed and how.
pub(super) struct List<'a> {
    pub(super) store: &'a Store,
    /// Where sizes come from.
    pub(super) objects: RefCell<Objects<'a>>,
    pub(super) columns: Columns,
    pub(super) abbrev: Abbrev,
    pub(super) paths: Pathspec,
    pub(super) trees_only: bool,
    pub(super) recursive: bool,
    pub(super) show_trees: bool,
    pub(super) nul: bool,
    pub(super) out: BufWriter<StdoutLock<'static>>,
    /// The line in the making.
    pub(super) line: Vec<u8>,
}

impl List<'_> {
    /// List the tree `id`, whose path with a slash at its end is `base`; false where a tree can't be read.
    pub(super) fn walk(&mut self, id: &Id, base: &mut BString, depth: usize) -> Result<bool, Failure> {
        if depth > DEEPEST {
            eprintln!("error: exceeded maximum allowed tree depth");
            return Ok(false);
        }
        let found = self.store.repo().try_find_object(*id).map_err(Error::git(format!("read tree {id}")))?;
        let Some(object) = found.filter(|object| object.kind == Kind::Tree) else {
            eprintln!("error: Could not read {id}");
            return Ok(false);
        };
        for entry in TreeRefIter::from_bytes(&object.data, id.kind()) {
            let entry = entry.map_err(|error| Error::damaged(format!("tree {id}"), error.to_string()))?;
            if !self.entry(&entry, base, depth)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn entry(&mut self, entry: &EntryRef<'_>, base: &mut BString, depth: usize) -> Result<bool, Failure> {
        let (name, kind) = (entry.filename, tree::kind_of(entry.mode));
        if !self.paths.is_wanted(base.as_bstr(), name, kind) {
            return Ok(true);
        }
        let descend = kind == Kind::Tree && (self.recursive || self.paths.leads_on(base.as_bstr(), name));
        let length = base.len();
        base.extend_from_slice(name);
        let shown = match kind {
            Kind::Blob => !self.trees_only,
            _ => !descend || self.show_trees,
        };
        if shown {
            self.print(entry, kind, base.as_bstr())?;
        }
        let mut complete = true;
        if descend {
            base.push(b'/');
            complete = self.walk(&entry.oid.to_owned(), base, depth + 1)?;
        }
        base.truncate(length);
        Ok(complete)
    }

    fn print(&mut self, entry: &EntryRef<'_>, kind: Kind, path: &BStr) -> Result<(), Failure> {
        let mut line = std::mem::take(&mut self.line);
        line.clear();
        let filled = self.fill(&mut line, entry, kind, path);
        line.push(if self.nul { b'\0' } else { b'\n' });
        self.line = line;
        filled?;
        Ok(self.out.write_all(&self.line)?)
    }

    fn fill(&self, line: &mut Vec<u8>, entry: &EntryRef<'_>, kind: Kind, path: &BStr) -> Result<(), Failure> {
        match &self.columns {
            Columns::Name => {}
            Columns::Id => return self.id(line, entry),
            Columns::All | Columns::Long => {
                tree::push_octal(line, entry.mode);
                line.push(b' ');
                line.extend_from_slice(kind.as_bytes());
                line.push(b' ');
                self.id(line, entry)?;
                if self.columns == Columns::Long {
                    let size = self.size(entry, kind)?.unwrap_or_else(|| "BAD".into());
                    write!(line, " {size:>7}")?;
                }
                line.push(b'\t');
            }
            Columns::Pieces(pieces) => return self.pieces(line, pieces, entry, kind, path),
        }
        tree::push_path(line, path, !self.nul);
        Ok(())
    }

    fn pieces(
        &self,
        line: &mut Vec<u8>,
        pieces: &[Piece],
        entry: &EntryRef<'_>,
        kind: Kind,
        path: &BStr,
    ) -> Result<(), Failure> {
        for piece in pieces {
            match piece {
                Piece::Text(text) => line.extend_from_slice(text),
                Piece::Mode => tree::push_octal(line, entry.mode),
                Piece::Kind => line.extend_from_slice(kind.as_bytes()),
                Piece::Id => self.id(line, entry)?,
                Piece::Path => tree::push_path(line, path, true),
                Piece::Size { padded } => {
                    let missing = || Failure::fatal(format!("could not get object info about '{}'", entry.oid));
                    let size = self.size(entry, kind)?.ok_or_else(missing)?;
                    let width = if *padded { 7 } else { 0 };
                    write!(line, "{size:>width$}")?;
                }
                Piece::Bad(why) => return Err(Failure::fatal(why.clone())),
            }
        }
        Ok(())
    }

    fn id(&self, line: &mut Vec<u8>, entry: &EntryRef<'_>) -> Result<(), Failure> {
        match self.abbrev {
            Abbrev::Full => tree::push_hex(line, entry.oid),
            abbrev => {
                line.extend_from_slice(git::abbreviate(self.store, &entry.oid.to_owned(), abbrev)?.as_bytes());
            }
        }
        Ok(())
    }

    /// The size of a blob, `-` for everything else; `None` where the blob is missing.
    fn size(&self, entry: &EntryRef<'_>, kind: Kind) -> Result<Option<String>, Failure> {
        if kind != Kind::Blob {
            return Ok(Some("-".into()));
        }
        Ok(self.objects.borrow_mut().find(&entry.oid.to_owned())?.map(|found| found.size.to_string()))
    }
}

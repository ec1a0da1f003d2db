//! Two git trees compared entry by entry, as git's object commands see them: paths, modes and ids.
//!
//! [`compare`](super::compare) is about roots, with all that a root has; this is about any tree of any repository.

use std::cmp::Ordering;
use std::ops::ControlFlow;

use gix::bstr::{BStr, BString, ByteSlice};
use gix::objs::tree::{EntryMode, EntryRef};
use gix::objs::{Kind, TreeRefIter};

use crate::pathspec::{Interest, Pathspec};
use crate::{Error, Id, Result, Store};

/// Trees nested deeper than this are refused; git's limit too.
const DEEPEST: usize = 2048;

/// What a tree has at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    /// Type and executable bit, as it is written in the tree.
    pub mode: EntryMode,
    /// Its id.
    pub id: Id,
}

/// A path at which two trees differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The path in the trees.
    pub path: BString,
    /// What was there.
    pub before: Option<Version>,
    /// What is there now.
    pub after: Option<Version>,
}

/// What a comparison of trees looks at.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Go into folders.
    pub recursive: bool,
    /// Name the folders that are gone into, too.
    pub trees: bool,
    /// Name also what is equal on both sides: for finding copies.
    pub unchanged: bool,
    /// Only these paths.
    pub paths: Pathspec,
}

/// The changes from `before` to `after` in the order of trees.
pub fn changes(store: &Store, before: Option<&Id>, after: Option<&Id>, options: &Options) -> Result<Vec<Change>> {
    let mut found = Vec::new();
    let _ = visit(store, before, after, options, &mut |change| {
        found.push(change);
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

/// Hand the changes from `before` to `after` to `on` one by one, until it has enough.
pub fn visit(
    store: &Store,
    before: Option<&Id>,
    after: Option<&Id>,
    options: &Options,
    on: &mut dyn FnMut(Change) -> ControlFlow<()>,
) -> Result<ControlFlow<()>> {
    Visit { store, options, on, base: BString::default(), depth: 0 }.trees(before, after)
}

struct Visit<'a> {
    store: &'a Store,
    options: &'a Options,
    on: &'a mut dyn FnMut(Change) -> ControlFlow<()>,
    base: BString,
    depth: usize,
}

impl Visit<'_> {
    fn trees(&mut self, before: Option<&Id>, after: Option<&Id>) -> Result<ControlFlow<()>> {
        if self.depth > DEEPEST {
            return Err(Error::damaged("tree", "exceeded maximum allowed tree depth"));
        }
        let read = |id: Option<&Id>| id.map(|id| self.store.read_object(id, Kind::Tree)).transpose();
        let (old, new) = (read(before)?.unwrap_or_default(), read(after)?.unwrap_or_default());
        let mut old = Entries::new(&old, before);
        let mut new = Entries::new(&new, after);
        loop {
            old.skip_to_interesting(self)?;
            new.skip_to_interesting(self)?;
            let order = match (&old.next, &new.next) {
                (None, None) => return Ok(ControlFlow::Continue(())),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(a), Some(b)) => a.cmp(b),
            };
            let a = if order.is_le() { old.next.take() } else { None };
            let b = if order.is_ge() { new.next.take() } else { None };
            if self.entry(a, b)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
    }

    fn entry(&mut self, before: Option<EntryRef<'_>>, after: Option<EntryRef<'_>>) -> Result<ControlFlow<()>> {
        let version = |entry: &EntryRef<'_>| Version { mode: entry.mode, id: entry.oid.to_owned() };
        let (old, new) = (before.as_ref().map(version), after.as_ref().map(version));
        if old == new && !self.options.unchanged {
            return Ok(ControlFlow::Continue(()));
        }
        let Some(entry) = after.or(before) else { return Ok(ControlFlow::Continue(())) };
        let goes_in = entry.mode.is_tree() && self.options.recursive;
        let length = self.base.len();
        self.base.extend_from_slice(entry.filename);
        let mut flow = ControlFlow::Continue(());
        if !goes_in || (self.options.trees && old != new) {
            flow = (self.on)(Change { path: self.base.clone(), before: old, after: new });
        }
        if goes_in && flow.is_continue() {
            self.base.push(b'/');
            self.depth += 1;
            let id = |version: &Option<Version>| version.map(|version| version.id);
            flow = self.trees(id(&old).as_ref(), id(&new).as_ref())?;
            self.depth -= 1;
        }
        self.base.truncate(length);
        Ok(flow)
    }
}

/// The entries of a tree, with the next one in hand.
struct Entries<'t> {
    iter: TreeRefIter<'t>,
    next: Option<EntryRef<'t>>,
    id: Option<Id>,
    /// All that are left are meant.
    all: bool,
    end: bool,
}

impl<'t> Entries<'t> {
    fn new(data: &'t [u8], id: Option<&Id>) -> Self {
        let iter = TreeRefIter::from_bytes(data, gix::hash::Kind::Sha256);
        Self { iter, next: None, id: id.copied(), all: false, end: false }
    }

    fn skip_to_interesting(&mut self, visit: &Visit<'_>) -> Result<()> {
        while self.next.is_none() && !self.end {
            let Some(entry) = self.iter.next() else {
                self.end = true;
                break;
            };
            let entry = entry.map_err(|error| {
                Error::damaged(
                    format!("tree {}", self.id.unwrap_or(Id::null(gix::hash::Kind::Sha256))),
                    error.to_string(),
                )
            })?;
            if self.all {
                self.next = Some(entry);
                break;
            }
            let options = visit.options;
            match options.paths.entry(visit.base.as_bstr(), entry.filename, entry.mode, options.recursive) {
                Interest::NoneFrom => self.end = true,
                Interest::No => {}
                Interest::Yes => self.next = Some(entry),
                Interest::All => {
                    self.all = true;
                    self.next = Some(entry);
                }
            }
        }
        Ok(())
    }
}

/// What a tree has at `path`; `None` where it has nothing.
pub fn find(store: &Store, tree: &Id, path: &BStr) -> Result<Option<Version>> {
    let mut at = *tree;
    let mut components = path.split_str("/").peekable();
    while let Some(component) = components.next() {
        let data = store.read_object(&at, Kind::Tree)?;
        let mut entries = TreeRefIter::from_bytes(&data, gix::hash::Kind::Sha256).filter_map(|entry| entry.ok());
        let Some(entry) = entries.find(|entry| entry.filename == component) else { return Ok(None) };
        if components.peek().is_none() {
            return Ok(Some(Version { mode: entry.mode, id: entry.oid.to_owned() }));
        }
        if !entry.mode.is_tree() {
            return Ok(None);
        }
        at = entry.oid.to_owned();
    }
    Ok(None)
}

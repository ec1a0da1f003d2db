//! Every entry of a root, in order: a folder before what is in it, names in byte order.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use gix::bstr::{BStr, BString, ByteSlice};

use crate::diff::{Entry, Paths};
use crate::root::{Folder, Hardlinks, Leaf, Part, RootIds, join_path, read_folder};
use crate::{Error, Result, Store};

/// What to list.
#[derive(Debug, Default)]
pub struct Options {
    /// Only what these match; all where it is `None`.
    pub paths: Option<Paths>,
    /// Only so many levels below the top, which is level 0.
    pub depth: Option<usize>,
}

/// An entry on the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Where it is, relative to the root; the empty path is the top folder.
    pub path: BString,
    /// What it is.
    pub entry: Entry,
    /// The bytes of a file, or of all files in and below a folder.
    pub size: Option<u64>,
}

/// Call `see` for every entry of `part` that `options` ask for. Its first error ends the list.
pub fn list<E: From<Error>>(
    store: &Store,
    part: &Part,
    options: &Options,
    mut see: impl FnMut(Listed) -> Result<(), E>,
) -> Result<(), E> {
    let mut walk = Walk { options, links: Links::new(&part.hardlinks), todo: Vec::new() };
    walk.todo.push((BString::default(), Next::Folder(part.ids, 0)));
    while let Some((path, next)) = walk.todo.pop() {
        match next {
            Next::Leaf(leaf) => {
                let size = Some(leaf.kind.size()).filter(|_| matches!(leaf.kind, crate::root::Kind::File { .. }));
                let links = walk.links.of(path.as_bstr());
                see(Listed { path, entry: Entry { links, ..Entry::leaf(leaf) }, size })?;
            }
            Next::Folder(ids, level) => {
                let mut folder = read_folder(store, &ids)?;
                if walk.is_wanted(path.as_bstr(), true) {
                    let entry = Entry::folder(std::mem::take(&mut folder.attrs), folder.mtime);
                    see(Listed { path: path.clone(), entry, size: Some(folder.total) })?;
                }
                walk.enter(path.as_bstr(), folder, level);
            }
        }
    }
    Ok(())
}

/// What is still to be listed.
enum Next {
    Folder(RootIds, usize),
    Leaf(Leaf),
}

struct Walk<'a> {
    options: &'a Options,
    links: Links<'a>,
    /// The next one last: depth is a matter of memory, not of the machine's stack.
    todo: Vec<(BString, Next)>,
}

impl Walk<'_> {
    fn is_wanted(&self, path: &BStr, is_folder: bool) -> bool {
        self.options.paths.as_ref().is_none_or(|paths| paths.matches(path, is_folder))
    }

    fn leads_to_wanted(&self, path: &BStr) -> bool {
        self.options.paths.as_ref().is_none_or(|paths| paths.may_match_below(path))
    }

    /// Put what is in the folder at `path` on the list.
    fn enter(&mut self, path: &BStr, folder: Folder, level: usize) {
        if self.options.depth.is_some_and(|depth| level >= depth) {
            return;
        }
        let first = self.todo.len();
        for (name, ids) in folder.dirs {
            let path = join_path(path, name.as_bstr());
            if self.leads_to_wanted(path.as_bstr()) {
                self.todo.push((path, Next::Folder(ids, level + 1)));
            }
        }
        for (name, leaf) in folder.leaves {
            let path = join_path(path, name.as_bstr());
            if self.is_wanted(path.as_bstr(), false) {
                self.todo.push((path, Next::Leaf(leaf)));
            }
        }
        self.todo[first..].sort_unstable_by(|a, b| b.0.cmp(&a.0));
    }
}

/// The names of files that have several, each list made once.
struct Links<'a> {
    table: &'a Hardlinks,
    made: HashMap<u64, Arc<BTreeSet<BString>>>,
}

impl<'a> Links<'a> {
    fn new(table: &'a Hardlinks) -> Self {
        Self { table, made: HashMap::new() }
    }

    fn of(&mut self, path: &BStr) -> Option<Arc<BTreeSet<BString>>> {
        let (number, group) = (self.table.number(path)?, self.table.group(path)?);
        Some(self.made.entry(number).or_insert_with(|| Arc::new(group.clone())).clone())
    }
}

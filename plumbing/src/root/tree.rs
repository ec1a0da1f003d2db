//! A root in memory: loaded folder by folder, edited by path.

use std::collections::BTreeMap;

use gix::bstr::{BStr, BString, ByteSlice};

use super::{Attrs, Folder, Hardlinks, Kind, Leaf, Part, RootIds, Time, read_folder, read_hardlinks, split_path};
use crate::{Id, Result, Store};

/// A root that can be read and edited. Paths are relative to it, without `.`, `..` or empty components;
/// the empty path is the top folder.
#[derive(Debug, Clone)]
pub struct Root {
    pub(super) top: Dir,
    pub(super) hardlinks: Hardlinks,
}

/// An entry of a folder.
#[derive(Debug, Clone)]
pub enum Node {
    /// A folder.
    Dir(Box<Dir>),
    /// Anything else.
    Leaf(Leaf),
}

/// A folder in memory. Its folders may still be in the store alone.
#[derive(Debug, Clone)]
pub struct Dir {
    /// Mode, owner, xattrs.
    pub attrs: Attrs,
    /// Modification time.
    pub mtime: Time,
    pub(super) entries: BTreeMap<BString, Slot>,
    /// Sum of the sizes of the folders that are in the store alone.
    pub(super) stored_total: u64,
    /// The trees that this folder equals, unless it was changed.
    pub(super) clean: Option<RootIds>,
    /// Sum of all file sizes in and below it, where it is clean.
    pub(super) total: u64,
}

/// An entry of a folder as it is known without reading the store.
#[derive(Debug, Clone, Copy)]
pub enum View<'a> {
    /// A folder that nobody looked at yet.
    Stored(RootIds),
    /// A folder.
    Dir(&'a Dir),
    /// Anything else.
    Leaf(&'a Leaf),
}

/// A place in a folder.
#[derive(Debug, Clone)]
pub(super) enum Slot {
    /// A folder that nobody looked at yet.
    Stored(RootIds),
    Loaded(Node),
}

impl Dir {
    /// An empty folder.
    pub fn new(attrs: Attrs, mtime: Time) -> Self {
        Self { attrs, mtime, entries: BTreeMap::new(), stored_total: 0, clean: None, total: 0 }
    }

    /// A folder as it is stored; also gives its total size.
    pub(super) fn load(store: &Store, ids: &RootIds) -> Result<(Self, u64)> {
        let Folder { attrs, mtime, total, leaves, dirs } = read_folder(store, ids)?;
        let own: u64 = leaves.values().map(|leaf| leaf.kind.size()).sum();
        let mut entries: BTreeMap<_, _> =
            leaves.into_iter().map(|(name, leaf)| (name, Slot::Loaded(Node::Leaf(leaf)))).collect();
        entries.extend(dirs.into_iter().map(|(name, ids)| (name, Slot::Stored(ids))));
        Ok((Self { attrs, mtime, entries, stored_total: total.saturating_sub(own), clean: Some(*ids), total }, total))
    }

    /// The entry `name`, loaded if need be.
    pub fn get(&mut self, store: &Store, name: &BStr) -> Result<Option<&mut Node>> {
        let Some(slot) = self.entries.get_mut(name) else { return Ok(None) };
        if let Slot::Stored(ids) = slot {
            let (dir, total) = Dir::load(store, ids)?;
            self.stored_total = self.stored_total.saturating_sub(total);
            *slot = Slot::Loaded(Node::Dir(Box::new(dir)));
        }
        match slot {
            Slot::Loaded(node) => Ok(Some(node)),
            Slot::Stored(_) => unreachable!("because it was loaded above"),
        }
    }

    /// The names of the entries, in byte order.
    pub fn names(&self) -> Vec<BString> {
        self.entries.keys().cloned().collect()
    }

    /// The entries in byte order, as far as they are known without reading the store.
    pub fn entries(&self) -> impl Iterator<Item = (&BStr, View<'_>)> {
        self.entries.iter().map(|(name, slot)| {
            let view = match slot {
                Slot::Stored(ids) => View::Stored(*ids),
                Slot::Loaded(Node::Dir(dir)) => View::Dir(dir),
                Slot::Loaded(Node::Leaf(leaf)) => View::Leaf(leaf),
            };
            (name.as_bstr(), view)
        })
    }

    /// The trees that this folder equals, unless it was changed.
    pub fn stored_ids(&self) -> Option<RootIds> {
        self.clean
    }

    /// Whether the folder has no entries.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Say that the folder is no longer what it was loaded from. Needed before changing its attributes;
    /// the folders above must be touched too, which [`Root`]'s editing functions do.
    pub(super) fn touch(&mut self) {
        self.clean = None;
    }
}

impl Root {
    /// A root with nothing but its top folder.
    pub fn new(attrs: Attrs, mtime: Time) -> Self {
        Self { top: Dir::new(attrs, mtime), hardlinks: Hardlinks::default() }
    }

    /// The root that is stored as `ids`.
    pub fn open(store: &Store, ids: &RootIds) -> Result<Self> {
        let (top, _) = Dir::load(store, ids)?;
        Ok(Self { top, hardlinks: read_hardlinks(store, &ids.meta)? })
    }

    /// A root of its own of a folder of another one.
    pub fn of_part(store: &Store, part: &Part) -> Result<Self> {
        let (top, _) = Dir::load(store, &part.ids)?;
        Ok(Self { top, hardlinks: part.hardlinks.clone() })
    }

    /// The top folder.
    pub fn top(&mut self) -> &mut Dir {
        &mut self.top
    }

    /// The top folder, to look at.
    pub fn folder(&self) -> &Dir {
        &self.top
    }

    /// Which paths are names of one file.
    pub fn hardlinks(&self) -> &Hardlinks {
        &self.hardlinks
    }

    /// The folder at `path`, without following links; `None` where there is none.
    pub fn dir(&mut self, store: &Store, path: &BStr) -> Result<Option<&mut Dir>> {
        let mut dir = &mut self.top;
        for name in path.split_str("/").filter(|name| !name.is_empty()) {
            match dir.get(store, name.as_bstr())? {
                Some(Node::Dir(next)) => dir = next,
                _ => return Ok(None),
            }
        }
        Ok(Some(dir))
    }

    /// The folder at `path`, marked as changed on all the way down.
    fn dir_to_edit(&mut self, store: &Store, path: &BStr) -> Result<Option<&mut Dir>> {
        if self.dir(store, path)?.is_none() {
            return Ok(None);
        }
        let mut dir = &mut self.top;
        dir.touch();
        for name in path.split_str("/").filter(|name| !name.is_empty()) {
            match dir.get(store, name.as_bstr())? {
                Some(Node::Dir(next)) => dir = next,
                _ => return Ok(None),
            }
            dir.touch();
        }
        Ok(Some(dir))
    }

    /// Call `see` for the content of every file in the folders that were loaded or made.
    pub fn see_loaded_contents(&self, see: &mut impl FnMut(&Id)) {
        let mut dirs = vec![&self.top];
        while let Some(dir) = dirs.pop() {
            for slot in dir.entries.values() {
                match slot {
                    Slot::Loaded(Node::Dir(child)) => dirs.push(child),
                    Slot::Loaded(Node::Leaf(Leaf { kind: Kind::File { id, .. }, .. })) => see(id),
                    _ => {}
                }
            }
        }
    }

    /// The entry at `path`, without following links.
    pub fn get(&mut self, store: &Store, path: &BStr) -> Result<Option<&mut Node>> {
        let (folder, name) = split_path(path);
        match self.dir(store, folder)? {
            Some(dir) => dir.get(store, name),
            None => Ok(None),
        }
    }

    /// Put a file, link or device at `path`, in place of whatever is there. False where the folder doesn't exist.
    pub fn put_leaf(&mut self, store: &Store, path: &BStr, leaf: Leaf) -> Result<bool> {
        if !self.remove(store, path)? {
            return Ok(false);
        }
        let (folder, name) = split_path(path);
        let Some(dir) = self.dir_to_edit(store, folder)? else { return Ok(false) };
        dir.entries.insert(name.to_owned(), Slot::Loaded(Node::Leaf(leaf)));
        Ok(true)
    }

    /// Put a folder at `path`: one that is there keeps its entries and gets these attributes, anything else is replaced.
    /// The empty path is the top folder. False where the folder above doesn't exist.
    pub fn put_dir(&mut self, store: &Store, path: &BStr, attrs: Attrs, mtime: Time) -> Result<bool> {
        if let Some(dir) = self.dir_to_edit(store, path)? {
            dir.attrs = attrs;
            dir.mtime = mtime;
            return Ok(true);
        }
        self.replace_with_dir(store, path, Dir::new(attrs, mtime))
    }

    fn replace_with_dir(&mut self, store: &Store, path: &BStr, dir: Dir) -> Result<bool> {
        if !self.remove(store, path)? {
            return Ok(false);
        }
        let (folder, name) = split_path(path);
        let Some(parent) = self.dir_to_edit(store, folder)? else { return Ok(false) };
        parent.entries.insert(name.to_owned(), Slot::Loaded(Node::Dir(Box::new(dir))));
        Ok(true)
    }

    /// Put the folder `ids` of the store at `path`, with all that is below it.
    pub fn put_stored(&mut self, store: &Store, path: &BStr, ids: &RootIds) -> Result<bool> {
        let (dir, _) = Dir::load(store, ids)?;
        self.replace_with_dir(store, path, dir)
    }

    /// Give the entry at `path` another modification time. False where there is none.
    pub fn set_mtime(&mut self, store: &Store, path: &BStr, mtime: Time) -> Result<bool> {
        if let Some(dir) = self.dir_to_edit(store, path)? {
            dir.mtime = mtime;
            return Ok(true);
        }
        let (folder, name) = split_path(path);
        let Some(dir) = self.dir_to_edit(store, folder)? else { return Ok(false) };
        let Some(Node::Leaf(leaf)) = dir.get(store, name)? else { return Ok(false) };
        leaf.mtime = mtime;
        Ok(true)
    }

    /// Remove what is at `path`, with all that is below it. False where the folder above doesn't exist;
    /// an entry that isn't there is fine.
    pub fn remove(&mut self, store: &Store, path: &BStr) -> Result<bool> {
        let (folder, name) = split_path(path);
        let Some(dir) = self.dir(store, folder)? else { return Ok(false) };
        if !dir.entries.contains_key(name) {
            return Ok(true);
        }
        // Loading a folder takes its size out of the total of what is stored.
        dir.get(store, name)?;
        if let Some(dir) = self.dir_to_edit(store, folder)? {
            dir.entries.remove(name);
        }
        self.hardlinks.remove(path);
        self.hardlinks.remove_below(path);
        Ok(true)
    }

    /// Empty the folder at `path` (an opaque folder hides all that was in it). False where it isn't one.
    pub fn clear(&mut self, store: &Store, path: &BStr) -> Result<bool> {
        let Some(dir) = self.dir_to_edit(store, path)? else { return Ok(false) };
        dir.entries.clear();
        dir.stored_total = 0;
        self.hardlinks.remove_below(path);
        Ok(true)
    }

    /// `path` is a file of its own from now on, no longer another name of others.
    pub fn unshare(&mut self, store: &Store, path: &BStr) -> Result<()> {
        if self.hardlinks.group(path).is_some() {
            self.dir_to_edit(store, BStr::new(""))?;
            self.hardlinks.remove(path);
        }
        Ok(())
    }

    /// Make `path` another name of the file at `existing`. False where that is no file, or the folder doesn't exist.
    pub fn link(&mut self, store: &Store, existing: &BStr, path: &BStr) -> Result<bool> {
        let leaf = match self.get(store, existing)? {
            Some(Node::Leaf(leaf)) => leaf.clone(),
            _ => return Ok(false),
        };
        if existing != path {
            if !self.put_leaf(store, path, leaf)? {
                return Ok(false);
            }
            self.hardlinks.link(existing, path);
        }
        Ok(true)
    }
}

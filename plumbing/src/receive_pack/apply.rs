//! A pushed tree as edits of the root that it changes: what git doesn't know (owners, devices, empty folders …) stays.

use std::collections::BTreeMap;

use gix::bstr::{BStr, BString, ByteSlice};
use gix::objs::Kind as ObjectKind;
use gix::objs::tree::EntryKind;

use super::connect::refused;
use crate::root::{Attrs, Kind, Leaf, Node, Root, Time, View, join_path, name};
use crate::well_formed::{self, TreeEntry};
use crate::{Error, Id, Result, Store};

/// Longer paths are refused, as in archives.
const LONGEST: usize = 4096;

/// Folders may be so deep.
const DEEPEST: usize = 1024;

/// An extended attribute that Linux takes from a file that is written to.
const CAPABILITY: &str = "security.capability";

/// Applies one pushed tree.
pub(super) struct Apply<'a> {
    /// The store with the pushed objects.
    pub(super) source: &'a Store,
    /// The root of the first parent, which is changed.
    pub(super) root: &'a mut Root,
    /// The roots of further parents: what is new may come from one of them.
    pub(super) others: &'a mut [Root],
    /// The commit's time: when all was changed that is changed.
    pub(super) time: Time,
    /// Contents of new and changed files.
    pub(super) contents: Vec<Id>,
    /// Trees that were looked at.
    pub(super) trees: Vec<Id>,
    /// Targets of new symbolic links.
    pub(super) links: Vec<Id>,
}

/// What a folder had by a name.
enum Before {
    Folder { rootfs: Option<Id> },
    Leaf(Leaf),
}

impl Apply<'_> {
    /// Make the root hold the files of `tree`.
    pub(super) fn run(&mut self, tree: Id) -> Result<()> {
        let mut waiting = vec![(BString::default(), tree, 0)];
        while let Some((path, tree, depth)) = waiting.pop() {
            if depth > DEEPEST || path.len() > LONGEST {
                return Err(entry_refused(path.as_bstr(), "the path is too long"));
            }
            for (name, below) in self.folder(path.as_bstr(), tree)? {
                waiting.push((join_path(path.as_bstr(), name.as_bstr()), below, depth + 1));
            }
        }
        Ok(())
    }

    /// Make one folder hold what `tree` lists; the folders in it that are to be looked at.
    fn folder(&mut self, path: &BStr, tree: Id) -> Result<Vec<(BString, Id)>> {
        let stored = |ids: Option<crate::root::RootIds>| ids.is_some_and(|ids| ids.rootfs == tree);
        if self.root.dir(self.source, path)?.is_some_and(|dir| stored(dir.stored_ids())) {
            return Ok(Vec::new());
        }
        self.trees.push(tree);
        let data = self.source.read_object(&tree, ObjectKind::Tree)?;
        let entries =
            well_formed::tree_entries(&data).collect::<Result<Vec<_>, _>>().map_err(|why| refused(&tree, &why))?;
        let mut before = self.before(path)?;
        let mut folders = Vec::new();
        let mut names_changed = false;
        for entry in entries {
            let name = file_name(path, entry.name)?;
            let at = join_path(path, name.as_bstr());
            let old = before.remove(&name);
            names_changed |= old.is_none();
            if entry.kind == EntryKind::Tree {
                names_changed |= matches!(old, Some(Before::Leaf(_)));
                if self.put_folder(at.as_bstr(), entry.id, old)? {
                    folders.push((name, entry.id));
                }
            } else {
                self.put_leaf(at.as_bstr(), &entry, old)?;
            }
        }
        for (name, old) in before {
            names_changed |= self.remove(join_path(path, name.as_bstr()).as_bstr(), &old)?;
        }
        if names_changed {
            self.root.set_mtime(self.source, path, self.time)?;
        }
        Ok(folders)
    }

    /// What the folder holds now.
    fn before(&mut self, path: &BStr) -> Result<BTreeMap<BString, Before>> {
        let Some(dir) = self.root.dir(self.source, path)? else { return Ok(BTreeMap::new()) };
        let entries = dir.entries().map(|(name, view)| {
            let before = match view {
                View::Stored(ids) => Before::Folder { rootfs: Some(ids.rootfs) },
                View::Dir(dir) => Before::Folder { rootfs: dir.stored_ids().map(|ids| ids.rootfs) },
                View::Leaf(leaf) => Before::Leaf(leaf.clone()),
            };
            (name.to_owned(), before)
        });
        Ok(entries.collect())
    }

    /// Whether the folder has to be looked at.
    fn put_folder(&mut self, path: &BStr, tree: Id, old: Option<Before>) -> Result<bool> {
        match old {
            Some(Before::Folder { rootfs }) => Ok(rootfs != Some(tree)),
            _ => {
                let (attrs, mtime) = self.folder_elsewhere(path)?.unwrap_or((plain(0o755), self.time));
                self.root.put_dir(self.source, path, attrs, mtime)?;
                Ok(true)
            }
        }
    }

    fn put_leaf(&mut self, path: &BStr, entry: &TreeEntry<'_>, old: Option<Before>) -> Result<()> {
        let kind = self.kind(path, entry)?;
        let executable = entry.kind == EntryKind::BlobExecutable;
        let leaf = match old {
            Some(Before::Leaf(old)) if old.kind == kind && is_executable(&old) == (executable && is_file(&kind)) => {
                return Ok(());
            }
            Some(Before::Leaf(old)) if std::mem::discriminant(&old.kind) == std::mem::discriminant(&kind) => {
                let attrs = changed(old.attrs, &old.kind, &kind, executable);
                self.leaf_elsewhere(path, &kind, executable)?.unwrap_or(Leaf { kind, attrs, mtime: self.time })
            }
            _ => self.leaf_elsewhere(path, &kind, executable)?.unwrap_or_else(|| {
                let mode = match kind {
                    Kind::Symlink { .. } => 0o777,
                    _ if executable => 0o755,
                    _ => 0o644,
                };
                Leaf { kind, attrs: plain(mode), mtime: self.time }
            }),
        };
        match &leaf.kind {
            Kind::Symlink { id } => self.links.push(*id),
            Kind::File { id, .. } => self.contents.push(*id),
            _ => {}
        }
        self.root.put_leaf(self.source, path, leaf)?;
        Ok(())
    }

    /// What an entry is; its object must be there.
    fn kind(&self, path: &BStr, entry: &TreeEntry<'_>) -> Result<Kind> {
        if entry.kind == EntryKind::Commit {
            return Err(entry_refused(path, "an image has no submodules"));
        }
        match self.source.find_header(&entry.id)? {
            Some((ObjectKind::Blob, size)) if entry.kind == EntryKind::Link => {
                let target = if size < 4096 { self.source.read_blob(&entry.id)? } else { Vec::new() };
                match target.is_empty() || target.contains(&0) {
                    true => Err(entry_refused(path, "no symbolic link has such a target")),
                    false => Ok(Kind::Symlink { id: entry.id }),
                }
            }
            Some((ObjectKind::Blob, size)) => Ok(Kind::File { id: entry.id, size }),
            Some((kind, _)) => Err(refused(&entry.id, &format!("it is a {kind} where a blob is needed"))),
            None => Err(refused(&entry.id, "it is neither in the push nor in the store")),
        }
    }

    /// The same file at the same place in another parent: a merge takes its metadata along.
    fn leaf_elsewhere(&mut self, path: &BStr, kind: &Kind, executable: bool) -> Result<Option<Leaf>> {
        for other in self.others.iter_mut() {
            if let Some(Node::Leaf(leaf)) = other.get(self.source, path)?
                && leaf.kind == *kind
                && is_executable(leaf) == (executable && is_file(kind))
            {
                return Ok(Some(leaf.clone()));
            }
        }
        Ok(None)
    }

    fn folder_elsewhere(&mut self, path: &BStr) -> Result<Option<(Attrs, Time)>> {
        for other in self.others.iter_mut() {
            if let Some(dir) = other.dir(self.source, path)? {
                return Ok(Some((dir.attrs.clone(), dir.mtime)));
            }
        }
        Ok(None)
    }

    /// Remove what the pushed tree doesn't have, unless git has no way to say that it is there. Whether it is gone.
    fn remove(&mut self, path: &BStr, old: &Before) -> Result<bool> {
        let is_visible = match old {
            Before::Leaf(leaf) => matches!(leaf.kind, Kind::File { .. } | Kind::Symlink { .. }),
            Before::Folder { .. } => self.has_files(path)?,
        };
        if is_visible {
            self.root.remove(self.source, path)?;
        }
        Ok(is_visible)
    }

    /// Whether git sees anything in or below the folder.
    fn has_files(&mut self, path: &BStr) -> Result<bool> {
        let mut waiting = vec![path.to_owned()];
        while let Some(path) = waiting.pop() {
            let Some(dir) = self.root.dir(self.source, path.as_bstr())? else { continue };
            for (name, view) in dir.entries() {
                match view {
                    View::Leaf(leaf) if matches!(leaf.kind, Kind::File { .. } | Kind::Symlink { .. }) => {
                        return Ok(true);
                    }
                    View::Leaf(_) => {}
                    View::Stored(_) | View::Dir(_) => waiting.push(join_path(path.as_bstr(), name)),
                }
            }
        }
        Ok(false)
    }
}

/// Owner and attributes of a file stay when it changes, but for what Linux would take from it.
fn changed(mut attrs: Attrs, old: &Kind, new: &Kind, executable: bool) -> Attrs {
    if old != new {
        attrs.xattrs.remove(CAPABILITY.as_bytes().as_bstr());
    }
    if is_file(new) && executable != (attrs.mode & 0o100 != 0) {
        // Who may read may execute, as with git's checkout.
        attrs.mode = if executable { attrs.mode | 0o100 | (attrs.mode & 0o444) >> 2 } else { attrs.mode & !0o111 };
    }
    attrs
}

fn is_file(kind: &Kind) -> bool {
    matches!(kind, Kind::File { .. })
}

fn is_executable(leaf: &Leaf) -> bool {
    is_file(&leaf.kind) && leaf.attrs.mode & 0o100 != 0
}

fn plain(mode: u32) -> Attrs {
    Attrs { mode, ..Attrs::default() }
}

/// The file name that a name in a pushed tree stands for.
fn file_name(folder: &BStr, tree_name: &BStr) -> Result<BString> {
    name::decode(tree_name).map_err(|_| {
        let path = join_path(folder, tree_name);
        let spelled = name::encode(tree_name);
        let why = match name::is_file_name(tree_name) {
            true => format!("in a clone an image's file of this name is called '{spelled}'"),
            false => "no file can have this name".into(),
        };
        entry_refused(path.as_bstr(), &why)
    })
}

fn entry_refused(path: &BStr, why: &str) -> Error {
    Error::Refused { entry: path.to_string(), why: why.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_keeps_its_owner_and_loses_its_capabilities() {
        let mut attrs = Attrs { mode: 0o4640, uid: 7, gid: 8, ..Attrs::default() };
        attrs.xattrs.insert(CAPABILITY.into(), "x".into());
        attrs.xattrs.insert("user.a".into(), "y".into());
        let file = |text: &str| Kind::File { id: crate::store::hash_content(text.as_bytes()), size: text.len() as u64 };
        let new = changed(attrs.clone(), &file("a"), &file("b"), true);
        assert_eq!((new.mode, new.uid, new.gid, new.xattrs.len()), (0o4750, 7, 8, 1));
        assert_eq!(changed(attrs.clone(), &file("a"), &file("a"), true).xattrs.len(), 2);
        assert_eq!(changed(Attrs { mode: 0o755, ..attrs }, &file("a"), &file("b"), false).mode, 0o644);
    }

    #[test]
    fn names_are_spelled_as_in_a_clone() {
        assert_eq!(file_name("etc".into(), "%%2Egitignore".into()).unwrap(), ".gitignore");
        let error = file_name("etc".into(), ".gitignore".into()).unwrap_err().to_string();
        assert!(error.contains("'etc/.gitignore'") && error.contains("'%%2Egitignore'"), "{error}");
        assert!(file_name("".into(), "%x".into()).unwrap_err().to_string().contains("'%%25x'"));
    }
}

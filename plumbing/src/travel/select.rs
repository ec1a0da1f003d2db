//! Which objects a receiver can't make from an image's layers.

use std::collections::{BTreeSet, HashMap, HashSet};

use gix::bstr::{BString, ByteSlice};
use gix::objs::Kind;
use gix::objs::tree::EntryKind;

use crate::ancestry::Ancestry;
use crate::{Error, Id, Result, Store, well_formed};

/// What goes into a bundle.
#[derive(Default)]
pub(super) struct Selection {
    /// Commits that a receiver makes from the layers.
    pub(super) prerequisites: BTreeSet<Id>,
    /// Commits, trees and blobs, in an order that follows from the commit.
    pub(super) objects: Vec<Id>,
}

/// Entries of a commit's tree that layers bring, where the commit has a recipe of its own.
const OF_LAYERS: [&[u8]; 4] = [b"layer", b"meta", b"rootfs", b"times"];

/// The objects for an image that is made of `tip`.
pub(super) fn of(store: &Store, tip: &Id) -> Result<Selection> {
    let line = Line::of(store, tip)?;
    let mut ancestry = Ancestry::new(store);
    let outside = ancestry.reachable(line.below.iter().copied())?;
    let mut search = Search { store, line: &line, seen: HashSet::new(), covered: None, found: Selection::default() };
    // Each commit before its parents, by first parents first.
    let mut waiting = vec![*tip];
    let mut seen = HashSet::from([*tip]);
    while let Some(id) = waiting.pop() {
        let node = ancestry.node(&id)?;
        search.found.objects.push(id);
        search.commit(&id, node.parents.first())?;
        for parent in node.parents.iter().rev() {
            if outside.contains(parent) {
                search.found.prerequisites.insert(*parent);
            } else if seen.insert(*parent) {
                waiting.push(*parent);
            }
        }
    }
    Ok(search.found)
}

/// The commits whose changes the image's layers are.
struct Line {
    commits: HashSet<Id>,
    /// The parents of the one that came from elsewhere: they follow from layers alone.
    below: Vec<Id>,
}

impl Line {
    fn of(store: &Store, tip: &Id) -> Result<Self> {
        let mut commits = HashSet::new();
        let mut next = Some(*tip);
        while let Some(id) = next {
            let commit = store.read_commit(&id)?;
            commits.insert(id);
            if commit.state.manifest.is_some() {
                return Ok(Self { commits, below: commit.parents });
            }
            next = commit.parents.first().copied();
        }
        Ok(Self { commits, below: Vec::new() })
    }
}

struct Search<'s> {
    store: &'s Store,
    line: &'s Line,
    /// Objects that are selected, or needn't be.
    seen: HashSet<Id>,
    /// Contents that layers bring, once that is asked for.
    covered: Option<HashSet<Id>>,
    found: Selection,
}

/// A tree to be looked at, and what the parent has there.
struct Item {
    id: Id,
    base: Option<Id>,
    /// Whether regular files in it are contents.
    files: bool,
}

impl Search<'_> {
    fn commit(&mut self, id: &Id, parent: Option<&Id>) -> Result<()> {
        let tree = self.store.read_header(id)?.tree;
        let base = parent.map(|parent| Ok::<_, Error>(self.store.read_header(parent)?.tree)).transpose()?;
        let is_line = self.line.commits.contains(id);
        let entries = entries(self.store, &tree)?;
        let has_layer = entries.iter().any(|(name, ..)| name == "layer");
        if self.seen.insert(tree) {
            self.found.objects.push(tree);
        }
        let base = self.by_name(base)?;
        for (name, kind, id) in entries {
            if base.get(&name) == Some(&id) || (is_line && has_layer && OF_LAYERS.contains(&name.as_bytes())) {
                continue;
            }
            match kind {
                EntryKind::Tree => {
                    let item =
                        Item { id, base: base.get(&name).copied(), files: matches!(&name[..], b"rootfs" | b"git") };
                    self.trees(item, is_line, &name)?;
                }
                _ => self.blob(id),
            }
        }
        Ok(())
    }

    /// Entries by name; none where there is no tree.
    fn by_name(&self, tree: Option<Id>) -> Result<HashMap<BString, Id>> {
        let entries = tree.map_or_else(|| Ok(Vec::new()), |tree| entries(self.store, &tree))?;
        Ok(entries.into_iter().map(|(name, _, id)| (name, id)).collect())
    }

    /// Select a tree and what is in it, but not what the parent has at the same place.
    fn trees(&mut self, top: Item, is_line: bool, name: &BString) -> Result<()> {
        let is_git = name == "git";
        let mut waiting = vec![top];
        while let Some(item) = waiting.pop() {
            if Some(item.id) == item.base || !self.seen.insert(item.id) {
                continue;
            }
            self.found.objects.push(item.id);
            let base = self.by_name(item.base)?;
            for (name, kind, id) in entries(self.store, &item.id)? {
                let same = base.get(&name).copied();
                let is_extra = !item.files && name == "extra";
                match kind {
                    EntryKind::Tree => waiting.push(Item { id, base: same, files: item.files || is_extra }),
                    _ if same == Some(id) => {}
                    EntryKind::Blob | EntryKind::BlobExecutable if item.files && !(is_git && name == "commit") => {
                        self.content(id, is_line)?;
                    }
                    _ => self.blob(id),
                }
            }
        }
        Ok(())
    }

    fn blob(&mut self, id: Id) {
        if self.seen.insert(id) {
            self.found.objects.push(id);
        }
    }

    /// The bytes of files come from the layers, but for those of lines of history that were merged.
    fn content(&mut self, id: Id, is_line: bool) -> Result<()> {
        if is_line || self.seen.contains(&id) {
            return Ok(());
        }
        if self.covered.is_none() {
            self.covered = Some(contents_of(self.store, &self.line.commits)?);
        }
        if !self.covered.as_ref().is_some_and(|covered| covered.contains(&id)) {
            self.blob(id);
        }
        Ok(())
    }
}

/// All files' contents in the roots of these commits.
fn contents_of(store: &Store, commits: &HashSet<Id>) -> Result<HashSet<Id>> {
    let (mut contents, mut seen) = (HashSet::new(), HashSet::new());
    let mut waiting = Vec::new();
    for id in commits {
        waiting.push(store.read_commit(id)?.state.root.rootfs);
    }
    while let Some(tree) = waiting.pop() {
        if !seen.insert(tree) {
            continue;
        }
        for (_, kind, id) in entries(store, &tree)? {
            match kind {
                EntryKind::Tree => waiting.push(id),
                EntryKind::Blob | EntryKind::BlobExecutable => drop(contents.insert(id)),
                _ => {}
            }
        }
    }
    Ok(contents)
}

fn entries(store: &Store, tree: &Id) -> Result<Vec<(BString, EntryKind, Id)>> {
    let data = store.read_object(tree, Kind::Tree)?;
    let entry = |entry: Result<well_formed::TreeEntry<'_>, String>| {
        let entry = entry.map_err(|why| Error::damaged(format!("tree {tree}"), why))?;
        Ok((entry.name.to_owned(), entry.kind, entry.id))
    };
    well_formed::tree_entries(&data).map(entry).collect()
}

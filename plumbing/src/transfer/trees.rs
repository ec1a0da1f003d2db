//! Which trees, blobs and contents are missing: level by level, each tree beside that of the parent commit at the same place.
//!
//! Where both are the same nothing is looked at, since the parent has all that it needs. Everywhere else, also what the
//! store happens to have is gone through: half of it may be missing after a power cut.

use std::collections::{HashMap, HashSet};

use gix::bstr::{BStr, BString, ByteSlice};
use gix::objs::Kind;
use gix::objs::tree::EntryKind;

use super::commits::New;
use super::receive::Receiver;
use super::send::Wanted;
use crate::receive_pack::refused;
use crate::{Error, Id, Result, Store, well_formed};

/// Folders may be so deep.
const DEEPEST: usize = 1100;

/// Where in a commit a tree is: that decides what its blobs are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Part {
    /// The commit's own.
    Top,
    /// Regular files in it are contents.
    Files,
    /// All blobs in it are contents.
    Extra,
    Layer,
    Git,
    Plain,
}

impl Part {
    /// What a tree of this name in it is.
    fn below(self, name: &BStr) -> Self {
        match (self, name.as_bytes()) {
            (Part::Top, b"rootfs") | (Part::Git, b"tree") | (Part::Files, _) => Part::Files,
            (Part::Top, b"layer") => Part::Layer,
            (Part::Top, b"git") => Part::Git,
            (Part::Layer, b"extra") => Part::Extra,
            _ => Part::Plain,
        }
    }

    fn is_content(self, kind: EntryKind) -> bool {
        match self {
            Part::Files => matches!(kind, EntryKind::Blob | EntryKind::BlobExecutable),
            Part::Extra => true,
            _ => false,
        }
    }
}

/// A tree to be looked at.
struct Item {
    id: Id,
    /// What the parent has there.
    base: Option<Id>,
    /// What something that may be like it has there.
    like: Option<Id>,
    part: Part,
}

/// A tree's entry: its name, what it is, its id.
type Entry = (BString, EntryKind, Id);

/// Entries by name.
type Entries = HashMap<BString, (EntryKind, Id)>;

/// Take all trees and blobs that the new commits need. Gives the contents that are missing, in the order of the trees.
pub(super) fn take(receiver: &mut Receiver<'_>, new: &New) -> Result<Vec<Wanted>> {
    let mut level = top_level(receiver, new)?;
    let mut search = Search::default();
    for _ in 0..DEEPEST {
        level.retain(|item| Some(item.id) != item.base && search.done.insert((item.id, item.part)));
        if level.is_empty() && search.objects.is_empty() {
            return Ok(search.contents);
        }
        let mut wanted = std::mem::take(&mut search.objects);
        for item in &level {
            if !receiver.side.repo().has_object(item.id) && search.asked.insert(item.id) {
                let like = item.like.or(item.base).filter(|like| receiver.side.repo().has_object(*like));
                wanted.push((Wanted { id: item.id, like }, Kind::Tree));
            }
        }
        receiver.ask(&wanted)?;
        receiver.show()?;
        level = search.look_into(receiver, &level)?;
    }
    Err(refused(&level.first().map_or(new.order[0], |item| item.id), "its folders are too deep"))
}

fn top_level(receiver: &Receiver<'_>, new: &New) -> Result<Vec<Item>> {
    let mut level = Vec::new();
    for id in &new.order {
        let about = &new.about[id];
        let base = match about.parents.first() {
            Some(parent) => Some(match new.about.get(parent) {
                Some(parent) => parent.tree,
                None => receiver.store.read_header(parent)?.tree,
            }),
            None => None,
        };
        let like = new.like.get(id).map(|like| Ok::<_, Error>(receiver.store.read_header(like)?.tree)).transpose()?;
        level.push(Item { id: about.tree, base, like, part: Part::Top });
    }
    Ok(level)
}

#[derive(Default)]
struct Search {
    done: HashSet<(Id, Part)>,
    asked: HashSet<Id>,
    /// Blobs that are missing, to be asked for with the next level of trees.
    objects: Vec<(Wanted, Kind)>,
    contents: Vec<Wanted>,
    wanted_contents: HashSet<Id>,
}

impl Search {
    /// The trees below these.
    fn look_into(&mut self, receiver: &Receiver<'_>, level: &[Item]) -> Result<Vec<Item>> {
        let mut next = Vec::new();
        for item in level {
            let base = by_name(&receiver.side, item.base)?;
            // What can't be read any longer is like nothing.
            let like = by_name(&receiver.side, item.like).unwrap_or_default();
            for (name, kind, id) in entries(&receiver.side, &item.id)? {
                let same = base.get(&name).copied();
                let of_kind = |found: Option<(EntryKind, Id)>| {
                    found
                        .filter(|(found, _)| (*found == EntryKind::Tree) == (kind == EntryKind::Tree))
                        .map(|(_, id)| id)
                };
                let similar = of_kind(like.get(&name).copied()).or(of_kind(same));
                match kind {
                    EntryKind::Tree => {
                        let part = item.part.below(name.as_bstr());
                        next.push(Item { id, base: of_kind(same), like: similar, part });
                    }
                    EntryKind::Commit => return Err(refused(&item.id, "an image has no submodules")),
                    _ if same == Some((kind, id)) => {}
                    _ => self.want_blob(receiver, Wanted { id, like: similar }, item.part.is_content(kind)),
                }
            }
        }
        Ok(next)
    }

    fn want_blob(&mut self, receiver: &Receiver<'_>, mut wanted: Wanted, is_content: bool) {
        let id = wanted.id;
        if receiver.side.repo().has_object(id) || (is_content && receiver.store.content_file(&id).exists()) {
            return;
        }
        wanted.like = wanted.like.filter(|like| *like != id && receiver.side.has(like));
        if is_content && self.wanted_contents.insert(id) {
            self.contents.push(wanted);
        } else if !is_content && self.asked.insert(id) {
            self.objects.push((wanted, Kind::Blob));
        }
    }
}

/// The entries of a tree that is there, by name; none where there is no tree.
fn by_name(store: &Store, tree: Option<Id>) -> Result<Entries> {
    let entries = tree.map_or_else(|| Ok(Vec::new()), |tree| entries(store, &tree))?;
    Ok(entries.into_iter().map(|(name, kind, id)| (name, (kind, id))).collect())
}

/// The entries of a tree that is there, in its order.
fn entries(store: &Store, id: &Id) -> Result<Vec<Entry>> {
    let data = store.read_object(id, Kind::Tree)?;
    let entry = |entry: Result<well_formed::TreeEntry<'_>, String>| {
        let entry = entry.map_err(|why| refused(id, &why))?;
        Ok((entry.name.to_owned(), entry.kind, entry.id))
    };
    well_formed::tree_entries(&data).map(entry).collect()
}

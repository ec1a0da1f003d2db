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
use crate::receive_pack::refused;
use crate::{Id, Result, Store, well_formed};

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
    part: Part,
}

/// A tree's entry: its name, what it is, its id.
type Entry = (BString, EntryKind, Id);

/// Take all trees and blobs that the new commits need. Gives the contents that are missing, in the order of the trees.
pub(super) fn take(receiver: &mut Receiver<'_>, new: &New) -> Result<Vec<Id>> {
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
                wanted.push((item.id, Kind::Tree));
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
        level.push(Item { id: about.tree, base, part: Part::Top });
    }
    Ok(level)
}

#[derive(Default)]
struct Search {
    done: HashSet<(Id, Part)>,
    asked: HashSet<Id>,
    /// Blobs that are missing, to be asked for with the next level of trees.
    objects: Vec<(Id, Kind)>,
    contents: Vec<Id>,
    wanted_contents: HashSet<Id>,
}

impl Search {
    /// The trees below these.
    fn look_into(&mut self, receiver: &Receiver<'_>, level: &[Item]) -> Result<Vec<Item>> {
        let mut next = Vec::new();
        for item in level {
            let base = item.base.map_or_else(|| Ok(Vec::new()), |base| entries(&receiver.side, &base))?;
            let base: HashMap<BString, (EntryKind, Id)> =
                base.into_iter().map(|(name, kind, id)| (name, (kind, id))).collect();
            for (name, kind, id) in entries(&receiver.side, &item.id)? {
                let same = base.get(&name).copied();
                match kind {
                    EntryKind::Tree => {
                        let base = same.filter(|(kind, _)| *kind == EntryKind::Tree).map(|(_, id)| id);
                        next.push(Item { id, base, part: item.part.below(name.as_bstr()) });
                    }
                    EntryKind::Commit => return Err(refused(&item.id, "an image has no submodules")),
                    _ if same == Some((kind, id)) => {}
                    _ => self.want_blob(receiver, id, item.part.is_content(kind)),
                }
            }
        }
        Ok(next)
    }

    fn want_blob(&mut self, receiver: &Receiver<'_>, id: Id, is_content: bool) {
        let has_object = receiver.side.repo().has_object(id);
        if !is_content {
            if !has_object && self.asked.insert(id) {
                self.objects.push((id, Kind::Blob));
            }
        } else if !has_object && !receiver.store.content_file(&id).exists() && self.wanted_contents.insert(id) {
            self.contents.push(id);
        }
    }
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

//! Hard links: which names of one file came together or apart.
//!
//! A name that came or went says so itself, with the names that it shares its file with. A name that stayed is
//! changed only where its group differs *among the names that stayed*; a new link to `/bin/sh` is thus one change, not two.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use gix::bstr::{BStr, BString, ByteSlice};

use super::listing::{self, FolderRef, Item};
use super::{Aspect, Change, Entry, Options, Side};
use crate::root::{Hardlinks, Leaf, split_path};
use crate::{Result, Store};

/// Fill in the links of `changes`, which are sorted, and add the entries whose links alone changed.
pub(super) fn compare(
    store: &Store,
    before: Side<'_>,
    after: Side<'_>,
    options: &Options,
    changes: &mut Vec<Change>,
) -> Result<()> {
    let tables = [listing::hardlinks(store, before)?, listing::hardlinks(store, after)?];
    if tables.iter().all(Hardlinks::is_empty) {
        return Ok(());
    }
    if tables[0].groups() != tables[1].groups() {
        let mut leaves = [Leaves::new(store, before), Leaves::new(store, after)];
        for path in regrouped(&tables, &mut leaves)? {
            if options.paths.as_ref().is_none_or(|paths| paths.matches(path.as_bstr(), false)) {
                mark(path, &mut leaves, changes)?;
            }
        }
    }
    name_links(&tables, changes);
    Ok(())
}

/// The paths that are on both sides, and whose other names there differ.
fn regrouped(tables: &[Hardlinks; 2], leaves: &mut [Leaves<'_>; 2]) -> Result<BTreeSet<BString>> {
    let mut stayed: BTreeMap<BString, bool> = BTreeMap::new();
    for path in tables.iter().flat_map(Hardlinks::paths) {
        if !stayed.contains_key(path) {
            let stays = leaves[0].get(path)?.is_some() && leaves[1].get(path)?.is_some();
            stayed.insert(path.to_owned(), stays);
        }
    }
    let stays = |path: &BStr| stayed.get(path).copied().unwrap_or(true);
    let mut known: HashMap<(Option<u64>, Option<u64>), bool> = HashMap::new();
    let mut found = BTreeSet::new();
    for path in stayed.iter().filter(|(_, stays)| **stays).map(|(path, _)| path) {
        let numbers = (tables[0].number(path.as_bstr()), tables[1].number(path.as_bstr()));
        let differs = match known.get(&numbers) {
            Some(differs) => *differs,
            None => {
                let rest = |table: &Hardlinks| -> BTreeSet<BString> {
                    let names = table.group(path.as_bstr()).into_iter().flatten();
                    names.filter(|name| stays(name.as_bstr())).chain([path]).cloned().collect()
                };
                let differs = rest(&tables[0]) != rest(&tables[1]);
                // What holds for one name of a group holds for all that share both groups.
                if numbers.0.is_some() && numbers.1.is_some() {
                    known.insert(numbers, differs);
                }
                differs
            }
        };
        if differs {
            found.insert(path.clone());
        }
    }
    Ok(found)
}

/// Say that the links of `path` changed.
fn mark(path: BString, leaves: &mut [Leaves<'_>; 2], changes: &mut Vec<Change>) -> Result<()> {
    match changes.binary_search_by(|change| change.path.cmp(&path)) {
        Ok(at) => changes[at].aspects.push(Aspect::Links),
        Err(at) => {
            let before = leaves[0].get(path.as_bstr())?.map(Entry::leaf);
            let after = leaves[1].get(path.as_bstr())?.map(Entry::leaf);
            changes.insert(at, Change { path, before, after, aspects: vec![Aspect::Links] });
        }
    }
    Ok(())
}

fn name_links(tables: &[Hardlinks; 2], changes: &mut [Change]) {
    for (side, table) in tables.iter().enumerate() {
        let mut shared: HashMap<u64, Arc<BTreeSet<BString>>> = HashMap::new();
        for change in changes.iter_mut() {
            let entry = if side == 0 { &mut change.before } else { &mut change.after };
            let path = change.path.as_bstr();
            if let (Some(entry), Some(number), Some(group)) = (entry, table.number(path), table.group(path)) {
                entry.links = Some(shared.entry(number).or_insert_with(|| Arc::new(group.clone())).clone());
            }
        }
    }
}

/// The leaves of a side by path, each folder read once.
struct Leaves<'a> {
    store: &'a Store,
    side: Side<'a>,
    folders: HashMap<BString, BTreeMap<BString, Item<'a>>>,
}

impl<'a> Leaves<'a> {
    fn new(store: &'a Store, side: Side<'a>) -> Self {
        Self { store, side, folders: HashMap::new() }
    }

    fn get(&mut self, path: &BStr) -> Result<Option<Leaf>> {
        let (folder, name) = split_path(path);
        self.read(folder)?;
        Ok(match self.folders.get(folder).and_then(|items| items.get(name)) {
            Some(Item::Leaf(leaf)) => Some(leaf.clone()),
            _ => None,
        })
    }

    /// Read `folder` and those above it; one that isn't there is empty.
    fn read(&mut self, folder: &BStr) -> Result<()> {
        let mut ends: Vec<usize> = folder.find_iter("/").collect();
        ends.push(folder.len());
        let mut here = FolderRef::top(self.side);
        self.load(b"".as_bstr(), here)?;
        let mut above = 0..0;
        for end in ends.into_iter().filter(|end| *end > 0) {
            let name = folder[above.end..end].trim_start_with(|c| c == '/').as_bstr();
            here = match self.folders.get(folder[above.clone()].as_bstr()).and_then(|items| items.get(name)) {
                Some(Item::Folder(next)) => Some(*next),
                _ => None,
            };
            above = 0..end;
            self.load(folder[above.clone()].as_bstr(), here)?;
        }
        Ok(())
    }

    fn load(&mut self, path: &BStr, folder: Option<FolderRef<'a>>) -> Result<()> {
        if !self.folders.contains_key(path) {
            let items = folder.map(|folder| folder.list(self.store)).transpose()?;
            self.folders
                .insert(path.to_owned(), items.map(|list| list.items).unwrap_or_default().into_iter().collect());
        }
        Ok(())
    }
}

//! What changed between two roots as a layer tar (OCI image specification, layer.md).
//!
//! Every entry that is new or differs is in the tar, with the folders above it, since unpackers make folders that no
//! entry describes as they like. What is gone is a whiteout. Names of one file are in the tar all or none: a layer can't
//! be relied on to link to what a lower one holds. Applied to the first root, the tar gives the second one.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Write;

use gix::bstr::{BStr, BString, ByteSlice};

use super::apply::WHITEOUT;
use super::pack::Packer;
use super::path::shown;
use crate::diff::{self, Change, Options, Side, What};
use crate::root::{Folder, Hardlinks, RootIds, join_path, read_folder, read_hardlinks, split_path};
use crate::{Error, Result, Store};

/// Write the layer that makes `after` of `before`, or of nothing. Equal roots give equal bytes.
///
/// `Unsupported` where `after` has a name that begins with `.wh.`, which in a layer would hide another.
pub fn pack_changes(store: &Store, before: Option<RootIds>, after: RootIds, out: impl Write) -> Result<()> {
    let side = before.map_or(Side::Empty, Side::Stored);
    let changes = diff::compare(store, side, Side::Stored(after), &Options::default())?;
    let hardlinks = read_hardlinks(store, &after.meta)?;
    let plan = Plan::new(&changes, &hardlinks)?;
    let mut packer = Packer::new(out);
    let mut walk = Walk { store, plan, hardlinks: &hardlinks, first_names: HashMap::new() };
    // The next one last: depth is a matter of memory, not of the machine's stack.
    let mut todo = vec![(BString::default(), after)];
    while let Some((path, ids)) = todo.pop() {
        if walk.plan.folders.contains(&path) {
            let folder = read_folder(store, &ids)?;
            walk.folder(&mut packer, &path, &folder)?;
            let dirs = folder.dirs.iter().rev();
            todo.extend(dirs.map(|(name, ids)| (join_path(path.as_bstr(), name.as_bstr()), *ids)));
        }
    }
    packer.finish()?;
    Ok(())
}

/// What is to be in the tar.
#[derive(Default)]
struct Plan {
    /// Folders that are in it, whether they changed or something in them did.
    folders: BTreeSet<BString>,
    /// Everything else.
    leaves: BTreeSet<BString>,
    /// The names that are gone, by folder.
    gone: BTreeMap<BString, BTreeSet<BString>>,
}

impl Plan {
    fn new(changes: &[Change], hardlinks: &Hardlinks) -> Result<Self> {
        let mut plan = Self::default();
        for change in changes {
            match &change.after {
                Some(entry) if entry.what == What::Folder => plan.add_folder(change.path.as_bstr()),
                Some(_) => match hardlinks.group(change.path.as_bstr()) {
                    Some(names) => names.iter().for_each(|name| plan.add_leaf(name)),
                    None => plan.add_leaf(&change.path),
                },
                None => plan.remove(&change.path, changes),
            }
        }
        let names = plan.folders.iter().chain(&plan.leaves);
        match names.map(|path| (path, split_path(path.as_bstr()).1)).find(|(_, name)| name.starts_with(WHITEOUT)) {
            Some((path, _)) => Err(Error::Unsupported {
                what: format!("entry '{}' in a layer", shown(path.as_bstr())),
                why: "a name that begins with '.wh.' hides another name there".into(),
            }),
            None => Ok(plan),
        }
    }

    fn add_leaf(&mut self, path: &BString) {
        self.add_folder(split_path(path.as_bstr()).0);
        self.leaves.insert(path.clone());
    }

    /// Put a folder and those above it on the list.
    fn add_folder(&mut self, path: &BStr) {
        let mut path = path;
        while self.folders.insert(path.to_owned()) && !path.is_empty() {
            path = split_path(path).0;
        }
    }

    /// Note that `path` is gone, unless that follows from what became of the folder that it was in.
    fn remove(&mut self, path: &BString, changes: &[Change]) {
        let (folder, name) = split_path(path.as_bstr());
        let above = changes.binary_search_by(|change| change.path.as_bstr().cmp(folder)).ok().map(|at| &changes[at]);
        let folder_stays = above.is_none_or(|change| change.after.as_ref().is_some_and(|entry| entry.is_folder()));
        if folder_stays {
            self.add_folder(folder);
            self.gone.entry(folder.to_owned()).or_default().insert(name.to_owned());
        }
    }
}

struct Walk<'a> {
    store: &'a Store,
    plan: Plan,
    hardlinks: &'a Hardlinks,
    /// By a group's first path in byte order, the path under which its file was written.
    first_names: HashMap<BString, BString>,
}

impl Walk<'_> {
    /// Write a folder, what is gone from it, and what is new in it.
    fn folder<W: Write>(&mut self, packer: &mut Packer<W>, path: &BString, folder: &Folder) -> Result<()> {
        packer.dir(path.as_bstr(), &folder.attrs, folder.mtime)?;
        for name in self.plan.gone.get(path).into_iter().flatten() {
            packer.whiteout(join_path(path.as_bstr(), [WHITEOUT, name].concat().as_bstr()).as_bstr())?;
        }
        for (name, leaf) in &folder.leaves {
            let path = join_path(path.as_bstr(), name.as_bstr());
            if !self.plan.leaves.contains(&path) {
                continue;
            }
            let group = self.hardlinks.group(path.as_bstr()).and_then(BTreeSet::first);
            match group.and_then(|group| self.first_names.get(group)) {
                Some(existing) => packer.link(path.as_bstr(), existing.as_bstr(), leaf)?,
                None => packer.leaf(self.store, path.as_bstr(), leaf)?,
            }
            if let Some(group) = group {
                self.first_names.entry(group.clone()).or_insert(path);
            }
        }
        Ok(())
    }
}

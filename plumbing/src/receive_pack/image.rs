//! Whether a pushed commit is an image's, in the store's own format: all that `rd fsck` would ask, before anything is taken.

use std::collections::{HashMap, HashSet};

use gix::bstr::{BString, ByteSlice};
use gix::objs::Kind;

use super::connect::refused;
use crate::commit::State;
use crate::config::ImageConfig;
use crate::root::{Folder, HARDLINKS_BLOB, Hardlinks, Node, Root, RootIds, ids_of, read_folder};
use crate::well_formed;
use crate::{Error, Id, Result, Store, config, layer};

/// What a commit's tree may hold (`docs/format.md`, "Commits").
const NAMES: [&str; 8] = ["config", "container", "git", "layer", "manifest", "meta", "rootfs", "times"];

/// Folders may be so deep.
const DEEPEST: usize = 1024;

/// Checks commits, each folder once.
pub(super) struct Checker<'s> {
    source: &'s Store,
    /// The sizes of folders that are right.
    folders: HashMap<RootIds, u64>,
    layers: HashSet<Id>,
    /// All contents of the commits that were checked.
    pub(super) contents: HashSet<Id>,
}

/// A folder whose total is still to be compared.
struct Open {
    ids: RootIds,
    parent: Option<usize>,
    claimed: u64,
    found: u64,
}

impl<'s> Checker<'s> {
    pub(super) fn new(source: &'s Store) -> Self {
        Self { source, folders: HashMap::new(), layers: HashSet::new(), contents: HashSet::new() }
    }

    /// Check the commit `id`, whose objects are all there.
    pub(super) fn check(&mut self, id: &Id) -> Result<()> {
        let tree = self.source.read_header(id)?.tree;
        let data = self.source.read_object(&tree, Kind::Tree)?;
        for entry in well_formed::tree_entries(&data) {
            let name = entry.map_err(|why| refused(&tree, &why))?.name;
            if !NAMES.iter().any(|known| name == known.as_bytes()) {
                return Err(refused(id, &format!("an image's commit has no '{name}'")));
            }
        }
        let state = State::decode(&tree, &data)?;
        self.check_json(&state.config)?;
        state.container.iter().try_for_each(|container| self.check_json(container))?;
        if let Some(manifest) = &state.manifest {
            self.source.read_object(manifest, Kind::Blob)?;
        }
        self.check_root(&state.root)?;
        state.layer.map_or(Ok(()), |layer| self.check_layer(&layer))
    }

    fn check_json(&self, id: &Id) -> Result<()> {
        match self.source.find_header(id)? {
            Some((_, size)) if size > config::LIMIT => Err(refused(id, "it is too large for a configuration")),
            _ => ImageConfig::parse(&self.source.read_object(id, Kind::Blob)?).map(drop),
        }
    }

    fn check_layer(&mut self, id: &Id) -> Result<()> {
        if !self.layers.insert(*id) {
            return Ok(());
        }
        self.contents.extend(layer::contents(self.source, id)?);
        layer::replay(self.source, id, &mut std::io::sink()).map(drop)
    }

    /// The three trees must agree, be written as rd writes them, and name contents of the right sizes.
    fn check_root(&mut self, ids: &RootIds) -> Result<()> {
        if self.folders.contains_key(ids) {
            return Ok(());
        }
        let hardlinks = self.hardlinks_blob(&ids.meta)?;
        let mut open: Vec<Open> = Vec::new();
        let mut waiting = vec![(*ids, None, 0)];
        while let Some((ids, parent, depth)) = waiting.pop() {
            if let (Some(total), Some(parent)) = (self.folders.get(&ids), parent) {
                let parent: &mut Open = &mut open[parent];
                parent.found = parent.found.saturating_add(*total);
                continue;
            }
            if depth > DEEPEST {
                return Err(refused(&ids.rootfs, "its folders are too deep"));
            }
            let folder = read_folder(self.source, &ids)?;
            if ids_of(&folder, hardlinks.filter(|_| parent.is_none())) != ids {
                return Err(refused(&ids.meta, "the folder is not encoded as rd encodes it"));
            }
            let found = self.check_files(&folder)?;
            let number = open.len();
            open.push(Open { ids, parent, claimed: folder.total, found });
            waiting.extend(folder.dirs.into_values().map(|ids| (ids, Some(number), depth + 1)));
        }
        self.check_totals(open)?;
        hardlinks.map_or(Ok(()), |table| self.check_hardlinks(ids, &table))
    }

    /// Each file's content must be there and have the size that is said. Gives the sum of the sizes.
    fn check_files(&mut self, folder: &Folder) -> Result<u64> {
        let mut sum = 0u64;
        for leaf in folder.leaves.values() {
            match leaf.kind {
                crate::root::Kind::File { id, size } => {
                    if self.source.find_header(&id)? != Some((Kind::Blob, size)) {
                        return Err(refused(&id, &format!("there is no such content of {size} bytes")));
                    }
                    self.contents.insert(id);
                    sum = sum.saturating_add(size);
                }
                crate::root::Kind::Symlink { id } => drop(self.source.read_blob(&id)?),
                _ => {}
            }
        }
        Ok(sum)
    }

    /// Those below come behind those above.
    fn check_totals(&mut self, mut open: Vec<Open>) -> Result<()> {
        while let Some(folder) = open.pop() {
            if folder.claimed != folder.found {
                let why = format!("it says that its files have {} bytes, they have {}", folder.claimed, folder.found);
                return Err(refused(&folder.ids.meta, &why));
            }
            if let Some(parent) = folder.parent {
                open[parent].found = open[parent].found.saturating_add(folder.found);
            }
            self.folders.insert(folder.ids, folder.found);
        }
        Ok(())
    }

    fn hardlinks_blob(&self, meta: &Id) -> Result<Option<Id>> {
        let data = self.source.read_object(meta, Kind::Tree)?;
        let mut entries = well_formed::tree_entries(&data).filter_map(Result::ok);
        Ok(entries.find(|entry| entry.name == HARDLINKS_BLOB.as_bytes()).map(|entry| entry.id))
    }

    /// All names of a group must be names of one and the same file.
    fn check_hardlinks(&self, ids: &RootIds, table: &Id) -> Result<()> {
        let links = Hardlinks::decode(&self.source.read_object(table, Kind::Blob)?)?;
        let mut root = Root::open(self.source, ids)?;
        let mut leaf = |path: &BString| -> Result<crate::root::Leaf> {
            match root.get(self.source, path.as_bstr())? {
                Some(Node::Leaf(leaf)) => Ok(leaf.clone()),
                _ => Err(refused(table, &format!("'{path}' is no file"))),
            }
        };
        for group in links.groups() {
            let leaves = group.iter().map(&mut leaf).collect::<Result<Vec<_>>>()?;
            if leaves.windows(2).any(|pair| pair[0] != pair[1]) {
                return Err(refused(table, "files that should be one differ"));
            }
        }
        Ok(())
    }
}

/// Copy contents into `batch` that the store has no files of.
pub(super) fn keep_contents<'i>(
    source: &Store,
    store: &Store,
    contents: impl Iterator<Item = &'i Id>,
    batch: &mut crate::store::Batch<'_>,
) -> Result<()> {
    for id in contents {
        if store.content_file(id).exists() {
            continue;
        }
        let (mut reader, size) = source.blob_reader(id)?;
        if batch.write_content(size, &mut reader)? != *id {
            return Err(Error::damaged(format!("content {id} of the push"), "its bytes have another id"));
        }
    }
    Ok(())
}

//! Whether a pushed commit is an image's, in the store's own format: all that `rd fsck` would ask, before anything is taken.

use std::collections::{BTreeMap, HashMap, HashSet};

use gix::bstr::{BString, ByteSlice};
use gix::objs::Kind;

use super::connect::refused;
use crate::commit::State;
use crate::config::ImageConfig;
use crate::root::{
    Folder, HARDLINKS_BLOB, Hardlinks, META_BLOB, Node, Root, RootIds, folder_total, ids_of, read_folder,
};
use crate::well_formed;
use crate::{Error, Id, Result, Store, config, layer};

/// What a commit's tree may hold (`docs/format.md`, "Commits").
const NAMES: [&str; 8] = ["config", "container", "git", "layer", "manifest", "meta", "rootfs", "times"];

/// Folders may be so deep.
const DEEPEST: usize = 1024;

/// Checks commits, each folder once.
pub(crate) struct Checker<'s> {
    source: &'s Store,
    /// The sizes of folders that are right.
    folders: HashMap<RootIds, u64>,
    layers: HashSet<Id>,
    /// Commits that are right.
    right: HashSet<Id>,
    /// Contents that are still to come, with the sizes that they must have; `None` where all have to be there.
    arriving: Option<HashMap<Id, u64>>,
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
        let (folders, layers, right) = (HashMap::new(), HashSet::new(), HashSet::new());
        Self { source, folders, layers, right, arriving: None, contents: HashSet::new() }
    }

    /// Checks commits before their contents come, so that no contents come for a commit that is none. Their layers are left
    /// to [`check_layers`](Self::check_layers).
    pub(crate) fn before_contents(source: &'s Store) -> Self {
        Self { arriving: Some(HashMap::new()), ..Self::new(source) }
    }

    /// Take a commit of an image for right that the store's own names lead to.
    pub(crate) fn trust(&mut self, commit: Id) {
        self.right.insert(commit);
    }

    /// The contents that are still to come, and their sizes.
    pub(crate) fn arriving(&self) -> impl Iterator<Item = (&Id, &u64)> {
        self.arriving.iter().flatten()
    }

    /// The size of the largest layer's tar: none of its contents is larger.
    pub(crate) fn largest_layer(&self) -> Result<u64> {
        let sizes = self.layers.iter().map(|layer| Ok(layer::head(self.source, layer)?.size));
        sizes.into_iter().try_fold(0, |largest, size: Result<u64>| Ok(largest.max(size?)))
    }

    /// Now that all contents are there: check the layers of the commits that were checked before.
    pub(crate) fn check_layers(&self) -> Result<()> {
        let mut sink = std::io::sink();
        self.layers.iter().try_for_each(|layer| layer::replay(self.source, layer, &mut sink).map(drop))
    }

    /// Check the commit `id`, whose objects are all there. What its first parent has at the same place isn't looked at again where
    /// that is right.
    pub(crate) fn check(&mut self, id: &Id) -> Result<()> {
        let header = self.source.read_header(id)?;
        let tree = header.tree;
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
        let base = header.parents.first().filter(|parent| self.right.contains(*parent));
        let base = base.map(|parent| Ok::<_, Error>(self.source.read_commit(parent)?.state.root)).transpose()?;
        self.check_root(&state.root, base)?;
        state.layer.map_or(Ok(()), |layer| self.check_layer(&layer))?;
        self.right.insert(*id);
        Ok(())
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
        if self.arriving.is_some() {
            return Ok(());
        }
        layer::replay(self.source, id, &mut std::io::sink()).map(drop)
    }

    /// The three trees must agree, be written as rd writes them, and name contents of the right sizes.
    fn check_root(&mut self, ids: &RootIds, base: Option<RootIds>) -> Result<()> {
        if self.folders.contains_key(ids) || base.is_some_and(|base| base == *ids) {
            return Ok(());
        }
        let hardlinks = self.hardlinks_blob(&ids.meta)?;
        let mut open: Vec<Open> = Vec::new();
        let mut waiting = vec![(*ids, base, None, 0)];
        while let Some((ids, base, parent, depth)) = waiting.pop() {
            if base == Some(ids) && !self.folders.contains_key(&ids) {
                let total = self.total_of(&ids.meta)?;
                self.folders.insert(ids, total);
            }
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
            let below = base.map(|base| self.folders_in(&base)).transpose()?.unwrap_or_default();
            for (name, ids) in folder.dirs {
                waiting.push((ids, below.get(&name).copied(), Some(number), depth + 1));
            }
        }
        self.check_totals(open)?;
        hardlinks.map_or(Ok(()), |table| self.check_hardlinks(ids, &table))
    }

    /// The folders in one that is right.
    fn folders_in(&self, ids: &RootIds) -> Result<BTreeMap<BString, RootIds>> {
        Ok(read_folder(self.source, ids)?.dirs)
    }

    /// The sum of sizes in a folder that is right.
    fn total_of(&self, meta: &Id) -> Result<u64> {
        let tree = self.source.read_object(meta, Kind::Tree)?;
        let mut entries = well_formed::tree_entries(&tree).filter_map(Result::ok);
        let lines = entries.find(|entry| entry.name == META_BLOB.as_bytes()).map(|entry| entry.id);
        let lines = lines.ok_or_else(|| refused(meta, "it has no lines of metadata"))?;
        folder_total(&self.source.read_object(&lines, Kind::Blob)?)
    }

    /// Each file's content must be there and have the size that is said. Gives the sum of the sizes.
    fn check_files(&mut self, folder: &Folder) -> Result<u64> {
        let mut sum = 0u64;
        for leaf in folder.leaves.values() {
            match leaf.kind {
                crate::root::Kind::File { id, size } => {
                    self.check_content(id, size)?;
                    self.contents.insert(id);
                    sum = sum.saturating_add(size);
                }
                crate::root::Kind::Symlink { id } => drop(self.source.read_blob(&id)?),
                _ => {}
            }
        }
        Ok(sum)
    }

    fn check_content(&mut self, id: Id, size: u64) -> Result<()> {
        let found = match (self.source.find_header(&id)?, &mut self.arriving) {
            (None, Some(arriving)) => Some((Kind::Blob, *arriving.entry(id).or_insert(size))),
            (found, _) => found,
        };
        match found == Some((Kind::Blob, size)) {
            true => Ok(()),
            false => Err(refused(&id, &format!("there is no such content of {size} bytes"))),
        }
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

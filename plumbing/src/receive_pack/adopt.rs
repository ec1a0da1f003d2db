//! Pushed commits of files become commits of images.

use std::collections::HashMap;

use gix::objs::tree::{Entry, EntryKind};
use gix::objs::{CommitRef, Kind};

use super::apply::Apply;
use super::connect::refused;
use super::image::keep_contents;
use super::quarantine::Quarantine;
use crate::commit::State;
use crate::config::ImageConfig;
use crate::root::{Attrs, Root, RootIds, Time};
use crate::store::Batch;
use crate::view::{self, View};
use crate::{Id, Result, Store};

/// What the configuration of an image says of layers, which follows from the commits.
const DERIVED: [&str; 5] = ["rootfs", "history", "container", "container_config", "docker_version"];

/// Makes images' commits of pushed ones.
pub(super) struct Adoption<'a, 's> {
    view: &'a View<'s>,
    quarantine: Option<&'a Quarantine>,
    /// The images' commits of pushed ones.
    images: HashMap<Id, Id>,
    /// What new images' commits hold: nothing of it can be read from the store yet.
    made: HashMap<Id, Made>,
}

/// A new commit of an image.
struct Made {
    root: Root,
    config: Vec<u8>,
}

impl<'a, 's> Adoption<'a, 's> {
    pub(super) fn new(view: &'a View<'s>, quarantine: Option<&'a Quarantine>) -> Self {
        Self { view, quarantine, images: HashMap::new(), made: HashMap::new() }
    }

    fn source(&self) -> &'a Store {
        self.quarantine.map_or(self.view.store(), Quarantine::store)
    }

    /// The image's commit of the pushed commit `tip`, which is written into `batch` with all that it needs.
    pub(super) fn adopt(&mut self, tip: Id, batch: &mut Batch<'_>) -> Result<Id> {
        let order = self.new_commits(tip)?;
        let mut children: HashMap<Id, usize> = HashMap::new();
        for (id, data) in &order {
            parse(id, data)?.parents().for_each(|parent| *children.entry(parent).or_default() += 1);
        }
        for (id, data) in &order {
            let commit = parse(id, data)?;
            let image = self.convert(id, data, &commit, batch)?;
            self.images.insert(*id, image);
            for parent in commit.parents() {
                let left = children.entry(parent).or_default();
                *left = left.saturating_sub(1);
                if *left == 0 {
                    // Its root needn't be in memory any longer; the next push of several asks for it again.
                    self.made.remove(&self.images[&parent]);
                }
            }
        }
        Ok(self.images[&tip])
    }

    /// The commits that become images, parents first.
    fn new_commits(&mut self, tip: Id) -> Result<Vec<(Id, Vec<u8>)>> {
        let mut order = Vec::new();
        let mut waiting: Vec<(Id, Option<Vec<u8>>)> = vec![(tip, None)];
        let mut opened = std::collections::HashSet::new();
        while let Some((id, data)) = waiting.pop() {
            match data {
                // All parents are done.
                Some(data) => order.push((id, data)),
                None if self.is_ready(&id) || !opened.insert(id) => {}
                None => match self.known(&id)? {
                    Some(image) => drop(self.images.insert(id, image)),
                    None => {
                        let data = self.read_pushed(&id)?;
                        let parents: Vec<Id> = parse(&id, &data)?.parents().collect();
                        waiting.push((id, Some(data)));
                        waiting.extend(parents.into_iter().map(|parent| (parent, None)));
                    }
                },
            }
        }
        Ok(order)
    }

    /// Whether the image's commit is known and can be built upon.
    fn is_ready(&self, id: &Id) -> bool {
        let image = self.images.get(id);
        image.is_some_and(|image| self.made.contains_key(image) || self.view.store().repo().has_object(image))
    }

    fn read_pushed(&self, id: &Id) -> Result<Vec<u8>> {
        if !self.quarantine.is_some_and(|quarantine| quarantine.contains(id)) {
            return Err(refused(id, "the commit is neither in the push nor one that this remote shows; fetch first"));
        }
        self.source().read_object(id, Kind::Commit)
    }

    /// The image's commit whose projection this is.
    fn known(&self, id: &Id) -> Result<Option<Id>> {
        if let Some(image) = self.view.image_commit(id) {
            return Ok(Some(image));
        }
        if !self.quarantine.is_some_and(|quarantine| quarantine.contains(id)) {
            return Ok(None);
        }
        let data = self.source().read_object(id, Kind::Commit)?;
        let Some(image) = view::projected_of(&data) else { return Ok(None) };
        if !matches!(self.view.store().find_header(&image)?, Some((Kind::Commit, _))) {
            return Ok(None);
        }
        // It may say so and yet be another one, as when a projected commit was amended.
        Ok(self.view.project(image).is_ok_and(|projected| projected == *id).then_some(image))
    }

    fn convert(&mut self, id: &Id, data: &[u8], commit: &CommitRef<'_>, batch: &mut Batch<'_>) -> Result<Id> {
        let committer = commit.committer().map_err(|error| refused(id, &error.to_string()))?;
        let seconds = committer.seconds();
        let parents: Vec<Id> = commit.parents().map(|parent| self.images[&parent]).collect();
        let (mut root, config) = match parents.first() {
            Some(parent) => self.before(parent)?,
            None => (new_root(seconds), ImageConfig::new(seconds).encode()),
        };
        let mut others = parents.iter().skip(1).map(|parent| Ok(self.before(parent)?.0)).collect::<Result<Vec<_>>>()?;
        let (trees, ids) = self.apply(commit.tree(), seconds, &mut root, &mut others, batch)?;
        let config = derive_config(&config, seconds)?;
        let state =
            State { root: ids, config: batch.write_blob(&config)?, manifest: None, layer: None, container: None };
        let git = self.write_git(data, commit.tree(), &ids, &trees, batch)?;
        let tree = batch.write_state_with(&state, Some(git))?;
        let image = batch.write(Kind::Commit, &view::encode_commit(commit, &tree, &parents, None))?;
        self.made.insert(image, Made { root, config });
        Ok(image)
    }

    /// Change the root to hold the pushed files. Gives the pushed trees, and the ids of the root.
    fn apply(
        &self,
        tree: Id,
        seconds: i64,
        root: &mut Root,
        others: &mut [Root],
        batch: &mut Batch<'_>,
    ) -> Result<(Vec<Id>, RootIds)> {
        let source = self.source();
        let time = Time { sec: seconds, nsec: 0 };
        let mut apply =
            Apply { source, root, others, time, contents: Vec::new(), trees: Vec::new(), links: Vec::new() };
        apply.run(tree)?;
        let Apply { contents, trees, links, .. } = apply;
        keep_contents(source, self.view.store(), contents.iter(), batch)?;
        for link in links {
            batch.write_blob(&source.read_blob(&link)?)?;
        }
        Ok((trees, root.write(batch)?))
    }

    /// What the commit was pushed as: its bytes, and its tree where that isn't the root's.
    fn write_git(&self, data: &[u8], tree: Id, ids: &RootIds, trees: &[Id], batch: &mut Batch<'_>) -> Result<Id> {
        let mut entries =
            vec![Entry { mode: EntryKind::Blob.into(), filename: "commit".into(), oid: batch.write_blob(data)? }];
        if tree != ids.rootfs {
            for tree in trees {
                batch.write(Kind::Tree, &self.source().read_object(tree, Kind::Tree)?)?;
            }
            entries.push(Entry { mode: EntryKind::Tree.into(), filename: "tree".into(), oid: tree });
        }
        batch.write_object(&gix::objs::Tree { entries })
    }

    /// The root and the configuration of an image's commit, be it in the store or new.
    fn before(&self, image: &Id) -> Result<(Root, Vec<u8>)> {
        if let Some(made) = self.made.get(image) {
            return Ok((made.root.clone(), made.config.clone()));
        }
        let store = self.view.store();
        let state = store.read_commit(image)?.state;
        Ok((Root::open(store, &state.root)?, store.read_blob(&state.config)?))
    }
}

fn parse<'d>(id: &Id, data: &'d [u8]) -> Result<CommitRef<'d>> {
    CommitRef::from_bytes(data, gix::hash::Kind::Sha256).map_err(|error| refused(id, &error.to_string()))
}

fn new_root(seconds: i64) -> Root {
    Root::new(Attrs { mode: 0o755, ..Attrs::default() }, Time { sec: seconds, nsec: 0 })
}

/// The parent's configuration, less what it says of layers.
fn derive_config(parent: &[u8], seconds: i64) -> Result<Vec<u8>> {
    let mut config = ImageConfig::parse(parent)?;
    for field in DERIVED {
        config.fields_mut().remove(field);
    }
    config.set_created(seconds);
    Ok(config.encode())
}

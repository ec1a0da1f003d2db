//! Images: commits that have a name below `refs/images/`, and what docker's commands say of them.

pub mod describe;
pub mod facts;
pub mod filter;
pub mod find;
pub mod history;
pub mod listing;
pub mod remove;
pub mod size;

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};

use plumbing::config::ImageConfig;
use plumbing::store::refs::{Expect, IMAGES};
use plumbing::{Id, ImageName, Store};

use crate::{Error, Result};
use facts::{Fact, Facts};

pub use find::{find, find_commit};

/// An image: a commit and the names that people gave it.
#[derive(Debug, Clone)]
pub struct Image {
    /// The commit.
    pub id: Id,
    /// Its names, sorted; none for a commit that is only part of an image's history.
    pub names: Vec<ImageName>,
    /// What is known of the commit.
    pub fact: Fact,
}

/// A name that can't be shown, and why.
pub type Unreadable = (ImageName, Error);

/// All images, the newest first; those of one moment by name. An image that can't be read hides no other: its names come
/// back beside them.
pub fn list(store: &Store, facts: &mut Facts<'_>) -> Result<(Vec<Image>, Vec<Unreadable>)> {
    let mut by_id: BTreeMap<Id, Vec<ImageName>> = BTreeMap::new();
    for (name, id) in names(store)? {
        by_id.entry(id).or_default().push(name);
    }
    let (mut images, mut unreadable) = (Vec::new(), Vec::new());
    for (id, mut names) in by_id {
        match facts.get(&id) {
            Ok(fact) => images.push(Image { id, names, fact }),
            Err(error) => unreadable.push((names.swap_remove(0), error)),
        }
    }
    sort(&mut images);
    Ok((images, unreadable))
}

/// The commits that `images` are made of and that have no name themselves: what `docker images -a` shows beside them.
pub fn list_unnamed(store: &Store, facts: &mut Facts<'_>, images: &[Image]) -> Result<Vec<Image>> {
    let named: HashSet<Id> = images.iter().map(|image| image.id).collect();
    let mut unnamed = Vec::new();
    for id in ancestors(store, named.iter().copied())? {
        if !named.contains(&id) {
            unnamed.push(Image { id, names: Vec::new(), fact: facts.get(&id)? });
        }
    }
    sort(&mut unnamed);
    Ok(unnamed)
}

/// Commits that an image name pointed at, as its reflog knows, and that have no name now: docker's dangling images.
pub fn list_dangling(store: &Store, facts: &mut Facts<'_>, images: &[Image]) -> Result<Vec<Image>> {
    let mut seen: HashSet<Id> = images.iter().map(|image| image.id).collect();
    let mut dangling = Vec::new();
    for (name, _) in names(store)? {
        for (old, _) in find::reflog(store, &name.to_ref())? {
            let readable = !old.is_null() && store.has(&old);
            if readable && seen.insert(old) {
                dangling.push(Image { id: old, names: Vec::new(), fact: facts.get(&old)? });
            }
        }
    }
    sort(&mut dangling);
    Ok(dangling)
}

/// Give the commit `id` the name `name`, whatever that named before; the reflog keeps the old value.
pub fn tag(store: &Store, id: Id, name: &ImageName, source: &str) -> Result<()> {
    let name = name.to_ref();
    if store.get_ref(&name)? == Some(id) {
        return Ok(());
    }
    Ok(store.update_ref(&name, id, Expect::Any, &format!("tag: {source}"))?)
}

/// All image names with their commits, in the order of their refs.
pub fn names(store: &Store) -> Result<Vec<(ImageName, Id)>> {
    let refs = store.list_refs(IMAGES)?;
    Ok(refs.into_iter().filter_map(|(name, id)| Some((ImageName::from_ref(&name)?, id))).collect())
}

/// The configuration of the commit `id`.
pub fn config(store: &Store, id: &Id) -> Result<ImageConfig> {
    Ok(ImageConfig::parse(&store.read_blob(&store.read_commit(id)?.state.config)?)?)
}

/// All commits that can be reached from `tips`, these included.
pub(crate) fn ancestors(store: &Store, tips: impl IntoIterator<Item = Id>) -> Result<Vec<Id>> {
    let failed = |what: &str| plumbing::Error::git(what.to_owned());
    let walk = store.repo().rev_walk(tips).all().map_err(failed("walk the history of images"))?;
    walk.map(|info| Ok(info.map_err(failed("walk the history of images"))?.id)).collect()
}

/// The newest first; those of one moment by the names that people see.
fn sort(images: &mut [Image]) {
    for image in &mut *images {
        image.names.sort_by_cached_key(ImageName::to_string);
    }
    images.sort_by_cached_key(|image| {
        (Reverse(image.fact.created), image.names.first().map(ImageName::to_string), image.id)
    });
}

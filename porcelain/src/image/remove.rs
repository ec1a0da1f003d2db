//! Removing names of images: which names go, and what forbids it. The commits stay until `rd gc`.

use std::collections::HashSet;

use plumbing::artifact::{self, Reference};
use plumbing::store::refs::CONTAINERS;
use plumbing::{Id, ImageName, Store, Tracking};

use super::{ancestors, find, names};
use crate::container::Containers;
use crate::{Error, Result, remote};

/// A container as far as images are concerned.
#[derive(Debug, Clone)]
pub struct Holder {
    /// Its name.
    pub name: String,
    /// The commit that it is at; all commits before it are needed too.
    pub head: Id,
    /// Whether it runs.
    pub running: bool,
}

/// What [`remove`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// The names that are gone.
    pub untagged: Vec<ImageName>,
    /// The commits that nothing names any longer, the newest first.
    pub deleted: Vec<Id>,
}

/// The containers of a store.
pub fn holders(store: &Store) -> Result<Vec<Holder>> {
    let mut holders = Vec::new();
    for (container, state) in Containers::open(store.dir())?.list()? {
        let (name, head) = (container.config.name.clone(), container.head(store)?);
        holders.push(Holder { name, head, running: state.status.is_alive() });
    }
    // A container without files, as one that came from another store, is a ref alone.
    for (name, head) in store.list_refs(CONTAINERS)? {
        let name = name.strip_prefix(CONTAINERS).unwrap_or(&name);
        if !holders.iter().any(|holder| holder.name == name) {
            holders.push(Holder { name: name.to_owned(), head, running: false });
        }
    }
    Ok(holders)
}

/// Remove the name `spelling`, or all names of the commit that it means.
///
/// `InUse` where it is the commit's last name and a container or another image was made from it, or where an id has
/// several names; `force` removes the name even so, unless a running container needs it.
pub fn remove(store: &Store, spelling: &str, force: bool, holders: &[Holder]) -> Result<Removed> {
    let in_use = |why| Error::InUse { what: "image", name: spelling.into(), why };
    let found = find(store, spelling)?;
    let (same, others): (Vec<_>, Vec<_>) = names(store)?.into_iter().partition(|(_, id)| *id == found.id);
    let named: Vec<ImageName> = same.into_iter().map(|(name, _)| name).collect();
    let by_id = found.name.is_none();
    let targets = found.name.map_or_else(|| named.clone(), |name| vec![name]);
    if targets.is_empty() {
        return Err(Error::NotFound { what: "name of the image", name: spelling.into() });
    }
    if by_id && targets.len() > 1 && !force {
        return Err(in_use(format!("it has several names: {}", listed(&targets))));
    }
    let mut deleted = Vec::new();
    if targets.len() == named.len() {
        let heads: Vec<Id> = others.iter().map(|(_, id)| *id).chain(holders.iter().map(|holder| holder.head)).collect();
        let reachable: HashSet<Id> = ancestors(store, heads)?.into_iter().collect();
        if reachable.contains(&found.id) {
            check_needs(store, &found.id, force, &others, holders)?.map_or(Ok(()), |why| Err(in_use(why)))?;
        }
        deleted = ancestors(store, [found.id])?.into_iter().filter(|id| !reachable.contains(id)).collect();
    }
    for name in &targets {
        store.delete_ref(&name.to_ref(), found.id)?;
        forget_tracked(store, name)?;
        remove_index(store, name, &found.id)?;
    }
    Ok(Removed { untagged: targets, deleted })
}

/// What its own registry had by the name is remembered for the image's sake: without it, it would only take room.
fn forget_tracked(store: &Store, name: &ImageName) -> Result<()> {
    let tracking = Tracking::new(name.registry(), name.repository(), name.tag())?;
    if remote::config::find(store, name.registry())?.is_some() {
        return Ok(());
    }
    let tracked = store.get_ref(&tracking.to_ref())?;
    tracked.map_or(Ok(()), |id| remote::forget(store, &[(tracking, id)]))
}

/// An index that the tag was pushed with goes with its image: nothing shows it otherwise, and it needs all images that it lists.
fn remove_index(store: &Store, name: &ImageName, image: &Id) -> Result<()> {
    let index = artifact::ref_name(name, &Reference::Tag(name.tag().to_owned()));
    let Some(id) = store.get_ref(&index)? else { return Ok(()) };
    if store.read_header(&id)?.parents.contains(image) {
        store.delete_ref(&index, id)?;
    }
    Ok(())
}

/// Why the last name of the commit `id` can't go; `None` where it can.
fn check_needs(
    store: &Store,
    id: &Id,
    force: bool,
    others: &[(ImageName, Id)],
    holders: &[Holder],
) -> Result<Option<String>> {
    let needs = |head: &Id| Ok::<_, Error>(ancestors(store, [*head])?.contains(id));
    for holder in holders.iter().filter(|holder| holder.running || !force) {
        if needs(&holder.head)? {
            let state = if holder.running { "running" } else { "stopped" };
            return Ok(Some(format!("the {state} container '{}' was made from it", holder.name)));
        }
    }
    if force {
        return Ok(None);
    }
    let mut children = Vec::new();
    for (name, head) in others {
        if needs(head)? {
            children.push(name.clone());
        }
    }
    let why = || match children.as_slice() {
        [child] => format!("the image '{child}' was made from it"),
        _ => format!("images were made from it: {}", listed(&children)),
    };
    Ok((!children.is_empty()).then(why))
}

/// At most five names, and how many more there are.
fn listed(names: &[ImageName]) -> String {
    let mut shown: Vec<String> = names.iter().take(5).map(ImageName::to_string).collect();
    if names.len() > shown.len() {
        shown.push(format!("{} more", names.len() - shown.len()));
    }
    shown.join(", ")
}

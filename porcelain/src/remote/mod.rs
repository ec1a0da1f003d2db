//! Remotes: registries, archives and other stores by name, and the rules by which images follow them.
//!
//! [`config`] keeps their names, [`rules`] decides what may move, [`store`] acts on other stores. What a remote had when it
//! was looked at last is remembered in tracking refs ([`plumbing::tracking`]).

pub mod config;
pub mod connect;
pub mod rules;
pub mod standing;
pub mod store;
pub mod target;
mod url;

use plumbing::store::refs::{Expect, REMOTES};
use plumbing::walk::bases::is_ancestor;
use plumbing::{Id, Store, Tracking};

pub use config::Remote;
pub use target::Target;
pub use url::{Registry, Ssh, Url};

use crate::Result;

/// What is remembered of the images of the remote `name`, by their names.
pub fn tracked(store: &Store, name: &str) -> Result<Vec<(Tracking, Id)>> {
    let refs = store.list_refs(&tracking_folder(name))?;
    Ok(refs.into_iter().filter_map(|(name, id)| Some((Tracking::from_ref(&name)?, id))).collect())
}

/// Where the tracking refs of a remote are.
fn tracking_folder(name: &str) -> String {
    format!("{REMOTES}{}/", name.replace(':', "%3A"))
}

/// Remember that a remote has the commit `id` by the name `tracking`. What was remembered before.
pub fn track(store: &Store, tracking: &Tracking, id: Id, message: &str) -> Result<Option<Id>> {
    let name = tracking.to_ref();
    let before = store.get_ref(&name)?;
    if before != Some(id) {
        store.update_ref(&name, id, Expect::Any, message)?;
    }
    Ok(before)
}

/// Forget a remote with all that is remembered of it.
pub fn remove(store: &Store, name: &str) -> Result<()> {
    config::remove(store, name)?;
    forget(store, &tracked(store, name)?)
}

/// Give a remote another name, and its tracking refs with it.
pub fn rename(store: &Store, old: &str, new: &str) -> Result<()> {
    let tracked = tracked(store, old)?;
    config::rename(store, old, new)?;
    for (tracking, id) in &tracked {
        track(store, &tracking.at(new)?, *id, &format!("remote: renamed {old} to {new}"))?;
    }
    forget(store, &tracked)
}

/// Forget that remotes had these.
pub fn forget(store: &Store, tracked: &[(Tracking, Id)]) -> Result<()> {
    tracked.iter().try_for_each(|(tracking, id)| Ok(store.delete_ref(&tracking.to_ref(), *id)?))
}

/// Decide what a pull makes of the local image at `local`.
pub fn decide_pull(store: &Store, local: Option<Id>, before: Option<Id>, now: Id) -> Result<rules::Pull> {
    Ok(rules::pull(local, before.filter(|before| store.has(before)), now, |old, new| is_ancestor(store, old, new))?)
}

/// Decide on a push of `new`.
pub fn decide_push(
    store: &Store,
    present: rules::Present,
    tracked: Option<Id>,
    new: Id,
    force: rules::Force,
) -> Result<rules::Push> {
    Ok(rules::push(present, tracked, new, force, |old, new| is_ancestor(store, old, new))?)
}

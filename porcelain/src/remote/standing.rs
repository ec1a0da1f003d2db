//! How local images stand to those of remotes: what each has that the other hasn't.

use plumbing::history::Walk;
use plumbing::store::refs::REMOTES;
use plumbing::{Id, ImageName, Store, Tracking};

use crate::Result;

/// Numbers of commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Those that the local image has and the remote's hasn't.
    pub ahead: usize,
    /// Those that the remote's has and the local image hasn't.
    pub behind: usize,
}

impl Standing {
    /// Compare two commits.
    pub fn between(store: &Store, local: Id, remote: Id) -> Result<Self> {
        Ok(Self { ahead: only(store, local, remote)?, behind: only(store, remote, local)? })
    }
}

/// How many commits `one` reaches that `other` doesn't.
fn only(store: &Store, one: Id, other: Id) -> Result<usize> {
    if one == other {
        return Ok(0);
    }
    let walk = Walk { tips: vec![one], hidden: vec![other], ..Walk::default() };
    let mut count = 0;
    for commit in walk.commits(store)? {
        commit?;
        count += 1;
    }
    Ok(count)
}

/// How the local image stands to what is known of the remote's; `None` where one of the two isn't there.
pub fn of(store: &Store, tracking: &Tracking) -> Result<Option<Standing>> {
    let Ok(image) = tracking.image() else { return Ok(None) };
    match (store.get_ref(&image.to_ref())?, store.get_ref(&tracking.to_ref())?) {
        (Some(local), Some(remote)) => Standing::between(store, local, remote).map(Some),
        _ => Ok(None),
    }
}

/// All that is known of images of remotes, by the names of the local images that follow them.
pub fn all_tracked(store: &Store) -> Result<Vec<(ImageName, Tracking, Id)>> {
    let refs = store.list_refs(REMOTES)?;
    let named = |(name, id): (String, Id)| {
        let tracking = Tracking::from_ref(&name)?;
        Some((tracking.image().ok()?, tracking, id))
    };
    Ok(refs.into_iter().filter_map(named).collect())
}

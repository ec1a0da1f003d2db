//! Fetching from another store, and pushing to it.

use std::collections::HashSet;

use plumbing::store::refs::Expect;
use plumbing::transfer::{Progress, Tip, Traffic, Update};
use plumbing::{Id, ImageName, Store, Tracking};

use super::config::Remote;
use super::connect::Connection;
use super::rules::{Force, Present, Pull, Push};
use super::{Target, decide_pull, decide_push, track, tracked};
use crate::{Error, Result};

/// What a fetch found out about one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The image.
    pub target: Target,
    /// What was remembered of it before.
    pub before: Option<Id>,
    /// What the remote has.
    pub now: Id,
}

/// What went over the wire, and what it was.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cost {
    /// Objects and contents.
    pub progress: Progress,
    /// Bytes.
    pub traffic: Traffic,
}

/// Is told how far it is.
pub type Watch<'w> = &'w mut dyn FnMut(&Progress);

/// Fetch images: tracking refs move, and nothing else does. All images of the remote where `names` is empty.
///
/// A name that the remote doesn't have is an error, and nothing is fetched.
pub fn fetch(store: &Store, remote: &Remote, names: &[Tracking], watch: Watch<'_>) -> Result<(Vec<Fetched>, Cost)> {
    let mut connection = Connection::open(remote)?;
    let images = connection.client.list()?;
    let wanted = choose(remote, &images, names)?;
    let outcome = fetch_these(store, &mut connection, wanted, watch);
    let traffic = connection.client.traffic();
    let closed = connection.close();
    let (fetched, progress) = outcome?;
    closed?;
    Ok((fetched, Cost { progress, traffic }))
}

/// The images of a remote that were asked for.
fn choose(remote: &Remote, images: &[(ImageName, Id)], names: &[Tracking]) -> Result<Vec<(Target, Id)>> {
    let mut all = Vec::new();
    for (name, id) in images {
        // A name that can't be remembered is one that nobody can ask for.
        all.extend(Target::of_store(remote, name).ok().map(|target| (target, *id)));
    }
    if names.is_empty() {
        return Ok(all);
    }
    let find = |name: &Tracking| {
        let found = all.iter().find(|(target, _)| target.tracking == *name).cloned();
        found.ok_or_else(|| Error::NotFound { what: "remote image", name: name.to_string() })
    };
    names.iter().map(find).collect()
}

fn fetch_these(
    store: &Store,
    connection: &mut Connection,
    wanted: Vec<(Target, Id)>,
    watch: Watch<'_>,
) -> Result<(Vec<Fetched>, Progress)> {
    let known =
        wanted.first().map_or_else(|| Ok(Vec::new()), |(target, _)| tracked(store, target.tracking.remote()))?;
    let (mut tips, mut seen) = (Vec::new(), HashSet::new());
    for (target, id) in &wanted {
        if seen.insert(*id) {
            tips.push(Tip { id: *id, like: similar(store, target, &known)? });
        }
    }
    let received = connection.client.fetch(store, &tips, watch)?;
    let mut fetched = Vec::new();
    for (target, now) in wanted {
        let before = track(store, &target.tracking, now, "fetch")?;
        fetched.push(Fetched { target, before, now });
    }
    Ok((fetched, received.progress))
}

/// What an image that is fetched may be like: what its name was before, or another tag of its repository is that is `known`.
fn similar(store: &Store, target: &Target, known: &[(Tracking, Id)]) -> Result<Option<Id>> {
    let before = store.get_ref(&target.tracking.to_ref())?;
    if let Some(id) = before.map_or_else(|| store.get_ref(&target.local.to_ref()), |id| Ok(Some(id)))? {
        return Ok(Some(id));
    }
    let mut siblings = known.iter().filter(|(tracking, _)| tracking.repository() == target.tracking.repository());
    Ok(siblings.next_back().map(|(_, id)| *id))
}

/// What is remembered of images that the remote doesn't have any longer.
pub fn stale(store: &Store, remote: &Remote) -> Result<Vec<(Tracking, Id)>> {
    let images = images(remote)?;
    let mut known = tracked(store, &remote.name)?;
    known.retain(|(tracking, _)| !images.iter().any(|(there, _)| there == tracking));
    Ok(known)
}

/// The images that the remote has now, by the names under which they are remembered.
pub fn images(remote: &Remote) -> Result<Vec<(Tracking, Id)>> {
    let mut connection = Connection::open(remote)?;
    let images = connection.client.list();
    connection.close()?;
    let named = |(name, id): (ImageName, Id)| Some((Target::of_store(remote, &name).ok()?.tracking, id));
    Ok(images?.into_iter().filter_map(named).collect())
}

/// What a pull did.
#[derive(Debug, Clone)]
pub struct Pulled {
    /// What was fetched for it.
    pub fetched: Fetched,
    /// What became of the local image.
    pub outcome: Pull,
    /// What it took.
    pub cost: Cost,
}

/// Fetch an image of another store, and let the local one follow if nothing of the user's is lost by that. With `force` it
/// follows in any case.
pub fn pull(store: &Store, target: &Target, force: bool, watch: Watch<'_>) -> Result<Pulled> {
    let remote = of_store(target)?;
    let (fetched, cost) = fetch(store, remote, std::slice::from_ref(&target.tracking), watch)?;
    let fetched = fetched
        .into_iter()
        .next()
        .ok_or_else(|| Error::NotFound { what: "remote image", name: target.tracking.to_string() })?;
    let outcome = follow(store, &fetched, force)?;
    Ok(Pulled { fetched, outcome, cost })
}

/// Let the local image follow what was fetched, if the rules allow it.
pub fn follow(store: &Store, fetched: &Fetched, force: bool) -> Result<Pull> {
    let name = fetched.target.local.to_ref();
    let local = store.get_ref(&name)?;
    let outcome = match decide_pull(store, local, fetched.before, fetched.now)? {
        Pull::Diverged | Pull::Ahead if force => Pull::Follow,
        outcome => outcome,
    };
    if outcome.moves() {
        let expect = local.map_or(Expect::Missing, Expect::Id);
        store.update_ref(&name, fetched.now, expect, &format!("pull: {}", fetched.target.tracking))?;
    }
    Ok(outcome)
}

/// What a push did.
#[derive(Debug, Clone)]
pub struct Pushed {
    /// What the remote had before.
    pub before: Option<Id>,
    /// What became of the name there.
    pub outcome: Push,
    /// What it took.
    pub traffic: Traffic,
}

/// Push the commit `id` as an image to another store. `Invalid` where that store refuses it.
pub fn push(store: &Store, target: &Target, id: Id, force: Force) -> Result<Pushed> {
    let mut connection = Connection::open(of_store(target)?)?;
    let outcome = push_to(store, &mut connection, target, id, force);
    let traffic = connection.client.traffic();
    let closed = connection.close();
    let (before, outcome) = outcome?;
    closed?;
    Ok(Pushed { before, outcome, traffic })
}

fn push_to(
    store: &Store,
    connection: &mut Connection,
    target: &Target,
    id: Id,
    force: Force,
) -> Result<(Option<Id>, Push)> {
    let images = connection.client.list()?;
    let before = images.iter().find(|(name, _)| *name == target.name).map(|(_, id)| *id);
    let present = match before {
        None => Present::Nothing,
        Some(id) if store.has(&id) => Present::Known(id),
        Some(_) => Present::Unknown,
    };
    let seen = store.get_ref(&target.tracking.to_ref())?;
    let outcome = decide_push(store, present, seen, id, force)?;
    if outcome.moves() {
        let update = Update { name: target.name.clone(), old: before, new: id };
        let answers = connection.client.push(store, &[update])?;
        if let Some(Err(why)) = answers.into_iter().next() {
            return Err(Error::invalid("push to", &target.tracking, why));
        }
    }
    if outcome.moves() || outcome == Push::UpToDate {
        track(store, &target.tracking, id, "update by push")?;
    }
    Ok((before, outcome))
}

/// The remote of a target, which must be another store.
fn of_store(target: &Target) -> Result<&Remote> {
    let remote = target.remote.as_ref().filter(|remote| remote.url.is_store());
    remote.ok_or_else(|| Error::invalid("remote", target.tracking.remote(), "it is no store"))
}

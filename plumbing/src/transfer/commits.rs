//! Which commits are new: asked for from the tips down to those that the store has.

use std::collections::{HashMap, HashSet};

use gix::objs::{CommitRefIter, Kind};

use super::MOST_IDS;
use super::receive::{Receiver, Tip};
use super::send::Question;
use super::wire::Announced;
use crate::ancestry::Ancestry;
use crate::receive_pack::refused;
use crate::store::refs::{CONTAINERS, IMAGES, REMOTES};
use crate::{Error, Id, Result, Store};

/// How many ancestors come with the first answer; each further one has up to four times as many.
const FIRST: usize = 16;

/// Commits of a transfer.
pub(super) struct New {
    /// Those that no ref of the store leads to, each before its parents.
    pub(super) order: Vec<Id>,
    /// Tree and parents of each of them.
    pub(super) about: HashMap<Id, About>,
    /// For some of them a commit of the store that may be like it.
    pub(super) like: HashMap<Id, Id>,
    /// First parents of theirs that names of images and containers lead to.
    pub(super) right: Vec<Id>,
}

/// What is needed of a commit.
pub(super) struct About {
    pub(super) tree: Id,
    pub(super) parents: Vec<Id>,
}

impl About {
    fn of(id: &Id, data: &[u8]) -> Result<Self> {
        let commit = || CommitRefIter::from_bytes(data, gix::hash::Kind::Sha256);
        let tree = commit().tree_id().map_err(|error| refused(id, &error.to_string()))?;
        Ok(Self { tree, parents: commit().parent_ids().collect() })
    }
}

/// Find and take all commits that `tips` lead to and that no ref of the store leads to.
pub(super) fn take(receiver: &mut Receiver<'_>, tips: &[Tip]) -> Result<New> {
    let hints = tips;
    let tips: &[Id] = &tips.iter().map(|tip| tip.id).collect::<Vec<_>>();
    let known = Known::open(receiver.store)?;
    let mut search = Search { known, about: HashMap::new(), wanted: HashSet::new() };
    let mut limit = FIRST;
    search.want(receiver, tips)?;
    while !search.wanted.is_empty() {
        let ids: Vec<Id> = search.wanted.iter().take(MOST_IDS).copied().collect();
        limit = limit.max(ids.len());
        let before = search.about.len();
        Question::Commits { limit, ids }.send(receiver.wire)?;
        while let Some(announced) = receiver.wire.receive_header()? {
            search.arrived(receiver, announced)?;
        }
        if search.about.len() == before {
            return Err(Error::Told { why: "nothing of what it was asked for".into() });
        }
        receiver.tell();
        limit = limit.saturating_mul(4);
    }
    receiver.show()?;
    let order = order(tips, &search.about);
    let mut right = Vec::new();
    for parent in search.about.values().filter_map(|about| about.parents.first()) {
        if !search.about.contains_key(parent) && search.known.is_of_image(receiver.store, parent)? {
            right.push(*parent);
        }
    }
    let mut like = HashMap::new();
    for tip in hints {
        if let Some(old) = tip.like {
            pair(receiver.store, tip.id, old, &search.about, &mut like);
        }
    }
    Ok(New { order, about: search.about, like, right })
}

/// Put the commits of two lines beside each other, from their beginnings on. That it can't be done is no matter.
fn pair(store: &Store, new: Id, old: Id, about: &HashMap<Id, About>, like: &mut HashMap<Id, Id>) {
    let mut news = Vec::new();
    let mut next = Some(new);
    while let Some((id, found)) = next.and_then(|id| Some((id, about.get(&id)?))) {
        news.push(id);
        next = found.parents.first().copied();
    }
    if next.is_some() {
        // It goes on from what is there, which is the best to compare with.
        return;
    }
    let mut olds = Vec::new();
    let mut next = Some(old);
    while let Some(header) = next.and_then(|id| store.read_header(&id).ok()) {
        olds.push(header.id);
        next = header.parents.first().copied();
    }
    like.extend(news.into_iter().rev().zip(olds.into_iter().rev()));
}

struct Search {
    known: Known,
    about: HashMap<Id, About>,
    wanted: HashSet<Id>,
}

impl Search {
    /// Want these commits, unless they or what leads to them is known.
    fn want(&mut self, receiver: &Receiver<'_>, ids: &[Id]) -> Result<()> {
        let mut waiting = ids.to_vec();
        while let Some(id) = waiting.pop() {
            if self.about.contains_key(&id) {
                continue;
            }
            if !receiver.store.repo().has_object(id) {
                self.wanted.insert(id);
            } else if !self.known.contains(receiver.store, &id)? {
                // It is there, but whether all that it needs is, nobody promised.
                let about = About::of(&id, &receiver.store.read_object(&id, Kind::Commit)?)?;
                waiting.extend(&about.parents);
                self.about.insert(id, about);
            }
        }
        Ok(())
    }

    fn arrived(&mut self, receiver: &mut Receiver<'_>, announced: Announced) -> Result<()> {
        let kind = announced.kind;
        if kind != Kind::Commit {
            return Err(Error::Told { why: format!("a {kind} where a commit was asked for") });
        }
        let (id, data) = receiver.read(announced, None)?;
        // What lies behind commits that the store has comes along now and then.
        if !self.wanted.remove(&id) {
            return Ok(());
        }
        receiver.keep(id, kind, &data)?;
        let about = About::of(&id, &data)?;
        let parents = about.parents.clone();
        self.about.insert(id, about);
        self.want(receiver, &parents)
    }
}

/// Commits that the store's refs lead to: all that they need is there.
struct Known {
    refs: Reach,
    /// Those that rd's own refs lead to: they are images' in all that they have.
    images: Reach,
}

/// What some ids lead to.
struct Reach {
    tips: HashSet<Id>,
    /// All of it, once somebody asks for one that is no tip.
    all: Option<HashSet<Id>>,
}

impl Known {
    fn open(store: &Store) -> Result<Self> {
        let refs = store.list_refs("refs/")?;
        let is_rds = |name: &str| [IMAGES, CONTAINERS, REMOTES].iter().any(|prefix| name.starts_with(prefix));
        let images = refs.iter().filter(|(name, _)| is_rds(name)).map(|(_, id)| *id).collect();
        let refs = refs.into_iter().map(|(_, id)| id).collect();
        Ok(Self { refs: Reach { tips: refs, all: None }, images: Reach { tips: images, all: None } })
    }

    fn contains(&mut self, store: &Store, id: &Id) -> Result<bool> {
        self.refs.contains(store, id)
    }

    fn is_of_image(&mut self, store: &Store, id: &Id) -> Result<bool> {
        self.images.contains(store, id)
    }
}

impl Reach {
    fn contains(&mut self, store: &Store, id: &Id) -> Result<bool> {
        if self.tips.contains(id) {
            return Ok(true);
        }
        if self.all.is_none() {
            let mut commits = Vec::new();
            for id in &self.tips {
                let object = store.repo().find_object(*id).map_err(Error::git(format!("read object {id}")))?;
                commits.extend(object.peel_to_kind(Kind::Commit).ok().map(|commit| commit.id));
            }
            self.all = Some(Ancestry::new(store).reachable(commits)?);
        }
        Ok(self.all.as_ref().is_some_and(|all| all.contains(id)))
    }
}

/// The new commits, each before its parents.
fn order(tips: &[Id], about: &HashMap<Id, About>) -> Vec<Id> {
    let mut children: HashMap<Id, usize> = HashMap::new();
    about.values().flat_map(|about| &about.parents).for_each(|parent| *children.entry(*parent).or_default() += 1);
    let mut order = Vec::with_capacity(about.len());
    let ready: HashSet<Id> = tips.iter().filter(|id| !children.contains_key(*id)).copied().collect();
    let mut ready: Vec<Id> = ready.into_iter().collect();
    while let Some(id) = ready.pop() {
        let Some(about) = about.get(&id) else { continue };
        order.push(id);
        for parent in &about.parents {
            let left = children.entry(*parent).or_default();
            *left = left.saturating_sub(1);
            if *left == 0 {
                ready.push(*parent);
            }
        }
    }
    order
}

//! Histories: the commits that some revisions reach and others don't, in git's order.

use std::collections::{HashMap, HashSet};

use gix::bstr::BString;

use crate::diff::{Options, Side, compare};
use crate::walk::{self, Order, Tip, flag};
use crate::{Error, Id, Result, Store};

/// A commit without a look at its tree, which needn't be one of rd.
#[derive(Debug, Clone)]
pub struct Header {
    /// Its id.
    pub id: Id,
    /// Its tree's id.
    pub tree: Id,
    /// Its parents.
    pub parents: Vec<Id>,
    /// Who made the change, and when.
    pub author: gix::actor::Signature,
    /// Who wrote it into the store, and when.
    pub committer: gix::actor::Signature,
    /// What was done.
    pub message: BString,
}

/// Where a walk begins and ends, and its order.
#[derive(Debug, Clone, Default)]
pub struct Walk {
    /// The commits to begin with.
    pub tips: Vec<Id>,
    /// What these reach is left out, themselves included.
    pub hidden: Vec<Id>,
    /// Follow the first parents alone.
    pub first_parent: bool,
    /// No commit before all its children, and lines of history not mixed; else by date.
    pub topological: bool,
}

impl Walk {
    /// The commits, the newest first; of those with the same date, which a script makes many of, those that were
    /// reached first, as git has it.
    pub fn commits<'s>(&self, store: &'s Store) -> Result<Commits<'s>> {
        let tip = |flags: u16| move |id: &Id| Tip { id: *id, flags, path: BString::default() };
        let hidden = self.hidden.iter().map(tip(flag::UNINTERESTING | flag::BOTTOM));
        let tips: Vec<Tip> = self.tips.iter().map(tip(0)).chain(hidden).collect();
        let options = walk::Options {
            first_parent: self.first_parent,
            order: if self.topological { Order::Topological } else { Order::Date },
            ..Default::default()
        };
        Ok(Commits { store, walk: walk::Walk::new(store, options, &tips)? })
    }
}

/// The commits of a walk.
pub struct Commits<'s> {
    store: &'s Store,
    walk: walk::Walk<'s>,
}

impl Iterator for Commits<'_> {
    type Item = Result<Header>;

    fn next(&mut self) -> Option<Self::Item> {
        let number = self.walk.advance().transpose()?;
        Some(number.and_then(|number| self.store.read_header(&self.walk.graph().at(number).id)))
    }
}

impl Store {
    /// Read the commit `id` without its tree.
    pub fn read_header(&self, id: &Id) -> Result<Header> {
        let data = self.read_object(id, gix::objs::Kind::Commit)?;
        let bad = |error: &dyn std::fmt::Display| Error::damaged(format!("commit {id}"), error.to_string());
        let commit = gix::objs::CommitRef::from_bytes(&data, gix::hash::Kind::Sha256).map_err(|e| bad(&e))?;
        let owned = |who: gix::actor::SignatureRef<'_>| who.to_owned().map_err(|e| bad(&e));
        Ok(Header {
            id: *id,
            tree: commit.tree(),
            parents: commit.parents().collect(),
            author: owned(commit.author().map_err(|e| bad(&e))?)?,
            committer: owned(commit.committer().map_err(|e| bad(&e))?)?,
            message: commit.message.to_owned(),
        })
    }
}

/// Whether the commit changed something that `options` look at, compared with its first parent.
pub fn touches(store: &Store, commit: &Header, options: &Options) -> Result<bool> {
    let side = |tree: &Id| store.read_state(tree).map(|state| Side::Stored(state.root));
    let before = match commit.parents.first() {
        Some(parent) => side(&store.read_header(parent)?.tree)?,
        None => Side::Empty,
    };
    Ok(!compare(store, before, side(&commit.tree)?, options)?.is_empty())
}

/// The parents, or the first one alone, that each of `listed` has within the list, where commits between them are
/// left out: for drawing.
pub fn listed_parents(store: &Store, listed: &[Id], first_parent: bool) -> Result<HashMap<Id, Vec<Id>>> {
    let is_listed: HashSet<Id> = listed.iter().copied().collect();
    let mut memo = HashMap::new();
    let mut parents = HashMap::with_capacity(listed.len());
    for id in listed {
        let mut found = Vec::new();
        let all = store.read_header(id)?.parents;
        for parent in all.into_iter().take(if first_parent { 1 } else { usize::MAX }) {
            for next in nearest(store, parent, &is_listed, &mut memo)? {
                if !found.contains(&next) {
                    found.push(next);
                }
            }
        }
        parents.insert(*id, found);
    }
    Ok(parents)
}

/// The nearest listed commits that `id` is or reaches by unlisted ones.
fn nearest(store: &Store, id: Id, listed: &HashSet<Id>, memo: &mut HashMap<Id, Vec<Id>>) -> Result<Vec<Id>> {
    let mut stack = vec![id];
    let mut seen = HashSet::new();
    let mut found = Vec::new();
    while let Some(next) = stack.pop() {
        if listed.contains(&next) {
            found.push(next);
        } else if let Some(known) = memo.get(&next) {
            found.extend(known.iter().copied());
        } else if seen.insert(next) {
            stack.extend(store.read_header(&next)?.parents.into_iter().rev());
        }
    }
    memo.insert(id, found.clone());
    Ok(found)
}

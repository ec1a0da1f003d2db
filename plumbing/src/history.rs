//! Histories: the commits that some revisions reach and others don't, in git's order.

use std::collections::HashMap;

use gix::bstr::BString;
use gix::traverse::commit::simple::CommitTimeOrder;
use gix::traverse::commit::topo;

use crate::diff::{Options, Side, compare};
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
    /// The ids of the commits, the newest first.
    pub fn ids<'s>(&self, store: &'s Store) -> Result<Box<dyn Iterator<Item = Result<Id>> + 's>> {
        let failed = || Error::git("walk the history");
        if self.topological {
            let parents = match self.first_parent {
                true => gix::traverse::commit::Parents::First,
                false => gix::traverse::commit::Parents::All,
            };
            let walk = topo::Builder::from_iters(&store.repo().objects, self.tips.clone(), Some(self.hidden.clone()))
                .sorting(topo::Sorting::TopoOrder)
                .parents(parents)
                .build();
            return Ok(Box::new(walk.map_err(failed())?.map(move |info| Ok(info.map_err(failed())?.id))));
        }
        let sorting = gix::revision::walk::Sorting::ByCommitTime(CommitTimeOrder::NewestFirst);
        let walk = store.repo().rev_walk(self.tips.clone()).with_hidden(self.hidden.clone()).sorting(sorting);
        let walk = if self.first_parent { walk.first_parent_only() } else { walk };
        Ok(Box::new(walk.all().map_err(failed())?.map(move |info| Ok(info.map_err(failed())?.id))))
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
    let is_listed: std::collections::HashSet<Id> = listed.iter().copied().collect();
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
fn nearest(
    store: &Store,
    id: Id,
    listed: &std::collections::HashSet<Id>,
    memo: &mut HashMap<Id, Vec<Id>>,
) -> Result<Vec<Id>> {
    let mut stack = vec![id];
    let mut seen = std::collections::HashSet::new();
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

//! Histories: the commits that some revisions reach and others don't, in git's order.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

use gix::bstr::BString;

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
    /// The commits, the newest first; of those with the same date, which a script makes many of, those that were
    /// reached first, as git has it. (gix leaves that order open.)
    pub fn commits<'s>(&self, store: &'s Store) -> Result<Box<dyn Iterator<Item = Result<Header>> + 's>> {
        let mut by_date = ByDate {
            store,
            first_parent: self.first_parent,
            allowed: self.allowed(store)?,
            seen: HashSet::new(),
            queue: BinaryHeap::new(),
            waiting: HashMap::new(),
        };
        for tip in &self.tips {
            by_date.push(*tip)?;
        }
        if !self.topological {
            return Ok(Box::new(by_date));
        }
        let commits = by_date.collect::<Result<Vec<_>>>()?;
        Ok(Box::new(in_topological_order(commits, self.first_parent).into_iter().map(Ok)))
    }

    /// What isn't hidden; `None` where nothing is.
    fn allowed(&self, store: &Store) -> Result<Option<HashSet<Id>>> {
        if self.hidden.is_empty() {
            return Ok(None);
        }
        let failed = || Error::git("walk the history");
        let walk = store.repo().rev_walk(self.tips.clone()).with_hidden(self.hidden.clone()).all().map_err(failed())?;
        walk.map(|info| Ok(info.map_err(failed())?.id)).collect::<Result<_>>().map(Some)
    }
}

/// A walk in the order of dates.
struct ByDate<'s> {
    store: &'s Store,
    first_parent: bool,
    allowed: Option<HashSet<Id>>,
    seen: HashSet<Id>,
    /// Date, and the number that says who came first.
    queue: BinaryHeap<(i64, Reverse<usize>)>,
    waiting: HashMap<usize, Header>,
}

impl ByDate<'_> {
    fn push(&mut self, id: Id) -> Result<()> {
        if self.allowed.as_ref().is_some_and(|allowed| !allowed.contains(&id)) || !self.seen.insert(id) {
            return Ok(());
        }
        let header = self.store.read_header(&id)?;
        let number = self.seen.len();
        self.queue.push((header.committer.time.seconds, Reverse(number)));
        self.waiting.insert(number, header);
        Ok(())
    }

    fn pop(&mut self) -> Result<Option<Header>> {
        let Some((_, Reverse(number))) = self.queue.pop() else { return Ok(None) };
        let header = self.waiting.remove(&number).expect("because what is queued waits");
        for parent in header.walked_parents(self.first_parent) {
            self.push(*parent)?;
        }
        Ok(Some(header))
    }
}

impl Iterator for ByDate<'_> {
    type Item = Result<Header>;

    fn next(&mut self) -> Option<Self::Item> {
        self.pop().transpose()
    }
}

/// No commit before all its children in the list, and each line of history in one piece: what has no child left is shown
/// at once, the last parent of a merge first.
fn in_topological_order(commits: Vec<Header>, first_parent: bool) -> Vec<Header> {
    let mut children: HashMap<Id, usize> = commits.iter().map(|commit| (commit.id, 0)).collect();
    for parent in commits.iter().flat_map(|commit| commit.walked_parents(first_parent)) {
        if let Some(count) = children.get_mut(parent) {
            *count += 1;
        }
    }
    let mut ready: Vec<Id> = commits.iter().rev().map(|commit| commit.id).filter(|id| children[id] == 0).collect();
    let mut by_id: HashMap<Id, Header> = commits.into_iter().map(|commit| (commit.id, commit)).collect();
    let mut ordered = Vec::with_capacity(by_id.len());
    while let Some(commit) = ready.pop().and_then(|id| by_id.remove(&id)) {
        for parent in commit.walked_parents(first_parent) {
            if let Some(count) = children.get_mut(parent) {
                *count -= 1;
                if *count == 0 {
                    ready.push(*parent);
                }
            }
        }
        ordered.push(commit);
    }
    ordered
}

impl Header {
    fn walked_parents(&self, first_parent: bool) -> &[Id] {
        if first_parent { &self.parents[..self.parents.len().min(1)] } else { &self.parents }
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

//! The name of a commit by the nearest tag before it, as git-describe(1) works it out.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

use gix::bstr::{BStr, BString, ByteSlice, ByteVec};
use gix::objs::{Kind, TreeRefIter};

use crate::ancestry::Ancestry;
use crate::{Error, Id, Result, Store, history};

/// How good a name is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// A ref that is no tag.
    Ref,
    /// A tag without an object of its own.
    Lightweight,
    /// A tag object.
    Annotated,
}

/// A name that a commit has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// How it is shown.
    pub text: BString,
    /// How good it is.
    pub rank: Rank,
    /// The tag object, of an annotated tag.
    pub tag: Option<Id>,
}

/// How to look.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Names worse than this don't count.
    pub least: Rank,
    /// How many candidates are weighed; with none only a commit's own name is taken.
    pub candidates: usize,
    /// Follow first parents alone.
    pub first_parent: bool,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The commit itself has the name.
    Exact(Name),
    /// So many commits are in it that are not in the one that has the name.
    After(Name, usize),
    /// Nothing counts; whether names were seen that are not good enough.
    Nothing {
        /// There were tags without objects of their own.
        unannotated: bool,
    },
}

/// Where a blob came in: the first commit before `tip` in whose tree it is, and its path there.
pub fn find_blob(store: &Store, tip: Id, blob: Id) -> Result<Option<(Id, BString)>> {
    let commits =
        history::Walk { tips: vec![tip], ..history::Walk::default() }.commits(store)?.collect::<Result<Vec<_>>>()?;
    let mut seen = HashSet::new();
    for commit in commits.iter().rev() {
        if let Some(path) = path_of(store, commit.tree, blob, b"".as_bstr(), &mut seen)? {
            return Ok(Some((commit.id, path)));
        }
    }
    Ok(None)
}

/// The path of a blob in a tree, if it is there; trees that were seen are passed over.
fn path_of(store: &Store, tree: Id, blob: Id, at: &BStr, seen: &mut HashSet<Id>) -> Result<Option<BString>> {
    if !seen.insert(tree) {
        return Ok(None);
    }
    let data = store.read_object(&tree, Kind::Tree)?;
    for entry in TreeRefIter::from_bytes(&data, gix::hash::Kind::Sha256) {
        let entry = entry.map_err(|error| Error::damaged(format!("tree {tree}"), error.to_string()))?;
        let mut path: BString = at.to_owned();
        path.push_str(entry.filename);
        if entry.oid == blob {
            return Ok(Some(path));
        }
        if entry.mode.is_tree() {
            path.push(b'/');
            if let Some(found) = path_of(store, entry.oid.to_owned(), blob, path.as_bstr(), seen)? {
                return Ok(Some(found));
            }
        }
    }
    Ok(None)
}

/// A name that was met on the way back.
struct Candidate {
    name: Name,
    depth: usize,
    /// The sign of commits that it reaches.
    within: u64,
}

/// Commits by date, the youngest first; those of one moment in the order in which they were put in.
#[derive(Default)]
struct Queue {
    heap: BinaryHeap<(i64, Reverse<usize>, Id)>,
    count: usize,
}

impl Queue {
    fn push(&mut self, seconds: i64, id: Id) {
        self.count += 1;
        self.heap.push((seconds, Reverse(self.count), id));
    }

    fn pop(&mut self) -> Option<Id> {
        self.heap.pop().map(|(_, _, id)| id)
    }
}

/// The most candidates there can be: as many as there are signs.
pub const MOST_CANDIDATES: usize = 26;

/// Describe `commit` by the `names` of commits.
pub fn describe(
    ancestry: &mut Ancestry<'_>,
    names: &HashMap<Id, Name>,
    commit: Id,
    options: Options,
) -> Result<Outcome> {
    if let Some(name) = names.get(&commit).filter(|name| name.rank >= options.least) {
        return Ok(Outcome::Exact(name.clone()));
    }
    let mut walk =
        Walk { ancestry, first_parent: options.first_parent, signs: HashMap::new(), queue: Queue::default(), seen: 0 };
    walk.begin(commit)?;
    let mut candidates: Vec<Candidate> = Vec::new();
    let (mut unannotated, mut annotated) = (false, false);
    let mut gave_up = None;
    while let Some(id) = walk.queue.pop() {
        walk.seen += 1;
        match names.get(&id) {
            Some(name) if name.rank < options.least => unannotated = true,
            Some(_) if candidates.len() >= options.candidates.min(MOST_CANDIDATES) => {
                gave_up = Some(id);
                break;
            }
            Some(name) => {
                let within = 1 << candidates.len();
                candidates.push(Candidate { name: name.clone(), depth: walk.seen - 1, within });
                walk.mark(id, within);
                annotated |= name.rank == Rank::Annotated;
            }
            None => {}
        }
        let signs = walk.signs[&id];
        candidates
            .iter_mut()
            .filter(|candidate| signs & candidate.within == 0)
            .for_each(|candidate| candidate.depth += 1);
        if annotated && walk.queue.heap.is_empty() {
            let best = candidates.iter().map(|candidate| candidate.depth).min();
            let within = candidates.iter().filter(|c| Some(c.depth) == best).fold(0, |all, c| all | c.within);
            if signs & within == within {
                break;
            }
        }
        walk.follow(id, signs)?;
    }
    // A stable sort: of the same depth the one that was met first.
    candidates.sort_by_key(|candidate| candidate.depth);
    let Some(mut best) = candidates.into_iter().next() else { return Ok(Outcome::Nothing { unannotated }) };
    if let Some(id) = gave_up {
        let seconds = walk.ancestry.node(&id)?.seconds;
        walk.queue.push(seconds, id);
    }
    walk.finish(&mut best)?;
    Ok(Outcome::After(best.name, best.depth))
}

struct Walk<'a, 's> {
    ancestry: &'a mut Ancestry<'s>,
    first_parent: bool,
    /// Of each commit that was met, by which candidates it is reached.
    signs: HashMap<Id, u64>,
    queue: Queue,
    seen: usize,
}

impl Walk<'_, '_> {
    fn begin(&mut self, id: Id) -> Result<()> {
        let seconds = self.ancestry.node(&id)?.seconds;
        self.signs.insert(id, 0);
        self.queue.push(seconds, id);
        Ok(())
    }

    fn mark(&mut self, id: Id, signs: u64) {
        *self.signs.entry(id).or_default() |= signs;
    }

    /// Go on with the parents, which inherit the signs.
    fn follow(&mut self, id: Id, signs: u64) -> Result<()> {
        let node = self.ancestry.node(&id)?;
        let most = if self.first_parent { 1 } else { usize::MAX };
        for parent in node.parents.iter().take(most) {
            if !self.signs.contains_key(parent) {
                self.begin(*parent)?;
            }
            self.mark(*parent, signs);
        }
        Ok(())
    }

    /// Count what the best candidate doesn't reach, until it reaches all that is left.
    fn finish(&mut self, best: &mut Candidate) -> Result<()> {
        while let Some(id) = self.queue.pop() {
            let signs = self.signs[&id];
            if signs & best.within == 0 {
                best.depth += 1;
            } else if self.queue.heap.iter().all(|(_, _, id)| self.signs[id] & best.within != 0) {
                break;
            }
            // All parents, also where only the first ones were followed before.
            let first_parent = std::mem::replace(&mut self.first_parent, false);
            self.follow(id, signs)?;
            self.first_parent = first_parent;
        }
        Ok(())
    }
}

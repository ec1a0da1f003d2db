//! Who descends from whom: the parents and dates of commits, each read once.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use gix::bstr::ByteSlice;

use crate::{Error, Id, Result, Store};

/// What a walk needs of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its parents.
    pub parents: Vec<Id>,
    /// The committer's date, in seconds since 1970.
    pub seconds: i64,
}

/// Commits that were looked at so far.
pub struct Ancestry<'s> {
    store: &'s Store,
    known: HashMap<Id, Rc<Node>>,
}

impl<'s> Ancestry<'s> {
    /// Nothing was looked at yet.
    pub fn new(store: &'s Store) -> Self {
        Self { store, known: HashMap::new() }
    }

    /// The commit `id`.
    pub fn node(&mut self, id: &Id) -> Result<Rc<Node>> {
        if let Some(node) = self.known.get(id) {
            return Ok(node.clone());
        }
        let data = self.store.read_object(id, gix::objs::Kind::Commit)?;
        let node = Rc::new(parse(&data).ok_or_else(|| Error::damaged(format!("commit {id}"), "its header is none"))?);
        self.known.insert(*id, node.clone());
        Ok(node)
    }

    /// All that `tips` reach, themselves included.
    pub fn reachable(&mut self, tips: impl IntoIterator<Item = Id>) -> Result<HashSet<Id>> {
        let mut seen = HashSet::new();
        let mut waiting: Vec<Id> = tips.into_iter().filter(|id| seen.insert(*id)).collect();
        while let Some(id) = waiting.pop() {
            for parent in &self.node(&id)?.parents {
                if seen.insert(*parent) {
                    waiting.push(*parent);
                }
            }
        }
        Ok(seen)
    }
}

/// Which commits reach one of some others; what was found out of one tip serves the next.
pub struct Contains {
    answers: HashMap<Id, bool>,
}

impl Contains {
    /// Ask for commits that reach one of `wanted` or are one.
    pub fn new(wanted: impl IntoIterator<Item = Id>) -> Self {
        Self { answers: wanted.into_iter().map(|id| (id, true)).collect() }
    }

    /// Whether `tip` does.
    pub fn asks(&mut self, ancestry: &mut Ancestry<'_>, tip: Id) -> Result<bool> {
        // Children stay on the stack until their parents are known.
        let mut stack = vec![tip];
        while let Some(id) = stack.last().copied() {
            if self.answers.contains_key(&id) {
                stack.pop();
                continue;
            }
            let node = ancestry.node(&id)?;
            let known = |parent: &Id| self.answers.get(parent).copied();
            if node.parents.iter().any(|parent| known(parent) == Some(true)) {
                self.answers.insert(id, true);
            } else if let Some(next) = node.parents.iter().find(|parent| known(parent).is_none()) {
                stack.push(*next);
            } else {
                self.answers.insert(id, false);
            }
        }
        Ok(self.answers[&tip])
    }
}

fn parse(data: &[u8]) -> Option<Node> {
    let mut parents = Vec::new();
    for line in data.lines() {
        if let Some(hex) = line.strip_prefix(b"parent ") {
            parents.push(Id::from_hex(hex).ok()?);
        } else if let Some(who) = line.strip_prefix(b"committer ") {
            let time = &who[who.rfind_byte(b'>')? + 1..];
            let seconds = time.split_str(" ").find(|word| !word.is_empty());
            // git takes what it can't read for the beginning of time.
            let seconds = seconds.and_then(|word| word.to_str().ok()?.parse().ok()).unwrap_or(0);
            return Some(Node { parents, seconds });
        } else if line.is_empty() {
            break;
        }
    }
    None
}

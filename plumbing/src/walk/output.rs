//! Asking a walk for one commit after the other.

use std::collections::VecDeque;

use gix::hashtable::HashSet;
use gix::objs::{Kind, TreeRefIter};

use super::graph::Number;
use super::{Options, Walk, flag, order};
use crate::{Id, Result, Store};

/// How far the output is.
pub(super) struct State {
    left: Option<usize>,
    skip: usize,
    stage: Stage,
    /// Parents of what was shown.
    boundary: Vec<Number>,
    /// Trees, blobs and tags that are done with, or left out.
    pub(super) done: HashSet<Id>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Stage {
    Commits,
    Boundary,
    Reversed(Vec<Number>),
}

impl State {
    pub(super) fn new(options: &Options) -> Self {
        let (boundary, done) = (Vec::new(), HashSet::default());
        Self { left: options.max_count, skip: options.skip, stage: Stage::Commits, boundary, done }
    }

    /// Leave out a blob.
    pub(super) fn hide_blob(&mut self, id: Id) {
        self.done.insert(id);
    }

    /// Leave out a tree and all that is in it.
    pub(super) fn hide_tree(&mut self, store: &Store, id: &Id) -> Result<()> {
        let mut waiting = vec![*id];
        while let Some(id) = waiting.pop() {
            if !self.done.insert(id) || store.find_header(&id)?.is_none() {
                continue;
            }
            let data = store.read_object(&id, Kind::Tree)?;
            for entry in TreeRefIter::from_bytes(&data, gix::hash::Kind::Sha256).filter_map(|entry| entry.ok()) {
                if entry.mode.is_tree() {
                    waiting.push(entry.oid.to_owned());
                } else if !entry.mode.is_commit() {
                    self.done.insert(entry.oid.to_owned());
                }
            }
        }
        Ok(())
    }
}

impl Walk<'_> {
    /// The next commit of the result; `None` at its end.
    pub fn advance(&mut self) -> Result<Option<Number>> {
        if self.options.reverse {
            self.options.reverse = false;
            let mut all = Vec::new();
            while let Some(number) = self.next_in_order()? {
                all.push(number);
            }
            self.output.stage = Stage::Reversed(all);
        }
        match &mut self.output.stage {
            Stage::Reversed(all) => Ok(all.pop()),
            _ => self.next_in_order(),
        }
    }

    fn next_in_order(&mut self) -> Result<Option<Number>> {
        if self.output.stage == Stage::Commits {
            if let Some(number) = self.next_counted()? {
                self.graph.at_mut(number).flags |= flag::SHOWN;
                if self.options.boundary {
                    self.note_boundary(number);
                }
                return Ok(Some(number));
            }
            if !self.options.boundary {
                return Ok(None);
            }
            self.output.stage = Stage::Boundary;
            self.list = self.boundary();
        }
        let next = self.list.pop_front();
        if let Some(number) = next {
            self.graph.at_mut(number).flags |= flag::SHOWN;
        }
        Ok(next)
    }

    /// The next one, where not all that may be shown were.
    fn next_counted(&mut self) -> Result<Option<Number>> {
        if self.output.left == Some(0) {
            return Ok(None);
        }
        let mut found = self.next_shown()?;
        while found.is_some() && self.output.skip > 0 {
            self.output.skip -= 1;
            found = self.next_shown()?;
        }
        if let Some(left) = &mut self.output.left {
            *left -= 1;
        }
        Ok(found)
    }

    fn note_boundary(&mut self, number: Number) {
        for parent in self.graph.at(number).parents.clone() {
            let commit = self.graph.at_mut(parent);
            if !commit.is(flag::CHILD_SHOWN | flag::SHOWN) {
                commit.flags |= flag::CHILD_SHOWN;
                self.output.boundary.push(parent);
            }
        }
    }

    fn boundary(&mut self) -> VecDeque<Number> {
        let mut list = Vec::new();
        for number in std::mem::take(&mut self.output.boundary) {
            let commit = self.graph.at_mut(number);
            if !commit.is(flag::SHOWN | flag::BOUNDARY) {
                commit.flags |= flag::BOUNDARY;
                list.insert(0, number);
            }
        }
        order::topological(&self.graph, &list, self.options.order).into()
    }

    fn next_shown(&mut self) -> Result<Option<Number>> {
        loop {
            let is_listed = self.options.limited || self.options.no_walk;
            let Some(number) = (if is_listed { self.list.pop_front() } else { self.queue.pop() }) else {
                return Ok(None);
            };
            if !self.options.limited {
                let date = self.graph.at(number).date;
                if self.options.since.is_some_and(|since| date < since) {
                    continue;
                }
                match self.options.no_walk {
                    true => self.simplify(number)?,
                    false => self.process_parents(number)?,
                }
            }
            if self.is_shown(number)? {
                if self.options.prunes() && !self.options.sparse && self.options.wants_ancestry() {
                    self.rewrite_parents(number)?;
                }
                return Ok(Some(number));
            }
        }
    }

    fn is_shown(&self, number: Number) -> Result<bool> {
        let (commit, options) = (self.graph.at(number), &self.options);
        let parents = commit.parents.len();
        if commit.is(flag::SHOWN | flag::UNINTERESTING)
            || options.until.is_some_and(|until| commit.date > until)
            || options.since_as_filter.is_some_and(|since| commit.date < since)
            || parents < options.min_parents
            || options.max_parents.is_some_and(|most| parents > most)
        {
            return Ok(false);
        }
        if let Some(filter) = &options.filter
            && !filter(&self.data(number)?)
        {
            return Ok(false);
        }
        if !options.prunes() || options.sparse || !commit.is(flag::TREESAME) {
            return Ok(true);
        }
        if !options.wants_ancestry() {
            return Ok(false);
        }
        if options.show_pulls && commit.is(flag::PULL_MERGE) {
            return Ok(true);
        }
        Ok(commit.parents.iter().filter(|parent| self.graph.at(**parent).is_relevant()).count() > 1)
    }
}

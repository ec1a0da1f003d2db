//! Finding out what belongs to the result, where that takes a look at all that is left out.

use std::collections::VecDeque;

use super::graph::Number;
use super::{Walk, flag};
use crate::{Error, Result};

/// So many commits that are left out are looked at beyond the one where the walk seems to be over: dates may lie.
const SLOP: usize = 5;

impl Walk<'_> {
    /// Go through all that may be shown, and as much of the rest as tells what may not.
    pub(super) fn limit(&mut self) -> Result<()> {
        let bottoms = self.bottoms()?;
        let tips = std::mem::take(&mut self.list);
        for number in tips {
            self.queue.push(self.graph.at(number).date, number);
        }
        let mut interesting = None;
        let (mut slop, mut last_date) = (SLOP, i64::MAX);
        while let Some(number) = self.queue.pop() {
            if interesting == Some(number) {
                interesting = None;
            }
            let date = self.graph.at(number).date;
            if self.options.since.is_some_and(|since| date < since) {
                self.graph.at_mut(number).flags |= flag::UNINTERESTING;
            }
            self.process_parents(number)?;
            if self.graph.at(number).is(flag::UNINTERESTING) {
                self.hide_parents(number);
                slop = self.slop_left(last_date, slop, &mut interesting);
                if slop == 0 {
                    break;
                }
                continue;
            }
            if self.options.until.is_some_and(|until| date > until)
                || self.options.since_as_filter.is_some_and(|since| date < since)
            {
                continue;
            }
            last_date = date;
            self.list.push_back(number);
        }
        if self.options.cherry_mark || self.options.cherry_pick {
            self.find_equal_patches()?;
        }
        if self.options.left_only || self.options.right_only {
            self.limit_to_side();
        }
        if self.options.ancestry_path.is_some() {
            self.limit_to_ancestry(&bottoms);
        }
        if self.options.limiting_matters() {
            for number in self.list.clone() {
                if !self.graph.at(number).is(flag::UNINTERESTING | flag::TREESAME) {
                    self.update_treesame(number);
                }
            }
        }
        Ok(())
    }

    /// How many more commits that are left out to look at.
    fn slop_left(&self, date: i64, slop: usize, interesting: &mut Option<Number>) -> usize {
        let Some((next_date, _, _)) = self.queue.heap.peek() else { return 0 };
        if date <= *next_date {
            return SLOP;
        }
        let is_interesting = |number: Number| !self.graph.at(number).is(flag::UNINTERESTING);
        if interesting.is_some_and(is_interesting) {
            return SLOP;
        }
        *interesting = self.queue.heap.iter().map(|(_, _, number)| *number).find(|number| is_interesting(*number));
        if interesting.is_some() { SLOP } else { slop - 1 }
    }

    /// Look at what the commit has for parents, once.
    pub(super) fn process_parents(&mut self, number: Number) -> Result<()> {
        if self.graph.at(number).is(flag::ADDED) {
            return Ok(());
        }
        self.graph.at_mut(number).flags |= flag::ADDED;
        if self.graph.at(number).is(flag::UNINTERESTING) {
            return self.process_hidden_parents(number);
        }
        self.simplify(number)?;
        if self.options.no_walk {
            return Ok(());
        }
        let passed_on = self.graph.at(number).flags & (flag::LEFT | flag::ANCESTRY_PATH);
        let parents = self.graph.at(number).parents.clone();
        let count = if self.options.first_parent { 1 } else { parents.len() };
        for parent in parents.into_iter().take(count) {
            if !self.graph.try_read(parent)? {
                let id = self.graph.at(parent).id;
                if !self.options.note_missing {
                    return Err(Error::damaged(format!("store: commit {id}"), "the object is missing"));
                }
                self.missing.push(id);
                continue;
            }
            self.graph.at_mut(parent).flags |= passed_on;
            self.see(parent);
        }
        Ok(())
    }

    fn process_hidden_parents(&mut self, number: Number) -> Result<()> {
        let parents = self.graph.at(number).parents.clone();
        let count = if self.options.exclude_first_parent { 1 } else { parents.len() };
        for parent in parents.into_iter().take(count) {
            self.graph.at_mut(parent).flags |= flag::UNINTERESTING;
            if self.graph.try_read(parent)? {
                self.hide_parents(parent);
                self.see(parent);
            }
        }
        Ok(())
    }

    /// Queue a commit, unless that happened before.
    fn see(&mut self, number: Number) {
        if !self.graph.at(number).is(flag::SEEN) {
            self.graph.at_mut(number).flags |= flag::SEEN;
            self.queue.push(self.graph.at(number).date, number);
        }
    }

    /// Leave out the parents, and what they are known to reach.
    pub(super) fn hide_parents(&mut self, number: Number) {
        let first_only = self.options.exclude_first_parent;
        let parents = |walk: &Self, number: Number| -> Vec<Number> {
            let parents = &walk.graph.at(number).parents;
            parents.iter().copied().take(if first_only { 1 } else { usize::MAX }).collect()
        };
        let mut waiting = parents(self, number);
        while let Some(next) = waiting.pop() {
            if !self.graph.at(next).is(flag::UNINTERESTING) {
                self.graph.at_mut(next).flags |= flag::UNINTERESTING;
                waiting.extend(parents(self, next));
            }
        }
    }

    /// The commits that an ancestry path must touch.
    fn bottoms(&mut self) -> Result<Vec<Number>> {
        let Some(named) = &self.options.ancestry_path else { return Ok(Vec::new()) };
        if named.is_empty() {
            let bottoms: Vec<Number> =
                self.list.iter().copied().filter(|number| self.graph.at(*number).is(flag::BOTTOM)).collect();
            if bottoms.is_empty() {
                return Err(Error::Invalid {
                    what: "revisions",
                    input: "--ancestry-path".into(),
                    why: "--ancestry-path given but there are no bottom commits".into(),
                });
            }
            return Ok(bottoms);
        }
        let mut bottoms = Vec::new();
        for id in named {
            let number = self.graph.number(*id);
            self.graph.at_mut(number).flags |= flag::ANCESTRY_PATH;
            bottoms.push(number);
        }
        Ok(bottoms)
    }

    fn limit_to_ancestry(&mut self, bottoms: &[Number]) {
        for bottom in bottoms {
            self.graph.at_mut(*bottom).flags |= flag::MARK;
        }
        let mut progress = true;
        while progress {
            progress = false;
            for number in self.list.iter().rev() {
                let commit = self.graph.at(*number);
                let leads = |parent: &Number| self.graph.at(*parent).is(flag::MARK);
                if !commit.is(flag::MARK | flag::UNINTERESTING) && commit.parents.iter().any(leads) {
                    self.graph.at_mut(*number).flags |= flag::MARK;
                    progress = true;
                }
            }
        }
        for number in &self.list {
            if !self.graph.at(*number).is(flag::MARK | flag::ANCESTRY_PATH) {
                self.graph.at_mut(*number).flags |= flag::UNINTERESTING;
            }
        }
        for number in self.list.iter().chain(bottoms) {
            self.graph.at_mut(*number).flags &= !(flag::MARK | flag::ANCESTRY_PATH);
        }
    }

    fn limit_to_side(&mut self) {
        let list: VecDeque<Number> = self.list.clone();
        for number in list {
            if self.graph.at(number).is(flag::LEFT) == self.options.right_only {
                self.graph.at_mut(number).flags |= flag::SHOWN;
            }
        }
    }
}

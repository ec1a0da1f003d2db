//! Simplification of history: following only what explains how the paths came to be as they are (git-log(1), "History
//! Simplification").

use std::ops::ControlFlow;

use super::graph::Number;
use super::{Walk, flag};
use crate::diff::trees;
use crate::{Id, Result};

/// How a commit's tree differs from a parent's, as far as it is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Difference {
    Same,
    /// Only new files.
    New,
    Other,
}

impl Walk<'_> {
    /// Compare the commit with its parents; where one explains all, forget the others.
    pub(super) fn simplify(&mut self, number: Number) -> Result<()> {
        if !self.options.prunes() {
            return Ok(());
        }
        let parents = self.graph.at(number).parents.clone();
        if parents.is_empty() {
            if self.is_empty_tree(number)? {
                self.graph.at_mut(number).flags |= flag::TREESAME;
            }
            return Ok(());
        }
        if self.options.sparse && parents.len() == 1 {
            return Ok(());
        }
        let (mut relevant, mut changed, mut changed_elsewhere) = (false, false, false);
        let mut same = None;
        for (nth, parent) in parents.iter().enumerate() {
            let is_relevant = self.graph.at(*parent).is_relevant();
            relevant |= is_relevant;
            if nth == 1 {
                if self.options.first_parent {
                    break;
                }
                let commit = self.graph.at(number);
                let keeps = self.same_as_parent.is_some() && !self.options.simplifies_history();
                if keeps && !commit.is(flag::UNINTERESTING) {
                    let mut list = vec![false; parents.len()];
                    list[0] = !changed && !changed_elsewhere;
                    same = Some(list);
                }
            }
            self.graph.read(*parent)?;
            match self.compare(*parent, number)? {
                Difference::Same if self.options.simplifies_history() && self.graph.at(*parent).is_relevant() => {
                    let commit = self.graph.at_mut(number);
                    commit.parents = vec![*parent];
                    if !self.options.show_pulls || nth == 0 {
                        commit.flags |= flag::TREESAME;
                    }
                    return Ok(());
                }
                Difference::Same => {
                    if let Some(same) = &mut same {
                        same[nth] = true;
                    }
                }
                difference => {
                    if difference == Difference::New && self.options.remove_empty && self.is_empty_tree(*parent)? {
                        self.graph.at_mut(*parent).parents.clear();
                    }
                    if is_relevant {
                        changed = true;
                    } else {
                        changed_elsewhere = true;
                    }
                    if nth == 0 {
                        self.graph.at_mut(number).flags |= flag::PULL_MERGE;
                    }
                }
            }
        }
        if let (Some(same), Some(all)) = (same, &mut self.same_as_parent) {
            all.insert(number, same);
        }
        if if relevant { !changed } else { !changed_elsewhere } {
            self.graph.at_mut(number).flags |= flag::TREESAME;
        }
        Ok(())
    }

    fn compare(&self, parent: Number, commit: Number) -> Result<Difference> {
        let (old, new) = (self.graph.at(parent), self.graph.at(commit));
        if let Some(decorated) = &self.options.decorated {
            if decorated.contains(&new.id) {
                return Ok(Difference::Other);
            }
            if self.options.paths.is_empty() {
                return Ok(Difference::Same);
            }
        }
        self.compare_trees(Some(&old.tree), &new.tree)
    }

    fn compare_trees(&self, before: Option<&Id>, after: &Id) -> Result<Difference> {
        if before == Some(after) {
            return Ok(Difference::Same);
        }
        let options = trees::Options { recursive: true, paths: self.options.paths.clone(), ..Default::default() };
        let mut found = Difference::Same;
        let remove_empty = self.options.remove_empty;
        let _ = trees::visit(self.graph.store(), before, Some(after), &options, &mut |change| {
            let is_new = change.before.is_none();
            found = if is_new && found != Difference::Other { Difference::New } else { Difference::Other };
            if remove_empty && found == Difference::New { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        Ok(found)
    }

    /// Whether the commit has none of the paths.
    pub(super) fn is_empty_tree(&self, number: Number) -> Result<bool> {
        Ok(self.compare_trees(None, &self.graph.at(number).tree)? == Difference::Same)
    }

    /// Find out anew whether a merge changes anything, now that it is known what is left out.
    pub(super) fn update_treesame(&mut self, number: Number) {
        let commit = self.graph.at(number);
        let Some(same) = self.same_as_parent.as_ref().and_then(|all| all.get(&number)) else { return };
        if commit.parents.len() < 2 {
            return;
        }
        let relevant = |parent: &Number| self.graph.at(*parent).is_relevant();
        let any_relevant = commit.parents.iter().any(relevant);
        let mut pairs = commit.parents.iter().zip(same);
        let changed = pairs.any(|(parent, same)| !same && (relevant(parent) == any_relevant));
        let commit = self.graph.at_mut(number);
        commit.flags = if changed { commit.flags & !flag::TREESAME } else { commit.flags | flag::TREESAME };
    }

    /// The one parent that a commit which changes nothing stands for.
    pub(super) fn one_relevant_parent(&self, number: Number) -> Option<Number> {
        let parents = &self.graph.at(number).parents;
        if self.options.first_parent || parents.len() == 1 {
            return parents.first().copied();
        }
        let mut relevant = parents.iter().copied().filter(|parent| self.graph.at(*parent).is_relevant());
        let first = relevant.next();
        if relevant.next().is_some() { None } else { first }
    }

    /// Replace each parent by the nearest commit that is shown.
    pub(super) fn rewrite_parents(&mut self, number: Number) -> Result<()> {
        let mut rewritten = Vec::new();
        for parent in self.graph.at(number).parents.clone() {
            let found = self.rewrite(parent)?;
            if let Some(found) = found.filter(|found| !rewritten.contains(found)) {
                rewritten.push(found);
            }
        }
        self.graph.at_mut(number).parents = rewritten;
        Ok(())
    }

    fn rewrite(&mut self, mut number: Number) -> Result<Option<Number>> {
        loop {
            if !self.options.limited {
                self.process_parents(number)?;
            }
            let commit = self.graph.at(number);
            if commit.is(flag::UNINTERESTING) || !commit.is(flag::TREESAME) {
                return Ok(Some(number));
            }
            if commit.parents.is_empty() {
                return Ok(None);
            }
            match self.one_relevant_parent(number) {
                Some(parent) => number = parent,
                None => return Ok(Some(number)),
            }
        }
    }
}

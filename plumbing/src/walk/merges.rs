//! Leaving out merges that explain nothing (`--simplify-merges`).

use std::collections::HashMap;

use super::graph::Number;
use super::{Walk, bases, flag};
use crate::Result;

impl Walk<'_> {
    /// Replace each commit that changes nothing by what it stands for, and its children's parents with it.
    pub(super) fn simplify_merges(&mut self) -> Result<()> {
        if !self.options.prunes() {
            return Ok(());
        }
        let mut stands_for: HashMap<Number, Number> = HashMap::new();
        let mut waiting: Vec<Number> = self.list.iter().rev().copied().collect();
        while !waiting.is_empty() {
            let mut later = Vec::new();
            for number in std::mem::take(&mut waiting) {
                self.simplify_one(number, &mut stands_for, &mut later)?;
            }
            waiting = later;
        }
        self.list.retain(|number| stands_for.get(number) == Some(number));
        Ok(())
    }

    fn simplify_one(
        &mut self,
        number: Number,
        stands_for: &mut HashMap<Number, Number>,
        later: &mut Vec<Number>,
    ) -> Result<()> {
        if stands_for.contains_key(&number) {
            return Ok(());
        }
        let commit = self.graph.at(number);
        if commit.is(flag::UNINTERESTING) || commit.parents.is_empty() {
            stands_for.insert(number, number);
            return Ok(());
        }
        let followed = if self.options.first_parent { 1 } else { commit.parents.len() };
        let unknown: Vec<Number> =
            commit.parents.iter().take(followed).copied().filter(|parent| !stands_for.contains_key(parent)).collect();
        if !unknown.is_empty() {
            later.extend(unknown);
            later.push(number);
            return Ok(());
        }
        for parent in self.graph.at_mut(number).parents.iter_mut().take(followed) {
            *parent = stands_for[parent];
        }
        if !self.options.first_parent {
            self.drop_repeated_parents(number)?;
            if self.graph.at(number).parents.len() > 1 {
                self.drop_redundant_parents(number)?;
            }
        }
        let commit = self.graph.at(number);
        let stays = commit.parents.is_empty()
            || !commit.is(flag::TREESAME)
            || (self.options.show_pulls && commit.is(flag::PULL_MERGE));
        let simplified = match self.one_relevant_parent(number).filter(|_| !stays) {
            Some(parent) => stands_for.get(&parent).copied().unwrap_or(parent),
            None => number,
        };
        stands_for.insert(number, simplified);
        Ok(())
    }

    fn drop_repeated_parents(&mut self, number: Number) -> Result<()> {
        let parents = self.graph.at(number).parents.clone();
        let repeated = |nth: usize| parents[..nth].contains(&parents[nth]);
        let dropped: Vec<bool> = (0..parents.len()).map(repeated).collect();
        self.drop_parents(number, &dropped)
    }

    /// Drop parents that another one reaches, and roots without any of the paths.
    fn drop_redundant_parents(&mut self, number: Number) -> Result<()> {
        let parents = self.graph.at(number).parents.clone();
        let independent = bases::independent_of(&mut self.graph, &parents)?;
        let is_bare_root = |parent: Number| {
            let commit = self.graph.at(parent);
            commit.parents.is_empty() && commit.is(flag::TREESAME)
        };
        let mut dropped: Vec<bool> =
            parents.iter().map(|parent| !independent.contains(parent) || is_bare_root(*parent)).collect();
        if let Some(same) = self.same_as_parent.as_ref().and_then(|all| all.get(&number)) {
            let explaining = |wanted: bool| (0..parents.len()).find(|nth| same[*nth] && dropped[*nth] == wanted);
            // What the default simplification would have followed is kept.
            if explaining(false).is_none()
                && let Some(nth) = explaining(true)
            {
                dropped[nth] = false;
            }
        }
        let any = dropped.contains(&true);
        self.drop_parents(number, &dropped)?;
        if any && !self.graph.at(number).is(flag::TREESAME) {
            self.update_treesame(number);
        }
        Ok(())
    }

    fn drop_parents(&mut self, number: Number, dropped: &[bool]) -> Result<()> {
        if !dropped.contains(&true) {
            return Ok(());
        }
        let mut keep = dropped.iter().map(|dropped| !dropped);
        self.graph.at_mut(number).parents.retain(|_| keep.next().unwrap_or(true));
        let same = self.same_as_parent.as_mut().and_then(|all| all.get_mut(&number));
        let only = same.and_then(|same| {
            let mut keep = dropped.iter().map(|dropped| !dropped);
            same.retain(|_| keep.next().unwrap_or(true));
            (same.len() == 1).then(|| same[0])
        });
        let is_same = match self.graph.at(number).parents.len() {
            0 => self.is_empty_tree(number)?,
            1 => only.unwrap_or(self.graph.at(number).is(flag::TREESAME)) && !self.options.sparse,
            _ => return Ok(()),
        };
        let commit = self.graph.at_mut(number);
        commit.flags = if is_same { commit.flags | flag::TREESAME } else { commit.flags & !flag::TREESAME };
        Ok(())
    }
}

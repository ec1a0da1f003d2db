//! Commits one after the other, with what they changed where that is asked for.

use std::collections::HashMap;

use plumbing::commit::State;
use plumbing::diff::{Difference, Options, compare_states};
use plumbing::history::Header;
use plumbing::{Id, Store};
use serde_json::Value;

use super::CommitStyle;
use crate::output::changes;
use crate::output::commits::graph::Graph;
use crate::output::commits::names::Names;
use crate::output::commits::{self, Format, Style};
use crate::output::screen::Screen;
use crate::report::Failure;

/// Prints commits and their changes.
pub struct Shower<'a> {
    store: &'a Store,
    commits: Style,
    changes: &'a changes::Style,
    /// What changes are looked for.
    pub options: Options,
    /// Show what a merge changed in its first parent.
    pub merges: bool,
    shown: bool,
}

impl<'a> Shower<'a> {
    /// `json`: commits are to be shown by [`json`](Self::json).
    pub fn new(
        store: &'a Store,
        screen: &Screen,
        flags: &CommitStyle,
        changes: &'a changes::Style,
        json: bool,
    ) -> Result<Self, Failure> {
        let oneline = flags.oneline && flags.format.is_none();
        let format = flags.format.clone().unwrap_or(if oneline { Format::Oneline } else { Format::Medium });
        let decorate = !flags.no_decorate && (flags.decorate || screen.is_terminal());
        let names = if decorate || json || format.wants_names() { Names::read(store)? } else { Names::default() };
        let short_ids = flags.abbrev_commit || oneline;
        let commits = Style { format, date: flags.date, short_ids, abbrev: None, decorate, names };
        Ok(Self { store, commits, changes, options: changes.options(None), merges: false, shown: false })
    }

    /// Print the next commit.
    pub fn print(&mut self, screen: &mut Screen, commit: &Header) -> Result<(), Failure> {
        if self.shown && self.commits.format.has_separators() {
            screen.put("\n")?;
        }
        self.shown = true;
        self.one(screen, commit)
    }

    /// Print the next commit without its changes.
    pub fn header(&mut self, screen: &mut Screen, commit: &Header) -> Result<(), Failure> {
        if self.shown && self.commits.format.has_separators() {
            screen.put("\n")?;
        }
        self.shown = true;
        commits::print(screen, self.store, commit, &self.commits)
    }

    /// The next commit is parted from nothing.
    pub fn restart(&mut self) {
        self.shown = false;
    }

    /// A commit without the separator.
    fn one(&self, screen: &mut Screen, commit: &Header) -> Result<(), Failure> {
        commits::print(screen, self.store, commit, &self.commits)?;
        if !self.changes.shows() {
            return Ok(());
        }
        let difference = self.difference(commit)?;
        if !difference.is_empty() {
            self.part(screen)?;
            changes::print(screen, self.store, &difference, self.changes)?;
        }
        Ok(())
    }

    /// What stands between a commit and its changes.
    pub fn part(&self, screen: &mut Screen) -> Result<(), Failure> {
        if matches!(self.commits.format, Format::Custom { terminated: false, .. }) {
            screen.put("\n")?;
        }
        let both = self.changes.stat && (self.changes.patch || self.changes.unified.is_some());
        match &self.commits.format {
            Format::Oneline => {}
            Format::Custom { text, .. } if text.is_empty() => {}
            _ if both => screen.put("---\n")?,
            _ => screen.put("\n")?,
        }
        Ok(())
    }

    /// What the commit changed in its first parent; nothing for a merge, whose parents' commits say it.
    pub fn difference(&self, commit: &Header) -> Result<Difference, Failure> {
        if commit.parents.len() > 1 && !self.merges {
            return Ok(Difference::default());
        }
        let state = match self.store.read_state(&commit.tree) {
            // An artifact has no files.
            Err(_) if plumbing::artifact::read(self.store, &commit.id)?.is_some() => return Ok(Difference::default()),
            state => state?,
        };
        let mut difference = compare_states(self.store, self.parent_state(commit)?.as_ref(), &state, &self.options)?;
        difference.drop_implied_times();
        Ok(difference)
    }

    fn parent_state(&self, commit: &Header) -> Result<Option<State>, Failure> {
        let Some(parent) = commit.parents.first() else { return Ok(None) };
        Ok(Some(self.store.read_state(&self.store.read_header(parent)?.tree)?))
    }

    /// Print the next commit as JSON.
    pub fn json(&mut self, screen: &mut Screen, commit: &Header) -> Result<(), Failure> {
        let mut object = commits::json(commit, &self.commits.names);
        if self.changes.shows() {
            let changes: Vec<Value> = changes::json_objects(&self.difference(commit)?).collect();
            object["changes"] = changes.into();
        }
        Ok(screen.put(format!("{object}\n"))?)
    }

    /// Print commits with the graph beside them.
    ///
    /// `rewritten` are the parents to draw, where they aren't the commits' own.
    pub fn graph(
        &mut self,
        screen: &mut Screen,
        listed: &[Header],
        rewritten: Option<&HashMap<Id, Vec<Id>>>,
    ) -> Result<(), Failure> {
        let mut graph = Graph::new(self.commits.format.has_separators());
        for (index, commit) in listed.iter().enumerate() {
            while graph.has_rows() {
                screen.put(graph.next_row() + "\n")?;
            }
            let parents = rewritten.and_then(|all| all.get(&commit.id)).unwrap_or(&commit.parents);
            graph.begin(commit.id, parents);
            if index > 0 && self.commits.format.has_separators() {
                screen.put(graph.take_separator() + "\n")?;
            }
            for row in graph.leading() {
                screen.put(format!("{row}\n"))?;
            }
            let mut text = screen.text(graph.width());
            self.one(&mut text, commit)?;
            for line in text.into_text().split_inclusive(|byte| *byte == b'\n') {
                screen.put(graph.next_row())?;
                screen.put_colored(line)?;
            }
        }
        while graph.has_rows() {
            screen.put(graph.next_row() + "\n")?;
        }
        Ok(())
    }
}

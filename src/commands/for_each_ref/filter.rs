//! Which refs are listed.

use std::collections::HashSet;

use plumbing::ancestry::{Ancestry, Contains};
use plumbing::gix::objs::Kind;
use plumbing::{Error, Id, Store};

use super::value::{Item, Values};
use crate::git::{self, refs::matches_path};
use crate::report::Failure;

/// What is asked for.
#[derive(Debug, Default)]
pub struct Wanted {
    /// Names or their beginnings; all where there are none.
    pub patterns: Vec<String>,
    pub exclude: Vec<String>,
    pub ignore_case: bool,
    pub points_at: Vec<String>,
    pub contains: Vec<String>,
    pub no_contains: Vec<String>,
    pub merged: Vec<String>,
    pub no_merged: Vec<String>,
}

/// The conditions, with what they name looked up.
pub struct Filter<'s> {
    store: &'s Store,
    wanted: &'s Wanted,
    points_at: Vec<Id>,
    contains: Option<Contains>,
    no_contains: Option<Contains>,
    merged: Option<HashSet<Id>>,
    no_merged: Option<HashSet<Id>>,
    ancestry: Ancestry<'s>,
}

impl<'s> Filter<'s> {
    pub fn new(store: &'s Store, wanted: &'s Wanted) -> Result<Self, Failure> {
        let mut ancestry = Ancestry::new(store);
        let commits = |names: &[String]| names.iter().map(|name| commit(store, name)).collect::<Result<Vec<_>, _>>();
        let object = |name: &String| {
            let found = git::name_to_id(store, name)?;
            found.ok_or_else(|| Failure::usage(format!("malformed object name '{name}'")))
        };
        let points_at = wanted.points_at.iter().map(object).collect::<Result<Vec<_>, _>>()?;
        let contains = |ids: Vec<Id>| (!ids.is_empty()).then(|| Contains::new(ids));
        let (with, without) = (contains(commits(&wanted.contains)?), contains(commits(&wanted.no_contains)?));
        let mut reachable = |names: &[String]| match names {
            [] => Ok::<_, Failure>(None),
            names => {
                if let Some(name) = names.iter().find(|name| !matches!(git::name_to_id(store, name), Ok(Some(_)))) {
                    return Err(Failure::fatal(format!("malformed object name {name}")));
                }
                Ok(Some(ancestry.reachable(commits(names)?)?))
            }
        };
        let (merged, no_merged) = (reachable(&wanted.merged)?, reachable(&wanted.no_merged)?);
        Ok(Self { store, wanted, points_at, contains: with, no_contains: without, merged, no_merged, ancestry })
    }

    /// Whether the ref is listed.
    pub fn takes(&mut self, item: &Item, values: &Values<'_>) -> Result<bool, Failure> {
        let name = item.listed.name.as_slice().into();
        let matches = |pattern: &String| matches_path(pattern, name, self.wanted.ignore_case);
        if !(self.wanted.patterns.is_empty() || self.wanted.patterns.iter().any(matches))
            || self.wanted.exclude.iter().any(matches)
        {
            return Ok(false);
        }
        if !self.points_at.is_empty() && !self.points_there(item.listed.id)? {
            return Ok(false);
        }
        let asks =
            self.contains.is_some() || self.no_contains.is_some() || self.merged.is_some() || self.no_merged.is_some();
        if !asks {
            return Ok(true);
        }
        let Some(commit) = values.commit_of(item)? else { return Ok(false) };
        let ancestry = &mut self.ancestry;
        let mut holds =
            |contains: &mut Option<Contains>| contains.as_mut().map(|asked| asked.asks(ancestry, commit)).transpose();
        let (with, without) = (holds(&mut self.contains)?, holds(&mut self.no_contains)?);
        Ok(with != Some(false)
            && without != Some(true)
            && self.merged.as_ref().is_none_or(|merged| merged.contains(&commit))
            && self.no_merged.as_ref().is_none_or(|merged| !merged.contains(&commit)))
    }

    /// Whether the object or a tag on the way to what it leads to is one of those that are asked for.
    fn points_there(&self, id: Id) -> Result<bool, Failure> {
        let mut id = id;
        loop {
            if self.points_at.contains(&id) {
                return Ok(true);
            }
            let Some((Kind::Tag, _)) = self.store.find_header(&id)? else { return Ok(false) };
            let tag = self.store.repo().find_tag(id).map_err(Error::git(format!("read tag {id}")))?;
            id = tag.target_id().map_err(Error::git(format!("read tag {id}")))?.detach();
        }
    }
}

/// The commit that is named; else git's failure.
fn commit(store: &Store, name: &str) -> Result<Id, Failure> {
    let id = git::name_to_id(store, name)?.ok_or_else(|| Failure::usage(format!("malformed object name {name}")))?;
    git::peel(store, id, Kind::Commit)?.ok_or_else(|| Failure::usage(format!("no such commit {name}")))
}

//! Which objects a client gets: all that it wants leads to, less what it has.

use std::collections::HashSet;

use gix::bstr::{BStr, ByteSlice};
use gix::objs::{CommitRefIter, Kind, TagRefIter, TreeRefIter};

use super::depth::Boundary;
use super::request::Fetch;
use crate::view::View;
use crate::walk::filter::parse_size;
use crate::{Error, Id, Result};

/// What a partial clone leaves out (git-rev-list(1), `--filter`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Filter {
    /// Nothing.
    #[default]
    None,
    /// `blob:none`, and `blob:limit=N`: blobs of at least so many bytes.
    Blobs { from: u64 },
    /// `tree:0`: trees and blobs.
    Trees,
}

impl Filter {
    pub(super) fn parse(text: &BStr) -> Result<Self> {
        let unsupported = || Error::Unsupported {
            what: format!("filter '{text}'"),
            why: "rd serves blob:none, blob:limit=N and tree:0".into(),
        };
        match text.as_bytes() {
            b"blob:none" => Ok(Filter::Blobs { from: 0 }),
            b"tree:0" => Ok(Filter::Trees),
            _ => {
                let limit = text.strip_prefix(b"blob:limit=").and_then(|limit| limit.to_str().ok());
                Ok(Filter::Blobs { from: limit.and_then(parse_size).ok_or_else(unsupported)? })
            }
        }
    }
}

/// Objects to send, in an order that suits a reader: commits and tags, trees, blobs.
pub(super) struct Selection {
    pub(super) ids: Vec<Id>,
}

impl Selection {
    /// All objects that are wanted lead to, without those that `haves` lead to, as far as the latter are cheap to find.
    pub(super) fn new(view: &View<'_>, fetch: &Fetch, haves: &[Id], boundary: &Boundary) -> Result<Self> {
        let mut walk = Walk {
            view,
            filter: fetch.filter,
            cut: &boundary.before,
            seen: HashSet::new(),
            history: Vec::new(),
            trees: Vec::new(),
            blobs: Vec::new(),
        };
        walk.forget(haves)?;
        walk.cut = &boundary.after;
        for id in fetch.wants.iter().chain(&boundary.more) {
            walk.want(*id)?;
        }
        if fetch.include_tags {
            walk.add_tags()?;
        }
        let ids = [walk.history, walk.trees, walk.blobs].concat();
        Ok(Self { ids })
    }
}

struct Walk<'v> {
    view: &'v View<'v>,
    filter: Filter,
    /// Commits whose parents are not looked at.
    cut: &'v HashSet<Id>,
    seen: HashSet<Id>,
    history: Vec<Id>,
    trees: Vec<Id>,
    blobs: Vec<Id>,
}

impl Walk<'_> {
    /// Take what the client has for sent: all commits before, and the trees of the latest.
    fn forget(&mut self, haves: &[Id]) -> Result<()> {
        let mut commits = haves.to_vec();
        let mut roots = Vec::new();
        for id in haves {
            if let Some((Kind::Commit, _)) = self.view.header(id)? {
                roots.push(self.tree_of(id)?);
            }
        }
        while let Some(id) = commits.pop() {
            if let Some((Kind::Commit, _)) = self.view.header(&id)?
                && self.seen.insert(id)
            {
                commits.extend(self.parents(&id)?);
            }
        }
        let (filter, trees, blobs) = (self.filter, std::mem::take(&mut self.trees), std::mem::take(&mut self.blobs));
        self.filter = Filter::None;
        roots.into_iter().try_for_each(|root| self.tree(root))?;
        (self.filter, self.trees, self.blobs) = (filter, trees, blobs);
        Ok(())
    }

    /// What is asked for by its id is sent, whatever the filter says of its kind.
    fn want(&mut self, id: Id) -> Result<()> {
        let mut next = Some(id);
        while let Some(id) = next.take() {
            match self.view.header(&id)? {
                Some((Kind::Commit, _)) => self.commits(id)?,
                Some((Kind::Tree, _)) => self.tree(id)?,
                Some((Kind::Tag, _)) if self.seen.insert(id) => {
                    self.history.push(id);
                    next = Some(self.target(&id)?);
                }
                Some((Kind::Blob, _)) if self.seen.insert(id) => self.blobs.push(id),
                Some(_) => {}
                None => return Err(Error::damaged(format!("store: object {id}"), "the object is missing")),
            }
        }
        Ok(())
    }

    fn commits(&mut self, id: Id) -> Result<()> {
        let mut waiting = vec![id];
        while let Some(id) = waiting.pop() {
            if !self.seen.insert(id) {
                continue;
            }
            self.history.push(id);
            waiting.extend(self.parents(&id)?);
            if self.filter != Filter::Trees {
                let tree = self.tree_of(&id)?;
                self.tree(tree)?;
            }
        }
        Ok(())
    }

    fn tree(&mut self, id: Id) -> Result<()> {
        let mut waiting = vec![id];
        while let Some(id) = waiting.pop() {
            if !self.seen.insert(id) {
                continue;
            }
            self.trees.push(id);
            let data = self.view.read(&id, Kind::Tree)?;
            for entry in TreeRefIter::from_bytes(&data, gix::hash::Kind::Sha256) {
                let entry = entry.map_err(|error| Error::damaged(format!("tree {id}"), error.to_string()))?;
                if entry.mode.is_tree() {
                    waiting.push(entry.oid.to_owned());
                } else if !entry.mode.is_commit() {
                    self.blob(entry.oid.to_owned())?;
                }
            }
        }
        Ok(())
    }

    fn blob(&mut self, id: Id) -> Result<()> {
        let kept = match self.filter {
            Filter::None => true,
            Filter::Blobs { from: 0 } | Filter::Trees => false,
            Filter::Blobs { from } => self.view.header(&id)?.is_some_and(|(_, size)| size < from),
        };
        if kept && self.seen.insert(id) {
            self.blobs.push(id);
        }
        Ok(())
    }

    /// Tags of what is sent.
    fn add_tags(&mut self) -> Result<()> {
        for (_, id) in self.view.store().list_refs("refs/tags/")? {
            let is_tag = matches!(self.view.header(&id)?, Some((Kind::Tag, _)));
            if is_tag && self.view.peeled(id).is_some_and(|target| self.seen.contains(&target)) {
                self.want(id)?;
            }
        }
        Ok(())
    }

    fn parents(&self, id: &Id) -> Result<Vec<Id>> {
        if self.cut.contains(id) { Ok(Vec::new()) } else { super::depth::parents(self.view, id) }
    }

    fn tree_of(&self, id: &Id) -> Result<Id> {
        let data = self.view.read(id, Kind::Commit)?;
        let tree = CommitRefIter::from_bytes(&data, gix::hash::Kind::Sha256).tree_id();
        tree.map_err(|error| Error::damaged(format!("commit {id}"), error.to_string()))
    }

    fn target(&self, id: &Id) -> Result<Id> {
        let data = self.view.read(id, Kind::Tag)?;
        let target = TagRefIter::from_bytes(&data, gix::hash::Kind::Sha256).target_id();
        target.map_err(|error| Error::damaged(format!("tag {id}"), error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_read() {
        for (text, filter) in [
            ("blob:none", Filter::Blobs { from: 0 }),
            ("blob:limit=10", Filter::Blobs { from: 10 }),
            ("blob:limit=2k", Filter::Blobs { from: 2048 }),
            ("tree:0", Filter::Trees),
        ] {
            assert_eq!(Filter::parse(text.into()).unwrap(), filter);
        }
        for text in ["tree:1", "blob:limit=", "blob:limit=x", "sparse:oid=1", ""] {
            assert!(Filter::parse(text.into()).is_err(), "{text}");
        }
    }
}

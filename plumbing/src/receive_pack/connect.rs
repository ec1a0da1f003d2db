//! Whether all that a ref would lead to is there.

use std::collections::HashSet;

use gix::bstr::ByteSlice;
use gix::objs::tree::EntryKind;
use gix::objs::{CommitRefIter, Kind, TagRefIter};

use super::quarantine::Quarantine;
use crate::well_formed;
use crate::{Error, Id, Result, Store};

/// What was looked at so far.
pub(super) struct Connectivity<'q> {
    /// The store itself.
    store: &'q Store,
    quarantine: Option<&'q Quarantine>,
    seen: HashSet<Id>,
    /// Commits that the store's refs lead to, once that is asked for.
    reachable: Option<HashSet<Id>>,
}

/// What a ref needs that is not in the store.
#[derive(Debug, Default)]
pub(super) struct Needed {
    /// Commits, the newest first.
    pub(super) commits: Vec<Id>,
    /// All objects that the push has brought.
    pub(super) objects: Vec<Id>,
}

impl<'q> Connectivity<'q> {
    pub(super) fn new(store: &'q Store, quarantine: Option<&'q Quarantine>) -> Self {
        Self { store, quarantine, seen: HashSet::new(), reachable: None }
    }

    /// Where objects are read from.
    fn source(&self) -> &'q Store {
        self.quarantine.map_or(self.store, Quarantine::store)
    }

    /// All that is new below `tip`; an error where something is missing or of another kind.
    pub(super) fn check(&mut self, tip: Id) -> Result<Needed> {
        let mut needed = Needed::default();
        let mut waiting = vec![(tip, None)];
        while let Some((id, kind)) = waiting.pop() {
            if self.seen.contains(&id) {
                continue;
            }
            let found = self.source().find_header(&id)?.map(|(kind, _)| kind);
            let found = found.ok_or_else(|| refused(&id, "it is neither in the push nor in the store"))?;
            if kind.is_some_and(|kind| kind != found) {
                return Err(refused(&id, &format!("it is a {found} where another kind is needed")));
            }
            if found == Kind::Commit && self.is_reachable(&id)? {
                continue;
            }
            self.seen.insert(id);
            if self.quarantine.is_some_and(|quarantine| quarantine.contains(&id)) {
                needed.objects.push(id);
            }
            match found {
                Kind::Blob => {}
                Kind::Tree => self.add_entries(&id, &mut waiting)?,
                Kind::Commit => {
                    needed.commits.push(id);
                    let data = self.source().read_object(&id, Kind::Commit)?;
                    let commit = || CommitRefIter::from_bytes(&data, gix::hash::Kind::Sha256);
                    let tree = commit().tree_id().map_err(|error| refused(&id, &error.to_string()))?;
                    waiting.push((tree, Some(Kind::Tree)));
                    waiting.extend(commit().parent_ids().map(|parent| (parent, Some(Kind::Commit))));
                }
                Kind::Tag => {
                    let data = self.source().read_object(&id, Kind::Tag)?;
                    let target = TagRefIter::from_bytes(&data, gix::hash::Kind::Sha256).target_id();
                    waiting.push((target.map_err(|error| refused(&id, &error.to_string()))?, None));
                }
            }
        }
        Ok(needed)
    }

    fn add_entries(&self, id: &Id, waiting: &mut Vec<(Id, Option<Kind>)>) -> Result<()> {
        let data = self.source().read_object(id, Kind::Tree)?;
        for entry in well_formed::tree_entries(&data) {
            let entry = entry.map_err(|why| refused(id, &why))?;
            match entry.kind {
                EntryKind::Tree => waiting.push((entry.id, Some(Kind::Tree))),
                // A submodule's commit is in another repository.
                EntryKind::Commit => {}
                _ if self.seen.contains(&entry.id) => {}
                _ => waiting.push((entry.id, Some(Kind::Blob))),
            }
        }
        Ok(())
    }

    /// Whether a ref of the store leads to the commit: then all that it needs is there.
    fn is_reachable(&mut self, id: &Id) -> Result<bool> {
        if self.quarantine.is_some_and(|quarantine| quarantine.contains(id)) && !self.store.repo().has_object(id) {
            return Ok(false);
        }
        if self.reachable.is_none() {
            self.reachable = Some(reachable(self.store)?);
        }
        Ok(self.reachable.as_ref().is_some_and(|reachable| reachable.contains(id)))
    }
}

/// All commits that the refs lead to.
fn reachable(store: &Store) -> Result<HashSet<Id>> {
    let mut waiting = Vec::new();
    for (_, id) in store.list_refs("refs/")? {
        let object = store.repo().find_object(id).map_err(Error::git(format!("read object {id}")))?;
        waiting.extend(object.peel_to_kind(gix::objs::Kind::Commit).ok().map(|commit| commit.id));
    }
    let mut seen = HashSet::new();
    while let Some(id) = waiting.pop() {
        if seen.insert(id) {
            let data = store.read_object(&id, Kind::Commit)?;
            waiting.extend(CommitRefIter::from_bytes(&data, gix::hash::Kind::Sha256).parent_ids());
        }
    }
    Ok(seen)
}

/// The push is refused because of an object.
pub(crate) fn refused(id: &Id, why: &str) -> Error {
    Error::Invalid { what: "object", input: id.to_hex().to_string().as_bytes().as_bstr().to_string(), why: why.into() }
}

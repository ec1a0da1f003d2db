//! Names: refs that move by compare-and-swap, each move a line in a reflog, durable when the call returns.

use std::sync::Arc;

use gix::bstr::BString;
use gix::objs::Exists;
use gix::refs::Target;
use gix::refs::transaction::{Change, LogChange, PreviousValue, RefEdit, RefLog};

use super::{Hold, Store, sync};
use crate::{Error, Id, Result};

/// Folder of the refs of images.
pub const IMAGES: &str = "refs/images/";
/// Folder of the refs of containers.
pub const CONTAINERS: &str = "refs/containers/";

/// How long to wait for a ref that another command has locked.
const LOCK_WAIT: std::time::Duration = std::time::Duration::from_secs(1);

/// What a ref must be before it moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Anything, also nothing.
    Any,
    /// Nothing: the ref is created.
    Missing,
    /// This id.
    Id(Id),
}

impl Expect {
    fn holds(self, now: Option<Id>) -> bool {
        match self {
            Expect::Any => true,
            Expect::Missing => now.is_none(),
            Expect::Id(id) => now == Some(id),
        }
    }
}

impl Store {
    /// The id that the ref `name` (full, `refs/…`) points at.
    pub fn get_ref(&self, name: &str) -> Result<Option<Id>> {
        let found = self.repo().try_find_reference(name).map_err(Error::git(format!("read ref '{name}'")))?;
        Ok(found.and_then(|reference| reference.try_id().map(gix::Id::detach)))
    }

    /// All refs whose full name starts with `prefix` (which ends in `/`), sorted by name, with what they point at.
    pub fn list_refs(&self, prefix: &str) -> Result<Vec<(String, Id)>> {
        let doing = || Error::git(format!("list the refs below '{prefix}'"));
        let platform = self.repo().references().map_err(doing())?;
        let mut list = Vec::new();
        for reference in platform.prefixed(prefix).map_err(doing())? {
            let reference = reference.map_err(|error| Error::damaged("ref", error.to_string()))?;
            if let Some(id) = reference.try_id() {
                list.push((reference.name().as_bstr().to_string(), id.detach()));
            }
        }
        Ok(list)
    }

    /// Point the ref `name` at `id`, if it is what `expect` says; `Raced` where it isn't.
    pub fn update_ref(&self, name: &str, id: Id, expect: Expect, message: &str) -> Result<()> {
        let hold = self.hold()?;
        self.check_present(&hold, &id)?;
        let expected = match expect {
            Expect::Any => PreviousValue::Any,
            Expect::Missing => PreviousValue::MustNotExist,
            Expect::Id(id) => PreviousValue::MustExistAndMatch(Target::Object(id)),
        };
        let log = LogChange { mode: RefLog::AndReference, force_create_reflog: false, message: message.into() };
        self.edit(name, Change::Update { log, expected, new: Target::Object(id) }, expect)?;
        self.sync_ref(name)
    }

    /// What was there when the caller looked may have gone before `rd gc` was held off.
    fn check_present(&self, hold: &Hold, id: &Id) -> Result<()> {
        if hold.sweeps() == self.sweeps || self.current_objects(hold)?.exists(id) {
            return Ok(());
        }
        Err(Error::NotFound { what: "object", name: id.to_string() })
    }

    /// Remove the ref `name`, which must be at `id`. Where it was is remembered ([`removed`](Self::removed)).
    pub fn delete_ref(&self, name: &str, id: Id) -> Result<()> {
        let _hold = self.hold()?;
        if self.get_ref(name)? == Some(id) {
            self.remember_removed(&[(name.into(), id)])?;
        }
        let expected = PreviousValue::MustExistAndMatch(Target::Object(id));
        self.edit(name, Change::Delete { expected, log: RefLog::AndReference }, Expect::Id(id))?;
        sync::sync_folder(&existing_parent(self, name))
    }

    /// Lock the refs of several edits, which then happen all or not at all.
    pub fn prepare_refs(&self, edits: Vec<RefEdit>) -> Result<PreparedRefs<'_>> {
        let hold = self.hold()?;
        for edit in &edits {
            if let Change::Update { new: Target::Object(id), .. } = &edit.change {
                self.check_present(&hold, id)?;
            }
        }
        let removed = self.to_be_removed(&edits)?;
        let wait = || gix::lock::acquire::Fail::AfterDurationWithBackoff(LOCK_WAIT);
        let transaction = self.repo().refs.transaction().prepare(edits, wait(), wait());
        let transaction = transaction.map_err(Error::git("lock refs"))?;
        Ok(PreparedRefs { store: self, transaction, removed, _hold: hold })
    }

    /// The refs that the edits remove, with what they are at.
    fn to_be_removed(&self, edits: &[RefEdit]) -> Result<Vec<(BString, Id)>> {
        let mut removed = Vec::new();
        for edit in edits.iter().filter(|edit| matches!(edit.change, Change::Delete { .. })) {
            let doing = format!("read ref '{}'", edit.name.as_bstr());
            let found = self.repo().try_find_reference(&edit.name).map_err(Error::git(doing))?;
            if let Some(id) = found.and_then(|mut found| found.follow_to_object().ok()) {
                removed.push((edit.name.as_bstr().to_owned(), id.detach()));
            }
        }
        Ok(removed)
    }

    fn edit(&self, name: &str, change: Change, expect: Expect) -> Result<()> {
        let full: gix::refs::FullName = name.try_into().map_err(|error: gix::refs::name::Error| Error::Invalid {
            what: "ref name",
            input: name.into(),
            why: error.to_string(),
        })?;
        let edit = RefEdit { change, name: full, deref: false };
        let who = crate::commit::host_signature()?;
        let mut time = gix::date::parse::TimeBuf::default();
        let moved = self.repo().edit_references_as(Some(edit), Some(who.to_ref(&mut time)));
        moved.map(drop).map_err(|source| {
            let lost = self.get_ref(name).is_ok_and(|now| !expect.holds(now));
            if lost {
                Error::Raced { name: name.into() }
            } else {
                Error::Git { doing: format!("move ref '{name}'"), source }
            }
        })
    }

    fn sync_ref(&self, name: &str) -> Result<()> {
        for path in [self.dir().join(name), self.dir().join("logs").join(name)] {
            if path.exists() {
                sync::sync_file(&path)?;
            }
        }
        sync::sync_folder(&existing_parent(self, name))
    }
}

/// Refs that are locked, to be moved together.
pub struct PreparedRefs<'s> {
    store: &'s Store,
    transaction: gix::refs::file::Transaction<'s, 's>,
    removed: Vec<(BString, Id)>,
    _hold: Arc<Hold>,
}

impl PreparedRefs<'_> {
    /// Move the refs; durable when the call returns. Dropped instead, nothing happens.
    pub fn commit(self) -> Result<()> {
        self.store.remember_removed(&self.removed)?;
        let who = crate::commit::host_signature()?;
        let mut time = gix::date::parse::TimeBuf::default();
        let edits = self.transaction.commit(who.to_ref(&mut time)).map_err(Error::git("move refs"))?;
        edits.iter().try_for_each(|edit| self.store.sync_ref(&edit.name.as_bstr().to_string()))
    }
}

/// The deepest folder of a ref's path that exists: removing a ref removes folders that it leaves empty.
fn existing_parent(store: &Store, name: &str) -> std::path::PathBuf {
    let mut path = store.dir().join(name);
    while path.pop() && !path.is_dir() {}
    path
}

//! Changes of refs: checked so that the reason for a refusal can be said, then made together under lock.

use plumbing::gix::objs::Kind;
use plumbing::gix::refs::transaction::{Change as GixChange, LogChange, PreviousValue, RefEdit, RefLog};
use plumbing::gix::refs::{FullName, Target};
use plumbing::store::refs::PreparedRefs;
use plumbing::{Id, Store};

/// What all changes of a command have in common.
#[derive(Clone)]
pub struct Options {
    pub reason: String,
    pub deref: bool,
    pub create_reflog: bool,
}

/// One change.
pub struct Change {
    name: String,
    /// Where the ref goes; `None` deletes it.
    new: Option<Id>,
    /// Where it must be; null where it must not exist.
    old: Option<Id>,
    /// Nothing moves, the ref must just be as expected.
    verify_only: bool,
    options: Options,
}

impl Change {
    pub fn new(name: &str, new: Option<Id>, old: Option<Id>, options: &Options) -> Self {
        Self { name: name.into(), new, old, verify_only: false, options: options.clone() }
    }

    pub fn verify(name: &str, old: Id, options: &Options) -> Self {
        Self { verify_only: true, ..Self::new(name, None, Some(old), options) }
    }

    /// The ref's full name.
    fn full_name(&self) -> Result<FullName, String> {
        let in_refs = self.name.starts_with("refs/");
        let capitals = self.name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
        let valid = FullName::try_from(self.name.as_str()).ok().filter(|_| in_refs || capitals);
        valid.ok_or_else(|| format!("refusing to update ref with bad name '{}'", self.name))
    }

    fn edit(&self) -> Result<RefEdit, String> {
        let expected = match self.old {
            None => PreviousValue::Any,
            Some(id) if id.is_null() => PreviousValue::MustNotExist,
            Some(id) => PreviousValue::MustExistAndMatch(Target::Object(id)),
        };
        let change = match self.new {
            None => GixChange::Delete { expected, log: RefLog::AndReference },
            Some(new) => GixChange::Update {
                log: LogChange {
                    mode: RefLog::AndReference,
                    force_create_reflog: self.options.create_reflog,
                    message: self.options.reason.as_str().into(),
                },
                expected,
                new: Target::Object(new),
            },
        };
        Ok(RefEdit { change, name: self.full_name()?, deref: self.options.deref })
    }

    /// Say in git's words why the change can't be made, as far as that can be seen before locking.
    fn check(&self, store: &Store) -> Result<(), String> {
        let name = &self.name;
        let now = self.now(store)?;
        let cant_lock = |why: String| Err(format!("cannot lock ref '{name}': {why}"));
        match (self.old, now) {
            (Some(old), Some(_)) if old.is_null() => return cant_lock("reference already exists".into()),
            (Some(old), Some(now)) if old != now => return cant_lock(format!("is at {now} but expected {old}")),
            (Some(old), None) if !old.is_null() => return cant_lock(format!("unable to resolve reference '{name}'")),
            _ => {}
        }
        let Some(new) = self.new else { return Ok(()) };
        match store.find_header(&new) {
            Ok(Some((kind, _))) if kind != Kind::Commit && name.starts_with("refs/heads/") => {
                Err(format!("cannot update ref '{name}': trying to write non-commit object {new} to branch '{name}'"))
            }
            Ok(Some(_)) => Ok(()),
            _ => Err(format!("cannot update ref '{name}': trying to write ref '{name}' with nonexistent object {new}")),
        }
    }

    /// Where the ref is, symbolic ones followed if the change follows them.
    fn now(&self, store: &Store) -> Result<Option<Id>, String> {
        let name = self.full_name()?;
        let found = store.repo().try_find_reference(&name).map_err(|error| error.to_string())?;
        let found = found.filter(|found| found.name() == name.as_ref());
        Ok(found.and_then(|mut found| found.follow_to_object().ok()).map(|id| id.detach()))
    }
}

/// Check the changes and lock the refs.
pub fn prepare<'s>(store: &'s Store, changes: &[Change]) -> Result<PreparedRefs<'s>, String> {
    let mut names = std::collections::HashSet::new();
    for change in changes {
        change.full_name()?;
        if !names.insert(&change.name) {
            return Err(format!("multiple updates for ref '{}' not allowed", change.name));
        }
    }
    changes.iter().try_for_each(|change| change.check(store))?;
    let edits = changes.iter().filter(|change| !change.verify_only && !change.is_idle(store));
    let edits = edits.map(Change::edit).collect::<Result<Vec<_>, _>>()?;
    let prepared = store.prepare_refs(edits).map_err(|error| cause(&error));
    let names = || changes.iter().map(|change| change.name.as_str()).collect::<Vec<_>>().join("', '");
    let prepared = prepared.map_err(|why| format!("cannot lock ref '{}': {why}", names()))?;
    // What is only verified isn't locked; it must still be right now that the others are.
    changes.iter().filter(|change| change.verify_only).try_for_each(|change| change.check(store))?;
    Ok(prepared)
}

impl Change {
    /// Whether there is nothing to do: a ref that isn't there is to be deleted.
    fn is_idle(&self, store: &Store) -> bool {
        self.new.is_none() && !self.verify_only && self.now(store).is_ok_and(|now| now.is_none())
    }
}

/// Make the changes, all or none.
pub fn make(store: &Store, changes: Vec<Change>) -> Result<(), String> {
    let (_, who) = crate::git::ident::author_and_committer(store).map_err(|failure| failure.to_string())?;
    prepare(store, &changes)?.commit_as(&who, true).map_err(|error| cause(&error))
}

/// The innermost reason.
fn cause(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

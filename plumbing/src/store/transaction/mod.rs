//! Changes of refs that happen all or none, as `git update-ref` makes them: with the value or the target that is expected,
//! symbolic refs followed or moved themselves, and a line in every log that git would write one in, that of `HEAD` too.
//!
//! [`Transaction::prepare`] locks every ref, compares and writes the new values into the lock files;
//! [`Transaction::commit`] writes the logs and renames. What is deleted goes last. Dropped instead, nothing happens.

mod log;
mod packed;
mod refs;

use std::collections::BTreeSet;

use gix::objs::Kind;

use super::Store;
use crate::{Error, Id, Result};
use packed::Packed;
use refs::{Locked, Now};

/// What a ref becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum New {
    /// What it is: it is only compared.
    Same,
    /// Nothing.
    Nothing,
    /// This id.
    Id(Id),
    /// A symbolic ref for the ref of this name.
    Symbolic(String),
}

/// What a ref must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Old {
    /// Anything, also nothing.
    Any,
    /// Nothing.
    Nothing,
    /// This id.
    Id(Id),
    /// A symbolic ref for the ref of this name.
    Symbolic(String),
}

/// The change of one ref.
#[derive(Debug, Clone)]
pub struct RefChange {
    /// The full name.
    pub name: String,
    /// What it becomes.
    pub new: New,
    /// What it must be.
    pub old: Old,
    /// Whether a symbolic ref stands for the one that it names.
    pub deref: bool,
    /// Whether a log is begun where the ref would get none.
    pub force_log: bool,
    /// Why, for the log.
    pub message: String,
}

impl RefChange {
    /// Refuse a name that no ref can have.
    pub fn check_name(&self) -> Result<(), Refusal> {
        refs::check_name(self)
    }
}

/// Why refs are not changed, in git's words.
#[expect(missing_docs, reason = "because the names of the fields and the messages say it")]
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// It must not or can't have this name.
    #[error("refusing to update ref with bad name '{0}'")]
    BadName(String),
    /// A ref is changed twice, perhaps by way of a symbolic one.
    #[error("multiple updates for ref '{0}' not allowed")]
    Twice(String),
    /// There is something, and nothing was expected.
    #[error("cannot lock ref '{name}': reference already exists")]
    Exists { name: String },
    /// There is nothing, and something was expected.
    #[error("cannot lock ref '{name}': unable to resolve reference '{name}'")]
    Missing { name: String },
    /// It is not what was expected.
    #[error("cannot lock ref '{name}': is at {now} but expected {expected}")]
    Elsewhere { name: String, now: String, expected: String },
    /// Another ref's name is the beginning of this one, or this one of its.
    #[error("cannot lock ref '{name}': '{other}' exists; cannot create '{name}'")]
    Conflict { name: String, other: String },
    /// Another command has it, or the file system refuses.
    #[error("cannot lock ref '{name}': {why}")]
    Locked { name: String, why: String },
    /// It would point to no object.
    #[error("cannot update ref '{name}': trying to write ref '{name}' with nonexistent object {id}")]
    NoObject { name: String, id: Id },
    /// A branch would point to something else than a commit.
    #[error("cannot update ref '{name}': trying to write non-commit object {id} to branch '{name}'")]
    NoCommit { name: String, id: Id },
    /// Reading or writing failed.
    #[error(transparent)]
    Store(#[from] Error),
}

/// A change, or a part of one: that of a symbolic ref is one of the ref that it names and a line in a log.
struct Update {
    change: RefChange,
    /// The name that was asked for.
    asked: String,
    /// Only a line is added to its log.
    log_only: bool,
    /// It came by way of `HEAD`, whose log is thought of already.
    via_head: bool,
    /// The symbolic ref that it came by way of.
    parent: Option<usize>,
    locked: Option<Locked>,
    /// Where the ref was; null where it wasn't.
    was: Id,
    /// The lock file holds what the ref becomes.
    is_written: bool,
}

impl Update {
    fn new(change: RefChange) -> Self {
        let (asked, was) = (change.name.clone(), null());
        let change = RefChange { message: log::one_line(&change.message), ..change };
        Self { change, asked, log_only: false, via_head: false, parent: None, locked: None, was, is_written: false }
    }

    fn deletes(&self) -> bool {
        self.change.new == New::Nothing && !self.log_only
    }
}

fn null() -> Id {
    Id::null(gix::hash::Kind::Sha256)
}

/// Refs that are locked and compared.
pub struct Transaction<'s> {
    store: &'s Store,
    updates: Vec<Update>,
    packed: Option<Packed>,
}

impl Store {
    /// Lock and compare the refs of `changes`.
    pub fn prepare(&self, changes: Vec<RefChange>) -> Result<Transaction<'_>, Refusal> {
        let mut names = BTreeSet::new();
        for change in &changes {
            refs::check_name(change)?;
            if !names.insert(change.name.clone()) {
                return Err(Refusal::Twice(change.name.clone()));
            }
        }
        let updates = changes.into_iter().map(Update::new).collect();
        let mut transaction = Transaction { store: self, updates, packed: None };
        let head = match refs::read(self, "HEAD")? {
            Now::Symbolic(target) => Some(target),
            _ => None,
        };
        // Locking a symbolic ref adds the one that it names.
        let mut at = 0;
        while at < transaction.updates.len() {
            transaction.log_head(at, head.as_deref(), &mut names)?;
            transaction.lock(at, &mut names)?;
            at += 1;
        }
        let deleted = transaction.updates.iter().filter(|update| update.deletes());
        let deleted: BTreeSet<&str> = deleted.map(|update| update.change.name.as_str()).collect();
        if !deleted.is_empty() {
            transaction.packed = Some(Packed::lock(self, &deleted)?);
        }
        Ok(transaction)
    }
}

impl Transaction<'_> {
    /// A branch that `HEAD` names is moved: a line belongs in the log of `HEAD` as well.
    fn log_head(&mut self, at: usize, head: Option<&str>, names: &mut BTreeSet<String>) -> Result<(), Refusal> {
        let update = &self.updates[at];
        if update.log_only || update.via_head || head != Some(update.change.name.as_str()) {
            return Ok(());
        }
        let change = RefChange { name: "HEAD".into(), deref: false, ..update.change.clone() };
        if !names.insert("HEAD".into()) {
            return Err(Refusal::Twice("HEAD".into()));
        }
        self.updates.push(Update { log_only: true, asked: update.asked.clone(), ..Update::new(change) });
        Ok(())
    }

    fn lock(&mut self, at: usize, names: &mut BTreeSet<String>) -> Result<(), Refusal> {
        let update = &self.updates[at];
        let must_exist = matches!(update.change.old, Old::Id(_) | Old::Symbolic(_));
        let (locked, now) = refs::lock(self.store, &update.change.name, must_exist, names)?;
        let update = &mut self.updates[at];
        update.locked = Some(locked);
        let is_symbolic = matches!(now, Now::Symbolic(_));
        match now {
            Now::Symbolic(target) if update.change.deref => self.split(at, target, names)?,
            Now::Symbolic(target) => {
                update.was = refs::resolve(self.store, &target)?.unwrap_or_else(null);
                compare(update, Some(&target))?;
            }
            Now::Id(id) => self.found(at, id)?,
            Now::Nothing => self.found(at, null())?,
        }
        self.write(at, is_symbolic)
    }

    /// A ref that is not symbolic is at `id`: so are the symbolic ones that led to it.
    fn found(&mut self, at: usize, id: Id) -> Result<(), Refusal> {
        self.updates[at].was = id;
        compare(&self.updates[at], None)?;
        let mut parent = self.updates[at].parent;
        while let Some(at) = parent {
            self.updates[at].was = id;
            parent = self.updates[at].parent;
        }
        Ok(())
    }

    /// Make the change of a symbolic ref one of the ref `target`; what stays is a line in its log.
    fn split(&mut self, at: usize, target: String, names: &mut BTreeSet<String>) -> Result<(), Refusal> {
        if !names.insert(target.clone()) {
            return Err(Refusal::Twice(target));
        }
        let update = &mut self.updates[at];
        let change = RefChange { name: target, ..update.change.clone() };
        let via_head = update.via_head || update.change.name == "HEAD";
        let asked = update.asked.clone();
        update.log_only = true;
        update.change.deref = false;
        update.change.old = Old::Any;
        self.updates.push(Update { via_head, parent: Some(at), asked, ..Update::new(change) });
        Ok(())
    }

    /// Write what the ref becomes into its lock file.
    fn write(&mut self, at: usize, is_symbolic: bool) -> Result<(), Refusal> {
        let update = &mut self.updates[at];
        let locked = update.locked.as_mut().expect("because it was locked just now");
        let text = match &update.change.new {
            _ if update.log_only => return locked.close(),
            New::Symbolic(target) => format!("ref: {target}\n"),
            // It is there already.
            New::Id(id) if !is_symbolic && *id == update.was => return locked.close(),
            New::Id(id) => {
                check_object(self.store, &update.change.name, id)?;
                format!("{id}\n")
            }
            New::Same | New::Nothing => return locked.close(),
        };
        update.is_written = true;
        locked.write(text.as_bytes())
    }

    /// Make the changes, which are durable when the call returns.
    pub fn commit(self, who: &gix::actor::Signature) -> Result<()> {
        let Transaction { store, mut updates, packed } = self;
        for update in &mut updates {
            if update.is_written || update.log_only {
                log::append(store, update, who)?;
            }
            if update.is_written {
                update.locked.take().map_or(Ok(()), Locked::commit)?;
            }
        }
        let deleted: Vec<&Update> = updates.iter().filter(|update| update.deletes()).collect();
        // A ref without a log is better than a log without a ref.
        deleted.iter().try_for_each(|update| log::remove(store, &update.change.name))?;
        packed.map_or(Ok(()), Packed::commit)?;
        deleted.iter().try_for_each(|update| refs::remove(store, &update.change.name))?;
        let deleted: Vec<String> = deleted.iter().map(|update| update.change.name.clone()).collect();
        let changed: Vec<String> = updates.into_iter().map(|update| update.change.name).collect();
        // The locks are gone now, so that folders may be empty.
        deleted.iter().try_for_each(|name| refs::remove_empty_folders(store, name))?;
        changed.iter().try_for_each(|name| refs::sync(store, name))
    }
}

/// Whether the ref is what is expected of it; `target` is what a symbolic one names.
fn compare(update: &Update, target: Option<&str>) -> Result<(), Refusal> {
    let name = update.asked.clone();
    match (&update.change.old, target) {
        (Old::Any, _) => Ok(()),
        (Old::Symbolic(expected), Some(now)) if expected == now => Ok(()),
        (Old::Symbolic(expected), now) => {
            Err(Refusal::Elsewhere { name, now: now.unwrap_or("no symbolic ref").into(), expected: expected.clone() })
        }
        (Old::Nothing, _) if update.was.is_null() => Ok(()),
        (Old::Nothing, _) => Err(Refusal::Exists { name }),
        (Old::Id(expected), _) if *expected == update.was => Ok(()),
        (Old::Id(_), _) if update.was.is_null() => Err(Refusal::Missing { name }),
        (Old::Id(expected), _) => {
            Err(Refusal::Elsewhere { name, now: update.was.to_string(), expected: expected.to_string() })
        }
    }
}

fn check_object(store: &Store, name: &str, id: &Id) -> Result<(), Refusal> {
    match store.find_header(id)? {
        None => Err(Refusal::NoObject { name: name.into(), id: *id }),
        Some((kind, _)) if kind != Kind::Commit && (name.starts_with("refs/heads/") || name == "HEAD") => {
            Err(Refusal::NoCommit { name: name.into(), id: *id })
        }
        Some(_) => Ok(()),
    }
}

//! Changes of refs that happen together, under git's locks.
//!
//! Own code instead of gix's transactions, which take what `packed-refs` says before they lock it: a ref that another
//! process packs in between is lost when they write the file, or found to be where it no longer is.
//!
//! Each ref's lock first, in the order of their names; then, where one is removed, that of `packed-refs`, which is held
//! until the loose refs are gone too, so that nobody packs what is being removed. What a ref is counts when its lock is
//! held. A new value is written beside the lock, flushed, and renamed.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gix::actor::Signature;
use gix::bstr::{BStr, BString, ByteSlice};
use gix::objs::Exists;
use gix::refs::transaction::RefEdit;

use super::change::{New, Old, RefChange};
use super::lock::{Lock, with_suffix};
use super::log::{LogLine, remove_empty_folders, remove_empty_parents};
use super::packed::Packed;
use super::place::{MOST_SYMBOLIC, Value, is_full_name, is_shared};
use crate::store::{Hold, Store, sync};
use crate::{Error, Id, Result};

/// What happens to one ref.
#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    Set(Value),
    Delete,
    /// Only its log gets a line: it is symbolic for this ref, which moves.
    Follow(BString),
    /// Only its log gets a line, about a move to this place.
    Log(Id),
    /// Nothing: it is only compared.
    Compare,
}

#[derive(Debug)]
struct Step {
    name: BString,
    what: What,
    expected: Old,
    message: BString,
    begin_log: bool,
    /// It was reached by way of `HEAD`.
    via_head: bool,
    /// What it says, and the id that this comes to.
    before: Option<Value>,
    old: Option<Id>,
    lock: Option<Lock>,
}

/// Refs that are locked, to be moved together.
pub struct PreparedRefs<'s> {
    store: &'s Store,
    steps: Vec<Step>,
    /// Held where a ref is removed.
    packed: Option<Lock>,
    /// Nothing goes that the refs are to need.
    _hold: Arc<Hold>,
}

impl Store {
    /// Lock the refs of several edits, which then happen all or not at all; `Raced` where one isn't as expected.
    pub fn prepare_refs(&self, edits: Vec<RefEdit>) -> Result<PreparedRefs<'_>> {
        self.prepare_changes(edits.into_iter().map(RefChange::from).collect())
    }

    /// As [`prepare_refs`](Self::prepare_refs), of changes that gix has no words for.
    pub fn prepare_changes(&self, changes: Vec<RefChange>) -> Result<PreparedRefs<'_>> {
        let hold = self.hold()?;
        let mut steps = Vec::new();
        for change in changes {
            change.check_name()?;
            if let New::Id(id) = &change.new {
                self.check_present(&hold, id)?;
            }
            self.expand(change, &mut steps)?;
        }
        self.add_head(&mut steps)?;
        steps.sort_by(|a, b| a.name.cmp(&b.name));
        if let Some(pair) = steps.windows(2).find(|pair| pair[0].name == pair[1].name) {
            return Err(invalid(&pair[0].name, "it would be changed twice at once"));
        }
        for step in &mut steps {
            step.lock = Some(Lock::acquire(&self.ref_file(step.name.as_bstr())).map_err(|error| match error {
                Error::Io { source, .. } if source.kind() == ErrorKind::NotADirectory => {
                    invalid(&step.name, "another ref is where its folder would be")
                }
                error => error,
            })?);
        }
        let removes = steps.iter().any(|step| step.what == What::Delete);
        let lock = removes.then(|| Lock::acquire(&self.packed_file())).transpose()?;
        let packed = self.read_packed()?;
        for index in 0..steps.len() {
            let (before, old) = self.read_for(&steps[index], &packed)?;
            (steps[index].before, steps[index].old) = (before, old);
            if steps[index].lock.as_ref().is_some_and(|lock| lock.was_left) {
                self.settle_log(steps[index].name.as_bstr(), old)?;
            }
            steps[index].check()?;
            self.check_name(&steps, index, &packed)?;
        }
        Ok(PreparedRefs { store: self, steps, packed: lock, _hold: hold })
    }

    /// What was there when the caller looked may have gone before `rd gc` was held off.
    fn check_present(&self, hold: &Hold, id: &Id) -> Result<()> {
        if hold.sweeps() == self.sweeps || self.current_objects(hold)?.exists(id) {
            return Ok(());
        }
        Err(Error::NotFound { what: "object", name: id.to_string() })
    }

    /// The steps of a change: more than one where symbolic refs are followed.
    fn expand(&self, change: RefChange, steps: &mut Vec<Step>) -> Result<()> {
        let mut name = change.name.clone();
        let mut via_head = false;
        for _ in 0..MOST_SYMBOLIC {
            match self.read_loose(name.as_bstr())? {
                Some(Value::Symbolic(next)) if change.deref && is_full_name(next.as_bstr()) => {
                    let follow = Step::new(name.clone(), What::Follow(next.clone()), Old::Any, &change);
                    steps.push(Step { via_head, ..follow });
                    via_head |= name == "HEAD";
                    name = next;
                }
                _ => break,
            }
        }
        let what = match &change.new {
            New::Nothing => What::Delete,
            New::Same => What::Compare,
            New::Id(id) => What::Set(Value::Id(*id)),
            New::Logged(id) => What::Log(*id),
            New::Symbolic(target) => What::Set(Value::Symbolic(target.clone())),
        };
        steps.push(Step { via_head, ..Step::new(name, what, change.old.clone(), &change) });
        Ok(())
    }

    /// The log of `HEAD` tells of moves of the ref that it is symbolic for, too.
    fn add_head(&self, steps: &mut Vec<Step>) -> Result<()> {
        let head = b"HEAD".as_bstr();
        let Some(Value::Symbolic(target)) = self.read_loose(head)? else { return Ok(()) };
        let is_target = |step: &&Step| step.name == target && !step.via_head && !matches!(step.what, What::Log(_));
        let Some(step) = steps.iter().find(is_target) else { return Ok(()) };
        if steps.iter().any(|step| step.name == head) {
            return Err(invalid(&head.into(), "it would be changed twice at once"));
        }
        if self.has_log(head) || self.begins_log(head) || step.begin_log {
            let (message, begin_log) = (step.message.clone(), step.begin_log);
            let change =
                RefChange { name: head.into(), new: New::Same, old: Old::Any, deref: false, begin_log, message };
            steps.push(Step::new(head.into(), What::Follow(target), Old::Any, &change));
        }
        Ok(())
    }

    /// What a ref says now that it is locked, and the id that this comes to.
    fn read_for(&self, step: &Step, packed: &Packed) -> Result<(Option<Value>, Option<Id>)> {
        let name = step.name.as_bstr();
        let before = match self.read_loose(name)? {
            None if is_shared(name) => packed.find(name)?.map(Value::Id),
            before => before,
        };
        let old = match &before {
            Some(Value::Id(id)) => Some(*id),
            Some(Value::Symbolic(next)) => self.follow_ref(next.as_bstr())?.map(|(_, id)| id),
            _ => None,
        };
        Ok((before, old))
    }

    /// A ref that isn't there must be in no other's way, of the repository or of this transaction: `a` and `a/b` can't both
    /// exist.
    fn check_name(&self, steps: &[Step], index: usize, packed: &Packed) -> Result<()> {
        let step = &steps[index];
        if step.before.is_some() || matches!(step.what, What::Log(_)) {
            return Ok(());
        }
        let is_changed = |name: &BStr| steps.iter().any(|other| other.name == name);
        for (at, _) in step.name.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
            let above = step.name[..at].as_bstr();
            let exists = above.contains(&b'/') && (self.read_loose(above)?.is_some() || packed.find(above)?.is_some());
            if exists || is_changed(above) {
                return Err(invalid(&step.name, &format!("'{above}' exists")));
            }
        }
        let below: BString = [step.name.as_bytes(), b"/"].concat().into();
        let changed = steps.iter().find(|other| other.name.starts_with(&below)).map(|other| other.name.clone());
        let loose = || Ok::<_, Error>(self.loose_refs(below.as_bstr())?.into_keys().next());
        let packed = || Ok::<_, Error>(packed.entries(below.as_bstr()).next().transpose()?.map(|entry| entry.name));
        match changed.map_or_else(loose, |name| Ok(Some(name)))?.map_or_else(packed, |name| Ok(Some(name)))? {
            Some(name) => Err(invalid(&step.name, &format!("'{name}' exists"))),
            None => Ok(()),
        }
    }
}

fn invalid(name: &BString, why: &str) -> Error {
    Error::Invalid { what: "ref name", input: name.to_string(), why: why.into() }
}

impl Step {
    fn new(name: BString, what: What, expected: Old, change: &RefChange) -> Self {
        let (message, begin_log) = (change.message.clone(), change.begin_log);
        Self { name, what, expected, message, begin_log, via_head: false, before: None, old: None, lock: None }
    }

    /// Whether the ref gets a value that it doesn't have.
    fn moves(&self) -> bool {
        matches!(&self.what, What::Set(value) if self.before.as_ref() != Some(value))
    }

    /// Whether the ref is as expected.
    fn check(&self) -> Result<()> {
        let still_follows = match &self.what {
            What::Follow(target) => self.before == Some(Value::Symbolic(target.clone())),
            _ => true,
        };
        match self.holds(&self.expected) && still_follows {
            true if self.before == Some(Value::Broken) && self.what != What::Delete => {
                Err(Error::damaged(format!("ref '{}'", self.name), "its file holds no id"))
            }
            true => Ok(()),
            false => Err(Error::Raced { name: self.name.to_string() }),
        }
    }

    fn holds(&self, expected: &Old) -> bool {
        match expected {
            Old::Any => true,
            Old::Something => self.before.is_some(),
            // A symbolic ref for one that doesn't exist counts as none, as with git.
            Old::Nothing => self.old.is_none(),
            Old::Id(id) => self.old == Some(*id),
            Old::Symbolic(name) => self.before == Some(Value::Symbolic(name.clone())),
            Old::NothingOr(expected) => self.before.is_none() || self.holds(expected),
        }
    }
}

impl PreparedRefs<'_> {
    /// Move the refs, as the user of this command; durable when the call returns. Dropped instead, nothing happens.
    pub fn commit(self) -> Result<()> {
        let who = crate::commit::host_signature()?;
        self.commit_as(&who, true)
    }

    /// As [`commit`](Self::commit), with another name in the reflogs; unless `durable`, only as durable as the filesystem makes
    /// it.
    pub fn commit_as(mut self, who: &Signature, durable: bool) -> Result<()> {
        self.steps.iter().try_for_each(|step| self.stage(step))?;
        if durable {
            self.sync_locks()?;
        }
        self.move_refs(who, durable)?;
        self.remove(who, durable)?;
        if durable {
            self.sync_folders()?;
        }
        self.unlock();
        Ok(())
    }

    /// Write the logs and give the refs their new values. A log tells of what happened only.
    fn move_refs(&self, who: &Signature, durable: bool) -> Result<()> {
        let mut set = 0;
        let told = (0..self.steps.len()).try_for_each(|index| self.log(index, who));
        let told = told.and_then(|()| if durable { self.sync_values() } else { Ok(()) });
        let moved = told.and_then(|()| {
            self.steps.iter().try_for_each(|step| {
                self.set(step)?;
                set += 1;
                Ok(())
            })
        });
        moved.inspect_err(|_| {
            for step in &self.steps[set..] {
                // The error to tell is the first one.
                let _ = self.store.settle_log(step.name.as_bstr(), step.old);
            }
        })
    }

    /// Write a new value beside the lock.
    fn stage(&self, step: &Step) -> Result<()> {
        let What::Set(value) = &step.what else { return Ok(()) };
        if !step.moves() {
            return Ok(());
        }
        let path = staged(&self.store.ref_file(step.name.as_bstr()));
        std::fs::write(&path, value.encode()).map_err(Error::io("write", &path))
    }

    /// Make new values and the lines in logs durable, before the refs get the values.
    fn sync_values(&self) -> Result<()> {
        let mut files = Vec::new();
        for step in self.steps.iter().filter(|step| step.what != What::Delete) {
            let name = step.name.as_bstr();
            files.extend(Some(staged(&self.store.ref_file(name))).filter(|_| step.moves()));
            files.extend(Some(self.store.log_file(name)).filter(|log| log.is_file()));
        }
        sync::sync_all(&files)
    }

    /// A ref that is made or removed has a moment at which it and its log tell different things. While its lock is there, that
    /// is no damage; so the lock has to be there after a power cut too.
    fn sync_locks(&self) -> Result<()> {
        let is_odd = |step: &&Step| step.what == What::Delete || step.before.is_none() && step.moves();
        let mut folders: BTreeSet<PathBuf> = BTreeSet::new();
        for step in self.steps.iter().filter(is_odd) {
            let path = self.store.ref_file(step.name.as_bstr());
            let depth = step.name.split_str("/").count();
            folders
                .extend(path.ancestors().skip(1).take(depth).filter(|folder| folder.is_dir()).map(Path::to_path_buf));
        }
        sync::sync_all(&folders.into_iter().collect::<Vec<_>>())
    }

    /// Tell the ref's log of its move; nothing where it doesn't move.
    fn log(&self, index: usize, who: &Signature) -> Result<()> {
        let step = &self.steps[index];
        let of = |name: &BString| self.steps.iter().find(|other| other.name == *name);
        let null = Id::null(gix::hash::Kind::Sha256);
        let new = match &step.what {
            What::Delete | What::Compare => return Ok(()),
            What::Set(Value::Id(_)) if !step.moves() => return Ok(()),
            What::Set(Value::Id(id)) | What::Log(id) => Some(*id),
            What::Set(Value::Symbolic(target)) => match self.store.follow_ref(target.as_bstr())? {
                Some((_, id)) => Some(id),
                None => return Ok(()),
            },
            What::Set(Value::Broken) => return Ok(()),
            What::Follow(target) => self.destination(of(target)),
        };
        let line = LogLine::new(step.old.unwrap_or(null), new.unwrap_or(null), who, step.message.as_bstr());
        self.store.append_log(step.name.as_bstr(), &line, step.begin_log, false)
    }

    /// Where the ref goes in the end that a symbolic one stands for.
    fn destination(&self, step: Option<&Step>) -> Option<Id> {
        match &step?.what {
            What::Set(Value::Id(id)) | What::Log(id) => Some(*id),
            What::Follow(next) => self.destination(self.steps.iter().find(|step| step.name == *next)),
            _ => None,
        }
    }

    /// Put the staged value into place.
    fn set(&self, step: &Step) -> Result<()> {
        if !step.moves() {
            return Ok(());
        }
        let path = self.store.ref_file(step.name.as_bstr());
        let renamed = std::fs::rename(staged(&path), &path);
        let renamed = match renamed {
            Err(error) if matches!(error.kind(), ErrorKind::IsADirectory | ErrorKind::DirectoryNotEmpty) => {
                remove_empty_folders(&path);
                std::fs::rename(staged(&path), &path)
            }
            other => other,
        };
        renamed.map_err(Error::io("replace", path))
    }

    /// Remove what is to be removed: packed refs, then loose ones, then logs. A log tells of the end first: killed in
    /// between, there is never a log of a ref that seems to be lost, nor a ref without its log.
    fn remove(&self, who: &Signature, durable: bool) -> Result<()> {
        let names: BTreeSet<&BString> = self.removed().map(|step| &step.name).collect();
        let Some(lock) = self.packed.as_ref().filter(|_| !names.is_empty()) else { return Ok(()) };
        let gone: Vec<(BString, Id)> = self.removed().filter_map(|step| Some((step.name.clone(), step.old?))).collect();
        self.store.remember_removed(&gone)?;
        for step in self.removed().filter(|step| self.store.has_log(step.name.as_bstr())) {
            let null = Id::null(gix::hash::Kind::Sha256);
            let line = LogLine::new(step.old.unwrap_or(null), null, who, step.message.as_bstr());
            self.store.append_log(step.name.as_bstr(), &line, false, durable)?;
        }
        let mut entries = self.store.read_packed()?.all()?;
        let count = entries.len();
        entries.retain(|entry| !names.contains(&entry.name));
        if entries.len() < count {
            self.store.write_packed(lock, &entries, durable)?;
        }
        for name in &names {
            let path = self.store.ref_file(name.as_bstr());
            match std::fs::remove_file(&path) {
                Err(error) if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::IsADirectory) => {
                    return Err(Error::io("remove", path)(error));
                }
                _ => {}
            }
            self.store.remove_log(name.as_bstr())?;
        }
        Ok(())
    }

    fn removed(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(|step| step.what == What::Delete)
    }

    /// Make the names of refs and logs durable: of new ones also the folders that were made for them.
    fn sync_folders(&self) -> Result<()> {
        let mut folders: BTreeSet<PathBuf> = BTreeSet::new();
        for step in &self.steps {
            let name = step.name.as_bstr();
            for path in [self.store.ref_file(name), self.store.log_file(name)] {
                let depth = if step.before.is_none() { name.split_str("/").count() } else { 1 };
                let above = path.ancestors().skip(1).filter(|folder| folder.is_dir());
                folders.extend(above.take(depth).map(Path::to_path_buf));
            }
        }
        sync::sync_all(&folders.into_iter().collect::<Vec<_>>())
    }

    /// Give up the locks, and remove folders that are empty now.
    fn unlock(&mut self) {
        self.packed = None;
        let top = self.store.repo().common_dir().join("refs");
        for step in &mut self.steps {
            step.lock = None;
            if step.what == What::Delete && is_shared(step.name.as_bstr()) {
                remove_empty_parents(&self.store.ref_file(step.name.as_bstr()), &top);
            }
        }
    }
}

impl Drop for PreparedRefs<'_> {
    fn drop(&mut self) {
        for step in self.steps.iter().filter(|step| matches!(step.what, What::Set(_)) && step.lock.is_some()) {
            // Only there where it wasn't put into place.
            let _ = std::fs::remove_file(staged(&self.store.ref_file(step.name.as_bstr())));
        }
    }
}

/// Where a ref's new value is written: a name that no ref can have, nor the lock of one.
fn staged(path: &Path) -> PathBuf {
    with_suffix(path, ".lock.lock")
}

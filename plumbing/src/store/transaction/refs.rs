//! One ref: reading it, locking it, and the files and folders that it lies in.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use gix::bstr::ByteSlice;
use gix::lock::acquire::Fail;

use super::{New, RefChange, Refusal, packed};
use crate::store::{Store, sync};
use crate::{Error, Id, Result};

/// How long to wait for a ref that another command has locked.
const LOCK_WAIT: Fail = Fail::AfterDurationWithBackoff(std::time::Duration::from_secs(1));

/// Symbolic refs that name symbolic refs: more of them are a loop.
const DEEPEST: usize = 5;

/// What a ref is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Now {
    Nothing,
    Id(Id),
    Symbolic(String),
}

/// Refuse names that git refuses, and those outside of `refs/` that could be a file of the store's: it is capitals there.
pub(super) fn check_name(change: &RefChange) -> Result<(), Refusal> {
    let name = change.name.as_str();
    let capitals = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    let in_refs = name.strip_prefix("refs/").is_some_and(|rest| {
        // What doesn't exist by this name may be deleted, as long as it stays below `refs/`.
        let is_safe = rest.split('/').all(|part| !matches!(part, "" | "." | ".."));
        let may_exist = matches!(change.new, New::Nothing | New::Same);
        is_safe && (may_exist || gix::validate::reference::name(name.into()).is_ok())
    });
    let is_foreign = matches!(name, "FETCH_HEAD" | "MERGE_HEAD");
    match (in_refs || capitals) && !is_foreign {
        true => Ok(()),
        false => Err(Refusal::BadName(name.into())),
    }
}

/// The file of a ref. What is not shared by the worktrees of a repository lies in the folder of this one.
pub(super) fn path(store: &Store, name: &str) -> PathBuf {
    base(store, name).join(name)
}

pub(super) fn base<'s>(store: &'s Store, name: &str) -> &'s Path {
    let own = ["refs/bisect/", "refs/worktree/", "refs/rewritten/"].iter().any(|own| name.starts_with(own));
    if name.starts_with("refs/") && !own { store.repo().common_dir() } else { store.dir() }
}

/// What the ref is, without following it.
pub(super) fn read(store: &Store, name: &str) -> Result<Now> {
    let path = path(store, name);
    match std::fs::read(&path) {
        Ok(bytes) => {
            parse(&bytes).ok_or_else(|| Error::damaged(format!("ref '{name}'"), "it is neither an id nor a name"))
        }
        Err(error)
            if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::IsADirectory | ErrorKind::NotADirectory) =>
        {
            Ok(packed::find(store, name)?.map_or(Now::Nothing, Now::Id))
        }
        Err(error) => Err(Error::io("read", path)(error)),
    }
}

fn parse(bytes: &[u8]) -> Option<Now> {
    let text = bytes.trim_end();
    if let Some(target) = text.strip_prefix(b"ref:") {
        return Some(Now::Symbolic(target.trim_start().to_str().ok()?.to_owned()));
    }
    let (hex, rest) = text.split_at_checked(64)?;
    let id = Id::from_hex(hex).ok()?;
    rest.first().is_none_or(u8::is_ascii_whitespace).then_some(Now::Id(id))
}

/// The id that the ref leads to.
pub(super) fn resolve(store: &Store, name: &str) -> Result<Option<Id>> {
    let mut name = name.to_owned();
    for _ in 0..DEEPEST {
        match read(store, &name)? {
            Now::Id(id) => return Ok(Some(id)),
            Now::Nothing => return Ok(None),
            Now::Symbolic(target) => name = target,
        }
    }
    Ok(None)
}

/// A ref that nobody else can change.
pub(super) enum Locked {
    Open(gix::lock::File),
    /// Nothing more is written, so that thousands of refs need no descriptor each.
    Closed(gix::lock::Marker),
    /// Between the two.
    Gone,
}

impl Locked {
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        if let Locked::Open(file) = self {
            let written = file.with_mut(|file| file.write_all(bytes).and_then(|()| file.sync_all()));
            written.map_err(Error::io("write", file.lock_path()))?;
        }
        self.close()
    }

    pub(super) fn close(&mut self) -> Result<(), Refusal> {
        if let Locked::Open(file) = std::mem::replace(self, Locked::Gone) {
            let path = file.lock_path().to_owned();
            *self = Locked::Closed(file.close().map_err(Error::io("close", path))?);
        }
        Ok(())
    }

    /// Give the lock file the ref's name.
    pub(super) fn commit(self) -> Result<()> {
        let Locked::Closed(marker) = self else { return Ok(()) };
        let path = marker.resource_path();
        // Folders of refs that are gone may be in the way.
        if path.is_dir() {
            remove_empty_tree(&path);
        }
        marker.commit().map(drop).map_err(|error| Error::io("create", path)(error.error))
    }
}

/// Lock the ref and read it. `names` are those of the same transaction.
pub(super) fn lock(
    store: &Store,
    name: &str,
    must_exist: bool,
    names: &BTreeSet<String>,
) -> Result<(Locked, Now), Refusal> {
    let path = path(store, name);
    let boundary = Some(base(store, name).to_owned());
    let missing = || Refusal::Missing { name: name.into() };
    let locked = match gix::lock::File::acquire_to_update_resource(&path, LOCK_WAIT, boundary, 0) {
        Ok(file) => Locked::Open(file),
        Err(error) => {
            check_conflicts(store, name, names).map_err(|conflict| if must_exist { missing() } else { conflict })?;
            return Err(Refusal::Locked { name: name.into(), why: innermost(&error) });
        }
    };
    let now = read(store, name)?;
    if now == Now::Nothing {
        if must_exist {
            return Err(missing());
        }
        if path.is_dir() && !remove_empty_tree(&path) {
            check_conflicts(store, name, names)?;
            let why = format!("there is a non-empty directory '{}' blocking reference '{name}'", path.display());
            return Err(Refusal::Locked { name: name.into(), why });
        }
        check_conflicts(store, name, names)?;
    }
    Ok((locked, now))
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// No ref may be where another one has a folder.
fn check_conflicts(store: &Store, name: &str, names: &BTreeSet<String>) -> Result<(), Refusal> {
    let conflict = |other: String| Err(Refusal::Conflict { name: name.into(), other });
    let ends = name.match_indices('/').map(|(at, _)| &name[..at]).filter(|parent| parent.len() > "refs".len());
    for parent in ends {
        if names.contains(parent) || read(store, parent)? != Now::Nothing {
            return conflict(parent.into());
        }
    }
    let below = format!("{name}/");
    if let Some(other) = names.range(below.clone()..).next().filter(|other| other.starts_with(&below)) {
        return conflict(other.clone());
    }
    match packed::first_below(store, &below)? {
        Some(other) => conflict(other),
        None => Ok(()),
    }
}

/// Remove the ref's own file, if it has one.
pub(super) fn remove(store: &Store, name: &str) -> Result<()> {
    let path = path(store, name);
    match std::fs::remove_file(&path) {
        Err(error) if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::IsADirectory) => {
            Err(Error::io("remove", path)(error))
        }
        _ => Ok(()),
    }
}

/// Remove the folders that the ref leaves empty, but for the first two (`refs/heads/`).
pub(super) fn remove_empty_folders(store: &Store, name: &str) -> Result<()> {
    remove_empty_parents(base(store, name), name);
    Ok(())
}

/// Remove the folders of `name` below `base` as long as they are empty, but for the first two.
pub(super) fn remove_empty_parents(base: &Path, name: &str) {
    let mut folder = Path::new(name);
    while let Some(parent) = folder.parent().filter(|parent| parent.components().count() > 2) {
        if std::fs::remove_dir(base.join(parent)).is_err() {
            return;
        }
        folder = parent;
    }
}

/// Remove a folder of nothing but folders; whether that worked.
pub(super) fn remove_empty_tree(folder: &Path) -> bool {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for folder in entries.map(|entry| entry.path()).filter(|path| path.is_dir()) {
        remove_empty_tree(&folder);
    }
    std::fs::remove_dir(folder).is_ok()
}

/// Make durable what the folder of the ref says.
pub(super) fn sync(store: &Store, name: &str) -> Result<()> {
    let mut folder = path(store, name);
    while folder.pop() && !folder.is_dir() {}
    sync::sync_folder(&folder)?;
    let log = base(store, name).join("logs").join(name);
    match File::open(&log) {
        Ok(file) if log.is_file() => file.sync_all().map_err(Error::io("sync", log)),
        _ => Ok(()),
    }
}

//! Lines in the logs of refs.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::Path;

use gix::refs::store::WriteReflog;

use super::{New, Update, null, refs};
use crate::store::Store;
use crate::{Error, Id, Result};

/// A message as logs have it: on one line, with single spaces.
pub(super) fn one_line(message: &str) -> String {
    message.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

/// Add a line about `update` to the log of its ref, if that has one or gets one.
pub(super) fn append(store: &Store, update: &Update, who: &gix::actor::Signature) -> Result<()> {
    let new = match &update.change.new {
        New::Id(id) => *id,
        New::Nothing | New::Same => null(),
        // What leads nowhere is not logged.
        New::Symbolic(target) => match refs::resolve(store, target)? {
            Some(id) => id,
            None => return Ok(()),
        },
    };
    let name = &update.change.name;
    let path = refs::base(store, name).join("logs").join(name);
    let begins = update.change.force_log || is_logged(store, name);
    let Some(mut file) = open(&path, begins)? else { return Ok(()) };
    file.write_all(&line(&update.was, &new, who, &update.change.message)?).map_err(Error::io("write", path))
}

fn line(old: &Id, new: &Id, who: &gix::actor::Signature, message: &str) -> Result<Vec<u8>> {
    let mut line = format!("{old} {new} ").into_bytes();
    let mut time = gix::date::parse::TimeBuf::default();
    who.to_ref(&mut time).write_to(&mut line).map_err(Error::io("encode", "a line of a log"))?;
    if !message.is_empty() {
        line.push(b'\t');
        line.extend_from_slice(message.as_bytes());
    }
    line.push(b'\n');
    Ok(line)
}

/// Open a log to add to it; with `begin` it is made where there is none.
fn open(path: &Path, begin: bool) -> Result<Option<File>> {
    let mut options = OpenOptions::new();
    options.append(true).create(begin);
    if begin && let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        // Folders for the logs of refs that are gone may be in the way.
        if path.is_dir() {
            refs::remove_empty_tree(path);
        }
    }
    match options.open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if !begin && matches!(error.kind(), ErrorKind::NotFound | ErrorKind::IsADirectory) => Ok(None),
        Err(error) => Err(Error::io("open", path)(error)),
    }
}

/// Whether the configuration asks for a log of the ref.
fn is_logged(store: &Store, name: &str) -> bool {
    let folders = ["refs/heads/", "refs/remotes/", "refs/notes/"];
    match store.repo().refs.write_reflog {
        WriteReflog::Disable => false,
        WriteReflog::Always => true,
        WriteReflog::Normal => name == "HEAD" || folders.iter().any(|folder| name.starts_with(folder)),
    }
}

/// Remove the log of a ref that is deleted.
pub(super) fn remove(store: &Store, name: &str) -> Result<()> {
    let logs = refs::base(store, name).join("logs");
    let path = logs.join(name);
    match std::fs::remove_file(&path) {
        Ok(()) => refs::remove_empty_parents(&logs, name),
        Err(error)
            if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::IsADirectory | ErrorKind::NotADirectory) => {}
        Err(error) => return Err(Error::io("remove", path)(error)),
    }
    Ok(())
}

//! A flat archive of a whole root becomes one commit, the same in every store and on every day.

use std::io::Read;

use crate::commit::{NewCommit, State, neutral_signature};
use crate::config::ImageConfig;
use crate::layer::{Ending, Form, Unpacker};
use crate::{Id, Result, Store};

/// The last second that RFC 3339 can spell, and that git accepts everywhere.
const LAST_SECOND: i64 = 253_402_300_799;

/// What the user says about the image.
#[derive(Debug, Clone, Default)]
pub struct Wishes {
    /// The commit's message; "Imported from sha256:…" where there is none.
    pub message: Option<String>,
    /// Dockerfile instructions for its configuration.
    pub changes: Vec<String>,
}

/// An imported archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Imported {
    /// The commit. It is durable, but has no name yet.
    pub commit: Id,
    /// Digests and sizes of the archive.
    pub ending: Ending,
}

/// Read a tar, compressed or not, and commit the root in it. The commit has no parents.
pub fn import(store: &Store, source: Box<dyn Read + Send>, wishes: &Wishes) -> Result<Imported> {
    // Instructions that are none are refused before an hour is spent on the archive.
    let mut config = ImageConfig::new(0);
    wishes.changes.iter().try_for_each(|change| config.change(change))?;

    let mut batch = store.batch();
    let mut unpacker = Unpacker::new(&mut batch);
    let unpacked = unpacker.unpack(source, Form::Root)?;
    let root = unpacker.write_root()?;
    let created = unpacked.newest.map_or(0, |time| time.sec).clamp(0, LAST_SECOND);
    config.set_created(created);
    let state = State {
        root,
        config: batch.write_blob(&config.encode())?,
        manifest: None,
        layer: Some(unpacked.layer),
        container: None,
    };
    let message = wishes.message.clone().unwrap_or_else(|| format!("Imported from {}", unpacked.ending.diff_id));
    let who = neutral_signature(created);
    let new = NewCommit { parents: Vec::new(), author: who.clone(), committer: who, message: message.into() };
    let commit = batch.write_commit(&state, new)?;
    batch.finish()?;
    Ok(Imported { commit, ending: unpacked.ending })
}

//! The side that has something: it answers what the other one asks.

use std::collections::{HashSet, VecDeque};

use gix::objs::{CommitRefIter, Kind};

use super::wire::{Wire, unintelligible};
use super::{ID, MOST_IDS, id_of, one_line};
use crate::{Error, Id, Result, Store};

/// At most so many commits in one answer.
const MOST_COMMITS: usize = 65_536;

/// What is asked.
pub(super) enum Question {
    /// These commits, and as many of their ancestors as `limit` allows, children first.
    Commits { limit: usize, ids: Vec<Id> },
    /// These objects or contents, in this order.
    Objects(Vec<Id>),
    /// Nothing more.
    Done,
}

impl Question {
    pub(super) fn send(&self, wire: &mut Wire) -> Result<()> {
        let (word, ids) = match self {
            Question::Commits { limit, ids } => (format!("commits {limit}"), ids.as_slice()),
            Question::Objects(ids) => ("objects".to_owned(), ids.as_slice()),
            Question::Done => ("done".to_owned(), &[][..]),
        };
        wire.send(word.as_bytes())?;
        for some in ids.chunks(1024) {
            let bytes: Vec<u8> = some.iter().flat_map(|id| id.as_slice().iter().copied()).collect();
            wire.send(&bytes)?;
        }
        wire.end()
    }

    fn receive(wire: &mut Wire) -> Result<Self> {
        let mut word = Vec::new();
        if !wire.receive(&mut word)? {
            return Err(unintelligible(b"no question"));
        }
        let (mut ids, mut packet) = (Vec::new(), Vec::new());
        while wire.receive(&mut packet)? {
            if packet.len() % ID != 0 || ids.len() + packet.len() / ID > MOST_IDS {
                return Err(unintelligible(b"too many ids at once"));
            }
            for bytes in packet.chunks(ID) {
                ids.push(id_of(bytes)?);
            }
        }
        let limit = word.strip_prefix(b"commits ").and_then(|limit| std::str::from_utf8(limit).ok()?.parse().ok());
        match (word.as_slice(), limit) {
            (b"objects", _) => Ok(Question::Objects(ids)),
            (b"done", _) => Ok(Question::Done),
            (_, Some(limit)) => Ok(Question::Commits { limit, ids }),
            _ => Err(unintelligible(&word)),
        }
    }
}

/// Answer questions until there are no more.
pub(super) fn answer(store: &Store, wire: &mut Wire) -> Result<()> {
    loop {
        match Question::receive(wire)? {
            Question::Commits { limit, ids } => commits(store, ids, limit, wire)?,
            Question::Objects(ids) => ids.iter().try_for_each(|id| object(store, id, wire))?,
            Question::Done => return Ok(()),
        }
        wire.end()?;
    }
}

fn commits(store: &Store, ids: Vec<Id>, limit: usize, wire: &mut Wire) -> Result<()> {
    let mut left = limit.min(MOST_COMMITS);
    let mut seen: HashSet<Id> = ids.iter().copied().collect();
    let mut waiting: VecDeque<Id> = ids.into();
    while let Some(id) = waiting.pop_front().filter(|_| left > 0) {
        left -= 1;
        let data = read(store, &id, Kind::Commit, wire)?;
        wire.send_object(Kind::Commit, data.len() as u64, data.as_slice())?;
        let parents = CommitRefIter::from_bytes(&data, gix::hash::Kind::Sha256).parent_ids();
        waiting.extend(parents.filter(|parent| seen.insert(*parent)));
    }
    Ok(())
}

/// One object: a content from its file, anything else from the object database.
fn object(store: &Store, id: &Id, wire: &mut Wire) -> Result<()> {
    if let Some(file) = store.open_content(id)? {
        let size = file.metadata().map_err(Error::io("stat", store.content_file(id)))?.len();
        return wire.send_object(Kind::Blob, size, file);
    }
    let missing = || Error::NotFound { what: "object", name: id.to_string() };
    let (kind, _) =
        store.find_header(id).and_then(|found| found.ok_or_else(missing)).or_else(|error| tell(error, wire))?;
    let data = read(store, id, kind, wire)?;
    wire.send_object(kind, data.len() as u64, data.as_slice())
}

/// Read an object; where that can't be done, the other side shall know it.
fn read(store: &Store, id: &Id, kind: Kind, wire: &mut Wire) -> Result<Vec<u8>> {
    store.read_object(id, kind).or_else(|error| tell(error, wire))
}

fn tell<T>(error: Error, wire: &mut Wire) -> Result<T> {
    wire.say_error(&one_line(&error))?;
    Err(error)
}

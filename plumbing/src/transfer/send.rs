//! The side that has something: it answers what the other one asks.

use std::collections::{HashSet, VecDeque};

use gix::objs::{CommitRefIter, Kind};

use super::wire::{Wire, unintelligible};
use super::{ID, LARGEST_DELTA, MOST_IDS, id_of, one_line};
use crate::cold::delta::Index;
use crate::{Error, Id, Result, Store};

/// At most so many commits in one answer.
const MOST_COMMITS: usize = 65_536;

/// What is asked.
pub(super) enum Question {
    /// These commits, and as many of their ancestors as `limit` allows, children first.
    Commits { limit: usize, ids: Vec<Id> },
    /// These objects or contents, in this order; beside each one something that the asking side has and that may be like it.
    Objects(Vec<Wanted>),
    /// Nothing more.
    Done,
}

/// An object that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) id: Id,
    /// What it may be sent as the difference to.
    pub(super) like: Option<Id>,
}

impl Question {
    pub(super) fn send(&self, wire: &mut Wire) -> Result<()> {
        let none = Id::null(gix::hash::Kind::Sha256);
        let (word, ids) = match self {
            Question::Commits { limit, ids } => (format!("commits {limit}"), ids.clone()),
            Question::Objects(wanted) => {
                ("objects".to_owned(), wanted.iter().flat_map(|one| [one.id, one.like.unwrap_or(none)]).collect())
            }
            Question::Done => ("done".to_owned(), Vec::new()),
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
            if packet.len() % ID != 0 || ids.len() + packet.len() / ID > 2 * MOST_IDS {
                return Err(unintelligible(b"too many ids at once"));
            }
            for bytes in packet.chunks(ID) {
                ids.push(id_of(bytes)?);
            }
        }
        let limit = word.strip_prefix(b"commits ").and_then(|limit| std::str::from_utf8(limit).ok()?.parse().ok());
        match (word.as_slice(), limit) {
            (b"objects", _) if ids.len() % 2 == 0 => Ok(Question::Objects(ids.chunks(2).map(Wanted::of).collect())),
            (b"done", _) => Ok(Question::Done),
            (_, Some(limit)) => Ok(Question::Commits { limit, ids }),
            _ => Err(unintelligible(&word)),
        }
    }
}

impl Wanted {
    fn of(pair: &[Id]) -> Self {
        Self { id: pair[0], like: Some(pair[1]).filter(|like| !like.is_null()) }
    }
}

/// Answer questions until there are no more.
pub(super) fn answer(store: &Store, wire: &mut Wire) -> Result<()> {
    loop {
        match Question::receive(wire)? {
            Question::Commits { limit, ids } => commits(store, ids, limit, wire)?,
            Question::Objects(wanted) => wanted.iter().try_for_each(|one| object(store, one, wire))?,
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

/// One object: the difference to what is like it where that is much shorter; else a content from its file, anything else from
/// the object database.
fn object(store: &Store, wanted: &Wanted, wire: &mut Wire) -> Result<()> {
    let id = &wanted.id;
    if let Some(like) = &wanted.like
        && let Some((kind, size, delta)) = difference(store, id, like)?
    {
        return wire.send_delta(kind, size, &delta);
    }
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

/// The object as the difference to another; `None` where that isn't worth it.
fn difference(store: &Store, id: &Id, like: &Id) -> Result<Option<(Kind, u64, Vec<u8>)>> {
    let is_small = |found: &(Kind, u64)| found.1 <= LARGEST_DELTA;
    let (Some((kind, size)), Some((base_kind, _))) =
        (store.find_header(id)?.filter(is_small), store.find_header(like)?.filter(is_small))
    else {
        return Ok(None);
    };
    if kind != base_kind {
        return Ok(None);
    }
    let (base, target) = (store.read_object(like, kind)?, store.read_object(id, kind)?);
    let delta = Index::new(&base).encode(&target, target.len() / 2);
    Ok(delta.map(|delta| (kind, size, delta)))
}

/// Read an object; where that can't be done, the other side shall know it.
fn read(store: &Store, id: &Id, kind: Kind, wire: &mut Wire) -> Result<Vec<u8>> {
    store.read_object(id, kind).or_else(|error| tell(error, wire))
}

fn tell<T>(error: Error, wire: &mut Wire) -> Result<T> {
    wire.say_error(&one_line(&error))?;
    Err(error)
}

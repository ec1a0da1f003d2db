//! The recipe of a layer: how to make its tar again, bit for bit, from contents of the store.
//!
//! The encoding is described in `docs/format.md`, "Layer". It is written while the tar is read: chunks wait only for
//! the ids of the contents that they name, so memory stays bounded whatever the layer's size.

use std::collections::VecDeque;
use std::io::Write;

use gix::objs::tree::{Entry, EntryKind};

use super::stream::Ending;
use crate::store::Batch;
use crate::{Id, Result};

/// The version of the encoding, in the first line of the head.
pub(super) const VERSION: &str = "rd-layer 1";
/// The blob that says what the layer is.
pub(super) const HEAD: &str = "head";
/// The tree of contents that are in the layer's tar but not in its root.
pub(super) const EXTRA: &str = "extra";

/// Longest run of bytes in one record.
const RUN: usize = 64 * 1024;
/// A chunk that has grown to this size is complete.
const CHUNK: usize = 256 * 1024;
/// Length of an id in hex digits.
const HEX: usize = 64;

/// The ids of contents in the order in which the archive has them; unknown while a writer is at them.
#[derive(Default)]
pub(super) struct Ids(Vec<Option<Id>>);

impl Ids {
    /// Make room for a content; gives its number.
    pub(super) fn add(&mut self, id: Option<Id>) -> usize {
        self.0.push(id);
        self.0.len() - 1
    }

    pub(super) fn set(&mut self, number: usize, id: Id) {
        self.0[number] = Some(id);
    }

    pub(super) fn get(&self, number: usize) -> Option<Id> {
        self.0[number]
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Id> {
        self.0.iter().filter_map(|id| *id)
    }
}

/// A recipe in the making.
#[derive(Default)]
pub(super) struct Recipe {
    run: Vec<u8>,
    chunk: Chunk,
    complete: VecDeque<Chunk>,
    written: Vec<Id>,
}

/// Some records, with places where ids are still to be filled in.
#[derive(Default)]
struct Chunk {
    text: Vec<u8>,
    gaps: Vec<(usize, usize)>,
}

/// Where bytes go that belong to no file.
pub(super) trait Sink {
    /// The next bytes of the tar are these.
    fn raw(&mut self, bytes: &[u8]);
}

impl Sink for Recipe {
    fn raw(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (now, rest) = bytes.split_at(bytes.len().min(RUN - self.run.len()));
            self.run.extend_from_slice(now);
            bytes = rest;
            if self.run.len() == RUN {
                self.end_run();
            }
        }
    }
}

impl Recipe {
    /// The next `length` bytes of the tar are those at `offset` in the content `number`.
    pub(super) fn data(&mut self, number: usize, offset: u64, length: u64) {
        self.end_run();
        self.record(format_args!("data "));
        self.chunk.gaps.push((self.chunk.text.len(), number));
        self.chunk.text.resize(self.chunk.text.len() + HEX, b' ');
        self.record(format_args!(" {offset} {length}\n"));
        self.end_chunk();
    }

    fn end_run(&mut self) {
        let run = std::mem::take(&mut self.run);
        if run.is_empty() {
            return;
        }
        if run.iter().all(|byte| *byte == 0) {
            self.record(format_args!("zeros {}\n", run.len()));
        } else {
            self.record(format_args!("raw {}\n", run.len()));
            self.chunk.text.extend_from_slice(&run);
        }
        self.run = run;
        self.run.clear();
        self.end_chunk();
    }

    fn record(&mut self, text: std::fmt::Arguments<'_>) {
        self.chunk.text.write_fmt(text).expect("because a vector takes all that is written");
    }

    fn end_chunk(&mut self) {
        if self.chunk.text.len() >= CHUNK {
            self.complete.push_back(std::mem::take(&mut self.chunk));
        }
    }

    /// Write the chunks whose ids are all known.
    pub(super) fn write(&mut self, ids: &Ids, batch: &mut Batch<'_>) -> Result<()> {
        while let Some(chunk) = self.complete.front_mut() {
            if !chunk.fill(ids) {
                break;
            }
            self.written.push(batch.write_blob(&chunk.text)?);
            self.complete.pop_front();
        }
        Ok(())
    }

    /// Write the rest and the tree that holds all. `extra` are contents that nothing else keeps.
    pub(super) fn finish(mut self, ids: &Ids, ending: &Ending, extra: &[Id], batch: &mut Batch<'_>) -> Result<Id> {
        self.end_run();
        if !self.chunk.text.is_empty() {
            self.complete.push_back(std::mem::take(&mut self.chunk));
        }
        self.write(ids, batch)?;
        assert!(self.complete.is_empty(), "because all writers have ended");
        let head =
            format!("{VERSION}\ndiff-id {}\nsize {}\nchunks {}\n", ending.diff_id, ending.size, self.written.len());
        let mut entries = vec![blob(HEAD.into(), batch.write_blob(head.as_bytes())?)];
        entries.extend(self.written.iter().enumerate().map(|(number, id)| blob(chunk_name(number), *id)));
        if !extra.is_empty() {
            let list = extra.iter().enumerate().map(|(number, id)| blob(chunk_name(number), *id)).collect();
            let oid = batch.write_object(&gix::objs::Tree { entries: list })?;
            entries.push(Entry { mode: EntryKind::Tree.into(), filename: EXTRA.into(), oid });
        }
        entries.sort();
        batch.write_object(&gix::objs::Tree { entries })
    }
}

impl Chunk {
    /// Fill in the ids; false where one is still unknown.
    fn fill(&mut self, ids: &Ids) -> bool {
        while let Some((at, number)) = self.gaps.last() {
            let Some(id) = ids.get(*number) else { return false };
            self.text[*at..*at + HEX].copy_from_slice(id.to_hex().to_string().as_bytes());
            self.gaps.pop();
        }
        true
    }
}

/// The name of a chunk, and of an extra content: its number in at least eight digits. More than a hundred million don't
/// fit into an order by name; that would be a tar of 25 terabytes of headers.
pub(super) fn chunk_name(number: usize) -> String {
    format!("{number:08}")
}

fn blob(name: String, oid: Id) -> Entry {
    Entry { mode: EntryKind::Blob.into(), filename: name.into(), oid }
}

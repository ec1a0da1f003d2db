//! From store to store: commits with all that they need, and nothing that the other side has.
//!
//! Whichever way something goes, the side that lacks it asks ([`receive`]) and the side that has it answers ([`send`]): for
//! commits until it knows all that are new, for the trees in which these differ from what it has, for contents at last. So
//! exactly the missing objects travel, and everything is checked by who is to keep it. `docs/format.md`, "Between
//! stores", describes the messages.

mod client;
mod commits;
mod contents;
mod receive;
mod send;
mod serve;
mod trees;
mod wire;

pub use client::{Client, Update};
pub use receive::{Progress, Received, Tip};
pub use serve::{Access, serve};
pub use wire::{Compress, Traffic};

use crate::{Error, Id, Result};

/// At most so many ids in one question.
const MOST_IDS: usize = 4096;

/// What is larger never travels as a difference, which is made in memory.
const LARGEST_DELTA: u64 = 16 << 20;

/// Bytes of an id.
const ID: usize = 32;

/// An id and what must be an id.
fn id_of(bytes: &[u8]) -> Result<Id> {
    Id::try_from(bytes)
        .ok()
        .filter(|id| id.kind() == gix::hash::Kind::Sha256)
        .ok_or_else(|| wire::unintelligible(bytes))
}

/// An error with its causes, in one line.
fn one_line(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text.replace(['\n', '\r', '\0'], " ")
}

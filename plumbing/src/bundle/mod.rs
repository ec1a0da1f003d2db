//! Bundles: a history in a file, for transfer without a network (gitformat-bundle(5)).
//!
//! A header says which refs a bundle has and which commits its reader must have already; a pack follows. Contents are
//! blobs in it, so that any git reads it.

mod header;
mod write;

pub use header::Header;
pub use write::{Contents, write_pack};

use std::io::BufRead;

use crate::walk::objects::{Found, Options};
use crate::walk::{self, Tip, Walk, flag};
use crate::{Error, Id, Result, Store, receive_pack};

/// The prerequisites that the store lacks.
pub fn missing<'h>(store: &Store, header: &'h Header) -> Vec<&'h Id> {
    header.prerequisites.iter().map(|(id, _)| id).filter(|id| !store.has(id)).collect()
}

/// Whether all that the prerequisites lead to is there, as far as the store's own refs don't say so.
pub fn is_connected(store: &Store, header: &Header) -> Result<bool> {
    let hidden = flag::UNINTERESTING | flag::BOTTOM;
    let tip = |id: &Id, flags| Tip { id: *id, flags, path: Default::default() };
    let mut tips: Vec<Tip> = header.prerequisites.iter().map(|(id, _)| tip(id, 0)).collect();
    tips.extend(store.list_refs("refs/")?.iter().map(|(_, id)| tip(id, hidden)));
    let options = walk::Options { objects: true, note_missing: true, ..Default::default() };
    let mut walk = Walk::new(store, options, &tips)?;
    walk.hide_edges(|_| {})?;
    walk.objects(&Options { note_missing: true, ..Default::default() }, &mut |_, _: Found<'_>| Ok(()))?;
    Ok(walk.missing().is_empty())
}

/// Take the pack of a bundle, after its header: everything is checked before anything can be seen.
///
/// `Invalid` where it doesn't hold all that its refs need beyond what the store has.
pub fn unbundle(store: &Store, header: &Header, input: impl BufRead) -> Result<()> {
    if let Some(filter) = &header.filter {
        return Err(Error::Unsupported {
            what: format!("bundle with the filter '{filter}'"),
            why: "a store needs all objects; make the bundle without a filter".into(),
        });
    }
    let tips: Vec<Id> = header.references.iter().map(|(id, _)| *id).collect();
    receive_pack::take_pack(store, input, &tips)
}

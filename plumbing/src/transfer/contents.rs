//! The bytes of files: each is the store's own as soon as it is there and was checked, so that a transfer that breaks is
//! taken up where it was.

use std::collections::HashMap;

use gix::objs::Kind;

use super::MOST_IDS;
use super::receive::Receiver;
use super::send::Question;
use super::wire::Wire;
use crate::receive_pack::{Checker, refused};
use crate::store::{Batch, Contents};
use crate::{Error, Id, Result};

/// So many bytes are made durable together.
const DURABLE: u64 = 256 << 20;

/// Contents up to this size are held in memory.
const SMALL: u64 = 256 << 10;

/// Take the contents `ids`. What they may be, `checker` knows of the commits that need them.
pub(super) fn take(receiver: &mut Receiver<'_>, ids: Vec<Id>, checker: &Checker<'_>) -> Result<()> {
    let sizes: HashMap<Id, u64> = checker.arriving().map(|(id, size)| (*id, *size)).collect();
    let limit = checker.largest_layer()?;
    receiver.progress.all_contents = ids.len() as u64;
    receiver.progress.all_bytes = sizes.values().sum();
    receiver.tell();
    let mut rest = ids.as_slice();
    while !rest.is_empty() {
        let mut batch = receiver.store.batch();
        let outcome = take_some(receiver, &mut batch, rest, &sizes, limit);
        // Those that came are good, also where the next one didn't.
        batch.finish()?;
        rest = &rest[outcome?..];
    }
    Ok(())
}

/// Take contents until there are enough of them to be made durable; how many.
fn take_some(
    receiver: &mut Receiver<'_>,
    batch: &mut Batch<'_>,
    ids: &[Id],
    sizes: &HashMap<Id, u64>,
    limit: u64,
) -> Result<usize> {
    let contents = batch.contents()?;
    let begun = receiver.progress.bytes;
    let mut taken = 0;
    for some in ids.chunks(MOST_IDS) {
        Question::Objects(some.to_vec()).send(receiver.wire)?;
        for id in some {
            let (kind, size) = receiver.wire.receive_header()?.ok_or_else(|| refused(id, "it didn't come"))?;
            let fits = sizes.get(id).map_or(size <= limit, |expected| size == *expected);
            if kind != Kind::Blob || !fits {
                return Err(refused(id, &format!("a {kind} of {size} bytes came, which it isn't")));
            }
            take_one(receiver.wire, &contents, id, size)?;
            receiver.progress.contents += 1;
            receiver.progress.bytes += size;
            receiver.tell();
        }
        receiver.end_of_answer()?;
        taken += some.len();
        if receiver.progress.bytes - begun > DURABLE {
            break;
        }
    }
    Ok(taken)
}

fn take_one(wire: &mut Wire, contents: &Contents, id: &Id, size: u64) -> Result<()> {
    let came = if size <= SMALL {
        let mut bytes = Vec::new();
        wire.receive_data(size, |part| {
            bytes.extend_from_slice(part);
            Ok(())
        })?;
        match crate::store::hash_content(&bytes) {
            came if came == *id => contents.put(&bytes)?,
            came => came,
        }
    } else {
        let mut writer = contents.begin(size)?;
        wire.receive_data(size, |part| writer.write(part))?;
        writer.finish()?
    };
    match came == *id {
        true => Ok(()),
        false => Err(Error::damaged(format!("content {id}"), format!("the bytes that came are {came}"))),
    }
}

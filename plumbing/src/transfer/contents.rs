//! The bytes of files: each is the store's own as soon as it is there and was checked, so that a transfer that breaks is
//! taken up where it was.

use std::collections::HashMap;

use gix::objs::Kind;

use super::MOST_IDS;
use super::receive::Receiver;
use super::send::{Question, Wanted};
use super::wire::Announced;
use crate::receive_pack::{Checker, refused};
use crate::store::{Batch, Contents};
use crate::{Error, Id, Result};

/// So many bytes are made durable together.
const DURABLE: u64 = 256 << 20;

/// Contents up to this size are held in memory.
const SMALL: u64 = 256 << 10;

/// Take contents. What they may be, `checker` knows of the commits that need them.
pub(super) fn take(receiver: &mut Receiver<'_>, all: Vec<Wanted>, checker: &Checker<'_>) -> Result<()> {
    let sizes: HashMap<Id, u64> = checker.arriving().map(|(id, size)| (*id, *size)).collect();
    let limit = checker.largest_layer()?;
    receiver.progress.all_contents = all.len() as u64;
    receiver.progress.all_bytes = sizes.values().sum();
    receiver.tell();
    let mut rest = all.as_slice();
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
    wanted: &[Wanted],
    sizes: &HashMap<Id, u64>,
    limit: u64,
) -> Result<usize> {
    let contents = batch.contents()?;
    let begun = receiver.progress.bytes;
    let mut taken = 0;
    for some in wanted.chunks(MOST_IDS) {
        Question::Objects(some.to_vec()).send(receiver.wire)?;
        for one in some {
            let announced = receiver.wire.receive_header()?.ok_or_else(|| refused(&one.id, "it didn't come"))?;
            let Announced { kind, size, .. } = announced;
            let fits = sizes.get(&one.id).map_or(size <= limit, |expected| size == *expected);
            if kind != Kind::Blob || !fits {
                return Err(refused(&one.id, &format!("a {kind} of {size} bytes came, which it isn't")));
            }
            take_one(receiver, &contents, one, announced)?;
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

fn take_one(receiver: &mut Receiver<'_>, contents: &Contents, wanted: &Wanted, announced: Announced) -> Result<()> {
    let (id, size) = (&wanted.id, announced.size);
    let came = if size <= SMALL || announced.delta.is_some() {
        let bytes = receiver.read_bytes(announced, wanted.like)?;
        match crate::store::hash_content(&bytes) {
            came if came == *id => contents.put(&bytes)?,
            came => came,
        }
    } else {
        let mut writer = contents.begin(size)?;
        receiver.wire.receive_data(size, |part| writer.write(part))?;
        writer.finish()?
    };
    match came == *id {
        true => Ok(()),
        false => Err(Error::damaged(format!("content {id}"), format!("the bytes that came are {came}"))),
    }
}

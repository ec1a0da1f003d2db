//! Limits on what a pack may make us do: a few bytes of it can stand for a great many.

use std::cell::Cell;
use std::collections::HashMap;
use std::io::{BufRead, Read};
use std::rc::Rc;

use flate2::read::ZlibDecoder;
use gix::error::{Error, validation};
use gix::odb::pack::data::entry::Header;
use gix::odb::pack::data::input::Entry;

/// Largest object, in bytes.
pub(super) const LARGEST: u64 = 2 << 30;

/// Largest object that comes as the difference to another one; it is made in memory, beside that one.
const LARGEST_DELTA: u64 = 512 << 20;

/// Objects in a pack.
const MOST: u64 = 20_000_000;

/// Bytes that all objects of a pack have together, when they are resolved.
const ALL: u64 = 1 << 40;

/// Bytes that all objects have together which come as differences: what costs a sender next to nothing.
const ALL_DELTAS: u64 = 64 << 30;

/// Bytes of an object and all that it is a delta of, one upon another: so much may be in memory at once.
const CHAIN: u64 = 4 << 30;

/// How many bytes were read since the last complete entry.
#[derive(Clone, Default)]
pub(super) struct Meter(Rc<Cell<u64>>);

/// A pack's bytes, which end with an error where one entry takes too many.
pub(super) struct Metered<R> {
    input: R,
    meter: Meter,
}

impl<R> Metered<R> {
    pub(super) fn new(input: R, meter: Meter) -> Self {
        Self { input, meter }
    }
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.meter.add(read)?;
        Ok(read)
    }
}

impl<R: BufRead> BufRead for Metered<R> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        self.meter.add(0)?;
        self.input.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.meter.0.set(self.meter.0.get().saturating_add(amount as u64));
        self.input.consume(amount);
    }
}

impl Meter {
    fn add(&self, amount: usize) -> std::io::Result<()> {
        let sum = self.0.get().saturating_add(amount as u64);
        self.0.set(sum);
        if sum > LARGEST {
            return Err(std::io::Error::other("an entry of the pack is larger than 2 GiB"));
        }
        Ok(())
    }
}

/// Passes entries on that stay within the limits.
pub(super) struct Guard<I> {
    entries: I,
    meter: Meter,
    count: u64,
    all: u64,
    deltas: u64,
    /// Bytes of each object and all that it is a delta of, by where it begins.
    chains: HashMap<u64, u64>,
    /// Bytes of objects that name what they are a delta of by its id: any of them may be upon any other.
    named: u64,
}

impl<I> Guard<I> {
    pub(super) fn new(entries: I, meter: Meter) -> Self {
        Self { entries, meter, count: 0, all: 0, deltas: 0, chains: HashMap::new(), named: 0 }
    }

    fn check(&mut self, entry: &Entry) -> Result<(), String> {
        self.meter.0.set(0);
        self.count += 1;
        let is_delta = matches!(entry.header, Header::OfsDelta { .. } | Header::RefDelta { .. });
        let size = if is_delta { result_size(entry).ok_or("a delta has no size")? } else { entry.decompressed_size };
        self.all = self.all.saturating_add(size);
        self.deltas = self.deltas.saturating_add(if is_delta { size } else { 0 });
        let chain = self.chain(entry, size);
        let over = [
            (size > LARGEST, "an object is larger than 2 GiB; import it instead"),
            (is_delta && size > LARGEST_DELTA, "a delta makes an object of more than 512 MiB"),
            (chain > CHAIN, "deltas upon deltas need more than 4 GiB; push with `git -c pack.depth=4`"),
            (self.count > MOST, "it has more than 20,000,000 objects"),
            (self.all > ALL, "its objects have more than 1 TiB"),
            (self.deltas > ALL_DELTAS, "its deltas make more than 64 GiB"),
        ];
        over.iter().find(|(is_over, _)| *is_over).map_or(Ok(()), |(_, why)| Err((*why).to_owned()))
    }
}

impl<I> Guard<I> {
    /// How many bytes an object of `size` and all that it is a delta of have.
    fn chain(&mut self, entry: &Entry, size: u64) -> u64 {
        let below = match entry.header {
            Header::OfsDelta { base_distance } => {
                let base = entry.pack_offset.checked_sub(base_distance);
                base.and_then(|base| self.chains.get(&base)).copied().unwrap_or(0)
            }
            Header::RefDelta { .. } => {
                self.named = self.named.saturating_add(size);
                self.named
            }
            _ => 0,
        };
        let chain = below.saturating_add(size);
        self.chains.insert(entry.pack_offset, chain);
        // What is upon one of those that are named may be below another.
        chain.saturating_add(if below == 0 { 0 } else { self.named })
    }
}

impl<I: Iterator<Item = Result<Entry, Error>>> Iterator for Guard<I> {
    type Item = Result<Entry, Error>;

    // Without a size hint: how many there are is known when they have come.
    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.entries.next()?;
        Some(entry.and_then(|entry| match self.check(&entry) {
            Ok(()) => Ok(entry),
            Err(why) => Err(validation(why).into()),
        }))
    }
}

/// The size of what a delta makes: the second number in it, behind the size of what it starts from.
fn result_size(entry: &Entry) -> Option<u64> {
    let mut bytes = std::io::BufReader::with_capacity(32, ZlibDecoder::new(entry.compressed.as_deref()?)).bytes();
    let mut number = || -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..63).step_by(7) {
            let byte = bytes.next()?.ok()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    };
    number()?;
    number()
}

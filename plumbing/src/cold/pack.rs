//! Packing contents: workers read, compare and compress; one writes what they made, in order.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError, mpsc};

use libdeflater::{CompressionLvl, Compressor};

use super::delta::{Index, makes};
use super::line::{self, Line};
use super::order::Item;
use super::sketch::{Likes, Sketch};
use crate::store::{PackFile, content_path, encode_entry_header, hash_content};
use crate::{Error, Id, Result, Store};

/// Where a content and a base would take more bytes than this, it is stored whole.
const MOST_FOR_DELTA: u64 = 240 << 20;

/// Nobody follows longer chains of deltas, as in git.
const DEEPEST: u8 = 50;

/// How many bases are tried: the most alike, and neighbours by name.
const ALIKE: usize = 3;
const NEIGHBOURS: usize = 2;

/// libdeflate's level: beyond it a little less room costs much more time.
const LEVEL: i32 = 9;

/// Smaller contents are stored whole: a delta has to say what it is a delta to.
const SMALLEST: u64 = 64;

/// Where the bytes of contents come from.
pub(super) struct Reader {
    content_dir: PathBuf,
    repo: gix::Repository,
}

impl Reader {
    pub(super) fn new(content_dir: PathBuf, repo: gix::Repository) -> Self {
        Self { content_dir, repo }
    }

    pub(super) fn read(&self, id: &Id, is_packed: bool) -> Result<Vec<u8>> {
        if is_packed {
            let found = self.repo.find_object(*id).map_err(Error::git(format!("read content {id}")))?;
            return Ok(found.detach().data);
        }
        let path = self.content_dir.join(content_path(id));
        std::fs::read(&path).map_err(Error::io("read", path))
    }
}

/// Read all contents once: those whose bytes are not those of their ids are taken out of `items` and returned, the others
/// compared.
pub(super) fn compare(store: &Store, items: &mut Vec<Item>) -> Result<(Likes, Vec<Item>)> {
    let line = Line::new(items.len());
    let sketches: Mutex<Vec<Option<Vec<u32>>>> = Mutex::new(vec![None; items.len()]);
    let content_dir = store.content_dir();
    line::run(store, &line, |repo| {
        let reader = Reader::new(content_dir.clone(), repo);
        while let Some((number, _room)) = line.begin(|number| items[number].size) {
            let item = &items[number];
            let bytes = reader.read(&item.id, item.is_packed)?;
            if hash_content(&bytes) != item.id {
                continue;
            }
            let mut sketch = Sketch::new();
            if item.size >= SMALLEST {
                sketch.add(&bytes);
            }
            sketches.lock().unwrap_or_else(PoisonError::into_inner)[number] = Some(sketch.finish());
        }
        Ok(())
    })?;
    let sketches = sketches.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut damaged = Vec::new();
    let mut sketched = sketches.iter();
    items.retain(|item| {
        let is_sound = sketched.next().is_some_and(Option::is_some);
        if !is_sound {
            damaged.push(*item);
        }
        is_sound
    });
    Ok((Likes::new(sketches.into_iter().flatten().collect()), damaged))
}

/// An entry in the making: deflated, of this size before that, and the content that it is a delta to.
struct Made {
    base: Option<usize>,
    size: u64,
    deflated: Vec<u8>,
}

/// Write the contents into `pack`, in their order.
pub(super) fn write(store: &Store, items: &[Item], likes: &Likes, pack: &mut PackFile) -> Result<()> {
    let line = Line::new(items.len());
    let (done, made) = mpsc::channel();
    let done = Mutex::new(done);
    let content_dir = store.content_dir();
    let repo = store.repo().clone().into_sync();
    let own = Packer::new(items, likes, Reader::new(content_dir.clone(), store.repo().clone()));
    std::thread::scope(|scope| {
        let line = &line;
        let workers = scope.spawn(move || {
            let work = |repo: gix::Repository| {
                let packer = Packer::new(items, likes, Reader::new(content_dir.clone(), repo));
                let done = done.lock().unwrap_or_else(PoisonError::into_inner).clone();
                while let Some((number, _room)) = line.begin(|number| packer.room(number)) {
                    let made = packer.make(number)?;
                    line.add(made.deflated.len());
                    if done.send((number, made)).is_err() {
                        break;
                    }
                }
                Ok(())
            };
            let outcome = line::run_with(&repo, line, &work);
            drop(done);
            outcome
        });
        let written = in_order(&own, made, line, pack);
        if written.is_err() {
            line.stop();
        }
        let worked = workers.join().unwrap_or_else(|_| Err(Error::damaged("a worker", "it ended without a result")));
        worked.and(written)
    })
}

/// Write the entries as soon as all before them are written.
fn in_order(own: &Packer<'_>, made: mpsc::Receiver<(usize, Made)>, line: &Line, pack: &mut PackFile) -> Result<()> {
    let mut early: BTreeMap<usize, Made> = BTreeMap::new();
    // Where each entry begins, and how many deltas lead to it.
    let mut places: Vec<(u64, u8)> = Vec::with_capacity(own.items.len());
    for (number, made) in made {
        early.insert(number, made);
        while let Some(made) = early.remove(&places.len()) {
            let waited = made.deflated.len();
            let number = places.len();
            let too_deep = made.base.is_some_and(|base| places[base].1 >= DEEPEST);
            let made = if too_deep { own.whole(number)? } else { made };
            let (at, depth) = (pack.offset(), made.base.map_or(0, |base| places[base].1 + 1));
            let mut entry = Vec::with_capacity(made.deflated.len() + 24);
            match made.base {
                None => encode_entry_header(gix::objs::Kind::Blob, made.size, &mut entry),
                Some(base) => encode_delta_header(made.size, at - places[base].0, &mut entry),
            }
            entry.extend_from_slice(&made.deflated);
            pack.add_raw(own.items[number].id, &entry)?;
            places.push((at, depth));
            line.wrote(waited);
        }
    }
    Ok(())
}

/// The type (a delta to an entry `distance` bytes before), the delta's size, and the distance (gitformat-pack(5)).
fn encode_delta_header(size: u64, distance: u64, out: &mut Vec<u8>) {
    const OFFSET_DELTA: u8 = 6;
    let start = out.len();
    encode_entry_header(gix::objs::Kind::Blob, size, out);
    out[start] = (out[start] & 0x8f) | (OFFSET_DELTA << 4);
    let mut bytes = vec![(distance & 0x7f) as u8];
    let mut rest = distance >> 7;
    while rest > 0 {
        rest -= 1;
        bytes.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    out.extend(bytes.iter().rev());
}

/// What a worker has.
struct Packer<'a> {
    items: &'a [Item],
    likes: &'a Likes,
    reader: Reader,
    compressor: RefCell<Compressor>,
}

impl<'a> Packer<'a> {
    fn new(items: &'a [Item], likes: &'a Likes, reader: Reader) -> Self {
        let level = CompressionLvl::new(LEVEL).expect("because libdeflate has such a level");
        Self { items, likes, reader, compressor: RefCell::new(Compressor::new(level)) }
    }

    /// What making the entry takes in memory, in bytes: the content, what comes of it, a base and its index.
    fn room(&self, number: usize) -> u64 {
        let base = self.bases(number).into_iter().map(|base| self.items[base].size).max().unwrap_or(0);
        2 * self.items[number].size + base + base * 3 / 4
    }

    /// The contents that the content may be a delta to, the most likely first.
    fn bases(&self, number: usize) -> Vec<usize> {
        let item = &self.items[number];
        if item.size < SMALLEST {
            return Vec::new();
        }
        let mut bases = self.likes.before(number, ALIKE);
        for before in (number.saturating_sub(NEIGHBOURS)..number).rev() {
            if self.items[before].name.0 == item.name.0 && !bases.contains(&before) {
                bases.push(before);
            }
        }
        bases.retain(|base| {
            let size = self.items[*base].size;
            // To index a large base for a small content takes more time than it saves room.
            size >= SMALLEST && size / 64 <= item.size && 2 * item.size + size + size * 3 / 4 <= MOST_FOR_DELTA
        });
        bases
    }

    fn make(&self, number: usize) -> Result<Made> {
        let item = &self.items[number];
        let target = self.reader.read(&item.id, item.is_packed)?;
        let mut best: Option<(usize, Vec<u8>)> = None;
        for base in self.bases(number) {
            let limit = best.as_ref().map_or(target.len() / 10 * 6, |(_, delta)| delta.len() - 1);
            let bytes = self.reader.read(&self.items[base].id, self.items[base].is_packed)?;
            if let Some(delta) = Index::new(&bytes).encode(&target, limit)
                && makes(&bytes, &delta, &target)
            {
                let is_good = delta.len() < target.len() / 64;
                best = Some((base, delta));
                if is_good {
                    break;
                }
            }
        }
        let made = best.map(|(base, delta)| (Some(base), delta.len() as u64, self.deflate(&delta)));
        match made {
            Some((base, size, deflated)) if deflated.len() <= target.len() / 5 => Ok(Made { base, size, deflated }),
            made => {
                let whole = self.deflate(&target);
                match made {
                    Some((base, size, deflated)) if deflated.len() < whole.len() => Ok(Made { base, size, deflated }),
                    _ => Ok(Made { base: None, size: target.len() as u64, deflated: whole }),
                }
            }
        }
    }

    fn whole(&self, number: usize) -> Result<Made> {
        let item = &self.items[number];
        let bytes = self.reader.read(&item.id, item.is_packed)?;
        Ok(Made { base: None, size: bytes.len() as u64, deflated: self.deflate(&bytes) })
    }

    fn deflate(&self, bytes: &[u8]) -> Vec<u8> {
        let mut compressor = self.compressor.borrow_mut();
        let mut out = vec![0; compressor.zlib_compress_bound(bytes.len())];
        let length = compressor.zlib_compress(bytes, &mut out).expect("because the room is what it asked for");
        out.truncate(length);
        out.shrink_to_fit();
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_gits() {
        let header = |size, distance| {
            let mut out = Vec::new();
            encode_delta_header(size, distance, &mut out);
            out
        };
        assert_eq!(header(5, 1), [0x65, 1]);
        assert_eq!(header(16, 127), [0xe0, 1, 127]);
        assert_eq!(header(16, 128), [0xe0, 1, 0x80, 0]);
        assert_eq!(header(16, 16_511), [0xe0, 1, 0xff, 0x7f]);
        assert_eq!(header(16, 16_512), [0xe0, 1, 0x80, 0x80, 0]);
    }
}

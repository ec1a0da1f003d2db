//! What of a layer is fetched, and how its tar is put together of that and of what the store has.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs::File;
use std::io::{self, Cursor, Read};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use super::{Layout, Piece, contents};
use crate::digest::Digest;
use crate::{Result, Store};

/// Ranges of a blob that are so near to one another are fetched as one: to ask costs more.
const GAP: u64 = 16 << 10;

/// So many ranges are asked for at most.
const MOST: usize = 400;

/// How a tar is put together.
pub struct Plan {
    parts: VecDeque<Part>,
    fetched: Vec<Range<u64>>,
}

enum Part {
    Bytes(Box<[u8]>),
    /// A content, of so many bytes.
    Content(PathBuf, u64),
    /// A file of so many bytes in compressed frames at this place of the blob.
    Frames(Range<u64>, u64),
}

impl Plan {
    /// Find out what the store has of a layer. It stays there only for who holds off `rd gc`.
    pub fn make(store: &Store, layout: Layout) -> Result<Self> {
        let mut wanted: HashMap<u64, HashSet<Digest>> = HashMap::new();
        for piece in &layout.pieces {
            if let Piece::File { digest, size, .. } = piece {
                wanted.entry(*size).or_default().insert(*digest);
            }
        }
        let known = contents::find(store, &wanted)?;
        let mut needed = Vec::new();
        let part = |piece| match piece {
            Piece::Bytes(bytes) => Part::Bytes(bytes),
            Piece::File { digest, size, range } => match known.get(&digest) {
                Some(id) => Part::Content(store.content_file(id), size),
                None => {
                    needed.push(range.clone());
                    Part::Frames(range, size)
                }
            },
        };
        let parts = layout.pieces.into_iter().map(part).collect();
        Ok(Self { parts, fetched: join(needed, layout.files_end) })
    }

    /// The bytes of the blob to fetch, in order.
    pub fn fetched(&self) -> &[Range<u64>] {
        &self.fetched
    }

    /// How many bytes that is.
    pub fn cost(&self) -> u64 {
        self.fetched.iter().map(|range| range.end - range.start).sum()
    }

    /// The tar. `file` has the fetched bytes where they are in the blob.
    pub fn tar(self, file: Arc<File>) -> Tar {
        Tar { parts: self.parts, file, current: Box::new(io::empty()) }
    }
}

/// Ranges that are sorted, don't overlap, are not too many, and end in the blob.
fn join(mut ranges: Vec<Range<u64>>, end: u64) -> Vec<Range<u64>> {
    ranges.retain(|range| range.start < range.end && range.end <= end);
    ranges.sort_unstable_by_key(|range| range.start);
    let mut gap = GAP;
    loop {
        let mut joined: Vec<Range<u64>> = Vec::new();
        for range in &ranges {
            match joined.last_mut() {
                Some(last) if range.start <= last.end.saturating_add(gap) => last.end = last.end.max(range.end),
                _ => joined.push(range.clone()),
            }
        }
        if joined.len() <= MOST {
            return joined;
        }
        (ranges, gap) = (joined, gap * 2);
    }
}

/// Reads a tar that is put together.
pub struct Tar {
    parts: VecDeque<Part>,
    file: Arc<File>,
    current: Box<dyn Read + Send>,
}

impl Tar {
    fn open(&self, part: Part) -> io::Result<Box<dyn Read + Send>> {
        Ok(match part {
            Part::Bytes(bytes) => Box::new(Cursor::new(bytes)),
            Part::Content(path, size) => Box::new(File::open(path)?.take(size)),
            Part::Frames(range, size) => {
                let frames = Section { file: self.file.clone(), at: range.start, end: range.end };
                // A frame that would give more is cut; the diff id tells.
                Box::new(zstd::Decoder::new(frames)?.take(size))
            }
        })
    }
}

impl Read for Tar {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let read = self.current.read(buffer)?;
            if read > 0 {
                return Ok(read);
            }
            let Some(part) = self.parts.pop_front() else { return Ok(0) };
            self.current = self.open(part)?;
        }
    }
}

/// Some bytes of a file.
struct Section {
    file: Arc<File>,
    at: u64,
    end: u64,
}

impl Read for Section {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        use std::os::unix::fs::FileExt;
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let length = buffer.len().min(left);
        let read = self.file.read_at(&mut buffer[..length], self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_ranges_are_fetched_as_one() {
        let range = |start: u64, length: u64| start..start + length;
        let joined = join(vec![range(100_000, 10), range(0, 10), range(10, 5), range(20, 5), range(5, 0)], 1 << 20);
        assert_eq!(joined, [range(0, 25), range(100_000, 10)]);
        assert_eq!(join(vec![range(0, 10), range(90, 20)], 100), [range(0, 10)]);
        let many = join((0..1000).map(|number| range(number << 20, 1)).collect(), u64::MAX);
        assert!(many.len() <= MOST && many.last().unwrap().end == (999 << 20) + 1);
    }
}

//! A pack read from its beginning to its end, without an index.

use std::collections::HashMap;

use flate2::{Crc, Decompress, FlushDecompress, Status};
use gix::objs::Kind;
use gix::odb::pack::data::Entry as GixEntry;
use gix::odb::pack::data::entry::Header;

use crate::Id;
use crate::fsck::objects::hash;
use crate::store::{PACK_HEADER, PACK_TRAILER, PackEntry};

/// An object larger than this isn't looked at: a damaged header may say anything.
const LARGEST: u64 = 2 << 30;

/// What is in a pack, up to the first entry that can't be read.
pub(super) struct Scan<'p> {
    pack: &'p [u8],
    /// The entries by id, as an index lists them.
    pub(super) entries: Vec<PackEntry>,
    /// Whether all objects were found, and nothing behind them but the right checksum.
    pub(super) is_whole: bool,
    /// Where each entry begins, and the id of what it holds.
    at: HashMap<u64, Id>,
}

impl<'p> Scan<'p> {
    /// Read `pack`.
    pub(super) fn new(pack: &'p [u8]) -> Self {
        let mut scan = Self { pack, entries: Vec::new(), is_whole: false, at: HashMap::new() };
        let Some(header) = pack.get(..PACK_HEADER).filter(|header| header.starts_with(b"PACK\0\0\0\x02")) else {
            return scan;
        };
        let count = u32::from_be_bytes([header[8], header[9], header[10], header[11]]);
        let end = pack.len().saturating_sub(PACK_TRAILER);
        let mut offset = PACK_HEADER as u64;
        for _ in 0..count {
            match scan.entry(offset, end) {
                Some(next) => offset = next,
                None => return scan,
            }
        }
        scan.is_whole = offset == end as u64 && crate::fsck::objects::check_trailer(pack).is_ok();
        scan
    }

    /// Read the entry at `offset`; where the next one begins.
    fn entry(&mut self, offset: u64, end: usize) -> Option<u64> {
        let (_, bytes, next) = self.inflated(offset, end)?;
        let (kind, bytes) = self.resolved(offset, bytes, 0)?;
        let id = hash(kind, &bytes);
        let mut crc = Crc::new();
        crc.update(&self.pack[offset as usize..next as usize]);
        self.entries.push(PackEntry { id, crc: crc.sum(), offset });
        self.at.insert(offset, id);
        Some(next)
    }

    /// The header and the inflated bytes of an entry, and where it ends.
    fn inflated(&self, offset: u64, end: usize) -> Option<(Header, Vec<u8>, u64)> {
        let slice = self.pack.get(usize::try_from(offset).ok()?..end).filter(|slice| slice.len() > 2)?;
        let entry = GixEntry::from_bytes(slice, offset, gix::hash::Kind::Sha256).ok()?;
        if entry.decompressed_size > LARGEST {
            return None;
        }
        let compressed = slice.get(entry.header_size()..)?;
        let mut inflate = Decompress::new(true);
        let mut bytes = Vec::new();
        let limit = entry.decompressed_size as usize + 1;
        loop {
            let (before_in, before_out) = (inflate.total_in(), bytes.len());
            bytes.reserve((limit - bytes.len()).clamp(64, 1 << 20));
            let rest = compressed.get(before_in as usize..)?;
            let status = inflate.decompress_vec(rest, &mut bytes, FlushDecompress::None).ok()?;
            if status == Status::StreamEnd {
                break;
            }
            if bytes.len() >= limit || (inflate.total_in(), bytes.len()) == (before_in, before_out) {
                return None;
            }
        }
        let next = offset + entry.header_size() as u64 + inflate.total_in();
        (bytes.len() as u64 == entry.decompressed_size).then_some((entry.header, bytes, next))
    }

    /// What the entry at `offset` holds, deltas applied.
    fn resolved(&self, offset: u64, bytes: Vec<u8>, depth: u32) -> Option<(Kind, Vec<u8>)> {
        let end = self.pack.len().saturating_sub(PACK_TRAILER);
        let header =
            GixEntry::from_bytes(self.pack.get(offset as usize..end)?, offset, gix::hash::Kind::Sha256).ok()?;
        let base = match header.header {
            Header::Commit => return Some((Kind::Commit, bytes)),
            Header::Tree => return Some((Kind::Tree, bytes)),
            Header::Blob => return Some((Kind::Blob, bytes)),
            Header::Tag => return Some((Kind::Tag, bytes)),
            Header::OfsDelta { base_distance } => offset.checked_sub(base_distance)?,
            Header::RefDelta { base_id } => *self.at.iter().find(|(_, id)| **id == base_id)?.0,
        };
        if depth > 4096 || !self.at.contains_key(&base) {
            return None;
        }
        let (kind, base) = self.resolved(base, self.inflated(base, end)?.1, depth + 1)?;
        Some((kind, apply(&base, &bytes)?))
    }

    /// An object that was found.
    pub(super) fn read(&self, entry: &PackEntry) -> Option<(Kind, Vec<u8>)> {
        let end = self.pack.len().saturating_sub(PACK_TRAILER);
        let (_, bytes, _) = self.inflated(entry.offset, end)?;
        self.resolved(entry.offset, bytes, 0)
    }
}

/// Apply a delta (gitformat-pack(5), "deltified representation") to what it is to.
fn apply(base: &[u8], delta: &[u8]) -> Option<Vec<u8>> {
    let mut delta = delta.iter().copied();
    let (base_size, size) = (size(&mut delta)?, size(&mut delta)?);
    if base_size != base.len() as u64 || size > LARGEST {
        return None;
    }
    let mut target = Vec::with_capacity(size as usize);
    while let Some(instruction) = delta.next() {
        if instruction & 0x80 == 0 {
            // The next bytes themselves; none is reserved.
            let count = usize::from(instruction);
            let before = target.len();
            target.extend(delta.by_ref().take(count));
            if count == 0 || target.len() != before + count {
                return None;
            }
            continue;
        }
        let mut number = |bits: std::ops::Range<u32>| {
            let from = bits.start;
            let set = bits.filter(|bit| instruction & (1 << bit) != 0);
            set.map(|bit| Some(usize::from(delta.next()?) << (8 * (bit - from)))).sum::<Option<usize>>()
        };
        let (at, count) = (number(0..4)?, number(4..7)?);
        let count = if count == 0 { 0x10000 } else { count };
        target.extend_from_slice(base.get(at..at.checked_add(count)?)?);
        if target.len() as u64 > size {
            return None;
        }
    }
    (target.len() as u64 == size).then_some(target)
}

/// A number in groups of seven bits, the lowest first.
fn size(bytes: &mut impl Iterator<Item = u8>) -> Option<u64> {
    let mut size = 0u64;
    for group in 0..9 {
        let byte = bytes.next()?;
        size |= u64::from(byte & 0x7f) << (7 * group);
        if byte & 0x80 == 0 {
            return Some(size);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deltas_copy_and_insert() {
        // Of 11 bytes make 8: four from the sixth on, then three new ones, then the first.
        let delta = [11, 8, 0x91, 6, 4, 3, b'x', b'y', b'z', 0x90, 1];
        assert_eq!(apply(b"hello world", &delta).unwrap(), b"worlxyzh");
        for cut in 0..delta.len() {
            assert_eq!(apply(b"hello world", &delta[..cut]), None, "{cut}");
        }
        assert_eq!(apply(b"hello", &delta), None);
    }
}

//! Sparse files: where in a file the bytes that an archive holds belong.
//!
//! GNU tar has four encodings: its old one in the header and blocks behind it, and the pax formats 0.0 (repeated
//! records), 0.1 (one record) and 1.0 (lines in front of the bytes). All end as a [`Map`].

use gix::bstr::ByteSlice;

use super::header::{Flaw, number};
use super::pax::{Pax, decimal};

/// More pieces than this are refused: the map must fit into memory.
const PIECES: usize = 1 << 20;

/// A piece of a file: its place and its length in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) offset: u64,
    pub(super) length: u64,
}

/// A file as pieces in ascending order, with holes between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Map {
    pub(super) pieces: Vec<Piece>,
    /// Size of the file with its holes.
    pub(super) size: u64,
}

impl Map {
    /// A file without holes.
    pub(super) fn whole(size: u64) -> Self {
        Self { pieces: vec![Piece { offset: 0, length: size }], size }
    }

    /// A checked map: pieces in order, inside the file, and together as long as what is stored.
    pub(super) fn new(mut pieces: Vec<Piece>, size: u64, stored: u64) -> Result<Self, Flaw> {
        let (mut at, mut sum) = (0, 0u64);
        for piece in &pieces {
            let end = piece.offset.checked_add(piece.length);
            let end = end.filter(|end| piece.offset >= at && *end <= size).ok_or("its sparse map is out of order")?;
            at = end;
            sum += piece.length;
        }
        if sum != stored {
            return Err(format!("its sparse map has {sum} bytes, the archive {stored}"));
        }
        pieces.retain(|piece| piece.length > 0);
        Ok(Self { pieces, size })
    }

    /// The number of bytes in holes.
    pub(super) fn holes(&self) -> u64 {
        self.size - self.pieces.iter().map(|piece| piece.length).sum::<u64>()
    }
}

/// Collects the pieces of a map in the making.
#[derive(Default)]
pub(super) struct Pieces(Vec<Piece>);

impl Pieces {
    pub(super) fn add(&mut self, offset: u64, length: u64) -> Result<(), Flaw> {
        if self.0.len() == PIECES {
            return Err(format!("its sparse map has more than {PIECES} pieces"));
        }
        self.0.push(Piece { offset, length });
        Ok(())
    }

    /// Add the entries of GNU tar's old format: pairs of 12-byte numbers, up to the first that is empty.
    pub(super) fn add_old(&mut self, entries: &[u8]) -> Result<(), Flaw> {
        for entry in entries.chunks_exact(24).take_while(|entry| entry[0] != 0) {
            self.add(size_field(&entry[..12])?, size_field(&entry[12..])?)?;
        }
        Ok(())
    }

    pub(super) fn finish(self, size: u64, stored: u64) -> Result<Map, Flaw> {
        Map::new(self.0, size, stored)
    }
}

/// A size or place in an old sparse header.
pub(super) fn size_field(field: &[u8]) -> Result<u64, Flaw> {
    number(field)
        .ok()
        .and_then(|size| u64::try_from(size).ok())
        .ok_or_else(|| "its sparse map has an impossible number".into())
}

/// How the pax records of an entry say that it is sparse.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PaxSparse {
    /// The map is in the records.
    InRecords { size: u64 },
    /// The map is in front of the bytes (format 1.0).
    InData { size: u64 },
}

impl PaxSparse {
    pub(super) fn find(pax: &Pax) -> Result<Option<Self>, Flaw> {
        match (pax.get("GNU.sparse.major"), pax.get("GNU.sparse.minor")) {
            (Some(major), Some(minor)) if major == "1" && minor == "0" => {
                let size = pax.number("GNU.sparse.realsize")?.ok_or("its sparse header has no size")?;
                Ok(Some(Self::InData { size }))
            }
            (Some(major), _) if major != "0" => Err("its sparse format is unknown".into()),
            _ => Ok(pax.number("GNU.sparse.size")?.map(|size| Self::InRecords { size })),
        }
    }
}

/// The map in pax records (formats 0.0 and 0.1).
pub(super) fn map_in_records(pax: &Pax, size: u64, stored: u64) -> Result<Map, Flaw> {
    let mut pieces = Pieces::default();
    if let Some(list) = pax.get("GNU.sparse.map") {
        let numbers = list.split_str(",").map(|number| decimal(number.as_bstr())).collect::<Result<Vec<_>, _>>()?;
        for pair in numbers.chunks(2) {
            let [offset, length] = pair else { return Err("its sparse map has an odd number of numbers".into()) };
            pieces.add(*offset, *length)?;
        }
    } else {
        for pair in pax.sparse.chunks(2) {
            let [(true, offset), (false, length)] = pair else { return Err("its sparse map is out of order".into()) };
            pieces.add(*offset, *length)?;
        }
    }
    pieces.finish(size, stored)
}

/// Reads the map of format 1.0 out of the blocks in front of the bytes: the number of pieces, then place and
/// length of each, a line a number.
#[derive(Default)]
pub(super) struct MapLines {
    line: Vec<u8>,
    count: Option<u64>,
    offset: Option<u64>,
    pieces: Pieces,
}

impl MapLines {
    /// Read a block. True once the map is complete.
    pub(super) fn block(&mut self, block: &[u8]) -> Result<bool, Flaw> {
        for byte in block {
            if *byte != b'\n' {
                self.line.push(*byte);
                if self.line.len() > 20 {
                    return Err("its sparse map is malformed".into());
                }
            } else if self.number()? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn number(&mut self) -> Result<bool, Flaw> {
        let number = decimal(std::mem::take(&mut self.line).as_bstr())?;
        match (self.count, self.offset.take()) {
            (None, _) => self.count = Some(number),
            (Some(_), None) => self.offset = Some(number),
            (Some(_), Some(offset)) => self.pieces.add(offset, number)?,
        }
        Ok(self.offset.is_none() && self.count == Some(self.pieces.0.len() as u64))
    }

    pub(super) fn finish(self, size: u64, stored: u64) -> Result<Map, Flaw> {
        self.pieces.finish(size, stored)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(offset: u64, length: u64) -> Piece {
        Piece { offset, length }
    }

    #[test]
    fn maps_that_lie_are_refused() {
        assert!(Map::new(vec![piece(0, 5), piece(10, 5), piece(20, 0)], 20, 10).is_ok());
        for (pieces, size, stored) in [
            (vec![piece(0, 5), piece(4, 5)], 20, 10),
            (vec![piece(10, 5), piece(0, 5)], 20, 10),
            (vec![piece(10, 11)], 20, 11),
            (vec![piece(0, 5)], 20, 6),
            (vec![piece(u64::MAX, 2)], 20, 2),
            (vec![piece(0, u64::MAX), piece(u64::MAX, 0)], u64::MAX, 3),
        ] {
            assert!(Map::new(pieces.clone(), size, stored).is_err(), "{pieces:?}");
        }
    }

    #[test]
    fn lines_in_front_of_the_bytes() {
        let mut lines = MapLines::default();
        assert_eq!(lines.block(b"2\n0\n5\n1"), Ok(false));
        assert_eq!(lines.block(b"0\n5\n\0\0\0"), Ok(true));
        assert_eq!(lines.finish(15, 10).unwrap().pieces, [piece(0, 5), piece(10, 5)]);
        assert_eq!(MapLines::default().block(b"0\n"), Ok(true));
        assert!(MapLines::default().block(b"x\n").is_err());
        assert!(MapLines::default().block(&[b'1'; 512]).is_err());
    }
}

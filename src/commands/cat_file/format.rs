//! Formats of the batch modes: `%(objectname) %(objecttype) %(objectsize)` and the like.

use std::io::Write;

use plumbing::Id;
use plumbing::bstr::{BStr, ByteSlice};
use plumbing::store::{Found, Place};

use crate::git;
use crate::report::Failure;

/// What is printed of each object.
pub(super) struct Format {
    pieces: Vec<Piece>,
}

#[derive(Clone, PartialEq, Eq)]
enum Piece {
    Text(Vec<u8>),
    Name,
    Kind,
    Size,
    DiskSize,
    DeltaBase,
    Rest,
}

/// What is known of an object when it is printed.
pub(super) struct Facts<'a> {
    pub(super) id: &'a Id,
    pub(super) found: Option<&'a Found>,
    pub(super) place: Option<Place>,
    pub(super) rest: &'a BStr,
}

impl Format {
    pub(super) fn parse(format: &[u8]) -> Result<Self, Failure> {
        let mut pieces = Vec::new();
        let mut text = Vec::new();
        let mut rest = format;
        while let Some(at) = rest.find_byte(b'%') {
            text.extend_from_slice(&rest[..at]);
            rest = &rest[at + 1..];
            if !rest.starts_with(b"(") {
                text.push(b'%');
                rest = rest.strip_prefix(b"%").unwrap_or(rest);
                continue;
            }
            let (atom, used) = atom(rest)?;
            pieces.extend([Piece::Text(std::mem::take(&mut text)), atom]);
            rest = &rest[used..];
        }
        text.extend_from_slice(rest);
        pieces.push(Piece::Text(text));
        pieces.retain(|piece| *piece != Piece::Text(Vec::new()));
        Ok(Self { pieces })
    }

    /// Whether lines of input are a name and a rest.
    pub(super) fn has_rest(&self) -> bool {
        self.pieces.contains(&Piece::Rest)
    }

    /// Whether it takes to know how an object is stored.
    pub(super) fn has_place(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::DiskSize | Piece::DeltaBase))
    }

    /// Whether it takes to know more than the object's name.
    pub(super) fn has_facts(&self) -> bool {
        self.has_place() || self.pieces.iter().any(|piece| matches!(piece, Piece::Kind | Piece::Size))
    }

    /// Add what is printed of an object.
    pub(super) fn fill(&self, line: &mut Vec<u8>, facts: &Facts<'_>) {
        for piece in &self.pieces {
            match (piece, facts.found, facts.place) {
                (Piece::Text(text), ..) => line.extend_from_slice(text),
                (Piece::Name, ..) => git::tree::push_hex(line, facts.id),
                (Piece::Rest, ..) => line.extend_from_slice(facts.rest),
                (Piece::Kind, Some(found), _) => line.extend_from_slice(found.kind.as_bytes()),
                (Piece::Size, Some(found), _) => push_number(line, found.size),
                (Piece::DiskSize, _, Some(place)) => push_number(line, place.disk_size),
                (Piece::DeltaBase, _, Some(place)) => {
                    git::tree::push_hex(line, &place.delta_base.unwrap_or_else(|| Id::null(facts.id.kind())));
                }
                // What a format asks for is looked up before.
                _ => {}
            }
        }
    }
}

fn push_number(line: &mut Vec<u8>, number: u64) {
    write!(line, "{number}").expect("because writing to memory can't fail");
}

/// What begins with `(`, and how long it is.
fn atom(rest: &[u8]) -> Result<(Piece, usize), Failure> {
    let Some(end) = rest.find_byte(b')') else {
        let why = format!("bad cat-file format: element '{}' does not end in ')'", rest.as_bstr());
        return Err(Failure::fatal(why));
    };
    let piece = match &rest[1..end] {
        b"objectname" => Piece::Name,
        b"objecttype" => Piece::Kind,
        b"objectsize" => Piece::Size,
        b"objectsize:disk" => Piece::DiskSize,
        b"deltabase" => Piece::DeltaBase,
        b"rest" => Piece::Rest,
        _ => return Err(Failure::fatal(format!("bad cat-file format: %{}", rest[..=end].as_bstr()))),
    };
    Ok((piece, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_filled() {
        let fill = |format: &str| {
            let id = Id::null(plumbing::gix::hash::Kind::Sha256);
            let place = Some(Place { disk_size: 7, delta_base: None });
            let facts = Facts { id: &id, found: None, place, rest: "more".into() };
            let mut line = Vec::new();
            Format::parse(format.as_bytes()).ok().unwrap().fill(&mut line, &facts);
            String::from_utf8(line).unwrap()
        };
        assert_eq!(fill("a%%b%c%"), "a%b%c%");
        assert_eq!(fill("%(objectsize:disk)-%(rest)"), "7-more");
        assert_eq!(fill("%(deltabase)"), "0".repeat(64));
        for bad in ["%(bogus)", "%(objectname", "%()"] {
            assert!(Format::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}

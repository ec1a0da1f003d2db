//! What of an entry is shown: `--format`, and the short cuts for the usual ones.

use plumbing::bstr::ByteSlice;

/// What of an entry is shown.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Columns {
    All,
    Long,
    Name,
    Id,
    Pieces(Vec<Piece>),
}

/// A part of a format.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Text(Vec<u8>),
    Mode,
    Kind,
    Size {
        padded: bool,
    },
    Id,
    Path,
    /// What git doesn't understand: it says so when it comes to it.
    Bad(String),
}

/// The spellings of what has an option of its own. They are the same down to how names are quoted, which under -z only the
/// other formats do.
const SHORT_CUTS: [(&[u8], Columns); 4] = [
    (b"%(objectmode) %(objecttype) %(objectname)%x09%(path)", Columns::All),
    (b"%(objectmode) %(objecttype) %(objectname) %(objectsize:padded)%x09%(path)", Columns::Long),
    (b"%(path)", Columns::Name),
    (b"%(objectname)", Columns::Id),
];

/// Reads formats.
pub(super) struct Format;

impl Format {
    /// What `format` shows.
    pub(super) fn parse(format: &[u8]) -> Columns {
        let short_cut = SHORT_CUTS.into_iter().find(|(spelling, _)| *spelling == format);
        short_cut.map_or_else(|| Columns::Pieces(pieces(format)), |(_, columns)| columns)
    }
}

fn pieces(format: &[u8]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = format;
    while let Some(at) = rest.find_byte(b'%') {
        text(&mut pieces, &rest[..at]);
        rest = &rest[at + 1..];
        let Some((piece, used)) = piece(rest) else {
            pieces.push(Piece::Bad(bad(rest)));
            return pieces;
        };
        match piece {
            Piece::Text(bytes) => text(&mut pieces, &bytes),
            piece => pieces.push(piece),
        }
        rest = &rest[used..];
    }
    text(&mut pieces, rest);
    pieces
}

fn text(pieces: &mut Vec<Piece>, bytes: &[u8]) {
    match pieces.last_mut() {
        _ if bytes.is_empty() => {}
        Some(Piece::Text(before)) => before.extend_from_slice(bytes),
        _ => pieces.push(Piece::Text(bytes.to_vec())),
    }
}

/// What follows a percent sign, and how long it is.
fn piece(rest: &[u8]) -> Option<(Piece, usize)> {
    if rest.starts_with(b"%") {
        return Some((Piece::Text(b"%".to_vec()), 1));
    }
    if rest.starts_with(b"n") {
        return Some((Piece::Text(b"\n".to_vec()), 1));
    }
    if let Some(digits) = rest.strip_prefix(b"x") {
        let byte = digits.get(..2).and_then(|digits| u8::from_str_radix(digits.to_str().ok()?, 16).ok());
        // A sign is no digit, whatever Rust says.
        return byte.filter(|_| digits[0] != b'+').map(|byte| (Piece::Text(vec![byte]), 3));
    }
    let end = rest.find_byte(b')')? + 1;
    let piece = match &rest[..end] {
        b"(objectmode)" => Piece::Mode,
        b"(objecttype)" => Piece::Kind,
        b"(objectsize:padded)" => Piece::Size { padded: true },
        b"(objectsize)" => Piece::Size { padded: false },
        b"(objectname)" => Piece::Id,
        b"(path)" => Piece::Path,
        _ => return None,
    };
    Some((piece, end))
}

/// Why `rest`, after a percent sign, is none of git's.
fn bad(rest: &[u8]) -> String {
    let element = rest.as_bstr();
    match rest.find_byte(b')') {
        _ if !rest.starts_with(b"(") => format!("bad ls-tree format: element '{element}' does not start with '('"),
        None => format!("bad ls-tree format: element '{element}' does not end in ')'"),
        Some(end) => format!("bad ls-tree format: %{}", rest[..=end].as_bstr()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_come_apart() {
        let parse = |format: &str| match Format::parse(format.as_bytes()) {
            Columns::Pieces(pieces) => pieces,
            other => panic!("{other:?}"),
        };
        let text = |text: &str| Piece::Text(text.into());
        assert_eq!(parse("a%%b%x41%n"), [text("a%bA\n")]);
        assert_eq!(parse("%(path)-%(objectsize)"), [Piece::Path, text("-"), Piece::Size { padded: false }]);
        assert!(matches!(&parse("%(objectsize:x)")[..], [Piece::Bad(_)]));
        assert!(matches!(&parse("x%x+1")[..], [Piece::Text(_), Piece::Bad(_)]));
        assert_eq!(parse(""), []);
        assert_eq!(Format::parse(b"%(path)"), Columns::Name);
    }
}

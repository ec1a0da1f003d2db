//! `--format` of lists of entries: `%(field)`, as git-ls-tree(1) has it.

use plumbing::bstr::{BString, ByteSlice};

use crate::report::Failure;

/// A format, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub struct Format(Vec<Piece>);

#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Text(BString),
    Field(String),
}

impl Format {
    /// Read a format; `known` says which fields there are.
    pub fn parse(text: &str, known: impl Fn(&str) -> bool) -> Result<Self, Failure> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('%') {
            pieces.push(Piece::Text(before.into()));
            let (piece, behind) = escape(after).ok_or_else(|| bad(text, &format!("bad escape '%{after}'")))?;
            if let Piece::Field(name) = &piece
                && !known(name)
            {
                return Err(bad(text, &format!("there is no field '{name}'")));
            }
            pieces.push(piece);
            rest = behind;
        }
        pieces.push(Piece::Text(rest.into()));
        Ok(Self(pieces))
    }

    /// The text, with what `field` gives for each field.
    pub fn render<'a>(&self, field: impl Fn(&str) -> std::borrow::Cow<'a, [u8]>) -> Vec<u8> {
        let mut out = Vec::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text),
                Piece::Field(name) => out.extend_from_slice(&field(name)),
            }
        }
        out
    }
}

/// What follows a percent sign: `%`, `n`, `xNN` or `(field)`; and what is behind it.
fn escape(text: &str) -> Option<(Piece, &str)> {
    if let Some(rest) = text.strip_prefix('(') {
        let (name, rest) = rest.split_once(')')?;
        return Some((Piece::Field(name.to_owned()), rest));
    }
    if let Some(rest) = text.strip_prefix('x') {
        let byte = u8::from_str_radix(rest.get(..2)?, 16).ok()?;
        return Some((Piece::Text(vec![byte].into()), &rest[2..]));
    }
    let first = text.chars().next()?;
    let text_for = match first {
        '%' => "%",
        'n' => "\n",
        _ => return None,
    };
    Some((Piece::Text(text_for.into()), &text[1..]))
}

fn bad(format: &str, why: &str) -> Failure {
    Failure::new(format!("invalid format '{}': {why}", format.as_bytes().as_bstr()))
        .hint("fields are written '%(path)'; `%%` is a percent sign, `%n` a line end, `%x09` a tab")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_escapes_are_filled_in() {
        let format = Format::parse("%(a)%x09100%%%n[%(b)]", |_| true).ok().unwrap();
        let text = format.render(|name| name.to_uppercase().into_bytes().into());
        assert_eq!(text.as_bstr(), "A\t100%\n[B]");
    }

    #[test]
    fn what_is_no_format_is_refused() {
        for text in ["%", "%q", "%(a", "%x", "%x0", "%xzz", "%x0\u{e4}", "%(unknown)"] {
            assert!(Format::parse(text, |name| name == "a").is_err(), "{text}");
        }
    }
}

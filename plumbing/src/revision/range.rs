//! Ranges: `A..B`, `A...B`, `^A`, `A^@`, `A^!`.

use gix::bstr::{BStr, ByteSlice};

use super::{Lookup, Revision, parse_with};
use crate::{Error, Result, Store};

/// One revision or a set of them, as in gitrevisions(7).
#[expect(missing_docs, reason = "because the variants' comments speak of their fields")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Range {
    /// `A`
    Single(Revision),
    /// `A..B`, and `B^-` for `B^..B`: in `to`, not in `from`.
    Between { from: Revision, to: Revision },
    /// `A...B`: in either, not in both.
    Symmetric { left: Revision, right: Revision },
    /// `^A`: not in A.
    Exclude(Revision),
    /// `A^@`: what A's parents reach.
    Parents(Revision),
    /// `A^!`: A alone.
    Alone(Revision),
}

/// Resolve a revision or a range; a side that is left out is `HEAD`.
pub fn range(store: &Store, spelling: impl AsRef<[u8]>) -> Result<Range> {
    range_with(store, spelling, Lookup::default())
}

/// As [`range`], with names looked up as `lookup` says.
pub fn range_with(store: &Store, spelling: impl AsRef<[u8]>, lookup: Lookup<'_>) -> Result<Range> {
    let spelling = spelling.as_ref().as_bstr();
    let parse = |text: &BStr| parse_with(store, text, lookup);
    if let Some(rest) = spelling.strip_prefix(b"^") {
        return parse(rest.as_bstr()).map(Range::Exclude);
    }
    if let Some(rest) = spelling.strip_suffix(b"^@") {
        return parse(rest.as_bstr()).map(Range::Parents);
    }
    if let Some(rest) = spelling.strip_suffix(b"^!") {
        return parse(rest.as_bstr()).map(Range::Alone);
    }
    if let Some((name, parent)) = spelling.rsplit_once_str("^-")
        && parent.iter().all(u8::is_ascii_digit)
    {
        if !parent.is_empty() && parent.iter().all(|digit| *digit == b'0') {
            return Err(Error::NotFound { what: "revision", name: spelling.to_string() });
        }
        let from = [name, b"^", parent].concat();
        return Ok(Range::Between { from: parse(from.as_bstr())?, to: parse(name.as_bstr())? });
    }
    // Tags and paths may have dots of their own: what is one revision as a whole is no range.
    let error = match parse(spelling) {
        Ok(revision) => return Ok(Range::Single(revision)),
        Err(error) => error,
    };
    let side = |text: &BStr| if text.is_empty() { parse(b"HEAD".into()) } else { parse(text) };
    let mut first_error = None;
    for (left, right, symmetric) in sides(spelling) {
        match side(left).and_then(|left| Ok((left, side(right)?))) {
            Ok((left, right)) if symmetric => return Ok(Range::Symmetric { left, right }),
            Ok((from, to)) => return Ok(Range::Between { from, to }),
            Err(error) => first_error.get_or_insert(error),
        };
    }
    Err(first_error.unwrap_or(error))
}

/// All ways to part `spelling` at two or three dots: left, right, and whether there are three.
pub fn sides(spelling: &BStr) -> impl Iterator<Item = (&BStr, &BStr, bool)> {
    let at = |index: usize, dots: usize| (&spelling[..index], &spelling[index + dots..], dots == 3);
    let three = spelling.find_iter("...").map(move |index| at(index, 3));
    let two = spelling.find_iter("..").map(move |index| at(index, 2));
    three.chain(two)
}

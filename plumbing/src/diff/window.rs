//! The part of two files around the lines in which they differ: what is equal before and after it need not be compared.

use std::ops::Range;

use gix::bstr::ByteSlice;

/// So many equal lines stay on both sides. A change of lines that repeat can be told in several places; git slides it
/// down as far as it goes, and from there up by at most a hundred lines.
const MARGIN: usize = 128;

/// Two files, without most of what is equal at their beginnings and ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window<'a> {
    pub(super) before: &'a [u8],
    pub(super) after: &'a [u8],
    /// What is left out at the beginning.
    pub(super) above: &'a [u8],
    /// Whether something is left out at the end.
    is_cut: bool,
}

impl<'a> Window<'a> {
    /// Both files whole.
    pub(super) fn whole(before: &'a [u8], after: &'a [u8]) -> Self {
        Self { before, after, above: b"", is_cut: false }
    }

    /// Where the files differ, with at least `context` equal lines on both sides.
    pub(super) fn around(before: &'a [u8], after: &'a [u8], context: u32) -> Self {
        let margin = MARGIN.saturating_add(context as usize);
        let equal = common_prefix(before, after);
        let line = before[..equal].rfind_byte(b'\n').map_or(0, |at| at + 1);
        let begin = lines_back(&before[..line], margin);
        // What is equal at the beginning is not equal at the end once more.
        let equal = common_suffix(&before[line..], &after[line..]);
        let below = &before[before.len() - equal..];
        let line = below.find_byte(b'\n').map_or(below.len(), |at| at + 1);
        let kept = line + lines_on(&below[line..], margin.saturating_mul(2));
        let cut = below.len() - kept;
        Self {
            before: &before[begin..before.len() - cut],
            after: &after[begin..after.len() - cut],
            above: &before[..begin],
            is_cut: cut > 0,
        }
    }

    /// Whether lines that changed, counted from the window's begin, end so near to where something was left out that
    /// they might belong further down; `lines` are those of that side.
    pub(super) fn may_go_on(&self, changed: &Range<u32>, lines: u32) -> bool {
        self.is_cut && changed.end as usize + MARGIN > lines as usize
    }
}

/// The number of bytes that are equal from the beginning on.
fn common_prefix(one: &[u8], other: &[u8]) -> usize {
    let blocks = one.chunks_exact(64).zip(other.chunks_exact(64)).take_while(|(one, other)| one == other).count() * 64;
    let rest = one[blocks..].iter().zip(&other[blocks..]).take_while(|(one, other)| one == other).count();
    blocks + rest
}

/// The number of bytes that are equal up to the end.
fn common_suffix(one: &[u8], other: &[u8]) -> usize {
    let blocks =
        one.rchunks_exact(64).zip(other.rchunks_exact(64)).take_while(|(one, other)| one == other).count() * 64;
    let (one, other) = (&one[..one.len() - blocks], &other[..other.len() - blocks]);
    blocks + one.iter().rev().zip(other.iter().rev()).take_while(|(one, other)| one == other).count()
}

/// Where the last `count` lines begin.
fn lines_back(bytes: &[u8], count: usize) -> usize {
    let mut begin = bytes.len();
    for _ in 0..count {
        if begin == 0 {
            break;
        }
        begin = bytes[..begin - 1].rfind_byte(b'\n').map_or(0, |at| at + 1);
    }
    begin
}

/// Where the first `count` lines end.
fn lines_on(bytes: &[u8], count: usize) -> usize {
    bytes.find_iter("\n").nth(count.saturating_sub(1)).map_or(bytes.len(), |at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_equal_is_left_out_but_for_a_margin() {
        let lines = |range: Range<u32>| range.map(|number| format!("{number}\n")).collect::<String>();
        let before = lines(0..1000) + "x\n" + &lines(1000..2000);
        let after = lines(0..1000) + "y\nz\n" + &lines(1000..2000);
        let window = Window::around(before.as_bytes(), after.as_bytes(), 3);
        assert_eq!(window.above.as_bstr(), lines(0..1000 - 131));
        assert_eq!(window.before.as_bstr(), lines(869..1000) + "x\n" + &lines(1000..1262));
        assert_eq!(window.after.as_bstr(), lines(869..1000) + "y\nz\n" + &lines(1000..1262));
        assert!(!window.may_go_on(&(131..132), 394) && window.may_go_on(&(131..267), 394));
    }

    #[test]
    fn short_and_equal_and_endless_lines_are_fine() {
        for (before, after) in
            [("", ""), ("a", ""), ("", "a\n"), ("a", "a\n"), ("a\na\n", "a\n"), ("aaa", "aa"), ("a\nb", "a\nc")]
        {
            let window = Window::around(before.as_bytes(), after.as_bytes(), 0);
            assert_eq!((window.before, window.after), (before.as_bytes(), after.as_bytes()));
            assert!(window.above.is_empty() && !window.is_cut);
        }
        let long = vec![b'x'; 1000];
        assert_eq!(common_prefix(&long, &long[..999]), 999);
        assert_eq!(common_suffix(&long, &long[..70]), 70);
    }
}

//! A file compared with several earlier ones at once, as git shows a merge (git-diff(1), "Combined diff format").
//!
//! Own code: no kept crate has it. Each line of the result knows which parents lack it, and which lines of theirs are gone
//! before it; lines that several parents lost are one.

use super::text;

/// So many comparisons of lost lines are made for one place at most; beyond, lines of different parents stay apart.
const MOST: usize = 1 << 26;

/// Lines that changed, with some that didn't around them.
#[derive(Debug, PartialEq, Eq)]
pub struct Hunk<'a> {
    /// First line, counted from 1, and number of lines, for each parent. Without context the number may wrap below zero,
    /// as git's does.
    pub before: Vec<(usize, usize)>,
    /// The same for the result.
    pub after: (usize, usize),
    /// What git shows beside the positions.
    pub heading: Option<&'a [u8]>,
    /// A sign for each parent (`+`, `-` or blank), and the line without its end.
    pub lines: Vec<(Vec<u8>, &'a [u8])>,
}

/// A line of the result; one more stands for its end.
#[derive(Debug, Default, Clone)]
struct Line<'a> {
    text: &'a [u8],
    /// The parents that don't have it.
    added: u64,
    /// Lines that were before it.
    lost: Vec<(&'a [u8], u64)>,
    /// For each parent the number of the line that comes here.
    numbers: Vec<usize>,
    shown: bool,
    /// It is shown as context, and what was lost before it isn't.
    hides_lost: bool,
}

/// The hunks from `parents` to `result`. With `dense`, those in which the result is one parent's aren't shown.
pub fn combine<'a>(parents: &[&'a [u8]], result: &'a [u8], context: u32, dense: bool) -> Vec<Hunk<'a>> {
    let texts: Vec<&[u8]> = lines_of(result);
    let mut lines: Vec<Line<'a>> = texts.iter().map(|text| Line { text, ..Line::default() }).collect();
    lines.extend([Line::default(), Line::default()]);
    for (number, parent) in parents.iter().enumerate() {
        add_parent(&mut lines, number, parent, result);
    }
    let mut merge = Merge { count: texts.len(), lines, context: context as usize, all: mask_of(parents.len()) };
    merge.mark(dense);
    merge.hunks(parents.len())
}

fn mask_of(count: usize) -> u64 {
    if count >= 64 { u64::MAX } else { (1 << count) - 1 }
}

fn lines_of(text: &[u8]) -> Vec<&[u8]> {
    text.split_inclusive(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\n").unwrap_or(line)).collect()
}

fn add_parent<'a>(lines: &mut [Line<'a>], number: usize, parent: &'a [u8], result: &'a [u8]) {
    let mask = 1u64 << number.min(63);
    let last = lines.len() - 1;
    let mut lost: Vec<Vec<&'a [u8]>> = vec![Vec::new(); lines.len()];
    for hunk in text::hunks(parent, result, 0) {
        let (start, length) = (hunk.after.0 as usize, hunk.after.1);
        let bucket = if length == 0 { start } else { start - 1 };
        let mut at = start;
        for (kind, line) in hunk.lines {
            match kind {
                text::Line::Removed => lost[bucket].push(line.strip_suffix(b"\n").unwrap_or(line)),
                text::Line::Added => {
                    lines[at - 1].added |= mask;
                    at += 1;
                }
                text::Line::Kept => {}
            }
        }
    }
    let mut next = 1;
    for (at, lost) in lost.into_iter().enumerate().take(last) {
        let line = &mut lines[at];
        line.numbers.push(next);
        line.lost = coalesce(std::mem::take(&mut line.lost), lost, mask);
        next += line.lost.iter().filter(|(_, parents)| parents & mask != 0).count();
        next += usize::from(at + 1 < last && line.added & mask == 0);
    }
    lines[last].numbers.push(next);
}

/// Join lines that one more parent lost to those that others lost, by their longest common subsequence.
fn coalesce<'a>(base: Vec<(&'a [u8], u64)>, new: Vec<&'a [u8]>, mask: u64) -> Vec<(&'a [u8], u64)> {
    let with_mask = |new: &[&'a [u8]]| new.iter().map(|line| (*line, mask)).collect::<Vec<_>>();
    if new.is_empty() {
        return base;
    }
    if base.is_empty() || base.len().saturating_mul(new.len()) > MOST {
        return [base, with_mask(&new)].concat();
    }
    let width = new.len() + 1;
    let mut common = vec![0u32; (base.len() + 1) * width];
    for i in 1..=base.len() {
        for j in 1..=new.len() {
            common[i * width + j] = match base[i - 1].0 == new[j - 1] {
                true => common[(i - 1) * width + j - 1] + 1,
                false => common[i * width + j - 1].max(common[(i - 1) * width + j]),
            };
        }
    }
    let (mut i, mut j) = (base.len(), new.len());
    let mut out = Vec::with_capacity(i + j);
    while i > 0 || j > 0 {
        if i > 0 && j > 0 && base[i - 1].0 == new[j - 1] {
            (i, j) = (i - 1, j - 1);
            out.push((base[i].0, base[i].1 | mask));
        } else if i == 0 || (j > 0 && common[i * width + j - 1] >= common[(i - 1) * width + j]) {
            j -= 1;
            out.push((new[j], mask));
        } else {
            i -= 1;
            out.push(base[i]);
        }
    }
    out.reverse();
    out
}

struct Merge<'a> {
    lines: Vec<Line<'a>>,
    /// Lines of the result.
    count: usize,
    context: usize,
    /// All parents.
    all: u64,
}

impl<'a> Merge<'a> {
    /// Find out which lines are shown.
    fn mark(&mut self, dense: bool) {
        for at in 0..=self.count {
            let line = &mut self.lines[at];
            line.shown = line.added & self.all != 0 || !line.lost.is_empty();
        }
        if dense {
            self.hide_taken_sides();
        }
        self.add_context();
    }

    /// The first line from `at` on that is shown, or isn't.
    fn find(&self, shown: bool, at: usize) -> usize {
        (at..=self.count).find(|at| self.lines[*at].shown == shown).unwrap_or(at.max(self.count + 1))
    }

    /// A hunk whose last line is there for what was lost before it ends a line earlier.
    fn tail(&self, begin: usize, end: usize) -> usize {
        if begin < end && self.lines[end - 1].added & self.all == 0 { end - 1 } else { end }
    }

    fn hide_taken_sides(&mut self) {
        let mut begin = self.find(true, 0);
        while begin <= self.count {
            let end = self.end_of_group(begin);
            if !self.is_interesting(begin, end) {
                self.lines[begin..end].iter_mut().for_each(|line| line.shown = false);
            }
            begin = self.find(true, end);
        }
    }

    /// Where changes end that are nearer to one another than the context is wide.
    fn end_of_group(&self, begin: usize) -> usize {
        let mut at = begin + 1;
        while at <= self.count {
            if !self.lines[at].shown {
                let ahead = (self.tail(begin, at) + self.context).min(self.count + 1);
                match (at..ahead).rev().find(|ahead| self.lines[*ahead].shown) {
                    Some(ahead) => at = ahead,
                    None => break,
                }
            }
            at += 1;
        }
        at
    }

    /// Whether more than two versions meet: changes against different parents, or against all.
    fn is_interesting(&self, begin: usize, end: usize) -> bool {
        let mut same = 0;
        for line in &self.lines[begin..end] {
            let added = Some(line.added & self.all).filter(|parents| *parents != 0);
            for parents in added.into_iter().chain(line.lost.iter().map(|(_, parents)| *parents)) {
                if same == 0 {
                    same = parents;
                } else if same != parents {
                    return true;
                }
            }
        }
        same == self.all
    }

    fn add_context(&mut self) {
        let mut at = self.find(true, 0);
        while at <= self.count {
            for before in at.saturating_sub(self.context)..at {
                let line = &mut self.lines[before];
                line.hides_lost |= !line.shown;
                line.shown = true;
            }
            loop {
                let mut end = self.find(false, at);
                if end > self.count {
                    return;
                }
                let next = self.find(true, end);
                end = self.tail(at, end);
                if next < end + self.context {
                    self.lines[end..next.min(self.count + 1)].iter_mut().for_each(|line| line.shown = true);
                    at = next;
                    if at > self.count {
                        return;
                    }
                    continue;
                }
                let trail = (end + self.context).min(self.count + 1);
                self.lines[end..trail].iter_mut().for_each(|line| line.shown = true);
                at = next;
                break;
            }
        }
    }

    fn hunks(&self, parents: usize) -> Vec<Hunk<'a>> {
        let mut hunks = Vec::new();
        let mut at = 0;
        loop {
            let begin = self.find(true, at);
            if begin > self.count {
                return hunks;
            }
            let is_heading = |line: &&Line<'a>| {
                line.text.first().is_some_and(|first| first.is_ascii_alphabetic() || matches!(first, b'_' | b'$'))
            };
            let heading = self.lines[at..begin].iter().rev().find(is_heading).and_then(|line| heading(line.text));
            let end = self.find(false, begin);
            hunks.push(self.hunk(begin, end, parents, heading));
            at = end;
        }
    }

    fn hunk(&self, begin: usize, end: usize, parents: usize, heading: Option<&'a [u8]>) -> Hunk<'a> {
        let unchanged = |line: &Line<'_>| self.context == 0 && line.added & self.all == 0;
        let skipped = self.lines[begin..end].iter().filter(|line| unchanged(line)).count();
        // Without context git counts the place of lines that are gone at the very end, and so below zero.
        let length = (end - begin - usize::from(end > self.count)).wrapping_sub(skipped);
        let position = |parent: usize| {
            let (from, to) = (self.lines[begin].numbers[parent], self.lines[end].numbers[parent]);
            (from, to.wrapping_sub(from).wrapping_sub(skipped))
        };
        let mut lines = Vec::new();
        for at in begin..end {
            let line = &self.lines[at];
            for (text, lost) in line.lost.iter().filter(|_| !line.hides_lost) {
                lines.push((signs(*lost, parents, b'-'), *text));
            }
            if at < self.count && !unchanged(line) {
                lines.push((signs(line.added, parents, b'+'), line.text));
            }
        }
        Hunk { before: (0..parents).map(position).collect(), after: (begin + 1, length), heading, lines }
    }
}

fn signs(set: u64, parents: usize, sign: u8) -> Vec<u8> {
    (0..parents).map(|parent| if set >> parent.min(63) & 1 == 1 { sign } else { b' ' }).collect()
}

/// What git takes of a line for a heading: 40 bytes of it, without the last one that is no blank.
fn heading(line: &[u8]) -> Option<&[u8]> {
    let start = &line[..line.len().min(40)];
    let end = start.iter().rposition(|byte| !byte.is_ascii_whitespace()).unwrap_or(0);
    (end > 0).then(|| &start[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_no_parent_has_is_shown() {
        let hunks = combine(&[b"a\nb\n", b"a\nc\n"], b"a\nd\n", 3, true);
        assert_eq!(hunks.len(), 1);
        assert_eq!((hunks[0].before.as_slice(), hunks[0].after), (&[(1, 2), (1, 2)][..], (1, 2)));
        let lines: Vec<String> = hunks[0]
            .lines
            .iter()
            .map(|(signs, line)| String::from_utf8([signs.as_slice(), line].concat()).unwrap())
            .collect();
        assert_eq!(lines, ["  a", "- b", " -c", "++d"]);
    }

    #[test]
    fn a_side_that_was_taken_is_dense_enough_to_be_left_out() {
        let parents: [&[u8]; 2] = [b"a\nb\n", b"a\nc\n"];
        assert!(combine(&parents, b"a\nc\n", 3, true).is_empty());
        assert_eq!(combine(&parents, b"a\nc\n", 3, false).len(), 1);
        assert!(combine(&[b"", b""], b"", 3, false).is_empty());
    }
}

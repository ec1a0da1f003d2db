//! The lines of two files, compared as git does: Myers' algorithm, its hunks slid to where people expect them.

use std::io::Read;

use gix::bstr::ByteSlice;
use gix::diff::blob::unified_diff::{ConsumeHunk, ContextSize, DiffLineKind, HunkHeader};
use gix::diff::blob::{Algorithm, Diff, InternedInput, UnifiedDiff, diff_with_slider_heuristics, sources::byte_lines};

use super::window::Window;
use crate::{Error, Id, Result, Store};

/// Files beyond this size in bytes are compared by id alone.
pub const LIMIT: u64 = 16 << 20;

/// So are files of more lines than this: each takes some memory of its own.
const MOST_LINES: usize = 1 << 20;

/// A NUL among so many first bytes makes a file binary; git's number.
const PROBE: usize = 8000;

/// Longest heading of a hunk in bytes; git's number.
const HEADING: usize = 80;

/// A file as far as a comparison of lines needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contents {
    /// No text, or too large to be shown.
    Binary,
    /// All its bytes.
    Text(Vec<u8>),
}

impl Contents {
    /// Read the blob `id`, not more of it than is needed.
    pub fn read(store: &Store, id: &Id) -> Result<Self> {
        Self::read_within(store, id, LIMIT, MOST_LINES)
    }

    /// As [`read`](Self::read), with other limits: in bytes, and in lines.
    pub fn read_within(store: &Store, id: &Id, limit: u64, most_lines: usize) -> Result<Self> {
        let (mut reader, size) = store.blob_reader(id)?;
        if size > limit {
            return Ok(Self::Binary);
        }
        let failed = || Error::io("read", store.content_file(id));
        let mut bytes = Vec::with_capacity(size as usize + 1);
        reader.by_ref().take(PROBE as u64).read_to_end(&mut bytes).map_err(failed())?;
        if is_binary(&bytes) {
            return Ok(Self::Binary);
        }
        reader.take(limit).read_to_end(&mut bytes).map_err(failed())?;
        Ok(if count_lines(&bytes) as usize > most_lines { Self::Binary } else { Self::Text(bytes) })
    }
}

/// Whether git would call these bytes binary.
pub fn is_binary(bytes: &[u8]) -> bool {
    bytes[..bytes.len().min(PROBE)].contains(&0)
}

/// How many lines were added and removed from `before` to `after`.
pub fn count(before: &[u8], after: &[u8]) -> (u32, u32) {
    // Where equal lines are told to be makes no difference to how many there are.
    let window = Window::around(before, after, 0);
    let input = InternedInput::new(byte_lines(window.before), byte_lines(window.after));
    let diff = Diff::compute(Algorithm::Myers, &input);
    (diff.count_additions(), diff.count_removals())
}

/// What happened to a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// It is on both sides.
    Kept,
    /// It is there only now.
    Added,
    /// It is there no more.
    Removed,
}

/// Lines that changed, with some that didn't around them.
#[derive(Debug, PartialEq, Eq)]
pub struct Hunk<'a> {
    /// First line, counted from 1, and number of lines on the old side; the line before it where there are none.
    pub before: (u32, u32),
    /// The same on the new side.
    pub after: (u32, u32),
    /// The nearest line above that looks like the head of a function or section.
    pub heading: Option<&'a [u8]>,
    /// The lines with their ends; the last of a file may lack it.
    pub lines: Vec<(Line, &'a [u8])>,
}

/// The hunks from `before` to `after`, each with up to `context` unchanged lines on both sides.
pub fn hunks<'a>(before: &'a [u8], after: &'a [u8], context: u32) -> Vec<Hunk<'a>> {
    let whole = || hunks_in(&Window::whole(before, after), context);
    let found = hunks_in(&Window::around(before, after, context), context).or_else(whole);
    found.expect("because of whole files nothing is left out")
}

/// The hunks in a part of two files; `None` where more of them has to be seen.
fn hunks_in<'a>(window: &Window<'a>, context: u32) -> Option<Vec<Hunk<'a>>> {
    let input = InternedInput::new(byte_lines(window.before), byte_lines(window.after));
    let diff = diff_with_slider_heuristics(Algorithm::Myers, &input);
    let last = diff.hunks().last();
    if last.is_some_and(|last| {
        window.may_go_on(&last.before, input.before.len() as u32)
            || window.may_go_on(&last.after, input.after.len() as u32)
    }) {
        return None;
    }
    let collected = UnifiedDiff::new(&diff, &input, Collect(Vec::new()), ContextSize::symmetrical(context)).consume();
    let found = collected.expect("because collecting can't fail");
    let old: Vec<&'a [u8]> = byte_lines(window.before).collect();
    let new: Vec<&'a [u8]> = byte_lines(window.after).collect();
    let above = count_lines(window.above);
    let mut searched = 0;
    // Of lines that were left out, only the nearest heading matters.
    let mut heading = window.above.rsplit(|byte| *byte == b'\n').find_map(as_heading);
    let with_heading = |(header, kinds): (HunkHeader, Vec<Line>)| {
        // git looks upwards for each hunk; going down once finds the same.
        let start = header.before_hunk_start as usize - 1;
        for line in &old[searched.min(start)..start] {
            heading = as_heading(line).or(heading);
        }
        searched = start;
        let Hunk { before, after, lines, .. } = hunk(&header, kinds, &old, &new);
        Hunk { heading, before: (before.0 + above, before.1), after: (after.0 + above, after.1), lines }
    };
    Some(found.into_iter().map(with_heading).collect())
}

fn count_lines(bytes: &[u8]) -> u32 {
    bytes.iter().map(|byte| u32::from(*byte == b'\n')).sum()
}

fn hunk<'a>(header: &HunkHeader, kinds: Vec<Line>, old: &[&'a [u8]], new: &[&'a [u8]]) -> Hunk<'a> {
    let mut next_old = header.before_hunk_start as usize - 1;
    let mut next_new = header.after_hunk_start as usize - 1;
    let mut line = |kind: Line| {
        let bytes = if kind == Line::Added { new[next_new] } else { old[next_old] };
        next_old += usize::from(kind != Line::Added);
        next_new += usize::from(kind != Line::Removed);
        (kind, bytes)
    };
    let lines = kinds.into_iter().map(&mut line).collect();
    let position = |start: u32, len: u32| (if len == 0 { start - 1 } else { start }, len);
    Hunk {
        before: position(header.before_hunk_start, header.before_hunk_len),
        after: position(header.after_hunk_start, header.after_hunk_len),
        heading: None,
        lines,
    }
}

fn as_heading(line: &[u8]) -> Option<&[u8]> {
    let first = *line.first()?;
    if !(first.is_ascii_alphabetic() || first == b'_' || first == b'$') {
        return None;
    }
    Some(line[..line.len().min(HEADING)].trim_end())
}

/// Collects the hunks that gix computes.
struct Collect(Vec<(HunkHeader, Vec<Line>)>);

impl ConsumeHunk for Collect {
    type Out = Vec<(HunkHeader, Vec<Line>)>;

    fn consume_hunk(&mut self, header: HunkHeader, lines: &[(DiffLineKind, &[u8])]) -> std::io::Result<()> {
        let kind = |kind| match kind {
            DiffLineKind::Context => Line::Kept,
            DiffLineKind::Add => Line::Added,
            DiffLineKind::Remove => Line::Removed,
        };
        self.0.push((header, lines.iter().map(|(line, _)| kind(*line)).collect()));
        Ok(())
    }

    fn finish(self) -> Self::Out {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_side_starts_at_line_zero() {
        let found = hunks(b"", b"a\nb", 3);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].before, found[0].after), ((0, 0), (1, 2)));
        assert_eq!(found[0].lines, [(Line::Added, &b"a\n"[..]), (Line::Added, &b"b"[..])]);
    }

    #[test]
    fn a_hunk_has_the_heading_above_it() {
        let before = b"[one]\nmain:\n 1\n 2\n 3\n 4\n 5\n";
        let after = b"[one]\nmain:\n 1\n 2\n 3\n 4\n 6\n";
        assert_eq!(hunks(before, after, 1)[0].heading, Some(&b"main:"[..]));
        assert_eq!(hunks(before, after, 1)[0].before, (6, 2));
        assert_eq!(count(before, after), (1, 1));
    }

    proptest::proptest! {
        #[test]
        fn leaving_out_what_is_equal_changes_nothing(
            lines in proptest::collection::vec(0..6usize, 0..900),
            edits in proptest::collection::vec((0..900usize, 0..4usize, proptest::collection::vec(0..6usize, 0..4)), 0..3),
            repeated in proptest::bool::ANY,
        ) {
            let text = |lines: &[usize]| -> Vec<u8> {
                let words = ["a\n", "  a\n", "\n", "b\n", "head:\n", "c\n"];
                lines.iter().flat_map(|line| words[if repeated { line / 5 } else { *line }].bytes()).collect()
            };
            let mut changed = lines.clone();
            for (at, gone, come) in edits {
                let at = at.min(changed.len());
                let end = (at + gone).min(changed.len());
                changed.splice(at..end, come);
            }
            let (before, after) = (text(&lines), text(&changed));
            for context in [0, 3] {
                let whole = hunks_in(&Window::whole(&before, &after), context).unwrap();
                proptest::prop_assert_eq!(hunks(&before, &after, context), whole);
            }
        }
    }

    #[test]
    fn files_of_too_many_lines_or_bytes_are_not_read_as_text() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::create(dir.path().join("s")).unwrap();
        let mut batch = store.batch();
        let put = |batch: &mut crate::store::Batch<'_>, bytes: &[u8]| batch.contents().unwrap().put(bytes).unwrap();
        let lines = put(&mut batch, &vec![b'\n'; MOST_LINES + 1]);
        let long = put(&mut batch, &vec![b'a'; LIMIT as usize + 1]);
        let text = put(&mut batch, &vec![b'a'; LIMIT as usize]);
        batch.finish().unwrap();
        assert_eq!(Contents::read(&store, &lines).unwrap(), Contents::Binary);
        assert_eq!(Contents::read(&store, &long).unwrap(), Contents::Binary);
        assert!(
            matches!(Contents::read(&store, &text).unwrap(), Contents::Text(bytes) if bytes.len() == LIMIT as usize)
        );
    }

    #[test]
    fn a_nul_makes_a_file_binary_only_near_its_start() {
        assert!(is_binary(b"a\0b"));
        let mut late = vec![b'a'; PROBE];
        late.push(0);
        assert!(!is_binary(&late));
    }
}

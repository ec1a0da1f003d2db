//! Deltas as git's packs hold them (gitformat-pack(5), "Deltified representation"): copies from a base, and new bytes.

/// The base is indexed in blocks of this many bytes; shorter matches are not found.
const BLOCK: usize = 16;

/// How many blocks of the same hash are looked at.
const PROBES: usize = 12;

/// A match of so many bytes is good enough to look no further.
const GOOD: usize = 4096;

/// What one instruction can copy: git writes no larger ones.
const MOST_COPIED: usize = 0x1_0000;

/// What one instruction can insert.
const MOST_INSERTED: usize = 0x7f;

/// The blocks of a base by their hashes.
pub(crate) struct Index<'b> {
    base: &'b [u8],
    /// The first block of each hash, counted from one; 0 for none.
    heads: Vec<u32>,
    /// The next block of the same hash.
    next: Vec<u32>,
    shift: u32,
}

impl<'b> Index<'b> {
    /// Index `base`, which is shorter than 4 GiB.
    pub(crate) fn new(base: &'b [u8]) -> Self {
        let blocks = base.len() / BLOCK;
        let bits = blocks.max(2).next_power_of_two().trailing_zeros();
        let mut index = Self { base, heads: vec![0; 1 << bits], next: vec![0; blocks], shift: 64 - bits };
        // Backwards, so that of equal blocks the first is found first; of a run of equal ones only the first counts.
        let mut last = None;
        for number in (0..blocks).rev() {
            let block = word(&base[number * BLOCK..]);
            if last == Some(block) {
                // The one behind it is the head of its hash.
                let head = &mut index.heads[hash(block, index.shift)];
                index.next[number] = index.next[*head as usize - 1];
                *head = number as u32 + 1;
                continue;
            }
            let head = &mut index.heads[hash(block, index.shift)];
            index.next[number] = *head;
            *head = number as u32 + 1;
            last = Some(block);
        }
        index
    }

    /// The delta that makes `target` of the base; `None` where it would have more than `limit` bytes.
    pub(crate) fn encode(&self, target: &[u8], limit: usize) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(limit.min(target.len() / 8) + 32);
        put_size(self.base.len(), &mut out);
        put_size(target.len(), &mut out);
        let (mut at, mut literal) = (0, 0);
        while at + BLOCK <= target.len() {
            let Some((mut from, mut length)) = self.longest(target, at) else {
                at += 1;
                if out.len() + at - literal > limit {
                    return None;
                }
                continue;
            };
            while at > literal && from > 0 && target[at - 1] == self.base[from - 1] {
                (at, from, length) = (at - 1, from - 1, length + 1);
            }
            put_literal(&target[literal..at], &mut out);
            put_copies(from, length, &mut out);
            at += length;
            literal = at;
        }
        put_literal(&target[literal..], &mut out);
        (out.len() <= limit).then_some(out)
    }

    /// Where the base has the most bytes of what begins at `at`, and how many.
    fn longest(&self, target: &[u8], at: usize) -> Option<(usize, usize)> {
        let wanted = word(&target[at..]);
        let mut entry = self.heads[hash(wanted, self.shift)];
        let mut best: Option<(usize, usize)> = None;
        for _ in 0..PROBES {
            let Some(number) = (entry as usize).checked_sub(1) else { break };
            let from = number * BLOCK;
            if word(&self.base[from..]) == wanted {
                let length = BLOCK + common(&self.base[from + BLOCK..], &target[at + BLOCK..]);
                if best.is_none_or(|(_, longest)| length > longest) {
                    best = Some((from, length));
                }
                if length >= GOOD {
                    break;
                }
            }
            entry = self.next[number];
        }
        best
    }
}

/// The first sixteen bytes.
fn word(bytes: &[u8]) -> u128 {
    u128::from_le_bytes(bytes[..BLOCK].try_into().expect("because a block has sixteen bytes"))
}

fn hash(block: u128, shift: u32) -> usize {
    let (low, high) = (block as u64, (block >> 64) as u64);
    let mixed = (low.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ high.rotate_left(32)).wrapping_mul(0xc2b2_ae3d_27d4_eb4f);
    (mixed >> shift) as usize
}

/// How many bytes both begin with.
fn common(one: &[u8], other: &[u8]) -> usize {
    let most = one.len().min(other.len());
    let (one, other) = (&one[..most], &other[..most]);
    let mut at = 0;
    for (a, b) in one.chunks_exact(BLOCK).zip(other.chunks_exact(BLOCK)) {
        if a != b {
            break;
        }
        at += BLOCK;
    }
    at + one[at..].iter().zip(&other[at..]).take_while(|(a, b)| a == b).count()
}

fn put_size(mut size: usize, out: &mut Vec<u8>) {
    while size > 0x7f {
        out.push(size as u8 | 0x80);
        size >>= 7;
    }
    out.push(size as u8);
}

fn put_literal(bytes: &[u8], out: &mut Vec<u8>) {
    for part in bytes.chunks(MOST_INSERTED) {
        out.push(part.len() as u8);
        out.extend_from_slice(part);
    }
}

fn put_copies(mut from: usize, mut length: usize, out: &mut Vec<u8>) {
    while length > 0 {
        let now = length.min(MOST_COPIED);
        let at = out.len();
        out.push(0x80);
        for (bit, byte) in (from as u32).to_le_bytes().into_iter().enumerate().filter(|(_, byte)| *byte != 0) {
            out[at] |= 1 << bit;
            out.push(byte);
        }
        // The largest size is written as none.
        let size = if now == MOST_COPIED { 0 } else { now as u32 };
        for (bit, byte) in size.to_le_bytes()[..2].iter().enumerate().filter(|(_, byte)| **byte != 0) {
            out[at] |= 0x10 << bit;
            out.push(*byte);
        }
        from += now;
        length -= now;
    }
}

/// Whether the delta makes `target` of `base`.
pub(super) fn makes(base: &[u8], delta: &[u8], target: &[u8]) -> bool {
    let (mut rest, mut left) = (delta, target);
    if take_size(&mut rest) != Some(base.len()) || take_size(&mut rest) != Some(target.len()) {
        return false;
    }
    while let Some((code, tail)) = rest.split_first() {
        rest = tail;
        let part = if code & 0x80 == 0 { take_literal(*code, &mut rest) } else { take_copy(*code, base, &mut rest) };
        match part.and_then(|part| left.strip_prefix(part)) {
            Some(after) => left = after,
            None => return false,
        }
    }
    left.is_empty()
}

/// What the delta makes of `base`, which must have `size` bytes; `None` where it is no such delta.
pub(crate) fn apply(base: &[u8], delta: &[u8], size: usize) -> Option<Vec<u8>> {
    let mut rest = delta;
    if take_size(&mut rest) != Some(base.len()) || take_size(&mut rest) != Some(size) {
        return None;
    }
    let mut made = Vec::with_capacity(size);
    while let Some((code, tail)) = rest.split_first() {
        rest = tail;
        let part = if code & 0x80 == 0 { take_literal(*code, &mut rest) } else { take_copy(*code, base, &mut rest) }?;
        if part.len() > size - made.len() {
            return None;
        }
        made.extend_from_slice(part);
    }
    (made.len() == size).then_some(made)
}

fn take_literal<'d>(code: u8, rest: &mut &'d [u8]) -> Option<&'d [u8]> {
    let (bytes, tail) = rest.split_at_checked(usize::from(code)).filter(|_| code != 0)?;
    *rest = tail;
    Some(bytes)
}

fn take_copy<'b>(code: u8, base: &'b [u8], rest: &mut &[u8]) -> Option<&'b [u8]> {
    let mut number = |first: u8, count: u8| {
        let mut value = 0usize;
        for bit in (0..count).filter(|bit| code & (first << bit) != 0) {
            let (byte, tail) = rest.split_first()?;
            value |= usize::from(*byte) << (8 * bit);
            *rest = tail;
        }
        Some(value)
    };
    let (from, length) = (number(0x01, 4)?, number(0x10, 3)?);
    let length = if length == 0 { MOST_COPIED } else { length };
    base.get(from..from.checked_add(length)?)
}

fn take_size(bytes: &mut &[u8]) -> Option<usize> {
    let mut size = 0usize;
    for shift in (0..63).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        size |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(size);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip(base: &[u8], target: &[u8]) -> usize {
        let delta = Index::new(base).encode(target, usize::MAX).unwrap();
        assert!(makes(base, &delta, target));
        assert_eq!(apply(base, &delta, target.len()).as_deref(), Some(target));
        delta.len()
    }

    fn noise(length: usize, seed: u64) -> Vec<u8> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        };
        (0..length).map(|_| next()).collect()
    }

    #[test]
    fn what_is_moved_is_copied() {
        let base = noise(300_000, 1);
        assert!(round_trip(&base, &base) < 64);
        let moved = [&base[200_000..], b"new bytes", &base[..150_000]].concat();
        assert!(round_trip(&base, &moved) < 100);
        assert!(round_trip(&vec![0; 1 << 20], &vec![0; 1 << 19]) < 100);
    }

    #[test]
    fn what_is_foreign_is_given_up() {
        let (base, target) = (noise(10_000, 1), noise(10_000, 2));
        assert_eq!(Index::new(&base).encode(&target, 5_000), None);
        for (base, target) in [(&b""[..], &b""[..]), (b"", b"x"), (b"short", b"short"), (&base, b""), (b"", &target)] {
            round_trip(base, target);
        }
    }

    #[test]
    fn what_is_no_delta_is_refused() {
        for bad in [&b""[..], b"\x05", b"\x05\x01\x00", b"\x05\x01\x91\x06\x01", b"\x05\x01\x02a", b"\x04\x01\x01a"] {
            assert!(!makes(b"abcde", bad, b"a"), "{bad:?}");
            assert_eq!(apply(b"abcde", bad, 1), None, "{bad:?}");
        }
        let delta = b"\x05\x03\x91\x01\x02\x01x";
        assert!(makes(b"abcde", delta, b"bcx") && !makes(b"abcde", delta, b"bcy") && !makes(b"abcd", delta, b"bcx"));
    }

    proptest! {
        #[test]
        fn every_target_comes_back(base in proptest::collection::vec(0u8..4, 0..600), cuts in proptest::collection::vec((0usize..600, 0usize..80), 0..12)) {
            let mut target = Vec::new();
            for (from, length) in cuts {
                let from = from.min(base.len());
                target.extend_from_slice(&base[from..(from + length).min(base.len())]);
                target.push(9);
            }
            round_trip(&base, &target);
        }
    }
}

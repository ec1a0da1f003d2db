//! Which contents are alike: of each the smallest hashes of its short strings are kept; contents with equal ones have
//! much in common, whatever they are called.

/// So many hashes of each content are kept.
const HASHES: usize = 16;

/// How many contents of the same hash are looked at.
const NEAREST: usize = 6;

/// The hash of a string moves on by so many bits a byte, so that a string has 21 bytes.
const STEP: u32 = 3;

/// Random numbers for the bytes (splitmix64).
const GEAR: [u64; 256] = {
    let mut table = [0; 256];
    let (mut at, mut state) = (0, 0x0123_4567_89ab_cdefu64);
    while at < 256 {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        table[at] = z ^ (z >> 31);
        at += 1;
    }
    table
};

/// The smallest hashes of a content's strings; bytes come piece by piece.
pub(super) struct Sketch {
    hash: u64,
    smallest: Vec<u32>,
}

impl Sketch {
    pub(super) fn new() -> Self {
        Self { hash: 0, smallest: Vec::with_capacity(HASHES + 1) }
    }

    pub(super) fn add(&mut self, bytes: &[u8]) {
        let mut limit = self.limit();
        for byte in bytes {
            self.hash = (self.hash << STEP).wrapping_add(GEAR[usize::from(*byte)]);
            let value = (self.hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32;
            if value < limit
                && let Err(place) = self.smallest.binary_search(&value)
            {
                self.smallest.insert(place, value);
                self.smallest.truncate(HASHES);
                limit = self.limit();
            }
        }
    }

    fn limit(&self) -> u32 {
        if self.smallest.len() < HASHES { u32::MAX } else { self.smallest[HASHES - 1] }
    }

    pub(super) fn finish(self) -> Vec<u32> {
        self.smallest
    }
}

/// All sketches, to be asked for what is alike.
pub(super) struct Likes {
    /// Hash and content, sorted.
    pairs: Vec<(u32, u32)>,
    /// Where the hashes of each content are in `sketches`.
    starts: Vec<u32>,
    sketches: Vec<u32>,
}

impl Likes {
    pub(super) fn new(all: Vec<Vec<u32>>) -> Self {
        let mut pairs = Vec::with_capacity(all.iter().map(Vec::len).sum());
        let (mut starts, mut sketches) = (vec![0], Vec::with_capacity(pairs.capacity()));
        for (number, sketch) in all.into_iter().enumerate() {
            pairs.extend(sketch.iter().map(|hash| (*hash, number as u32)));
            sketches.extend_from_slice(&sketch);
            starts.push(sketches.len() as u32);
        }
        pairs.sort_unstable();
        Self { pairs, starts, sketches }
    }

    /// The contents before `number` that have the most in common with it, the best first: at most `most`.
    pub(super) fn before(&self, number: usize, most: usize) -> Vec<usize> {
        let own = &self.sketches[self.starts[number] as usize..self.starts[number + 1] as usize];
        let mut found: Vec<(u32, usize)> = Vec::new();
        for hash in own {
            let at = self.pairs.partition_point(|pair| *pair < (*hash, number as u32));
            let nearest = self.pairs[at.saturating_sub(NEAREST)..at].iter().rev().filter(|pair| pair.0 == *hash);
            for (_, other) in nearest {
                match found.iter_mut().find(|(_, known)| *known == *other as usize) {
                    Some((count, _)) => *count += 1,
                    None => found.push((1, *other as usize)),
                }
            }
        }
        found.sort_unstable_by(|a, b| b.cmp(a));
        found.into_iter().take(most).map(|(_, other)| other).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alike_contents_find_each_other() {
        let text = |seed: u32| -> Vec<u8> {
            (0..4000u32).flat_map(|n| format!("line {} of {seed}\n", n.wrapping_mul(seed)).into_bytes()).collect()
        };
        let (one, other) = (text(7), text(11));
        let mut changed = one.clone();
        changed.splice(1000..1010, b"something else".iter().copied());
        let sketch = |bytes: &[u8]| {
            let mut sketch = Sketch::new();
            bytes.chunks(777).for_each(|part| sketch.add(part));
            sketch.finish()
        };
        let likes = Likes::new(vec![sketch(&one), sketch(&other), sketch(&changed), sketch(b"")]);
        assert_eq!(likes.before(2, 3)[0], 0);
        assert!(likes.before(0, 3).is_empty());
        assert!(likes.before(3, 3).is_empty());
    }
}

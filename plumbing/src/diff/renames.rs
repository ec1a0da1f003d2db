//! Files that were moved or copied, found as git finds them (gitdiffcore(7), "diffcore-rename").
//!
//! Own code beside gix's rewrite tracking, which scores and pairs in its own way: the object commands print git's score.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use gix::bstr::{BStr, BString, ByteSlice};

use super::text::is_binary;
use super::trees::{Change, Version};
use crate::{Id, Result, Store};

/// The score of equal files.
pub const MAX_SCORE: u32 = 60_000;

/// The score from which on two files count as one.
pub const DEFAULT_SCORE: u32 = 30_000;

/// Files that came, times files that went: beyond this only equal ones are paired.
const MOST_PAIRS: usize = 1_000_000;

/// So many sources are remembered for a file.
const CANDIDATES: usize = 4;

/// What is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Detect {
    /// Copies of files that stay, too.
    pub copies: bool,
    /// From which score on.
    pub score: u32,
}

/// A file on one side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its path.
    pub path: BString,
    /// What it is.
    pub version: Version,
}

/// What happened to a file.
#[expect(missing_docs, reason = "because the names say it")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Added,
    Copied,
    Deleted,
    Modified,
    Renamed,
    TypeChanged,
}

impl Status {
    /// git's letter.
    pub fn letter(self) -> char {
        match self {
            Status::Added => 'A',
            Status::Copied => 'C',
            Status::Deleted => 'D',
            Status::Modified => 'M',
            Status::Renamed => 'R',
            Status::TypeChanged => 'T',
        }
    }
}

/// A change of a file, whose path may have changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// What was there.
    pub before: Option<File>,
    /// What is there now.
    pub after: Option<File>,
    /// What happened.
    pub status: Status,
    /// How similar both sides are, up to [`MAX_SCORE`]; 0 where they have one path.
    pub score: u32,
}

impl Pair {
    /// The path as it is now, or as it was where it is gone.
    pub fn path(&self) -> &BStr {
        let file = self.after.as_ref().or(self.before.as_ref());
        file.expect("because a change has a side").path.as_bstr()
    }

    /// The path as it was, or as it is now where it is new.
    pub fn old_path(&self) -> &BStr {
        let file = self.before.as_ref().or(self.after.as_ref());
        file.expect("because a change has a side").path.as_bstr()
    }

    /// Whether both sides have the same bytes and mode.
    pub fn is_unmodified(&self) -> bool {
        self.before == self.after
    }
}

/// The changes as pairs of files, moved and copied ones found if that is asked for.
pub fn pairs(store: &Store, changes: Vec<Change>, detect: Option<Detect>) -> Result<Vec<Pair>> {
    let mut pairs: Vec<Pair> = changes.into_iter().map(plain).collect();
    if let Some(detect) = detect {
        let mut search = Search::new(store, &pairs, detect);
        search.run()?;
        pairs = search.into_pairs();
    }
    pairs.retain(|pair| !pair.is_unmodified());
    Ok(pairs)
}

fn plain(change: Change) -> Pair {
    let Change { path, before, after } = change;
    let file = |version: Option<Version>| version.map(|version| File { path: path.clone(), version });
    let kind = |version: &Version| version.mode.value() & 0o170_000;
    let status = match (&before, &after) {
        (None, _) => Status::Added,
        (_, None) => Status::Deleted,
        (Some(a), Some(b)) if kind(a) != kind(b) => Status::TypeChanged,
        _ => Status::Modified,
    };
    Pair { before: file(before), after: file(after), status, score: 0 }
}

/// A file that others may come from.
struct Source {
    /// Its place among the pairs.
    pair: usize,
    file: File,
    used: usize,
    spans: Option<Option<Spans>>,
}

/// A file that came into being.
struct Target {
    pair: usize,
    file: File,
    from: Option<(usize, u32)>,
    spans: Option<Option<Spans>>,
}

struct Search<'a> {
    store: &'a Store,
    pairs: &'a [Pair],
    detect: Detect,
    sources: Vec<Source>,
    targets: Vec<Target>,
}

/// How well a source fits a target: score, whether the file name is the same, target, source.
type Fit = (u32, bool, usize, usize);

impl<'a> Search<'a> {
    fn new(store: &'a Store, pairs: &'a [Pair], detect: Detect) -> Self {
        let (mut sources, mut targets) = (Vec::new(), Vec::new());
        for (pair, change) in pairs.iter().enumerate() {
            match (&change.before, &change.after) {
                (None, Some(file)) => targets.push(Target { pair, file: file.clone(), from: None, spans: None }),
                (Some(file), None) => sources.push(Source { pair, file: file.clone(), used: 0, spans: None }),
                (Some(file), Some(_)) if detect.copies => {
                    sources.push(Source { pair, file: file.clone(), used: 1, spans: None });
                }
                _ => {}
            }
        }
        Self { store, pairs, detect, sources, targets }
    }

    fn run(&mut self) -> Result<()> {
        self.find_equal();
        if self.detect.score >= MAX_SCORE {
            return Ok(());
        }
        if !self.detect.copies {
            self.find_by_name()?;
        }
        let targets: Vec<usize> = (0..self.targets.len()).filter(|at| self.targets[*at].from.is_none()).collect();
        let is_left = |source: &Source| self.detect.copies || source.used == 0;
        let mut sources: Vec<usize> = (0..self.sources.len()).filter(|at| is_left(&self.sources[*at])).collect();
        if targets.len() * sources.len() > MOST_PAIRS {
            sources.retain(|at| !self.pairs[self.sources[*at].pair].is_unmodified());
            if !self.detect.copies || targets.len() * sources.len() > MOST_PAIRS {
                return Ok(());
            }
        }
        let mut fits = Vec::new();
        for target in targets {
            fits.extend(self.best_sources(target, &sources)?);
        }
        fits.sort_by_key(|(score, same_name, ..)| Reverse((*score, *same_name)));
        self.take(&fits, false);
        if self.detect.copies {
            self.take(&fits, true);
        }
        Ok(())
    }

    fn find_equal(&mut self) {
        let mut by_id: HashMap<Id, Vec<usize>> = HashMap::new();
        for (at, source) in self.sources.iter().enumerate() {
            by_id.entry(source.file.version.id).or_default().push(at);
        }
        for target in &mut self.targets {
            let mut best: Option<(usize, usize)> = None;
            for at in by_id.get(&target.file.version.id).into_iter().flatten().take(100) {
                let source = &self.sources[*at];
                let (a, b) = (source.file.version.mode, target.file.version.mode);
                if (!a.is_blob() || !b.is_blob()) && a != b || (source.used > 0 && !self.detect.copies) {
                    continue;
                }
                let score = usize::from(source.used == 0) + usize::from(is_same_name(&source.file, &target.file));
                if best.is_none_or(|(most, _)| score > most) {
                    best = Some((score, *at));
                }
            }
            if let Some((_, at)) = best {
                self.sources[at].used += 1;
                target.from = Some((at, MAX_SCORE));
            }
        }
    }

    /// A file name that went once and came once is taken for the same file, if it is similar enough.
    fn find_by_name(&mut self) -> Result<()> {
        let name = |path: &BString| BString::from(path.rsplit(|byte| *byte == b'/').next().unwrap_or_default());
        let unique = |names: Vec<(BString, usize)>| {
            let mut all: BTreeMap<BString, Option<usize>> = BTreeMap::new();
            for (name, at) in names {
                all.entry(name).and_modify(|found| *found = None).or_insert(Some(at));
            }
            all
        };
        let left = (0..self.sources.len()).filter(|at| self.sources[*at].used == 0);
        let sources = unique(left.map(|at| (name(&self.sources[at].file.path), at)).collect());
        let left = (0..self.targets.len()).filter(|at| self.targets[*at].from.is_none());
        let targets = unique(left.map(|at| (name(&self.targets[at].file.path), at)).collect());
        let least = self.detect.score + (MAX_SCORE - self.detect.score) / 2;
        for (name, source) in sources {
            let (Some(source), Some(Some(target))) = (source, targets.get(&name)) else { continue };
            let score = self.similarity(source, *target, least)?;
            if score >= least {
                self.sources[source].used += 1;
                self.targets[*target].from = Some((source, score));
            }
        }
        Ok(())
    }

    fn best_sources(&mut self, target: usize, sources: &[usize]) -> Result<Vec<Fit>> {
        let mut best: Vec<Fit> = Vec::with_capacity(CANDIDATES);
        for source in sources {
            let score = self.similarity(*source, target, self.detect.score)?;
            let same_name = is_same_name(&self.sources[*source].file, &self.targets[target].file);
            let fit = (score, same_name, target, *source);
            if best.len() < CANDIDATES {
                best.push(fit);
                continue;
            }
            let mut worst = 0;
            for at in 1..best.len() {
                if (best[at].0, best[at].1) < (best[worst].0, best[worst].1) {
                    worst = at;
                }
            }
            if (best[worst].0, best[worst].1) < (score, same_name) {
                best[worst] = fit;
            }
        }
        self.targets[target].spans = None;
        Ok(best)
    }

    fn take(&mut self, fits: &[Fit], copies: bool) {
        for (score, _, target, source) in fits {
            if *score < self.detect.score {
                break;
            }
            if self.targets[*target].from.is_none() && (copies || self.sources[*source].used == 0) {
                self.sources[*source].used += 1;
                self.targets[*target].from = Some((*source, *score));
            }
        }
    }

    /// How much of the target comes from the source; 0 where that is clearly less than `least`.
    fn similarity(&mut self, source: usize, target: usize, least: u32) -> Result<u32> {
        let (one, two) = (self.sources[source].file.version, self.targets[target].file.version);
        if !one.mode.is_blob() || !two.mode.is_blob() {
            return Ok(0);
        }
        let (Some(one), Some(two)) = (self.size(&one.id)?, self.size(&two.id)?) else { return Ok(0) };
        let (larger, smaller) = (one.max(two), one.min(two));
        if larger * u64::from(MAX_SCORE - least) < (larger - smaller) * u64::from(MAX_SCORE) {
            return Ok(0);
        }
        self.read_spans(source, target)?;
        let (Some(Some(from)), Some(Some(to))) = (&self.sources[source].spans, &self.targets[target].spans) else {
            return Ok(0);
        };
        if two == 0 {
            return Ok(0);
        }
        Ok((from.in_common(to) * u64::from(MAX_SCORE) / larger) as u32)
    }

    fn size(&self, id: &Id) -> Result<Option<u64>> {
        Ok(self.store.find_header(id)?.map(|(_, size)| size))
    }

    fn read_spans(&mut self, source: usize, target: usize) -> Result<()> {
        let read = |store: &Store, file: &File| {
            let exists = store.has(&file.version.id);
            let bytes = exists.then(|| store.read_blob(&file.version.id)).transpose()?;
            Ok::<_, crate::Error>(bytes.map(|bytes| Spans::of(&bytes)))
        };
        if self.sources[source].spans.is_none() {
            self.sources[source].spans = Some(read(self.store, &self.sources[source].file)?);
        }
        if self.targets[target].spans.is_none() {
            self.targets[target].spans = Some(read(self.store, &self.targets[target].file)?);
        }
        Ok(())
    }

    fn into_pairs(mut self) -> Vec<Pair> {
        let mut out = Vec::with_capacity(self.pairs.len());
        let mut targets = self.targets.iter().peekable();
        let used = self.sources.iter().filter(|source| source.used > 0).map(|source| source.pair);
        let used: std::collections::HashSet<usize> = used.collect();
        for (at, pair) in self.pairs.iter().enumerate() {
            let target = targets.next_if(|target| target.pair == at);
            let gone = pair.after.is_none() && used.contains(&at);
            match target.and_then(|target| target.from) {
                Some((source, score)) => {
                    let source = &mut self.sources[source];
                    source.used -= 1;
                    let status = if source.used > 0 { Status::Copied } else { Status::Renamed };
                    out.push(Pair { before: Some(source.file.clone()), status, score, ..pair.clone() });
                }
                None if gone => {}
                None => out.push(pair.clone()),
            }
        }
        out
    }
}

/// Whether both have the same name in whatever folder.
fn is_same_name(a: &File, b: &File) -> bool {
    let name = |file: &File| BString::from(file.path.rsplit(|byte| *byte == b'/').next().unwrap_or_default());
    name(a) == name(b)
}

/// The pieces of a file (lines, at most 64 bytes each): their hashes, sorted, with the bytes that they make up.
#[derive(Debug)]
struct Spans(Vec<(u32, u64)>);

impl Spans {
    fn of(bytes: &[u8]) -> Self {
        let is_text = !is_binary(bytes);
        let mut all: HashMap<u32, u64> = HashMap::new();
        let (mut one, mut two, mut length) = (0u32, 0u32, 0u64);
        let mut add = |one: &mut u32, two: &mut u32, length: &mut u64| {
            let hash = one.wrapping_add(two.wrapping_mul(0x61)) % 107_927;
            *all.entry(hash).or_default() += *length;
            (*one, *two, *length) = (0, 0, 0);
        };
        for (at, byte) in bytes.iter().enumerate() {
            if is_text && *byte == b'\r' && bytes.get(at + 1) == Some(&b'\n') {
                continue;
            }
            let before = one;
            one = (one << 7) ^ (two >> 25);
            two = (two << 7) ^ (before >> 25);
            one = one.wrapping_add(u32::from(*byte));
            length += 1;
            if length == 64 || *byte == b'\n' {
                add(&mut one, &mut two, &mut length);
            }
        }
        if length > 0 {
            add(&mut one, &mut two, &mut length);
        }
        let mut sorted: Vec<(u32, u64)> = all.into_iter().collect();
        sorted.sort_unstable();
        Self(sorted)
    }

    /// How many bytes of `self` are in `other` too.
    fn in_common(&self, other: &Self) -> u64 {
        let mut others = other.0.iter().peekable();
        let mut sum = 0;
        for (hash, count) in &self.0 {
            while others.next_if(|(next, _)| next < hash).is_some() {}
            if let Some((_, there)) = others.next_if(|(next, _)| next == hash) {
                sum += count.min(there);
            }
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_in_common_are_counted() {
        let one = Spans::of(b"a\nb\nc\n");
        assert_eq!(one.in_common(&Spans::of(b"c\nx\na\n")), 4);
        assert_eq!(one.in_common(&Spans::of(b"")), 0);
        assert_eq!(Spans::of(&[b'x'; 100]).0.len(), 2);
        assert_eq!(Spans::of(b"a\r\n").in_common(&one), 2);
    }
}

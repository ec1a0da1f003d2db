//! What listings show of a commit, remembered, so that listing ten thousand images reads one file.
//!
//! `STORE/cache/images` has one line a commit: id, time in seconds, size in bytes, digest of the manifest or `-`.
//! All of it follows from the commit's id, so that it is never stale; a file that is missing or damaged is made again.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use plumbing::digest::Digest;
use plumbing::{Id, Store};

use super::size;
use crate::Result;

/// Commits that nobody asks for any more are forgotten when they are more than this, and more than those asked for.
const MOST_UNUSED: usize = 1000;

/// What a listing shows of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// When it was made, in seconds since 1970.
    pub created: i64,
    /// The sum of the sizes of its files, in bytes; a file with several names counts once.
    pub size: u64,
    /// The digest of its manifest, where it has one.
    pub digest: Option<Digest>,
}

/// A fact, and whether anybody asked for it.
struct Known {
    fact: Fact,
    used: bool,
}

/// Facts of a store's commits.
pub struct Facts<'s> {
    store: &'s Store,
    known: HashMap<Id, Known>,
    /// Whether one was worked out now, not read.
    learned: bool,
}

impl<'s> Facts<'s> {
    /// What is remembered.
    pub fn open(store: &'s Store) -> Self {
        let text = std::fs::read_to_string(path(store)).unwrap_or_default();
        let lines = text.lines().filter_map(decode);
        let known = lines.map(|(id, fact)| (id, Known { fact, used: false })).collect();
        Self { store, known, learned: false }
    }

    /// What is remembered, if it is wanted; else nothing, which is never saved.
    pub(super) fn open_if(store: &'s Store, wanted: bool) -> Self {
        match wanted {
            true => Self::open(store),
            false => Self { store, known: HashMap::new(), learned: false },
        }
    }

    /// The facts of the commit `id`.
    pub fn get(&mut self, id: &Id) -> Result<Fact> {
        if let Some(known) = self.known.get_mut(id) {
            known.used = true;
            return Ok(known.fact.clone());
        }
        let fact = read(self.store, id)?;
        self.known.insert(*id, Known { fact: fact.clone(), used: true });
        self.learned = true;
        Ok(fact)
    }

    /// Remember what was learned. That this fails, as on a full disk, is no reason for a listing to fail.
    pub fn save(self) {
        if !self.learned {
            return;
        }
        let used = self.known.values().filter(|known| known.used).count();
        let drop_unused = self.known.len() > 2 * used + MOST_UNUSED;
        let kept = self.known.iter().filter(|(_, known)| known.used || !drop_unused);
        let text: String = kept.map(|(id, known)| encode(id, &known.fact)).collect();
        drop(replace(&path(self.store), &text));
    }
}

/// The commits of which something else is remembered than they say; those that can't be read tell nothing.
pub(crate) fn wrong(store: &Store) -> Result<Vec<Id>> {
    let facts = Facts::open(store);
    let differs = |(id, known): (&Id, &Known)| read(store, id).is_ok_and(|fact| fact != known.fact).then_some(*id);
    Ok(facts.known.iter().filter_map(differs).collect())
}

/// Forget what is remembered of these commits.
pub(crate) fn forget(store: &Store, commits: &[Id]) -> Result<()> {
    let mut facts = Facts::open(store);
    facts.known.retain(|id, _| !commits.contains(id));
    facts.known.values_mut().for_each(|known| known.used = true);
    facts.learned = true;
    facts.save();
    Ok(())
}

/// Replace a file of the cache as a whole.
pub(super) fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let file = tempfile::NamedTempFile::new_in(folder)?;
    std::fs::write(file.path(), text)?;
    file.persist(path).map(drop).map_err(|error| error.error)
}

/// Drop the lines of commits that the store doesn't have any more; how many there were.
pub(crate) fn forget_missing(store: &Store) -> Result<usize> {
    let mut facts = Facts::open(store);
    let before = facts.known.len();
    facts.known.retain(|id, _| store.has(id));
    let gone = before - facts.known.len();
    facts.known.values_mut().for_each(|known| known.used = true);
    facts.learned = gone > 0;
    facts.save();
    Ok(gone)
}

fn path(store: &Store) -> PathBuf {
    store.dir().join("cache/images")
}

fn encode(id: &Id, fact: &Fact) -> String {
    format!("{id} {} {} {}\n", fact.created, fact.size, fact.digest.map_or("-".into(), |digest| digest.to_string()))
}

fn decode(line: &str) -> Option<(Id, Fact)> {
    let mut words = line.split(' ');
    let mut word = || words.next();
    let id = Id::from_hex(word()?.as_bytes()).ok()?;
    let (created, size, digest) = (word()?.parse().ok()?, word()?.parse().ok()?, word()?);
    // A line that was cut short ends in half a digest.
    let digest = match digest {
        "-" => None,
        digest => Some(digest.parse().ok()?),
    };
    word().is_none().then_some((id, Fact { created, size, digest }))
}

fn read(store: &Store, id: &Id) -> Result<Fact> {
    let commit = store.read_commit(id)?;
    let digest = commit.state.manifest.map(|manifest| Ok::<_, crate::Error>(Digest::of(&store.read_blob(&manifest)?)));
    Ok(Fact {
        created: commit.committer.time.seconds,
        size: size::of_root(store, &commit.state.root)?,
        digest: digest.transpose()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_back_and_damaged_ones_are_ignored() {
        let id = Id::from_hex(&[b'a'; 64]).unwrap();
        for digest in [None, Some(Digest::of(b""))] {
            let fact = Fact { created: -5, size: u64::MAX, digest };
            let line = encode(&id, &fact);
            assert_eq!(decode(line.trim_end()), Some((id, fact)));
            for cut in 0..line.len() - 1 {
                assert_eq!(decode(&line[..cut]), None, "{cut}");
            }
        }
    }
}

//! Which contents there are, in the order in which they are packed: those that are likely alike beside each other.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use gix::objs::{CommitRefIter, FindExt, Kind, TagRefIter, TreeRefIter};

use crate::{Id, Store};

/// What a content is called, as far as it tells which others are alike: the hash of its name without numbers, and of its
/// folder.
pub(super) type Name = (u64, u64);

/// The names of all blobs that can be reached from some ids, each at the first path that it was found at.
pub(super) struct Names {
    objects: gix::OdbHandle,
    seen: HashSet<Id>,
    found: HashMap<Id, Name>,
}

impl Names {
    pub(super) fn new(store: &Store) -> Self {
        Self { objects: store.repo().objects.clone(), seen: HashSet::new(), found: HashMap::new() }
    }

    pub(super) fn into_found(self) -> HashMap<Id, Name> {
        self.found
    }

    /// Add what can be reached from `tip`. What can't be read is left where it is.
    pub(super) fn add(&mut self, tip: Id) {
        let hash = gix::hash::Kind::Sha256;
        // An object, and the hash of the folder that it is.
        let mut waiting = vec![(tip, 0u64)];
        let mut buffer = Vec::new();
        while let Some((id, folder)) = waiting.pop() {
            if !self.seen.insert(id) {
                continue;
            }
            let Ok(object) = self.objects.find(&id, &mut buffer) else { continue };
            match object.kind {
                Kind::Blob => {}
                Kind::Tag => waiting.extend(TagRefIter::from_bytes(object.data, hash).target_id().map(|id| (id, 0))),
                Kind::Commit => {
                    waiting.extend(CommitRefIter::from_bytes(object.data, hash).tree_id().map(|id| (id, 0)));
                    waiting.extend(CommitRefIter::from_bytes(object.data, hash).parent_ids().map(|id| (id, 0)));
                }
                Kind::Tree => {
                    for entry in TreeRefIter::from_bytes(object.data, hash).flatten() {
                        let id = entry.oid.to_owned();
                        if entry.mode.is_tree() {
                            waiting.push((id, hash_of(&(folder, entry.filename))));
                        } else if entry.mode.is_blob() {
                            self.found.entry(id).or_insert_with(|| (stem(entry.filename), folder));
                        }
                    }
                }
            }
        }
    }
}

fn hash_of(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// The hash of a name without digits and points between them: `libssl.so.3` is like `libssl.so.1.1`.
fn stem(name: &[u8]) -> u64 {
    let mut plain: Vec<u8> = Vec::with_capacity(name.len());
    for byte in name.iter().filter(|byte| !byte.is_ascii_digit()) {
        if !(matches!(byte, b'.' | b'-' | b'_') && plain.last() == Some(byte)) {
            plain.push(*byte);
        }
    }
    while matches!(plain.last(), Some(b'.' | b'-')) {
        plain.pop();
    }
    hash_of(&plain)
}

/// A content to be packed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item {
    pub(super) id: Id,
    pub(super) name: Name,
    pub(super) size: u64,
    /// Whether it lies in a pack, not in `content/`.
    pub(super) is_packed: bool,
}

/// Put alike contents beside each other, the large ones first: what is taken away costs less than what is added.
pub(super) fn sort(items: &mut [Item]) {
    items.sort_unstable_by_key(|item| (item.name.0, std::cmp::Reverse(item.size), item.name.1, item.id));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_a_file_have_one_stem() {
        for (one, other) in [("libssl.so.1.1", "libssl.so.3"), ("x.cpython-311.pyc", "x.cpython-313.pyc"), ("a", "a")] {
            assert_eq!(stem(one.as_bytes()), stem(other.as_bytes()), "{one} {other}");
        }
        assert_ne!(stem(b"libssl.so"), stem(b"libcrypto.so"));
    }
}

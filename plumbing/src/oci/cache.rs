//! What layers that rd compressed came to, remembered: the digests of an image's layers are needed before its manifest.
//!
//! `STORE/cache/layers` is described in `docs/format.md`, "Listings". All of it follows from what it is of, so that no line ever
//! becomes wrong.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::io::Write;
use std::path::PathBuf;

use super::encoding::Encoding;
use crate::Store;
use crate::digest::Digest;

/// More lines than this are forgotten, all at once.
const MOST: usize = 20_000;

/// What a layer came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) diff_id: Digest,
    pub(super) digest: Digest,
    pub(super) size: u64,
    /// Annotations of the layer.
    pub(super) annotations: Option<BTreeMap<String, String>>,
}

/// What is remembered.
pub(super) struct Cache {
    path: PathBuf,
    entries: HashMap<(String, String), Entry>,
    changed: bool,
}

impl Cache {
    /// Read it. What can't be read is forgotten.
    pub(super) fn open(store: &Store) -> Self {
        let path = store.dir().join("cache/layers");
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        Self { path, entries: text.lines().filter_map(parse).collect(), changed: false }
    }

    pub(super) fn get(&self, key: &str, encoding: Encoding) -> Option<Entry> {
        self.entries.get(&(key.to_owned(), encoding.to_string())).cloned()
    }

    pub(super) fn insert(&mut self, key: String, encoding: Encoding, entry: Entry) {
        self.entries.insert((key, encoding.to_string()), entry);
        self.changed = true;
    }

    /// Write it where it changed, in one step. Of two writers the last one wins, and what is lost is found out again; that this
    /// fails, as on a full disk, is no reason for anything else to fail.
    pub(super) fn save(&self) {
        if self.changed {
            drop(self.replace());
        }
    }

    fn replace(&self) -> std::io::Result<()> {
        let mut text = String::new();
        for ((key, encoding), entry) in self.entries.iter().take(MOST) {
            let annotations = serde_json::to_string(&entry.annotations)?;
            writeln!(text, "{key} {encoding} {} {} {} {annotations}", entry.diff_id, entry.digest, entry.size)
                .expect("because a string takes all that is written");
        }
        let dir = self.path.parent().expect("because it is in a folder");
        std::fs::create_dir_all(dir)?;
        let mut file = tempfile::NamedTempFile::new_in(dir)?;
        file.write_all(text.as_bytes())?;
        file.persist(&self.path).map(drop).map_err(|error| error.error)
    }
}

fn parse(line: &str) -> Option<((String, String), Entry)> {
    let words: Vec<&str> = line.splitn(6, ' ').collect();
    let [key, encoding, diff_id, digest, size, annotations] = words[..] else { return None };
    let entry = Entry {
        diff_id: diff_id.parse().ok()?,
        digest: digest.parse().ok()?,
        size: size.parse().ok()?,
        annotations: serde_json::from_str(annotations).ok()?,
    };
    Some(((key.into(), encoding.into()), entry))
}

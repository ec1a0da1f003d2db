//! Checking a store: every object and content against its id, every root against itself, every name against what it
//! names; and for what is wrong, which images and paths it belongs to.
//!
//! Nothing that is read is trusted before it is checked, and nothing is changed.

mod blobs;
mod contents;
mod objects;
mod refs;
mod repair;
mod root;
mod tree;
mod walk;

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;

use contents::Contents;
use objects::Objects;
pub use repair::{Aside, repair};

use crate::{Id, Result, Store};

/// So many owners of a damaged thing are named; the others are counted.
const NAMED_OWNERS: usize = 3;

/// How thoroughly to check.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Only that everything is there: nothing is hashed.
    pub connectivity_only: bool,
    /// Also make every layer's tar again and compare its digest.
    pub full: bool,
}

/// Something wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// `damaged`, `missing` or `wrong`.
    pub state: &'static str,
    /// What is: `content 3f2a…`, `pack 'pack-….pack'`.
    pub what: String,
    /// The first word of it, `file` where that is a file's name.
    pub kind: String,
    /// The object or content that it is about.
    pub id: Option<Id>,
    /// The file that it is about, relative to the store.
    pub path: Option<PathBuf>,
    /// The size in bytes that a content should have, where that is known.
    pub size: Option<u64>,
    /// How that shows.
    pub why: String,
    /// What it belongs to: `debian:12:/usr/bin/perl`; the first few.
    pub owners: Vec<String>,
    /// How many more it belongs to.
    pub more: usize,
}

impl Finding {
    /// Something wrong with `what`, which begins with the word for its kind.
    pub fn new(state: &'static str, what: String, why: String) -> Self {
        let word = what.split(' ').next().filter(|word| !word.starts_with('\'')).unwrap_or("file");
        let kind = word.to_owned();
        Self { state, what, kind, id: None, path: None, size: None, why, owners: Vec::new(), more: 0 }
    }

    /// The same, about a file of the store.
    pub fn at(self, path: impl Into<PathBuf>) -> Self {
        Self { path: Some(path.into()), ..self }
    }
}

/// What a check came to.
#[derive(Debug, Default)]
pub struct Report {
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// What is odd but harms nothing.
    pub notes: Vec<String>,
    /// Contents that nothing refers to: left of a killed command, or waiting for `rd gc`.
    pub dangling: Vec<Id>,
    /// What was checked.
    pub checked: Counts,
}

/// How much was checked.
#[derive(Debug, Default, Clone, Copy)]
pub struct Counts {
    /// Refs and reflog entries.
    pub tips: usize,
    /// Commits reached from them.
    pub commits: usize,
    /// Folders of roots, each once.
    pub folders: usize,
    /// Objects in packs and loose ones.
    pub objects: usize,
    /// Packs.
    pub packs: usize,
    /// Raw contents.
    pub contents: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// How far a check is, for whoever watches it.
#[derive(Debug, Default)]
pub struct Progress {
    /// Bytes of contents to be read; 0 while that isn't known.
    pub total: AtomicU64,
    /// Bytes of contents that were read.
    pub done: AtomicU64,
}

/// Check the store.
pub fn check(store: &Store, options: Options) -> Result<Report> {
    check_watched(store, options, &Progress::default())
}

/// As [`check`]; `progress` tells others how far it is.
pub fn check_watched(store: &Store, options: Options, progress: &Progress) -> Result<Report> {
    let rehash = !options.connectivity_only;
    let mut issues = Issues::default();
    let tips = refs::load(store, &mut issues)?;
    let objects = Objects::load(store, rehash, &mut issues)?;
    let contents = Contents::load(store, rehash, progress)?;
    if rehash {
        blobs::check(store, options.full, &mut issues)?;
    }
    let mut walk = walk::Walk::new(store, options, &objects, &contents, issues);
    walk.run(&tips);
    let counts = Counts {
        tips: tips.len(),
        commits: walk.commit_count(),
        folders: walk.folder_count(),
        objects: objects.len(),
        packs: objects.pack_count(),
        contents: contents.sizes.len(),
        bytes: contents.sizes.values().sum(),
    };
    let (mut issues, reached) = walk.finish();
    add_unreached(&objects, &contents, &reached, &mut issues);
    let dangling: BTreeSet<Id> = contents.sizes.keys().copied().filter(|id| !reached.contains(id)).collect();
    for stray in &contents.strays {
        issues.note(format!("'{}' is no content", stray.display()));
    }
    Ok(Report { findings: issues.list, notes: issues.notes, dangling: dangling.into_iter().collect(), checked: counts })
}

/// Damage to what nothing refers to.
fn add_unreached(objects: &Objects, contents: &Contents, reached: &std::collections::HashSet<Id>, issues: &mut Issues) {
    let mut rest: Vec<(&str, &Id, &String)> = Vec::new();
    rest.extend(objects.damaged.iter().map(|(id, why)| ("object", id, why)));
    rest.extend(contents.damaged.iter().map(|(id, why)| ("content", id, why)));
    rest.retain(|(_, id, _)| !reached.contains(*id));
    rest.sort();
    for (word, id, why) in rest {
        let number = issues.add("damaged", format!("{word} {id}, which nothing refers to"), why.clone());
        issues.list[number].id = Some(*id);
    }
}

/// The findings so far.
#[derive(Default)]
struct Issues {
    list: Vec<Finding>,
    /// Findings about an object or content, by its id.
    by_id: HashMap<Id, usize>,
    notes: Vec<String>,
}

impl Issues {
    /// Note something wrong; its number.
    fn add(&mut self, state: &'static str, what: String, why: String) -> usize {
        self.list.push(Finding::new(state, what, why));
        self.list.len() - 1
    }

    /// Note something wrong with a file of the store.
    fn add_at(&mut self, path: impl Into<PathBuf>, state: &'static str, what: String, why: String) {
        self.list.push(Finding::new(state, what, why).at(path));
    }

    /// Note something wrong with an object or content, once; its number.
    fn add_once(&mut self, id: &Id, state: &'static str, what: String, why: impl FnOnce() -> String) -> usize {
        if let Some(number) = self.by_id.get(id) {
            return *number;
        }
        let number = self.add(state, what, why());
        self.list[number].id = Some(*id);
        self.by_id.insert(*id, number);
        number
    }

    /// The issue belongs to `owner`.
    fn add_owner(&mut self, number: usize, owner: String) {
        let finding = &mut self.list[number];
        if finding.owners.contains(&owner) {
            return;
        }
        match finding.owners.len() < NAMED_OWNERS {
            true => finding.owners.push(owner),
            false => finding.more += 1,
        }
    }

    fn note(&mut self, note: String) {
        self.notes.push(note);
    }
}

/// Run `work` on as many threads as there are processors, at least two; it must share out the work by itself.
fn on_all_processors(work: impl Fn() + Sync) {
    let threads = std::thread::available_parallelism().map_or(2, usize::from).max(2);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(&work);
        }
    });
}

//! Caches: each entry is compared with what it would be if it were made now.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs;
use std::path::Path;

use plumbing::disk::OpenDir;
use plumbing::fsck::{Aside, Finding};
use plumbing::root::{Part, RootIds};
use plumbing::store::refs::Value;
use plumbing::{Id, Store};

use super::Beside;
use crate::container::{bases, is_sound_filter, lower_of};
use crate::image::facts;
use crate::{IoResultExt, Result};

/// Where listings are remembered, in the store.
const LISTINGS: &str = "cache/images";

/// Compare all that is cached.
pub(super) fn check(store: &Store, found: &mut Beside) -> Result<()> {
    let wrong = facts::wrong(store)?;
    if !wrong.is_empty() {
        let why = format!("{} lines say other than their commits", wrong.len());
        found.findings.push(Finding::new("wrong", "cache of listings".into(), why).at(LISTINGS));
    }
    let mut names = names(&store.mounts_dir())?;
    names.sort();
    let keys = names.iter().filter_map(|name| key(name)).collect();
    let roots = roots(store, keys)?;
    for name in names {
        let path = store.mounts_dir().join(&name);
        let wrong = match key(&name) {
            Some(key) => match roots.get(&key) {
                Some(root) => compare(store, root, &path)?,
                None => {
                    found.notes.push(format!("'mounts/{name}' is of no commit that is known: `rd gc` removes it"));
                    None
                }
            },
            None if name.starts_with("filter-") && !name.contains('.') && !is_sound_filter(&path) => {
                Some("it doesn't have the fingerprint of what is in it".to_owned())
            }
            None => None,
        };
        if let Some(why) = wrong {
            let what = format!("cache 'mounts/{name}'");
            found.findings.push(Finding::new("damaged", what, why).at(Path::new("mounts").join(&name)));
        }
    }
    Ok(())
}

/// Move the entry aside and make it again.
pub(super) fn repair(store: &Store, finding: &Finding, aside: &Aside) -> Result<Option<String>> {
    let Some(path) = &finding.path else { return Ok(None) };
    if path == Path::new(LISTINGS) {
        facts::forget(store, &facts::wrong(store)?)?;
        return Ok(Some("forgotten, to be worked out again".into()));
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if !aside.take(path)? {
        return Ok(Some("it is gone".into()));
    }
    let Some(key) = key(&name) else { return Ok(Some("moved aside, to be made again when it is needed".into())) };
    let Some(root) = roots(store, HashSet::from([key]))?.remove(&key) else { return Ok(None) };
    lower_of(store, &Part::whole(store, root)?)?;
    Ok(Some("made again".into()))
}

/// The names in a folder; none where it isn't there.
fn names(folder: &Path) -> Result<Vec<String>> {
    match fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        entries => (entries.on("read", folder)?)
            .map(|entry| Ok(entry.on("read", folder)?.file_name().to_string_lossy().into_owned()))
            .collect(),
    }
}

/// The root that a mountable image or a checked-out folder is of.
fn key(name: &str) -> Option<Id> {
    Id::from_hex(name.strip_suffix(".erofs").unwrap_or(name).as_bytes()).ok()
}

/// The roots of these names, looked for in all commits: first those that refs and containers are at.
fn roots(store: &Store, mut keys: HashSet<Id>) -> Result<HashMap<Id, RootIds>> {
    let mut roots = HashMap::new();
    let tips = store.refs_below("refs/")?.into_iter();
    let tips = tips.filter_map(|tip| if let Value::Id(id) = tip.value { Some(id) } else { None });
    let mut waiting: VecDeque<Id> = tips.collect();
    waiting.extend(bases(store)?);
    let mut seen = HashSet::new();
    while let Some(id) = waiting.pop_front().filter(|_| !keys.is_empty()) {
        if !seen.insert(id) {
            continue;
        }
        // What can't be read is the store's to find.
        let Ok(commit) = store.read_commit(&id) else { continue };
        let name = commit.state.root.name();
        if keys.remove(&name) {
            roots.insert(name, commit.state.root);
        }
        waiting.extend(commit.parents);
    }
    Ok(roots)
}

/// How a mountable image or a checked-out folder differs from its root. Where the root itself is damaged, nothing can be
/// said.
fn compare(store: &Store, root: &RootIds, path: &Path) -> Result<Option<String>> {
    if path.is_dir() {
        let mut batch = store.hashing_batch();
        let found = OpenDir::open(path).and_then(|dir| plumbing::write_tree::write_tree(&mut batch, dir));
        return Ok(match found {
            Ok(found) if found == *root => None,
            Ok(_) => Some("the files in it are not those of its root".into()),
            Err(error) => Some(error.to_string()),
        });
    }
    let Ok(right) = plumbing::mount_image::encode(store, root) else { return Ok(None) };
    let bytes = fs::read(path).on("read", path)?;
    Ok((*bytes != *right).then(|| "its bytes are not those of its root's image".to_owned()))
}

//! Caches that nobody will ask for: mountable images and checked-out roots of what has no name, lines of listings.

use std::collections::HashSet;
use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use plumbing::store::refs::IMAGES;
use plumbing::{Id, Store, gc};

use crate::container::Containers;
use crate::image::facts;
use crate::{IoResultExt, Result, mounts};

/// What is being made belongs to a command that lives, or to one that was killed so many seconds ago.
const DRAFT: i64 = 24 * 3600;

/// Remove what is older than the options say and belongs to no image and no container; how many there were, and what
/// they took on the disk.
pub(super) fn clear(store: &Store, containers: &Containers, options: &gc::Options) -> Result<(usize, u64)> {
    let wanted = wanted(store, containers)?;
    let dir = store.mounts_dir();
    let (mut count, mut bytes) = (0, 0);
    let entries = match fs::read_dir(&dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok((0, 0)),
        entries => entries.on("read", &dir)?,
    };
    for entry in entries {
        let entry = entry.on("read", &dir)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let Ok(about) = entry.metadata() else { continue };
        if !is_stale(&name, &about, &wanted, options.cutoff) {
            continue;
        }
        count += 1;
        bytes += size(&entry.path(), &about)?;
        if !options.dry_run {
            remove(store, containers, &entry.path(), &name, about.is_dir())?;
        }
    }
    if !options.dry_run {
        count += facts::forget_missing(store)?;
    }
    Ok((count, bytes))
}

/// The roots of images, of what containers were made of, and of what is mounted, by the names of their caches.
fn wanted(store: &Store, containers: &Containers) -> Result<HashSet<String>> {
    let images = store.list_refs(IMAGES)?.into_iter().map(|(_, id)| id);
    let bases = super::bases(containers)?;
    let commits: HashSet<Id> = images.chain(bases).collect();
    // What can't be read has no cache worth keeping.
    Ok(commits
        .iter()
        .filter_map(|id| store.read_commit(id).ok())
        .map(|found| found.state.root.name().to_string())
        .chain(mounts::in_use(store)?.into_iter().map(|mounted| mounted.image.to_string()))
        .collect())
}

fn is_stale(name: &str, about: &Metadata, wanted: &HashSet<String>, cutoff: i64) -> bool {
    let key = name.strip_suffix(".erofs").unwrap_or(name);
    let used = about.mtime().max(about.atime()).max(about.ctime());
    if key.len() == 64 && key.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return !wanted.contains(key) && used < cutoff;
    }
    name.starts_with(".tmp") && used < plumbing::commit::now() - DRAFT
}

/// Nobody may start to use it meanwhile: who makes a container holds off collections, and then it is wanted.
fn remove(store: &Store, containers: &Containers, path: &Path, name: &str, is_dir: bool) -> Result<()> {
    let alone = gc::exclude_writers(store)?;
    if wanted(store, containers)?.contains(name.strip_suffix(".erofs").unwrap_or(name)) {
        return Ok(());
    }
    if !is_dir {
        return match fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error).on("remove", path),
            _ => Ok(()),
        };
    }
    let parent = path.parent().unwrap_or(Path::new("."));
    let grave = tempfile::TempDir::new_in(parent).on("create a folder in", parent)?;
    fs::rename(path, grave.path().join("root")).on("move", path)?;
    drop(alone);
    crate::container::remove_folder(&grave.path().join("root"))
}

/// What a file, or a folder and all in it, takes on the disk.
pub(crate) fn size(path: &Path, about: &Metadata) -> Result<u64> {
    let mut total = about.blocks() * 512;
    let mut waiting = if about.is_dir() { vec![path.to_owned()] } else { Vec::new() };
    while let Some(folder) = waiting.pop() {
        let entries = match fs::read_dir(&folder) {
            // It is being removed, or made.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            entries => entries.on("read", &folder)?,
        };
        for entry in entries.flatten() {
            let Ok(about) = entry.metadata() else { continue };
            total += about.blocks() * 512;
            if about.is_dir() {
                waiting.push(entry.path());
            }
        }
    }
    Ok(total)
}

//! Packing away what no image in use needs: `rd repack --cold`.

use std::collections::HashSet;
use std::fs;
use std::io::ErrorKind;

use plumbing::store::refs::{CONTAINERS, IMAGES};
use plumbing::{Id, Store};

pub use plumbing::cold::Report;

use crate::container::Containers;
use crate::{IoResultExt, Result, mounts};

/// Move contents into packs that are older than `cutoff` (seconds since 1970), and that neither a running container, nor a
/// mount, nor a root needs that was mounted since.
pub fn repack(store: &Store, cutoff: i64) -> Result<Report> {
    let containers = Containers::open(store.dir())?;
    let as_plumbing = |error: crate::Error| match error {
        crate::Error::Store(error) => error,
        error => plumbing::Error::damaged("container", error.chain().join(": ")),
    };
    let nameless = || super::nameless(store, &containers).map_err(as_plumbing);
    let roots = || in_use(store, &containers, cutoff).map(|roots| roots.trees).map_err(as_plumbing);
    let forget_others = || forget_others(store, &containers, cutoff).map_err(as_plumbing);
    let warm = plumbing::cold::Warm { roots: &roots, forget_others: &forget_others };
    Ok(plumbing::cold::repack(store, cutoff, &nameless, &warm)?)
}

/// Roots in use: their `rootfs` trees, of mounts those of the whole commits, and the names of their mountable images.
struct InUse {
    trees: Vec<Id>,
    keys: HashSet<String>,
}

/// The roots of containers that run or are being started, those of mounts, and those that were mounted since `cutoff`.
fn in_use(store: &Store, containers: &Containers, cutoff: i64) -> Result<InUse> {
    let mut found = InUse { trees: Vec::new(), keys: HashSet::new() };
    let busy = containers.busy_configs()?.iter().map(|config| config.base()).collect::<Result<HashSet<Id>>>()?;
    for mounted in mounts::in_use(store)? {
        found.trees.push(mounted.tree);
        found.keys.insert(mounted.image.to_string());
    }
    let named = [IMAGES, CONTAINERS].map(|prefix| store.list_refs(prefix));
    let mut commits: HashSet<Id> = super::bases(containers)?.into_iter().collect();
    for list in named {
        commits.extend(list?.into_iter().map(|(_, id)| id));
    }
    for id in commits {
        // What can't be read can't be run.
        let Ok(commit) = store.read_commit(&id) else { continue };
        let key = commit.state.root.name().to_string();
        if busy.contains(&id) || is_recent(store, &key, cutoff)? {
            found.trees.push(commit.state.root.rootfs);
            found.keys.insert(key);
        }
    }
    Ok(found)
}

fn is_recent(store: &Store, key: &str, cutoff: i64) -> Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let image = store.mounts_dir().join(format!("{key}.erofs"));
    match fs::metadata(&image) {
        Ok(about) => Ok(about.mtime() >= cutoff),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).on("look up", image),
    }
}

/// Remove the mountable images of all roots that aren't in use. Nobody writes meanwhile.
fn forget_others(store: &Store, containers: &Containers, cutoff: i64) -> Result<()> {
    let kept = in_use(store, containers, cutoff)?.keys;
    let dir = store.mounts_dir();
    let entries = match fs::read_dir(&dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries.on("read", &dir)?,
    };
    for entry in entries {
        let path = entry.on("read", &dir)?.path();
        let key = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if path.extension().is_some_and(|extension| extension == "erofs") && !kept.contains(&key) {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error).on("remove", path),
                _ => {}
            }
        }
    }
    Ok(())
}

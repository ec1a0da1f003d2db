//! The root that a container has right now: what it was made from, and what its upper folder changes in that.

use std::collections::{BTreeSet, HashSet};
use std::os::unix::ffi::OsStrExt;

use plumbing::Store;
use plumbing::bstr::BString;
use plumbing::root::Root;
use plumbing::stat_cache::StatCache;
use plumbing::store::Batch;

use super::Container;
use super::cgroup::Cgroup;
use crate::Result;

/// The container's root. New contents go to `batch`; the cache of what was read is to be saved once they are in the store.
///
/// The caller freezes the container first if it runs.
pub fn current_root(store: &Store, container: &Container, batch: &mut Batch<'_>) -> Result<(Root, StatCache)> {
    let below = store.read_commit(&container.config.base()?)?;
    let mut root = Root::open(store, &below.state.root)?;
    let mut cache = StatCache::open(container.folder.stat_cache_file());
    // It has no upper folder before its first start.
    if container.folder.upper().exists() {
        cache.distrust(mapped_inodes(container)?);
        let made = mount_points(container)?;
        plumbing::capture::capture(&mut root, &container.folder.upper(), &made, &mut cache, batch)?;
    }
    Ok((root, cache))
}

/// What rd made in the upper folder to mount something on, as paths in a root.
fn mount_points(container: &Container) -> Result<BTreeSet<BString>> {
    let made = container.made_mount_points()?;
    let relative =
        |path: &std::path::PathBuf| BString::from(path.strip_prefix("/").unwrap_or(path).as_os_str().as_bytes());
    Ok(made.iter().map(relative).collect())
}

/// The inode numbers of files that a process of the container has mapped, shared and writable.
///
/// proc_pid_maps(5): `address perms offset dev inode pathname`.
fn mapped_inodes(container: &Container) -> Result<HashSet<u64>> {
    let mut inodes = HashSet::new();
    for pid in Cgroup::of(&container.config.id)?.processes()? {
        // A process that has ended meanwhile maps nothing.
        let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
        inodes.extend(maps.lines().filter_map(writable_inode).filter(|inode| *inode != 0));
    }
    Ok(inodes)
}

fn writable_inode(line: &str) -> Option<u64> {
    let mut words = line.split_ascii_whitespace().skip(1);
    let permissions = words.next()?.as_bytes();
    let writable = permissions.get(1) == Some(&b'w') && permissions.get(3) == Some(&b's');
    let inode = words.nth(2)?;
    writable.then(|| inode.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_shared_writable_mappings_count() {
        for (line, inode) in [
            ("7f00-7f01 rw-s 00000000 fd:00 1234 /var/lib/db", Some(1234)),
            ("7f00-7f01 rw-p 00000000 fd:00 1234 /lib/x.so", None),
            ("7f00-7f01 r--s 00000000 fd:00 1234 /x", None),
            ("7f00-7f01 rw-s 00000000 00:01 99 /dev/zero (deleted)", Some(99)),
            ("", None),
        ] {
            assert_eq!(writable_inode(line), inode, "{line}");
        }
    }
}

//! Joining small packs, so that their number stays logarithmic and a lookup stays cheap.
//!
//! Only packs of whole objects (with our promisor mark) are joined, by copying their entries; packs that git made
//! are left alone. The rule is git's for geometric repacking: a pack stays when it is at least twice as
//! large as all smaller ones together.

use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::pack::{HEADER, MARK, Pack};
use crate::{Error, Id, Result};

/// Fewer packs than this are left as they are.
const MANY: usize = 24;

/// Size in bytes of the checksum at the end of a pack.
const TRAILER: u64 = 32;

/// Join the small packs of `dir` if there are many and nobody else is at it. The new pack is made in `staging`.
pub(super) fn run(dir: &Path, staging: &Path) -> Result<()> {
    let packs = list(dir)?;
    if packs.len() < MANY {
        return Ok(());
    }
    let Some(_lock) = lock(dir, false)? else { return Ok(()) };
    let chosen = choose(list(dir)?);
    if chosen.len() < 2 {
        return Ok(());
    }
    let mut joined = Pack::new();
    let mut seen = HashSet::new();
    for path in &chosen {
        copy_entries(path, &mut seen, &mut joined)?;
    }
    let made = joined.stage(staging)?.publish(dir)?;
    super::pack::sync_names(dir)?;
    for path in chosen.iter().filter(|path| **path != made) {
        remove(path)?;
    }
    Ok(())
}

/// The lock of who rearranges the packs of `dir`; `None` where somebody has it who isn't to be waited for.
pub(crate) fn lock(dir: &Path, wait: bool) -> Result<Option<Flock<File>>> {
    let path = dir.join("rd-consolidate.lock");
    let mut file = File::create(&path).map_err(Error::io("create", &path))?;
    let how = if wait { FlockArg::LockExclusive } else { FlockArg::LockExclusiveNonblock };
    loop {
        match Flock::lock(file, how) {
            Ok(lock) => return Ok(Some(lock)),
            Err((again, Errno::EINTR)) => file = again,
            Err((_, Errno::EWOULDBLOCK)) => return Ok(None),
            Err((_, errno)) => return Err(Error::io("lock", path)(errno.into())),
        }
    }
}

/// Packs of whole objects, smallest first.
fn list(dir: &Path) -> Result<Vec<(u64, PathBuf)>> {
    let mut packs = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(Error::io("list", dir))? {
        let path = entry.map_err(Error::io("list", dir))?.path();
        if path.extension().is_some_and(|e| e == "idx")
            && std::fs::metadata(path.with_extension("promisor")).is_ok_and(|mark| mark.len() == MARK.len() as u64)
            && let Ok(pack) = std::fs::metadata(path.with_extension("pack"))
        {
            packs.push((pack.len(), path.with_extension("pack")));
        }
    }
    packs.sort();
    Ok(packs)
}

/// The smallest packs, up to the first that is at least twice as large as all before it together.
fn choose(packs: Vec<(u64, PathBuf)>) -> Vec<PathBuf> {
    let mut sums = Vec::with_capacity(packs.len());
    let mut sum = 0;
    for (size, _) in &packs {
        sums.push(sum);
        sum += size;
    }
    let keep_from = (1..packs.len()).rev().find(|&i| packs[i].0 < 2 * sums[i]).map_or(0, |i| i + 1);
    packs.into_iter().take(keep_from).map(|(_, path)| path).collect()
}

/// Add the entries of a pack that weren't seen yet, as they are.
pub(super) fn copy_entries(path: &Path, seen: &mut HashSet<Id>, into: &mut Pack) -> Result<()> {
    let index = path.with_extension("idx");
    let file = gix::odb::pack::index::File::at(&index, gix::hash::Kind::Sha256)
        .map_err(|error| Error::damaged(format!("pack index '{}'", index.display()), error.to_string()))?;
    let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
    let mut entries: Vec<(u64, Id)> = file.iter().map(|entry| (entry.pack_offset, entry.oid)).collect();
    entries.sort_unstable();
    let ends = entries.iter().skip(1).map(|entry| entry.0).chain([bytes.len() as u64 - TRAILER]);
    for ((start, id), end) in entries.iter().zip(ends) {
        let range = *start as usize..end as usize;
        let entry = bytes.get(range).filter(|_| *start as usize >= HEADER);
        let entry = entry.ok_or_else(|| Error::damaged(format!("pack '{}'", path.display()), "its index lies"))?;
        if seen.insert(*id) {
            into.add_raw(*id, entry);
        }
    }
    Ok(())
}

/// Remove a pack, its index first: without it the rest is invisible.
pub(crate) fn remove(path: &Path) -> Result<()> {
    for extension in ["idx", "pack", "promisor", "rev", "bitmap", "mtimes"] {
        let path = path.with_extension(extension);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(Error::io("remove", path)(error)),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(list: &[u64]) -> Vec<PathBuf> {
        choose(list.iter().map(|size| (*size, PathBuf::from(size.to_string()))).collect())
    }

    #[test]
    fn a_geometric_row_is_left_alone() {
        assert!(sizes(&[1, 2, 6, 20, 60]).is_empty());
    }

    #[test]
    fn small_packs_are_joined_and_a_large_one_stays() {
        assert_eq!(sizes(&[1, 1, 1, 1000]).len(), 3);
    }
}

//! Making writes durable: one batched sync before a name moves, none per object.

use std::fs::File;
use std::path::Path;
use std::thread;

use crate::{Error, Result};

/// Flush everything written to the filesystem that holds `path` (syncfs(2)).
pub(crate) fn sync_filesystem(path: &Path) -> Result<()> {
    let file = File::open(path).map_err(Error::io("open", path))?;
    nix::unistd::syncfs(&file).map_err(|errno| Error::io("sync", path)(errno.into()))
}

/// Flush one file's bytes.
pub(crate) fn sync_file(path: &Path) -> Result<()> {
    let file = File::open(path).map_err(Error::io("open", path))?;
    file.sync_all().map_err(Error::io("sync", path))
}

/// Flush the entries of a folder.
pub(crate) fn sync_folder(path: &Path) -> Result<()> {
    sync_file(path)
}

/// How many flushes run at once.
const AT_ONCE: usize = 8;

/// Flush files and folders, all at the same time: those that wait for a filesystem's journal together wait for it once.
pub(crate) fn sync_all<P: AsRef<Path> + Sync>(paths: &[P]) -> Result<()> {
    let flush = |some: &[P]| some.iter().try_for_each(|path| sync_file(path.as_ref()));
    let (first, rest) = paths.split_at(paths.len().div_ceil(AT_ONCE));
    thread::scope(|scope| {
        let others: Vec<_> = rest.chunks(first.len().max(1)).map(|some| scope.spawn(move || flush(some))).collect();
        let first = flush(first);
        others
            .into_iter()
            .map(thread::ScopedJoinHandle::join)
            .fold(first, |all, one| all.and(one.unwrap_or_else(|panic| std::panic::resume_unwind(panic))))
    })
}

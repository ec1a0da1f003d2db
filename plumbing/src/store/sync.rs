//! Making writes durable: one batched sync before a name moves, none per object.

use std::fs::File;
use std::path::Path;

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

//! The lower part of a root, out of the store's cache: a mount image, or a checked-out folder where the kernel can't mount one.

use std::io::Write;
use std::path::{Path, PathBuf};

use plumbing::root::RootIds;
use plumbing::{Store, checkout, mount_image};

use super::{Lower, StrategyCache};
use crate::{IoResultExt, Result};

/// The file that remembers which way of mounting works.
pub fn strategy_cache(store: &Store) -> StrategyCache {
    StrategyCache::new(store.mounts_dir().join("strategy"))
}

/// What to mount for the root `ids`; made now if nobody needed it before.
pub fn lower(store: &Store, ids: &RootIds) -> Result<Lower> {
    if strategy_cache(store).needs_folder() {
        return folder(store, ids);
    }
    let image = store.mounts_dir().join(format!("{}.erofs", ids.name()));
    if !image.exists() {
        match mount_image::encode(store, ids) {
            Ok(bytes) => write(&image, &bytes)?,
            // What the format can't hold, a folder can.
            Err(plumbing::Error::Unsupported { .. }) => return folder(store, ids),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Lower::Erofs { image, content: store.content_dir() })
}

/// A folder with the whole root, for kernels that can't mount an image.
pub fn folder(store: &Store, ids: &RootIds) -> Result<Lower> {
    let path = store.mounts_dir().join(ids.name().to_string());
    if !path.exists() {
        let mounts = store.mounts_dir();
        let fresh = tempfile::Builder::new().prefix("tmp-").tempdir_in(&mounts).on("create a folder in", &mounts)?;
        let root = fresh.path().join("root");
        std::fs::create_dir(&root).on("create", &root)?;
        checkout::checkout(store, ids, &root)?;
        rename(&root, &path)?;
    }
    Ok(Lower::Folder(path))
}

/// Written under another name first: an image that can be seen is whole.
fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder: PathBuf = path.parent().unwrap_or(Path::new(".")).into();
    let mut file = tempfile::NamedTempFile::new_in(&folder).on("create a file in", &folder)?;
    file.write_all(bytes).on("write", path)?;
    file.persist(path).map(drop).map_err(|error| error.error).on("create", path)
}

/// Whoever is first wins; both made the same.
fn rename(from: &Path, to: &Path) -> Result<()> {
    match std::fs::rename(from, to) {
        Err(_) if to.exists() => Ok(()),
        result => result.on("create", to),
    }
}

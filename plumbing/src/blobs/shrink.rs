//! Compressed layers become what makes them again, where that is much smaller.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use super::analyse::analyse;
use super::made::{Made, head};
use super::{KEPT, MADE, RAW, files};
use crate::digest::{Digest, Hasher};
use crate::history::Walk;
use crate::layer::compression::Compression;
use crate::oci::Image;
use crate::store::{Staging, sync};
use crate::{Error, Id, Result, Store};

/// What isn't smaller than this part of what it was stays as it is.
const PART: u64 = 4;

/// What came of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Shrunk {
    /// Layers that are made again from now on.
    pub layers: usize,
    /// Bytes that that freed.
    pub freed: u64,
}

/// Make what the store keeps of compressed layers smaller: those that came before `cutoff` (seconds since 1970). None is begun
/// after `time`. What was made smaller is compared with its digest before the layer's own bytes go.
///
/// The caller holds off collections.
pub fn shrink(store: &Store, cutoff: i64, time: Duration) -> Result<Shrunk> {
    let begun = Instant::now();
    let mut shrunk = Shrunk::default();
    let is_old = |path: &Path| path.symlink_metadata().is_ok_and(|about| about.mtime() < cutoff);
    let mut raw = files(store)?;
    raw.retain(|(_, form, path)| *form == RAW && is_old(path));
    if raw.is_empty() {
        return Ok(shrunk);
    }
    let recipes = recipes(store)?;
    for (digest, _, path) in raw {
        if begun.elapsed() > time {
            break;
        }
        let Some(layer) = recipes.get(&digest) else { continue };
        match smaller(store, &digest, &path, layer)? {
            Some(freed) => {
                shrunk.layers += 1;
                shrunk.freed += freed;
            }
            None => keep(&path)?,
        }
    }
    Ok(shrunk)
}

/// The recipes of the layers that images have, by the digest of what they were compressed to.
fn recipes(store: &Store) -> Result<HashMap<Digest, Id>> {
    let tips = store.list_refs("refs/")?.into_iter().map(|(_, id)| id);
    let is_commit = |id: &Id| matches!(store.find_header(id), Ok(Some((gix::objs::Kind::Commit, _))));
    let walk = Walk { tips: tips.filter(is_commit).collect(), ..Walk::default() };
    let mut recipes = HashMap::new();
    for commit in walk.commits(store)? {
        let commit = commit?;
        // A commit of something else, or a damaged one, has no layers that could be told.
        if store.read_state(&commit.tree).is_ok_and(|state| state.manifest.is_some())
            && let Ok(image) = Image::of(store, &commit.id, None)
        {
            recipes
                .extend(image.layers().iter().filter_map(|layer| Some((layer.descriptor().digest, layer.recipe()?))));
        }
    }
    Ok(recipes)
}

/// Put what makes the layer in place of its bytes; how many bytes that frees. `None` where it would be no gain.
fn smaller(store: &Store, digest: &Digest, path: &Path, layer: &Id) -> Result<Option<u64>> {
    let file = File::open(path).map_err(Error::io("open", path))?;
    let size = file.metadata().map_err(Error::io("stat", path))?.len();
    let staging = Staging::create(&store.content_dir())?;
    let draft = staging.path().join("draft");
    if !matches!(starts_as(&file)?, Compression::Gzip) || !draw_up(file, size, layer, &draft)? {
        return Ok(None);
    }
    let made = draft.metadata().map_err(Error::io("stat", &draft))?.len();
    if made > size / PART || !is_same(store, digest, &draft)? {
        return Ok(None);
    }
    sync::sync_file(&draft)?;
    let place = path.with_extension(MADE);
    std::fs::rename(&draft, &place).map_err(Error::io("create", &place))?;
    let folder = path.parent().expect("because it is in a folder");
    sync::sync_folder(folder)?;
    match std::fs::remove_file(path) {
        // Another collection was quicker.
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", path)(error)),
        _ => Ok(Some(size - made)),
    }
}

fn starts_as(file: &File) -> Result<Compression> {
    use std::os::unix::fs::FileExt;
    let mut first = [0; 8];
    let length = file.read_at(&mut first, 0).map_err(Error::io("read", "compressed layer"))?;
    Compression::of(&first[..length])
}

/// Write what makes the layer; false where the library gave up on it.
fn draw_up(file: File, size: u64, layer: &Id, draft: &Path) -> Result<bool> {
    let written = || -> io::Result<()> {
        let mut out = BufWriter::with_capacity(256 << 10, File::create_new(draft)?);
        out.write_all(head(size, layer).as_bytes())?;
        analyse(file, &mut out)?;
        out.flush()
    };
    // The library is sure of more than a hostile file keeps to.
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(written)) {
        Ok(written) => written.map(|()| true).map_err(Error::io("write", draft)),
        Err(_) => Ok(false),
    }
}

/// Whether the draft makes the very layer.
fn is_same(store: &Store, digest: &Digest, draft: &Path) -> Result<bool> {
    let file = File::open(draft).map_err(Error::io("open", draft))?;
    let made = Made::open(file, draft)?;
    let made = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let mut sum = Sum(Hasher::default());
        made.write(store, &mut sum).map(|()| sum.0.finish())
    }));
    Ok(matches!(made, Ok(Ok(found)) if found == *digest))
}

struct Sum(Hasher);

impl Write for Sum {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Remember that nothing smaller was found.
fn keep(path: &Path) -> Result<()> {
    let place = path.with_extension(KEPT);
    match std::fs::rename(path, &place) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("create", place)(error)),
        _ => Ok(()),
    }
}

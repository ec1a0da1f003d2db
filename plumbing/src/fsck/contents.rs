//! The raw contents: each is read once and hashed, on all processors.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::objects::list;
use crate::store::content_hasher;
use crate::{Id, Result, Store};

/// Bytes read at a time.
const BUFFER: usize = 1 << 20;

/// All contents of the store.
#[derive(Default)]
pub(super) struct Contents {
    /// Sizes in bytes, of the damaged ones too.
    pub(super) sizes: HashMap<Id, u64>,
    /// Contents whose bytes are not what their name says, with the reason.
    pub(super) damaged: HashMap<Id, String>,
    /// What lies among the contents and is none.
    pub(super) strays: Vec<PathBuf>,
}

impl Contents {
    /// Find all contents; with `rehash` check each against its id.
    pub(super) fn load(store: &Store, rehash: bool) -> Result<Self> {
        let folders = list(&store.content_dir())?;
        let next = AtomicUsize::new(0);
        let all = Mutex::new(Ok(Self::default()));
        super::on_all_processors(|| {
            let mut buffer = vec![0; BUFFER];
            let mut mine = Self::default();
            let mut outcome = Ok(());
            while let Some(folder) = folders.get(next.fetch_add(1, Ordering::Relaxed)) {
                outcome = outcome.and_then(|()| mine.load_folder(folder, rehash, &mut buffer));
            }
            let mut all = all.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            match (&mut *all, outcome) {
                (Ok(sum), Ok(())) => sum.join(mine),
                (Ok(_), Err(error)) => *all = Err(error),
                (Err(_), _) => {}
            }
        });
        all.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn join(&mut self, other: Self) {
        self.sizes.extend(other.sizes);
        self.damaged.extend(other.damaged);
        self.strays.extend(other.strays);
    }

    fn load_folder(&mut self, folder: &Path, rehash: bool, buffer: &mut [u8]) -> Result<()> {
        use std::os::unix::fs::MetadataExt;
        let prefix = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if prefix.len() != 2 || !folder.is_dir() {
            self.strays.push(folder.to_owned());
            return Ok(());
        }
        let mut files = Vec::new();
        for path in list(folder)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let id = Id::from_hex(format!("{prefix}{name}").as_bytes());
            match (id, path.symlink_metadata()) {
                (Ok(id), Ok(about)) if about.is_file() => files.push((about.ino(), id, path, about.len())),
                (Ok(id), Ok(_)) => self.note_damage(id, 0, "it is no regular file".into()),
                (Ok(id), Err(error)) => self.note_damage(id, 0, error.to_string()),
                (Err(_), _) => self.strays.push(path),
            }
        }
        // In the order of inodes a disk has the least to seek.
        files.sort_unstable_by_key(|file| file.0);
        for (_, id, path, size) in files {
            self.sizes.insert(id, size);
            if rehash && let Err(why) = check(&path, &id, size, buffer) {
                self.note_damage(id, size, why);
            }
        }
        Ok(())
    }

    fn note_damage(&mut self, id: Id, size: u64, why: String) {
        self.sizes.insert(id, size);
        self.damaged.insert(id, why);
    }
}

fn check(path: &Path, id: &Id, size: u64, buffer: &mut [u8]) -> Result<(), String> {
    let mut file = File::open(path).map_err(|error| format!("can't open it: {error}"))?;
    let mut hasher = content_hasher(size);
    let mut total = 0u64;
    loop {
        match file.read(buffer) {
            Ok(0) => break,
            Ok(got) => {
                hasher.update(&buffer[..got]);
                total += got as u64;
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(format!("can't read it: {error}")),
        }
    }
    let found = hasher.try_finalize().map_err(|error| error.to_string())?;
    if found == *id && total == size { Ok(()) } else { Err(format!("its {total} bytes hash to {found}")) }
}

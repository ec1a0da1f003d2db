//! The raw contents: each is read once and hashed, on all processors.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Progress;
use super::objects::list;
use crate::store::content_hasher;
use crate::{Id, Result, Store};

/// Bytes read at a time.
const BUFFER: usize = 256 << 10;

/// Files from this size on are read first.
const LARGE: u64 = 64 << 20;

/// All contents of the store.
#[derive(Default)]
pub(super) struct Contents {
    /// Sizes in bytes, of the damaged ones too.
    pub(super) sizes: HashMap<Id, u64>,
    /// Contents whose bytes are not what their name says, with the reason.
    pub(super) damaged: HashMap<Id, String>,
    /// What lies among the contents and is none.
    pub(super) strays: Vec<PathBuf>,
    /// The files that are still to be read.
    files: Vec<Raw>,
}

/// A content's file.
struct Raw {
    inode: u64,
    id: Id,
    path: PathBuf,
    size: u64,
}

impl Contents {
    /// Find all contents; with `rehash` check each against its id.
    pub(super) fn load(store: &Store, rehash: bool, progress: &Progress) -> Result<Self> {
        let mut contents = Self::default();
        for folder in list(&store.content_dir())? {
            contents.load_folder(&folder)?;
        }
        if rehash {
            contents.rehash(progress);
        }
        Ok(contents)
    }

    /// Check each against its id, on all processors.
    fn rehash(&mut self, progress: &Progress) {
        let mut files = std::mem::take(&mut self.files);
        progress.total.store(files.iter().map(|file| file.size).sum(), Ordering::Relaxed);
        // In the order of inodes a disk has the least to seek; but nobody should begin with a large one when the others
        // are about to end.
        files.sort_unstable_by_key(|file| (file.size < LARGE, file.inode));
        let next = AtomicUsize::new(0);
        let damaged = Mutex::new(Vec::new());
        super::on_all_processors(|| {
            let mut buffer = vec![0; BUFFER];
            while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                if let Err(why) = check(&file.path, &file.id, file.size, &mut buffer, progress) {
                    damaged.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((file.id, why));
                }
            }
        });
        self.damaged.extend(damaged.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner));
    }

    fn load_folder(&mut self, folder: &Path) -> Result<()> {
        use std::os::unix::fs::MetadataExt;
        let prefix = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if prefix.len() != 2 || !folder.is_dir() {
            self.strays.push(folder.to_owned());
            return Ok(());
        }
        for path in list(folder)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let id = Id::from_hex(format!("{prefix}{name}").as_bytes());
            match (id, path.symlink_metadata()) {
                (Ok(id), Ok(about)) if about.is_file() => {
                    self.sizes.insert(id, about.len());
                    self.files.push(Raw { inode: about.ino(), id, path, size: about.len() });
                }
                (Ok(id), Ok(_)) => self.note_damage(id, 0, "it is no regular file".into()),
                (Ok(id), Err(error)) => self.note_damage(id, 0, error.to_string()),
                (Err(_), _) => self.strays.push(path),
            }
        }
        Ok(())
    }

    fn note_damage(&mut self, id: Id, size: u64, why: String) {
        self.sizes.insert(id, size);
        self.damaged.insert(id, why);
    }
}

fn check(path: &Path, id: &Id, size: u64, buffer: &mut [u8], progress: &Progress) -> Result<(), String> {
    let mut file = File::open(path).map_err(|error| format!("can't open it: {error}"))?;
    let mut hasher = content_hasher(size);
    let mut total = 0u64;
    loop {
        match file.read(buffer) {
            Ok(0) => break,
            Ok(got) => {
                hasher.update(&buffer[..got]);
                total += got as u64;
                progress.done.fetch_add(got as u64, Ordering::Relaxed);
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(format!("can't read it: {error}")),
        }
    }
    let found = hasher.try_finalize().map_err(|error| error.to_string())?;
    if found == *id && total == size { Ok(()) } else { Err(format!("its {total} bytes hash to {found}")) }
}

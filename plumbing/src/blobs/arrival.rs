//! Compressed layers on their way in: written to a file while somebody reads them, and named when they are known to be right.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, CWD, linkat};

use super::RAW;
use crate::digest::Digest;
use crate::{Error, Result, Store};

/// A compressed layer that is arriving.
pub struct Arrival {
    file: Arc<File>,
    path: PathBuf,
}

impl Arrival {
    /// Begin one in the folder `staging`, as the file `name`.
    pub(crate) fn create(staging: &Path, name: &str) -> Result<Self> {
        let path = staging.join(name);
        let file = File::options().read(true).write(true).create_new(true).open(&path);
        Ok(Self { file: Arc::new(file.map_err(Error::io("create", &path))?), path })
    }

    /// `file` has arrived; it gets the name `name` in the folder `staging`, or where it has no name any more, its bytes do.
    pub(crate) fn of(file: &Arc<File>, staging: &Path, name: &str) -> Result<Self> {
        let path = staging.join(name);
        let itself = format!("/proc/self/fd/{}", file.as_raw_fd());
        if linkat(CWD, itself, CWD, &path, AtFlags::SYMLINK_FOLLOW).is_ok() {
            return Ok(Self { file: file.clone(), path });
        }
        let arrival = Self::create(staging, name)?;
        let mut at = 0;
        let mut buffer = vec![0; 256 << 10];
        loop {
            let length = file.read_at(&mut buffer, at).map_err(Error::io("read", "download"))?;
            if length == 0 {
                return Ok(arrival);
            }
            (&*arrival.file).write_all(&buffer[..length]).map_err(Error::io("write", &arrival.path))?;
            at += length as u64;
        }
    }

    /// `source`, all of whose bytes are kept while they are read.
    pub fn tee<R: Read + Send>(&self, source: R) -> impl Read + Send + use<R> {
        Tee { source, file: self.file.clone() }
    }
}

struct Tee<R> {
    source: R,
    file: Arc<File>,
}

impl<R: Read> Read for Tee<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.source.read(buffer)?;
        (&*self.file).write_all(&buffer[..length])?;
        Ok(length)
    }
}

/// Compressed layers whose digests are known, and that get their names with the batch.
#[derive(Default)]
pub(crate) struct Arrived(Vec<(Digest, PathBuf)>);

impl Arrived {
    pub(crate) fn push(&mut self, digest: Digest, arrival: &Arrival) {
        self.0.push((digest, arrival.path.clone()));
    }

    pub(crate) fn files(&self) -> impl Iterator<Item = PathBuf> {
        self.0.iter().map(|(_, path)| path.clone())
    }

    /// Give them their names; the folders that have to be flushed.
    pub(crate) fn publish(self, store: &Store) -> Result<Vec<PathBuf>> {
        let mut folders = Vec::new();
        for (digest, path) in self.0 {
            let file = store.blob_file(&digest, RAW);
            let folder = file.parent().expect("because it is in a folder").to_owned();
            for (made, above) in [(store.blobs_dir(), store.dir()), (folder.clone(), &store.blobs_dir())] {
                match std::fs::create_dir(&made) {
                    Ok(()) => folders.push(above.to_owned()),
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                    Err(error) => return Err(Error::io("create the folder", made)(error)),
                }
            }
            std::fs::rename(&path, &file).map_err(Error::io("create", file))?;
            folders.push(folder);
        }
        folders.sort_unstable();
        folders.dedup();
        Ok(folders)
    }
}

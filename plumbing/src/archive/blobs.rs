//! The files of an archive, wherever they are: in a folder, in a tar, or in a temporary file that a stream was unpacked to.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gix::bstr::{BStr, BString};
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};

use crate::layer::compression::{Compression, decompress, sniff};
use crate::layer::{Indexed, index};
use crate::{Error, Result, Store};

/// Links in a row that are followed in a tar.
const LINKS: usize = 8;

/// The files of an archive.
pub enum Blobs {
    /// A folder, and its path for messages.
    Folder(File, PathBuf),
    /// An uncompressed tar.
    Tar(Arc<File>, BTreeMap<BString, Indexed>),
}

impl Blobs {
    /// The archive or folder at `path`.
    pub fn open(store: &Store, path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(Error::io("open", path))?;
        let metadata = file.metadata().map_err(Error::io("stat", path))?;
        if metadata.is_dir() {
            return Ok(Self::Folder(file, path.to_owned()));
        }
        if !metadata.is_file() {
            return Self::read(store, Box::new(file));
        }
        let mut first = [0; 8];
        let length = file.read_at(&mut first, 0).map_err(Error::io("read", path))?;
        match Compression::of(&first[..length])? {
            Compression::None => Self::tar(file),
            _ => Self::read(store, Box::new(file)),
        }
    }

    /// An archive that comes as a stream. What it holds lies in a temporary file in the store meanwhile, since docker writes
    /// the list of what is in an archive at its end.
    pub fn read(store: &Store, source: Box<dyn Read + Send>) -> Result<Self> {
        let dir = store.content_dir();
        let mut file = tempfile::tempfile_in(&dir).map_err(Error::io("create a file in", &dir))?;
        let (compression, source) = sniff(source)?;
        let invalid = |error: std::io::Error| match error.raw_os_error() {
            None => Error::Invalid {
                what: "archive",
                input: format!("{compression:?}").to_lowercase(),
                why: format!("it can't be decompressed: {error}"),
            },
            Some(_) => Error::io("copy the archive to", &dir)(error),
        };
        let mut inside = decompress(compression, source).map_err(invalid)?;
        std::io::copy(&mut inside, &mut file).map_err(invalid)?;
        Self::tar(file)
    }

    fn tar(file: File) -> Result<Self> {
        let files = index(&file)?;
        Ok(Self::Tar(Arc::new(file), files))
    }

    /// Open the file at `path`; its bytes and their number. `None` where there is none.
    pub fn get(&self, path: &str) -> Result<Option<(Box<dyn Read + Send>, u64)>> {
        match self {
            Self::Folder(folder, shown) => open_below(folder, shown, path),
            Self::Tar(file, files) => {
                let mut name = BStr::new(path);
                for _ in 0..LINKS {
                    match files.get(name) {
                        None => return Ok(None),
                        Some(Indexed::Link(target)) => name = BStr::new(target),
                        Some(Indexed::File { offset, size }) => {
                            let piece = Piece { file: file.clone(), at: *offset, end: offset + size };
                            return Ok(Some((Box::new(piece), *size)));
                        }
                    }
                }
                Err(Error::Refused {
                    entry: crate::layer::shown(path.into()),
                    why: "it is a link to links without end".into(),
                })
            }
        }
    }

    /// The bytes of a small file. `Invalid` where it has more than `limit`.
    pub fn small(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        let Some((reader, size)) = self.get(path)? else { return Ok(None) };
        if size > limit {
            let why = format!("it has {size} bytes, {limit} are allowed");
            return Err(Error::Refused { entry: crate::layer::shown(path.into()), why });
        }
        let mut bytes = Vec::new();
        reader.take(limit).read_to_end(&mut bytes).map_err(Error::io("read", path))?;
        Ok(Some(bytes))
    }
}

/// Open a regular file below a folder. A link on the way may not lead out, and nothing but a regular file is touched.
fn open_below(folder: &File, shown: &Path, path: &str) -> Result<Option<(Box<dyn Read + Send>, u64)>> {
    let whole = shown.join(path);
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let how = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let file = match rustix::fs::openat2(folder, path, flags, Mode::empty(), how) {
        Ok(file) => File::from(file),
        Err(rustix::io::Errno::NOENT) => return Ok(None),
        Err(rustix::io::Errno::XDEV) => {
            return Err(Error::Refused {
                entry: whole.display().to_string(),
                why: "it is a link out of the folder".into(),
            });
        }
        Err(errno) => return Err(Error::io("open", whole)(errno.into())),
    };
    let stat = rustix::fs::fstat(&file).map_err(|errno| Error::io("stat", &whole)(errno.into()))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(Error::Refused { entry: whole.display().to_string(), why: "it is no regular file".into() });
    }
    Ok(Some((Box::new(file), u64::try_from(stat.st_size).unwrap_or(0))))
}

/// A part of a file, read without moving the file's own position.
struct Piece {
    file: Arc<File>,
    at: u64,
    end: u64,
}

impl Read for Piece {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let length = buffer.len().min(left);
        let read = self.file.read_at(&mut buffer[..length], self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

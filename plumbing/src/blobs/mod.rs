//! Compressed layers as registries know them, by digest: the bytes that a layer's recipe alone doesn't give.
//!
//! `STORE/blobs/` is described in `docs/format.md`, "Compressed layers". Layers that came uncompressed need nothing here.

mod arrival;

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

pub use arrival::Arrival;
pub(crate) use arrival::Arrived;

use crate::digest::Digest;
use crate::{Error, Result, Store};

/// What the name of a file ends in that has a blob's own bytes.
const RAW: &str = "raw";

/// A blob that the store keeps.
pub enum Kept {
    /// Its own bytes, and their number.
    Raw(File, u64),
}

impl Store {
    /// The folder of compressed layers.
    pub fn blobs_dir(&self) -> PathBuf {
        self.dir().join("blobs")
    }

    /// The compressed layer `digest`; `None` where the store doesn't keep it.
    pub fn find_blob(&self, digest: &Digest) -> Result<Option<Kept>> {
        let path = self.blob_file(digest, RAW);
        match File::open(&path) {
            Ok(file) => {
                let size = file.metadata().map_err(Error::io("stat", path))?.len();
                Ok(Some(Kept::Raw(file, size)))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("open", path)(error)),
        }
    }

    fn blob_file(&self, digest: &Digest, form: &str) -> PathBuf {
        let hex = digest.hex();
        self.blobs_dir().join(&hex[..2]).join(format!("{}.{form}", &hex[2..]))
    }
}

impl Kept {
    /// The number of bytes of the compressed layer.
    pub fn size(&self) -> u64 {
        match self {
            Self::Raw(_, size) => *size,
        }
    }

    /// The compressed layer's bytes from the byte `offset` on.
    pub fn reader(self, offset: u64) -> Result<Box<dyn Read + Send>> {
        match self {
            Self::Raw(mut file, _) => {
                file.seek(SeekFrom::Start(offset)).map_err(Error::io("read", "blob"))?;
                Ok(Box::new(file))
            }
        }
    }
}

/// The files of compressed layers, in no order. What has no such name is none.
pub(crate) fn files(store: &Store) -> Result<Vec<(Digest, PathBuf)>> {
    let mut files = Vec::new();
    for folder in entries(&store.blobs_dir())? {
        let prefix = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for path in entries(&folder)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let hex = name.strip_suffix(RAW).and_then(|name| name.strip_suffix('.'));
            files.extend(
                hex.and_then(|hex| format!("sha256:{prefix}{hex}").parse().ok()).map(|digest| (digest, path.clone())),
            );
        }
    }
    Ok(files)
}

/// What is in a folder; nothing where it is missing or none.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    use std::io::ErrorKind::{NotADirectory, NotFound};
    let listed = match std::fs::read_dir(folder) {
        Err(error) if matches!(error.kind(), NotFound | NotADirectory) => return Ok(Vec::new()),
        listed => listed.map_err(Error::io("list", folder))?,
    };
    listed.map(|entry| Ok(entry.map_err(Error::io("list", folder))?.path())).collect()
}

//! Compressed layers as registries know them, by digest: the bytes that a layer's recipe alone doesn't give.
//!
//! `STORE/blobs/` is described in `docs/format.md`, "Compressed layers". Layers that came uncompressed need nothing here.

mod arrival;

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;

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

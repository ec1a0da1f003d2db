//! Compressed layers as registries know them, by digest: the bytes that a layer's recipe alone doesn't give.
//!
//! `STORE/blobs/` is described in `docs/format.md`, "Compressed layers". A layer arrives as it is; later [`shrink`] finds out
//! what its compressor chose, so that the layer is made again where somebody asks for it. Layers that came uncompressed need nothing here.

mod analyse;
mod arrival;
mod made;
mod shrink;

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

pub use arrival::Arrival;
pub(crate) use arrival::Arrived;
pub use made::Made;
pub use shrink::{Shrunk, shrink};

use crate::digest::{Digest, Hasher};
use crate::oci::pipe::{self, Measured, Skip};
use crate::{Error, Result, Store};

/// What the name of a file ends in that has a layer's own bytes.
pub(crate) const RAW: &str = "raw";
/// The same, where nothing smaller was found that makes them.
pub(crate) const KEPT: &str = "kept";
/// What the name of a file ends in that says how to make a layer.
pub(crate) const MADE: &str = "made";

/// A compressed layer that the store has.
pub enum Kept {
    /// Its own bytes, and their number.
    Raw(File, u64),
    /// How to make it, and its digest.
    Made(Made, Digest),
}

impl Store {
    /// The folder of compressed layers.
    pub fn blobs_dir(&self) -> PathBuf {
        self.dir().join("blobs")
    }

    /// The compressed layer `digest`; `None` where the store doesn't have it.
    pub fn find_blob(&self, digest: &Digest) -> Result<Option<Kept>> {
        // In this order: what makes a layer is there before the layer's own bytes go.
        for form in [RAW, KEPT, MADE] {
            let path = self.blob_file(digest, form);
            match File::open(&path) {
                Ok(file) if form == MADE => return Ok(Some(Kept::Made(Made::open(file, &path)?, *digest))),
                Ok(file) => {
                    let size = file.metadata().map_err(Error::io("stat", path))?.len();
                    return Ok(Some(Kept::Raw(file, size)));
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(Error::io("open", path)(error)),
            }
        }
        Ok(None)
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
            Self::Made(made, _) => made.size,
        }
    }

    /// The compressed layer's bytes from the byte `offset` on. Where it is made while it is read, it is compared with its digest: an
    /// error comes in place of the end.
    pub fn reader(self, store: &Store, offset: u64) -> Result<Box<dyn Read + Send>> {
        match self {
            Self::Raw(mut file, _) => {
                file.seek(SeekFrom::Start(offset)).map_err(Error::io("read", "blob"))?;
                Ok(Box::new(file))
            }
            Self::Made(made, digest) => {
                let write = move |store: &Store, out: &mut dyn Write| write_made(store, made, &digest, offset, out);
                Ok(Box::new(pipe::reader(store.dir().to_owned(), write)))
            }
        }
    }
}

/// Make a layer, and leave out its first bytes.
fn write_made(store: &Store, made: Made, digest: &Digest, skip: u64, out: &mut dyn Write) -> Result<()> {
    let mut wire = Measured { out: Skip { out, left: skip }, hasher: Hasher::default(), size: 0 };
    made.write(store, &mut wire)?;
    match wire.hasher.finish() {
        found if found == *digest => Ok(()),
        found => Err(Error::damaged(format!("compressed layer {digest}"), format!("it became {found}"))),
    }
}

/// The files of compressed layers and what their names end in, in no order. What has no such name is none.
pub(crate) fn files(store: &Store) -> Result<Vec<(Digest, &'static str, PathBuf)>> {
    let mut files = Vec::new();
    for folder in entries(&store.blobs_dir())? {
        let prefix = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for path in entries(&folder)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let Some((hex, ending)) = name.rsplit_once('.') else { continue };
            let form = [RAW, KEPT, MADE].into_iter().find(|form| *form == ending);
            if let (Some(form), Ok(digest)) = (form, format!("sha256:{prefix}{hex}").parse()) {
                files.push((digest, form, path.clone()));
            }
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

//! A layer of an image: its descriptor, and where its bytes come from.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use super::Descriptor;
use super::cache::{Cache, Entry};
use super::encoding::Encoding;
use super::pipe::{self, Measured, Skip};
use crate::digest::{Digest, Hasher};
use crate::layer;
use crate::root::RootIds;
use crate::{Error, Id, Result, Store};

/// A layer as registries and archives have it.
#[derive(Clone)]
pub struct Layer {
    pub(super) descriptor: Descriptor,
    pub(super) diff_id: Digest,
    pub(super) tar: Tar,
    pub(super) source: Source,
}

/// What a layer's tar is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tar {
    /// A recipe.
    Recipe(Id),
    /// What changed.
    Changes { before: Option<RootIds>, after: RootIds },
}

/// Where the layer's own bytes, compressed or not, come from.
#[derive(Clone)]
pub(super) enum Source {
    /// They are the tar's.
    Plain,
    /// They came from elsewhere: the store keeps them, or doesn't.
    Kept,
    /// The tar, compressed by rd; where that was done just now, into a file.
    Encoded(Encoding, Option<Arc<File>>),
}

impl Layer {
    /// Media type, digest and size of the layer.
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// The digest of its tar.
    pub fn diff_id(&self) -> Digest {
        self.diff_id
    }

    /// The recipe of its tar, where it has one.
    pub(crate) fn recipe(&self) -> Option<Id> {
        match self.tar {
            Tar::Recipe(layer) => Some(layer),
            Tar::Changes { .. } => None,
        }
    }

    /// Whether its bytes can be had: those of a compressed layer that came from elsewhere may not have been kept.
    pub fn is_here(&self, store: &Store) -> Result<bool> {
        Ok(match self.source {
            Source::Kept => store.find_blob(&self.descriptor.digest)?.is_some(),
            Source::Plain | Source::Encoded(..) => true,
        })
    }

    /// The layer's bytes from the byte `offset` on. `NotFound` where [they aren't here](Self::is_here).
    ///
    /// Where they are made as they are read, they are compared with the digest: an error comes in place of the end.
    pub fn reader(&self, store: &Store, offset: u64) -> Result<Box<dyn Read + Send>> {
        match &self.source {
            Source::Kept => match store.find_blob(&self.descriptor.digest)? {
                Some(kept) => kept.reader(store, offset),
                None => Err(Error::NotFound { what: "compressed layer", name: self.descriptor.digest.to_string() }),
            },
            Source::Encoded(_, Some(file)) => {
                Ok(Box::new(Spool { file: file.clone(), at: offset.min(self.descriptor.size) }))
            }
            Source::Plain | Source::Encoded(..) => {
                let layer = self.clone();
                let made = pipe::reader(store.dir().to_owned(), move |store, out| layer.make(store, offset, out));
                Ok(Box::new(made))
            }
        }
    }

    /// Write the layer's tar, uncompressed.
    pub fn write_tar(&self, store: &Store, out: &mut dyn Write) -> Result<()> {
        self.tar.write(store, out)
    }

    /// Make the layer again, and leave out the first `skip` bytes.
    fn make(&self, store: &Store, skip: u64, out: &mut dyn Write) -> Result<()> {
        let mut wire = Measured { out: Skip { out, left: skip }, hasher: Hasher::default(), size: 0 };
        match self.source {
            Source::Encoded(encoding, _) => drop(compress(store, &self.tar, encoding, &mut wire)?),
            _ => self.tar.write(store, &mut wire)?,
        }
        let (digest, size) = (wire.hasher.finish(), wire.size);
        if (digest, size) != (self.descriptor.digest, self.descriptor.size) {
            let (should, is) = (&self.descriptor, format!("{digest} of {size} bytes"));
            return Err(Error::damaged(format!("layer {}", should.digest), format!("it became {is}")));
        }
        Ok(())
    }
}

impl Tar {
    fn write(&self, store: &Store, out: &mut dyn Write) -> Result<()> {
        match self {
            Self::Recipe(layer) => layer::replay(store, layer, out).map(drop),
            Self::Changes { before, after } => layer::pack_changes(store, *before, *after, out),
        }
    }

    /// What tells it from any other in the cache.
    fn key(&self) -> String {
        match self {
            Self::Recipe(layer) => layer.to_string(),
            Self::Changes { before, after } => {
                let before = before.map_or_else(|| "-".to_owned(), |root| root.name().to_string());
                format!("{before}..{}", after.name())
            }
        }
    }
}

/// The layer of `tar`, compressed by `encoding`; its digest is remembered by `cache` or found out.
pub(super) fn encoded(store: &Store, cache: &mut Cache, tar: Tar, encoding: Encoding) -> Result<Layer> {
    let key = tar.key();
    let (entry, file) = match cache.get(&key, encoding) {
        Some(entry) => (entry, None),
        None => {
            let (entry, file) = encode(store, &tar, encoding)?;
            cache.insert(key, encoding, entry.clone());
            (entry, Some(Arc::new(file)))
        }
    };
    let descriptor = Descriptor {
        media_type: encoding.media_type().into(),
        digest: entry.digest,
        size: entry.size,
        urls: None,
        annotations: entry.annotations,
    };
    Ok(Layer { descriptor, diff_id: entry.diff_id, tar, source: Source::Encoded(encoding, file) })
}

/// Compress a tar into a file without a name.
fn encode(store: &Store, tar: &Tar, encoding: Encoding) -> Result<(Entry, File)> {
    let dir = store.content_dir();
    let file = tempfile::tempfile_in(&dir).map_err(Error::io("create a file in", &dir))?;
    let out = io::BufWriter::with_capacity(256 << 10, file);
    let mut wire = Measured { out, hasher: Hasher::default(), size: 0 };
    let (diff_id, annotations) = compress(store, tar, encoding, &mut wire)?;
    let file = wire.out.into_inner().map_err(|error| Error::io("write", "layer")(error.into_error()))?;
    Ok((Entry { diff_id, digest: wire.hasher.finish(), size: wire.size, annotations }, file))
}

/// Compress a tar; its digest, and the annotations that the layer gets.
fn compress(
    store: &Store,
    tar: &Tar,
    encoding: Encoding,
    out: &mut dyn Write,
) -> Result<(Digest, Option<BTreeMap<String, String>>)> {
    if let Encoding::ZstdChunked(level) = encoding {
        let tar = *tar;
        let source = pipe::reader(store.dir().to_owned(), move |store, out| tar.write(store, out));
        let mut source = Hashed { source, hasher: Hasher::default() };
        let annotations = layer::write_chunked(&mut source, level, out)?;
        return Ok((source.hasher.finish(), Some(annotations)));
    }
    let encoder = encoding.encoder(out)?.expect("because only zstd:chunked has none");
    let mut inside = Measured { out: encoder, hasher: Hasher::default(), size: 0 };
    tar.write(store, &mut inside)?;
    inside.out.finish().map_err(Error::io("write", "layer"))?;
    Ok((inside.hasher.finish(), None))
}

/// Hashes what is read.
struct Hashed<R> {
    source: R,
    hasher: Hasher,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.source.read(buffer)?;
        self.hasher.update(&buffer[..length]);
        Ok(length)
    }
}

/// A file that several may read at once.
struct Spool {
    file: Arc<File>,
    at: u64,
}

impl Read for Spool {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.file.read_at(buffer, self.at)?;
        self.at += length as u64;
        Ok(length)
    }
}

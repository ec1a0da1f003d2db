//! zstd:chunked layers: compressed so that each file's bytes can be fetched by themselves.
//!
//! A description at the end of the blob lists the files with their digests and places ("manifest"), and holds all other bytes
//! of the tar ("tar-split"). So a tar whose files are mostly known can be put together from little that is fetched. Nothing of
//! it is believed: what was put together has the layer's diff id, or is thrown away.
//! (github.com/containers/storage, pkg/chunked; the crate `zstd-chunked` reads the description.)

mod contents;
mod plan;

use std::io::Read;
use std::ops::Range;

use oci_spec::image::Descriptor;
use zstd_chunked::{Chunk, MetadataReference, MetadataReferences, Stream};

pub use plan::{Plan, Tar};

use crate::digest::Digest;
use crate::{Error, Result};

/// Descriptions of more bytes than this, compressed or not, aren't read: memory stays bounded.
const LARGEST: u64 = 64 << 20;

/// Where in a blob its description lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    manifest: Place,
    tar_split: Place,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    range: Range<u64>,
    digest: Option<Digest>,
    /// Decompressed size in bytes.
    size: u64,
}

impl Places {
    /// What a layer's descriptor says of it; `None` where the layer is none of these, or its description can't be right.
    pub fn of(descriptor: &Descriptor) -> Option<Self> {
        let annotations = descriptor.annotations().as_ref()?;
        let found = MetadataReferences::from_oci(|key| annotations.get(key))?;
        let (manifest, tar_split) = (Place::of(&found.manifest)?, Place::of(&found.tarsplit)?);
        let places = Self { manifest, tar_split };
        (places.range().end <= descriptor.size()).then_some(places)
    }

    /// The bytes of the blob that hold all of it.
    pub fn range(&self) -> Range<u64> {
        let (one, other) = (&self.manifest.range, &self.tar_split.range);
        one.start.min(other.start)..one.end.max(other.end)
    }

    /// Read the description from these bytes, which are those of [`range`](Self::range).
    pub fn read(&self, bytes: &[u8]) -> Result<Layout> {
        let (manifest, tar_split) = (self.manifest.frame(self, bytes)?, self.tar_split.frame(self, bytes)?);
        let stream = Stream::new_from_frames(manifest, tar_split).map_err(|error| invalid(error.to_string()))?;
        let pieces = stream.chunks.into_iter().map(|chunk| {
            Ok(match chunk {
                Chunk::Inline(bytes) => Piece::Bytes(bytes),
                Chunk::External(file) => {
                    Piece::File { digest: file.digest.parse()?, size: file.size, range: file.range }
                }
            })
        });
        Ok(Layout { pieces: pieces.collect::<Result<_>>()?, files_end: self.range().start })
    }
}

impl Place {
    fn of(found: &MetadataReference) -> Option<Self> {
        let Range { start, end } = found.range;
        let is_possible = start < end && end - start <= LARGEST && found.uncompressed_size <= LARGEST;
        let digest = found.digest.as_deref().map(str::parse).transpose().ok()?;
        is_possible.then_some(Self { range: start..end, digest, size: found.uncompressed_size })
    }

    /// The compressed bytes, which must be what the descriptor says, also when decompressed: the crate has no limit.
    fn frame<'b>(&self, places: &Places, bytes: &'b [u8]) -> Result<&'b [u8]> {
        let start = (self.range.start - places.range().start) as usize;
        let length = (self.range.end - self.range.start) as usize;
        let frame = bytes.get(start..start + length).ok_or_else(|| invalid("it was cut short".into()))?;
        if self.digest.is_some_and(|digest| digest != Digest::of(frame)) {
            return Err(invalid("it has another digest than the layer's annotations say".into()));
        }
        let decoder = zstd::Decoder::with_buffer(frame).map_err(Error::io("decompress", "a layer's description"))?;
        let size = std::io::copy(&mut decoder.take(self.size + 1), &mut std::io::sink());
        match size.map_err(|error| invalid(error.to_string()))? == self.size {
            true => Ok(frame),
            false => Err(invalid(format!("decompressed it hasn't {} bytes", self.size))),
        }
    }
}

fn invalid(why: String) -> Error {
    Error::Invalid { what: "description of a zstd:chunked layer", input: "zstd:chunked".into(), why }
}

/// A layer's tar as its description has it.
#[derive(Debug)]
pub struct Layout {
    pieces: Vec<Piece>,
    /// Where in the blob the files end.
    files_end: u64,
}

/// Bytes of the tar, in their order.
#[derive(Debug)]
enum Piece {
    /// Headers, padding and the like.
    Bytes(Box<[u8]>),
    /// A file's, which lie in these bytes of the blob.
    File { digest: Digest, size: u64, range: Range<u64> },
}

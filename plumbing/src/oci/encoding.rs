//! Compressing layers for registries, always to the same bytes: what an image's digest depends on.
//!
//! The bytes depend on the input, the encoding and the versions of the compressing libraries alone, never on the machine or the
//! number of its processors; `docs/oci.md` has vectors.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};
use std::str::FromStr;

use super::Descriptor;
use super::gzip::Gzip;
use crate::{Error, Result};

/// How a layer is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// RFC 1952, one member; the level is zlib's, 1 to 9.
    Gzip(u32),
    /// RFC 8878, one frame; the level is zstd's, 1 to 22.
    Zstd(i32),
    /// The same with a frame for each file and a table of contents, so that single files can be fetched.
    ZstdChunked(i32),
}

/// The annotation of a zstd layer by which readers find its table of contents.
const TABLE_OF_CONTENTS: &str = "io.github.containers.zstd-chunked.manifest-checksum";
/// zlib's default.
const GZIP: u32 = 6;
/// zstd's default.
const ZSTD: i32 = 3;

impl Default for Encoding {
    /// What every engine and registry knows.
    fn default() -> Self {
        Self::Gzip(GZIP)
    }
}

impl Encoding {
    /// The OCI media type of layers that are compressed so.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Gzip(_) => "application/vnd.oci.image.layer.v1.tar+gzip",
            Self::Zstd(_) | Self::ZstdChunked(_) => "application/vnd.oci.image.layer.v1.tar+zstd",
        }
    }

    /// Whether the layer, docker's or OCI's, is compressed so, at whatever level.
    pub(super) fn is_of(self, layer: &Descriptor) -> bool {
        let ending = layer.media_type.rsplit(['.', '+']).next();
        match self {
            Self::Gzip(_) => ending == Some("gzip"),
            Self::Zstd(_) => ending == Some("zstd"),
            Self::ZstdChunked(_) => {
                let has = |found: &BTreeMap<String, String>| found.contains_key(TABLE_OF_CONTENTS);
                ending == Some("zstd") && layer.annotations.as_ref().is_some_and(has)
            }
        }
    }

    /// Start to compress into `out`. `None` for what is made of a tar's entries and not of its bytes.
    pub fn encoder<W: Write>(self, out: W) -> Result<Option<Encoder<W>>> {
        Ok(match self {
            Self::Gzip(level) => Some(Encoder::Gzip(Gzip::new(out, level))),
            Self::Zstd(level) => Some(Encoder::Zstd(zstd_encoder(out, level).map_err(Error::io("compress", "layer"))?)),
            Self::ZstdChunked(_) => None,
        })
    }
}

fn zstd_encoder<W: Write>(out: W, level: i32) -> io::Result<zstd::stream::write::Encoder<'static, W>> {
    let mut encoder = zstd::stream::write::Encoder::new(out, level)?;
    // With workers the bytes are the same for any number of them, and others than without.
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(8);
    encoder.multithread(u32::try_from(workers).expect("because there are at most eight"))?;
    Ok(encoder)
}

/// `gzip`, `zstd`, `zstd:chunked`, or one of them with `:LEVEL`.
impl FromStr for Encoding {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let invalid = |why: &str| Error::Invalid { what: "compression", input: text.into(), why: why.into() };
        let (name, level) = match text.rsplit_once(':') {
            None => (text, None),
            Some(_) if text == "zstd:chunked" => (text, None),
            Some((name, level)) => (name, Some(level)),
        };
        let level = |default: i32, most: i32| match level {
            None => Ok(default),
            Some(level) => level.parse().ok().filter(|level| (1..=most).contains(level)).ok_or_else(|| {
                invalid(if most == 9 { "the levels of gzip are 1 to 9" } else { "the levels of zstd are 1 to 22" })
            }),
        };
        match name {
            "gzip" => Ok(Self::Gzip(level(GZIP as i32, 9)?.unsigned_abs())),
            "zstd" => Ok(Self::Zstd(level(ZSTD, 22)?)),
            "zstd:chunked" => Ok(Self::ZstdChunked(level(ZSTD, 22)?)),
            _ => Err(invalid("known are gzip, zstd and zstd:chunked, with :LEVEL where wanted")),
        }
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gzip(level) => write!(f, "gzip:{level}"),
            Self::Zstd(level) => write!(f, "zstd:{level}"),
            Self::ZstdChunked(level) => write!(f, "zstd:chunked:{level}"),
        }
    }
}

/// Compresses what is written to it.
pub enum Encoder<W: Write> {
    #[expect(missing_docs, reason = "because the enum says it")]
    Gzip(Gzip<W>),
    #[expect(missing_docs, reason = "because the enum says it")]
    Zstd(zstd::stream::write::Encoder<'static, W>),
}

impl<W: Write> Encoder<W> {
    /// Write what is left.
    pub fn finish(self) -> io::Result<W> {
        match self {
            Self::Gzip(encoder) => encoder.finish(),
            Self::Zstd(encoder) => encoder.finish(),
        }
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Gzip(encoder) => encoder.write(bytes),
            Self::Zstd(encoder) => encoder.write(bytes),
        }
    }

    /// Nothing: a flush in the middle would change the bytes.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings() {
        for (text, encoding) in [
            ("gzip", Encoding::Gzip(6)),
            ("gzip:9", Encoding::Gzip(9)),
            ("zstd", Encoding::Zstd(3)),
            ("zstd:19", Encoding::Zstd(19)),
            ("zstd:chunked", Encoding::ZstdChunked(3)),
            ("zstd:chunked:9", Encoding::ZstdChunked(9)),
        ] {
            assert_eq!(text.parse::<Encoding>().unwrap(), encoding);
            assert_eq!(encoding.to_string().parse::<Encoding>().unwrap(), encoding);
        }
        for text in
            ["", "bzip2", "gzip:0", "gzip:10", "zstd:23", "zstd:", "zstd:chunked:", "gzip:chunked", "gzip:x", ":1"]
        {
            assert!(text.parse::<Encoding>().is_err(), "{text}");
        }
    }
}

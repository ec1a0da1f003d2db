//! Compressed or not: found out by the first bytes, as every engine does, never by a name or a media type.

use std::io::{self, Chain, Cursor, Read};

use crate::{Error, Result};

/// How an archive is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// RFC 1952, one or more members.
    Gzip,
    /// The .xz format, one or more streams.
    Xz,
    /// RFC 8878, one or more frames, also skippable ones.
    Zstd,
}

/// As many bytes as the longest magic number has.
const MAGIC: usize = 6;

/// Memory that unpacking xz may take: what `xz -9` needs, with room.
const XZ_MEMORY: u64 = 192 << 20;

impl Compression {
    /// What archives that start with `bytes` are; `Unsupported` where that is a compression rd doesn't know.
    pub fn of(bytes: &[u8]) -> Result<Self> {
        let unsupported = |name: &str| {
            Err(Error::Unsupported { what: format!("{name} archive"), why: "rd reads plain, gzip, xz and zstd".into() })
        };
        match bytes {
            [0x1f, 0x8b, ..] => Ok(Self::Gzip),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Ok(Self::Xz),
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Ok(Self::Zstd),
            [b'B', b'Z', b'h', b'1'..=b'9', 0x31, ..] => unsupported("bzip2"),
            [0x1f, 0x9d, ..] => unsupported("compress"),
            [b'P', b'K', 3, 4, ..] => unsupported("zip"),
            _ => Ok(Self::None),
        }
    }
}

/// A stream whose first bytes were looked at.
pub type Sniffed<R> = Chain<Cursor<Vec<u8>>, R>;

/// Look at the first bytes of `reader`.
pub fn sniff<R: Read>(mut reader: R) -> Result<(Compression, Sniffed<R>)> {
    let mut first = Vec::with_capacity(MAGIC);
    reader.by_ref().take(MAGIC as u64).read_to_end(&mut first).map_err(Error::io("read", "archive"))?;
    let compression = Compression::of(&first)?;
    Ok((compression, Cursor::new(first).chain(reader)))
}

/// The bytes inside `reader`, which is compressed as `compression` says.
pub fn decompress<'r, R: Read + Send + 'r>(
    compression: Compression,
    reader: R,
) -> io::Result<Box<dyn Read + Send + 'r>> {
    Ok(match compression {
        Compression::None => Box::new(reader),
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(buffered(reader))),
        Compression::Xz => {
            let stream = liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, liblzma::stream::CONCATENATED)?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(buffered(reader), stream))
        }
        Compression::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(buffered(reader))?),
    })
}

fn buffered<R: Read>(reader: R) -> io::BufReader<R> {
    io::BufReader::with_capacity(128 * 1024, reader)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn xz(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn unpack(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let (compression, reader) = sniff(bytes).unwrap();
        let mut out = Vec::new();
        decompress(compression, reader)?.read_to_end(&mut out)?;
        Ok(out)
    }

    #[test]
    fn streams_of_several_parts_are_read_to_their_end() {
        let zstd = |bytes: &[u8]| zstd::encode_all(bytes, 1).unwrap();
        let skippable = b"\x50\x2a\x4d\x18\x03\0\0\0abc".to_vec();
        for parts in [
            vec![gzip(b"one "), gzip(b"two")],
            vec![xz(b"one "), xz(b"two")],
            vec![zstd(b"one "), skippable.clone(), zstd(b"two"), skippable.clone()],
            vec![skippable, zstd(b"one two")],
            vec![b"one ".to_vec(), b"two".to_vec()],
        ] {
            assert_eq!(unpack(&parts.concat()).unwrap(), b"one two");
        }
    }

    #[test]
    fn a_cut_stream_is_an_error() {
        for whole in [gzip(&[7; 5000]), xz(&[7; 5000]), zstd::encode_all(&[7u8; 5000][..], 1).unwrap()] {
            for cut in [whole.len() - 1, whole.len() / 2] {
                assert!(unpack(&whole[..cut]).is_err(), "{cut} of {whole:?}");
            }
        }
    }

    #[test]
    fn other_compressions_are_named() {
        assert!(Compression::of(b"BZh91AY&SY").unwrap_err().to_string().contains("bzip2"));
    }
}

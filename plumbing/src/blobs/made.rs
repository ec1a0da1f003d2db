//! How to make a compressed layer again: its tar comes from a recipe, and what its compressor chose from corrections to a
//! prediction, a thousandth of the size where the compressor is one of those that are well known.
//!
//! The encoding is described in `docs/format.md`, "Compressed layers".

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;

use preflate_rs::RecreateStreamProcessor;

use crate::layer;
use crate::{Error, Id, Result, Store};

/// The version of the encoding; it also stands for that of the corrections, which are preflate-rs 0.7's.
const VERSION: &str = "rd-blob 1";
/// More bytes than this no record of a sound file has.
const LONGEST: u64 = 256 << 20;
/// More bytes than this no line has.
const LINE: u64 = 200;

/// What a file says of the compressed layer.
pub struct Made {
    file: BufReader<File>,
    /// The layer's size in bytes.
    pub(super) size: u64,
    /// The recipe of its tar.
    layer: Id,
}

/// The next bytes of the compressed layer.
pub(super) enum Record {
    /// These.
    Raw(Vec<u8>),
    /// A deflate stream begins.
    Stream,
    /// What deflating so many more bytes of the tar gives, corrected.
    Deflate(usize, Vec<u8>),
}

impl Record {
    /// Write it.
    pub(super) fn encode(&self, out: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::Raw(bytes) => {
                writeln!(out, "raw {}", bytes.len())?;
                out.write_all(bytes)
            }
            Self::Stream => writeln!(out, "stream"),
            Self::Deflate(plain, corrections) => {
                writeln!(out, "deflate {plain} {}", corrections.len())?;
                out.write_all(corrections)
            }
        }
    }

    fn decode(from: &mut impl BufRead) -> io::Result<Option<Self>> {
        let Some(line) = read_line(from)? else { return Ok(None) };
        let words: Vec<&str> = line.split(' ').collect();
        let number = |word: &str| word.parse::<u64>().ok().filter(|number| *number <= LONGEST).ok_or_else(malformed);
        Ok(Some(match words[..] {
            ["raw", length] => Self::Raw(read_bytes(from, number(length)?)?),
            ["stream"] => Self::Stream,
            ["deflate", plain, length] => {
                let plain = usize::try_from(number(plain)?).map_err(|_| malformed())?;
                Self::Deflate(plain, read_bytes(from, number(length)?)?)
            }
            _ => return Err(malformed()),
        }))
    }
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a record is malformed")
}

fn read_line(from: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = String::new();
    match from.take(LINE).read_line(&mut line)? {
        0 => Ok(None),
        _ => line.strip_suffix('\n').map(|line| Some(line.to_owned())).ok_or_else(malformed),
    }
}

fn read_bytes(from: &mut impl BufRead, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(length).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == length { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// The head of a file: what comes before the records.
pub(super) fn head(size: u64, layer: &Id) -> String {
    format!("{VERSION}\nsize {size}\nlayer {layer}\n")
}

impl Made {
    /// Read the head of the file at `path`.
    pub(super) fn open(file: File, path: &Path) -> Result<Self> {
        let mut file = BufReader::with_capacity(128 << 10, file);
        let mut line = || read_line(&mut file).map(Option::unwrap_or_default).map_err(Error::io("read", path));
        let (version, size, layer) = (line()?, line()?, line()?);
        if version != VERSION {
            let (what, why) = (format!("compressed layer '{}'", path.display()), format!("it is not of '{VERSION}'"));
            return Err(Error::Unsupported { what, why });
        }
        let size = size.strip_prefix("size ").and_then(|size| size.parse().ok());
        let layer = layer.strip_prefix("layer ").and_then(|id| Id::from_hex(id.as_bytes()).ok());
        match (size, layer) {
            (Some(size), Some(layer)) => Ok(Self { file, size, layer }),
            _ => Err(Error::damaged(format!("compressed layer '{}'", path.display()), "its head is malformed")),
        }
    }

    /// Write the compressed layer.
    pub(super) fn write(self, store: &Store, out: &mut dyn Write) -> Result<()> {
        let mut rebuild = Rebuild {
            records: self.file,
            plain: Vec::new(),
            wanted: None,
            processor: RecreateStreamProcessor::new(),
            out,
        };
        let failed = || Error::io("make", "compressed layer");
        rebuild.advance().map_err(failed())?;
        layer::replay(store, &self.layer, &mut rebuild)?;
        rebuild.finish().map_err(failed())
    }
}

/// Takes a tar, and writes the compressed layer.
struct Rebuild<'o, R> {
    records: R,
    /// Bytes of the tar that wait for the rest of their record's.
    plain: Vec<u8>,
    /// The record that they are for; `None` when there are no more.
    wanted: Option<(usize, Vec<u8>)>,
    processor: RecreateStreamProcessor,
    out: &'o mut dyn Write,
}

impl<R: BufRead> Rebuild<'_, R> {
    /// Write what needs no more of the tar, up to the next record that does.
    fn advance(&mut self) -> io::Result<()> {
        while self.wanted.is_none() {
            match Record::decode(&mut self.records)? {
                None => return Ok(()),
                Some(Record::Raw(bytes)) => self.out.write_all(&bytes)?,
                Some(Record::Stream) => self.processor = RecreateStreamProcessor::new(),
                Some(Record::Deflate(plain, corrections)) => {
                    self.wanted = Some((plain, corrections));
                    self.deflate_if_complete()?;
                }
            }
        }
        Ok(())
    }

    fn deflate_if_complete(&mut self) -> io::Result<()> {
        if let Some((_, corrections)) = self.wanted.take_if(|(plain, _)| *plain == self.plain.len()) {
            let made = self.processor.recompress(&mut &self.plain[..], &corrections);
            let (bytes, _) = made.map_err(|error| io::Error::other(error.to_string()))?;
            self.plain.clear();
            self.out.write_all(&bytes)?;
        }
        Ok(())
    }

    fn finish(self) -> io::Result<()> {
        match self.wanted {
            None => Ok(()),
            Some(_) => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the layer's tar is too short for it")),
        }
    }
}

impl<R: BufRead> Write for Rebuild<'_, R> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Where the end is kept as it was, nothing is made of the rest of the tar.
        let Some((plain, _)) = &self.wanted else { return Ok(bytes.len()) };
        let taken = bytes.len().min(plain - self.plain.len());
        self.plain.extend_from_slice(&bytes[..taken]);
        self.deflate_if_complete()?;
        self.advance()?;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

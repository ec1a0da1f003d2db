//! zstd:chunked: a zstd layer of which a reader can fetch single files, as podman writes and reads it.
//!
//! What lies between the bytes of files is compressed in frames of its own, and so is each file. Behind the tar's frames, in
//! skippable ones, are a table of contents with the place of each file, tar-split's list of what is between them, and a footer.
//! Any other reader of zstd sees the tar alone.

use std::collections::{BTreeMap, HashSet};
use std::io::{self, Read, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gix::bstr::{BStr, ByteSlice};
use serde_json::{Map, Value, json};

use super::entry::{Entries, Entry, Next, What};
use super::recipe::Sink;
use super::stream::{Blocks, Slice};
use crate::config::format_time;
use crate::digest::{Digest, Hasher};
use crate::root::{Kind, Time};
use crate::{Error, Result};

/// Runs of headers are compressed in pieces of at least this size.
const RUN: usize = 1 << 20;
/// Bytes read at a time.
const BUFFER: usize = 64 << 10;
/// What a frame begins with that other readers skip.
const SKIPPED: [u8; 4] = [0x50, 0x2a, 0x4d, 0x18];
/// How long a skippable frame's own header is.
const SKIPPED_HEADER: u64 = 8;
/// What the footer ends with.
const MAGIC: &[u8; 8] = b"GNUlInUx";
/// The kind of table of contents that this is.
const TOC_TYPE: u64 = 1;
/// What annotations of the layer begin with.
const PREFIX: &str = "io.github.containers.zstd-chunked.";

/// Write the tar `source` as zstd:chunked; the annotations of its descriptor, by which readers find the table of contents.
pub(crate) fn write_chunked(source: impl Read, level: i32, out: &mut dyn Write) -> Result<BTreeMap<String, String>> {
    let mut blocks = Reading { source, at: 0 };
    let mut chunked = Chunked::new(level, out)?;
    let mut entries = Entries::default();
    while let Next::Entry(entry, payload) = entries.next(&mut blocks, &mut chunked)? {
        let size = match &entry.what {
            What::File(map) if map.holes() > 0 => return Err(unsupported(entry.name.as_bstr(), "it is sparse")),
            What::File(map) => map.size,
            _ => 0,
        };
        let place = if size > 0 { Some(chunked.file(entry.name.as_bstr(), &mut blocks, size)?) } else { None };
        chunked.list(&entry, place)?;
        let mut left = payload.padding + payload.stored.saturating_sub(size);
        while left > 0 {
            let Some(bytes) = blocks.take(usize::try_from(left).unwrap_or(usize::MAX))? else { break };
            chunked.raw(&bytes);
            left -= bytes.len() as u64;
            chunked.run_if_long()?;
        }
    }
    while let Some(rest) = blocks.take(BUFFER)? {
        chunked.raw(&rest);
        chunked.run_if_long()?;
    }
    chunked.finish()
}

fn unsupported(name: &BStr, why: &str) -> Error {
    Error::Unsupported { what: format!("entry '{}' in a zstd:chunked layer", super::shown(name)), why: why.into() }
}

fn failed() -> impl FnOnce(io::Error) -> Error {
    Error::io("compress", "layer")
}

/// A tar that is read block by block.
struct Reading<R> {
    source: R,
    at: u64,
}

impl<R: Read> Blocks for Reading<R> {
    fn position(&self) -> u64 {
        self.at
    }

    fn take(&mut self, max: usize) -> Result<Option<Slice>> {
        let mut bytes = Vec::new();
        let wanted = max.min(BUFFER) as u64;
        self.source.by_ref().take(wanted).read_to_end(&mut bytes).map_err(Error::io("read", "layer"))?;
        self.at += bytes.len() as u64;
        Ok((!bytes.is_empty()).then(|| Slice::owned(bytes)))
    }
}

/// Where a file's frame is, and what is in it.
struct Place {
    digest: Digest,
    size: u64,
    offset: u64,
    end: u64,
}

/// JSON that is compressed while it grows.
struct Listing {
    encoder: zstd::stream::write::Encoder<'static, Vec<u8>>,
    size: u64,
}

impl Listing {
    fn new(level: i32) -> io::Result<Self> {
        Ok(Self { encoder: zstd::stream::write::Encoder::new(Vec::new(), level)?, size: 0 })
    }

    fn push(&mut self, text: &str) -> Result<()> {
        self.size += text.len() as u64;
        self.encoder.write_all(text.as_bytes()).map_err(failed())
    }
}

/// A zstd:chunked layer in the making.
struct Chunked<'o> {
    out: &'o mut dyn Write,
    at: u64,
    level: i32,
    /// Bytes between files that are not written yet.
    run: Vec<u8>,
    toc: Listing,
    split: Listing,
    /// How many lines `split` has.
    position: u64,
    /// Whether `toc` has an entry.
    any: bool,
    files: HashSet<Vec<u8>>,
}

impl Sink for Chunked<'_> {
    fn raw(&mut self, bytes: &[u8]) {
        self.run.extend_from_slice(bytes);
    }
}

impl<'o> Chunked<'o> {
    fn new(level: i32, out: &'o mut dyn Write) -> Result<Self> {
        let mut toc = Listing::new(level).map_err(failed())?;
        toc.push(r#"{"version":1,"entries":["#)?;
        let split = Listing::new(level).map_err(failed())?;
        Ok(Self { out, at: 0, level, run: Vec::new(), toc, split, position: 0, any: false, files: HashSet::new() })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.at += bytes.len() as u64;
        self.out.write_all(bytes).map_err(failed())
    }

    fn run_if_long(&mut self) -> Result<()> {
        if self.run.len() >= RUN { self.end_run() } else { Ok(()) }
    }

    /// Write what came since the last file.
    fn end_run(&mut self) -> Result<()> {
        if self.run.is_empty() {
            return Ok(());
        }
        let run = std::mem::take(&mut self.run);
        let line = json!({ "type": 2, "payload": STANDARD.encode(&run), "position": self.position });
        self.split_line(&line)?;
        let frame = zstd::bulk::compress(&run, self.level).map_err(failed())?;
        self.write(&frame)
    }

    fn split_line(&mut self, line: &Value) -> Result<()> {
        self.position += 1;
        self.split.push(&format!("{line}\n"))
    }

    /// Write a file's bytes in a frame of their own.
    fn file(&mut self, name: &BStr, blocks: &mut impl Blocks, size: u64) -> Result<Place> {
        let text = name.to_str().map_err(|_| unsupported(name, "its name is no UTF-8"))?;
        if !self.files.insert(name.to_vec()) {
            return Err(unsupported(name, "the layer has two files of this name"));
        }
        self.end_run()?;
        let offset = self.at;
        let (mut hasher, mut sum) = (Hasher::default(), Crc64::default());
        let counted = Counted { out: &mut *self.out, size: 0 };
        let mut encoder = zstd::stream::write::Encoder::new(counted, self.level).map_err(failed())?;
        encoder.set_pledged_src_size(Some(size)).map_err(failed())?;
        let mut left = size;
        while left > 0 {
            let slice = blocks.take(usize::try_from(left).unwrap_or(usize::MAX))?;
            let slice = slice.ok_or_else(|| super::refused(name, "the archive ends in the middle of it"))?;
            hasher.update(&slice);
            sum.update(&slice);
            encoder.write_all(&slice).map_err(failed())?;
            left -= slice.len() as u64;
        }
        self.at += encoder.finish().map_err(failed())?.size;
        let line = json!({
            "type": 1, "name": text, "size": size,
            "payload": STANDARD.encode(sum.finish().to_be_bytes()), "position": self.position
        });
        self.split_line(&line)?;
        Ok(Place { digest: hasher.finish(), size, offset, end: self.at })
    }

    /// Put an entry into the table of contents.
    fn list(&mut self, entry: &Entry, place: Option<Place>) -> Result<()> {
        let Some(mut fields) = describe(entry)? else { return Ok(()) };
        if let Some(place) = place {
            fields.insert("size".into(), place.size.into());
            fields.insert("digest".into(), place.digest.to_string().into());
            fields.insert("offset".into(), place.offset.into());
            fields.insert("endOffset".into(), place.end.into());
        }
        let comma = if self.any { "," } else { "" };
        self.any = true;
        self.toc.push(&format!("{comma}{}", Value::Object(fields)))
    }

    /// Write the rest; the annotations.
    fn finish(mut self) -> Result<BTreeMap<String, String>> {
        self.end_run()?;
        let Self { out, at, mut toc, split, .. } = self;
        let split_size = split.size;
        let split = split.encoder.finish().map_err(failed())?;
        toc.push(&format!(r#"],"tarSplitDigest":"{}"}}"#, Digest::of(&split)))?;
        let toc_size = toc.size;
        let toc = toc.encoder.finish().map_err(failed())?;
        let toc_at = at + SKIPPED_HEADER;
        let split_at = toc_at + toc.len() as u64 + SKIPPED_HEADER;
        let toc_place = [toc_at, toc.len() as u64, toc_size, TOC_TYPE];
        let split_place = [split_at, split.len() as u64, split_size];
        let numbers = toc_place.iter().chain(&split_place).flat_map(|number| number.to_le_bytes());
        let footer: Vec<u8> = numbers.chain(*MAGIC).collect();
        for bytes in [&toc, &split, &footer] {
            let length = u32::try_from(bytes.len()).map_err(|_| failed()(io::ErrorKind::FileTooLarge.into()))?;
            out.write_all(&[&SKIPPED[..], &length.to_le_bytes(), bytes].concat()).map_err(failed())?;
        }
        let position = |place: &[u64]| place.iter().map(u64::to_string).collect::<Vec<_>>().join(":");
        let annotations = [
            ("manifest-checksum", Digest::of(&toc).to_string()),
            ("manifest-position", position(&toc_place)),
            ("tarsplit-checksum", Digest::of(&split).to_string()),
            ("tarsplit-position", position(&split_place)),
        ];
        Ok(annotations.into_iter().map(|(key, value)| (format!("{PREFIX}{key}"), value)).collect())
    }
}

/// What the table of contents says of an entry; nothing of one that makes no file.
fn describe(entry: &Entry) -> Result<Option<Map<String, Value>>> {
    let text = |name: &BStr| match name.to_str() {
        Ok(text) => Ok(Value::from(text)),
        Err(_) => Err(unsupported(name, "it is no UTF-8")),
    };
    let (kind, link, device) = match &entry.what {
        What::File(_) => ("reg", None, None),
        What::Dir => ("dir", None, None),
        What::Symlink(target) => ("symlink", Some(target), None),
        What::Link(target) => ("hardlink", Some(target), None),
        What::Special(Kind::Char { major, minor }) => ("char", None, Some((*major, *minor))),
        What::Special(Kind::Block { major, minor }) => ("block", None, Some((*major, *minor))),
        What::Special(Kind::Fifo) => ("fifo", None, None),
        What::Special(_) | What::Nothing => return Ok(None),
    };
    let mut fields = Map::new();
    fields.insert("type".into(), kind.into());
    fields.insert("name".into(), text(entry.name.as_bstr())?);
    if let Some(target) = link {
        fields.insert("linkName".into(), text(target.as_bstr())?);
    }
    fields.insert("mode".into(), entry.attrs.mode.into());
    fields.insert("uid".into(), entry.attrs.uid.into());
    fields.insert("gid".into(), entry.attrs.gid.into());
    fields.insert("modtime".into(), time(entry.mtime).into());
    if let Some((major, minor)) = device {
        fields.insert("devMajor".into(), major.into());
        fields.insert("devMinor".into(), minor.into());
    }
    if !entry.attrs.xattrs.is_empty() {
        let xattrs = entry.attrs.xattrs.iter();
        let xattrs = xattrs.map(|(name, value)| Ok((name.to_str_lossy().into_owned(), STANDARD.encode(value).into())));
        fields.insert("xattrs".into(), Value::Object(xattrs.collect::<Result<_>>()?));
    }
    Ok(Some(fields))
}

fn time(time: Time) -> String {
    let whole = format_time(time.sec);
    match time.nsec {
        0 => whole,
        nanoseconds => format!("{}.{nanoseconds:09}Z", whole.trim_end_matches('Z')),
    }
}

/// Counts what goes through.
struct Counted<'o> {
    out: &'o mut dyn Write,
    size: u64,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write_all(bytes)?;
        self.size += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// The checksum that tar-split keeps of each file: CRC-64 of ISO 3309.
struct Crc64 {
    table: [u64; 256],
    state: u64,
}

impl Default for Crc64 {
    fn default() -> Self {
        let step = |value: u64| if value & 1 == 1 { (value >> 1) ^ 0xd800_0000_0000_0000 } else { value >> 1 };
        let mut table = [0; 256];
        for (byte, entry) in (0u64..).zip(&mut table) {
            *entry = (0..8).fold(byte, |value, _| step(value));
        }
        Self { table, state: !0 }
    }
}

impl Crc64 {
    fn update(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.state = self.table[usize::from(self.state.to_le_bytes()[0] ^ byte)] ^ (self.state >> 8);
        }
    }

    fn finish(self) -> u64 {
        !self.state
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_iso_3309() {
        let mut sum = Crc64::default();
        sum.update(b"123456789");
        assert_eq!(sum.finish(), 0xb909_56c7_75a4_1001);
    }
}

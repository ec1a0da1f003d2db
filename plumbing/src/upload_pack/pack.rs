//! A pack sent while it is made: nothing of it is ever whole in memory or on disk.

use std::io::{BufWriter, Read, Write};

use flate2::Compression;
use flate2::write::ZlibEncoder;
use gix::objs::Kind;
use gix_packetline::Channel;
use gix_packetline::blocking_io::encode::{band_to_write, flush_to_write};

use super::select::Selection;
use super::to_client;
use crate::store::{encode_entry_header, pack_header};
use crate::view::View;
use crate::{Error, Id, Result};

/// Bytes of data that a packet line on a side band takes.
const BAND: usize = 65_515;

/// How a pack travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    /// In packet lines with a band each, so that errors can be told; a flush ends it.
    SideBand,
    /// As it is.
    Plain,
}

/// Send the objects as one pack.
pub(super) fn send(view: &View<'_>, selection: &Selection, transport: Transport, out: &mut impl Write) -> Result<()> {
    if transport == Transport::Plain {
        return write_pack(view, &selection.ids, out);
    }
    let outcome = write_pack(view, &selection.ids, &mut Band { out: &mut *out });
    if let Err(error) = &outcome {
        // Half of the pack may be sent; only the side band for errors is left to say so.
        let _ = band_to_write(Channel::Error, format!("{error}\n").as_bytes(), &mut *out).and_then(|_| out.flush());
    }
    outcome?;
    flush_to_write(&mut *out).map(drop).map_err(to_client())
}

/// Write a pack of these objects.
pub(crate) fn write_pack(view: &View<'_>, ids: &[Id], out: &mut impl Write) -> Result<()> {
    write_pack_with(view, ids, Compression::new(1), out)
}

/// As [`write_pack`], with entries that are compressed as is said.
pub(crate) fn write_pack_with(view: &View<'_>, ids: &[Id], level: Compression, out: &mut impl Write) -> Result<()> {
    let count = u32::try_from(ids.len()).map_err(|_| Error::Unsupported {
        what: "pack".into(),
        why: "more than 4,294,967,295 objects at once".into(),
    })?;
    let mut pack =
        Hashed { out: BufWriter::with_capacity(BAND, out), hasher: gix::hash::hasher(gix::hash::Kind::Sha256) };
    pack.write_all(&pack_header(count)).map_err(to_client())?;
    for id in ids {
        write_entry(view, id, level, &mut pack)?;
    }
    let Hashed { mut out, hasher } = pack;
    let checksum = hasher.try_finalize().expect("because SHA-256 has no collision detection that could fail");
    out.write_all(checksum.as_slice()).and_then(|()| out.flush()).map_err(to_client())
}

/// One object: a raw content from its file, anything else from the object database or made.
fn write_entry(view: &View<'_>, id: &Id, level: Compression, pack: &mut impl Write) -> Result<()> {
    let store = view.store();
    if let Some(file) = store.open_content(id)? {
        let path = store.content_file(id);
        let size = file.metadata().map_err(Error::io("stat", &path))?.len();
        return write_stream(id, (Kind::Blob, size), file, level, pack);
    }
    let missing = || Error::damaged(format!("store: object {id}"), "the object is missing");
    let (kind, _) = view.header(id)?.ok_or_else(missing)?;
    let data = view.read(id, kind)?;
    write_stream(id, (kind, data.len() as u64), data.as_slice(), level, pack)
}

fn write_stream(
    id: &Id,
    (kind, size): (Kind, u64),
    bytes: impl Read,
    level: Compression,
    pack: &mut impl Write,
) -> Result<()> {
    let mut header = Vec::new();
    encode_entry_header(kind, size, &mut header);
    pack.write_all(&header).map_err(to_client())?;
    let mut deflate = ZlibEncoder::new(pack, level);
    let copied = std::io::copy(&mut bytes.take(size), &mut deflate).map_err(to_client())?;
    deflate.finish().map_err(to_client())?;
    if copied == size {
        return Ok(());
    }
    Err(Error::damaged(format!("store: content {id}"), format!("it ends after {copied} of {size} bytes")))
}

/// Data in packet lines.
struct Band<W> {
    out: W,
}

impl<W: Write> Write for Band<W> {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        let part = &data[..data.len().min(BAND)];
        if !part.is_empty() {
            band_to_write(Channel::Data, part, &mut self.out)?;
        }
        Ok(part.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}

/// Counts what is written into the pack's checksum.
struct Hashed<W> {
    out: W,
    hasher: gix::hash::Hasher,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        let written = self.out.write(data)?;
        self.hasher.update(&data[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}

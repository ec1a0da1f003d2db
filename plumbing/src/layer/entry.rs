//! Entries of a tar: header blocks, and the extended headers in front of them, joined into what they say of one file.

use gix::bstr::{BStr, BString, ByteSlice};

use super::header::{Flaw, Header};
use super::path::shown;
use super::pax::{self, Pax};
use super::recipe::Sink;
use super::sparse::{self, Map, MapLines, PaxSparse, Pieces};
use super::stream::{BLOCK, Blocks};
use crate::root::{Attrs, Kind, Time};
use crate::{Error, Result};

/// Linux's limits for device numbers: 12 and 20 bits.
const MAJORS: u64 = 1 << 12;
const MINORS: u64 = 1 << 20;

/// One file, folder, link or device of an archive.
pub(super) struct Entry {
    /// The name as it is in the archive.
    pub(super) name: BString,
    pub(super) what: What,
    pub(super) attrs: Attrs,
    pub(super) mtime: Time,
}

/// What an entry is, with what its type needs.
pub(super) enum What {
    /// A regular file, whose pieces follow in the stream.
    File(Map),
    Dir,
    Symlink(BString),
    /// A further name of the file of this name.
    Link(BString),
    /// A device, pipe or socket.
    Special(Kind),
    /// Something for another program, which is in the archive but makes no file.
    Nothing,
}

/// Reads entries off a stream.
#[derive(Default)]
pub(super) struct Entries {
    global: Pax,
}

/// What extended headers say of the entry that follows.
#[derive(Default)]
struct Extended {
    pax: Pax,
    name: Option<BString>,
    link: Option<BString>,
    size: u64,
}

/// Where an archive's entries end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// At two zero blocks, or at one at the end of the stream.
    Mark,
    /// Where the stream ended.
    Stream,
}

/// What comes next.
pub(super) enum Next {
    Entry(Entry, Payload),
    End(End),
}

/// Bytes behind a header that were not read yet: what is stored of a file, and what fills the last block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Payload {
    pub(super) stored: u64,
    pub(super) padding: u64,
}

impl Payload {
    /// `stored` bytes of a file of which `read` bytes of maps were read.
    fn new(stored: u64) -> Self {
        Self { stored, padding: stored.wrapping_neg() % BLOCK as u64 }
    }
}

impl Entries {
    /// Read up to the bytes of the next entry. All that is read goes into `recipe`.
    pub(super) fn next(&mut self, stream: &mut dyn Blocks, recipe: &mut dyn Sink) -> Result<Next> {
        let mut extended = Extended { pax: self.global.clone(), ..Extended::default() };
        loop {
            let at = stream.position();
            let place = |why: Flaw| Error::Refused { entry: format!("at byte {at}"), why };
            let Some(block) = stream.block()? else { return end_of_stream(&extended).map_err(place) };
            recipe.raw(&block);
            if block.iter().all(|byte| *byte == 0) {
                return self
                    .zero_block(stream, recipe)
                    .map_err(|flaw| flaw.unwrap_or_else(|| place("a zero block is followed by more entries".into())));
            }
            let header = Header::new(&block).map_err(place)?;
            match header.type_byte() {
                kind @ (b'x' | b'X' | b'g' | b'L' | b'K') => {
                    let text = self.extended_bytes(&header, stream, recipe, &mut extended, at)?;
                    self.extend(kind, text, &mut extended).map_err(place)?;
                }
                _ => return self.entry(&header, extended, stream, recipe),
            }
        }
    }

    /// After one zero block: another, or the end of the stream.
    fn zero_block(
        &mut self,
        stream: &mut dyn Blocks,
        recipe: &mut dyn Sink,
    ) -> std::result::Result<Next, Option<Error>> {
        let Some(block) = stream.block().map_err(Some)? else { return Ok(Next::End(End::Mark)) };
        recipe.raw(&block);
        if block.iter().all(|byte| *byte == 0) { Ok(Next::End(End::Mark)) } else { Err(None) }
    }

    /// The bytes of an extended header.
    fn extended_bytes(
        &mut self,
        header: &Header<'_>,
        stream: &mut dyn Blocks,
        recipe: &mut dyn Sink,
        extended: &mut Extended,
        at: u64,
    ) -> Result<Vec<u8>> {
        let place = |why: Flaw| Error::Refused { entry: format!("at byte {at}"), why };
        let size = size_of(header).map_err(place)?;
        extended.size = extended.size.saturating_add(size);
        if extended.size > pax::LIMIT {
            return Err(place(format!("its extended headers have more than {} bytes", pax::LIMIT)));
        }
        let payload = Payload::new(size);
        let mut bytes = Vec::with_capacity(usize::try_from(size).expect("because it is below the limit"));
        let mut left = payload.stored + payload.padding;
        while left > 0 {
            let slice = stream.take(usize::try_from(left).expect("because it is below the limit"))?;
            let slice = slice.ok_or_else(|| place("the archive ends in the middle of an extended header".into()))?;
            recipe.raw(&slice);
            left -= slice.len() as u64;
            bytes.extend_from_slice(&slice);
        }
        bytes.truncate(usize::try_from(size).expect("because it is below the limit"));
        Ok(bytes)
    }

    fn extend(&mut self, kind: u8, text: Vec<u8>, extended: &mut Extended) -> Result<(), Flaw> {
        match kind {
            b'g' => {
                self.global.read(&text)?;
                self.global.check_global()?;
                extended.pax = self.global.clone();
            }
            b'L' => extended.name = Some(until_zero(text)),
            b'K' => extended.link = Some(until_zero(text)),
            _ => extended.pax.read(&text)?,
        }
        Ok(())
    }

    fn entry(
        &mut self,
        header: &Header<'_>,
        extended: Extended,
        stream: &mut dyn Blocks,
        recipe: &mut dyn Sink,
    ) -> Result<Next> {
        let pax = &extended.pax;
        let long = pax.get("GNU.sparse.name").or_else(|| pax.get("path")).map(ToOwned::to_owned);
        let name: BString = long.or(extended.name).unwrap_or_else(|| header.name().into());
        let refused = |why: Flaw| Error::Refused { entry: shown(name.as_bstr()), why };
        let link = pax.get("linkpath").map(ToOwned::to_owned).or(extended.link);
        let link = || link.clone().unwrap_or_else(|| header.link().into());
        let mut payload = Payload::default();
        let what = match header.type_byte() {
            0 if name.ends_with(b"/") => What::Dir,
            b'0' | 0 | b'7' | b'S' => self.file(header, pax, stream, recipe, &name, &mut payload)?,
            b'1' => What::Link(link()),
            b'2' => What::Symlink(check_target(link()).map_err(refused)?),
            kind @ (b'3' | b'4') => What::Special(device(kind, header, pax).map_err(refused)?),
            b'5' => What::Dir,
            b'6' => What::Special(Kind::Fifo),
            // GNU tar's folders with a list of their entries, and the name of the archive.
            b'D' => {
                payload = Payload::new(stored_size(header, pax).map_err(refused)?);
                What::Dir
            }
            b'V' => What::Nothing,
            kind => return Err(refused(format!("its type '{}' is unknown", kind.escape_ascii()))),
        };
        let attrs = attrs(header, pax).map_err(refused)?;
        let mtime = match pax.mtime().map_err(refused)? {
            Some(time) => time,
            None => Time { sec: header.mtime().map_err(refused)?, nsec: 0 },
        };
        Ok(Next::Entry(Entry { name, what, attrs, mtime }, payload))
    }

    fn file(
        &mut self,
        header: &Header<'_>,
        pax: &Pax,
        stream: &mut dyn Blocks,
        recipe: &mut dyn Sink,
        name: &BString,
        payload: &mut Payload,
    ) -> Result<What> {
        let refused = |why: Flaw| Error::Refused { entry: shown(name.as_bstr()), why };
        let stored = stored_size(header, pax).map_err(refused)?;
        *payload = Payload::new(stored);
        if let Some(word) = pax.get(pax::RD_TYPE) {
            return match word {
                word if word == "socket" && stored == 0 => Ok(What::Special(Kind::Socket)),
                word => Err(refused(format!("its {} '{}' is unknown", pax::RD_TYPE, word.escape_ascii()))),
            };
        }
        if header.type_byte() == b'S' {
            return old_sparse(header, stored, stream, recipe, &refused).map(What::File);
        }
        match PaxSparse::find(pax).map_err(refused)? {
            None => Ok(What::File(Map::whole(stored))),
            Some(PaxSparse::InRecords { size }) => {
                sparse::map_in_records(pax, size, stored).map(What::File).map_err(refused)
            }
            Some(PaxSparse::InData { size }) => sparse_lines(size, payload, stream, recipe, &refused).map(What::File),
        }
    }
}

fn end_of_stream(extended: &Extended) -> Result<Next, Flaw> {
    if extended.size > 0 {
        return Err("the archive ends behind an extended header".into());
    }
    Ok(Next::End(End::Stream))
}

fn until_zero(mut text: Vec<u8>) -> BString {
    if let Some(end) = text.find_byte(0) {
        text.truncate(end);
    }
    text.into()
}

fn size_of(header: &Header<'_>) -> Result<u64, Flaw> {
    let size = header.size()?;
    u64::try_from(size).map_err(|_| format!("its size is negative: {size}"))
}

/// The number of bytes that follow a header, without padding.
fn stored_size(header: &Header<'_>, pax: &Pax) -> Result<u64, Flaw> {
    let size = match pax.number("size")? {
        Some(size) => size,
        None => size_of(header)?,
    };
    match size {
        size if size <= i64::MAX as u64 - BLOCK as u64 => Ok(size),
        size => Err(format!("its size is impossible: {size}")),
    }
}

fn check_target(target: BString) -> Result<BString, Flaw> {
    match target.len() {
        0 => Err("it is a symbolic link to nothing".into()),
        4096.. => Err(format!("its target has {} bytes, 4095 are allowed", target.len())),
        _ if target.contains(&0) => Err("its target has a zero byte".into()),
        _ => Ok(target),
    }
}

fn device(kind: u8, header: &Header<'_>, pax: &Pax) -> Result<Kind, Flaw> {
    let (major, minor) = header.device()?;
    let check = |key: &str, value: i64, limit: u64| -> Result<u32, Flaw> {
        let value = pax.number(key)?.or(u64::try_from(value).ok()).filter(|value| *value < limit);
        value
            .and_then(|value| u32::try_from(value).ok())
            .ok_or_else(|| "its device number is impossible on Linux".into())
    };
    let major = check("SCHILY.devmajor", major, MAJORS)?;
    let minor = check("SCHILY.devminor", minor, MINORS)?;
    Ok(if kind == b'3' { Kind::Char { major, minor } } else { Kind::Block { major, minor } })
}

fn attrs(header: &Header<'_>, pax: &Pax) -> Result<Attrs, Flaw> {
    let owner = |key: &str, value: i64| -> Result<u32, Flaw> {
        let value = pax.number(key)?.map_or(value, |value| i64::try_from(value).unwrap_or(i64::MAX));
        // The largest number means "nobody in particular" to chown(2).
        u32::try_from(value)
            .ok()
            .filter(|value| *value != u32::MAX)
            .ok_or_else(|| format!("its {key} {value} is impossible on Linux"))
    };
    Ok(Attrs {
        mode: (header.mode()? & 0o7777) as u32,
        uid: owner("uid", header.uid()?)?,
        gid: owner("gid", header.gid()?)?,
        xattrs: pax.xattrs()?,
    })
}

/// GNU tar's old sparse files: the map in the header and in blocks behind it.
fn old_sparse(
    header: &Header<'_>,
    stored: u64,
    stream: &mut dyn Blocks,
    recipe: &mut dyn Sink,
    refused: &impl Fn(Flaw) -> Error,
) -> Result<Map> {
    if !header.is_gnu() {
        return Err(refused("it is sparse, but no GNU header".into()));
    }
    let (entries, mut more, size) = header.gnu_sparse();
    let size = sparse::size_field(size).map_err(refused)?;
    let mut pieces = Pieces::default();
    pieces.add_old(entries).map_err(refused)?;
    while more {
        let block = stream.block()?.filter(|block| block.len() == BLOCK);
        let block = block.ok_or_else(|| refused("the archive ends in the middle of its sparse map".into()))?;
        recipe.raw(&block);
        pieces.add_old(&block[..504]).map_err(refused)?;
        more = block[504] != 0;
    }
    pieces.finish(size, stored).map_err(refused)
}

/// The map of pax format 1.0, in whole blocks in front of the bytes.
fn sparse_lines(
    size: u64,
    payload: &mut Payload,
    stream: &mut dyn Blocks,
    recipe: &mut dyn Sink,
    refused: &impl Fn(Flaw) -> Error,
) -> Result<Map> {
    let mut lines = MapLines::default();
    loop {
        let block = stream.block()?.filter(|block| block.len() == BLOCK && payload.stored >= BLOCK as u64);
        let block = block.ok_or_else(|| refused("its sparse map is cut short".into()))?;
        recipe.raw(&block);
        payload.stored -= BLOCK as u64;
        if lines.block(&block).map_err(refused)? {
            return lines.finish(size, payload.stored).map_err(refused);
        }
    }
}

/// The name of an entry, for errors.
pub(super) fn refused(name: &BStr, why: impl Into<String>) -> Error {
    Error::Refused { entry: shown(name), why: why.into() }
}

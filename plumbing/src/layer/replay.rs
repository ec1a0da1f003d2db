//! A layer's tar made again from its recipe, bit for bit.

use std::io::{Read, Seek, SeekFrom, Write};
use std::str::FromStr;

use gix::bstr::{BString, ByteSlice};

use super::recipe::{EXTRA, HEAD, VERSION, chunk_name};
use crate::digest::{Digest, Hasher};
use crate::{Error, Id, Result, Store};

/// What a recipe says of the tar that it makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Digest of the tar.
    pub diff_id: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// The number of chunks.
    chunks: usize,
}

/// A record of a recipe.
enum Record<'c> {
    Raw(&'c [u8]),
    Zeros(u64),
    Data { id: Id, offset: u64, length: u64 },
}

/// Read what the recipe `layer` is of.
pub fn head(store: &Store, layer: &Id) -> Result<Head> {
    let (head, _) = read_tree(store, layer)?;
    Ok(head)
}

/// Write the tar of the recipe `layer` to `out`. `Damaged` where it isn't what the recipe says it is.
pub fn replay(store: &Store, layer: &Id, out: &mut dyn Write) -> Result<Head> {
    let (head, chunks) = read_tree(store, layer)?;
    let mut tar = Output { out, hasher: Hasher::default(), size: 0 };
    for chunk in &chunks {
        let text = store.read_object(chunk, gix::objs::Kind::Blob)?;
        let mut rest = &text[..];
        while !rest.is_empty() {
            let (record, behind) = split_record(rest).ok_or_else(|| damaged(chunk, "a record is malformed"))?;
            rest = behind;
            match record {
                Record::Raw(bytes) => tar.write(bytes)?,
                Record::Zeros(count) => tar.copy(&mut std::io::repeat(0).take(count), count, chunk)?,
                Record::Data { id, offset, length } => tar.copy_content(store, &id, offset, length)?,
            }
        }
    }
    let found = (tar.hasher.finish(), tar.size);
    if found != (head.diff_id, head.size) {
        return Err(damaged(
            layer,
            &format!("it gives {} of {} bytes, not {} of {}", found.0, found.1, head.diff_id, head.size),
        ));
    }
    Ok(head)
}

/// All contents that the recipe `layer` needs, each once for every place it is needed at.
pub fn contents(store: &Store, layer: &Id) -> Result<Vec<Id>> {
    let (_, chunks) = read_tree(store, layer)?;
    let mut ids = Vec::new();
    for chunk in &chunks {
        let text = store.read_object(chunk, gix::objs::Kind::Blob)?;
        let mut rest = &text[..];
        while !rest.is_empty() {
            let (record, behind) = split_record(rest).ok_or_else(|| damaged(chunk, "a record is malformed"))?;
            rest = behind;
            if let Record::Data { id, .. } = record {
                ids.push(id);
            }
        }
    }
    Ok(ids)
}

fn damaged(id: &Id, why: &str) -> Error {
    Error::damaged(format!("layer recipe {id}"), why)
}

/// The head and the chunks in their order.
fn read_tree(store: &Store, layer: &Id) -> Result<(Head, Vec<Id>)> {
    let data = store.read_object(layer, gix::objs::Kind::Tree)?;
    let mut head = None;
    let mut chunks = Vec::new();
    for entry in gix::objs::TreeRefIter::from_bytes(&data, gix::hash::Kind::Sha256) {
        let entry = entry.map_err(|error| damaged(layer, &error.to_string()))?;
        match entry.filename {
            name if name == HEAD => head = Some(entry.oid.to_owned()),
            name if name == EXTRA => {}
            name if name == chunk_name(chunks.len()).as_str() => chunks.push(entry.oid.to_owned()),
            name => return Err(damaged(layer, &format!("it has an entry '{name}'"))),
        }
    }
    let head = head.ok_or_else(|| damaged(layer, "it has no head"))?;
    let text = BString::from(store.read_object(&head, gix::objs::Kind::Blob)?);
    let head = parse_head(&text).ok_or_else(|| Error::Unsupported {
        what: format!("layer recipe {layer}"),
        why: format!("its head is not of the version '{VERSION}'"),
    })?;
    if head.chunks != chunks.len() {
        return Err(damaged(layer, "chunks are missing"));
    }
    Ok((head, chunks))
}

fn parse_head(text: &BString) -> Option<Head> {
    let rest = text.to_str().ok()?.strip_prefix(VERSION)?.strip_prefix("\ndiff-id ")?;
    let (diff_id, rest) = rest.split_once("\nsize ")?;
    let (size, rest) = rest.split_once("\nchunks ")?;
    let chunks = rest.strip_suffix('\n')?;
    Some(Head { diff_id: diff_id.parse().ok()?, size: size.parse().ok()?, chunks: chunks.parse().ok()? })
}

/// Cut the first record off.
fn split_record(text: &[u8]) -> Option<(Record<'_>, &[u8])> {
    let (line, rest) = text.split_once_str("\n")?;
    let mut words = line.to_str().ok()?.split(' ');
    let verb = words.next()?;
    let record = match verb {
        "raw" => {
            let (bytes, rest) = rest.split_at_checked(words.next()?.parse().ok()?)?;
            return words.next().is_none().then_some((Record::Raw(bytes), rest));
        }
        "zeros" => Record::Zeros(words.next()?.parse().ok()?),
        "data" => Record::Data {
            id: Id::from_str(words.next()?).ok()?,
            offset: words.next()?.parse().ok()?,
            length: words.next()?.parse().ok()?,
        },
        _ => return None,
    };
    words.next().is_none().then_some((record, rest))
}

/// The tar on its way out.
struct Output<'o> {
    out: &'o mut dyn Write,
    hasher: Hasher,
    size: u64,
}

impl Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        self.out.write_all(bytes).map_err(Error::io("write", "layer tar"))
    }

    fn copy_content(&mut self, store: &Store, id: &Id, offset: u64, length: u64) -> Result<()> {
        if let Some(mut file) = store.open_content(id)? {
            let path = store.content_file(id);
            file.seek(SeekFrom::Start(offset)).map_err(Error::io("read", path))?;
            return self.copy(&mut file.take(length), length, id);
        }
        let (reader, _) = store.blob_reader(id)?;
        let mut reader = reader;
        std::io::copy(&mut reader.by_ref().take(offset), &mut std::io::sink())
            .map_err(Error::io("read", id.to_string()))?;
        self.copy(&mut reader.take(length), length, id)
    }

    fn copy(&mut self, from: &mut dyn Read, length: u64, what: &Id) -> Result<()> {
        let mut buffer = vec![0; 128 * 1024];
        let mut left = length;
        while left > 0 {
            let want = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            match from.read(&mut buffer[..want]) {
                Ok(0) => {
                    return Err(Error::damaged(format!("content {what}"), "it is shorter than a layer recipe says"));
                }
                Ok(got) => {
                    self.write(&buffer[..got])?;
                    left -= got as u64;
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::io("read the content", what.to_string())(error)),
            }
        }
        Ok(())
    }
}

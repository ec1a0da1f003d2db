//! The archive as a stream of shared pieces: a thread of its own reads, decompresses and hashes, and hands the
//! bytes on without copying them.
//!
//! Memory is bounded by the number of buffers: the reading thread waits for one to come back. Buffers are a multiple
//! of the tar block in size and filled to the brim, so that no block ever lies across two of them.

use std::io::Read;
use std::ops::{Deref, Range};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};

use super::compression::{self, Compression};
use crate::digest::{Digest, Hasher};
use crate::{Error, Result};

/// Size of a tar block.
pub(super) const BLOCK: usize = 512;

const BUFFER: usize = 256 * 1024;
const BUFFERS: usize = 48;

/// What is known of a stream once it was read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending {
    /// Digest of the bytes inside, decompressed: of a layer, its diff id.
    pub diff_id: Digest,
    /// Their number.
    pub size: u64,
    /// How they were compressed.
    pub compression: Compression,
    /// Digest and number of the bytes as they came, compressed or not.
    pub wire: (Digest, u64),
}

/// A buffer that returns to its pool when nobody looks at it any more.
struct Buffer {
    bytes: Vec<u8>,
    home: Sender<Vec<u8>>,
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // Nobody at home: the stream has ended.
        let _ = self.home.send(std::mem::take(&mut self.bytes));
    }
}

/// Some bytes of the stream.
#[derive(Clone)]
pub(super) struct Slice {
    buffer: Arc<Buffer>,
    range: Range<usize>,
}

impl Deref for Slice {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.buffer.bytes[self.range.clone()]
    }
}

impl Slice {
    /// Bytes that are of no stream.
    pub(super) fn owned(bytes: Vec<u8>) -> Self {
        let range = 0..bytes.len();
        Self { buffer: Arc::new(Buffer { bytes, home: mpsc::channel().0 }), range }
    }

    /// Cut off at most `max` bytes from the start.
    fn split(&mut self, max: usize) -> Slice {
        let end = self.range.end.min(self.range.start.saturating_add(max));
        let first = Slice { buffer: self.buffer.clone(), range: self.range.start..end };
        self.range.start = end;
        first
    }
}

/// Where blocks come from.
pub(super) trait Blocks {
    /// The offset of the next byte.
    fn position(&self) -> u64;

    /// The next bytes, at least one and at most `max`; `None` at the end.
    fn take(&mut self, max: usize) -> Result<Option<Slice>>;

    /// The next block; less than one only at the end of the stream.
    fn block(&mut self) -> Result<Option<Slice>> {
        self.take(BLOCK)
    }
}

/// What the reading thread says.
enum Message {
    Bytes(Slice),
    End(Ending),
    Failed(Error),
}

/// The decompressed bytes of an archive.
pub(super) struct Stream {
    messages: Receiver<Message>,
    current: Option<Slice>,
    ending: Option<Ending>,
    position: u64,
}

impl Stream {
    /// Start to read `source`.
    pub(super) fn start(source: Box<dyn Read + Send>) -> Self {
        let (sender, messages) = mpsc::sync_channel(BUFFERS);
        // The thread isn't joined: it may wait for a pipe that never ends, and ends by itself when nobody listens.
        std::thread::spawn(move || {
            let last = match pump(source, &sender) {
                Ok(Some(ending)) => Message::End(ending),
                Ok(None) => return,
                Err(error) => Message::Failed(error),
            };
            let _ = sender.send(last);
        });
        Self { messages, current: None, ending: None, position: 0 }
    }

    /// What the whole stream was; it must have been read to its end.
    pub(super) fn ending(self) -> Ending {
        self.ending.expect("because all bytes were taken")
    }
}

impl Blocks for Stream {
    fn position(&self) -> u64 {
        self.position
    }

    fn take(&mut self, max: usize) -> Result<Option<Slice>> {
        while self.current.as_ref().is_none_or(|slice| slice.is_empty()) {
            if self.ending.is_some() {
                return Ok(None);
            }
            self.current = None;
            match self.messages.recv().expect("because the reading thread's last message is the end") {
                Message::Bytes(slice) => self.current = Some(slice),
                Message::End(ending) => self.ending = Some(ending),
                Message::Failed(error) => return Err(error),
            }
        }
        let slice = self.current.as_mut().expect("because the loop above filled it").split(max);
        self.position += slice.len() as u64;
        Ok(Some(slice))
    }
}

/// Hand on all of `source`; `None` where nobody listens any more.
fn pump(source: Box<dyn Read + Send>, to: &SyncSender<Message>) -> Result<Option<Ending>> {
    let (compression, source) = compression::sniff(source)?;
    let mut wire = WireReader { source, hasher: (compression != Compression::None).then(Hasher::default), size: 0 };
    let Some((diff_id, size)) = pump_inside(compression, &mut wire, to)? else { return Ok(None) };
    // Bytes behind the compressed stream belong to what the wire digest is of.
    std::io::copy(&mut wire, &mut std::io::sink()).map_err(Error::io("read", "archive"))?;
    let digest = wire.hasher.map_or(diff_id, Hasher::finish);
    Ok(Some(Ending { diff_id, size, compression, wire: (digest, wire.size) }))
}

fn pump_inside(
    compression: Compression,
    wire: &mut (impl Read + Send),
    to: &SyncSender<Message>,
) -> Result<Option<(Digest, u64)>> {
    // What the operating system didn't say, the decompressor said.
    let failed = |error: std::io::Error| match error.raw_os_error() {
        None if compression != Compression::None => Error::Invalid {
            what: "archive",
            input: format!("{compression:?}").to_lowercase(),
            why: format!("it can't be decompressed: {error}"),
        },
        _ => Error::io("read", "archive")(error),
    };
    let mut inside = compression::decompress(compression, wire).map_err(failed)?;
    let (home, pool) = mpsc::channel();
    let (mut made, mut hasher, mut size) = (0, Hasher::default(), 0);
    loop {
        let mut bytes = match pool.try_recv() {
            Ok(bytes) => bytes,
            Err(_) if made < BUFFERS => {
                made += 1;
                vec![0; BUFFER]
            }
            Err(_) => pool.recv().expect("because this function holds a sender"),
        };
        let length = fill(&mut *inside, &mut bytes).map_err(failed)?;
        if length == 0 {
            return Ok(Some((hasher.finish(), size)));
        }
        hasher.update(&bytes[..length]);
        size += length as u64;
        let slice = Slice { buffer: Arc::new(Buffer { bytes, home: home.clone() }), range: 0..length };
        if to.send(Message::Bytes(slice)).is_err() {
            return Ok(None);
        }
    }
}

/// Read until the buffer is full or the stream ends.
fn fill(reader: &mut dyn Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match reader.read(&mut buffer[length..]) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

/// Counts, and where they differ from the bytes inside hashes, the bytes as they come.
struct WireReader<R> {
    source: R,
    hasher: Option<Hasher>,
    size: u64,
}

impl<R: Read> Read for WireReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = self.source.read(buffer)?;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&buffer[..length]);
        }
        self.size += length as u64;
        Ok(length)
    }
}

//! A reader of what a function writes: who sends a body asks for bytes, who makes a layer hands them out.

use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, SyncSender};

use crate::digest::Hasher;
use crate::{Result, Store};

const BUFFER: usize = 256 << 10;
const BUFFERS: usize = 4;

/// What `write` writes, given the store at `dir`. It is run in a thread of its own, which ends when the reader is dropped.
pub(crate) fn reader<F>(dir: PathBuf, write: F) -> impl Read + Send + use<F>
where
    F: FnOnce(&Store, &mut dyn Write) -> Result<()> + Send + 'static,
{
    let (sender, receiver) = mpsc::sync_channel(BUFFERS);
    std::thread::spawn(move || {
        let mut out = io::BufWriter::with_capacity(BUFFER, Pieces(&sender));
        let written = Store::open(dir).and_then(|store| write(&store, &mut out));
        let last = written.map_err(io::Error::other).and_then(|()| out.flush());
        // Nobody reads any more, or the reader learns that the end is the end.
        let _ = sender.send(last.map(|()| Vec::new()));
    });
    Pipe { receiver, current: io::Cursor::default(), ended: false }
}

/// Hands on what is written, a buffer at a time.
struct Pieces<'s>(&'s SyncSender<io::Result<Vec<u8>>>);

impl Write for Pieces<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !bytes.is_empty() {
            self.0.send(Ok(bytes.to_vec())).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Pipe {
    receiver: Receiver<io::Result<Vec<u8>>>,
    current: io::Cursor<Vec<u8>>,
    ended: bool,
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let length = self.current.read(buffer)?;
            if length > 0 || self.ended {
                return Ok(length);
            }
            let next = self.receiver.recv().map_err(|_| io::Error::other("a thread has died"))?;
            self.ended = next.as_ref().map_or(true, Vec::is_empty);
            self.current = io::Cursor::new(next?);
        }
    }
}

/// Hashes and counts what goes through.
pub(crate) struct Measured<W> {
    pub(crate) out: W,
    pub(crate) hasher: Hasher,
    pub(crate) size: u64,
}

impl<W: Write> Write for Measured<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write_all(bytes)?;
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Leaves out the first bytes.
pub(crate) struct Skip<'o> {
    pub(crate) out: &'o mut dyn Write,
    pub(crate) left: u64,
}

impl Write for Skip<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let skipped = bytes.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.left -= skipped as u64;
        self.out.write_all(&bytes[skipped..])?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

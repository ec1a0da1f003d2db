//! gzip on all processors, to bytes that don't depend on their number.
//!
//! The input is cut into blocks of a fixed size. Each is deflated on its own, with the end of the one before as its
//! dictionary, and ends at a byte (a sync flush), so that all of them in a row are one stream of one member.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};

use flate2::{Compress, Compression, Crc, FlushCompress};

/// Bytes of input that are compressed together.
const BLOCK: usize = 1 << 20;
/// How far back deflate can refer.
const WINDOW: usize = 32 << 10;
/// No name, no time, an unknown system: what Go's library writes.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
/// More threads than this are left to others.
const THREADS: usize = 8;

/// A block to compress, and where to say what it became.
struct Job {
    bytes: Vec<u8>,
    dictionary: Vec<u8>,
    last: bool,
    answer: SyncSender<io::Result<Vec<u8>>>,
}

/// Writes a gzip stream.
pub struct Gzip<W: Write> {
    out: W,
    begun: bool,
    block: Vec<u8>,
    dictionary: Vec<u8>,
    crc: Crc,
    jobs: SyncSender<Job>,
    /// Blocks at work, in their order.
    waiting: VecDeque<Receiver<io::Result<Vec<u8>>>>,
    most_waiting: usize,
}

impl<W: Write> Gzip<W> {
    /// Start a stream; `level` is zlib's.
    pub fn new(out: W, level: u32) -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS);
        let (jobs, queue) = mpsc::sync_channel(2 * threads);
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..threads {
            let queue = queue.clone();
            // They end when the sender is gone.
            std::thread::spawn(move || work(&queue, level));
        }
        Self {
            out,
            begun: false,
            block: Vec::new(),
            dictionary: Vec::new(),
            crc: Crc::new(),
            jobs,
            waiting: VecDeque::new(),
            most_waiting: 2 * threads,
        }
    }

    /// Write what is left and the trailer.
    pub fn finish(mut self) -> io::Result<W> {
        self.send(true)?;
        while !self.waiting.is_empty() {
            self.receive()?;
        }
        // The size is modulo 2^32 by the format; so is `amount`.
        self.out.write_all(&self.crc.sum().to_le_bytes())?;
        self.out.write_all(&self.crc.amount().to_le_bytes())?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn send(&mut self, last: bool) -> io::Result<()> {
        let (answer, answered) = mpsc::sync_channel(1);
        let bytes = std::mem::take(&mut self.block);
        let end = bytes[bytes.len().saturating_sub(WINDOW)..].to_vec();
        let dictionary = std::mem::replace(&mut self.dictionary, end);
        let job = Job { bytes, dictionary, last, answer };
        self.jobs.send(job).expect("because the threads listen as long as the sender is there");
        self.waiting.push_back(answered);
        if self.waiting.len() >= self.most_waiting {
            self.receive()?;
        }
        Ok(())
    }

    /// Write the first block that waits.
    fn receive(&mut self) -> io::Result<()> {
        let Some(first) = self.waiting.pop_front() else { return Ok(()) };
        let bytes = first.recv().map_err(|_| io::Error::other("a compressing thread has died"))??;
        if !self.begun {
            self.begun = true;
            self.out.write_all(&HEADER)?;
        }
        self.out.write_all(&bytes)
    }
}

impl<W: Write> Write for Gzip<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A full block is only sent when more comes: the last one must be known to be the last.
        if self.block.len() == BLOCK {
            self.send(false)?;
        }
        let taken = bytes.len().min(BLOCK - self.block.len());
        if self.block.capacity() == 0 {
            self.block.reserve_exact(BLOCK);
        }
        self.block.extend_from_slice(&bytes[..taken]);
        self.crc.update(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn work(queue: &Mutex<Receiver<Job>>, level: u32) {
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        // Nobody wants it: the writer has failed.
        let _ = job.answer.send(deflate(&job, level));
    }
}

fn deflate(job: &Job, level: u32) -> io::Result<Vec<u8>> {
    let mut compress = Compress::new(Compression::new(level), false);
    if !job.dictionary.is_empty() {
        compress.set_dictionary(&job.dictionary)?;
    }
    let flush = if job.last { FlushCompress::Finish } else { FlushCompress::Sync };
    let mut out = Vec::with_capacity(job.bytes.len() / 2 + 1024);
    loop {
        let read = usize::try_from(compress.total_in()).expect("because a block is small");
        let status = compress.compress_vec(&job.bytes[read..], &mut out, flush)?;
        let all_read = compress.total_in() == job.bytes.len() as u64;
        // Room that is left tells that a flush is complete.
        match status {
            flate2::Status::StreamEnd => return Ok(out),
            _ if !job.last && all_read && out.len() < out.capacity() => return Ok(out),
            _ => out.reserve(out.capacity().max(64 << 10)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn what_was_compressed_is_one_member_that_comes_out_again() {
        let mut text: Vec<u8> =
            (0..3 * BLOCK as u32 + 17).flat_map(|n| ((n / 7).wrapping_mul(n) % 251).to_le_bytes()).collect();
        for length in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 3 * BLOCK + 17] {
            text.truncate(text.len().max(length));
            let mut gzip = Gzip::new(Vec::new(), 6);
            gzip.write_all(&text[..length]).unwrap();
            let bytes = gzip.finish().unwrap();
            let mut back = Vec::new();
            let mut decoder = flate2::bufread::GzDecoder::new(&bytes[..]);
            decoder.read_to_end(&mut back).unwrap();
            assert!(back == text[..length] && decoder.into_inner().is_empty(), "{length}");
        }
    }

    #[test]
    fn the_pieces_that_are_written_make_no_difference() {
        let text: Vec<u8> = (0..2_500_000u32).map(|n| (n.wrapping_mul(n) >> 7) as u8).collect();
        let of = |piece: usize| {
            let mut gzip = Gzip::new(Vec::new(), 6);
            text.chunks(piece).for_each(|piece| gzip.write_all(piece).unwrap());
            gzip.finish().unwrap()
        };
        assert!(of(1 << 22) == of(999));
    }
}

//! What a gzip file's compressor chose: found out from its bytes, a window at a time.

use std::io::{self, Read, Write};

use preflate_rs::{ExitCode, PreflateConfig, PreflateStreamProcessor};

use super::made::Record;

/// So much is looked at first: the compressor is guessed from it.
const FIRST: usize = 8 << 20;
/// So much is added when what is there doesn't do.
const STEP: usize = 4 << 20;
/// A block that is longer than this is given up.
const WINDOW: usize = 32 << 20;
/// So much of the tar is looked at at a time.
const PLAIN: usize = 16 << 20;
/// The library counts what it has seen in 31 bits; what comes later stays as it is.
const MOST: u64 = 1 << 30;
/// A member's header that is longer is given up.
const HEADER: usize = 64 << 10;

/// Write the records from which the gzip file `source` can be made again. What isn't understood is kept as it is, so that this
/// fails only where reading or writing does.
pub(super) fn analyse(source: impl Read, out: &mut dyn Write) -> io::Result<()> {
    let mut window = Window { source, bytes: Vec::new(), ended: false };
    while window.fill(HEADER)? && member(&mut window, out)? {}
    while window.fill(STEP)? {
        let rest = std::mem::take(&mut window.bytes);
        Record::Raw(rest).encode(out)?;
    }
    Ok(())
}

/// One member; false where it isn't understood to its end.
fn member<R: Read>(window: &mut Window<R>, out: &mut dyn Write) -> io::Result<bool> {
    let Some(length) = header_length(&window.bytes) else { return Ok(false) };
    Record::Raw(window.take(length)).encode(out)?;
    Record::Stream.encode(out)?;
    let config = PreflateConfig { plain_text_limit: PLAIN, verify_compression: false, ..Default::default() };
    let mut stream = PreflateStreamProcessor::new(&config);
    let (mut wanted, mut seen) = (FIRST, 0);
    while !stream.is_done() {
        if seen > MOST || !window.fill(wanted)? {
            return Ok(false);
        }
        match stream.decompress(&window.bytes) {
            Ok(piece) => {
                let plain = stream.plain_text().len();
                seen += plain as u64;
                Record::Deflate(plain, piece.corrections).encode(out)?;
                window.take(piece.compressed_size);
                stream.shrink_to_dictionary();
                wanted = STEP;
            }
            // It ends in the middle of a block.
            Err(error) if error.exit_code() == ExitCode::ShortRead && !window.ended && wanted < WINDOW => {
                wanted += STEP
            }
            Err(_) => return Ok(false),
        }
    }
    Ok(true)
}

/// The length of a gzip member's header (RFC 1952, 2.3); `None` where there is none, or not all of it.
fn header_length(bytes: &[u8]) -> Option<usize> {
    let [0x1f, 0x8b, 8, flags, ..] = *bytes else { return None };
    let mut at = 10;
    if flags & 4 != 0 {
        at += 2 + usize::from(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    }
    for text in [8, 16] {
        if flags & text != 0 {
            at += 1 + bytes.get(at..)?.iter().position(|byte| *byte == 0)?;
        }
    }
    at += if flags & 2 != 0 { 2 } else { 0 };
    (flags & 0xe0 == 0 && at < bytes.len()).then_some(at)
}

/// The next bytes of a file.
struct Window<R> {
    source: R,
    bytes: Vec<u8>,
    ended: bool,
}

impl<R: Read> Window<R> {
    /// Have at least `wanted` bytes, or all that there are; false where there are none.
    fn fill(&mut self, wanted: usize) -> io::Result<bool> {
        if self.bytes.len() < wanted && !self.ended {
            let missing = wanted - self.bytes.len();
            let read = self.source.by_ref().take(missing as u64).read_to_end(&mut self.bytes)?;
            self.ended = read < missing;
        }
        Ok(!self.bytes.is_empty())
    }

    /// Cut off the first bytes.
    fn take(&mut self, length: usize) -> Vec<u8> {
        let rest = self.bytes.split_off(length);
        std::mem::replace(&mut self.bytes, rest)
    }
}

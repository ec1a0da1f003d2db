//! Packets between two stores: git's packet lines (gitprotocol-common(5), "pkt-line"), compressed in both directions.

use std::cell::Cell;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::rc::Rc;

use gix::objs::Kind;

use crate::{Error, Result};

/// What both sides say first.
const GREETING: &str = "rd transfer 1";

/// Bytes that a packet has at most, its length in front included.
const LARGEST: usize = 65_520;

/// Bytes of the length in front of a packet.
const LENGTH: usize = 4;

/// A packet with an error in it begins so.
const ERROR: &[u8] = b"error ";

/// How hard zstd tries.
const LEVEL: i32 = 3;

/// So far back, as a power of two, zstd looks for what was sent already; a reader needs as much memory.
const WINDOW: u32 = 23;

/// How many bytes went over a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traffic {
    /// From here.
    pub sent: u64,
    /// To here.
    pub received: u64,
}

/// An object that is about to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Announced {
    pub(super) kind: Kind,
    /// How many bytes it has.
    pub(super) size: u64,
    /// How many bytes come instead, where it comes as the difference to another.
    pub(super) delta: Option<u64>,
}

/// Whether a connection is worth compressing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compress {
    /// It leads to another machine.
    Zstd,
    /// It stays in this one.
    No,
}

impl Compress {
    fn word(self) -> &'static str {
        match self {
            Compress::Zstd => "zstd",
            Compress::No => "plain",
        }
    }
}

/// A connection to another store, from either side.
pub struct Wire {
    input: Box<dyn Read>,
    output: Box<dyn Write>,
    sent: Rc<Cell<u64>>,
    received: Rc<Cell<u64>>,
}

impl Wire {
    /// Begin a conversation as the one who asks for it.
    pub fn connect(input: impl Read + 'static, output: impl Write + 'static, compress: Compress) -> Result<Self> {
        let mut wire = Self::plain(input, output);
        let greeting = format!("{GREETING} {}", compress.word());
        wire.send(greeting.as_bytes())?;
        wire.flush()?;
        let mut answer = Vec::new();
        match wire.read_packet(&mut answer) {
            Ok(true) if answer == greeting.as_bytes() => wire.compressed(compress),
            Ok(true) => Err(told(&answer).unwrap_or_else(|| unintelligible(&answer))),
            Ok(false) => Err(unintelligible(b"")),
            Err(error) => Err(error),
        }
    }

    /// Begin a conversation as the one who is asked.
    pub fn accept(input: impl Read + 'static, output: impl Write + 'static) -> Result<Self> {
        let mut wire = Self::plain(input, output);
        let mut greeting = Vec::new();
        wire.read_packet(&mut greeting)?;
        let known = [Compress::Zstd, Compress::No];
        let compress = known.into_iter().find(|way| greeting == format!("{GREETING} {}", way.word()).as_bytes());
        let Some(compress) = compress else {
            wire.say_error(&format!("this rd speaks '{GREETING}'"))?;
            return Err(unintelligible(&greeting));
        };
        wire.send(&greeting)?;
        wire.flush()?;
        wire.compressed(compress)
    }

    fn plain(input: impl Read + 'static, output: impl Write + 'static) -> Self {
        let (sent, received) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let input = BufReader::with_capacity(LARGEST, Counted { inner: input, count: received.clone() });
        let output = BufWriter::with_capacity(LARGEST, Counted { inner: output, count: sent.clone() });
        Self { input: Box::new(input), output: Box::new(output), sent, received }
    }

    fn compressed(self, compress: Compress) -> Result<Self> {
        if compress == Compress::No {
            return Ok(self);
        }
        let failed = || Error::io("prepare", "compression");
        let mut input = zstd::stream::read::Decoder::new(self.input).map_err(failed())?;
        input.window_log_max(WINDOW).map_err(failed())?;
        let mut output = zstd::stream::write::Encoder::new(self.output, LEVEL).map_err(failed())?;
        output.window_log(WINDOW).map_err(failed())?;
        Ok(Self { input: Box::new(BufReader::with_capacity(LARGEST, input)), output: Box::new(output), ..self })
    }

    /// How many bytes have gone over the connection.
    pub fn traffic(&self) -> Traffic {
        Traffic { sent: self.sent.get(), received: self.received.get() }
    }

    /// Send a packet. Nothing need leave before the next [`flush`](Self::flush).
    pub(super) fn send(&mut self, data: &[u8]) -> Result<()> {
        let length = format!("{:04x}", data.len() + LENGTH);
        self.output.write_all(length.as_bytes()).and_then(|()| self.output.write_all(data)).map_err(cant_write())
    }

    /// End a list of packets, and let all of it leave.
    pub(super) fn end(&mut self) -> Result<()> {
        self.output.write_all(b"0000").map_err(cant_write())?;
        self.flush()
    }

    fn flush(&mut self) -> Result<()> {
        self.output.flush().map_err(cant_write())
    }

    /// Tell the other side that it can't go on.
    pub(super) fn say_error(&mut self, why: &str) -> Result<()> {
        let text: String = why.chars().take(1000).collect();
        self.send(&[ERROR, text.as_bytes()].concat())?;
        self.end()
    }

    /// Read a packet into `packet`; false at the end of a list.
    pub(super) fn receive(&mut self, packet: &mut Vec<u8>) -> Result<bool> {
        let is_packet = self.read_packet(packet)?;
        match told(packet).filter(|_| is_packet) {
            Some(error) => Err(error),
            None => Ok(is_packet),
        }
    }

    fn read_packet(&mut self, packet: &mut Vec<u8>) -> Result<bool> {
        packet.clear();
        let mut length = [0; LENGTH];
        self.read(&mut length)?;
        let digits = std::str::from_utf8(&length).ok().filter(|_| length.iter().all(u8::is_ascii_hexdigit));
        let size = digits.and_then(|digits| usize::from_str_radix(digits, 16).ok());
        match size {
            Some(0) => Ok(false),
            Some(size @ LENGTH..=LARGEST) => {
                packet.resize(size - LENGTH, 0);
                self.read(packet).map(|()| true)
            }
            _ => {
                // A shell that greets, or says that there is no such command.
                let mut said = length.to_vec();
                let _ = (&mut self.input).take(200).read_to_end(&mut said);
                Err(unintelligible(&said))
            }
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<()> {
        self.input.read_exact(buffer).map_err(Error::io("read from", PEER))
    }

    /// Send an object of `size` bytes.
    pub(super) fn send_object(&mut self, kind: Kind, size: u64, bytes: impl Read) -> Result<()> {
        self.send(format!("{kind} {size}").as_bytes())?;
        self.send_data(size, bytes)
    }

    /// Send an object of `size` bytes as the difference to one that the other side has.
    pub(super) fn send_delta(&mut self, kind: Kind, size: u64, delta: &[u8]) -> Result<()> {
        let length = delta.len() as u64;
        self.send(format!("{kind} {size} {length}").as_bytes())?;
        self.send_data(length, delta)
    }

    fn send_data(&mut self, size: u64, mut bytes: impl Read) -> Result<()> {
        let mut buffer = vec![0; usize::try_from(size).unwrap_or(usize::MAX).min(LARGEST - LENGTH)];
        let mut left = size;
        while left > 0 {
            let now = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            bytes.read_exact(&mut buffer[..now]).map_err(Error::io("read", "an object"))?;
            self.send(&buffer[..now])?;
            left -= now as u64;
        }
        Ok(())
    }

    /// Read what announces an object; `None` at the end of the list.
    pub(super) fn receive_header(&mut self) -> Result<Option<Announced>> {
        let mut packet = Vec::new();
        if !self.receive(&mut packet)? {
            return Ok(None);
        }
        announced(&packet).map(Some).ok_or_else(|| unintelligible(&packet))
    }

    /// Read the `size` bytes of an object, piece by piece.
    pub(super) fn receive_data(&mut self, size: u64, mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let mut packet = Vec::new();
        let mut left = size;
        while left > 0 {
            let is_data = self.read_packet(&mut packet)?;
            if !is_data || packet.is_empty() || packet.len() as u64 > left {
                return Err(unintelligible(b"an object that is shorter or longer than announced"));
            }
            left -= packet.len() as u64;
            take(&packet)?;
        }
        Ok(())
    }
}

/// `<kind> <size>`, or `<kind> <size> <size of the delta>`.
fn announced(packet: &[u8]) -> Option<Announced> {
    let mut words = std::str::from_utf8(packet).ok()?.split(' ');
    let kind = Kind::from_bytes(words.next()?.as_bytes()).ok()?;
    let size = words.next()?.parse().ok()?;
    let delta = words.next().map(str::parse).transpose().ok()?;
    words.next().is_none().then_some(Announced { kind, size, delta })
}

/// Who is at the other end, in errors.
const PEER: &str = "the other store";

fn cant_write() -> impl FnOnce(io::Error) -> Error {
    Error::io("send to", PEER)
}

/// The error that a packet tells of.
fn told(packet: &[u8]) -> Option<Error> {
    let why = packet.strip_prefix(ERROR)?;
    Some(Error::Told { why: String::from_utf8_lossy(why).into_owned() })
}

/// What came isn't what was to come.
pub(super) fn unintelligible(said: &[u8]) -> Error {
    let said: String = String::from_utf8_lossy(said).chars().take(200).collect();
    let why = "this isn't what `rd serve-stdio` of this version says".to_owned();
    Error::Invalid { what: "message", input: said.trim_end().to_owned(), why }
}

/// Counts the bytes that go through.
struct Counted<T> {
    inner: T,
    count: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.count.set(self.count.get() + read as u64);
        Ok(read)
    }
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(data)?;
        self.count.set(self.count.get() + written as u64);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(input: &[u8]) -> Wire {
        Wire::plain(io::Cursor::new(input.to_vec()), io::sink())
    }

    #[test]
    fn what_is_no_packet_is_told() {
        for input in ["", "0005", "000", "fffff", "0003", "-bash: rd: command not found\n", "+00aabcdef"] {
            assert!(wire(input.as_bytes()).receive(&mut Vec::new()).is_err(), "{input}");
        }
        let error = wire(b"-bash: rd: command not found\n").receive(&mut Vec::new()).unwrap_err();
        assert!(error.to_string().contains("rd: command not found"), "{error}");
        let error = wire(b"000cerror no").receive(&mut Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), "the other side says: no");
    }

    #[test]
    fn an_object_has_the_bytes_that_were_announced() {
        let read = |input: &[u8]| {
            let mut wire = wire(input);
            let size = wire.receive_header()?.unwrap().size;
            let mut all = Vec::new();
            wire.receive_data(size, |part| {
                all.extend_from_slice(part);
                Ok(())
            })?;
            Ok::<_, Error>(all)
        };
        assert_eq!(read(b"000ablob 30006ab0005c").unwrap(), b"abc");
        for input in
            [&b"000ablob 30006ab0000"[..], b"000ablob 10006ab", b"000ablob 10004", b"000ablob x0005a", b"0009blob "]
        {
            assert!(read(input).is_err());
        }
    }
}

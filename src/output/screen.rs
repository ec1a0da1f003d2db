//! stdout for long texts with bytes of any kind: buffered, coloured as git colours, harmless to a terminal.

use std::borrow::Cow;
use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};

use anstyle::{AnsiColor, Style};

/// What a piece of text is, which decides its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Headers of a change.
    Meta,
    /// Positions of a hunk.
    Position,
    /// Lines that are there only now.
    Added,
    /// Lines that are there no more.
    Removed,
    /// The line that names a commit.
    Commit,
    /// Names of images and containers beside a commit.
    Name,
}

impl Part {
    fn style(self) -> Style {
        match self {
            Part::Meta => Style::new().bold(),
            Part::Position => AnsiColor::Cyan.on_default(),
            Part::Added => AnsiColor::Green.on_default(),
            Part::Removed => AnsiColor::Red.on_default(),
            Part::Commit => AnsiColor::Yellow.on_default(),
            Part::Name => AnsiColor::Green.on_default().bold(),
        }
    }
}

/// stdout, or a text on its way there. Bytes are not changed on their way into a pipe or file; a terminal gets no control
/// characters but tabs and line ends.
pub struct Screen {
    out: Sink,
    colors: bool,
    is_terminal: bool,
    /// Columns that something else takes on the left.
    indent: usize,
}

enum Sink {
    Stdout(BufWriter<StdoutLock<'static>>),
    Memory(Vec<u8>),
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Sink::Stdout(out) => out.write(bytes),
            Sink::Memory(out) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Sink::Stdout(out) => out.flush(),
            Sink::Memory(_) => Ok(()),
        }
    }
}

impl Screen {
    /// Take stdout.
    pub fn new() -> Self {
        let stdout = io::stdout();
        let colors = anstream::AutoStream::choice(&stdout) != anstream::ColorChoice::Never;
        let is_terminal = stdout.is_terminal();
        let out = Sink::Stdout(BufWriter::with_capacity(64 << 10, stdout.lock()));
        Self { out, colors, is_terminal, indent: 0 }
    }

    /// A text for this screen, to be printed with `indent` columns on its left by [`put_colored`](Self::put_colored).
    pub fn text(&self, indent: usize) -> Self {
        Self { out: Sink::Memory(Vec::new()), colors: self.colors, is_terminal: self.is_terminal, indent }
    }

    /// A text for whoever, without colours.
    pub fn plain() -> Self {
        Self { out: Sink::Memory(Vec::new()), colors: false, is_terminal: false, indent: 0 }
    }

    /// The bytes of a text.
    pub fn into_text(self) -> Vec<u8> {
        match self.out {
            Sink::Memory(bytes) => bytes,
            Sink::Stdout(_) => Vec::new(),
        }
    }

    /// Whether colours are wanted.
    pub fn has_colors(&self) -> bool {
        self.colors
    }

    /// Whether somebody looks at it.
    pub fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// The number of columns: the terminal's, else `$COLUMNS`, else 80; as git has it.
    pub fn columns(&self) -> usize {
        let named = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
        let measured = || terminal_size::terminal_size_of(io::stdout()).map(|(columns, _)| usize::from(columns.0));
        named.or_else(measured).filter(|columns| *columns > 0).unwrap_or(80usize).saturating_sub(self.indent)
    }

    /// Print bytes.
    pub fn put(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        if self.is_terminal {
            self.out.write_all(&harmless(bytes.as_ref()))
        } else {
            self.out.write_all(bytes.as_ref())
        }
    }

    /// The bytes as they may be printed: without what a terminal would act on if there is one.
    pub fn clean<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        if self.is_terminal { harmless(bytes).into() } else { bytes.into() }
    }

    /// Print bytes in a colour; a line end at their end stays outside of it.
    pub fn paint(&mut self, part: Part, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        let bytes = bytes.as_ref();
        if !self.colors {
            return self.put(bytes);
        }
        let (text, end) = match bytes.strip_suffix(b"\n") {
            Some(text) => (text, &b"\n"[..]),
            None => (bytes, &b""[..]),
        };
        let style = part.style();
        write!(self.out, "{style}")?;
        self.put(text)?;
        write!(self.out, "{style:#}")?;
        self.put(end)
    }

    /// Print bytes that hold colours already.
    pub fn put_colored(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.out.write_all(bytes.as_ref())
    }

    /// Hand all of it on.
    pub fn finish(mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// The bytes with control characters written as `\x1b`; bytes that are no UTF-8 stay, as terminals show them harmlessly.
fn harmless(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control() && c != '\n' && c != '\t' {
                out.extend(c.escape_default().to_string().bytes());
            } else {
                out.extend(c.encode_utf8(&mut [0; 4]).bytes());
            }
        }
        chunk.invalid().iter().for_each(|byte| out.extend(format!("\\x{byte:02x}").bytes()));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_gets_nothing_to_act_on() {
        assert_eq!(harmless("a\tä\n".as_bytes()), "a\tä\n".as_bytes());
        assert_eq!(harmless(b"\x1b[2J\x9b\r\xc2\x9b"), br"\u{1b}[2J\x9b\r\u{9b}");
    }
}

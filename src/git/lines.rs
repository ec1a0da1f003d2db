//! Standard input line by line, for commands that answer while their caller still writes.

use std::io::{BufRead, BufReader, Stdin};

use plumbing::bstr::{BStr, ByteSlice};

use crate::report::Failure;

/// Lines of standard input. No more is read than what is there.
pub struct Lines {
    input: BufReader<Stdin>,
    end: u8,
    line: Vec<u8>,
}

impl Lines {
    /// The lines of standard input, which `end` ends.
    pub fn of_stdin(end: u8) -> Self {
        Self { input: BufReader::with_capacity(64 * 1024, std::io::stdin()), end, line: Vec::new() }
    }

    /// The next line without what ends it; `None` at the end of the input.
    pub fn next(&mut self) -> Result<Option<&BStr>, Failure> {
        self.read(false)
    }

    /// As [`next`](Self::next), without a carriage return before the line's end.
    pub fn next_of_any_system(&mut self) -> Result<Option<&BStr>, Failure> {
        self.read(true)
    }

    /// The next line with what ends it, which the last one may lack.
    pub fn next_with_end(&mut self) -> Result<Option<&BStr>, Failure> {
        self.line.clear();
        let read = self.input.read_until(self.end, &mut self.line)?;
        Ok((read > 0).then_some(self.line.as_bstr()))
    }

    fn read(&mut self, strip_return: bool) -> Result<Option<&BStr>, Failure> {
        self.line.clear();
        if self.input.read_until(self.end, &mut self.line)? == 0 {
            return Ok(None);
        }
        if self.line.last() == Some(&self.end) {
            self.line.pop();
            if strip_return && self.end == b'\n' && self.line.last() == Some(&b'\r') {
                self.line.pop();
            }
        }
        Ok(Some(self.line.as_bstr()))
    }

    /// Whether the next line is here already: otherwise the caller may wait for an answer before it writes on.
    pub fn has_more(&self) -> bool {
        self.input.buffer().contains(&self.end)
    }
}

//! What a client asks to be changed.

use std::collections::HashSet;
use std::io::Read;

use gix::bstr::ByteSlice;
use gix_packetline::blocking_io::StreamingPeekableIter;

use crate::{Error, Id, Result};

/// More refs at once are refused.
const MOST: usize = 100_000;

/// A ref that shall be made, moved or removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Command {
    /// What the client takes it to be at; `None` where there should be none.
    pub(super) old: Option<Id>,
    /// Where it shall be; `None` to remove it.
    pub(super) new: Option<Id>,
    /// The full name.
    pub(super) name: String,
}

/// All that a client asks for, before its pack.
#[derive(Debug, Default)]
pub(super) struct Request {
    pub(super) commands: Vec<Command>,
    /// All of it or nothing.
    pub(super) atomic: bool,
    pub(super) side_band: bool,
    pub(super) wants_report: bool,
}

impl Request {
    /// Read the commands; `None` where the client has none.
    pub(super) fn read<R: Read>(lines: &mut StreamingPeekableIter<R>) -> Result<Option<Self>> {
        let mut request = Self::default();
        let mut names = HashSet::new();
        loop {
            let line = match lines.read_line() {
                // Behind the commands comes the pack, which is no packet line.
                None => return Ok(Some(request).filter(|request| !request.commands.is_empty())),
                Some(Err(error))
                    if error.kind() == std::io::ErrorKind::UnexpectedEof && request.commands.is_empty() =>
                {
                    return Ok(None);
                }
                Some(Err(error)) => return Err(Error::io("read", "the client")(error)),
                Some(Ok(Err(error))) => return Err(invalid(&error.to_string())),
                Some(Ok(Ok(line))) => line.as_slice().unwrap_or_default().to_owned(),
            };
            request.take(line.strip_suffix(b"\n").unwrap_or(&line), &mut names)?;
        }
    }

    /// Take one line; `names` are those of the refs so far.
    fn take(&mut self, line: &[u8], names: &mut HashSet<String>) -> Result<()> {
        let (line, capabilities) = line.split_once_str("\0").unwrap_or((line, b""));
        for capability in capabilities.split_str(" ") {
            match capability.trim() {
                b"report-status" => self.wants_report = true,
                b"side-band-64k" => self.side_band = true,
                b"atomic" => self.atomic = true,
                format if format.starts_with(b"object-format=") && format != b"object-format=sha256" => {
                    return Err(invalid(&format!("the store's objects are sha256, not '{}'", format.as_bstr())));
                }
                _ => {}
            }
        }
        // A shallow client says where its history ends. What it lacks the store has, or the push is refused.
        if line.starts_with(b"shallow ") {
            return Ok(());
        }
        if self.commands.len() == MOST {
            return Err(invalid("it names too many refs at once"));
        }
        let command = parse(line).ok_or_else(|| invalid(&format!("'{}' is no command", line.as_bstr())))?;
        if !names.insert(command.name.clone()) {
            return Err(invalid(&format!("it names '{}' twice", command.name)));
        }
        self.commands.push(command);
        Ok(())
    }

    /// Whether a pack follows.
    pub(super) fn has_pack(&self) -> bool {
        self.commands.iter().any(|command| command.new.is_some())
    }
}

/// `OLD NEW NAME`
fn parse(line: &[u8]) -> Option<Command> {
    let mut words = line.splitn_str(3, " ");
    let mut id = || {
        let id = Id::from_hex(words.next()?).ok().filter(|id| id.kind() == gix::hash::Kind::Sha256)?;
        Some(Some(id).filter(|id| !id.is_null()))
    };
    let (old, new) = (id()?, id()?);
    let name = words.next()?.to_str().ok()?.to_owned();
    Some(Command { old, new, name })
}

fn invalid(why: &str) -> Error {
    Error::Invalid { what: "request", input: "receive-pack".into(), why: why.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read() {
        let (zero, one) = ("0".repeat(64), "1".repeat(64));
        let command = parse(format!("{zero} {one} refs/heads/a b").as_bytes()).unwrap();
        assert_eq!((command.old, command.new.is_some(), command.name.as_str()), (None, true, "refs/heads/a b"));
        for bad in ["", "x", &zero, &format!("{zero} {one}"), &format!("{} {one} a", "0".repeat(40))] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
    }
}

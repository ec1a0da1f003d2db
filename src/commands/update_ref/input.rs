//! The input of `update-ref --stdin`: a command a line with words in quotes, or with `-z` pieces that NUL ends.

use plumbing::bstr::{BStr, BString, ByteSlice};
use plumbing::{Id, Store};

use super::named;
use crate::git::lines::Lines;
use crate::report::Failure;

/// The commands: name, and how many arguments it has, which with `-z` are read whether or not they are needed.
const COMMANDS: [(&str, usize); 13] = [
    ("update", 3),
    ("create", 2),
    ("delete", 2),
    ("verify", 2),
    ("symref-update", 4),
    ("symref-create", 2),
    ("symref-delete", 2),
    ("symref-verify", 2),
    ("option", 1),
    ("start", 0),
    ("prepare", 0),
    ("abort", 0),
    ("commit", 0),
];

/// A command and the text of its arguments.
pub(super) struct Command {
    pub(super) name: &'static str,
    arguments: Arguments,
}

enum Arguments {
    /// What is left of the line, whose end is still there.
    Line(BString),
    /// What is left of the pieces; the first is the one after the command.
    Pieces(std::vec::IntoIter<BString>),
}

/// Read the next command; `None` at the end of the input.
pub(super) fn read(lines: &mut Lines, nul: bool) -> Result<Option<Command>, Failure> {
    let Some(line) = lines.next_with_end()? else { return Ok(None) };
    let line = line.to_owned();
    let text = if nul { line.strip_suffix(b"\0").unwrap_or(&line) } else { &line }.as_bstr();
    match text.first() {
        None | Some(b'\n') if !nul || text.is_empty() => return Err(Failure::fatal("empty command in input")),
        Some(first) if first.is_ascii_whitespace() || *first == 0x0b => {
            return Err(Failure::fatal(format!("whitespace before command: {text}")));
        }
        _ => {}
    }
    let found = COMMANDS.iter().find_map(|(name, count)| {
        let rest = text.strip_prefix(name.as_bytes())?;
        match (count, nul) {
            (0, true) => rest.is_empty().then_some((*name, *count, rest)),
            (0, false) => (rest == b"\n").then_some((*name, *count, rest)),
            _ => Some((*name, *count, rest.strip_prefix(b" ")?)),
        }
    });
    let (name, count, rest) =
        found.ok_or_else(|| Failure::fatal(format!("unknown command: {}", text.trim_end().as_bstr())))?;
    let arguments = match nul {
        false => Arguments::Line(rest.into()),
        true => {
            let mut pieces = vec![BString::from(rest)];
            while pieces.len() < count
                && let Some(piece) = lines.next()?
            {
                pieces.push(piece.to_owned());
            }
            Arguments::Pieces(pieces.into_iter())
        }
    };
    Ok(Some(Command { name, arguments }))
}

impl Command {
    fn failed<T>(&self, what: impl std::fmt::Display) -> Result<T, Failure> {
        Err(Failure::fatal(format!("{}: {what}", self.name)))
    }

    /// The name of the ref that is changed.
    pub(super) fn reference(&mut self) -> Result<String, Failure> {
        let word = match &mut self.arguments {
            Arguments::Line(rest) => take_word(rest)?,
            Arguments::Pieces(pieces) => pieces.next().unwrap_or_default(),
        };
        match word.is_empty() {
            true => self.failed("missing <ref>"),
            false => ref_name(word),
        }
    }

    /// The next argument; `None` where it is left out or empty.
    pub(super) fn word(&mut self) -> Result<Option<BString>, Failure> {
        let word = match &mut self.arguments {
            Arguments::Line(rest) => take_next(rest)?,
            Arguments::Pieces(pieces) => pieces.next(),
        };
        Ok(word.filter(|word| !word.is_empty()))
    }

    /// The name of another ref.
    pub(super) fn target(&mut self) -> Result<Option<String>, Failure> {
        self.word()?.map(ref_name).transpose()
    }

    /// An id, `None` where it is left out. An empty word in a line is zeros; with `-z` so is an empty new id, and an empty
    /// old one is left out.
    pub(super) fn id(&mut self, store: &Store, is_new: bool) -> Result<Option<Id>, Failure> {
        let zeros = || Id::null(plumbing::gix::hash::Kind::Sha256);
        let word = match &mut self.arguments {
            Arguments::Line(rest) => match take_next(rest)? {
                Some(word) => word,
                None => return Ok(None),
            },
            Arguments::Pieces(pieces) => match pieces.next() {
                Some(word) if word.is_empty() && !is_new => return Ok(None),
                Some(word) => word,
                None => return self.failed("unexpected end of input"),
            },
        };
        if word.is_empty() {
            return Ok(Some(zeros()));
        }
        let why = if is_new { "invalid <new-oid>" } else { "invalid <old-oid>" };
        named(store, &word.to_str_lossy(), why).map(Some)
    }

    /// What follows `option`.
    pub(super) fn option(&mut self) -> BString {
        match &mut self.arguments {
            Arguments::Line(rest) => rest.strip_suffix(b"\n").map_or_else(|| b"unfinished".into(), BString::from),
            Arguments::Pieces(pieces) => pieces.next().unwrap_or_default(),
        }
    }

    /// Nothing may follow but the line's end.
    pub(super) fn end(&self) -> Result<(), Failure> {
        match &self.arguments {
            Arguments::Line(rest) if *rest != "\n" => {
                self.failed(format!("extra input: {}", rest.trim_end().as_bstr()))
            }
            _ => Ok(()),
        }
    }
}

fn ref_name(word: BString) -> Result<String, Failure> {
    let valid = match word.contains(&b'/') {
        true => plumbing::gix::validate::reference::name(word.as_bstr()).is_ok(),
        false => plumbing::gix::validate::reference::name_partial(word.as_bstr()).is_ok(),
    };
    match valid {
        true => Ok(word.to_string()),
        false => Err(Failure::fatal(format!("invalid ref format: {word}"))),
    }
}

/// The word after a space; `None` at the line's end.
fn take_next(rest: &mut BString) -> Result<Option<BString>, Failure> {
    match rest.first() {
        None | Some(b'\n') => Ok(None),
        Some(b' ') => {
            rest.remove(0);
            take_word(rest).map(Some)
        }
        Some(_) => Err(Failure::fatal(format!("expected SP but got: {}", rest.trim_end().as_bstr()))),
    }
}

/// The word that a line begins with, quoted as C strings are where it begins with a quote.
fn take_word(rest: &mut BString) -> Result<BString, Failure> {
    let space = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0x0b;
    let (word, used) = match rest.starts_with(b"\"") {
        false => {
            let end = rest.iter().position(space).unwrap_or(rest.len());
            (BString::from(&rest[..end]), end)
        }
        true => {
            let unquoted = plumbing::gix::quote::ansi_c::undo(rest.as_bstr());
            let (word, used) = unquoted.map_err(|_| Failure::fatal(format!("badly quoted argument: {rest}")))?;
            (word.into_owned(), used)
        }
    };
    match rest.get(used) {
        Some(byte) if !space(byte) => {
            let quoted: &BStr = rest.as_bstr();
            Err(Failure::fatal(format!("unexpected character after quoted argument: {quoted}")))
        }
        _ => {
            rest.drain(..used);
            Ok(word)
        }
    }
}

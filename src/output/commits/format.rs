//! The placeholders of git's `--format` (git-log(1), "PRETTY FORMATS").

use anstyle::{AnsiColor, Style as Paint};
use plumbing::Store;
use plumbing::bstr::ByteSlice;
use plumbing::gix::actor::Signature;
use plumbing::history::Header;

use super::date::Style as DateStyle;
use super::{Style, message};
use crate::output::screen::Screen;

/// The text with its placeholders filled in; those that aren't known stay as they are, as with git.
pub(super) fn expand(store: &Store, commit: &Header, style: &Style, text: &str, screen: &Screen) -> Vec<u8> {
    let expander = Expander { store, commit, style, screen };
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        rest = &rest[at + 1..];
        let (sign, after_sign) = match rest.chars().next() {
            Some(sign @ ('+' | '-' | ' ')) => (Some(sign), &rest[1..]),
            _ => (None, rest),
        };
        match expander.placeholder(after_sign) {
            Some((value, length)) => {
                push_signed(sign, &value, &mut out);
                rest = &after_sign[length..];
            }
            None => out.push(b'%'),
        }
    }
    out.extend_from_slice(rest.as_bytes());
    out
}

/// `%+x`: a line end before a value that isn't empty; `%-x`: no line ends before one that is; `% x`: a blank.
fn push_signed(sign: Option<char>, value: &[u8], out: &mut Vec<u8>) {
    match (sign, value.is_empty()) {
        (Some('-'), true) => out.truncate(out.trim_end_with(|c| c == '\n').len()),
        (Some('+'), false) => out.push(b'\n'),
        (Some(' '), false) => out.push(b' '),
        _ => {}
    }
    out.extend_from_slice(value);
}

struct Expander<'a> {
    store: &'a Store,
    commit: &'a Header,
    style: &'a Style,
    screen: &'a Screen,
}

impl Expander<'_> {
    /// The value of the placeholder that `rest` begins with, and the placeholder's length.
    fn placeholder(&self, rest: &str) -> Option<(Vec<u8>, usize)> {
        let mut chars = rest.chars();
        let first = chars.next()?;
        let second = chars.next();
        let commit = self.commit;
        let one = |value: Vec<u8>| Some((self.screen.clean(&value).into_owned(), 1));
        let short = |id| self.style.short(self.store, id);
        match first {
            'H' => one(commit.id.to_string().into()),
            'h' => one(short(&commit.id).into()),
            'T' => one(commit.tree.to_string().into()),
            't' => one(short(&commit.tree).into()),
            'P' => one(commit.parents.iter().map(|id| id.to_string()).collect::<Vec<_>>().join(" ").into()),
            'p' => one(commit.parents.iter().map(short).collect::<Vec<_>>().join(" ").into()),
            's' => one(message::subject(&commit.message).into()),
            'f' => one(message::sanitized(&commit.message).into()),
            'b' => one(message::body(&commit.message).as_bytes().to_vec()),
            'B' => one(commit.message.to_vec()),
            'd' => one(self.names(" (", ")")),
            'D' => one(self.names("", "")),
            'e' => one(Vec::new()),
            'n' => one(b"\n".to_vec()),
            '%' => one(b"%".to_vec()),
            'x' => hexadecimal(&rest[1..]),
            'C' => self.color(&rest[1..]),
            'a' => self.person(&commit.author, second?),
            'c' => self.person(&commit.committer, second?),
            _ => None,
        }
    }

    fn names(&self, before: &str, after: &str) -> Vec<u8> {
        match self.style.names.of(&self.commit.id) {
            [] => Vec::new(),
            names => format!("{before}{}{after}", names.join(", ")).into(),
        }
    }

    fn person(&self, who: &Signature, what: char) -> Option<(Vec<u8>, usize)> {
        let date = |style: DateStyle| style.format(who.time).into_bytes();
        let value = match what {
            'n' | 'N' => who.name.to_vec(),
            'e' | 'E' => who.email.to_vec(),
            'l' | 'L' => who.email.split_str("@").next().unwrap_or_default().to_vec(),
            'd' => date(self.style.date),
            'D' => date(DateStyle::Rfc),
            'r' => date(DateStyle::Relative),
            't' => date(DateStyle::Unix),
            'i' => date(DateStyle::Iso),
            'I' => date(DateStyle::IsoStrict),
            's' => date(DateStyle::Short),
            _ => return None,
        };
        Some((self.screen.clean(&value).into_owned(), 2))
    }

    /// `%Cred`, `%Creset`, `%C(bold blue)`, `%C(auto)`.
    fn color(&self, rest: &str) -> Option<(Vec<u8>, usize)> {
        let (words, length) = match rest.strip_prefix('(') {
            Some(inner) => inner.split_once(')').map(|(words, _)| (words, words.len() + 2))?,
            None => {
                ["red", "green", "blue", "reset"].into_iter().find(|c| rest.starts_with(c)).map(|c| (c, c.len()))?
            }
        };
        let words = words.strip_prefix("auto,").or(words.strip_prefix("always,")).unwrap_or(words);
        let code = paint(words)?;
        Some((if self.screen.has_colors() { code.into_bytes() } else { Vec::new() }, 1 + length))
    }
}

/// `%x41`
fn hexadecimal(rest: &str) -> Option<(Vec<u8>, usize)> {
    let byte = u8::from_str_radix(rest.get(..2)?, 16).ok()?;
    Some((vec![byte], 3))
}

/// The terminal's codes for git's words of a colour.
fn paint(words: &str) -> Option<String> {
    let mut style = Paint::new();
    for word in words.split_whitespace() {
        style = match word {
            "reset" | "normal" => return Some(anstyle::Reset.render().to_string()),
            "auto" => return Some(String::new()),
            "bold" => style.bold(),
            "dim" => style.dimmed(),
            "italic" => style.italic(),
            "ul" => style.underline(),
            "reverse" => style.invert(),
            "black" => style.fg_color(Some(AnsiColor::Black.into())),
            "red" => style.fg_color(Some(AnsiColor::Red.into())),
            "green" => style.fg_color(Some(AnsiColor::Green.into())),
            "yellow" => style.fg_color(Some(AnsiColor::Yellow.into())),
            "blue" => style.fg_color(Some(AnsiColor::Blue.into())),
            "magenta" => style.fg_color(Some(AnsiColor::Magenta.into())),
            "cyan" => style.fg_color(Some(AnsiColor::Cyan.into())),
            "white" => style.fg_color(Some(AnsiColor::White.into())),
            _ => return None,
        };
    }
    Some(style.render().to_string())
}

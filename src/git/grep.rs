//! `--grep`, `--author` and `--committer`: lines of commits matched as git matches them.

use plumbing::bstr::ByteSlice;
use plumbing::walk::Filter;
use regex::bytes::{Regex, RegexBuilder};

use crate::report::Failure;

/// The patterns of the command line and how they are meant.
#[derive(Debug, Default)]
pub struct Grep {
    author: Vec<String>,
    committer: Vec<String>,
    body: Vec<String>,
    syntax: Syntax,
    ignore_case: bool,
    all: bool,
    invert: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Syntax {
    /// POSIX basic regular expressions with GNU's additions.
    #[default]
    Basic,
    Extended,
    Fixed,
    Perl,
}

impl Grep {
    /// Take an option without a value; false where it is none of these.
    pub fn switch(&mut self, arg: &str) -> bool {
        match arg {
            "--basic-regexp" => self.syntax = Syntax::Basic,
            "-E" | "--extended-regexp" => self.syntax = Syntax::Extended,
            "-F" | "--fixed-strings" => self.syntax = Syntax::Fixed,
            "-P" | "--perl-regexp" => self.syntax = Syntax::Perl,
            "-i" | "--regexp-ignore-case" => self.ignore_case = true,
            "--all-match" => self.all = true,
            "--invert-grep" => self.invert = true,
            _ => return false,
        }
        true
    }

    /// Take the pattern of the option `name`.
    pub fn pattern(&mut self, name: &str, pattern: &str) {
        let list = match name {
            "--author" => &mut self.author,
            "--committer" => &mut self.committer,
            _ => &mut self.body,
        };
        // Each line is a pattern of its own.
        list.extend(pattern.split('\n').map(str::to_owned));
    }

    /// A check of encoded commits; none where there are no patterns.
    pub fn compile(self) -> Result<Option<Filter>, Failure> {
        let compile = |patterns: &[String]| patterns.iter().map(|text| self.regex(text)).collect::<Result<Vec<_>, _>>();
        let (author, committer, body) = (compile(&self.author)?, compile(&self.committer)?, compile(&self.body)?);
        if author.is_empty() && committer.is_empty() && body.is_empty() {
            return Ok(None);
        }
        let (all, invert) = (self.all, self.invert);
        Ok(Some(Box::new(move |commit| {
            let (header, message) = commit.split_once_str("\n\n").unwrap_or((commit, b""));
            let message = message.strip_suffix(b"\n").unwrap_or(message);
            let in_body = |regex: &Regex| message.split_str("\n").any(|line| regex.is_match(line));
            let is_meant = match (body.is_empty(), all) {
                (true, _) => true,
                (false, true) if !invert => body.iter().all(in_body),
                (false, _) => body.iter().any(in_body) != invert,
            };
            is_meant && is_by(header, b"author ", &author) && is_by(header, b"committer ", &committer)
        })))
    }

    fn regex(&self, text: &str) -> Result<Regex, Failure> {
        let pattern = match self.syntax {
            Syntax::Basic => posix(text, true),
            Syntax::Extended => posix(text, false),
            Syntax::Fixed => regex::escape(text),
            Syntax::Perl => text.to_owned(),
        };
        let built = RegexBuilder::new(&pattern).case_insensitive(self.ignore_case).build();
        built.map_err(|_| Failure::fatal(format!("command line, '{text}': Invalid regular expression")))
    }
}

/// Whether a person of the header matches one of `patterns`, or there are none.
fn is_by(header: &[u8], word: &[u8], patterns: &[Regex]) -> bool {
    if patterns.is_empty() {
        return true;
    }
    let mut people = header.split_str("\n").filter_map(|line| line.strip_prefix(word));
    people.any(|line| {
        let person = line.rfind_byte(b'>').map_or(line, |end| &line[..=end]);
        patterns.iter().any(|regex| regex.is_match(person))
    })
}

/// A POSIX regular expression in the syntax of the crate `regex`.
fn posix(text: &str, basic: bool) -> String {
    let mut out = String::new();
    let mut chars = text.chars().peekable();
    let mut at_start = true;
    while let Some(c) = chars.next() {
        let begins = std::mem::replace(&mut at_start, false);
        match c {
            '[' => bracket(&mut chars, &mut out),
            '\\' => match chars.next() {
                Some(special @ ('(' | ')' | '{' | '}' | '|' | '+' | '?')) if basic => {
                    at_start = matches!(special, '(' | '|');
                    out.push(special);
                }
                Some(escape @ ('w' | 'W' | 's' | 'S' | 'b' | 'B' | '<' | '>')) => out.extend(['\\', escape]),
                Some(other) => out.push_str(&regex::escape(&other.to_string())),
                None => out.push_str("\\\\"),
            },
            '(' | ')' | '{' | '}' | '|' | '+' | '?' if basic => out.extend(['\\', c]),
            '*' if begins => out.push_str("\\*"),
            '^' if basic && !begins => out.push_str("\\^"),
            '$' if basic && chars.peek().is_some() && !ends_group(&chars) => out.push_str("\\$"),
            '^' => {
                at_start = true;
                out.push('^');
            }
            _ => {
                at_start = !basic && matches!(c, '(' | '|');
                out.push(c);
            }
        }
    }
    out
}

fn ends_group(chars: &std::iter::Peekable<std::str::Chars<'_>>) -> bool {
    let mut rest = chars.clone();
    rest.next() == Some('\\') && matches!(rest.next(), Some(')' | '|'))
}

/// The rest of a bracket expression, in which a backslash is itself.
fn bracket(chars: &mut std::iter::Peekable<std::str::Chars<'_>>, out: &mut String) {
    out.push('[');
    if chars.next_if_eq(&'^').is_some() {
        out.push('^');
    }
    let mut first = true;
    while let Some(c) = chars.next() {
        match c {
            ']' if !first => {
                out.push(']');
                return;
            }
            '[' if chars.peek() == Some(&':') => {
                out.push('[');
                for c in chars.by_ref() {
                    out.push(c);
                    if c == ']' {
                        break;
                    }
                }
            }
            '[' | ']' | '\\' | '&' | '~' => out.extend(['\\', c]),
            _ => out.push(c),
        }
        first = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_expressions_are_translated() {
        for (basic, wanted) in [
            (r"a\|b", "a|b"),
            ("a|b(c)+", r"a\|b\(c\)\+"),
            (r"\(x\)\{2\}", "(x){2}"),
            ("*a*", r"\*a*"),
            ("a^b$c$", r"a\^b\$c$"),
            (r"[\]x]", r"[\\]x]"),
            ("[[:alpha:]_]", "[[:alpha:]_]"),
            (r"\.\<w\>", r"\.\<w\>"),
        ] {
            assert_eq!(posix(basic, true), wanted);
        }
        assert_eq!(posix("(a|*b)+", false), r"(a|\*b)+");
    }
}

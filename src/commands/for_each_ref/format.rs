//! A format's text and fields, and the line that they make of a ref.

use plumbing::Store;
use plumbing::bstr::ByteSlice;

use super::atom::{Atom, Condition, Field, Side};
use super::quote::Language;
use super::value::{Item, Values};
use crate::report::Failure;

/// A piece of a format.
enum Piece {
    Text(Vec<u8>),
    Atom(Atom),
}

/// What each line is made of.
pub struct Format {
    pieces: Vec<Piece>,
    language: Option<Language>,
    colors: bool,
}

impl Format {
    pub fn parse(store: &Store, text: &str, language: Option<Language>, colors: bool) -> Result<Self, Failure> {
        let mut pieces = Vec::new();
        let mut literal = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find('%') {
            literal.extend_from_slice(&rest.as_bytes()[..at]);
            rest = &rest[at + 1..];
            if let Some(inner) = rest.strip_prefix('(') {
                let malformed = || Failure::usage(format!("malformed format string %{rest}"));
                let (name, after) = inner.split_once(')').ok_or_else(malformed)?;
                pieces.push(Piece::Text(std::mem::take(&mut literal)));
                pieces.push(Piece::Atom(Atom::parse(store, name)?));
                rest = after;
            } else if let Some(after) = rest.strip_prefix('%') {
                literal.push(b'%');
                rest = after;
            } else if let Some(byte) = rest.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
                literal.push(byte);
                rest = &rest[2..];
            } else {
                literal.push(b'%');
            }
        }
        literal.extend_from_slice(rest.as_bytes());
        pieces.push(Piece::Text(literal));
        let format = Self { pieces, language, colors };
        format.check()?;
        Ok(format)
    }

    fn atoms(&self) -> impl Iterator<Item = &Atom> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Atom(atom) => Some(atom),
            Piece::Text(_) => None,
        })
    }

    fn check(&self) -> Result<(), Failure> {
        let raw = self.atoms().any(|atom| atom.field == Field::Raw { size: false });
        if raw && self.language.is_some_and(|language| language != Language::Perl) {
            return Err(Failure::fatal("--format=%(raw) cannot be used with --python, --shell, --tcl"));
        }
        Ok(())
    }

    /// Colours that the format sets end with its line.
    fn leaves_color(&self) -> bool {
        let last = self.atoms().filter_map(|atom| match &atom.field {
            Field::Color(code) => Some(code != "\x1b[m"),
            _ => None,
        });
        self.colors && last.last().unwrap_or(false)
    }

    /// The line of a ref, without its end.
    pub fn line(&self, values: &Values<'_>, item: &Item) -> Result<Vec<u8>, Failure> {
        let mut stack = Stack { levels: vec![Level::default()], language: self.language };
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => stack.append(text),
                Piece::Atom(atom) => match &atom.field {
                    Field::Align { width, side } => stack.open(Block::Align { width: *width, side: *side }),
                    Field::If(condition) => stack.open(Block::If { condition: condition.clone(), stage: Stage::If }),
                    Field::Then => stack.then()?,
                    Field::Else => stack.otherwise()?,
                    Field::End => stack.end()?,
                    Field::Color(code) => stack.append_value(if self.colors { code.as_bytes() } else { b"" }),
                    _ => stack.append_value(&values.of(item, atom)?.text),
                },
            }
        }
        if self.leaves_color() {
            stack.append_value(b"\x1b[m");
        }
        stack.finish()
    }
}

/// A part of the line that something is done to as a whole.
#[derive(Default)]
struct Level {
    text: Vec<u8>,
    block: Option<Block>,
}

enum Block {
    Align { width: usize, side: Side },
    If { condition: Condition, stage: Stage },
}

/// How far an `%(if)` is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    If,
    Then { holds: bool },
    Else { holds: bool },
}

struct Stack {
    levels: Vec<Level>,
    language: Option<Language>,
}

impl Stack {
    fn top(&mut self) -> &mut Level {
        self.levels.last_mut().expect("because the first level is never closed")
    }

    fn append(&mut self, text: &[u8]) {
        self.top().text.extend_from_slice(text);
    }

    /// Values are quoted where they go into the line itself; blocks are quoted as a whole.
    fn append_value(&mut self, value: &[u8]) {
        match self.language.filter(|_| self.levels.len() == 1) {
            Some(language) => self.append(&language.quote(value)),
            None => self.append(value),
        }
    }

    fn open(&mut self, block: Block) {
        self.levels.push(Level { text: Vec::new(), block: Some(block) });
    }

    fn then(&mut self) -> Result<(), Failure> {
        let level = self.top();
        let holds = match &level.block {
            Some(Block::If { condition, stage: Stage::If }) => condition.holds(&level.text),
            Some(Block::If { stage: Stage::Then { .. }, .. }) => {
                return Err(Failure::fatal("format: %(then) atom used more than once"));
            }
            Some(Block::If { stage: Stage::Else { .. }, .. }) => {
                return Err(Failure::fatal("format: %(then) atom used after %(else)"));
            }
            _ => return Err(Failure::fatal("format: %(then) atom used without a %(if) atom")),
        };
        level.text.clear();
        level.advance(Stage::Then { holds });
        Ok(())
    }

    fn otherwise(&mut self) -> Result<(), Failure> {
        let level = self.top();
        let holds = match &level.block {
            Some(Block::If { stage: Stage::Then { holds }, .. }) => *holds,
            Some(Block::If { stage: Stage::If, .. }) => {
                return Err(Failure::fatal("format: %(else) atom used without a %(then) atom"));
            }
            Some(Block::If { .. }) => return Err(Failure::fatal("format: %(else) atom used more than once")),
            _ => return Err(Failure::fatal("format: %(else) atom used without an %(if) atom")),
        };
        if holds {
            // What follows is thrown away: it goes into a text of its own.
            let kept = std::mem::take(&mut level.text);
            self.levels.push(Level::default());
            let below = self.levels.len() - 2;
            self.levels[below].text = kept;
            self.levels[below].advance(Stage::Else { holds });
            return Ok(());
        }
        level.text.clear();
        level.advance(Stage::Else { holds });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Failure> {
        let without = || Failure::fatal("format: %(end) atom used without corresponding atom");
        if self.levels.len() == 1 {
            return Err(without());
        }
        let mut level = self.levels.pop().ok_or_else(without)?;
        if level.block.is_none() {
            // What stood after an `%(else)` that doesn't apply.
            level = self.levels.pop().ok_or_else(without)?;
        }
        let text = match level.block {
            Some(Block::Align { width, side }) => aligned(&level.text, width, side),
            Some(Block::If { stage, .. }) => match stage {
                Stage::If => return Err(Failure::fatal("format: %(if) atom used without a %(then) atom")),
                Stage::Then { holds: false } => Vec::new(),
                _ => level.text,
            },
            None => return Err(without()),
        };
        self.append_value(&text);
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<u8>, Failure> {
        match self.levels.len() {
            1 => Ok(std::mem::take(&mut self.top().text)),
            _ => Err(Failure::fatal("format: %(end) atom missing")),
        }
    }
}

impl Level {
    fn advance(&mut self, next: Stage) {
        if let Some(Block::If { stage, .. }) = &mut self.block {
            *stage = next;
        }
    }
}

impl Condition {
    fn holds(&self, text: &[u8]) -> bool {
        match self {
            Condition::NotEmpty => !text.trim().is_empty(),
            Condition::Equals(other) => text == other.as_bytes(),
            Condition::Differs(other) => text != other.as_bytes(),
        }
    }
}

/// The text in so many columns.
fn aligned(text: &[u8], width: usize, side: Side) -> Vec<u8> {
    let columns: usize = text.chars().filter_map(unicode_width::UnicodeWidthChar::width).sum();
    let space = width.saturating_sub(columns);
    let before = match side {
        Side::Left => 0,
        Side::Middle => space / 2,
        Side::Right => space,
    };
    [&b" ".repeat(before), text, &b" ".repeat(space - before)].concat()
}

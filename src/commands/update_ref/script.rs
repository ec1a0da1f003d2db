//! `update-ref --stdin`: commands that change refs, in transactions (git-update-ref(1)).

use std::io::Read;
use std::process::ExitCode;

use plumbing::bstr::{BStr, BString, ByteSlice};
use plumbing::store::refs::PreparedRefs;
use plumbing::{Id, Store};

use super::change::{self, Change, Options};
use super::{named, null};
use crate::git;
use crate::report::Failure;

/// How far a transaction is; the order matters, as it never goes back.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// None was asked for: all happens at the end.
    Open,
    Started,
    Prepared,
    Closed,
}

struct Script<'s> {
    store: &'s Store,
    options: Options,
    /// `option no-deref` holds for the next command.
    deref_once: Option<bool>,
    stage: Stage,
    changes: Vec<Change>,
    prepared: Option<PreparedRefs<'s>>,
}

pub fn run(store: &Store, options: Options, nul: bool) -> Result<ExitCode, Failure> {
    let mut input = Vec::new();
    std::io::stdin().lock().read_to_end(&mut input)?;
    let mut script =
        Script { store, options, deref_once: None, stage: Stage::Open, changes: Vec::new(), prepared: None };
    let mut words = Words { rest: input.as_bstr(), nul };
    while let Some(line) = words.next_line() {
        script.command(line, &mut words)?;
    }
    if script.stage == Stage::Open {
        script.prepare()?;
        script.commit()?;
    }
    Ok(ExitCode::SUCCESS)
}

impl<'s> Script<'s> {
    fn command<'a>(&mut self, line: &'a BStr, words: &mut Words<'a>) -> Result<(), Failure> {
        if line.is_empty() {
            return Err(Failure::fatal("empty command in input"));
        }
        if line[0].is_ascii_whitespace() {
            return Err(Failure::fatal(format!("whitespace before command: {line}")));
        }
        let (name, arguments) = line.split_once_str(" ").unwrap_or((line, b""));
        let mut arguments = Arguments { command: name.to_str_lossy().into(), rest: arguments.as_bstr(), words };
        let known = ["start", "prepare", "abort", "commit", "update", "create", "delete", "verify", "option"];
        if !known.contains(&arguments.command.as_str()) {
            return Err(Failure::fatal(format!("unknown command: {line}")));
        }
        self.enter(&arguments.command)?;
        match name {
            b"start" => git::print_line("start: ok"),
            b"prepare" => {
                self.prepare()?;
                git::print_line("prepare: ok")
            }
            b"abort" => {
                self.prepared = None;
                self.changes.clear();
                git::print_line("abort: ok")
            }
            b"commit" => {
                if self.prepared.is_none() {
                    self.prepare()?;
                }
                self.commit()?;
                git::print_line("commit: ok")
            }
            b"option" => match arguments.rest.as_bytes() {
                b"no-deref" => {
                    self.deref_once = Some(false);
                    Ok(())
                }
                other => Err(Failure::fatal(format!("option unknown: {}", other.as_bstr()))),
            },
            _ => self.change(&mut arguments),
        }
    }

    /// Move to the stage that a command leads to, if it may come now.
    fn enter(&mut self, command: &str) -> Result<(), Failure> {
        let next = match command {
            "start" => Stage::Started,
            "prepare" => Stage::Prepared,
            "abort" | "commit" => Stage::Closed,
            _ => Stage::Open,
        };
        match (self.stage, next) {
            (Stage::Started, Stage::Started) => Err(Failure::fatal("cannot restart ongoing transaction")),
            (Stage::Prepared, next) if next != Stage::Closed => {
                Err(Failure::fatal("prepared transactions can only be closed"))
            }
            (Stage::Closed, next) if next != Stage::Started => Err(Failure::fatal("transaction is closed")),
            (Stage::Closed, _) => {
                self.stage = next;
                Ok(())
            }
            _ => {
                self.stage = self.stage.max(next);
                Ok(())
            }
        }
    }

    fn change(&mut self, arguments: &mut Arguments<'_, '_>) -> Result<(), Failure> {
        let command = arguments.command.clone();
        let name = arguments.name()?;
        let bad = |what: &str| Failure::fatal(format!("{command} {name}: {what}"));
        let mut options = self.options.clone();
        options.deref = self.deref_once.take().unwrap_or(options.deref);
        let change = match command.as_str() {
            "update" => {
                let new = arguments.id(self.store, &name, "new")?.ok_or_else(|| bad("missing <new-oid>"))?;
                let old = arguments.id(self.store, &name, "old")?;
                Change::new(&name, Some(new).filter(|id| !id.is_null()), old, &options)
            }
            "create" => {
                let new = arguments.id(self.store, &name, "new")?.ok_or_else(|| bad("missing <new-oid>"))?;
                if new.is_null() {
                    return Err(bad("zero <new-oid>"));
                }
                Change::new(&name, Some(new), Some(null()), &options)
            }
            "delete" => {
                let old = arguments.id(self.store, &name, "old")?;
                if old.is_some_and(|old| old.is_null()) {
                    return Err(bad("zero <old-oid>"));
                }
                Change::new(&name, None, old, &options)
            }
            _ => {
                let old = arguments.id(self.store, &name, "old")?.unwrap_or_else(null);
                Change::verify(&name, old, &options)
            }
        };
        arguments.end(&name)?;
        self.changes.push(change);
        Ok(())
    }

    fn prepare(&mut self) -> Result<(), Failure> {
        self.prepared = Some(change::prepare(self.store, &self.changes).map_err(Failure::fatal)?);
        Ok(())
    }

    fn commit(&mut self) -> Result<(), Failure> {
        self.changes.clear();
        let prepared = self.prepared.take().expect("because it was prepared just now");
        let (_, who) = git::ident::author_and_committer(self.store)?;
        Ok(prepared.commit_as(&who, true)?)
    }
}

/// The input: lines, or with `-z` pieces that NUL ends.
struct Words<'a> {
    rest: &'a BStr,
    nul: bool,
}

impl<'a> Words<'a> {
    fn next_line(&mut self) -> Option<&'a BStr> {
        if self.rest.is_empty() {
            return None;
        }
        let end = if self.nul { b'\0' } else { b'\n' };
        let (line, rest) = match self.rest.find_byte(end) {
            Some(at) => (&self.rest[..at], &self.rest[at + 1..]),
            None => (self.rest, self.rest[self.rest.len()..].as_bstr()),
        };
        self.rest = rest.as_bstr();
        Some(line.as_bstr())
    }
}

/// The arguments of one command.
struct Arguments<'w, 'a> {
    command: String,
    /// What is left of the line.
    rest: &'a BStr,
    words: &'w mut Words<'a>,
}

impl Arguments<'_, '_> {
    /// The ref's name.
    fn name(&mut self) -> Result<String, Failure> {
        let word = match self.words.nul {
            true => std::mem::take(&mut self.rest).to_owned(),
            false => self.word()?.unwrap_or_default(),
        };
        if word.is_empty() {
            return Err(Failure::fatal(format!("{}: missing <ref>", self.command)));
        }
        let name = word.to_string();
        match plumbing::gix::refs::FullName::try_from(name.as_str()) {
            Ok(_) => Ok(name),
            Err(_) => Err(Failure::fatal(format!("invalid ref format: {name}"))),
        }
    }

    /// The next word of a line, quoted as C strings are where it begins with a quote; `None` at the end.
    fn word(&mut self) -> Result<Option<BString>, Failure> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        if self.rest.starts_with(b"\"") {
            let unquoted = plumbing::gix::quote::ansi_c::undo(self.rest);
            let (word, used) = unquoted.map_err(|_| Failure::fatal(format!("badly quoted argument: {}", self.rest)))?;
            let after = &self.rest[used..];
            self.rest = after.strip_prefix(b" ").unwrap_or(after).as_bstr();
            return Ok(Some(word.into_owned()));
        }
        let (word, rest) = self.rest.split_once_str(" ").unwrap_or((self.rest, b""));
        self.rest = rest.as_bstr();
        Ok(Some(word.into()))
    }

    /// An id; `None` where it is left out. In lines an empty word is all zeros, with `-z` it is left out.
    fn id(&mut self, store: &Store, name: &str, which: &str) -> Result<Option<Id>, Failure> {
        let word = match self.words.nul {
            true => {
                let missing = || {
                    Failure::fatal(format!(
                        "{} {name}: unexpected end of input when reading <{which}-oid>",
                        self.command
                    ))
                };
                Some(self.words.next_line().ok_or_else(missing)?.to_owned())
                    .filter(|word| !word.is_empty() || which == "new")
            }
            false => self.word()?,
        };
        match word {
            None => Ok(None),
            Some(word) if word.is_empty() => Ok(Some(null())),
            Some(word) => {
                let text = word.to_string();
                let found = named(store, &text, "")
                    .map_err(|_| Failure::fatal(format!("{} {name}: invalid <{which}-oid>: {text}", self.command)))?;
                Ok(Some(found))
            }
        }
    }

    fn end(&mut self, name: &str) -> Result<(), Failure> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(Failure::fatal(format!("{} {name}: extra input: {}", self.command, self.rest)))
    }
}

//! The side that was called: it lists its images, sends and takes them.

use std::io::{Read, Write};

use super::receive::{Received, Tip, receive};
use super::wire::{Wire, unintelligible};
use super::{one_line, send};
use crate::store::refs::{Expect, IMAGES};
use crate::{Error, Id, ImageName, Result, Store};

/// What the reflogs of images say that somebody pushed.
const MESSAGE: &str = "push";

/// At most so many names in one push.
const MOST_NAMES: usize = 65_536;

/// What whoever calls may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Fetch.
    Read,
    /// Fetch and push.
    Write,
}

/// A name that shall be moved.
struct Move {
    name: String,
    old: Option<Id>,
    new: Id,
}

/// Serve one caller until it hangs up. What goes wrong it is told; the error is for this side.
pub fn serve(store: &Store, input: impl Read + 'static, output: impl Write + 'static, access: Access) -> Result<()> {
    let mut wire = Wire::accept(input, output)?;
    let mut word = Vec::new();
    loop {
        match wire.receive(&mut word) {
            Ok(true) => {}
            Ok(false) => return Err(unintelligible(b"")),
            Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        }
        let outcome = match word.as_slice() {
            b"list" => end_of_request(&mut wire).and_then(|()| list(store, &mut wire)),
            b"fetch" => end_of_request(&mut wire).and_then(|()| send::answer(store, &mut wire)),
            b"push" => push(store, &mut wire, access),
            _ => Err(unintelligible(&word)),
        };
        if let Err(error) = outcome {
            // Where the caller still listens it shall know why.
            let _ = wire.say_error(&one_line(&error));
            return Err(error);
        }
    }
}

fn end_of_request(wire: &mut Wire) -> Result<()> {
    let mut more = Vec::new();
    if wire.receive(&mut more)? { Err(unintelligible(&more)) } else { Ok(()) }
}

fn list(store: &Store, wire: &mut Wire) -> Result<()> {
    for (name, id) in store.list_refs(IMAGES)? {
        wire.send(format!("{id} {name}").as_bytes())?;
    }
    wire.end()
}

fn push(store: &Store, wire: &mut Wire, access: Access) -> Result<()> {
    let mut moves = Vec::new();
    let mut line = Vec::new();
    while wire.receive(&mut line)? {
        if moves.len() == MOST_NAMES {
            return Err(unintelligible(b"too many names at once"));
        }
        moves.push(parse_move(&line)?);
    }
    if access == Access::Read {
        let why = "it is served for reading alone".to_owned();
        return Err(Error::Unsupported { what: "push to this store".into(), why });
    }
    let mut refused: Vec<Option<String>> =
        moves.iter().map(|step| check(store, step).err().map(|error| one_line(&error))).collect();
    let wanted = moves.iter().zip(&refused).filter(|(_, refused)| refused.is_none());
    let tips: Vec<Tip> = wanted.map(|(step, _)| Tip { id: step.new, like: step.old }).collect();
    let received = receive(store, wire, &tips, &mut |_| {})?;
    for (step, refused) in moves.iter().zip(&mut refused).filter(|(_, refused)| refused.is_none()) {
        *refused = apply(store, step, &received).err().map(|error| one_line(&error));
    }
    for (step, refused) in moves.iter().zip(refused) {
        match refused {
            None => wire.send(format!("ok {}", step.name).as_bytes())?,
            Some(why) => wire.send(format!("ng {} {why}", step.name).as_bytes())?,
        }
    }
    wire.end()
}

/// `<old> <new> <name>`, where a name that isn't there yet is at zeros.
fn parse_move(line: &[u8]) -> Result<Move> {
    let words = std::str::from_utf8(line).ok().and_then(|line| {
        let (old, rest) = line.split_once(' ')?;
        let (new, name) = rest.split_once(' ')?;
        let id = |text: &str| Id::from_hex(text.as_bytes()).ok().filter(|id| id.kind() == gix::hash::Kind::Sha256);
        Some((id(old)?, id(new).filter(|id| !id.is_null())?, name))
    });
    let (old, new, name) = words.ok_or_else(|| unintelligible(line))?;
    Ok(Move { name: name.to_owned(), old: (!old.is_null()).then_some(old), new })
}

/// Whether the name may be moved: before anything is sent for it.
fn check(store: &Store, step: &Move) -> Result<()> {
    if ImageName::from_ref(&step.name).is_none_or(|image| image.to_ref() != step.name) {
        let why = "it is no name of an image".to_owned();
        return Err(Error::Invalid { what: "ref", input: step.name.clone(), why });
    }
    match store.get_ref(&step.name)? == step.old {
        true => Ok(()),
        false => Err(Error::Raced { name: step.name.clone() }),
    }
}

fn apply(store: &Store, step: &Move, _: &Received) -> Result<()> {
    store.update_ref(&step.name, step.new, step.old.map_or(Expect::Missing, Expect::Id), MESSAGE)
}

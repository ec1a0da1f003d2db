//! The side that calls.

use std::io::{Read, Write};

use super::receive::{Received, Tip, Watch, receive};
use super::send;
use super::wire::{Compress, Traffic, Wire, unintelligible};
use crate::{Error, Id, ImageName, Result, Store};

/// At most so many images are listed.
const MOST_IMAGES: usize = 1_000_000;

/// A name at the other store that shall be moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// The image's name there.
    pub name: ImageName,
    /// What it is now; `None` where there is none.
    pub old: Option<Id>,
    /// The commit that it shall be.
    pub new: Id,
}

/// A connection to another store.
pub struct Client {
    wire: Wire,
}

impl Client {
    /// Greet the `rd serve-stdio` at the other end.
    pub fn connect(input: impl Read + 'static, output: impl Write + 'static, compress: Compress) -> Result<Self> {
        Ok(Self { wire: Wire::connect(input, output, compress)? })
    }

    /// How many bytes have gone over the connection.
    pub fn traffic(&self) -> Traffic {
        self.wire.traffic()
    }

    /// The images of the other store.
    pub fn list(&mut self) -> Result<Vec<(ImageName, Id)>> {
        self.wire.send(b"list")?;
        self.wire.end()?;
        let (mut images, mut line) = (Vec::new(), Vec::new());
        while self.wire.receive(&mut line)? {
            let words = std::str::from_utf8(&line).ok().and_then(|line| line.split_once(' '));
            let id = words.and_then(|(id, _)| Id::from_hex(id.as_bytes()).ok());
            let (Some((_, name)), Some(id)) = (words, id.filter(|id| id.kind() == gix::hash::Kind::Sha256)) else {
                return Err(unintelligible(&line));
            };
            // A name that this rd wouldn't write is none that it could use.
            images.extend(ImageName::from_ref(name).filter(|image| image.to_ref() == name).map(|image| (image, id)));
            if images.len() > MOST_IMAGES {
                return Err(unintelligible(b"more than a million images"));
            }
        }
        Ok(images)
    }

    /// Bring the commits `tips` of images into `store`, with all that they need and it lacks. Refs may be pointed at them while
    /// what is returned lives.
    pub fn fetch(&mut self, store: &Store, tips: &[Tip], watch: Watch<'_>) -> Result<Received> {
        self.wire.send(b"fetch")?;
        self.wire.end()?;
        receive(store, &mut self.wire, tips, watch)
    }

    /// Send what these updates need and the other store lacks, and have its names moved. What became of each.
    pub fn push(&mut self, store: &Store, updates: &[Update]) -> Result<Vec<Result<(), String>>> {
        self.wire.send(b"push")?;
        for update in updates {
            let old = update.old.unwrap_or(Id::null(gix::hash::Kind::Sha256));
            self.wire.send(format!("{old} {} {}", update.new, update.name.to_ref()).as_bytes())?;
        }
        self.wire.end()?;
        // Nothing that is sent may be removed meanwhile.
        let _hold = store.hold()?;
        send::answer(store, &mut self.wire).map_err(|error| self.reason(error))?;
        let (mut outcomes, mut line) = (Vec::new(), Vec::new());
        for update in updates {
            if !self.wire.receive(&mut line)? {
                return Err(unintelligible(b"no word on what became of a name"));
            }
            outcomes.push(outcome(&String::from_utf8_lossy(&line), &update.name.to_ref())?);
        }
        match self.wire.receive(&mut line)? {
            false => Ok(outcomes),
            true => Err(unintelligible(&line)),
        }
    }

    /// Why the other side doesn't listen any longer: it may have said so before it hung up.
    fn reason(&mut self, error: Error) -> Error {
        let is_deaf = matches!(&error, Error::Io { source, .. } if source.kind() == std::io::ErrorKind::BrokenPipe);
        let mut packet = Vec::new();
        match is_deaf.then(|| self.wire.receive(&mut packet)) {
            Some(Err(told @ Error::Told { .. })) => told,
            _ => error,
        }
    }
}

fn outcome(line: &str, name: &str) -> Result<Result<(), String>> {
    let refused = line.strip_prefix("ng ").and_then(|rest| rest.strip_prefix(name)?.strip_prefix(' '));
    match (line.strip_prefix("ok ") == Some(name), refused) {
        (true, _) => Ok(Ok(())),
        (_, Some(why)) => Ok(Err(why.to_owned())),
        _ => Err(unintelligible(line.as_bytes())),
    }
}

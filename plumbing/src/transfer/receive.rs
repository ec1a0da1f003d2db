//! The side that lacks something: it finds out what, asks for it, and checks it before anybody sees it.

use std::sync::Arc;

use gix::objs::Kind;

use super::send::{Question, Wanted};
use super::wire::{Announced, Wire};
use super::{LARGEST_DELTA, MOST_IDS, commits, contents, trees};
use crate::cold::delta;
use crate::receive_pack::{Checker, prepare, refused};
use crate::store::{Arrivals, Hold, Staging};
use crate::{Error, Id, Result, Store, well_formed};

/// Objects that are no contents are held in memory one by one: no larger ones are taken.
const LARGEST: u64 = 256 << 20;

/// How far a transfer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Commits, trees and small blobs that came.
    pub objects: u64,
    /// Files' contents that came.
    pub contents: u64,
    /// Files' contents that have to come, as soon as that is known.
    pub all_contents: u64,
    /// Bytes of files that came.
    pub bytes: u64,
    /// Bytes of files that have to come.
    pub all_bytes: u64,
}

/// Something came, with all that it needs: refs may be pointed at it while this lives.
pub struct Received {
    /// What came.
    pub progress: Progress,
    _hold: Arc<Hold>,
}

/// Is told how far it is, every now and then.
pub type Watch<'w> = &'w mut dyn FnMut(&Progress);

/// Objects on their way in. Dropped, they leave no trace.
pub(super) struct Receiver<'a> {
    /// The store that they are for.
    pub(super) store: &'a Store,
    /// The same store and the objects that came so far.
    pub(super) side: Store,
    arrivals: Arrivals,
    pub(super) wire: &'a mut Wire,
    pub(super) progress: Progress,
    watch: Watch<'a>,
    hold: Arc<Hold>,
    /// Removed last.
    _staging: Staging,
}

/// A commit to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tip {
    /// Its id.
    pub id: Id,
    /// A commit of the store that it may be like, though neither descends from the other: what the name that it is for was
    /// before. What differs little from what is there comes as the difference.
    pub like: Option<Id>,
}

/// Take the commits `tips` of images, and all that they need and `store` lacks.
pub(super) fn receive(store: &Store, wire: &mut Wire, tips: &[Tip], watch: Watch<'_>) -> Result<Received> {
    let mut receiver = Receiver::new(store, wire, watch)?;
    let new = commits::take(&mut receiver, tips)?;
    let contents = trees::take(&mut receiver, &new)?;
    receiver.arrivals.show()?;
    let source = Store::open_git(receiver.side.dir())?;
    let mut checker = Checker::before_contents(&source);
    new.right.iter().for_each(|id| checker.trust(*id));
    // Parents first: what is right in one is right in the next.
    new.order.iter().rev().try_for_each(|id| checker.check(id))?;
    contents::take(&mut receiver, contents, &checker)?;
    checker.check_layers()?;
    Question::Done.send(receiver.wire)?;
    receiver.finish()
}

impl<'a> Receiver<'a> {
    fn new(store: &'a Store, wire: &'a mut Wire, watch: Watch<'a>) -> Result<Self> {
        // What is found in the store now must not be removed before the rest is there.
        let hold = store.hold()?;
        let staging = Staging::create(&store.staging_parent())?;
        let pack = prepare(store, staging.path())?;
        let side = Store::open_git(staging.path())?;
        let arrivals = Arrivals::new(pack.parent().unwrap_or(staging.path()));
        Ok(Self { store, side, arrivals, wire, progress: Progress::default(), watch, hold, _staging: staging })
    }

    /// Let all objects that came be read.
    pub(super) fn show(&mut self) -> Result<()> {
        self.arrivals.show()
    }

    pub(super) fn tell(&mut self) {
        (self.watch)(&self.progress);
    }

    /// Read the bytes of an object that was announced, and check them. Gives its id, too.
    pub(super) fn read(&mut self, announced: Announced, like: Option<Id>) -> Result<(Id, Vec<u8>)> {
        let Announced { kind, size, .. } = announced;
        if size > LARGEST {
            let what = format!("{kind} of {size} bytes");
            return Err(Error::Unsupported { what, why: format!("no object may have more than {LARGEST}") });
        }
        let data = self.read_bytes(announced, like)?;
        well_formed::check(kind, &data).map_err(|why| Error::Invalid {
            what: "object",
            input: format!("{kind} of {size} bytes"),
            why,
        })?;
        let id = gix::objs::compute_hash(gix::hash::Kind::Sha256, kind, &data).map_err(Error::git("hash an object"))?;
        Ok((id, data))
    }

    /// Read the bytes of an object, which may come as the difference to `like`. The caller has looked at the size.
    pub(super) fn read_bytes(&mut self, announced: Announced, like: Option<Id>) -> Result<Vec<u8>> {
        let Announced { kind, size, delta } = announced;
        let mut data = Vec::new();
        self.wire.receive_data(delta.unwrap_or(size), |part| {
            data.extend_from_slice(part);
            Ok(())
        })?;
        if delta.is_none() {
            return Ok(data);
        }
        let length = usize::try_from(size).ok().filter(|_| size <= LARGEST_DELTA);
        let base = like.map(|like| self.side.read_object(&like, kind)).transpose()?;
        let made = base.zip(length).and_then(|(base, length)| delta::apply(&base, &data, length));
        made.ok_or_else(|| Error::Told { why: format!("a difference that makes no {kind} of {size} bytes") })
    }

    /// Keep an object that came.
    pub(super) fn keep(&mut self, id: Id, kind: Kind, data: &[u8]) -> Result<()> {
        self.progress.objects += 1;
        self.arrivals.add(id, kind, data)
    }

    /// Ask for objects, each of the kind that is said, and keep them.
    pub(super) fn ask(&mut self, wanted: &[(Wanted, Kind)]) -> Result<()> {
        for some in wanted.chunks(MOST_IDS) {
            Question::Objects(some.iter().map(|(wanted, _)| *wanted).collect()).send(self.wire)?;
            for (Wanted { id, like }, kind) in some {
                let announced = self.wire.receive_header()?.ok_or_else(|| refused(id, "it didn't come"))?;
                if announced.kind != *kind {
                    return Err(refused(id, &format!("it is a {} where a {kind} is needed", announced.kind)));
                }
                let (came, data) = self.read(announced, *like)?;
                if came != *id {
                    return Err(refused(id, &format!("the object that came is {came}")));
                }
                self.keep(*id, *kind, &data)?;
            }
            self.end_of_answer()?;
            self.tell();
        }
        Ok(())
    }

    /// No more may come than was asked for.
    pub(super) fn end_of_answer(&mut self) -> Result<()> {
        match self.wire.receive_header()? {
            None => Ok(()),
            Some(more) => Err(super::wire::unintelligible(format!("a {} that nobody asked for", more.kind).as_bytes())),
        }
    }

    fn finish(mut self) -> Result<Received> {
        self.arrivals.show()?;
        self.arrivals.publish(self.store)?;
        Ok(Received { progress: self.progress, _hold: self.hold })
    }
}

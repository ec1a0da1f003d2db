//! Tar layers in and out: an archive becomes edits of a root, contents, and a recipe by which it can be made again.
//!
//! [`Unpacker`] reads archives in one pass each: one thread reads, decompresses and computes the diff id, the calling
//! thread understands the tar, others hash and write the contents. [`replay`] makes the tar again from the recipe;
//! [`Packer`] makes a tar of any root.

mod apply;
mod changes;
mod chunked;
pub mod compression;
mod entry;
mod flushing;
mod header;
mod index;
mod pack;
mod path;
mod pax;
mod recipe;
mod replay;
mod sparse;
mod stream;
mod writers;

use std::collections::{HashSet, VecDeque};
use std::io::Read;
use std::sync::Arc;

use gix::bstr::{BString, ByteSlice};

pub(crate) use apply::implied;
use apply::{Applier, Edit, Targets};
pub use changes::pack_changes;
pub(crate) use chunked::write_chunked;
use entry::{End, Entries, Entry, Next, Payload, What, refused};
use flushing::Flushing;
pub use index::{Indexed, index};
pub use pack::{Packer, pack_part, pack_root};
pub use path::shown;
use recipe::{Ids, Recipe, Sink};
pub use replay::{Head, contents, head, replay};
use sparse::Map;
pub use stream::Ending;
use stream::{Blocks, Slice, Stream};
use writers::{Part, SMALL, Writers};

use crate::root::{Attrs, Kind, Leaf, Root, RootIds, Time};
use crate::store::{Batch, Contents};
use crate::{Error, Id, Result};

/// Bytes of holes that the sparse files of one archive may have altogether: they cost no room, but must be
/// hashed, and this many take some minutes.
const HOLES: u64 = 256 << 30;

/// What an archive is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// All files of a root: names that begin with `.wh.` are names as any other. The tar's end mark must be there.
    Root,
    /// A layer as of the OCI image specification: `.wh.` names are whiteouts.
    Layer,
}

/// What became of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unpacked {
    /// Digests and sizes.
    pub ending: Ending,
    /// The tree of the recipe.
    pub layer: Id,
    /// The newest modification time of an entry.
    pub newest: Option<Time>,
}

/// Unpacks layers one on another into a root.
pub struct Unpacker<'b, 's> {
    batch: &'b mut Batch<'s>,
    root: Root,
    targets: Targets,
    flushing: Flushing,
}

impl<'b, 's> Unpacker<'b, 's> {
    /// Start with an empty root.
    pub fn new(batch: &'b mut Batch<'s>) -> Self {
        let (attrs, mtime) = implied();
        Self::on(batch, Root::new(attrs, mtime))
    }

    /// Start with `root`.
    pub fn on(batch: &'b mut Batch<'s>, root: Root) -> Self {
        Self { batch, root, targets: Targets::default(), flushing: Flushing::default() }
    }

    /// The batch that is written to.
    pub fn batch(&mut self) -> &mut Batch<'s> {
        self.batch
    }

    /// Write the root as it is now, after which the batch can be finished.
    pub fn write_root(&mut self) -> Result<RootIds> {
        let ids = self.root.write(self.batch)?;
        self.flushing.join()?;
        Ok(ids)
    }

    /// Read an archive, compressed or not, to the end of `source` and apply it to the root.
    ///
    /// `Refused` names the entry that is wrong. After an error the root is no longer usable.
    pub fn unpack(&mut self, source: Box<dyn Read + Send>, form: Form) -> Result<Unpacked> {
        let contents = self.batch.contents()?;
        let pass = Pass {
            stream: Stream::start(source),
            recipe: Recipe::default(),
            ids: Ids::default(),
            writers: Writers::start(&contents),
            waiting: VecDeque::new(),
            applier: Applier::new(&mut self.root, form, &mut self.targets),
            batch: self.batch,
            holes_left: HOLES,
            newest: None,
            flushing: &mut self.flushing,
            contents: &contents,
        };
        let unpacked = pass.run(form)?;
        self.flushing.ended(unpacked.ending.size, &contents)?;
        Ok(unpacked)
    }
}

/// One pass over one archive.
struct Pass<'a, 's> {
    stream: Stream,
    recipe: Recipe,
    ids: Ids,
    writers: Writers,
    /// Entries in their order that wait for the ids of contents in front of them.
    waiting: VecDeque<(BString, Waiting)>,
    applier: Applier<'a>,
    batch: &'a mut Batch<'s>,
    holes_left: u64,
    newest: Option<Time>,
    flushing: &'a mut Flushing,
    contents: &'a Arc<Contents>,
}

enum Waiting {
    Ready(Edit),
    File { number: usize, size: u64, attrs: Attrs, mtime: Time },
}

impl Pass<'_, '_> {
    fn run(mut self, form: Form) -> Result<Unpacked> {
        let mut entries = Entries::default();
        let end = loop {
            match entries.next(&mut self.stream, &mut self.recipe)? {
                Next::Entry(entry, payload) => self.entry(entry, payload)?,
                Next::End(end) => break end,
            }
            self.writers.poll(&mut self.ids)?;
            self.apply_ready()?;
            self.flushing.passed(self.stream.position(), self.contents)?;
        };
        while let Some(slice) = self.stream.take(usize::MAX)? {
            self.recipe.raw(&slice);
        }
        if form == Form::Root && end == End::Stream {
            let why = if self.stream.position() == 0 {
                "it is empty"
            } else {
                "it ends without an end mark: it was cut short"
            };
            return Err(Error::Invalid { what: "archive", input: "tar".into(), why: why.into() });
        }
        self.finish()
    }

    fn finish(mut self) -> Result<Unpacked> {
        self.writers.finish(&mut self.ids)?;
        self.apply_ready()?;
        let ending = self.stream.ending();
        let extra = extra_contents(&self.ids, &mut self.applier);
        let layer = self.recipe.finish(&self.ids, &ending, &extra, self.batch)?;
        Ok(Unpacked { ending, layer, newest: self.newest })
    }

    fn entry(&mut self, entry: Entry, payload: Payload) -> Result<()> {
        let Entry { name, what, attrs, mtime } = entry;
        self.newest = self.newest.max(Some(mtime));
        let leaf = |kind| Waiting::Ready(Edit::Leaf(Leaf { kind, attrs: attrs.clone(), mtime }));
        let waiting = match what {
            What::File(map) => {
                let number = self.content(&name, &map)?;
                Some(Waiting::File { number, size: map.size, attrs, mtime })
            }
            What::Dir => Some(Waiting::Ready(Edit::Dir { attrs, mtime })),
            What::Symlink(target) => {
                Some(leaf(Kind::Symlink { id: self.applier.targets().write(target, self.batch)? }))
            }
            What::Link(target) => Some(Waiting::Ready(Edit::Link(target))),
            What::Special(kind) => Some(leaf(kind)),
            What::Nothing => None,
        };
        let rest = if matches!(waiting, Some(Waiting::File { .. })) { 0 } else { payload.stored };
        self.skip(&name, rest + payload.padding)?;
        self.waiting.extend(waiting.map(|waiting| (name, waiting)));
        Ok(())
    }

    /// Bytes that belong to no file.
    fn skip(&mut self, name: &BString, mut left: u64) -> Result<()> {
        while left > 0 {
            let slice = self.piece(name, left)?;
            self.recipe.raw(&slice);
            left -= slice.len() as u64;
        }
        Ok(())
    }

    /// Some of the next `left` bytes of the entry `name`.
    fn piece(&mut self, name: &BString, left: u64) -> Result<Slice> {
        let slice = self.stream.take(usize::try_from(left).unwrap_or(usize::MAX))?;
        slice.ok_or_else(|| refused(name.as_bstr(), "the archive ends in the middle of it"))
    }

    /// Hand the bytes of a file to a writer.
    fn content(&mut self, name: &BString, map: &Map) -> Result<usize> {
        let holes = map.holes();
        apply::check_holes(name.as_bstr(), holes, self.holes_left)?;
        self.holes_left -= holes;
        if holes > 0 || map.size > SMALL {
            return self.content_in_parts(name, map);
        }
        let mut slices = Vec::with_capacity(2);
        let mut left = map.size;
        while left > 0 {
            let slice = self.piece(name, left)?;
            left -= slice.len() as u64;
            slices.push(slice);
        }
        let number = self.writers.put(slices, &mut self.ids);
        if map.size > 0 {
            self.recipe.data(number, 0, map.size);
        }
        Ok(number)
    }

    fn content_in_parts(&mut self, name: &BString, map: &Map) -> Result<usize> {
        let (number, sender) = self.writers.begin(map.size, &mut self.ids);
        let mut at = 0;
        for piece in &map.pieces {
            self.recipe.data(number, piece.offset, piece.length);
            self.send(&sender, Part::Hole(piece.offset - at))?;
            let mut left = piece.length;
            while left > 0 {
                let slice = self.piece(name, left)?;
                left -= slice.len() as u64;
                self.send(&sender, Part::Bytes(slice))?;
            }
            at = piece.offset + piece.length;
        }
        self.send(&sender, Part::Hole(map.size - at))?;
        Ok(number)
    }

    fn send(&mut self, to: &std::sync::mpsc::SyncSender<Part>, part: Part) -> Result<()> {
        match to.send(part) {
            Ok(()) => Ok(()),
            Err(_) => Err(self.writers.failure(&mut self.ids)),
        }
    }

    /// Apply the entries whose contents are known, in the order of the archive, and write what is complete of the recipe.
    fn apply_ready(&mut self) -> Result<()> {
        while let Some((_, waiting)) = self.waiting.front() {
            if let Waiting::File { number, .. } = waiting
                && self.ids.get(*number).is_none()
            {
                break;
            }
            let (name, waiting) = self.waiting.pop_front().expect("because there is a first");
            let edit = match waiting {
                Waiting::Ready(edit) => edit,
                Waiting::File { number, size, attrs, mtime } => {
                    let id = self.ids.get(number).expect("because it was looked at above");
                    Edit::Leaf(Leaf { kind: Kind::File { id, size }, attrs, mtime })
                }
            };
            self.applier.apply(self.batch.store(), name.as_bstr(), edit)?;
        }
        self.recipe.write(&self.ids, self.batch)
    }
}

/// Contents of the archive that its root doesn't hold: of entries that later ones replaced, and of whiteouts.
fn extra_contents(ids: &Ids, applier: &mut Applier<'_>) -> Vec<Id> {
    let mut rest: HashSet<Id> = ids.iter().collect();
    applier.root().see_loaded_contents(&mut |id| {
        rest.remove(id);
    });
    let mut extra: Vec<Id> = rest.into_iter().collect();
    extra.sort_unstable();
    extra
}

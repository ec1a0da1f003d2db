//! Reading one object after another: as many as an image has, and some as large as memory.
//!
//! What is missing is looked for once more after the list of packs was read anew, since another command may have joined
//! packs. What is large goes from file to file in pieces.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::os::fd::AsFd;

use flate2::bufread::ZlibDecoder;
use gix::objs::{Find, FindHeader, Kind};
use rustix::fs::{AtFlags, Mode, OFlags};

use super::Store;
use super::places::{Location, Place, Places};
use crate::{Error, Id, Result};

/// Objects of this size and more are not held in memory where that can be avoided.
const LARGE: u64 = 1 << 20;

/// Contents up to this size are read into memory before they are written: that takes fewer calls of the system.
const SMALL: u64 = 64 << 10;

/// An object that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// Its id.
    pub id: Id,
    /// What it is.
    pub kind: Kind,
    /// Its size in bytes.
    pub size: u64,
    source: Source,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Git,
    Content,
}

/// Reads the contents and objects of a store.
pub struct Objects<'s> {
    store: &'s Store,
    git: gix::OdbHandle,
    /// The folder of contents; none in a repository that isn't rd's.
    contents: Option<File>,
    /// What was found last was a content: then the next will be one, too.
    expects_content: bool,
    places: Option<Places>,
    buffer: Vec<u8>,
}

impl Store {
    /// A reader for many objects.
    pub fn objects(&self) -> Objects<'_> {
        let mut git = self.repo().objects.clone();
        git.refresh_never();
        let contents = File::open(self.content_dir()).ok();
        Objects { store: self, git, contents, expects_content: false, places: None, buffer: Vec::new() }
    }

    pub(super) fn objects_dir(&self) -> std::path::PathBuf {
        self.repo().objects.store_ref().path().to_owned()
    }
}

impl Objects<'_> {
    /// What the object or content `id` is; `None` where it is missing.
    pub fn find(&mut self, id: &Id) -> Result<Option<Found>> {
        // What is both is the same in both. Looking for a content in vain takes a call of the system, and so does looking for
        // an object.
        let found = match self.expects_content {
            true => self.find_content(id)?.map_or_else(|| find_in_git(&self.git, id), |found| Ok(Some(found)))?,
            false => find_in_git(&self.git, id)?.map_or_else(|| self.find_content(id), |found| Ok(Some(found)))?,
        };
        if let Some(found) = found {
            self.expects_content = found.source == Source::Content;
            return Ok(Some(found));
        }
        let mut fresh = self.store.repo().objects.clone();
        let found = find_in_git(&fresh, id)?;
        if found.is_some() {
            fresh.refresh_never();
            self.git = fresh;
            self.places = None;
        }
        Ok(found)
    }

    fn find_content(&self, id: &Id) -> Result<Option<Found>> {
        let Some(folder) = &self.contents else { return Ok(None) };
        match rustix::fs::statat(folder, &name_of(id)[..], AtFlags::SYMLINK_NOFOLLOW) {
            Ok(about) => {
                let size = u64::try_from(about.st_size).unwrap_or(0);
                Ok(Some(Found { id: *id, kind: Kind::Blob, size, source: Source::Content }))
            }
            Err(rustix::io::Errno::NOENT) => Ok(None),
            Err(error) => Err(Error::io("stat", self.store.content_file(id))(error.into())),
        }
    }

    /// Write the bytes of an object. Small ones stay in the buffer of `out`, large ones go past it.
    pub fn copy(&mut self, found: &Found, out: &mut BufWriter<File>) -> Result<()> {
        match found.source {
            Source::Content => self.copy_content(found, out),
            Source::Git if found.kind == Kind::Blob && found.size >= LARGE && self.copy_large(found, out)? => Ok(()),
            Source::Git => {
                let object = self.git.try_find(&found.id, &mut self.buffer).map_err(cant_read(&found.id))?;
                if let Some(object) = object {
                    return out.write_all(object.data).map_err(cant_write());
                }
                // Its pack was joined with others meanwhile.
                out.write_all(&self.read(found)?).map_err(cant_write())
            }
        }
    }

    /// The bytes of an object, which is held in memory as a whole.
    pub fn read(&self, found: &Found) -> Result<Vec<u8>> {
        match found.source {
            Source::Content => self.store.read_blob(&found.id),
            Source::Git => self.store.read_object(&found.id, found.kind),
        }
    }

    fn copy_content(&mut self, found: &Found, out: &mut BufWriter<File>) -> Result<()> {
        let failed = |verb| Error::io(verb, self.store.content_file(&found.id));
        let folder = self.contents.as_ref().expect("because the content was found in it");
        let file = rustix::fs::openat(folder, &name_of(&found.id)[..], OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
        let mut file = File::from(file.map_err(|error| failed("open")(error.into()))?);
        if found.size > SMALL {
            out.flush().map_err(cant_write())?;
            return std::io::copy(&mut file, out.get_mut()).map(drop).map_err(cant_write());
        }
        self.buffer.resize(found.size as usize, 0);
        file.read_exact(&mut self.buffer).map_err(failed("read"))?;
        out.write_all(&self.buffer).map_err(cant_write())
    }

    /// Write a large object piece by piece; false where it is stored as a difference.
    fn copy_large(&mut self, found: &Found, out: &mut BufWriter<File>) -> Result<bool> {
        let places = places(&mut self.places, self.store)?;
        match places.find(&found.id) {
            Some(Location::Packed { pack, offset }) => match places.whole_entry(pack, offset)? {
                Some(bytes) => inflate(ZlibDecoder::new(bytes), found, out).map(|()| true),
                None => Ok(false),
            },
            Some(Location::Loose(path)) => {
                let file = File::open(&path).map_err(Error::io("open", &path))?;
                let mut reader = BufReader::new(ZlibDecoder::new(BufReader::new(file)));
                // In front of the bytes are kind and size.
                reader.read_until(0, &mut Vec::new()).map_err(Error::io("read", &path))?;
                inflate(reader, found, out).map(|()| true)
            }
            None => Ok(false),
        }
    }

    /// How an object is stored.
    pub fn place(&mut self, found: &Found) -> Result<Place> {
        if found.source == Source::Content {
            return Ok(Place { disk_size: found.size, delta_base: None });
        }
        let places = places(&mut self.places, self.store)?;
        let location = places.find(&found.id);
        let location = location.ok_or_else(|| Error::damaged(format!("object {}", found.id), "it disappeared"))?;
        places.place(&location)
    }

    /// The ids of all objects and contents once, sorted; with `as_they_lie` in the order in which they are stored.
    pub fn all(&mut self, as_they_lie: bool) -> Result<Vec<Id>> {
        let places = places(&mut self.places, self.store)?;
        let mut ids = places.all()?;
        let contents = self.all_contents()?;
        if as_they_lie {
            let seen: std::collections::HashSet<Id> = ids.iter().copied().collect();
            ids.extend(contents.into_iter().filter(|id| !seen.contains(id)));
        } else {
            ids.extend(contents);
            ids.sort_unstable();
            ids.dedup();
        }
        Ok(ids)
    }

    fn all_contents(&self) -> Result<Vec<Id>> {
        if self.contents.is_none() {
            return Ok(Vec::new());
        }
        super::places::loose(&self.store.content_dir())
    }
}

fn places<'p>(slot: &'p mut Option<Places>, store: &Store) -> Result<&'p mut Places> {
    if slot.is_none() {
        *slot = Some(Places::open(store)?);
    }
    Ok(slot.as_mut().expect("because it was opened just now"))
}

/// `ab/cdef…`: where a content lies, as [`content_path`](super::content_path) but without an allocation.
fn name_of(id: &Id) -> [u8; 65] {
    let mut name = [b'/'; 65];
    let mut buffer = [0; 64];
    let hex = id.hex_to_buf(&mut buffer).as_bytes();
    name[..2].copy_from_slice(&hex[..2]);
    name[3..].copy_from_slice(&hex[2..]);
    name
}

fn find_in_git(git: &gix::OdbHandle, id: &Id) -> Result<Option<Found>> {
    let header = FindHeader::try_header(git, id).map_err(cant_read(id))?;
    Ok(header.map(|header| Found { id: *id, kind: header.kind, size: header.size, source: Source::Git }))
}

fn cant_read<E: Into<gix::Error>>(id: &Id) -> impl FnOnce(E) -> Error {
    Error::git(format!("read object {id}"))
}

fn cant_write() -> impl FnOnce(std::io::Error) -> Error {
    Error::io("write to", "standard output")
}

/// Write what `reader` gives, which must be as long as the object is said to be.
fn inflate(reader: impl Read, found: &Found, out: &mut BufWriter<impl Write + AsFd>) -> Result<()> {
    let copied = std::io::copy(&mut reader.take(found.size), out).map_err(cant_write())?;
    match copied == found.size {
        true => Ok(()),
        false => Err(Error::damaged(format!("object {}", found.id), format!("only {copied} bytes of it are there"))),
    }
}

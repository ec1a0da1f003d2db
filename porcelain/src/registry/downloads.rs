//! Blobs that come at the same time, some ahead of the one that is being read.
//!
//! Each has a file in the store's `downloads/` for as long as the image isn't complete: a transfer that broke off goes on
//! there, and of two commands that want the same blob one brings it.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use nix::fcntl::{Flock, FlockArg};
use plumbing::Store;
use plumbing::archive::{LayerBlob, LayerBytes, WholeFile};
use plumbing::digest::Digest;

use super::blob::Transfer;
use super::pull::downloads_dir;
use super::remote::Remote;
use crate::{Error, IoResultExt, Result};

/// Blobs that are brought at the same time; docker brings as many.
const AT_ONCE: usize = 3;

/// What happens to a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// It will be brought, and has so many bytes.
    Wanted(Digest, u64),
    /// Another command is bringing it.
    Waiting(Digest),
    /// So many bytes are there from an earlier command.
    Resumed(Digest, u64),
    /// So many more bytes are there.
    Came(Digest, u64),
    /// All bytes are there.
    Arrived(Digest),
    /// Its files are being read.
    Reading(Digest),
    /// Its files are in the store.
    Read(Digest),
    /// What it holds is in the store already.
    Known(Digest),
    /// So many more bytes were sent.
    Went(Digest, u64),
    /// The registry has all of it.
    Sent(Digest),
    /// The registry took it from another of its repositories.
    Mounted(Digest, String),
    /// The registry has it already.
    There(Digest),
}

/// Who hears of events.
pub type Listener = Arc<dyn Fn(Event) + Send + Sync>;

/// The blobs of an image.
pub(super) struct Downloads {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    remote: Arc<Remote>,
    dir: PathBuf,
    /// The store's folder.
    store: PathBuf,
    listener: Listener,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    blobs: Vec<Blob>,
    /// The next one to bring.
    next: usize,
    failure: Option<Error>,
    /// Nobody wants them any more.
    ended: bool,
}

struct Blob {
    digest: Digest,
    size: u64,
    /// So many bytes are there.
    at: u64,
    /// So many were there from the beginning.
    resumed: u64,
    file: Option<Arc<File>>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The file that a blob grows in.
    fn path(&self, digest: &Digest) -> PathBuf {
        self.dir.join(format!("sha256-{}", digest.hex()))
    }

    /// The file of a blob that is whole; nobody writes to it.
    fn whole_path(&self, digest: &Digest) -> PathBuf {
        self.dir.join(format!("sha256-{}.whole", digest.hex()))
    }

    fn remove(&self, digest: &Digest) {
        let _ = fs::remove_file(self.path(digest));
        let _ = fs::remove_file(self.whole_path(digest));
    }
}

impl Downloads {
    /// Begin to bring `layers`, in their order.
    pub(super) fn start(remote: Arc<Remote>, store: &Store, layers: &[LayerBlob], listener: Listener) -> Result<Self> {
        let dir = downloads_dir(store);
        let store = store.dir().to_owned();
        fs::create_dir_all(&dir).on("create", &dir)?;
        let mut seen = HashSet::new();
        let wanted = layers.iter().filter_map(|layer| layer.expected).filter(|(digest, _)| seen.insert(*digest));
        let blobs: Vec<Blob> =
            wanted.map(|(digest, size)| Blob { digest, size, at: 0, resumed: 0, file: None }).collect();
        blobs.iter().for_each(|blob| listener(Event::Wanted(blob.digest, blob.size)));
        let count = blobs.len().min(AT_ONCE);
        let state = Mutex::new(State { blobs, next: 0, failure: None, ended: false });
        let shared = Arc::new(Shared { remote, dir, store, listener, state, changed: Condvar::new() });
        let start = |_| {
            let shared = shared.clone();
            std::thread::spawn(move || shared.work())
        };
        Ok(Self { threads: (0..count).map(start).collect(), shared })
    }

    /// The bytes of a layer, which are waited for while they are read.
    pub(super) fn open(&self, layer: &LayerBlob) -> plumbing::Result<LayerBytes> {
        let state = self.shared.state();
        let number = state.blobs.iter().position(|blob| Some(blob.digest) == layer.expected.map(|(digest, _)| digest));
        let missing = || plumbing::Error::NotFound { what: "layer", name: layer.path.clone() };
        let number = number.ok_or_else(missing)?;
        let size = state.blobs[number].size;
        let reader = Box::new(Reader { shared: self.shared.clone(), number, at: 0, size });
        let shared = self.shared.clone();
        let file: WholeFile = Box::new(move || shared.state().blobs[number].file.clone());
        Ok(LayerBytes { reader, size, file: Some(file), is_tar: false })
    }

    /// Why the blobs don't come.
    pub(super) fn failure(&self) -> Option<Error> {
        self.shared.state().failure.take()
    }

    /// Forget the files that an earlier command began: something in them is wrong. False where there are none.
    pub(super) fn drop_resumed(&self) -> bool {
        let state = self.shared.state();
        let resumed: Vec<_> = state.blobs.iter().filter(|blob| blob.resumed > 0).collect();
        resumed.iter().for_each(|blob| self.shared.remove(&blob.digest));
        !resumed.is_empty()
    }

    /// Forget all files: what was in them is in the store, or isn't what it should be.
    pub(super) fn drop_all(&self) {
        self.shared.state().blobs.iter().for_each(|blob| self.shared.remove(&blob.digest));
    }
}

impl Drop for Downloads {
    fn drop(&mut self) {
        self.shared.state().ended = true;
        self.shared.changed.notify_all();
        for thread in self.threads.drain(..) {
            // A panic was reported where it happened.
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// Bring one blob after another until there is none left or one fails.
    fn work(&self) {
        loop {
            let number = {
                let mut state = self.state();
                if state.ended || state.failure.is_some() || state.next == state.blobs.len() {
                    return;
                }
                state.next += 1;
                state.next - 1
            };
            if let Err(error) = self.bring(number) {
                self.state().failure.get_or_insert(error);
                self.changed.notify_all();
                return;
            }
        }
    }

    fn bring(&self, number: usize) -> Result<()> {
        let (digest, size) = {
            let state = self.state();
            (state.blobs[number].digest, state.blobs[number].size)
        };
        let (lock, file) = match self.open(&digest, size)? {
            Source::Whole(file) => (None, file),
            Source::Part(lock) => {
                let file = lock.try_clone().on("open", self.path(&digest))?;
                (Some(lock), file)
            }
        };
        let file = Arc::new(file);
        let there = if lock.is_some() { self.begin(&file, &digest, size)? } else { size };
        if there > 0 {
            (self.listener)(Event::Resumed(digest, there));
        }
        {
            let mut state = self.state();
            let blob = &mut state.blobs[number];
            (blob.at, blob.resumed, blob.file) = (there, there, Some(file.clone()));
        }
        self.changed.notify_all();
        let mut transfer = Transfer { digest, size, file: &file, at: there, end: size };
        let done = self.remote.download(&mut transfer, &mut |bytes| {
            (self.listener)(Event::Came(digest, bytes));
            let mut state = self.state();
            state.blobs[number].at += bytes;
            self.changed.notify_all();
            !state.ended
        });
        if done.is_err() && !may_go_on(&done, transfer.at) {
            let _ = fs::remove_file(self.path(&digest));
        }
        done?;
        if lock.is_some() {
            fs::rename(self.path(&digest), self.whole_path(&digest)).on("rename", self.path(&digest))?;
        }
        (self.listener)(Event::Arrived(digest));
        Ok(())
    }

    /// The whole blob that another command brought, or its file, which nobody else writes to.
    fn open(&self, digest: &Digest, size: u64) -> Result<Source> {
        let path = self.path(digest);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        loop {
            if let Ok(file) = File::open(self.whole_path(digest))
                && file.metadata().is_ok_and(|about| about.len() == size)
            {
                return Ok(Source::Whole(file));
            }
            let file = options.open(&path).on("open", &path)?;
            let lock = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(lock) => lock,
                Err((file, nix::errno::Errno::EWOULDBLOCK)) => {
                    (self.listener)(Event::Waiting(*digest));
                    Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| Error::io("lock", &path, errno))?
                }
                Err((_, errno)) => return Err(Error::io("lock", &path, errno)),
            };
            // What became whole meanwhile is not to be written to.
            let ours = lock.metadata().on("stat", &path)?.ino();
            if fs::metadata(&path).is_ok_and(|about| about.ino() == ours) {
                return Ok(Source::Part(lock));
            }
        }
    }

    /// What is in the file. What another command brought meanwhile is put there; what is too long is of no use.
    fn begin(&self, file: &File, digest: &Digest, size: u64) -> Result<u64> {
        let path = self.path(digest);
        let there = file.metadata().on("stat", &path)?.len();
        if there > 0 && there <= size {
            return Ok(there);
        }
        file.set_len(0).on("truncate", &path)?;
        let store = Store::open(&self.store)?;
        let Some(kept) = store.find_blob(digest)?.filter(|kept| kept.size() == size) else { return Ok(0) };
        io::copy(&mut kept.reader(&store, 0)?, &mut &*file).on("write", &path)
    }
}

/// Where a blob's bytes are.
enum Source {
    Whole(File),
    Part(Flock<File>),
}

/// Whether what came is worth keeping for a later command: not where the disk is full, nor of a server that breaks rules.
fn may_go_on(done: &Result<()>, at: u64) -> bool {
    at > 0 && matches!(done, Err(Error::Unreachable { .. } | Error::Answer { .. } | Error::Denied { .. }))
}

/// Reads a blob while it comes.
struct Reader {
    shared: Arc<Shared>,
    number: usize,
    at: u64,
    size: u64,
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.size || buffer.is_empty() {
            return Ok(0);
        }
        let (file, there) = self.wait()?;
        let left = usize::try_from(there - self.at).unwrap_or(usize::MAX);
        let length = buffer.len().min(left);
        let read = file.read_at(&mut buffer[..length], self.at)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += read as u64;
        Ok(read)
    }
}

impl Reader {
    /// Wait for more bytes than were read; the file and how many it has.
    fn wait(&self) -> io::Result<(Arc<File>, u64)> {
        let mut state = self.shared.state();
        loop {
            let blob = &state.blobs[self.number];
            if let Some(file) = &blob.file
                && blob.at > self.at
            {
                return Ok((file.clone(), blob.at));
            }
            if state.ended || state.failure.is_some() {
                return Err(io::Error::other("the download failed"));
            }
            state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Remove what broke off before `cutoff` (in seconds since 1970) and didn't go on, unless it is only to be told; the number of
/// files, and what they take on the disk.
pub fn clear(dir: &Path, cutoff: i64, dry_run: bool) -> Result<(usize, u64)> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((0, 0)),
        Err(error) => return Err(Error::io("read", dir, error)),
    };
    let (mut count, mut bytes) = (0, 0);
    for entry in entries {
        let path = entry.on("read", dir)?.path();
        let Ok(file) = File::open(&path) else { continue };
        // Somebody is at it.
        let Ok(lock) = Flock::lock(file, FlockArg::LockExclusiveNonblock) else { continue };
        let about = lock.metadata().on("stat", &path)?;
        if about.mtime() < cutoff && (dry_run || fs::remove_file(&path).is_ok()) {
            count += 1;
            bytes += about.blocks() * 512;
        }
    }
    Ok((count, bytes))
}

//! Regular files, made by several threads: most of the time goes into waiting for the filesystem.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use gix::bstr::{BString, ByteSlice};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::{Purpose, attributes, display};
use crate::root::{Attrs, Time};
use crate::store::content_path;
use crate::{Error, Id, Result, Store};

/// Files that may wait for a thread. Each may hold a folder open, and the number of open files is limited.
const WAITING: usize = 64;
/// More threads than this only wait for the disk.
const THREADS: usize = 5;
/// Files up to this size are read whole.
const SMALL: u64 = 128 << 10;

/// A file to be made.
pub(super) struct Job {
    pub dir: Arc<OwnedFd>,
    pub name: BString,
    /// The path in the root, for messages.
    pub path: BString,
    pub id: Id,
    pub size: u64,
    pub attrs: Attrs,
    pub mtime: Time,
}

/// The threads; dropped, they end after the file that each is at.
pub(super) struct Threads {
    jobs: Option<SyncSender<Job>>,
    running: Vec<JoinHandle<Result<()>>>,
    maker: Arc<Maker>,
}

impl Threads {
    pub(super) fn start(store: &Store, purpose: Purpose) -> Self {
        let maker = Arc::new(Maker {
            contents: store.content_dir(),
            purpose,
            clones: AtomicBool::new(true),
            failed: AtomicBool::new(false),
        });
        let (jobs, queue) = sync_channel(WAITING);
        let queue = Arc::new(Mutex::new(queue));
        // The thread that walks over the root is one of them: more than there are cores only wait for one another's folders.
        let count = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS).saturating_sub(1).max(1);
        let run = |_| {
            let (maker, queue) = (maker.clone(), queue.clone());
            std::thread::spawn(move || maker.work(&queue))
        };
        Self { jobs: Some(jobs), running: (0..count).map(run).collect(), maker }
    }

    /// Have a file made. A content that is no raw file is made at once, out of git's database.
    pub(super) fn make(&self, store: &Store, job: Job) -> Result<()> {
        if !store.content_file(&job.id).exists() {
            let bytes = store.read_blob(&job.id)?;
            return self.maker.make(&job, Some(&bytes));
        }
        let jobs = self.jobs.as_ref().expect("because it is there until the end");
        // Threads are gone only where one has failed, which `finish` tells.
        let _ = jobs.send(job);
        Ok(())
    }

    /// Whether more files are worth while: no thread has failed.
    pub(super) fn are_well(&self) -> bool {
        !self.maker.failed.load(Ordering::Relaxed)
    }

    /// Wait until all files are made; the first failure of any.
    pub(super) fn finish(mut self) -> Result<()> {
        self.join()
    }

    fn join(&mut self) -> Result<()> {
        self.jobs = None;
        let results: Vec<_> = self.running.drain(..).map(JoinHandle::join).collect();
        let results = results.into_iter().map(|result| result.unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        results.collect()
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.maker.failed.store(true, Ordering::Relaxed);
        // Only after another error, which is the one to be told.
        let _ = self.join();
    }
}

/// What all threads know.
struct Maker {
    contents: PathBuf,
    purpose: Purpose,
    /// Whether the filesystem may share a file's bytes with the store.
    clones: AtomicBool,
    failed: AtomicBool,
}

impl Maker {
    fn work(&self, queue: &Mutex<Receiver<Job>>) -> Result<()> {
        loop {
            let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(job) = job else { return Ok(()) };
            if self.failed.load(Ordering::Relaxed) {
                return Ok(());
            }
            self.make(&job, None).inspect_err(|_| self.failed.store(true, Ordering::Relaxed))?;
        }
    }

    fn make(&self, job: &Job, bytes: Option<&[u8]>) -> Result<()> {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let to = rustix::fs::openat(&*job.dir, job.name.as_bytes(), flags, Mode::RUSR | Mode::WUSR)
            .map_err(|errno| Error::io("create", display(job.path.as_bstr()))(errno.into()))?;
        let mut to = File::from(to);
        let size = match bytes {
            Some(bytes) => to.write_all(bytes).map(|()| bytes.len() as u64),
            None => self.copy(job, &mut to)?,
        };
        let size = size.map_err(Error::io("write", display(job.path.as_bstr())))?;
        if size != job.size {
            return Err(Error::damaged(
                format!("content {}", job.id),
                format!("it has {size} bytes, not {}", job.size),
            ));
        }
        attributes::apply(&to, &job.attrs, job.mtime, self.purpose)
            .map_err(|errno| Error::io("set the attributes of", display(job.path.as_bstr()))(errno.into()))
    }

    /// Share the content's bytes, or copy them; how many there are. The outer error is the content's.
    fn copy(&self, job: &Job, to: &mut File) -> Result<std::io::Result<u64>> {
        let path = self.contents.join(content_path(&job.id));
        let mut from = File::open(&path).map_err(Error::io("open", &path))?;
        let stat = from.metadata().map_err(Error::io("stat", &path))?;
        let size = stat.len();
        if size == 0 || self.share(&from, to) {
            return Ok(Ok(size));
        }
        if size <= SMALL {
            let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 1);
            from.read_to_end(&mut bytes).map_err(Error::io("read", &path))?;
            return Ok(to.write_all(&bytes).map(|()| bytes.len() as u64));
        }
        let has_holes = stat.blocks() * 512 < size;
        Ok(if has_holes { copy_pieces(&mut from, to, size) } else { std::io::copy(&mut from, to) })
    }

    fn share(&self, from: &File, to: &File) -> bool {
        if !self.clones.load(Ordering::Relaxed) {
            return false;
        }
        let result = rustix::fs::ioctl_ficlone(to, from);
        if let Err(Errno::OPNOTSUPP | Errno::NOTTY | Errno::XDEV | Errno::NOSYS) = result {
            self.clones.store(false, Ordering::Relaxed);
        }
        result.is_ok()
    }
}

/// Copy what is data in a file with holes, and leave the same holes.
fn copy_pieces(from: &mut File, to: &mut File, size: u64) -> std::io::Result<u64> {
    let mut at = 0;
    while at < size {
        let start = match rustix::fs::seek(&*from, rustix::fs::SeekFrom::Data(at)) {
            Ok(start) => start.min(size),
            // Nothing but a hole until the end.
            Err(Errno::NXIO) => size,
            Err(errno) => return Err(errno.into()),
        };
        at = if start < size { rustix::fs::seek(&*from, rustix::fs::SeekFrom::Hole(start))?.min(size) } else { size };
        from.seek(SeekFrom::Start(start))?;
        to.seek(SeekFrom::Start(start))?;
        std::io::copy(&mut from.take(at - start), to)?;
    }
    to.set_len(size)?;
    Ok(size)
}

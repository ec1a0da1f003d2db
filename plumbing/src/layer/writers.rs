//! Threads that hash contents and write them, while the archive is read on.

use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::recipe::Ids;
use super::stream::Slice;
use crate::store::Contents;
use crate::{Error, Id, Result};

/// Contents up to this size are hashed before they are written, and not written where the store has them.
pub(super) const SMALL: u64 = 1 << 20;

/// Jobs that may wait. Their bytes are bounded by the stream's buffers.
const WAITING: usize = 1024;
/// More threads than this only wait for the filesystem's locks.
const THREADS: usize = 4;

/// A piece of a content.
pub(super) enum Part {
    Bytes(Slice),
    /// A hole of this length.
    Hole(u64),
}

enum Job {
    Whole { number: usize, parts: Vec<Slice> },
    Parts { number: usize, size: u64, parts: Receiver<Part> },
}

/// The threads.
pub(super) struct Writers {
    jobs: Option<SyncSender<Job>>,
    results: Receiver<(usize, Result<Id>)>,
    threads: Vec<JoinHandle<()>>,
    open: usize,
}

impl Writers {
    /// Start threads that write into `contents`.
    pub(super) fn start(contents: &Arc<Contents>) -> Self {
        let (jobs, queue) = mpsc::sync_channel(WAITING);
        let (done, results) = mpsc::channel();
        let queue = Arc::new(Mutex::new(queue));
        let count = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS);
        let threads = (0..count)
            .map(|_| {
                let (queue, done, contents) = (queue.clone(), done.clone(), contents.clone());
                std::thread::spawn(move || work(&queue, &done, &contents))
            })
            .collect();
        Self { jobs: Some(jobs), results, threads, open: 0 }
    }

    /// Write a small content whose bytes are all there.
    pub(super) fn put(&mut self, parts: Vec<Slice>, ids: &mut Ids) -> usize {
        let number = ids.add(None);
        self.send(Job::Whole { number, parts });
        number
    }

    /// Write a content of `size` bytes; its parts are to be sent. A sender whose writer failed refuses them.
    pub(super) fn begin(&mut self, size: u64, ids: &mut Ids) -> (usize, SyncSender<Part>) {
        let number = ids.add(None);
        let (sender, parts) = mpsc::sync_channel(WAITING);
        self.send(Job::Parts { number, size, parts });
        (number, sender)
    }

    fn send(&mut self, job: Job) {
        let jobs = self.jobs.as_ref().expect("because it is there until finish");
        jobs.send(job).expect("because the threads listen until this end is closed");
        self.open += 1;
    }

    /// Collect the ids that are known by now.
    pub(super) fn poll(&mut self, ids: &mut Ids) -> Result<()> {
        while let Ok((number, result)) = self.results.try_recv() {
            self.open -= 1;
            ids.set(number, result?);
        }
        Ok(())
    }

    /// Why a writer refuses its parts.
    pub(super) fn failure(&mut self, ids: &mut Ids) -> Error {
        loop {
            let (number, result) = self.results.recv().expect("because the writer that failed says so");
            self.open -= 1;
            match result {
                Ok(id) => ids.set(number, id),
                Err(error) => return error,
            }
        }
    }

    /// Wait for all contents.
    pub(super) fn finish(&mut self, ids: &mut Ids) -> Result<()> {
        while self.open > 0 {
            let (number, result) = self.results.recv().expect("because every job has a result");
            self.open -= 1;
            ids.set(number, result?);
        }
        Ok(())
    }
}

impl Drop for Writers {
    /// The threads end once their queue is closed; their share of the contents is gone then.
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            // A panic was reported where it happened.
            let _ = thread.join();
        }
    }
}

fn work(queue: &Mutex<Receiver<Job>>, done: &Sender<(usize, Result<Id>)>, contents: &Contents) {
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let result = match job {
            Err(_) => return,
            Ok(Job::Whole { number, parts }) => {
                let bytes: Vec<&[u8]> = parts.iter().map(|slice| &**slice).collect();
                (number, contents.put_parts(&bytes))
            }
            Ok(Job::Parts { number, size, parts }) => (number, write_parts(size, parts, contents)),
        };
        // Nobody wants it: the import has failed.
        if done.send(result).is_err() {
            return;
        }
    }
}

fn write_parts(size: u64, parts: Receiver<Part>, contents: &Contents) -> Result<Id> {
    let mut writer = contents.begin(size)?;
    for part in parts {
        match part {
            Part::Bytes(slice) => writer.write(&slice)?,
            Part::Hole(length) => writer.hole(length)?,
        }
    }
    if writer.missing() > 0 {
        // The reader has failed, and says why.
        return Err(Error::io("read", "archive")(std::io::ErrorKind::UnexpectedEof.into()));
    }
    writer.finish()
}

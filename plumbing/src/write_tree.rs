//! A real folder as a root: walked by descriptors, its files hashed by several threads.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};

use gix::bstr::{BString, ByteSlice};
use rustix::fs::FileType;

use crate::disk::{OpenDir, Stat};
use crate::root::{Attrs, Kind, Leaf, Root, RootIds, Time, join_path};
use crate::store::{Batch, Contents};
use crate::{Error, Result, Store};

/// Files that may wait for a thread. Each holds its folder open, and the number of open files is limited.
const WAITING: usize = 64;
/// More threads than this only wait for the disk.
const THREADS: usize = 4;
/// git refuses trees that are more than 2048 deep; every folder on the way down is held open.
const DEEPEST: usize = 1024;

/// Where a file's id comes from: the thread that reads the file numbered so.
type Number = usize;

/// A folder whose turn comes: the one above, its name, its path in the root.
type Folder = (Arc<OpenDir>, BString, BString);

/// A file to be read.
struct Job {
    number: Number,
    dir: Arc<OpenDir>,
    name: BString,
}

/// Store the folder `dir` and all in it; gives its trees. Links are kept as links, never followed, and other
/// filesystems that are mounted in it are part of it.
pub fn write_tree(batch: &mut Batch<'_>, dir: OpenDir) -> Result<RootIds> {
    let contents = batch.contents()?;
    let (jobs, queue) = mpsc::sync_channel(WAITING);
    let queue = Mutex::new(queue);
    let (done, results) = mpsc::channel();
    let count = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS);
    let mut walk = Walk::new(dir.own_attrs()?, dir.own_stat()?, jobs);
    let walked = std::thread::scope(|scope| {
        for _ in 0..count {
            let (queue, done, contents) = (&queue, done.clone(), &contents);
            scope.spawn(move || read_files(queue, &done, contents));
        }
        drop(done);
        let walked = walk.run(batch, dir);
        walk.jobs = None;
        walked
    });
    drop(contents);
    walked?;
    let kinds = results.into_iter().map(|(number, kind)| Ok((number, kind?))).collect::<Result<_>>()?;
    walk.finish(batch, kinds)
}

fn read_files(queue: &Mutex<Receiver<Job>>, done: &mpsc::Sender<(Number, Result<Kind>)>, contents: &Contents) {
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { number, dir, name }) = job else { return };
        if done.send((number, dir.file(name.as_bstr(), contents))).is_err() {
            return;
        }
    }
}

/// What the walk has found; contents are still being read.
struct Walk {
    root: Root,
    jobs: Option<SyncSender<Job>>,
    files: Vec<(BString, Attrs, Time)>,
    /// The first path of each file that has several.
    names: HashMap<(u64, u64), BString>,
    links: Vec<(BString, BString)>,
}

impl Walk {
    fn new(attrs: Attrs, stat: Stat, jobs: SyncSender<Job>) -> Self {
        let root = Root::new(attrs, stat.mtime);
        Self { root, jobs: Some(jobs), files: Vec::new(), names: HashMap::new(), links: Vec::new() }
    }

    fn run(&mut self, batch: &mut Batch<'_>, top: OpenDir) -> Result<()> {
        // Folders are opened when their turn comes: as many are open as the tree is deep.
        let mut todo = Vec::new();
        self.entries(batch, Arc::new(top), &BString::default(), &mut todo)?;
        while let Some((parent, name, path)) = todo.pop() {
            let dir = parent.open_dir(name.as_bstr())?;
            drop(parent);
            if path.split_str("/").count() > DEEPEST {
                let why = format!("it is more than {DEEPEST} folders deep");
                return Err(Error::Unsupported { what: format!("folder '{}'", dir.path().display()), why });
            }
            let stat = dir.own_stat()?;
            let placed = self.root.put_dir(batch.store(), path.as_bstr(), dir.own_attrs()?, stat.mtime)?;
            assert!(placed, "because the folder above was put before");
            self.entries(batch, Arc::new(dir), &path, &mut todo)?;
        }
        Ok(())
    }

    fn entries(
        &mut self,
        batch: &mut Batch<'_>,
        dir: Arc<OpenDir>,
        path: &BString,
        todo: &mut Vec<Folder>,
    ) -> Result<()> {
        for name in dir.names()? {
            let stat = dir.stat(name.as_bstr())?;
            let below = join_path(path.as_bstr(), name.as_bstr());
            if stat.is_dir() {
                todo.push((dir.clone(), name, below));
            } else {
                self.leaf(batch, &dir, name, below, &stat)?;
            }
        }
        Ok(())
    }

    fn leaf(
        &mut self,
        batch: &mut Batch<'_>,
        dir: &Arc<OpenDir>,
        name: BString,
        path: BString,
        stat: &Stat,
    ) -> Result<()> {
        if stat.links > 1 {
            match self.names.entry(stat.inode) {
                Entry::Occupied(first) => {
                    self.links.push((first.get().clone(), path));
                    return Ok(());
                }
                Entry::Vacant(slot) => drop(slot.insert(path.clone())),
            }
        }
        let attrs = dir.attrs(name.as_bstr(), stat)?;
        let kind = match dir.special(name.as_bstr(), stat)? {
            Some(kind) => kind,
            None if stat.file_type == FileType::Symlink => {
                Kind::Symlink { id: batch.write_blob(&dir.link_target(name.as_bstr())?)? }
            }
            None => {
                let job = Job { number: self.files.len(), dir: dir.clone(), name };
                self.files.push((path, attrs, stat.mtime));
                let jobs = self.jobs.as_ref().expect("because it is there until the walk ends");
                jobs.send(job).expect("because the threads listen until this end is closed");
                return Ok(());
            }
        };
        self.put(batch.store(), &path, Leaf { kind, attrs, mtime: stat.mtime })
    }

    fn put(&mut self, store: &Store, path: &BString, leaf: Leaf) -> Result<()> {
        let placed = self.root.put_leaf(store, path.as_bstr(), leaf)?;
        assert!(placed, "because the folder above was put before");
        Ok(())
    }

    fn finish(mut self, batch: &mut Batch<'_>, mut kinds: HashMap<Number, Kind>) -> Result<RootIds> {
        for (number, (path, attrs, mtime)) in std::mem::take(&mut self.files).into_iter().enumerate() {
            let kind = kinds.remove(&number).expect("because every job has a result");
            self.put(batch.store(), &path, Leaf { kind, attrs, mtime })?;
        }
        for (existing, path) in std::mem::take(&mut self.links) {
            self.root.link(batch.store(), existing.as_bstr(), path.as_bstr())?;
        }
        self.root.write(batch)
    }
}

//! Remembering which content a file had when it was last read, so that a second commit reads only what changed since.
//!
//! A file is taken as unchanged when its inode, size, modification and change time are. As with git's index, an entry
//! whose change time is not older than the moment of reading proves nothing (another write may fall into the same
//! tick of the clock), so such files are not remembered. Nor are files that a process has mapped for writing: it may go
//! on writing into a page that is dirty already without the kernel setting a time.

use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::FileType;

use crate::disk::Stat;
use crate::root::Time;
use crate::{Error, Id, Result};

/// Longer than a tick of any kernel's clock (CONFIG_HZ=100), and than a virtual machine's usual hiccup.
const TICK: Duration = Duration::from_millis(100);

/// What tells one state of a file from another.
type Key = ((u64, u64), u64, Time, Time);

/// The contents of files by what stat(2) said of them.
#[derive(Debug)]
pub struct StatCache {
    path: PathBuf,
    /// What the last reading left.
    known: HashMap<Key, Id>,
    /// What this reading saw.
    seen: Vec<(Key, Id)>,
    /// Change times from here on are too young.
    young: Time,
    /// Inode numbers of files that are mapped for writing.
    mapped: HashSet<u64>,
}

impl StatCache {
    /// Load the cache at `path`; a missing or unreadable one is empty.
    pub fn open(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().saturating_sub(TICK);
        let young = Time { sec: i64::try_from(since.as_secs()).unwrap_or(i64::MAX), nsec: since.subsec_nanos() };
        Self { path, known: text.lines().filter_map(parse).collect(), seen: Vec::new(), young, mapped: HashSet::new() }
    }

    /// Don't remember the files of these inode numbers: a process has them mapped, shared and writable.
    pub fn distrust(&mut self, mapped: HashSet<u64>) {
        self.mapped = mapped;
    }

    /// The content of the file that `stat` describes, if it is as it was.
    pub fn get(&self, stat: &Stat) -> Option<Id> {
        (stat.file_type == FileType::RegularFile).then(|| self.known.get(&key(stat)).copied()).flatten()
    }

    /// The file that `stat`, made before it was read, describes has this content.
    pub fn put(&mut self, stat: &Stat, id: Id) {
        if stat.ctime < self.young && stat.mtime < self.young && !self.mapped.contains(&stat.inode.1) {
            self.seen.push((key(stat), id));
        }
    }

    /// Keep what was seen for the next time. It is a cache: it is neither synced nor locked, only replaced whole.
    pub fn save(self) -> Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(Error::io("create a file in", folder))?;
        let mut text = Vec::new();
        for (((device, inode), size, mtime, ctime), id) in &self.seen {
            let line = writeln!(
                text,
                "{device} {inode} {size} {}.{:09} {}.{:09} {id}",
                mtime.sec, mtime.nsec, ctime.sec, ctime.nsec
            );
            line.expect("because a vector takes all that is written");
        }
        file.write_all(&text).map_err(Error::io("write", &self.path))?;
        file.persist(&self.path).map_err(|error| Error::io("create", &self.path)(error.error))?;
        Ok(())
    }
}

fn key(stat: &Stat) -> Key {
    (stat.inode, stat.size, stat.mtime, stat.ctime)
}

fn parse(line: &str) -> Option<(Key, Id)> {
    let mut words = line.split(' ');
    let mut number = || words.next()?.parse::<u64>().ok();
    let (device, inode, size) = (number()?, number()?, number()?);
    let mut time = || {
        let (sec, nsec) = words.next()?.split_once('.')?;
        Some(Time { sec: sec.parse().ok()?, nsec: nsec.parse().ok()? })
    };
    let (mtime, ctime) = (time()?, time()?);
    let id = Id::from_hex(words.next()?.as_bytes()).ok()?;
    Some((((device, inode), size, mtime, ctime), id))
}

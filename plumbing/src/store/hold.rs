//! Holding off `rd gc`: a lock that all who write share, and that a sweep has for itself.
//!
//! Who finds that the store has something and then makes a ref need it, holds the lock from the look to the ref's move
//! (`docs/format.md`, "Locks and order of writes"). Locks are flock(2)'s: they die with their process.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};

use super::Store;
use crate::{Error, Result};

/// Shared by writers, exclusive for a sweep. Its size counts the sweeps that removed objects.
const LOCK: &str = "gc.lock";

/// Writers pass through it; a sweep that waits for the lock closes it for a moment, so that it gets its turn among
/// writers that never cease.
const QUEUE: &str = "gc.queue";

/// How long a waiting sweep makes new writers wait: short commands end in this time.
const TURN: Duration = Duration::from_millis(50);

/// How long a sweep lets new writers pass while a long one runs, at first and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(2));

/// As long as it lives, nothing is removed from the store.
pub struct Hold {
    /// `None` in a repository that is no store: there git's own rules hold.
    lock: Option<Flock<File>>,
}

impl Hold {
    fn take(dir: &Path) -> Result<Self> {
        let _queue = lock(&dir.join(QUEUE), FlockArg::LockShared)?;
        Ok(Self { lock: Some(lock(&dir.join(LOCK), FlockArg::LockShared)?) })
    }

    /// How many sweeps have removed objects.
    pub(super) fn sweeps(&self) -> u64 {
        self.lock.as_ref().and_then(|lock| lock.metadata().ok()).map_or(0, |about| about.len())
    }
}

/// How many sweeps have removed objects from the store at `dir`.
pub(super) fn sweeps(dir: &Path) -> u64 {
    std::fs::metadata(dir.join(LOCK)).map_or(0, |about| about.len())
}

impl Store {
    /// Keep `rd gc` from removing anything while the value lives: from a look at what the store has to the move of the
    /// ref that needs it. All holds of a command are one; it waits only while a sweep is at work, for a moment.
    pub fn hold(&self) -> Result<Arc<Hold>> {
        let mut held = self.held.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(hold) = held.upgrade() {
            return Ok(hold);
        }
        let hold = Arc::new(if self.ordinary { Hold { lock: None } } else { Hold::take(&self.dir)? });
        *held = Arc::downgrade(&hold);
        Ok(hold)
    }
}

/// What a store keeps of the hold that its command has.
pub(super) type Held = std::sync::Mutex<Weak<Hold>>;

/// The lock of a sweep: as long as it lives nobody writes.
pub(crate) struct Alone {
    lock: Flock<File>,
    _queue: Flock<File>,
}

impl Alone {
    /// Wait until nobody writes. Short writers are waited for by all; while a long one runs, new ones go on.
    pub(crate) fn take(dir: &Path) -> Result<Self> {
        let mut pause = PAUSES.0;
        loop {
            let queue = lock(&dir.join(QUEUE), FlockArg::LockExclusive)?;
            if let Some(lock) = lock_within(&dir.join(LOCK), TURN)? {
                return Ok(Self { lock, _queue: queue });
            }
            drop(queue);
            std::thread::sleep(pause);
            pause = (2 * pause).min(PAUSES.1);
        }
    }

    /// Tell all who come later that objects are gone: what they remember of the packs may be wrong.
    pub(crate) fn count(&self) -> Result<()> {
        let failed = || Error::io("write", LOCK);
        let size = self.lock.metadata().map_err(failed())?.len();
        self.lock.set_len(size + 1).map_err(failed())
    }
}

fn open(path: &Path) -> Result<File> {
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false).open(path).map_err(Error::io("open", path))
}

fn lock(path: &Path, how: FlockArg) -> Result<Flock<File>> {
    let mut file = open(path)?;
    loop {
        match Flock::lock(file, how) {
            Ok(lock) => return Ok(lock),
            Err((again, nix::errno::Errno::EINTR)) => file = again,
            Err((_, errno)) => return Err(Error::io("lock", path)(errno.into())),
        }
    }
}

/// The exclusive lock, if it is free within this time.
fn lock_within(path: &PathBuf, time: Duration) -> Result<Option<Flock<File>>> {
    let begun = std::time::Instant::now();
    let mut file = open(path)?;
    loop {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(Some(lock)),
            Err((again, nix::errno::Errno::EWOULDBLOCK | nix::errno::Errno::EINTR)) => file = again,
            Err((_, errno)) => return Err(Error::io("lock", path)(errno.into())),
        }
        if begun.elapsed() > time {
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_waits_for_writers_and_writers_for_the_sweep() {
        let dir = tempfile::tempdir().unwrap();
        let hold = Hold::take(dir.path()).unwrap();
        let (ended, end) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let alone = Alone::take(dir.path()).unwrap();
                alone.count().unwrap();
                ended.send("sweep").unwrap();
            });
            // Another writer gets through although a sweep waits for the first.
            drop(Hold::take(dir.path()).unwrap());
            assert!(end.try_recv().is_err());
            assert_eq!(hold.sweeps(), 0);
            drop(hold);
            assert_eq!(end.recv().unwrap(), "sweep");
        });
        assert_eq!(Hold::take(dir.path()).unwrap().sweeps(), 1);
    }
}

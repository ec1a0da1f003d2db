//! Holding a running container still while its files are read.

use std::fs;

use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use rustix::fs::FlockOperation;

use super::Container;
use super::cgroup::Cgroup;
use super::config::Id;
use super::folder::{Folder, Lock};
use crate::{Error, IoResultExt, Result};

/// A container whose processes stand still until this is dropped.
///
/// While it exists, the signals that people end a command with wait: the container is let go first. If this process is
/// killed outright, the next rd command lets the container go.
#[derive(Debug)]
pub struct Frozen {
    cgroup: Cgroup,
    folder: Folder,
    signals: SigSet,
    // Dropped last: the next one who wants to freeze the container waits for it.
    _turn: Lock,
}

/// The signals that wait.
const ENDING: [Signal; 4] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT];

impl Container {
    /// Freezes the container's processes; `None` if it isn't running. Two who want to take turns.
    pub fn freeze(&self) -> Result<Option<Frozen>> {
        if !self.state()?.status.is_alive() {
            return Ok(None);
        }
        let turn = Lock::take(&self.folder.freezer_file(), FlockOperation::LockExclusive)?;
        let turn = turn.ok_or_else(|| Error::io("lock", self.folder.freezer_file(), rustix::io::Errno::AGAIN))?;
        let ending: SigSet = ENDING.into_iter().collect();
        let signals = ending.thread_swap_mask(SigmaskHow::SIG_BLOCK).on("block", "signals")?;
        let frozen = Frozen { cgroup: Cgroup::of(&self.config.id)?, folder: self.folder.clone(), signals, _turn: turn };
        note(&self.folder, true)?;
        frozen.cgroup.freeze()?;
        Ok(Some(frozen))
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        // Nothing can be done about an error here; the note that stays makes the next command try again.
        let _ = self.cgroup.thaw().and_then(|()| note(&self.folder, false));
        let _ = self.signals.thread_set_mask();
    }
}

/// Notes in the freezer file, which is also the lock and so never removed, whether the container is frozen.
fn note(folder: &Folder, frozen: bool) -> Result<()> {
    let file = folder.freezer_file();
    fs::write(&file, if frozen { "frozen\n" } else { "" }).on("write", file)
}

/// Lets a container go whose freezer was killed.
pub(super) fn thaw_abandoned(id: &Id, folder: &Folder) -> Result<()> {
    let file = folder.freezer_file();
    if !file.metadata().is_ok_and(|metadata| metadata.len() > 0) {
        return Ok(());
    }
    if let Some(_turn) = Lock::take(&file, FlockOperation::NonBlockingLockExclusive)? {
        Cgroup::of(id)?.thaw()?;
        note(folder, false)?;
    }
    Ok(())
}

//! After a crash: what a killed command or monitor left behind is finished or undone by the next command.

use std::fs;

use super::cgroup::Cgroup;
use super::config::Id;
use super::folder::remove_folder;
use super::freeze::thaw_abandoned;
use super::state::State;
use super::{Container, Containers};
use crate::{IoResultExt, Result};

/// The exit status of a container that was killed.
const KILLED: i32 = 137;

impl Containers {
    /// Looks at every container that is marked as busy and clears up where nobody holds its lock any more.
    ///
    /// Containers at rest cost nothing: only the folder of marks is read. Returns the ids that were cleared up.
    pub fn reconcile(&self) -> Result<Vec<Id>> {
        let running = self.running();
        let mut cleared = Vec::new();
        for entry in fs::read_dir(&running).on("read", &running)? {
            let name = entry.on("read", &running)?.file_name();
            let Ok(id) = Id::try_from(name.to_string_lossy().into_owned()) else { continue };
            if self.clear(&id)? {
                cleared.push(id);
            }
        }
        Ok(cleared)
    }

    /// Clears up one container unless somebody holds its lock; true if there was something to do.
    pub(super) fn clear(&self, id: &Id) -> Result<bool> {
        let folder = self.folder(id);
        if !folder.path().is_dir() {
            self.empty_trash(id)?;
            return Ok(false);
        }
        let Some(lock) = folder.try_lock()? else {
            thaw_abandoned(id, &folder)?;
            return Ok(false);
        };
        // Whoever held the lock a moment ago may have finished properly.
        if !self.marker(id).exists() {
            return Ok(false);
        }
        self.end_processes(id)?;
        let named = folder.config().ok().filter(|config| {
            fs::read_link(self.names().join(&config.name)).is_ok_and(|link| link.as_os_str() == id.as_str())
        });
        // Without a name it is half-made or half-removed.
        let Some(config) = named else {
            remove_folder(folder.path())?;
            self.unmark(id)?;
            return Ok(true);
        };
        let container = Container { folder, config };
        if container.config.auto_remove || self.is_passing(id) {
            self.remove_locked(&container, &lock)?;
            return Ok(true);
        }
        self.mark_ended(&container)?;
        self.unmark(id)?;
        Ok(true)
    }

    /// Removes folders without a name that nobody holds: their makers were killed before they could mark them as busy.
    pub(crate) fn clear_leftovers(&self) -> Result<usize> {
        /// Between the making of a folder and its locking nobody is killed so late.
        const LATE: u64 = 3600;
        let mut cleared = 0;
        for id in self.folders()? {
            let folder = self.folder(&id);
            let is_named = || Ok::<_, crate::Error>(self.ids()?.values().any(|named| *named == id));
            let age = fs::metadata(folder.path()).ok().and_then(|about| about.modified().ok()?.elapsed().ok());
            if is_named()? || age.is_none_or(|age| age.as_secs() < LATE) {
                continue;
            }
            if let Some(_lock) = folder.try_lock()?
                && !is_named()?
            {
                remove_folder(folder.path())?;
                cleared += 1;
            }
        }
        Ok(cleared)
    }

    fn mark_ended(&self, container: &Container) -> Result<()> {
        let folder = &container.folder;
        let (before, state) = (State::read(&folder.state_file())?, folder.state()?);
        // The monitor may have come as far as to record the end itself.
        if before.finished_at.is_none() || before.finished_at < state.started_at || !state.status.is_alive() {
            let error = "its monitor was killed, or the machine stopped";
            let ended =
                if state.status.is_alive() { state.ended(KILLED, error) } else { state.not_started(KILLED, error) };
            ended.write(&folder.state_file(), true)?;
        }
        folder.forget_running()
    }

    /// Kills what is left of a container: everything in its cgroups, and its first process should that be elsewhere.
    fn end_processes(&self, id: &Id) -> Result<()> {
        if let Ok(state) = self.folder(id).state()
            && let Some(process) = state.process
        {
            process.signal(rustix::process::Signal::KILL)?;
        }
        let cgroup = Cgroup::of(id)?;
        cgroup.kill()?;
        cgroup.remove()
    }
}

//! Where a container's files are, and the lock that says who may change them.

use std::fs::{self, DirBuilder, File};
use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::config::{Config, Id};
use super::state::{State, replace};
use crate::{Error, IoResultExt, Result};

/// The folder below `STORE/containers` on which monitors mount what is theirs.
pub(super) const MOUNT_POINT: &str = "mnt";

/// The folder of one container, `STORE/containers/<id>`.
///
/// `config.json` never changes; all else is changed only by the holder of the lock. The lock is an open file
/// description's (`flock`), so it can be handed to another process and is free when the last holder is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// The folder of container `id` below `containers`.
    pub fn new(containers: &Path, id: &Id) -> Self {
        Folder { path: containers.join(id.as_str()) }
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Everything that the container changed; missing until its first start.
    pub fn upper(&self) -> PathBuf {
        self.path.join("upper")
    }

    /// Overlayfs's work folder.
    pub fn work(&self) -> PathBuf {
        self.path.join("work")
    }

    /// Where the root is mounted, in the monitor's mount namespace.
    pub fn rootfs(&self) -> PathBuf {
        self.runtime().join("rootfs")
    }

    /// What there is only while the container is alive: memory that the monitor mounts in its own mount namespace, with
    /// libcontainer's state in it. Since each monitor has its own, one empty folder serves all containers.
    pub fn runtime(&self) -> PathBuf {
        self.path.with_file_name(MOUNT_POINT)
    }

    /// The OCI bundle, whose `config.json` is the runtime's.
    pub fn bundle(&self) -> PathBuf {
        self.runtime().join("bundle")
    }

    /// What the container sees as `/etc/<name>`: `hosts`, `hostname` or `resolv.conf`.
    pub fn etc(&self, name: &str) -> PathBuf {
        self.runtime().join(name)
    }

    /// The state when the container isn't running.
    pub(super) fn state_file(&self) -> PathBuf {
        self.path.join("state.json")
    }

    /// The state while it is running: a file of its own, since to replace one makes the file system write it out.
    pub(super) fn running_file(&self) -> PathBuf {
        self.path.join("running.json")
    }

    /// Removes what says that the container is running, for good: after a power cut it must not be back without the mark
    /// that makes the next command look.
    pub(super) fn forget_running(&self) -> Result<()> {
        super::remove_file(&self.running_file())?;
        super::sync(&self.path)
    }

    /// The mount points that rd made in the upper folder, as a JSON list of absolute paths in the container.
    pub fn mount_points_file(&self) -> PathBuf {
        self.path.join("mount-points.json")
    }

    /// What was read from the upper folder for the last commit.
    pub fn stat_cache_file(&self) -> PathBuf {
        self.path.join("stat-cache")
    }

    /// The lock of whoever freezes the container; it holds a word while the container is frozen.
    pub fn freezer_file(&self) -> PathBuf {
        self.path.join("freezer")
    }

    /// Makes the folder and everything in it that exists from the start, and takes its lock.
    pub(super) fn create(&self) -> Result<Lock> {
        let mut builder = DirBuilder::new();
        builder.mode(0o700);
        builder.create(&self.path).on("create", &self.path)?;
        let lock = self.try_lock()?.ok_or_else(|| Error::io("lock", self.path(), rustix::io::Errno::AGAIN))?;
        builder.create(self.work()).on("create", self.work())?;
        Ok(lock)
    }

    /// Reads the container's configuration.
    pub fn config(&self) -> Result<Config> {
        let file = self.path.join("config.json");
        let bytes = fs::read(&file).on("read", &file)?;
        serde_json::from_slice(&bytes).map_err(|error| Error::Damaged {
            what: "container configuration",
            path: file,
            source: error.into(),
        })
    }

    pub(super) fn write_config(&self, config: &Config) -> Result<()> {
        let bytes = serde_json::to_vec(config).expect("because a configuration holds nothing that JSON lacks");
        replace(&self.path.join("config.json"), &bytes, !config.auto_remove)
    }

    /// Reads the container's state. What it says of a running container doesn't survive a power cut, the rest does.
    pub fn state(&self) -> Result<State> {
        match State::read(&self.running_file()) {
            Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => State::read(&self.state_file()),
            Err(Error::Damaged { .. }) => State::read(&self.state_file()),
            state => state,
        }
    }

    /// Takes the lock if it is free.
    pub fn try_lock(&self) -> Result<Option<Lock>> {
        Lock::take(&self.path.join("lock"), FlockOperation::NonBlockingLockExclusive)
    }

    /// Whether nobody holds the container although it is removed at its end, or although its configuration was never
    /// written: what others are is durable before they have a name.
    pub(super) fn is_left_of_a_power_cut(&self) -> bool {
        let lock = self.path.join("lock");
        let is_held = lock.exists() && !matches!(self.try_lock(), Ok(Some(_)));
        if is_held {
            return false;
        }
        match fs::read(self.path.join("config.json")) {
            Ok(bytes) if bytes.is_empty() => true,
            Ok(_) => self.config().is_ok_and(|config| config.auto_remove),
            Err(error) => error.kind() == ErrorKind::NotFound,
        }
    }

    /// Waits for its turn to commit the container.
    pub(super) fn commit_turn(&self) -> Result<Lock> {
        let path = self.path.join("commit");
        let turn = Lock::take(&path, FlockOperation::LockExclusive)?;
        turn.ok_or_else(|| Error::io("lock", path, rustix::io::Errno::AGAIN))
    }

    /// Waits for the lock.
    pub fn wait_lock(&self) -> Result<Lock> {
        let lock = Lock::take(&self.path.join("lock"), FlockOperation::LockExclusive)?;
        lock.ok_or_else(|| Error::io("lock", self.path.join("lock"), rustix::io::Errno::AGAIN))
    }
}

/// The right to change a container. It is free again when every copy of its descriptor is closed.
#[derive(Debug)]
pub struct Lock {
    file: OwnedFd,
}

impl Lock {
    /// Takes the lock on `path`, made if it is missing; `None` if another process has it and waiting wasn't asked for.
    pub(super) fn take(path: &Path, operation: FlockOperation) -> Result<Option<Self>> {
        let file = File::options().create(true).truncate(false).write(true).open(path).on("open", path)?;
        loop {
            match flock(&file, operation) {
                Ok(()) => return Ok(Some(Lock { file: file.into() })),
                Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(error).on("lock", path),
            }
        }
    }

    /// The lock that another process passed on.
    pub(super) fn received(file: OwnedFd) -> Self {
        Lock { file }
    }
}

impl AsFd for Lock {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Removes a folder and everything below it, however deep; what isn't there any more, since another process is at it
/// too, is fine.
///
/// The depth is a container's to choose, so nothing here recurses, and what lies too deep for a path is moved up first.
pub(crate) fn remove_folder(path: &Path) -> Result<()> {
    const LONG: usize = 2048;
    let mut moved = 0u64;
    let mut pending = vec![path.to_owned()];
    while let Some(folder) = pending.last().cloned() {
        let subfolders = remove_files(&folder)?;
        if subfolders.is_empty() {
            gone(fs::remove_dir(&folder)).on("remove", &folder)?;
            pending.pop();
        }
        for mut subfolder in subfolders {
            if subfolder.as_os_str().len() > LONG {
                moved += 1;
                let to = path.join(format!("remove-{moved}"));
                gone(fs::rename(&subfolder, &to)).on("move", &subfolder)?;
                subfolder = to;
            }
            pending.push(subfolder);
        }
    }
    Ok(())
}

/// Removes what is no folder from `folder`, and the folders that are empty; returns the other folders in it.
fn remove_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut subfolders = Vec::new();
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(subfolders),
        entries => entries.on("read", folder)?,
    };
    for entry in entries {
        let entry = entry.on("read", folder)?;
        let path = entry.path();
        if !entry.file_type().on("look up", &path)?.is_dir() {
            gone(fs::remove_file(&path)).on("remove", &path)?;
        } else if fs::remove_dir(&path).is_err_and(|error| error.kind() != ErrorKind::NotFound) {
            subfolders.push(path);
        }
    }
    Ok(subfolders)
}

/// To remove what is gone is no error.
pub(super) fn gone(result: std::io::Result<()>) -> std::io::Result<()> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_held_until_its_last_copy_is_closed() {
        let containers = tempfile::tempdir().unwrap();
        let folder = Folder::new(containers.path(), &Id::random().unwrap());
        let lock = folder.create().unwrap();
        assert!(folder.try_lock().unwrap().is_none());
        let copy = lock.as_fd().try_clone_to_owned().unwrap();
        drop(lock);
        assert!(folder.try_lock().unwrap().is_none());
        drop(copy);
        assert!(folder.try_lock().unwrap().is_some());
    }

    #[test]
    fn a_folder_of_any_depth_is_removed() {
        let top = tempfile::tempdir().unwrap();
        let folder = top.path().join("deep");
        fs::create_dir(&folder).unwrap();
        let mut inner = rustix::fs::open(&folder, rustix::fs::OFlags::PATH, rustix::fs::Mode::empty()).unwrap();
        for _ in 0..3_000 {
            rustix::fs::mkdirat(&inner, "d", rustix::fs::Mode::RWXU).unwrap();
            inner = rustix::fs::openat(&inner, "d", rustix::fs::OFlags::PATH, rustix::fs::Mode::empty()).unwrap();
        }
        remove_folder(&folder).unwrap();
        assert_eq!(fs::read_dir(top.path()).unwrap().count(), 0);
    }
}

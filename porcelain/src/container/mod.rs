//! Containers: their configuration, their state, and the process that runs each of them.
//!
//! There is no daemon. A container is a folder ([`Folder`]); while it runs, its monitor (rd itself, re-executed)
//! holds the folder's lock. Whatever a killed monitor leaves behind, the next command clears ([`Containers::reconcile`]).

mod attach;
mod cgroup;
pub mod changes;
pub(crate) mod check;
pub mod commit;
pub mod config;
pub mod describe;
mod devices;
mod etc;
mod exec;
mod filter;
mod folder;
mod freeze;
pub mod history;
mod host;
mod monitor;

pub mod names;
mod origin;
mod prepare;
mod process;
mod protocol;
mod reconcile;
pub mod spec;
mod start;
mod state;
mod terminal;
mod user;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

pub use attach::Attached;
pub use cgroup::version as cgroup_version;
pub use config::{Bind, Config, Id, Network, Tmpfs};
pub(crate) use filter::is_sound as is_sound_filter;
pub(crate) use folder::remove_folder;
pub use folder::{Folder, Lock};
pub use freeze::Frozen;
pub use monitor::run as run_monitor;
pub use oci_spec::image::Config as ImageConfig;
pub(crate) use origin::bases;
pub use origin::{image_config, lower, lower_of};
pub use process::Process;
pub use start::{Io, Launch};
pub use state::{State, Status};

use crate::{Error, IoResultExt, Result};

/// The containers of a store, `STORE/containers`.
///
/// `names/NAME` is a symbolic link to a container's id: a container exists while it has one. `running/ID` marks the
/// containers with which something is going on, so that [`Containers::reconcile`] looks at no other. `trash/ID` is what
/// is left of a container that was removed, and `mnt` is where each monitor mounts, in its own namespace.
#[derive(Debug, Clone)]
pub struct Containers {
    path: PathBuf,
}

/// What the mark of a container says that is being made or removed.
const PASSING: &[u8] = b"passing\n";

/// A container that was found or made.
#[derive(Debug, Clone)]
pub struct Container {
    /// Its files.
    pub folder: Folder,
    /// What it was created with.
    pub config: Config,
}

impl Container {
    /// What it is doing.
    pub fn state(&self) -> Result<State> {
        self.folder.state()
    }

    /// The files and folders in the upper folder that rd made as mount points, absolute paths in the container: while
    /// they are empty they are no change.
    pub fn made_mount_points(&self) -> Result<Vec<PathBuf>> {
        prepare::made_mount_points(&self.folder)
    }
}

impl Containers {
    /// Opens the containers of a store, whose folder exists; their own folders are made if they are missing.
    pub fn open(store: &Path) -> Result<Self> {
        let containers = Containers { path: store.join("containers") };
        let mount_point = containers.empty_folder();
        let inner = [containers.names(), containers.running(), containers.trash(), mount_point];
        for folder in std::iter::once(containers.path.clone()).chain(inner) {
            match fs::create_dir(&folder) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error).on("create", folder),
                _ => {}
            }
        }
        Ok(containers)
    }

    /// Those of a store that were opened before.
    fn at(store: &plumbing::Store) -> Self {
        Containers { path: store.containers_dir() }
    }

    /// A folder that is always empty: monitors mount on it, each in its own namespace.
    pub fn empty_folder(&self) -> PathBuf {
        self.path.join(folder::MOUNT_POINT)
    }

    fn names(&self) -> PathBuf {
        self.path.join("names")
    }

    fn running(&self) -> PathBuf {
        self.path.join("running")
    }

    fn trash(&self) -> PathBuf {
        self.path.join("trash")
    }

    fn marker(&self, id: &Id) -> PathBuf {
        self.running().join(id.as_str())
    }

    fn folder(&self, id: &Id) -> Folder {
        Folder::new(&self.path, id)
    }

    fn mark(&self, id: &Id) -> Result<()> {
        let marker = self.marker(id);
        fs::File::create(&marker).map(drop).on("create", marker)
    }

    /// Marks a container that is half-made or half-removed from now on until it is unmarked, unless everybody knows that
    /// from its configuration: should this process be killed, the next command removes it.
    fn mark_passing(&self, config: &Config) -> Result<()> {
        if config.auto_remove {
            return self.mark(&config.id);
        }
        let marker = self.marker(&config.id);
        fs::write(&marker, PASSING).on("write", marker)
    }

    /// The container is whole from now on. A power cut must not bring back the mark by which it would be removed.
    fn made(&self, config: &Config) -> Result<()> {
        self.unmark(&config.id)?;
        if config.auto_remove { Ok(()) } else { sync(&self.running()) }
    }

    fn is_passing(&self, id: &Id) -> bool {
        fs::read(self.marker(id)).is_ok_and(|word| word == PASSING)
    }

    fn unmark(&self, id: &Id) -> Result<()> {
        remove_file(&self.marker(id))
    }

    /// A name that no container has now.
    pub fn free_name(&self) -> Result<String> {
        let mut random = [0; 8];
        config::random_bytes(&mut random)?;
        let random = u64::from_le_bytes(random);
        let taken = |name: &String| self.names().join(name).symlink_metadata().is_ok();
        let free = (0..).map(|attempt| names::make_up(random, attempt)).find(|name| !taken(name));
        Ok(free.expect("because the attempts are endless"))
    }

    /// Makes a container: its folder, its state (`created`, with `command` as its whole command line) and its name.
    ///
    /// The container is locked on return; dropping the lock lets others use it.
    pub fn create(&self, config: Config, command: Vec<String>) -> Result<(Container, Lock)> {
        let made = self.make(config, command)?;
        self.made(&made.0.config)?;
        Ok(made)
    }

    /// As [`create`](Self::create), of a container that stays marked, since there is more to be made of it.
    fn make(&self, config: Config, command: Vec<String>) -> Result<(Container, Lock)> {
        names::check(&config.name)?;
        let folder = self.folder(&config.id);
        let lock = folder.create()?;
        self.mark_passing(&config)?;
        let made = folder
            .write_config(&config)
            .and_then(|()| State::created(command).write(&folder.state_file(), !config.auto_remove))
            .and_then(|()| self.settle(&folder, &config))
            .and_then(|()| self.claim_name(&config));
        if let Err(error) = made {
            folder::remove_folder(folder.path())?;
            self.unmark(&config.id)?;
            return Err(error);
        }
        Ok((Container { folder, config }, lock))
    }

    /// Makes the folder durable before it has a name: a name is for what is there, also after a power cut.
    fn settle(&self, folder: &Folder, config: &Config) -> Result<()> {
        if config.auto_remove {
            return Ok(());
        }
        sync(folder.path())?;
        sync(&self.path)
    }

    fn claim_name(&self, config: &Config) -> Result<()> {
        let link = self.names().join(&config.name);
        match symlink(config.id.as_str(), &link) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let owner = fs::read_link(&link).on("read", &link)?;
                if self.is_abandoned(&owner, &config.name) {
                    remove_file(&link)?;
                    return self.claim_name(config);
                }
                let why = format!("by container {}: remove or rename that one first", owner.display());
                Err(Error::InUse { what: "container name", name: config.name.clone(), why })
            }
            result => result.on("create", &link),
        }?;
        if config.auto_remove {
            return Ok(());
        }
        sync(&self.names()).inspect_err(|_| drop(fs::remove_file(&link)))
    }

    /// A name that a power cut left of a container that was being made or removed: without a folder, or of one that is
    /// removed at its end, of which nothing is made durable, and which nobody holds any more.
    fn is_abandoned(&self, id: &Path, name: &str) -> bool {
        let Ok(id) = Id::try_from(id.to_string_lossy().into_owned()) else { return false };
        let folder = self.folder(&id);
        if folder.path().symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            return true;
        }
        let store = plumbing::Store::open(self.path.parent().unwrap_or(Path::new(".")));
        folder.is_left_of_a_power_cut() && store.is_ok_and(|store| check::has_no_ref(&store, name))
    }

    /// Names and ids of all containers, by name.
    pub fn ids(&self) -> Result<BTreeMap<String, Id>> {
        let names = self.names();
        let mut ids = BTreeMap::new();
        for entry in fs::read_dir(&names).on("read", &names)? {
            let entry = entry.on("read", &names)?;
            // A name that vanishes meanwhile is that of a container which was removed.
            let (Ok(name), Ok(id)) = (entry.file_name().into_string(), fs::read_link(entry.path())) else { continue };
            if let Ok(id) = Id::try_from(id.to_string_lossy().into_owned()) {
                ids.insert(name, id);
            }
        }
        Ok(ids)
    }

    /// The configurations of all containers, also of those that are being made or removed.
    pub(crate) fn configs(&self) -> Result<Vec<Config>> {
        let mut configs = Vec::new();
        for id in self.folders()? {
            match self.folder(&id).config() {
                Ok(config) => configs.push(config),
                Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(configs)
    }

    /// The configurations of the containers with which something is going on, as of those that run.
    pub(crate) fn busy_configs(&self) -> Result<Vec<Config>> {
        let mut configs = self.configs()?;
        configs.retain(|config| self.marker(&config.id).exists());
        Ok(configs)
    }

    /// The ids of all folders, with names or without.
    fn folders(&self) -> Result<Vec<Id>> {
        let entries = fs::read_dir(&self.path).on("read", &self.path)?;
        let names = entries.map(|entry| Ok(entry.on("read", &self.path)?.file_name().to_string_lossy().into_owned()));
        let names: Result<Vec<String>> = names.collect();
        Ok(names?.into_iter().filter_map(|name| Id::try_from(name).ok()).collect())
    }

    /// All containers with their states, those created last first.
    pub fn list(&self) -> Result<Vec<(Container, State)>> {
        let mut containers = Vec::new();
        for id in self.ids()?.values() {
            let folder = self.folder(id);
            match folder.config().and_then(|config| Ok((config, folder.state()?))) {
                Ok((config, state)) => containers.push((Container { folder, config }, state)),
                // It was removed meanwhile.
                Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
                // Nothing can be said of it but by `rd fsck`, and the others must not suffer for it.
                Err(Error::Damaged { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        containers.sort_by_key(|(container, _)| std::cmp::Reverse(container.config.created));
        Ok(containers)
    }

    /// Finds a container by its id, its name (with docker's leading slash or without) or the beginning of its id.
    pub fn find(&self, name: &str) -> Result<Container> {
        let ids = self.ids()?;
        let plain = name.strip_prefix('/').unwrap_or(name);
        let id = match ids.values().find(|id| id.as_str() == name).or_else(|| ids.get(plain)) {
            Some(id) => id.clone(),
            None => Self::find_prefix(&ids, name)?,
        };
        let folder = self.folder(&id);
        let config = folder.config()?;
        Ok(Container { folder, config })
    }

    /// Finds a container as [`find`](Self::find) does; `None` where no container has that name or id.
    pub fn find_any(&self, name: &str) -> Result<Option<Container>> {
        match self.find(name) {
            Err(Error::NotFound { .. }) => Ok(None),
            found => found.map(Some),
        }
    }

    fn find_prefix(ids: &BTreeMap<String, Id>, prefix: &str) -> Result<Id> {
        let found: Vec<(&String, &Id)> = ids.iter().filter(|(_, id)| id.as_str().starts_with(prefix)).collect();
        match found.as_slice() {
            [(_, id)] if !prefix.is_empty() => Ok((*id).clone()),
            [] | [_] => Err(Error::NotFound { what: "container", name: prefix.escape_debug().to_string() }),
            _ if prefix.is_empty() => Err(Error::NotFound { what: "container", name: String::new() }),
            _ => Err(Error::Ambiguous {
                name: prefix.to_owned(),
                candidates: found.iter().map(|(name, id)| format!("{} ({name})", id.short())).collect(),
            }),
        }
    }

    /// Takes a container's lock, or says what the container is doing instead.
    pub fn lock(&self, container: &Container) -> Result<Lock> {
        let Some(lock) = container.folder.try_lock()? else {
            return Err(in_use(container, "it is running, being started or being removed"));
        };
        self.still_exists(container)?;
        Ok(lock)
    }

    /// The lock of a container that was removed is free, but good for nothing.
    fn still_exists(&self, container: &Container) -> Result<()> {
        let link = self.names().join(&container.config.name);
        match fs::read_link(&link) {
            Ok(id) if id == Path::new(container.config.id.as_str()) => Ok(()),
            _ => Err(Error::NotFound { what: "container", name: container.config.name.clone() }),
        }
    }

    /// A container that is half-removed is good for nothing either.
    fn check_whole(&self, container: &Container) -> Result<()> {
        match self.is_passing(&container.config.id) {
            false => self.still_exists(container),
            true => Err(Error::NotFound { what: "container", name: container.config.name.clone() }),
        }
    }

    /// Removes a container; one that runs only with `force`, which kills it first.
    pub fn remove(&self, container: &Container, force: bool) -> Result<()> {
        let lock = match container.folder.try_lock() {
            Ok(Some(lock)) => lock,
            Ok(None) if force => match self.kill_and_lock(container)? {
                Some(lock) => lock,
                None => return Ok(()),
            },
            Ok(None) => {
                return Err(in_use(
                    container,
                    "container is running: stop the container before removing or force remove",
                ));
            }
            Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return Err(Error::NotFound { what: "container", name: container.config.name.clone() });
            }
            Err(error) => return Err(error),
        };
        match self.still_exists(container) {
            // Killed, it has removed itself.
            Err(_) if force && container.config.auto_remove => Ok(()),
            Err(error) => Err(error),
            Ok(()) => self.remove_locked(container, &lock),
        }
    }

    /// Kills a container and waits until its monitor is done with it; `None` where that has removed it (`--rm`).
    fn kill_and_lock(&self, container: &Container) -> Result<Option<Lock>> {
        cgroup::Cgroup::of(&container.config.id)?.kill()?;
        match container.folder.wait_lock() {
            Ok(lock) => Ok(Some(lock)),
            Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Removes a container whose lock the caller holds, and its ref. Killed half-way, [`Containers::reconcile`] goes on with it.
    pub(crate) fn remove_locked(&self, container: &Container, lock: &Lock) -> Result<()> {
        self.detach(container, lock)?;
        self.empty_trash(&container.config.id)
    }

    /// Takes a container away from everybody's sight: its ref and its name go, and its folder to the trash.
    fn detach(&self, container: &Container, _lock: &Lock) -> Result<()> {
        // Nobody commits it from here on.
        let _turn = container.folder.commit_turn()?;
        self.mark_passing(&container.config)?;
        self.forget_ref(&container.config)?;
        remove_file(&self.names().join(&container.config.name))?;
        if !container.config.auto_remove {
            sync(&self.names())?;
        }
        let to = self.trash().join(container.config.id.as_str());
        fs::rename(container.folder.path(), &to).on("move", container.folder.path())
    }

    /// Removes what is left of a detached container. Two may do so at once.
    fn empty_trash(&self, id: &Id) -> Result<()> {
        folder::remove_folder(&self.trash().join(id.as_str()))?;
        self.unmark(id)
    }

    /// With `--rm` there is a ref only if somebody committed the container, and then a moment ago: it isn't packed.
    fn forget_ref(&self, config: &Config) -> Result<()> {
        let store = self.path.parent().unwrap_or(Path::new("."));
        if config.auto_remove && !store.join(history::ref_name(&config.name)).exists() {
            return Ok(());
        }
        history::forget(&plumbing::Store::open(store)?, &config.name)
    }
}

/// Makes the entries of a folder durable.
fn sync(folder: &Path) -> Result<()> {
    fs::File::open(folder).and_then(|folder| folder.sync_all()).on("sync", folder)
}

fn in_use(container: &Container, why: &str) -> Error {
    Error::InUse { what: "container", name: container.config.name.clone(), why: why.to_owned() }
}

/// Removes a file that may already be gone.
fn remove_file(path: &Path) -> Result<()> {
    folder::gone(fs::remove_file(path)).on("remove", path)
}

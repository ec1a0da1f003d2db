//! The cgroups of one container, in every hierarchy that this host has mounted: v1, v2 or both.
//!
//! Libcontainer makes them; looking into them, killing, freezing and removing happen here, since that has to work
//! after a crash, without libcontainer's state, and on hybrid hosts.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::config::Id;
use super::devices;
use crate::{Error, IoResultExt, Result};

/// How long processes may take to go after they were killed, or to come to rest when they are frozen.
const PATIENCE: Duration = Duration::from_secs(10);

/// The path of a container's cgroup below the root of each hierarchy.
pub(super) fn path(id: &Id) -> String {
    format!("/rd/{id}")
}

/// A mounted cgroup hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hierarchy {
    /// Where it is mounted.
    pub mount_point: PathBuf,
    /// True for version 2.
    pub unified: bool,
    /// The v1 controllers or the name (`name=systemd`), from the mount's options; empty for v2.
    pub controllers: Vec<String>,
}

impl Hierarchy {
    /// True for a v1 hierarchy that controls something, which a named one doesn't.
    pub fn has_controllers(&self) -> bool {
        self.controllers.iter().any(|controller| !controller.starts_with("name="))
    }
}

/// The cgroup hierarchies of this host.
pub(super) fn hierarchies() -> Result<Vec<Hierarchy>> {
    let text = fs::read_to_string("/proc/self/mountinfo").on("read", "/proc/self/mountinfo")?;
    Ok(parse_mountinfo(&text))
}

/// Which version of cgroups this host has: `1`, `2`, `hybrid` where controllers are bound to version 1 beside version 2,
/// or `none`.
pub fn version() -> &'static str {
    let hierarchies = hierarchies().unwrap_or_default();
    let old = hierarchies.iter().any(Hierarchy::has_controllers);
    let new = hierarchies.iter().any(|hierarchy| hierarchy.unified);
    match (old, new) {
        (true, true) => "hybrid",
        (true, false) => "1",
        (false, true) => "2",
        (false, false) => "none",
    }
}

fn parse_mountinfo(text: &str) -> Vec<Hierarchy> {
    let mut hierarchies: Vec<Hierarchy> = Vec::new();
    for line in text.lines() {
        let Some((before, after)) = line.split_once(" - ") else { continue };
        let mut after = after.split(' ');
        let unified = match after.next() {
            Some("cgroup") => false,
            Some("cgroup2") => true,
            _ => continue,
        };
        // A bind mount of a part of a hierarchy shows another root than "/".
        let mut before = before.split(' ').skip(3);
        let (Some("/"), Some(mount_point)) = (before.next(), before.next()) else { continue };
        let options = after.nth(1).unwrap_or_default();
        let controllers: Vec<String> = match unified {
            true => Vec::new(),
            false => options.split(',').filter(|o| !is_mount_option(o)).map(str::to_owned).collect(),
        };
        let hierarchy = Hierarchy { mount_point: mount_point.into(), unified, controllers };
        if !hierarchies.iter().any(|h| h.unified == unified && h.controllers == hierarchy.controllers) {
            hierarchies.push(hierarchy);
        }
    }
    hierarchies
}

fn is_mount_option(option: &str) -> bool {
    const WORDS: [&str; 7] = ["rw", "ro", "xattr", "noprefix", "clone_children", "cpuset_v2_mode", "favordynmods"];
    WORDS.contains(&option) || option.starts_with("release_agent=")
}

/// The cgroups of one container.
#[derive(Debug)]
pub(super) struct Cgroup {
    folders: Vec<(Hierarchy, PathBuf)>,
}

impl Cgroup {
    /// Finds the cgroups of container `id`: those that exist.
    pub fn of(id: &Id) -> Result<Self> {
        let inner = path(id);
        let mut folders = Vec::new();
        for hierarchy in hierarchies()? {
            let folder = hierarchy.mount_point.join(inner.trim_start_matches('/'));
            if folder.is_dir() {
                folders.push((hierarchy, folder));
            }
        }
        Ok(Cgroup { folders })
    }

    /// Makes the cgroups of container `id` before libcontainer joins them: those of version 1, so that they are there to be
    /// mounted; on a host without such that of version 2, so that its devices can be restricted.
    pub fn create(id: &Id, restricted: bool) -> Result<()> {
        let inner = path(id);
        let hierarchies = hierarchies()?;
        let folder = |hierarchy: &Hierarchy| hierarchy.mount_point.join(inner.trim_start_matches('/'));
        let legacy: Vec<_> = hierarchies.iter().filter(|hierarchy| hierarchy.has_controllers()).map(folder).collect();
        for folder in &legacy {
            fs::create_dir_all(folder).on("create", folder)?;
        }
        if let Some(unified) = hierarchies.iter().find(|hierarchy| hierarchy.unified).filter(|_| legacy.is_empty()) {
            let folder = folder(unified);
            fs::create_dir_all(&folder).on("create", &folder)?;
            if restricted {
                devices::restrict(&folder)?;
            }
        }
        Ok(())
    }

    /// Kills every process in the cgroups and waits until none is left.
    pub fn kill(&self) -> Result<()> {
        let start = Instant::now();
        self.thaw()?;
        loop {
            let mut left = 0;
            for (_, folder) in &self.folders {
                left += kill_below(folder)?;
            }
            if left == 0 {
                return Ok(());
            }
            if start.elapsed() > PATIENCE {
                return Err(Error::runtime(
                    format!("{left} processes of the container don't end although they were killed"),
                    [],
                ));
            }
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Removes the cgroups, those that the container made below them first. There must be no process in them.
    pub fn remove(&self) -> Result<()> {
        self.folders.iter().try_for_each(|(_, folder)| remove_below(folder))
    }

    /// The ids of all processes in the cgroups and below.
    pub fn processes(&self) -> Result<BTreeSet<i32>> {
        let mut all = BTreeSet::new();
        self.folders.iter().try_for_each(|(_, folder)| collect_below(folder, &mut all))?;
        Ok(all)
    }

    /// Stops every process; they don't notice.
    pub fn freeze(&self) -> Result<()> {
        self.set_frozen(true)
    }

    /// Lets frozen processes go on.
    pub fn thaw(&self) -> Result<()> {
        self.set_frozen(false)
    }

    fn set_frozen(&self, frozen: bool) -> Result<()> {
        let Some((hierarchy, folder)) = self.freezer() else { return Ok(()) };
        let (file, word) = match (hierarchy.unified, frozen) {
            (true, true) => ("cgroup.freeze", "1"),
            (true, false) => ("cgroup.freeze", "0"),
            (false, true) => ("freezer.state", "FROZEN"),
            (false, false) => ("freezer.state", "THAWED"),
        };
        let start = Instant::now();
        loop {
            match fs::write(folder.join(file), word) {
                Err(error) if is_gone(&error) => return Ok(()),
                result => result.on("write", folder.join(file))?,
            }
            if is_frozen(folder, hierarchy.unified)? == frozen {
                return Ok(());
            }
            if start.elapsed() > PATIENCE {
                return Err(Error::runtime("the container's processes don't come to rest", []));
            }
            thread::sleep(Duration::from_micros(200));
        }
    }

    /// The v1 freezer, or v2 where there is none: on hybrid hosts processes are in both.
    fn freezer(&self) -> Option<&(Hierarchy, PathBuf)> {
        let v1 = self.folders.iter().find(|(h, _)| h.controllers.iter().any(|c| c == "freezer"));
        v1.or_else(|| self.folders.iter().find(|(h, folder)| h.unified && folder.join("cgroup.freeze").exists()))
    }
}

fn is_frozen(folder: &Path, unified: bool) -> Result<bool> {
    let (file, word) = if unified { ("cgroup.events", "frozen 1") } else { ("freezer.state", "FROZEN") };
    match fs::read_to_string(folder.join(file)) {
        Err(error) if is_gone(&error) => Ok(false),
        text => Ok(text.on("read", folder.join(file))?.lines().any(|line| line == word)),
    }
}

/// What the kernel says of a cgroup that was removed meanwhile.
fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(rustix::io::Errno::NODEV.raw_os_error())
}

fn collect_below(folder: &Path, all: &mut BTreeSet<i32>) -> Result<()> {
    all.extend(pids(folder)?);
    subfolders(folder)?.iter().try_for_each(|inner| collect_below(inner, all))
}

/// Kills the processes in `folder` and below and says how many were there.
fn kill_below(folder: &Path) -> Result<usize> {
    let mut count = 0;
    for inner in subfolders(folder)? {
        count += kill_below(&inner)?;
    }
    for pid in pids(folder)? {
        count += 1;
        let Some(pid) = Pid::from_raw(pid) else { continue };
        let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { continue };
        // The number may have passed to another process since it was read: only one still in the cgroup is killed.
        if pids(folder)?.contains(&pid.as_raw_nonzero().get()) {
            let _ = pidfd_send_signal(&process, Signal::KILL);
        }
    }
    Ok(count)
}

fn pids(folder: &Path) -> Result<Vec<i32>> {
    let file = folder.join("cgroup.procs");
    match fs::read_to_string(&file) {
        // A process of another pid namespace reads as 0.
        Ok(text) => Ok(text.lines().filter_map(|line| line.parse().ok()).filter(|pid| *pid > 0).collect()),
        Err(error) if is_gone(&error) || error.raw_os_error() == Some(95) => Ok(Vec::new()),
        Err(error) => Err(error).on("read", file),
    }
}

fn subfolders(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if is_gone(&error) => return Ok(Vec::new()),
        entries => entries.on("read", folder)?,
    };
    let folders = entries.filter_map(|entry| entry.ok()).filter(|entry| entry.file_type().is_ok_and(|t| t.is_dir()));
    Ok(folders.map(|entry| entry.path()).collect())
}

fn remove_below(folder: &Path) -> Result<()> {
    let start = Instant::now();
    loop {
        match fs::remove_dir(folder) {
            Ok(()) => return Ok(()),
            Err(error) if is_gone(&error) => return Ok(()),
            // Either it has subfolders, or the kernel isn't yet done with a process that has ended.
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::BUSY.raw_os_error()) => {
                for inner in subfolders(folder)? {
                    remove_below(&inner)?;
                }
                if start.elapsed() > PATIENCE {
                    return Err(error).on("remove", folder);
                }
                thread::sleep(Duration::from_micros(100));
            }
            Err(error) => return Err(error).on("remove", folder),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hierarchies_are_read_from_mountinfo() {
        let text = "\
21 1 0:19 / / rw - ext4 /dev/vda rw
30 21 0:25 / /sys/fs/cgroup rw - tmpfs tmpfs rw
31 30 0:26 / /sys/fs/cgroup/cpu,cpuacct rw shared:3 - cgroup cgroup rw,cpu,cpuacct
32 30 0:27 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,release_agent=/x,name=systemd
33 30 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate
34 30 0:26 /inner /elsewhere rw - cgroup cgroup rw,cpu,cpuacct
35 30 0:26 / /again rw - cgroup cgroup rw,cpu,cpuacct
";
        let found = parse_mountinfo(text);
        let shown: Vec<(String, bool, String)> =
            found.iter().map(|h| (h.mount_point.display().to_string(), h.unified, h.controllers.join(","))).collect();
        assert_eq!(
            shown,
            [
                ("/sys/fs/cgroup/cpu,cpuacct".to_owned(), false, "cpu,cpuacct".to_owned()),
                ("/sys/fs/cgroup/systemd".to_owned(), false, "name=systemd".to_owned()),
                ("/sys/fs/cgroup/unified".to_owned(), true, String::new()),
            ]
        );
    }
}

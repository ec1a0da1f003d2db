//! What `rd info` tells of a store and of its host.

use std::path::Path;

use plumbing::store::refs::{CONTAINERS, IMAGES};
use plumbing::{Id, Store};

use crate::container::{Containers, Status};
use crate::rootfs::{self, StrategyCache};
use crate::{IoResultExt, Result, image};

/// A store in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoreInfo {
    /// Commits that have an image name.
    pub images: usize,
    /// Commits that can be reached from a name of an image or container.
    pub commits: usize,
    /// Raw contents of files.
    pub contents: Usage,
    /// Compressed layers that came from elsewhere, and what makes them again.
    pub blobs: Usage,
    /// Those of them that are there as they came.
    pub raw_blobs: Usage,
    /// git's packs.
    pub packs: Usage,
    /// What can be made again: mount images and checked-out roots, listings.
    pub caches: Usage,
    /// What containers wrote, and their state.
    pub containers: Usage,
    /// Containers that run, that are paused, and all others.
    pub running: usize,
    /// See [`running`](Self::running).
    pub paused: usize,
    /// See [`running`](Self::running).
    pub stopped: usize,
    /// How roots are mounted here, as far as it was found out: `erofs`, `erofs-loop`, `folder`.
    pub roots: Option<&'static str>,
}

/// Files and the sum of their sizes in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// How many files.
    pub files: u64,
    /// The sum of their sizes.
    pub bytes: u64,
}

/// The host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostInfo {
    /// Its name.
    pub name: String,
    /// `6.1.0-18-amd64`
    pub kernel: String,
    /// `Debian GNU/Linux 12 (bookworm)`
    pub system: String,
    /// `x86_64`
    pub architecture: String,
    /// Processors that this process may use.
    pub cores: usize,
    /// Memory in bytes.
    pub memory: u64,
    /// `1`, `2`, or `hybrid` where controllers are bound to version 1 and version 2 is there as well.
    pub cgroups: &'static str,
    /// docker's words for what isolates containers.
    pub security: Vec<&'static str>,
}

impl StoreInfo {
    /// Count what is in `store`.
    pub fn read(store: &Store) -> Result<Self> {
        let mut images: Vec<Id> = image::names(store)?.into_iter().map(|(_, id)| id).collect();
        images.sort_unstable();
        images.dedup();
        let tips = [IMAGES, CONTAINERS].map(|prefix| store.list_refs(prefix));
        let mut heads = Vec::new();
        for refs in tips {
            heads.extend(refs?.into_iter().map(|(_, id)| id));
        }
        let dir = store.dir();
        let mut info = Self {
            images: images.len(),
            commits: image::ancestors(store, heads)?.len(),
            contents: usage(&store.content_dir(), &|_| true)?,
            blobs: usage(&store.blobs_dir(), &|_| true)?,
            raw_blobs: usage(&store.blobs_dir(), &|name| !name.ends_with(".made"))?,
            packs: usage(&dir.join("objects/pack"), &|name| name.ends_with(".pack"))?,
            caches: usage(&store.mounts_dir(), &|_| true)?.and(usage(&dir.join("cache"), &|_| true)?),
            containers: usage(&store.containers_dir(), &|_| true)?,
            roots: roots(store),
            ..Self::default()
        };
        for (_, state) in Containers::open(dir)?.list()? {
            match state.status {
                Status::Running => info.running += 1,
                Status::Paused => info.paused += 1,
                _ => info.stopped += 1,
            }
        }
        Ok(info)
    }
}

impl Usage {
    fn and(self, other: Self) -> Self {
        Self { files: self.files + other.files, bytes: self.bytes + other.bytes }
    }
}

/// What worked last; on a kernel that can't mount images nothing need be tried.
fn roots(store: &Store) -> Option<&'static str> {
    let remembered = StrategyCache::new(store.mounts_dir().join("strategy")).remembered();
    let folder = || (!rootfs::can_mount_images()).then_some(rootfs::Strategy::Folder);
    remembered.or_else(folder).map(rootfs::Strategy::name)
}

/// The regular files below `folder` whose name is counted; a folder that is missing has none.
fn usage(folder: &Path, counts: &dyn Fn(&str) -> bool) -> Result<Usage> {
    let mut usage = Usage::default();
    let mut pending = vec![folder.to_owned()];
    while let Some(folder) = pending.pop() {
        let entries = match std::fs::read_dir(&folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            entries => entries.on("read", &folder)?,
        };
        for entry in entries {
            let entry = entry.on("read", &folder)?;
            // It may be gone by now.
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                pending.push(entry.path());
            } else if kind.is_file() && counts(&entry.file_name().to_string_lossy()) {
                usage.files += 1;
                usage.bytes += entry.metadata().map_or(0, |metadata| metadata.len());
            }
        }
    }
    Ok(usage)
}

impl HostInfo {
    /// Ask the host.
    pub fn read() -> Self {
        let uname = rustix::system::uname();
        let text = |path| std::fs::read_to_string(path).unwrap_or_default();
        let word = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
        Self {
            name: word(uname.nodename()),
            kernel: word(uname.release()),
            system: system(&text("/etc/os-release")),
            architecture: word(uname.machine()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory: memory(&text("/proc/meminfo")),
            cgroups: crate::container::cgroup_version(),
            security: security(),
        }
    }
}

/// `PRETTY_NAME` of os-release(5).
fn system(os_release: &str) -> String {
    let value = os_release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    value.map_or("Linux", |value| value.trim_matches(['"', '\''])).to_owned()
}

/// `MemTotal` of proc_meminfo(5), in bytes.
fn memory(meminfo: &str) -> u64 {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kilobytes = line.and_then(|rest| rest.split_whitespace().next()).and_then(|number| number.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

fn security() -> Vec<&'static str> {
    let seccomp = Path::new("/proc/sys/kernel/seccomp").exists().then_some("name=seccomp,profile=builtin");
    let cgroup = Path::new("/proc/self/ns/cgroup").exists().then_some("name=cgroupns");
    seccomp.into_iter().chain(cgroup).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_host_are_read_leniently() {
        assert_eq!(
            system("NAME=x\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n"),
            "Debian GNU/Linux 12 (bookworm)"
        );
        assert_eq!(system(""), "Linux");
        assert_eq!(memory("MemFree: 1 kB\nMemTotal:       24689308 kB\n"), 24_689_308 * 1024);
        assert_eq!((memory(""), memory("MemTotal: lots")), (0, 0));
    }
}

//! What this host allows: facts that the specification of a container depends on, read once.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use oci_spec::runtime::{Capability, LinuxDevice, LinuxDeviceBuilder, LinuxDeviceType};
use rustix::process::{Resource, getrlimit};

use super::cgroup::{Hierarchy, hierarchies};
use crate::{IoResultExt, Result};

/// What the host allows.
#[derive(Debug, Clone)]
pub(super) struct Host {
    /// The capabilities that rd may pass on: permitted, and in the bounding set.
    pub capabilities: Vec<Capability>,
    /// The highest limit of open files that rd may set.
    pub open_files: u64,
    /// The kinds of namespaces, as `/proc/self/ns` names them.
    pub namespaces: Vec<String>,
    /// The mounted cgroup hierarchies.
    pub cgroups: Vec<Hierarchy>,
    /// The host's name.
    pub hostname: String,
}

impl Host {
    /// Reads the facts.
    pub fn read() -> Result<Self> {
        let status = fs::read_to_string("/proc/self/status").on("read", "/proc/self/status")?;
        let namespaces = fs::read_dir("/proc/self/ns").on("read", "/proc/self/ns")?;
        let names = namespaces.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let capabilities = held_capabilities(&status);
        Ok(Host {
            open_files: highest_open_files(capabilities.contains(&Capability::SysResource)),
            capabilities,
            namespaces: names.collect(),
            cgroups: hierarchies()?,
            hostname: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        })
    }
}

/// The capabilities in number order (`linux/capability.h`), as `Capability` spells them.
const CAPABILITIES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

fn held_capabilities(status: &str) -> Vec<Capability> {
    let mask = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok()).unwrap_or(0)
    };
    let held = mask("CapPrm:") & mask("CapBnd:");
    let named = CAPABILITIES.iter().enumerate().filter(|(number, _)| held & (1 << number) != 0);
    named.filter_map(|(_, name)| Capability::from_str(name).ok()).collect()
}

/// Only with `CAP_SYS_RESOURCE` may a process exceed its hard limit, and never the kernel's.
fn highest_open_files(may_exceed: bool) -> u64 {
    let kernel = fs::read_to_string("/proc/sys/fs/nr_open").ok().and_then(|text| text.trim().parse().ok());
    let kernel = kernel.unwrap_or(1 << 20);
    if may_exceed { kernel } else { getrlimit(Resource::Nofile).maximum.unwrap_or(kernel).min(kernel) }
}

/// All devices below the host's `/dev`, which a privileged container gets; terminals and what else has its own mount
/// in a container are left out.
pub(super) fn devices() -> Result<Vec<LinuxDevice>> {
    const OWN_MOUNTS: [&str; 6] = ["/dev/pts", "/dev/shm", "/dev/fd", "/dev/mqueue", "/dev/console", "/dev/.udev"];
    let mut found = BTreeMap::new();
    let mut pending = vec![PathBuf::from("/dev")];
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(&folder).on("read", &folder)? {
            let Ok(path) = entry.map(|entry| entry.path()) else { continue };
            let Ok(metadata) = path.symlink_metadata() else { continue };
            let own_mount = OWN_MOUNTS.iter().any(|own| path == Path::new(own));
            if metadata.is_dir() && !own_mount {
                pending.push(path);
            } else if !own_mount && let Some(device) = device(&path, &metadata) {
                found.insert(path, device);
            }
        }
    }
    Ok(found.into_values().collect())
}

fn device(path: &Path, metadata: &fs::Metadata) -> Option<LinuxDevice> {
    let kind = match metadata.file_type() {
        kind if kind.is_char_device() => LinuxDeviceType::C,
        kind if kind.is_block_device() => LinuxDeviceType::B,
        _ => return None,
    };
    path.to_str()?;
    let (major, minor) = (rustix::fs::major(metadata.rdev()), rustix::fs::minor(metadata.rdev()));
    LinuxDeviceBuilder::default()
        .path(path)
        .typ(kind)
        .major(i64::from(major))
        .minor(i64::from(minor))
        .file_mode(metadata.mode() & 0o7777)
        .uid(metadata.uid())
        .gid(metadata.gid())
        .build()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_capabilities_both_permitted_and_bounded_are_held() {
        let held = held_capabilities("Name:\tx\nCapPrm:\t0000000000000007\nCapEff:\t0\nCapBnd:\t0000000000000005\n");
        assert_eq!(held, [Capability::Chown, Capability::DacReadSearch]);
        assert!(held_capabilities("").is_empty());
    }

    #[test]
    fn every_capability_has_a_name() {
        assert!(CAPABILITIES.iter().all(|name| Capability::from_str(name).is_ok()));
    }
}

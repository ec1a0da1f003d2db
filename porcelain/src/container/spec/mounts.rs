//! What is mounted in a container besides its root.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use oci_spec::runtime::{Mount, MountBuilder, Spec};

use super::super::cgroup;
use super::super::config::Network;
use super::{Inputs, unbuildable};
use crate::{Error, Result};

/// The files of `/etc` that tell a container about its network.
const NETWORK_FILES: [&str; 3] = ["resolv.conf", "hostname", "hosts"];

/// All mounts in the order in which they are made: docker's defaults, less those that the user's own replace, then the
/// user's, outer ones first.
pub(super) fn mounts(inputs: Inputs<'_>) -> Result<Vec<Mount>> {
    let config = inputs.config;
    let mut own: Vec<Mount> = Vec::new();
    for bind in &config.binds {
        own.push(user_bind(bind)?);
    }
    for tmpfs in &config.tmpfs {
        let mut options = vec!["noexec".to_owned(), "nosuid".into(), "nodev".into()];
        options.extend(tmpfs.options.iter().filter(|option| *option != "defaults").cloned());
        own.push(mount("tmpfs", "tmpfs", &tmpfs.destination, options)?);
    }
    refuse_clashes(&own)?;
    let replaced = |mount: &Mount| own.iter().any(|own| own.destination() == mount.destination());
    let mut all = defaults(inputs)?;
    all.extend(network_files(inputs)?);
    all.retain(|mount| !replaced(mount));
    all.extend(own);
    // A stable sort: the defaults of equal depth keep their order.
    all.sort_by_key(|mount| mount.destination().components().count());
    Ok(all)
}

fn user_bind(bind: &super::super::config::Bind) -> Result<Mount> {
    let mut options = vec!["rbind".to_owned()];
    options.push(if bind.read_only() { "ro".into() } else { "rw".into() });
    let propagation = bind.options.iter().find(|o| matches!(o.as_str(), "rslave" | "slave" | "private" | "rprivate"));
    options.push(propagation.cloned().unwrap_or_else(|| "rprivate".into()));
    mount("bind", &bind.source, &bind.destination, options)
}

/// Two mounts on one path hide each other, and libcontainer would fill the host's own `/dev` with a container's devices.
fn refuse_clashes(own: &[Mount]) -> Result<()> {
    let mut seen = BTreeSet::new();
    for mount in own {
        let path = mount.destination();
        if !seen.insert(path) {
            return Err(Error::invalid("mount", path.display(), "there are two on this path"));
        }
        if ["/dev", "/proc", "/sys", "/sys/fs/cgroup"].iter().any(|system| path == Path::new(system)) {
            return Err(Error::Unsupported(format!(
                "can't mount on '{}': the runtime needs its own there",
                path.display()
            )));
        }
    }
    Ok(())
}

fn defaults(inputs: Inputs<'_>) -> Result<Vec<Mount>> {
    let sys = if inputs.config.privileged { "rw" } else { "ro" };
    let mut all = Vec::new();
    for (kind, path, options) in [
        ("proc", "/proc", "nosuid,noexec,nodev"),
        ("tmpfs", "/dev", "nosuid,strictatime,mode=755,size=65536k"),
        ("sysfs", "/sys", &format!("nosuid,noexec,nodev,{sys}")),
        ("devpts", "/dev/pts", "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5"),
        ("mqueue", "/dev/mqueue", "nosuid,noexec,nodev"),
        ("tmpfs", "/dev/shm", "nosuid,noexec,nodev,mode=1777,size=65536k"),
    ] {
        let source = if path == "/dev/shm" { "shm" } else { kind };
        all.push(mount(kind, source, path, options.split(',').map(str::to_owned).collect())?);
    }
    all.extend(cgroups(inputs, sys)?);
    Ok(all)
}

/// The container's own cgroups. Libcontainer can mount those of version 1 only writable, so they are bound one by one.
fn cgroups(inputs: Inputs<'_>, access: &str) -> Result<Vec<Mount>> {
    const PATH: &str = "/sys/fs/cgroup";
    let options = |more: &[&str]| ["nosuid", "noexec", "nodev"].iter().chain(more).map(|o| (*o).to_owned()).collect();
    let legacy: Vec<_> = inputs.host.cgroups.iter().filter(|hierarchy| hierarchy.has_controllers()).collect();
    if legacy.is_empty() {
        return Ok(vec![mount("cgroup", "cgroup", PATH, options(&["relatime", access]))?]);
    }
    let mut all = vec![mount("tmpfs", "tmpfs", PATH, options(&["mode=755", "size=64k"]))?];
    for hierarchy in legacy {
        let source = hierarchy.mount_point.join(cgroup::path(&inputs.config.id).trim_start_matches('/'));
        for controller in &hierarchy.controllers {
            let path = Path::new(PATH).join(controller);
            all.push(mount("bind", &source, path, options(&["bind", "rprivate", access]))?);
        }
    }
    Ok(all)
}

fn network_files(inputs: Inputs<'_>) -> Result<Vec<Mount>> {
    let access = if inputs.config.read_only { "ro" } else { "rw" };
    let mut all = Vec::new();
    for name in NETWORK_FILES {
        let options = ["rbind", "rprivate", access].map(str::to_owned).to_vec();
        all.push(mount("bind", inputs.folder.etc(name), Path::new("/etc").join(name), options)?);
    }
    debug_assert!(matches!(inputs.config.network, Network::None | Network::Host));
    Ok(all)
}

fn mount(kind: &str, source: impl Into<PathBuf>, path: impl Into<PathBuf>, options: Vec<String>) -> Result<Mount> {
    MountBuilder::default().typ(kind).source(source).destination(path).options(options).build().map_err(unbuildable)
}

/// The paths of a root that must exist for a specification's mounts: where the image lacks one, an empty file or folder
/// is made in the container's upper folder, which is no change that the container made. Paths inside another mount
/// aren't in the root and so aren't listed.
pub fn mount_points(spec: &Spec) -> Vec<PathBuf> {
    let mut points: Vec<PathBuf> = Vec::new();
    for mount in spec.mounts().iter().flatten() {
        let path = mount.destination();
        if !points.iter().any(|outer| path.starts_with(outer)) {
            points.push(path.clone());
        }
    }
    points
}

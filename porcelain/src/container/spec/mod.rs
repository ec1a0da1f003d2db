//! From a container's configuration and its image's to the specification that an OCI runtime acts on.
//!
//! Everything here is a pure function; the defaults are docker's (moby's `oci/defaults.go` and its documentation).
//! An image's `VOLUME`s make no anonymous volumes: what is written there stays in the container's own layer, so that a
//! commit holds it.

mod capabilities;
mod environment;
mod mounts;
mod seccomp;

use std::path::PathBuf;

use oci_spec::image::Config as ImageConfig;
use oci_spec::runtime::{
    Linux, LinuxDevice, LinuxDeviceCgroupBuilder, LinuxNamespace, LinuxNamespaceType, LinuxResources,
    PosixRlimitBuilder, PosixRlimitType, Process, RootBuilder, Spec, UserBuilder,
};

use super::cgroup;
use super::config::{Config, Network, normalized};
use super::folder::Folder;
use super::host::Host;
use super::user::User;
use crate::{Error, Result};

pub use capabilities::parse as parse_capability;
pub use mounts::mount_points;

/// Soft and hard limit of open files, where the host allows them: what systemd gives to services, and so docker.
const OPEN_FILES: (u64, u64) = (1024, 524_288);

/// Host files that a container must not read (docker's masked paths).
pub(super) const MASKED: [&str; 12] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

/// Host files that a container may only read (docker's read-only paths).
pub(super) const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// The size of `/dev/shm` in bytes (docker's default).
pub(super) const SHARED_MEMORY: u64 = 64 << 20;

/// All that a specification depends on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Inputs<'a> {
    /// What the container was created with.
    pub config: &'a Config,
    /// The configuration of its image.
    pub image: &'a ImageConfig,
    /// Who it runs as, looked up in its root.
    pub user: &'a User,
    /// What the host allows.
    pub host: &'a Host,
    /// The host's devices, for a privileged container.
    pub devices: &'a [LinuxDevice],
    /// Where its files are.
    pub folder: &'a Folder,
}

/// Makes the specification, and notes on what the host made different from what would be usual.
pub(super) fn build(inputs: Inputs<'_>) -> Result<(Spec, Vec<String>)> {
    let Inputs { config, host, folder, .. } = inputs;
    let mut notes = Vec::new();
    let mut spec = Spec::default();
    let root = RootBuilder::default().path(folder.rootfs()).readonly(config.read_only).build();
    spec.set_version("1.0.2".into());
    spec.set_root(Some(root.map_err(unbuildable)?));
    spec.set_hostname(Some(hostname(config, host)));
    spec.set_mounts(Some(mounts::mounts(inputs)?));
    spec.set_annotations(None);
    spec.set_process(Some(process(inputs, &mut notes)?));
    spec.set_linux(Some(linux(inputs, &mut notes)?));
    Ok((spec, notes))
}

/// The whole command line of a container: what the image says, as far as it isn't overridden.
///
/// As in docker, an entrypoint that is given (or taken away) also takes the image's command away.
pub fn command_line(config: &Config, image: &ImageConfig) -> Result<Vec<String>> {
    let mut line = match &config.entrypoint {
        Some(entrypoint) => entrypoint.clone(),
        None => image.entrypoint().clone().unwrap_or_default(),
    };
    if !config.cmd.is_empty() {
        line.extend_from_slice(&config.cmd);
    } else if config.entrypoint.is_none() {
        line.extend(image.cmd().iter().flatten().cloned());
    }
    if line.is_empty() {
        return Err(Error::invalid("command", "", "none is given, and the image has none"));
    }
    if line.iter().any(|word| word.contains('\0')) {
        return Err(Error::invalid("command", line.join(" "), "it holds a NUL byte"));
    }
    Ok(line)
}

/// The user a container runs as, as it is spelled.
pub(super) fn user<'a>(config: &'a Config, image: &'a ImageConfig) -> &'a str {
    config.user.as_deref().or(image.user().as_deref()).unwrap_or_default()
}

/// The folder that a container starts in.
pub(super) fn working_dir(config: &Config, image: &ImageConfig) -> PathBuf {
    normalized(config.working_dir.as_deref().or(image.working_dir().as_deref()).unwrap_or("/"))
}

/// The name that a container sees as its host's.
pub(super) fn hostname(config: &Config, host: &Host) -> String {
    match (&config.hostname, config.network) {
        (Some(hostname), _) => hostname.clone(),
        (None, Network::Host) => host.hostname.clone(),
        (None, Network::None) => config.id.short().to_owned(),
    }
}

fn process(inputs: Inputs<'_>, notes: &mut Vec<String>) -> Result<Process> {
    let Inputs { config, image, user, host, .. } = inputs;
    let ids = UserBuilder::default().uid(user.uid).gid(user.gid).additional_gids(user.groups.clone());
    let mut process = Process::default();
    process.set_terminal(Some(config.tty));
    process.set_user(ids.build().map_err(unbuildable)?);
    process.set_args(Some(command_line(config, image)?));
    process.set_env(Some(environment::environment(inputs)));
    process.set_cwd(working_dir(config, image));
    // Not Some(false): libcontainer would then load the seccomp filter after the capabilities that it needs are gone.
    process.set_no_new_privileges(None);
    process.set_capabilities(Some(capabilities::sets(config, host, user, notes)?));
    process.set_rlimits(Some(vec![open_files(host, notes)?]));
    Ok(process)
}

fn open_files(host: &Host, notes: &mut Vec<String>) -> Result<oci_spec::runtime::PosixRlimit> {
    let (soft, hard) = OPEN_FILES;
    let allowed = hard.min(host.open_files);
    if allowed < hard {
        notes.push(format!("the limit of open files is {allowed} rather than {hard}: this host allows no more"));
    }
    let limit = PosixRlimitBuilder::default().typ(PosixRlimitType::RlimitNofile).soft(soft.min(allowed)).hard(allowed);
    limit.build().map_err(unbuildable)
}

fn linux(inputs: Inputs<'_>, notes: &mut Vec<String>) -> Result<Linux> {
    let Inputs { config, host, .. } = inputs;
    let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let mut linux = Linux::default();
    linux.set_namespaces(Some(namespaces(host, notes)));
    linux.set_resources(Some(device_rules(config.privileged)?));
    linux.set_cgroups_path(Some(cgroup::path(&config.id).into()));
    if config.privileged {
        linux.set_devices(Some(inputs.devices.to_vec()));
        linux.set_masked_paths(None);
        linux.set_readonly_paths(None);
        linux.set_seccomp(None);
    } else {
        linux.set_masked_paths(Some(words(&MASKED)));
        linux.set_readonly_paths(Some(words(&READ_ONLY)));
        linux.set_seccomp(Some(seccomp::profile(&capabilities::granted(config, host)?)?));
    }
    Ok(linux)
}

/// The network namespace is missing on purpose: the monitor makes it, brings its loopback up and the container inherits it.
fn namespaces(host: &Host, notes: &mut Vec<String>) -> Vec<LinuxNamespace> {
    use LinuxNamespaceType::{Cgroup, Ipc, Mount, Pid, Uts};
    let mut namespaces = Vec::new();
    for (kind, name) in [(Mount, "mnt"), (Pid, "pid"), (Ipc, "ipc"), (Uts, "uts"), (Cgroup, "cgroup")] {
        if kind == Cgroup && !host.namespaces.iter().any(|known| known == name) {
            notes.push("the container shares the host's cgroup namespace: this kernel has no other".into());
            continue;
        }
        let mut namespace = LinuxNamespace::default();
        namespace.set_typ(kind);
        namespaces.push(namespace);
    }
    namespaces
}

/// No device may be used but those that libcontainer allows every container: null, zero, random, terminals.
fn device_rules(privileged: bool) -> Result<LinuxResources> {
    let all = LinuxDeviceCgroupBuilder::default().allow(privileged).access("rwm").build().map_err(unbuildable)?;
    let mut resources = LinuxResources::default();
    resources.set_devices(Some(vec![all]));
    Ok(resources)
}

/// The builders of `oci_spec` fail only where a required field is missing, and here none is.
fn unbuildable(error: oci_spec::OciSpecError) -> Error {
    Error::invalid("specification", "config.json", error)
}

#[cfg(test)]
pub(super) mod tests;

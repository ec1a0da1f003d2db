//! Which system calls a container may make: docker's default profile.

use std::str::FromStr;

use oci_spec::runtime::{
    Arch, Capability, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompArgBuilder, LinuxSeccompBuilder,
    LinuxSeccompOperator, LinuxSyscall, LinuxSyscallBuilder,
};

use super::unbuildable;
use crate::Result;

const LIST: &str = include_str!("seccomp.txt");

const EPERM: u32 = 1;
const ENOSYS: u32 = 38;
/// The address family of virtual machine sockets, which namespaces don't separate.
const AF_VSOCK: u64 = 40;
/// All flags of `clone` that make a namespace.
const CLONE_NEW: u64 = 0x7E02_0000;
/// The execution domains that may be chosen: Linux, 32 bits, both with old `uname`, and asking for the current one.
const PERSONALITIES: [u64; 5] = [0x0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff];

/// The profile for a container with these capabilities on this machine.
pub(super) fn profile(capabilities: &[Capability]) -> Result<LinuxSeccomp> {
    let mut calls = vec![allow(names(capabilities), Vec::new())?];
    calls.push(allow(vec!["socket".into()], vec![argument(0, AF_VSOCK, None, LinuxSeccompOperator::ScmpCmpNe)?])?);
    for personality in PERSONALITIES {
        let equal = argument(0, personality, None, LinuxSeccompOperator::ScmpCmpEq)?;
        calls.push(allow(vec!["personality".into()], vec![equal])?);
    }
    if !capabilities.contains(&Capability::SysAdmin) {
        let flags = if std::env::consts::ARCH == "s390x" { 1 } else { 0 };
        let no_namespace = argument(flags, CLONE_NEW, Some(0), LinuxSeccompOperator::ScmpCmpMaskedEq)?;
        calls.push(allow(vec!["clone".into()], vec![no_namespace])?);
        // Its flags are in memory, where no filter can see them; told that it doesn't exist, programs use clone.
        let refuse = LinuxSyscallBuilder::default()
            .names(vec!["clone3".to_owned()])
            .action(LinuxSeccompAction::ScmpActErrno)
            .errno_ret(ENOSYS);
        calls.push(refuse.build().map_err(unbuildable)?);
    }
    LinuxSeccompBuilder::default()
        .default_action(LinuxSeccompAction::ScmpActErrno)
        .default_errno_ret(EPERM)
        .architectures(architectures())
        .syscalls(calls)
        .build()
        .map_err(unbuildable)
}

/// The names in the sections of the list that hold for these capabilities and this machine.
fn names(capabilities: &[Capability]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let mut holds = false;
    for line in LIST.lines().filter(|line| !line.starts_with('#')) {
        if let Some(section) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            holds = match section.split_once(' ') {
                Some(("capability", name)) => Capability::from_str(name).is_ok_and(|c| capabilities.contains(&c)),
                Some(("arch", name)) => name == std::env::consts::ARCH,
                _ => section == "always",
            };
        } else if holds {
            names.extend(line.split_whitespace().map(str::to_owned));
        }
    }
    names.sort();
    names.dedup();
    names
}

/// This machine's architecture and those whose programs it runs as well.
fn architectures() -> Vec<Arch> {
    match std::env::consts::ARCH {
        "x86_64" => vec![Arch::ScmpArchX86_64, Arch::ScmpArchX86, Arch::ScmpArchX32],
        "aarch64" => vec![Arch::ScmpArchAarch64, Arch::ScmpArchArm],
        "s390x" => vec![Arch::ScmpArchS390x, Arch::ScmpArchS390],
        "mips64" => vec![Arch::ScmpArchMips64, Arch::ScmpArchMips, Arch::ScmpArchMips64n32],
        _ => vec![Arch::ScmpArchNative],
    }
}

fn allow(names: Vec<String>, arguments: Vec<LinuxSeccompArg>) -> Result<LinuxSyscall> {
    let call = LinuxSyscallBuilder::default().names(names).action(LinuxSeccompAction::ScmpActAllow);
    let call = if arguments.is_empty() { call } else { call.args(arguments) };
    call.build().map_err(unbuildable)
}

fn argument(index: usize, value: u64, second: Option<u64>, op: LinuxSeccompOperator) -> Result<LinuxSeccompArg> {
    let argument = LinuxSeccompArgBuilder::default().index(index).value(value).op(op);
    let argument = if let Some(second) = second { argument.value_two(second) } else { argument };
    argument.build().map_err(unbuildable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_allowed_depends_on_capabilities() {
        let plain = names(&[]);
        for allowed in ["openat", "execve", "ptrace", "memfd_create"] {
            assert!(plain.iter().any(|name| name == allowed), "{allowed}");
        }
        for refused in [
            "mount",
            "bpf",
            "unshare",
            "setns",
            "keyctl",
            "add_key",
            "clone",
            "clone3",
            "io_uring_setup",
            "chroot",
            "reboot",
            "kexec_load",
            "userfaultfd",
            "personality",
            "socket",
        ] {
            assert!(!plain.iter().any(|name| name == refused), "{refused}");
        }
        assert!(names(&[Capability::SysAdmin]).iter().any(|name| name == "mount"));
        assert!(names(&[Capability::SysChroot]).iter().any(|name| name == "chroot"));
    }

    #[test]
    fn every_section_is_understood() {
        for line in LIST.lines().filter(|line| line.starts_with('[')) {
            let section = line.trim_matches(['[', ']']);
            let known = match section.split_once(' ') {
                Some(("capability", name)) => Capability::from_str(name).is_ok(),
                Some(("arch", _)) => true,
                _ => section == "always",
            };
            assert!(known, "{line}");
        }
    }
}

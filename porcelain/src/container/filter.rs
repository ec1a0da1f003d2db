//! The system call filter of a container as the kernel takes it: a program, compiled once for each profile and kernel.
//!
//! Compiling takes longer than all else that a container's start takes of the processor, so the program is kept.

use std::fs;
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use libseccomp::error::SeccompError;
use libseccomp::{ScmpAction, ScmpArch, ScmpArgCompare, ScmpCompareOp, ScmpFilterContext, ScmpSyscall, ScmpVersion};
use oci_spec::runtime::{Arch, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompOperator};

use crate::{Error, IoResultExt, Result};

/// Length of the fingerprint in front of a kept program.
const FINGERPRINT: usize = 32;

/// The program for `profile`, taken from a file in `folder` or compiled and put there.
///
/// The file is a hint: it may be deleted, and one that doesn't have the fingerprint of its content is made again.
pub(super) fn program(profile: &LinuxSeccomp, folder: &Path) -> Result<Vec<u64>> {
    let file = folder.join(format!("filter-{}", key(profile)?));
    if let Some(program) = kept(&file) {
        return Ok(words(&program));
    }
    let failed = |error: SeccompError| Error::runtime("can't compile the system call filter", [error.to_string()]);
    let program = export(&compile(profile).map_err(failed)?)?;
    keep(&file, &program);
    Ok(words(&program))
}

/// What the program depends on: the profile, the library, and which system calls the kernel is known to have.
fn key(profile: &LinuxSeccomp) -> Result<String> {
    let text = serde_json::to_string(profile).map_err(|error| Error::invalid("profile", "of system calls", error))?;
    let library = ScmpVersion::current().map(|version| version.to_string()).unwrap_or_default();
    let kernel = rustix::system::uname();
    let whole = format!("{library}\n{}\n{text}", kernel.release().to_string_lossy());
    Ok(blake3::hash(whole.as_bytes()).to_hex()[..16].to_owned())
}

/// Whether a kept program is whole.
pub(crate) fn is_sound(file: &Path) -> bool {
    kept(file).is_some()
}

fn kept(file: &Path) -> Option<Vec<u8>> {
    let bytes = fs::read(file).ok()?;
    let (fingerprint, program) = bytes.split_at_checked(FINGERPRINT)?;
    (blake3::hash(program).as_bytes() == fingerprint).then(|| program.to_vec())
}

/// A program that can't be kept is compiled again the next time.
fn keep(file: &Path, program: &[u8]) {
    let draft: PathBuf = file.with_extension(std::process::id().to_string());
    let bytes = [blake3::hash(program).as_bytes(), program].concat();
    let written = fs::File::create(&draft).and_then(|mut file| {
        file.write_all(&bytes)?;
        file.sync_data()
    });
    let _ = written.and_then(|()| fs::rename(&draft, file)).inspect_err(|_| drop(fs::remove_file(&draft)));
}

/// One instruction (`struct sock_filter`) is eight bytes.
fn words(program: &[u8]) -> Vec<u64> {
    let instructions = program.chunks_exact(8);
    instructions.map(|bytes| u64::from_ne_bytes(bytes.try_into().expect("because chunks have eight bytes"))).collect()
}

fn compile(profile: &LinuxSeccomp) -> std::result::Result<ScmpFilterContext, SeccompError> {
    let default = action(profile.default_action(), profile.default_errno_ret());
    let mut filter = ScmpFilterContext::new(default)?;
    for architecture in profile.architectures().iter().flatten() {
        filter.add_arch(translate(*architecture)?)?;
    }
    // A binary tree of the calls rather than a list: less to do at each call. Older libraries have lists only.
    let _ = filter.set_ctl_optimize(2);
    for rule in profile.syscalls().iter().flatten() {
        let action = action(rule.action(), rule.errno_ret());
        let conditions: Vec<ScmpArgCompare> = rule.args().iter().flatten().map(condition).collect();
        for name in rule.names() {
            // A call that the library doesn't know doesn't exist on this machine either: it stays refused.
            let Ok(call) = ScmpSyscall::from_name(name) else { continue };
            match conditions.as_slice() {
                [] => filter.add_rule(action, call)?,
                conditions => filter.add_rule_conditional(action, call, conditions)?,
            };
        }
    }
    Ok(filter)
}

fn export(filter: &ScmpFilterContext) -> Result<Vec<u8>> {
    let mut file = tempfile::tempfile().on("create", "a temporary file")?;
    filter
        .export_bpf(&file)
        .map_err(|error| Error::runtime("can't export the system call filter", [error.to_string()]))?;
    let mut bytes = Vec::new();
    file.rewind().and_then(|()| file.read_to_end(&mut bytes)).on("read", "a temporary file")?;
    Ok(bytes)
}

fn translate(architecture: Arch) -> std::result::Result<ScmpArch, SeccompError> {
    let name = serde_json::to_value(architecture).ok().and_then(|name| name.as_str().map(str::to_owned));
    ScmpArch::from_str(&name.unwrap_or_default())
}

/// A profile has two actions: to allow a call, and to refuse it with an error.
fn action(action: LinuxSeccompAction, errno: Option<u32>) -> ScmpAction {
    match action {
        LinuxSeccompAction::ScmpActAllow => ScmpAction::Allow,
        _ => ScmpAction::Errno(errno.unwrap_or(1).cast_signed()),
    }
}

fn condition(argument: &LinuxSeccompArg) -> ScmpArgCompare {
    let operator = match argument.op() {
        LinuxSeccompOperator::ScmpCmpNe => ScmpCompareOp::NotEqual,
        LinuxSeccompOperator::ScmpCmpLt => ScmpCompareOp::Less,
        LinuxSeccompOperator::ScmpCmpLe => ScmpCompareOp::LessOrEqual,
        LinuxSeccompOperator::ScmpCmpEq => ScmpCompareOp::Equal,
        LinuxSeccompOperator::ScmpCmpGe => ScmpCompareOp::GreaterEqual,
        LinuxSeccompOperator::ScmpCmpGt => ScmpCompareOp::Greater,
        // Here the first value is the mask, and the second what is left under it.
        LinuxSeccompOperator::ScmpCmpMaskedEq => ScmpCompareOp::MaskedEqual(argument.value()),
    };
    let value = match argument.op() {
        LinuxSeccompOperator::ScmpCmpMaskedEq => argument.value_two().unwrap_or(0),
        _ => argument.value(),
    };
    ScmpArgCompare::new(u32::try_from(argument.index()).unwrap_or(u32::MAX), operator, value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::spec::tests::seccomp_profile;

    #[test]
    fn a_kept_program_is_used_and_a_damaged_one_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let profile = seccomp_profile();
        let first = program(&profile, folder.path()).unwrap();
        assert!(first.len() > 100);
        let file = fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
        let good = fs::read(&file).unwrap();
        assert_eq!(program(&profile, folder.path()).unwrap(), first);
        for damage in [&good[..0], &good[..31], &good[..good.len() - 8], &[good.as_slice(), &[0; 8]].concat()] {
            fs::write(&file, damage).unwrap();
            assert_eq!(program(&profile, folder.path()).unwrap(), first);
            assert_eq!(fs::read(&file).unwrap(), good);
        }
    }
}

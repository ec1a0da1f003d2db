//! The last steps before a container's command: finding it, and turning the process into it.
//!
//! This code runs in the container's first process, inside its root and namespaces, as its user.

use std::cell::RefCell;
use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::rc::Rc;
use std::{fs, io};

use libcontainer::capabilities::drop_privileges;
use libcontainer::oci_spec::runtime::{LinuxCapabilities, Spec};
use libcontainer::syscall::syscall::create_syscall;
use libcontainer::workload::{Executor, ExecutorError, ExecutorSetEnvsError, ExecutorValidationError};
use rustix::process::{Signal, set_parent_process_death_signal};

use super::folder::Lock;
use super::protocol::Failure;
use crate::sys;

/// Starts the command and reports why it can't be started, through a pipe that closes when it has been.
#[derive(Debug, Clone)]
pub(super) struct Starter {
    report: Rc<OwnedFd>,
    lock: Rc<RefCell<Option<Lock>>>,
    confinement: Rc<Confinement>,
}

/// What a container's process loses just before its command starts.
#[derive(Debug)]
pub(super) struct Confinement {
    /// Which system calls it may make; all if there is no program.
    pub filter: Option<Vec<u64>>,
    /// Which capabilities it keeps.
    pub capabilities: LinuxCapabilities,
}

impl Confinement {
    /// The filter first: to load it without `no_new_privs` takes a capability.
    fn apply(&self) -> io::Result<()> {
        if let Some(filter) = &self.filter {
            sys::load_call_filter(filter)?;
        }
        drop_privileges(&self.capabilities, &*create_syscall()).map_err(io::Error::other)
    }
}

impl Starter {
    /// Reports to `report`; `lock` is the container's lock, which the monitor keeps and the container's process drops.
    pub fn new(report: OwnedFd, lock: Rc<RefCell<Option<Lock>>>, confinement: Confinement) -> Self {
        Starter { report: Rc::new(report), lock, confinement: Rc::new(confinement) }
    }

    fn fail(&self, spec: &Spec, why: &str, missing: bool) {
        let command = arguments(spec).first().cloned().unwrap_or_default();
        self.report(&Failure::Command { command, why: why.to_owned(), missing });
    }

    fn report(&self, failure: &Failure) {
        let bytes = serde_json::to_vec(failure).expect("because a failure holds nothing that JSON lacks");
        let _ = rustix::io::write(&*self.report, &bytes);
    }
}

impl Executor for Starter {
    /// Runs before the container counts as created: errors here leave no trace of the command.
    fn validate(&self, spec: &Spec) -> Result<(), ExecutorValidationError> {
        // Whoever waits for the lock waits for the monitor, not for this process.
        drop(self.lock.take());
        if let Err(error) = self.confinement.apply() {
            let chain = vec!["can't confine the container".to_owned(), error.to_string()];
            self.report(&Failure::Other { chain });
            return Err(ExecutorValidationError::ArgValidationError(error.to_string()));
        }
        // With the monitor, the container ends. It survives execve, unless the command is setuid: reconcile handles that.
        let _ = set_parent_process_death_signal(Some(Signal::KILL));
        find(spec).map(drop).map_err(|(why, missing)| {
            self.fail(spec, &why, missing);
            ExecutorValidationError::ArgValidationError(why)
        })
    }

    /// The environment goes straight to `execve`.
    fn setup_envs(&self, _: std::collections::HashMap<String, String>) -> Result<(), ExecutorSetEnvsError> {
        Ok(())
    }

    fn exec(&self, spec: &Spec) -> Result<(), ExecutorError> {
        let path = find(spec).map_err(|(why, missing)| {
            self.fail(spec, &why, missing);
            ExecutorError::Other(why)
        })?;
        let strings =
            |words: &[String]| words.iter().map(|word| CString::new(word.as_str())).collect::<Result<Vec<_>, _>>();
        let environment = spec.process().as_ref().and_then(|process| process.env().clone()).unwrap_or_default();
        let (Ok(path), Ok(arguments), Ok(environment)) =
            (CString::new(path), strings(&arguments(spec)), strings(&environment))
        else {
            return Err(ExecutorError::InvalidArg);
        };
        sys::default_signals();
        let Err(error) = nix::unistd::execve(&path, &arguments, &environment);
        self.fail(spec, &words(&io::Error::from(error)), error == nix::errno::Errno::ENOENT);
        Err(ExecutorError::Other(error.to_string()))
    }
}

fn arguments(spec: &Spec) -> Vec<String> {
    spec.process().as_ref().and_then(|process| process.args().clone()).unwrap_or_default()
}

/// The path of the command: itself where it has a slash, else the first executable file in `PATH`.
fn find(spec: &Spec) -> Result<String, (String, bool)> {
    let command = arguments(spec).first().cloned().unwrap_or_default();
    if command.contains('/') {
        return executable(&command).map(|()| command).map_err(|error| (words(&error), is_missing(&error)));
    }
    let environment = spec.process().as_ref().and_then(|process| process.env().as_ref());
    let path = environment.into_iter().flatten().find_map(|line| line.strip_prefix("PATH=")).unwrap_or_default();
    let mut refused = None;
    for folder in path.split(':').filter(|_| !command.is_empty()) {
        let candidate = format!("{}/{command}", if folder.is_empty() { "." } else { folder });
        match executable(&candidate) {
            Ok(()) => return Ok(candidate),
            Err(error) if is_missing(&error) => {}
            Err(error) => refused = Some(error),
        }
    }
    match refused {
        // As in a shell: a file that isn't executable is worse than none only if there is no other.
        Some(error) => Err((words(&error), false)),
        None => Err(("executable file not found in $PATH".into(), true)),
    }
}

fn executable(path: &str) -> io::Result<()> {
    let metadata = fs::metadata(path)?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let any_bit = metadata.permissions().mode() & 0o111 != 0;
    match rustix::fs::accessat(rustix::fs::CWD, path, rustix::fs::Access::EXEC_OK, rustix::fs::AtFlags::EACCESS) {
        Ok(()) if metadata.is_file() && any_bit => Ok(()),
        Ok(()) => Err(io::ErrorKind::PermissionDenied.into()),
        Err(error) => Err(error.into()),
    }
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// The kernel's words without the number that Rust adds.
fn words(error: &io::Error) -> String {
    match error.raw_os_error().map(nix::errno::Errno::from_raw) {
        Some(nix::errno::Errno::ENOEXEC) => "exec format error".into(),
        Some(errno) => errno.desc().to_lowercase(),
        None => error.to_string(),
    }
}

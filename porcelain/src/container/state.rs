//! What a container is doing: one small JSON file, replaced in one step, written by whoever holds the container's lock.

use std::fs;
use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::process::Process;
use crate::{Error, IoResultExt, Result};

/// A container's status, with docker's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It never ran.
    Created,
    /// Its first process runs.
    Running,
    /// It runs, but its processes are frozen.
    Paused,
    /// Its first process has ended.
    Exited,
    /// It was to be removed, and that failed half-way.
    Dead,
}

impl Status {
    /// Docker's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Created => "created",
            Status::Running => "running",
            Status::Paused => "paused",
            Status::Exited => "exited",
            Status::Dead => "dead",
        }
    }

    /// True while there is a first process.
    pub fn is_alive(self) -> bool {
        matches!(self, Status::Running | Status::Paused)
    }
}

/// The content of `state.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// What the container is doing.
    pub status: Status,
    /// The whole command line, entrypoint and all, as far as it is known.
    pub command: Vec<String>,
    /// The first process while the container is alive.
    pub process: Option<Process>,
    /// When it was last started.
    pub started_at: Option<jiff::Timestamp>,
    /// When it last ended.
    pub finished_at: Option<jiff::Timestamp>,
    /// The exit status as a shell counts: 128+n for signal n.
    pub exit_code: i32,
    /// Why the last start failed or the last run was cut off; empty if neither.
    pub error: String,
}

impl State {
    /// The state of a container that never ran.
    pub fn created(command: Vec<String>) -> Self {
        State {
            status: Status::Created,
            command,
            process: None,
            started_at: None,
            finished_at: None,
            exit_code: 0,
            error: String::new(),
        }
    }

    /// The state after the first process was started.
    pub fn started(&self, process: Process) -> Self {
        State {
            status: Status::Running,
            process: Some(process),
            started_at: Some(jiff::Timestamp::now()),
            exit_code: 0,
            error: String::new(),
            ..self.clone()
        }
    }

    /// The state after the first process has ended.
    pub fn ended(&self, exit_code: i32, error: impl Into<String>) -> Self {
        State {
            status: Status::Exited,
            process: None,
            finished_at: Some(jiff::Timestamp::now()),
            exit_code,
            error: error.into(),
            ..self.clone()
        }
    }

    /// The state after a start that failed; a container that never ran is still only created.
    pub fn not_started(&self, exit_code: i32, error: impl Into<String>) -> Self {
        let status = if self.started_at.is_some() { Status::Exited } else { Status::Created };
        State { status, process: None, exit_code, error: error.into(), ..self.clone() }
    }

    /// Reads `file`.
    pub fn read(file: &Path) -> Result<Self> {
        let bytes = fs::read(file).on("read", file)?;
        serde_json::from_slice(&bytes).map_err(|error| Error::Damaged {
            what: "container state",
            path: file.to_owned(),
            source: error.into(),
        })
    }

    /// Replaces `file` in one step, and durably if asked.
    pub fn write(&self, file: &Path, durable: bool) -> Result<()> {
        let bytes = serde_json::to_vec(self).expect("because a state holds nothing that JSON lacks");
        replace(file, &bytes, durable)
    }
}

/// Replaces `file` by `bytes` in one step, and durably if asked.
pub(super) fn replace(file: &Path, bytes: &[u8], sync: bool) -> Result<()> {
    let draft = file.with_extension("new");
    let mut writer = fs::File::create(&draft).on("create", &draft)?;
    writer.write_all(bytes).on("write", &draft)?;
    if sync {
        writer.sync_data().on("sync", &draft)?;
    }
    fs::rename(&draft, file).on("replace", file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_start_leaves_a_new_container_created_and_an_old_one_exited() {
        let new = State::created(vec!["true".into()]);
        assert_eq!(new.not_started(127, "no such file").status, Status::Created);
        let old = new.started(Process { pid: 7, start_time: 8 }).ended(0, "");
        assert_eq!(old.not_started(127, "no such file").status, Status::Exited);
    }

    #[test]
    fn a_state_survives_its_file_and_damage_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("state.json");
        let state = State::created(vec!["a".into()]).started(Process { pid: 1, start_time: 2 });
        state.write(&file, true).unwrap();
        assert_eq!(State::read(&file).unwrap(), state);
        for damage in ["", "{", "[]", "{\"status\":\"asleep\"}"] {
            fs::write(&file, damage).unwrap();
            assert!(matches!(State::read(&file), Err(Error::Damaged { .. })), "{damage}");
        }
    }
}

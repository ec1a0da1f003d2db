//! One process, told apart from any later process that gets the same number.

use std::fs;
use std::os::fd::OwnedFd;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

use crate::{Error, IoResultExt, Result};

/// A process by number and start time, which no two processes of one boot share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its number in rd's own pid namespace.
    pub pid: i32,
    /// Clock ticks between boot and its start: field 22 of `/proc/PID/stat`.
    pub start_time: u64,
}

impl Process {
    /// Identifies the process that has number `pid` now; `None` if there is none, or only its remains.
    pub fn find(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        parse_stat(&stat).map(|start_time| Process { pid, start_time })
    }

    /// True while this very process runs.
    pub fn is_alive(&self) -> bool {
        Process::find(self.pid).as_ref() == Some(self)
    }

    /// A descriptor of this very process, or `None` if it is gone.
    pub fn open(&self) -> Result<Option<OwnedFd>> {
        let Some(pid) = Pid::from_raw(self.pid) else { return Ok(None) };
        let fd = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(fd) => fd,
            Err(rustix::io::Errno::SRCH) => return Ok(None),
            Err(error) => return Err(Error::io("open", format!("/proc/{}", self.pid), error)),
        };
        // Checked after the descriptor exists: from here on the number can't pass to another process unnoticed.
        Ok(self.is_alive().then_some(fd))
    }

    /// Sends a signal; false if the process is gone.
    pub fn signal(&self, signal: Signal) -> Result<bool> {
        let Some(fd) = self.open()? else { return Ok(false) };
        match pidfd_send_signal(&fd, signal) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::SRCH) => Ok(false),
            Err(error) => Err(error).on("signal", format!("/proc/{}", self.pid)),
        }
    }
}

/// The start time in the content of `/proc/PID/stat`, unless the process has already ended.
fn parse_stat(stat: &str) -> Option<u64> {
    // The second field is the program's name in parentheses, which may itself hold spaces and parentheses.
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ');
    if matches!(fields.next()?, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_name_with_parentheses_does_not_confuse_the_fields() {
        let tail = "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 777 20";
        assert_eq!(parse_stat(&format!("1 (a) b) S {tail}")), Some(777));
        assert_eq!(parse_stat(&format!("1 (a) Z {tail}")), None);
        for damaged in ["", "1", "1 (a) S", "1 (a) S 1 2"] {
            assert_eq!(parse_stat(damaged), None);
        }
    }

    #[test]
    fn a_process_is_told_apart_from_its_successor() {
        let me = Process::find(std::process::id().cast_signed()).unwrap();
        assert!(me.is_alive());
        assert!(me.open().unwrap().is_some());
        let other = Process { start_time: me.start_time + 1, ..me };
        assert!(!other.is_alive());
        assert!(!other.signal(Signal::KILL).unwrap());
    }
}

//! Reaching another store: by a path, in a thread of this process; by ssh(1), in an `rd serve-stdio` on the other machine.

use std::io::pipe;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

use plumbing::Store;
use plumbing::transfer::{self, Access, Client, Compress};

use super::Url;
use super::config::Remote;
use super::url::Ssh;
use crate::{Error, IoResultExt, Result};

/// The variable that names another program than `ssh`, with arguments, as git's does.
const SSH: &str = "RD_SSH_COMMAND";

/// What is called on the other machine where nothing else is configured.
const PROGRAM: &str = "rd";

/// A store that is spoken to.
pub struct Connection {
    /// What it can be asked for.
    pub client: Client,
    other: Other,
}

/// Who answers.
enum Other {
    Thread(JoinHandle<plumbing::Result<()>>),
    Process(Child),
}

impl Connection {
    /// Call the store at the address of `remote`.
    pub fn open(remote: &Remote) -> Result<Self> {
        match &remote.url {
            Url::Store(path) => Self::to_path(path),
            Url::Ssh(ssh) => Self::to_host(ssh, remote.program.as_deref().unwrap_or(PROGRAM)),
            other => Err(Error::invalid("remote", &remote.name, format!("{other} is no store"))),
        }
    }

    fn to_path(path: &Path) -> Result<Self> {
        // What is wrong with the store shall be said here, and not by the other side.
        drop(Store::open(path)?);
        let (from_there, to_here) = pipe().on("create", "a pipe")?;
        let (from_here, to_there) = pipe().on("create", "a pipe")?;
        let path = path.to_owned();
        let thread =
            std::thread::spawn(move || transfer::serve(&Store::open(path)?, from_here, to_here, Access::Write));
        let client = Client::connect(from_there, to_there, Compress::No)?;
        Ok(Self { client, other: Other::Thread(thread) })
    }

    fn to_host(ssh: &Ssh, program: &str) -> Result<Self> {
        let mut command = ssh_command(ssh);
        command.arg(remote_command(ssh, program));
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().on("run", command.get_program())?;
        let (Some(output), Some(input)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Error::io("run", command.get_program(), std::io::ErrorKind::BrokenPipe));
        };
        match Client::connect(input, output, Compress::Zstd) {
            Ok(client) => Ok(Self { client, other: Other::Process(child) }),
            Err(error) => {
                // ssh has said why on stderr, where it was ssh.
                let status = child.wait().on("wait for", command.get_program())?;
                let what = format!("can't reach the store at '{}' ({status})", Url::Ssh(ssh.clone()));
                Err(Error::runtime(what, [error.to_string()]))
            }
        }
    }

    /// Hang up, and wait for the end of who answered.
    pub fn close(self) -> Result<()> {
        drop(self.client);
        match self.other {
            Other::Thread(thread) => match thread.join() {
                Ok(outcome) => Ok(outcome?),
                Err(panic) => std::panic::resume_unwind(panic),
            },
            Other::Process(mut child) => child.wait().map(drop).on("wait for", "ssh"),
        }
    }
}

/// `ssh [-p PORT] HOST`, or what the environment says instead of `ssh`.
fn ssh_command(ssh: &Ssh) -> Command {
    let mut command = match std::env::var(SSH) {
        // As git does it: words of a shell, and ours behind them.
        Ok(words) if !words.is_empty() => {
            let mut shell = Command::new("sh");
            shell.args(["-c", &format!("{words} \"$@\""), &words]);
            shell
        }
        _ => Command::new("ssh"),
    };
    if let Some(port) = ssh.port {
        command.args(["-p", &port.to_string()]);
    }
    // Brackets are for the colons of an address alone.
    command.arg(ssh.host.replace(['[', ']'], ""));
    command
}

/// What the shell there gets to run.
fn remote_command(ssh: &Ssh, program: &str) -> String {
    let path = ssh.path.as_deref().map(|path| format!(" {}", quoted(path))).unwrap_or_default();
    format!("{program} serve-stdio{path}")
}

/// A word for a shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shell_gets_is_quoted() {
        for (url, expected) in [
            ("ssh://h", "rd serve-stdio"),
            ("ssh://h/srv/a b", "rd serve-stdio '/srv/a b'"),
            ("ssh://h/$(x)'; y", r"rd serve-stdio '/$(x)'\''; y'"),
            ("ssh://h/~/store", "rd serve-stdio 'store'"),
        ] {
            let Url::Ssh(ssh) = Url::parse(url).unwrap() else { panic!() };
            assert_eq!(remote_command(&ssh, PROGRAM), expected);
        }
    }

    #[test]
    fn ssh_is_told_host_and_port() {
        let Url::Ssh(ssh) = Url::parse("ssh://me@[::1]:22/x").unwrap() else { panic!() };
        let command = ssh_command(&ssh);
        assert!(command.get_args().eq(["-p", "22", "me@::1"]), "{command:?}");
    }
}

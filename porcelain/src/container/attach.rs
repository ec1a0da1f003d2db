//! The front of a running container: signals go in, the exit status comes out, and so does its terminal if it has one.
//!
//! Without a terminal the container holds this process's own streams, and nothing is copied here.

use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use super::protocol::{Channel, ToFront, ToMonitor};
use super::start::Io;
use super::{Container, Containers, terminal};
use crate::{Error, IoResultExt, Result};

/// A container that this process has started.
#[derive(Debug)]
pub struct Attached {
    containers: Containers,
    container: Container,
    channel: Channel,
    signals: OwnedFd,
    terminal: Option<Console>,
    notes: Vec<String>,
}

/// The container's terminal and what is on its way to it.
#[derive(Debug)]
struct Console {
    pty: OwnedFd,
    keys: Vec<u8>,
    reads_keys: bool,
    shows_output: bool,
    /// Nobody reads what is shown.
    is_unread: bool,
}

/// The exit status of a program that SIGPIPE ended.
const BROKEN_PIPE: i32 = 141;

/// What is ready to be acted on.
#[derive(Debug, Default, Clone, Copy)]
struct Ready {
    word: bool,
    signal: bool,
    output: bool,
    room: bool,
    keys: bool,
}

impl Attached {
    pub(super) fn new(
        containers: Containers,
        container: Container,
        channel: Channel,
        signals: &OwnedFd,
        pty: Option<OwnedFd>,
        notes: Vec<String>,
        io: Io,
    ) -> Result<Self> {
        let signals = signals.try_clone().on("duplicate", "signalfd")?;
        let terminal = match (pty, io) {
            (Some(pty), Io::Attached { stdin }) => {
                let flags = fcntl_getfl(&pty).on("look up", "the container's terminal")?;
                fcntl_setfl(&pty, flags | OFlags::NONBLOCK).on("set up", "the container's terminal")?;
                Some(Console { pty, keys: Vec::new(), reads_keys: stdin, shows_output: true, is_unread: false })
            }
            _ => None,
        };
        Ok(Attached { containers, container, channel, signals, terminal, notes })
    }

    /// What this host made different from what would be usual: for `--debug`.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Passes signals and keys on until the command has ended; its exit status as a shell counts (128+n for signal n).
    pub fn wait(mut self) -> Result<i32> {
        let stdin = std::io::stdin();
        let types = self.terminal.as_ref().is_some_and(|console| console.reads_keys) && rustix::termios::isatty(&stdin);
        let raw = types.then(|| terminal::Raw::new(stdin.as_fd())).transpose()?;
        let result = self.proxy();
        drop(raw);
        result
    }

    fn proxy(&mut self) -> Result<i32> {
        loop {
            let ready = self.poll()?;
            if ready.signal
                && let Some(signal) = terminal::next_signal(&self.signals)?
            {
                self.pass_on(signal);
            }
            if let Some(console) = &mut self.terminal {
                console.act(ready);
                if console.is_unread {
                    // The container goes on, unseen.
                    return Ok(BROKEN_PIPE);
                }
            }
            if ready.word {
                return self.last_word();
            }
        }
    }

    fn poll(&self) -> Result<Ready> {
        let stdin = std::io::stdin();
        let nothing = PollFlags::empty();
        let console = self.terminal.as_ref();
        let pty_flags = console.map_or(nothing, |console| {
            let output = if console.shows_output { PollFlags::IN } else { nothing };
            if console.keys.is_empty() { output } else { output | PollFlags::OUT }
        });
        // A terminal that hung up would wake this up without end.
        let pty = console.filter(|console| console.shows_output).map(|console| console.pty.as_fd());
        let keys = console.filter(|console| console.reads_keys && console.keys.is_empty()).map(|_| stdin.as_fd());
        let watched: Vec<(BorrowedFd<'_>, PollFlags)> = [
            Some((self.channel.as_fd(), PollFlags::IN)),
            Some((self.signals.as_fd(), PollFlags::IN)),
            pty.map(|pty| (pty, pty_flags)),
            keys.map(|keys| (keys, PollFlags::IN)),
        ]
        .into_iter()
        .flatten()
        .collect();
        let mut fds: Vec<PollFd<'_>> =
            watched.iter().map(|(fd, flags)| PollFd::from_borrowed_fd(*fd, *flags)).collect();
        match poll(&mut fds, None) {
            Err(rustix::io::Errno::INTR) => return Ok(Ready::default()),
            result => result.on("wait for", "the container")?,
        };
        let mut events = fds.iter().map(PollFd::revents);
        let mut next = |present: bool| if present { events.next().unwrap_or(nothing) } else { nothing };
        let (word, signal, pty, keys) = (next(true), next(true), next(pty.is_some()), next(keys.is_some()));
        let input = PollFlags::IN | PollFlags::HUP | PollFlags::ERR;
        Ok(Ready {
            word: !word.is_empty(),
            signal: !signal.is_empty(),
            output: pty.intersects(input),
            room: pty.contains(PollFlags::OUT),
            keys: keys.intersects(input),
        })
    }

    fn pass_on(&self, signal: i32) {
        match &self.terminal {
            Some(console) if signal == nix::libc::SIGWINCH => {
                if let Some((rows, columns)) = terminal::size(&std::io::stdout()) {
                    terminal::resize(&console.pty, rows, columns);
                }
            }
            // A monitor that is gone shows as the end of its channel.
            _ => drop(self.channel.send(&ToMonitor::Signal(signal), &[])),
        }
    }

    fn last_word(&mut self) -> Result<i32> {
        let word = self.channel.receive::<ToFront>()?;
        if let Some(console) = &mut self.terminal {
            while console.copy_output() {}
        }
        match word {
            Some((ToFront::Exited { code }, _)) => Ok(code),
            Some((ToFront::Failed(failure), _)) => Err(Error::from(failure)),
            Some((ToFront::Started { .. }, _)) | None => Err(self.containers.monitor_is_gone(&self.container)),
        }
    }
}

/// Writes without a signal where nobody reads: Rust ignores SIGPIPE, and the C library's buffers aren't in the way.
fn write_all(to: &impl AsFd, mut bytes: &[u8]) -> rustix::io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(to, bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::AGAIN) => {
                // Somebody has made the terminal non-blocking.
                rustix::event::poll(&mut [PollFd::new(to, PollFlags::OUT)], None)?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

impl Console {
    fn act(&mut self, ready: Ready) {
        if ready.output {
            self.copy_output();
        }
        if ready.keys {
            self.read_keys();
        }
        if ready.room || !self.keys.is_empty() {
            self.write_keys();
        }
    }

    /// Copies what the terminal shows; false when there is nothing more for now.
    fn copy_output(&mut self) -> bool {
        let mut buffer = [0; 16384];
        match rustix::io::read(&self.pty, &mut buffer) {
            Ok(length @ 1..) => {
                self.is_unread = write_all(&std::io::stdout(), &buffer[..length]).is_err();
                !self.is_unread
            }
            Err(rustix::io::Errno::AGAIN) => false,
            Err(rustix::io::Errno::INTR) => true,
            // The last process has closed its side.
            Ok(_) | Err(_) => {
                self.shows_output = false;
                false
            }
        }
    }

    fn read_keys(&mut self) {
        let mut buffer = [0; 4096];
        match std::io::stdin().lock().read(&mut buffer) {
            Ok(0) => {
                // The end of the input, as a key.
                self.keys.push(4);
                self.reads_keys = false;
            }
            Ok(length) => self.keys.extend_from_slice(&buffer[..length]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => self.reads_keys = false,
        }
    }

    fn write_keys(&mut self) {
        match rustix::io::write(&self.pty, &self.keys) {
            Ok(written) => drop(self.keys.drain(..written)),
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
            Err(_) => self.keys.clear(),
        }
    }
}

//! Terminals and signals, on both sides: a container's own terminal, and the one that a person sits at.

use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use rustix::termios::{OptionalActions, Termios, Winsize, tcgetattr, tcsetattr, tcsetwinsize};

use crate::{Error, IoResultExt, Result};

/// The signals that are passed on to a container rather than acted on, as docker's `--sig-proxy` does. Those of a
/// process's own faults and of its children, and those that can't be caught, are left out.
const FORWARDED: [Signal; 17] = [
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTERM,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGALRM,
    Signal::SIGVTALRM,
    Signal::SIGPROF,
    Signal::SIGWINCH,
    Signal::SIGIO,
    Signal::SIGPWR,
    Signal::SIGCONT,
    Signal::SIGTSTP,
    Signal::SIGTTIN,
    Signal::SIGTTOU,
    Signal::SIGXCPU,
];

/// Blocks the signals that are passed on and returns a descriptor on which they arrive.
pub(super) fn forwarded_signals() -> Result<OwnedFd> {
    let set: SigSet = FORWARDED.into_iter().collect();
    set.thread_block().on("block", "signals")?;
    let signals =
        SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK).on("create", "signalfd")?;
    signals.as_fd().try_clone_to_owned().on("duplicate", "signalfd")
}

/// Lets the signals act as they did before.
pub(super) fn release_signals() {
    let set: SigSet = FORWARDED.into_iter().collect();
    let _ = set.thread_unblock();
}

/// The next signal that has arrived.
pub(super) fn next_signal(signals: &OwnedFd) -> Result<Option<i32>> {
    // struct signalfd_siginfo: 128 bytes, the signal's number in the first four.
    let mut info = [0; 128];
    match rustix::io::read(signals, &mut info) {
        Ok(128) => Ok(Some(i32::from_ne_bytes([info[0], info[1], info[2], info[3]]))),
        Ok(_) | Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Ok(None),
        Err(error) => Err(error).on("read", "signalfd"),
    }
}

/// Takes the container's terminal from the socket to which libcontainer has delivered it, and gives it its size.
pub(super) fn receive(console: &UnixListener, size: Option<(u16, u16)>) -> Result<OwnedFd> {
    console.set_nonblocking(true).on("set up", "console.sock")?;
    let (socket, _) = console.accept().on("accept a terminal from", "console.sock")?;
    let mut name = [0; 64];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    recvmsg(&socket, &mut [IoSliceMut::new(&mut name)], &mut control, RecvFlags::CMSG_CLOEXEC)
        .on("receive a terminal from", "console.sock")?;
    let terminal = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    let terminal = terminal.ok_or_else(|| Error::runtime("the runtime delivered no terminal", []))?;
    if let Some((rows, columns)) = size {
        resize(&terminal, rows, columns);
    }
    Ok(terminal)
}

/// Gives a terminal its size; the program in it gets SIGWINCH.
pub(super) fn resize(terminal: &impl AsFd, rows: u16, columns: u16) {
    // A terminal that has just gone is no error.
    let _ = tcsetwinsize(terminal, Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 });
}

/// Rows and columns of the terminal that a person sits at.
pub(super) fn size(terminal: &impl AsFd) -> Option<(u16, u16)> {
    let size = rustix::termios::tcgetwinsize(terminal).ok()?;
    (size.ws_row != 0 && size.ws_col != 0).then_some((size.ws_row, size.ws_col))
}

/// A terminal in raw mode, which gets its settings back when this is dropped.
#[derive(Debug)]
pub(super) struct Raw<F: AsFd> {
    terminal: F,
    before: Termios,
}

impl<F: AsFd> Raw<F> {
    /// Puts `terminal` into raw mode: every key goes to the container.
    pub fn new(terminal: F) -> Result<Self> {
        let before = tcgetattr(&terminal).on("read the settings of", "the terminal")?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(&terminal, OptionalActions::Now, &raw).on("change the settings of", "the terminal")?;
        Ok(Raw { terminal, before })
    }
}

impl<F: AsFd> Drop for Raw<F> {
    fn drop(&mut self) {
        let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
    }
}

//! Containers with a terminal, seen from another one.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Stdio};

use nix::pty::{Winsize, openpty};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{LocalFlags, tcgetattr};
use nix::unistd::Pid;

use crate::fixture::{Store, eventually};
use crate::trials;

trials!(
    a_terminal_shows_what_the_command_writes_and_takes_keys,
    the_terminal_is_restored_when_the_command_ends,
    the_size_is_passed_on,
    a_terminal_without_a_person_is_emptied,
);

/// A front that sits at a terminal of its own.
struct Seat {
    front: Child,
    terminal: File,
    slave: OwnedFd,
    seen: String,
}

impl Seat {
    fn new(store: &Store, script: &str) -> Self {
        let pty = openpty(&Winsize { ws_row: 33, ws_col: 99, ws_xpixel: 0, ws_ypixel: 0 }, None).unwrap();
        let mut config = store.shell(script);
        (config.tty, config.open_stdin) = (true, true);
        let end = || Stdio::from(pty.slave.try_clone().unwrap());
        let front = store.front(&config, "attached").stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        Seat { front, terminal: pty.master.into(), slave: pty.slave, seen: String::new() }
    }

    fn type_in(&mut self, keys: &str) {
        self.terminal.write_all(keys.as_bytes()).unwrap();
    }

    /// Reads until `text` has been seen, and forgets what came up to it.
    fn wait_for(&mut self, text: &str) {
        while !self.seen.contains(text) {
            let mut buffer = [0; 1024];
            let length = self.terminal.read(&mut buffer).unwrap();
            assert!(length > 0, "{}", self.seen);
            self.seen.push_str(&String::from_utf8_lossy(&buffer[..length]));
        }
        let end = self.seen.find(text).unwrap() + text.len();
        self.seen.drain(..end);
    }

    fn is_raw(&self) -> bool {
        !tcgetattr(self.slave.as_fd()).unwrap().local_flags.contains(LocalFlags::ICANON)
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.front.id().cast_signed()), signal).unwrap();
    }
}

fn a_terminal_shows_what_the_command_writes_and_takes_keys() {
    let store = Store::new();
    let mut seat = Seat::new(
        &store,
        "test -t 0 && test -t 1 && test -t 2 && echo $TERM $(tty) ready; read x; echo got-$x; \
                                      trap 'echo caught; exit 6' INT; echo armed; while :; do sleep 0.01; done",
    );
    seat.wait_for("xterm /dev/pts/0 ready");
    seat.type_in("hello\r");
    seat.wait_for("got-hello");
    seat.wait_for("armed");
    // Ctrl-C is a key for the container's terminal, not for this one.
    seat.type_in("\x03");
    seat.wait_for("caught");
    assert_eq!(seat.front.wait().unwrap().code(), Some(6));
}

fn the_terminal_is_restored_when_the_command_ends() {
    let store = Store::new();
    let mut seat = Seat::new(&store, "echo ready; read x");
    assert!(!seat.is_raw());
    seat.wait_for("ready");
    eventually("the terminal is raw", || seat.is_raw().then_some(()));
    seat.type_in("\r");
    assert_eq!(seat.front.wait().unwrap().code(), Some(0));
    assert!(!seat.is_raw());
}

fn the_size_is_passed_on() {
    let store = Store::new();
    let mut seat =
        Seat::new(&store, "stty size; trap 'stty size; exit' WINCH; echo armed; while :; do sleep 0.01; done");
    seat.wait_for("33 99");
    seat.wait_for("armed");
    let size = rustix::termios::Winsize { ws_row: 44, ws_col: 111, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(&seat.terminal, size).unwrap();
    seat.signal(Signal::SIGWINCH);
    seat.wait_for("44 111");
    assert_eq!(seat.front.wait().unwrap().code(), Some(0));
}

fn a_terminal_without_a_person_is_emptied() {
    let store = Store::new();
    let mut config = store.shell("head -c 1000000 /dev/zero; touch /data/done");
    config.tty = true;
    let output = store.front(&config, "detached").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let container = store.containers().find(config.id.as_str()).unwrap();
    eventually("the container has ended", || container.folder.try_lock().unwrap());
    assert!(container.folder.upper().join("data/done").exists());
}

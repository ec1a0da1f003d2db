//! Starting a container: its monitor is sent on its way with orders, the lock and the streams.

use std::ffi::OsString;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use oci_spec::image::Config as ImageConfig;
use rustix::event::{PollFd, PollFlags, poll};

use super::attach::Attached;
use super::folder::Lock;
use super::protocol::{Channel, Orders, ToFront, ToMonitor};
use super::{Container, Containers, terminal};
use crate::rootfs::Lower;
use crate::{Error, IoResultExt, Result};

/// How to start a container.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The image below its root.
    pub lower: Lower,
    /// The configuration of its image.
    pub image: ImageConfig,
    /// The file that remembers which way of mounting works: `STORE/mounts/strategy`.
    pub strategy_cache: PathBuf,
    /// What the container's streams are.
    pub io: Io,
    /// The program that runs [`super::run_monitor`] on its standard input, and its arguments.
    pub monitor: Vec<OsString>,
}

/// What a container's streams are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Io {
    /// This process's own: handed down as they are, or through the container's terminal if it has one. With `stdin`
    /// false the container reads nothing.
    Attached {
        /// True for `-i`.
        stdin: bool,
    },
    /// `/dev/null`.
    Detached,
}

impl Containers {
    /// Starts a container whose lock the caller holds and returns when its command runs.
    ///
    /// From here on the signals that docker would pass on are blocked in this process and passed on to the container.
    pub fn start(&self, container: &Container, lock: Lock, launch: Launch) -> Result<Attached> {
        self.mark(&container.config.id)?;
        let signals = terminal::forwarded_signals()?;
        let attached = self.send_off(container, lock, &launch).and_then(|channel| {
            let (notes, pty) = self.first_word(container, &channel, &signals)?;
            Attached::new(self.clone(), container.clone(), channel, &signals, pty, notes, launch.io)
        });
        if attached.is_err() {
            terminal::release_signals();
        }
        attached
    }

    fn send_off(&self, container: &Container, lock: Lock, launch: &Launch) -> Result<Channel> {
        let (channel, far) = Channel::pair()?;
        let orders = Orders {
            containers: self.path.clone(),
            id: container.config.id.clone(),
            lower: launch.lower.clone(),
            strategy_cache: launch.strategy_cache.clone(),
            image: launch.image.clone(),
            size: terminal::size(&std::io::stdout()),
        };
        let sent = spawn(container, launch, far).and_then(|()| {
            let streams = streams(container, launch.io)?;
            let descriptors: Vec<BorrowedFd<'_>> =
                std::iter::once(lock.as_fd()).chain(streams.iter().map(AsFd::as_fd)).collect();
            channel.send(&orders, &descriptors)
        });
        drop(lock);
        match sent {
            Ok(()) => Ok(channel),
            Err(error) => {
                drop(channel);
                self.clear(&container.config.id)?;
                Err(error)
            }
        }
    }

    /// Waits until the container has started or failed to; signals are passed on meanwhile.
    fn first_word(
        &self,
        container: &Container,
        channel: &Channel,
        signals: &OwnedFd,
    ) -> Result<(Vec<String>, Option<OwnedFd>)> {
        loop {
            let mut watched = [PollFd::new(channel, PollFlags::IN), PollFd::new(signals, PollFlags::IN)];
            match poll(&mut watched, None) {
                Err(rustix::io::Errno::INTR) => continue,
                result => result.on("wait for", "the container's monitor")?,
            };
            let (word, signal) = (!watched[0].revents().is_empty(), !watched[1].revents().is_empty());
            if signal && let Some(signal) = terminal::next_signal(signals)? {
                // A monitor that is gone shows as the end of its channel.
                let _ = channel.send(&ToMonitor::Signal(signal), &[]);
            }
            if !word {
                continue;
            }
            return match channel.receive::<ToFront>()? {
                Some((ToFront::Started { notes }, descriptors)) => Ok((notes, descriptors.into_iter().next())),
                Some((ToFront::Failed(failure), _)) => Err(failure.into()),
                Some((ToFront::Exited { .. }, _)) | None => Err(self.monitor_is_gone(container)),
            };
        }
    }

    /// Clears up after a monitor that was killed, and says so.
    pub(super) fn monitor_is_gone(&self, container: &Container) -> Error {
        let name = &container.config.name;
        match self.clear(&container.config.id) {
            Ok(_) => {
                Error::runtime(format!("the monitor of container '{name}' was killed, and the container with it"), [])
            }
            Err(error) => error,
        }
    }
}

/// Executes the monitor in a process group of its own, so that Ctrl-C reaches only this process, with an empty environment.
fn spawn(container: &Container, launch: &Launch, orders: OwnedFd) -> Result<()> {
    let (program, arguments) = launch.monitor.split_first().expect("because a monitor has a program");
    let mut command = Command::new(program);
    command.arg0("rd-monitor").args(arguments).arg(container.config.id.short()).env_clear().current_dir("/");
    command.stdin(Stdio::from(orders)).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().map(drop).on("execute", program)
}

/// The streams to hand down: none for a container with a terminal.
fn streams(container: &Container, io: Io) -> Result<Vec<OwnedFd>> {
    let null = || {
        Ok::<OwnedFd, Error>(File::options().read(true).write(true).open("/dev/null").on("open", "/dev/null")?.into())
    };
    let own = |stream: BorrowedFd<'_>| stream.try_clone_to_owned().on("duplicate", "a standard stream");
    match io {
        _ if container.config.tty => Ok(Vec::new()),
        Io::Detached => Ok(vec![null()?, null()?, null()?]),
        Io::Attached { stdin } => {
            let stdin = if stdin { own(std::io::stdin().as_fd())? } else { null()? };
            Ok(vec![stdin, own(std::io::stdout().as_fd())?, own(std::io::stderr().as_fd())?])
        }
    }
}

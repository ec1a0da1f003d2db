//! What the front (`rd run`) and the monitor of a container say to each other.
//!
//! Each message is a length (four bytes, little-endian) and JSON, on a socket pair. Descriptors travel with the length:
//! the lock and the streams with the orders, the terminal with the word that the container has started.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use oci_spec::image::Config as ImageConfig;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::config::Id;
use crate::rootfs::Lower;
use crate::{Error, Result};

/// The most that travel with one message: the lock and three streams.
const MOST_DESCRIPTORS: usize = 4;

/// The front's first message: what to run. With it come the lock and, unless the container gets a terminal or nobody is
/// attached, its stdin, stdout and stderr.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Orders {
    /// The folder of all containers.
    pub containers: PathBuf,
    /// Which of them to start.
    pub id: Id,
    /// The image below its root.
    pub lower: Lower,
    /// Where the way of mounting that works is remembered.
    pub strategy_cache: PathBuf,
    /// The configuration of its image.
    pub image: ImageConfig,
    /// Rows and columns of the terminal.
    pub size: Option<(u16, u16)>,
}

/// What the front says later.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) enum ToMonitor {
    /// Send this signal to the container's first process.
    Signal(i32),
}

/// What the monitor says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum ToFront {
    /// The command runs. With it comes the terminal's controlling side, if there is one.
    Started {
        /// What this host made different from what would be usual.
        notes: Vec<String>,
    },
    /// The container couldn't be started.
    Failed(Failure),
    /// The command has ended and the container is cleaned up.
    Exited {
        /// The exit status as a shell counts.
        code: i32,
    },
}

/// An error on its way from the monitor to the front.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Failure {
    /// The command can't be executed.
    Command {
        /// See [`Error::Command`].
        command: String,
        /// See [`Error::Command`].
        why: String,
        /// See [`Error::Command`].
        missing: bool,
    },
    /// Anything else, in words.
    Other {
        /// The words of the error and its causes.
        chain: Vec<String>,
    },
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        match error {
            Error::Command { command, why, missing } => {
                Failure::Command { command: command.clone(), why: why.clone(), missing: *missing }
            }
            error => Failure::Other { chain: error.chain() },
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Command { command, why, missing } => Error::Command { command, why, missing },
            Failure::Other { chain } => {
                let mut words = chain.into_iter();
                Error::runtime(words.next().unwrap_or_default(), words)
            }
        }
    }
}

/// One end of the conversation.
#[derive(Debug)]
pub(super) struct Channel {
    socket: UnixStream,
}

impl Channel {
    /// Both ends.
    pub fn pair() -> Result<(Self, OwnedFd)> {
        let (near, far) = UnixStream::pair().map_err(broken)?;
        Ok((Channel { socket: near }, far.into()))
    }

    /// The end that another process passed on.
    pub fn received(socket: OwnedFd) -> Self {
        Channel { socket: socket.into() }
    }

    /// Sends a message with descriptors.
    pub fn send(&self, message: &impl Serialize, descriptors: &[BorrowedFd<'_>]) -> Result<()> {
        let bytes = serde_json::to_vec(message).expect("because messages hold nothing that JSON lacks");
        let length = u32::try_from(bytes.len()).map_err(|_| broken(io::ErrorKind::InvalidInput.into()))?.to_le_bytes();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
            return Err(broken(io::ErrorKind::InvalidInput.into()));
        }
        let sent = sendmsg(&self.socket, &[IoSlice::new(&length)], &mut control, SendFlags::NOSIGNAL);
        match sent.map_err(|error| broken(error.into()))? {
            4 => (&self.socket).write_all(&bytes).map_err(broken),
            _ => Err(broken(io::ErrorKind::WriteZero.into())),
        }
    }

    /// Receives a message and the descriptors that came with it; `None` where the other side is gone.
    pub fn receive<T: DeserializeOwned>(&self) -> Result<Option<(T, Vec<OwnedFd>)>> {
        let mut length = [0; 4];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = loop {
            match recvmsg(&self.socket, &mut [IoSliceMut::new(&mut length)], &mut control, RecvFlags::CMSG_CLOEXEC) {
                Err(rustix::io::Errno::INTR) => continue,
                // What a peer that was killed with unread data in its socket leaves.
                Err(rustix::io::Errno::CONNRESET) => return Ok(None),
                result => break result.map_err(|error| broken(error.into()))?.bytes,
            }
        };
        let descriptors = control.drain().filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
            _ => None,
        });
        let descriptors: Vec<OwnedFd> = descriptors.flatten().collect();
        if received == 0 {
            return Ok(None);
        }
        let rest = (&self.socket).read_exact(&mut length[received..]);
        let mut bytes = vec![0; u32::from_le_bytes(length) as usize];
        match rest.and_then(|()| (&self.socket).read_exact(&mut bytes)) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            result => result.map_err(broken)?,
        }
        let message = serde_json::from_slice(&bytes).map_err(|error| broken(error.into()))?;
        Ok(Some((message, descriptors)))
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn broken(error: io::Error) -> Error {
    Error::io("talk through", "the monitor's socket", error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_arrive_with_their_descriptors_and_an_end_is_told_apart() {
        let (near, far) = Channel::pair().unwrap();
        let far = Channel::received(far);
        let file = tempfile::tempfile().unwrap();
        near.send(&ToMonitor::Signal(15), &[file.as_fd(), file.as_fd()]).unwrap();
        near.send(&ToMonitor::Signal(2), &[]).unwrap();
        let (ToMonitor::Signal(signal), descriptors) = far.receive().unwrap().unwrap();
        assert_eq!((signal, descriptors.len()), (15, 2));
        let (ToMonitor::Signal(signal), descriptors) = far.receive().unwrap().unwrap();
        assert_eq!((signal, descriptors.len()), (2, 0));
        drop(near);
        assert!(far.receive::<ToMonitor>().unwrap().is_none());
    }

    #[test]
    fn an_error_keeps_its_kind_on_its_way() {
        let error = Error::Command { command: "x".into(), why: "y".into(), missing: true };
        assert!(matches!(Error::from(Failure::from(&error)), Error::Command { missing: true, .. }));
        let error = Error::runtime("a", ["b".to_owned()]);
        assert_eq!(Error::from(Failure::from(&error)).chain(), ["a", "b"]);
    }
}

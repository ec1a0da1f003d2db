//! The serving side of a fetch, protocol versions 0, 1 and 2 (gitprotocol-pack(5), gitprotocol-v2(5)).
//!
//! It is how stock git gets at contents: a store's configuration names itself as promisor remote, so that `git show`
//! or `git diff -p` asks `rd upload-pack` for the blobs that lie in `content/`. Ordinary fetches work too, shallow and
//! partial ones among them. Any object of the store may be asked for; contents are streamed, whatever their size.

mod depth;
mod pack;
mod request;
mod select;
mod v0;
mod v2;

use std::io::{Read, Write};

use gix_packetline::PacketLineRef;
use gix_packetline::blocking_io::StreamingPeekableIter;
use gix_packetline::blocking_io::encode::{error_to_write, text_to_write};

pub(crate) use pack::{write_pack, write_pack_with};
pub(crate) use v0::write_refs;

use crate::view::View;
use crate::{Error, Result};

/// Packet lines that end a request.
pub(crate) const FLUSH: &[PacketLineRef<'static>] = &[PacketLineRef::Flush];

/// What this program calls itself.
pub(crate) const AGENT: &str = concat!("agent=rd/", env!("CARGO_PKG_VERSION"));

/// The versions of git's protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// The first one, in which the server speaks first.
    V0,
    /// As the first, but it says so.
    V1,
    /// Commands and capabilities.
    V2,
}

impl Protocol {
    /// The highest version that the client asks for in the variable `GIT_PROTOCOL` (`version=2:…`).
    pub fn parse(variable: &str) -> Self {
        let has = |version: &str| variable.split(':').any(|word| word == version);
        match (has("version=2"), has("version=1")) {
            (true, _) => Protocol::V2,
            (false, true) => Protocol::V1,
            _ => Protocol::V0,
        }
    }
}

/// Serve the requests of one client.
pub fn serve(view: &View<'_>, protocol: Protocol, input: impl Read, mut output: impl Write) -> Result<()> {
    let mut lines = StreamingPeekableIter::new(input, FLUSH, false);
    let outcome = match protocol {
        Protocol::V2 => v2::serve(view, &mut lines, &mut output),
        Protocol::V1 => text_to_write(b"version 1", &mut output)
            .map_err(to_client())
            .and_then(|_| v0::serve(view, &mut lines, &mut output)),
        Protocol::V0 => v0::serve(view, &mut lines, &mut output),
    };
    if let Err(error) = &outcome {
        // Where the client still listens it shall know why.
        let _ = error_to_write(error.to_string().as_bytes(), &mut output).and_then(|_| output.flush());
    }
    outcome
}

/// A closure for errors of writing to the client.
pub(crate) fn to_client() -> impl FnOnce(std::io::Error) -> Error {
    Error::io("write", "the client")
}

fn invalid(why: &str) -> Error {
    Error::Invalid { what: "request", input: "upload-pack".into(), why: why.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_version_counts() {
        for (variable, protocol) in [
            ("", Protocol::V0),
            ("version=1", Protocol::V1),
            ("version=2", Protocol::V2),
            ("version=1:x:version=2", Protocol::V2),
            ("version=3", Protocol::V0),
        ] {
            assert_eq!(Protocol::parse(variable), protocol, "{variable}");
        }
    }
}

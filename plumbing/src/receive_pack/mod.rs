//! The serving side of a push (gitprotocol-pack(5), "Pushing Data To a Server").
//!
//! Nothing that comes is believed: the pack is resolved in a folder of its own, every object is checked by the rules of
//! git-fsck(1), and only what the refs need is copied into the store. What is pushed to a branch that shows an image
//! becomes a commit of that image; what is pushed to `refs/images/` must be one already.

mod adopt;
mod apply;
mod command;
mod connect;
mod guard;
mod image;
mod quarantine;
mod take;
mod update;

use std::io::{BufRead, Write};

use gix_packetline::Channel;
use gix_packetline::blocking_io::StreamingPeekableIter;
use gix_packetline::blocking_io::encode::{band_to_write, error_to_write, flush_to_write, text_to_write};

use crate::upload_pack::{AGENT, FLUSH, Protocol, to_client, write_refs};
use crate::view::View;
use crate::{Error, Id, Result};
use command::{Command, Request};
pub(crate) use connect::refused;
pub(crate) use image::Checker;
use quarantine::Quarantine;
pub(crate) use quarantine::prepare;
pub(crate) use take::take_pack;

/// What this server can do.
const CAPABILITIES: &str = "report-status delete-refs side-band-64k quiet atomic ofs-delta object-format=sha256";

/// Bytes of data that a packet line on a side band takes.
const BAND: usize = 65_515;

/// Take what one client pushes. Refs that it may not change are reported to it, and are no error here.
pub fn serve(view: &View<'_>, protocol: Protocol, input: impl BufRead, mut output: impl Write) -> Result<()> {
    let outcome = serve_to(view, protocol, input, &mut output);
    if let Err(error) = &outcome {
        // Where the client still listens it shall know why.
        let _ = error_to_write(error.to_string().as_bytes(), &mut output).and_then(|_| output.flush());
    }
    outcome
}

fn serve_to(view: &View<'_>, protocol: Protocol, input: impl BufRead, output: &mut impl Write) -> Result<()> {
    if protocol == Protocol::V1 {
        text_to_write(b"version 1", &mut *output).map_err(to_client())?;
    }
    advertise(view, output)?;
    let mut lines = StreamingPeekableIter::new(input, FLUSH, false);
    let Some(request) = Request::read(&mut lines)? else { return Ok(()) };
    let received = match request.has_pack() {
        true => Quarantine::receive(view.store(), lines.into_inner()).map(Some),
        false => Ok(None),
    };
    let report = match received {
        Ok(received) => {
            let outcomes = update::run(view, received.as_ref(), &request);
            drop(received);
            Report { unpacked: Ok(()), outcomes: request.commands.iter().zip(outcomes).collect() }
        }
        Err(error) => {
            let failed = request.commands.iter().map(|command| (command, Err("unpacker error".to_owned())));
            Report { unpacked: Err(one_line(&error)), outcomes: failed.collect() }
        }
    };
    if !request.wants_report {
        return Ok(());
    }
    report.send(request.side_band, output).map_err(to_client())
}

fn advertise(view: &View<'_>, out: &mut impl Write) -> Result<()> {
    let mut list: Vec<(Id, String)> = view.refs(|_| true)?.into_iter().map(|found| (found.id, found.name)).collect();
    if list.is_empty() {
        list.push((Id::null(gix::hash::Kind::Sha256), "capabilities^{}".into()));
    }
    write_refs(&list, &format!("{CAPABILITIES} {AGENT}"), out).map_err(to_client())
}

/// What became of a push.
struct Report<'c> {
    unpacked: Result<(), String>,
    outcomes: Vec<(&'c Command, Result<(), String>)>,
}

impl Report<'_> {
    fn encode(&self) -> std::io::Result<Vec<u8>> {
        let mut out = Vec::new();
        let mut line = |text: String| text_to_write(text.as_bytes(), &mut out).map(drop);
        match &self.unpacked {
            Ok(()) => line("unpack ok".into())?,
            Err(why) => line(format!("unpack {why}"))?,
        }
        for (command, outcome) in &self.outcomes {
            match outcome {
                Ok(()) => line(format!("ok {}", command.name))?,
                Err(why) => line(format!("ng {} {why}", command.name))?,
            }
        }
        flush_to_write(&mut out)?;
        Ok(out)
    }

    fn send(&self, side_band: bool, out: &mut impl Write) -> std::io::Result<()> {
        let report = self.encode()?;
        if side_band {
            for part in report.chunks(BAND) {
                band_to_write(Channel::Data, part, &mut *out)?;
            }
            flush_to_write(&mut *out)?;
        } else {
            out.write_all(&report)?;
        }
        out.flush()
    }
}

/// An error with its causes, for a line of a report.
fn one_line(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    let mut text = text.replace(['\n', '\r', '\0'], " ");
    // A packet line has room for 65,516 bytes, and a reader for far less.
    if let Some((end, _)) = text.char_indices().nth(1000) {
        text.truncate(end);
    }
    text
}

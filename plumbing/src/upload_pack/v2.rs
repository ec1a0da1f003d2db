//! Version 2: the client sends commands, `ls-refs` and `fetch`.

use std::io::{Read, Write};

use gix::bstr::{BStr, ByteSlice};
use gix_packetline::PacketLineRef;
use gix_packetline::blocking_io::StreamingPeekableIter;
use gix_packetline::blocking_io::encode::{delim_to_write, flush_to_write, text_to_write};

use super::depth::Boundary;
use super::pack::{self, Transport};
use super::request::Fetch;
use super::select::Selection;
use super::{AGENT, invalid, to_client};
use crate::view::{Head, View};
use crate::{Error, Id, Result};

/// Answer commands until the client has no more.
pub(super) fn serve<R: Read>(
    view: &View<'_>,
    lines: &mut StreamingPeekableIter<R>,
    output: &mut impl Write,
) -> Result<()> {
    advertise(output).map_err(to_client())?;
    while let Some(request) = read_request(lines)? {
        match request.command.as_bytes() {
            b"ls-refs" => ls_refs(view, &request.arguments, output)?,
            b"fetch" => fetch(view, &request.arguments, output)?,
            other => return Err(invalid(&format!("unknown command '{}'", other.as_bstr()))),
        }
        output.flush().map_err(to_client())?;
    }
    Ok(())
}

/// What this server can do.
fn advertise(out: &mut impl Write) -> std::io::Result<()> {
    for line in ["version 2", AGENT, "ls-refs=unborn", "fetch=shallow filter", "object-format=sha256"] {
        text_to_write(line.as_bytes(), &mut *out)?;
    }
    flush_to_write(&mut *out)?;
    out.flush()
}

/// A request: its command and its arguments.
struct Request {
    command: Vec<u8>,
    arguments: Vec<Vec<u8>>,
}

/// The next request; `None` where the client has gone or has no more.
fn read_request<R: Read>(lines: &mut StreamingPeekableIter<R>) -> Result<Option<Request>> {
    let mut request = Request { command: Vec::new(), arguments: Vec::new() };
    let mut in_arguments = false;
    loop {
        match lines.read_line() {
            // A flush: the end of the request, or in its place the end of all.
            None => {
                lines.reset();
                return Ok(Some(request).filter(|request| !request.command.is_empty()));
            }
            Some(Err(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof && request.command.is_empty() => {
                return Ok(None);
            }
            Some(Err(error)) => return Err(Error::io("read", "the client")(error)),
            Some(Ok(Err(error))) => return Err(invalid(&error.to_string())),
            Some(Ok(Ok(PacketLineRef::Delimiter))) => in_arguments = true,
            Some(Ok(Ok(line))) => {
                let text = line.as_slice().unwrap_or_default();
                let text = text.strip_suffix(b"\n").unwrap_or(text);
                match text.strip_prefix(b"command=") {
                    Some(command) if !in_arguments => request.command = command.to_vec(),
                    _ if in_arguments => request.arguments.push(text.to_vec()),
                    _ => check_capability(text.as_bstr())?,
                }
            }
        }
    }
}

/// A client of another object format can't be served.
fn check_capability(text: &BStr) -> Result<()> {
    match text.strip_prefix(b"object-format=") {
        Some(format) if format != b"sha256" => {
            Err(invalid(&format!("the object format is sha256, not {}", format.as_bstr())))
        }
        _ => Ok(()),
    }
}

/// `ls-refs`: the refs, with what symbolic ones name and what tags lead to.
fn ls_refs(view: &View<'_>, arguments: &[Vec<u8>], out: &mut impl Write) -> Result<()> {
    let has = |word: &str| arguments.iter().any(|argument| argument == word.as_bytes());
    let prefixes: Vec<&[u8]> = arguments.iter().filter_map(|argument| argument.strip_prefix(b"ref-prefix ")).collect();
    let wanted = |name: &str| prefixes.is_empty() || prefixes.iter().any(|prefix| name.as_bytes().starts_with(prefix));
    let mut lines = Vec::new();
    if wanted("HEAD") {
        lines.extend(head_line(view.head()?, has("unborn"), has("symrefs")));
    }
    for found in view.refs(wanted)? {
        let mut line = format!("{} {}", found.id, found.name);
        if let Some(target) = found.target.filter(|_| has("symrefs")) {
            line.push_str(&format!(" symref-target:{target}"));
        }
        if let Some(peeled) = view.peeled(found.id).filter(|_| has("peel")) {
            line.push_str(&format!(" peeled:{peeled}"));
        }
        lines.push(line);
    }
    write_lines(out, &lines).map_err(to_client())
}

fn write_lines(out: &mut impl Write, lines: &[String]) -> std::io::Result<()> {
    lines.iter().try_for_each(|line| text_to_write(line.as_bytes(), &mut *out).map(drop))?;
    flush_to_write(&mut *out).map(drop)
}

/// HEAD's line; a HEAD may name a branch that isn't there.
fn head_line(head: Head, unborn: bool, symrefs: bool) -> Option<String> {
    match (head.id, head.target) {
        (Some(id), Some(target)) if symrefs => Some(format!("{id} HEAD symref-target:{target}")),
        (Some(id), _) => Some(format!("{id} HEAD")),
        (None, Some(target)) if unborn => Some(format!("unborn HEAD symref-target:{target}")),
        (None, _) => None,
    }
}

/// `fetch`: say what both sides have and where history is cut, then send a pack of what the client lacks.
fn fetch(view: &View<'_>, arguments: &[Vec<u8>], out: &mut impl Write) -> Result<()> {
    let mut fetch = Fetch::default();
    arguments.iter().try_for_each(|argument| fetch.add(argument.as_bstr()))?;
    fetch.check_wants(view)?;
    let common: Vec<Id> = fetch.haves.iter().copied().filter(|id| view.has(id)).collect();
    if !fetch.done {
        let ready = acknowledge(&common, &mut *out).map_err(to_client())?;
        if !ready {
            return Ok(());
        }
    }
    let boundary = Boundary::new(view, &fetch)?;
    if fetch.deepen.is_some() {
        text_to_write(b"shallow-info", &mut *out).map_err(to_client())?;
        boundary.write_lines(&mut *out).map_err(to_client())?;
        delim_to_write(&mut *out).map_err(to_client())?;
    }
    let selection = Selection::new(view, &fetch, &common, &boundary)?;
    text_to_write(b"packfile", &mut *out).map_err(to_client())?;
    pack::send(view, &selection, Transport::SideBand, &mut *out)
}

/// The section `acknowledgments`. One object that both have is enough to begin; whether it is.
fn acknowledge(common: &[Id], out: &mut impl Write) -> std::io::Result<bool> {
    text_to_write(b"acknowledgments", &mut *out)?;
    if common.is_empty() {
        text_to_write(b"NAK", &mut *out)?;
        flush_to_write(&mut *out)?;
        return Ok(false);
    }
    for id in common {
        text_to_write(format!("ACK {id}").as_bytes(), &mut *out)?;
    }
    text_to_write(b"ready", &mut *out)?;
    delim_to_write(&mut *out)?;
    Ok(true)
}

//! Versions 0 and 1: the server lists its refs, the client says what it wants and has.

use std::io::{Read, Write};

use gix::bstr::{BString, ByteSlice};
use gix_packetline::blocking_io::StreamingPeekableIter;
use gix_packetline::blocking_io::encode::{flush_to_write, text_to_write};

use super::depth::Boundary;
use super::pack::{self, Transport};
use super::request::Fetch;
use super::select::Selection;
use super::{AGENT, invalid, to_client};
use crate::view::View;
use crate::{Error, Id, Result};

/// What this server can do, beside naming HEAD's branch.
const CAPABILITIES: &str = "multi_ack_detailed side-band-64k ofs-delta thin-pack shallow deepen-since deepen-relative \
     no-progress include-tag allow-tip-sha1-in-want allow-reachable-sha1-in-want filter object-format=sha256";

/// Words that a client adds to its first line to say what it can do.
#[derive(Default)]
struct Client {
    acknowledges: bool,
    side_band: bool,
}

/// Answer one client.
pub(super) fn serve<R: Read>(
    view: &View<'_>,
    lines: &mut StreamingPeekableIter<R>,
    out: &mut impl Write,
) -> Result<()> {
    advertise(view, out)?;
    let (mut fetch, mut client) = (Fetch::default(), Client::default());
    while let Line::Text(line) = next_line(lines)? {
        take_line(&line, &mut fetch, &mut client)?;
    }
    if fetch.wants.is_empty() {
        return Ok(());
    }
    fetch.check_wants(view)?;
    let boundary = Boundary::new(view, &fetch)?;
    if fetch.deepen.is_some() {
        boundary.write_lines(out).and_then(|()| flush_to_write(&mut *out)).map_err(to_client())?;
        out.flush().map_err(to_client())?;
    }
    let Some(common) = negotiate(view, lines, &client, out)? else { return Ok(()) };
    let selection = Selection::new(view, &fetch, &common, &boundary)?;
    let transport = if client.side_band { Transport::SideBand } else { Transport::Plain };
    pack::send(view, &selection, transport, out)?;
    out.flush().map_err(to_client())
}

/// The refs, the first with what this server can do.
fn advertise(view: &View<'_>, out: &mut impl Write) -> Result<()> {
    let head = view.head()?;
    let mut capabilities = format!("{CAPABILITIES} {AGENT}");
    if let (Some(_), Some(target)) = (head.id, &head.target) {
        capabilities.push_str(&format!(" symref=HEAD:{target}"));
    }
    let mut list: Vec<(Id, String)> = head.id.map(|id| (id, "HEAD".to_owned())).into_iter().collect();
    for found in view.refs(|_| true)? {
        let peeled = view.peeled(found.id).map(|id| (id, format!("{}^{{}}", found.name)));
        list.push((found.id, found.name));
        list.extend(peeled);
    }
    if list.is_empty() {
        list.push((Id::null(gix::hash::Kind::Sha256), "capabilities^{}".into()));
    }
    write_refs(&list, &capabilities, out).map_err(to_client())
}

/// Lines of refs; the capabilities hide behind the first.
pub(crate) fn write_refs(list: &[(Id, String)], capabilities: &str, out: &mut impl Write) -> std::io::Result<()> {
    for (number, (id, name)) in list.iter().enumerate() {
        let line = if number == 0 { format!("{id} {name}\0{capabilities}") } else { format!("{id} {name}") };
        text_to_write(line.as_bytes(), &mut *out)?;
    }
    flush_to_write(&mut *out)?;
    out.flush()
}

/// What a client sends.
enum Line {
    Text(BString),
    Flush,
    /// The client has gone.
    End,
}

fn next_line<R: Read>(lines: &mut StreamingPeekableIter<R>) -> Result<Line> {
    match lines.read_line() {
        None => {
            lines.reset();
            Ok(Line::Flush)
        }
        Some(Err(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(Line::End),
        Some(Err(error)) => Err(Error::io("read", "the client")(error)),
        Some(Ok(Err(error))) => Err(invalid(&error.to_string())),
        Some(Ok(Ok(line))) => {
            let text = line.as_slice().unwrap_or_default();
            Ok(Line::Text(text.strip_suffix(b"\n").unwrap_or(text).into()))
        }
    }
}

/// A `want` with the client's capabilities, or another line of the request.
fn take_line(line: &BString, fetch: &mut Fetch, client: &mut Client) -> Result<()> {
    let mut words = line.splitn_str(3, " ");
    let (word, value, rest) = (words.next().unwrap_or_default(), words.next(), words.next());
    if word != b"want" {
        return fetch.add(line.as_bstr());
    }
    let want = [b"want ", value.unwrap_or_default()].concat();
    fetch.add(want.as_bstr())?;
    for capability in rest.unwrap_or_default().split_str(" ").filter(|word| !word.is_empty()) {
        match capability {
            b"multi_ack_detailed" => client.acknowledges = true,
            b"side-band-64k" => client.side_band = true,
            b"include-tag" => fetch.include_tags = true,
            b"deepen-relative" => fetch.add(b"deepen-relative".as_bstr())?,
            other => check_format(other)?,
        }
    }
    Ok(())
}

fn check_format(capability: &[u8]) -> Result<()> {
    match capability.strip_prefix(b"object-format=") {
        Some(format) if format != b"sha256" => {
            Err(invalid(&format!("the object format is sha256, not {}", format.as_bstr())))
        }
        _ => Ok(()),
    }
}

/// Find out what both sides have; `None` where the client went away.
fn negotiate<R: Read>(
    view: &View<'_>,
    lines: &mut StreamingPeekableIter<R>,
    client: &Client,
    out: &mut impl Write,
) -> Result<Option<Vec<Id>>> {
    let mut common: Vec<Id> = Vec::new();
    loop {
        let answers = match next_line(lines)? {
            Line::End => return Ok(None),
            Line::Flush => at_flush(&common, client),
            Line::Text(line) => {
                let mut fetch = Fetch::default();
                fetch.add(line.as_bstr())?;
                if fetch.done {
                    say(&at_done(&common, client), out)?;
                    return Ok(Some(common));
                }
                at_haves(fetch.haves.into_iter().filter(|id| view.has(id)), &mut common, client)
            }
        };
        say(&answers, out)?;
    }
}

fn say(lines: &[String], out: &mut impl Write) -> Result<()> {
    lines.iter().try_for_each(|line| text_to_write(line.as_bytes(), &mut *out).map(drop)).map_err(to_client())?;
    out.flush().map_err(to_client())
}

/// The client has what the store has too.
fn at_haves(ids: impl Iterator<Item = Id>, common: &mut Vec<Id>, client: &Client) -> Vec<String> {
    let mut answers = Vec::new();
    for id in ids {
        common.push(id);
        match common.len() {
            _ if client.acknowledges => answers.push(format!("ACK {id} common")),
            1 => answers.push(format!("ACK {id}")),
            _ => {}
        }
    }
    answers
}

/// At a flush the client waits: one object that both have is enough to begin.
fn at_flush(common: &[Id], client: &Client) -> Vec<String> {
    match common.last() {
        Some(id) if client.acknowledges => vec![format!("ACK {id} ready"), "NAK".into()],
        Some(_) => Vec::new(),
        None => vec!["NAK".into()],
    }
}

fn at_done(common: &[Id], client: &Client) -> Vec<String> {
    match common.last() {
        Some(id) if client.acknowledges => vec![format!("ACK {id}")],
        Some(_) => Vec::new(),
        None => vec!["NAK".into()],
    }
}

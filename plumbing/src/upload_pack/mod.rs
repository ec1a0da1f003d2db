//! The serving side of a fetch, protocol version 2 (gitprotocol-v2(5)).
//!
//! It is how stock git gets at contents: a store's configuration names itself as promisor remote, so that `git show`
//! or `git diff -p` asks `rd upload-pack` for the blobs that lie in `content/`. Ordinary fetches work too. Any object of
//! the store may be asked for; contents are streamed, whatever their size.

mod pack;
mod select;

use std::io::{Read, Write};

use gix::bstr::{BStr, ByteSlice};
use gix_packetline::PacketLineRef;
use gix_packetline::blocking_io::StreamingPeekableIter;
use gix_packetline::blocking_io::encode::{delim_to_write, error_to_write, flush_to_write, text_to_write};

use crate::{Error, Id, Result, Store};
use select::{Filter, Selection};

/// Packet lines that end a request.
const FLUSH: &[PacketLineRef<'static>] = &[PacketLineRef::Flush];

/// The requests of one client.
pub fn serve(store: &Store, input: impl Read, mut output: impl Write) -> Result<()> {
    let mut lines = StreamingPeekableIter::new(input, FLUSH, false);
    advertise(&mut output).map_err(Error::io("write", "the client"))?;
    loop {
        let outcome = read_request(&mut lines).and_then(|request| match request {
            Some(request) => answer(store, &request, &mut output).map(|()| true),
            None => Ok(false),
        });
        match outcome {
            Ok(true) => output.flush().map_err(Error::io("write", "the client"))?,
            Ok(false) => return Ok(()),
            Err(error) => {
                // Where the client still listens it shall know why.
                let _ = error_to_write(error.to_string().as_bytes(), &mut output).and_then(|_| output.flush());
                return Err(error);
            }
        }
    }
}

fn answer(store: &Store, request: &Request, output: &mut impl Write) -> Result<()> {
    match request.command.as_bytes() {
        b"ls-refs" => ls_refs(store, &request.arguments, output),
        b"fetch" => fetch(store, &request.arguments, output),
        other => Err(invalid(&format!("unknown command '{}'", other.as_bstr()))),
    }
}

/// What this server can do.
fn advertise(out: &mut impl Write) -> std::io::Result<()> {
    let agent = concat!("agent=rd/", env!("CARGO_PKG_VERSION"));
    for line in ["version 2", agent, "ls-refs=unborn", "fetch=filter", "object-format=sha256"] {
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

fn invalid(why: &str) -> Error {
    Error::Invalid { what: "request", input: "upload-pack".into(), why: why.into() }
}

/// `ls-refs`: the refs, with what symbolic ones name and what tags lead to.
fn ls_refs(store: &Store, arguments: &[Vec<u8>], out: &mut impl Write) -> Result<()> {
    let has = |word: &str| arguments.iter().any(|argument| argument == word.as_bytes());
    let prefixes: Vec<&[u8]> = arguments.iter().filter_map(|argument| argument.strip_prefix(b"ref-prefix ")).collect();
    let wanted = |name: &[u8]| prefixes.is_empty() || prefixes.iter().any(|prefix| name.starts_with(prefix));
    let doing = || Error::git("list the refs");
    let mut lines = Vec::new();
    if wanted(b"HEAD") {
        lines.extend(head_line(store, has("unborn"), has("symrefs"))?);
    }
    let platform = store.repo().references().map_err(doing())?;
    for found in platform.all().map_err(doing())? {
        let mut found = found.map_err(|error| Error::damaged("ref", error.to_string()))?;
        let name = found.name().as_bstr().to_owned();
        if !wanted(&name) {
            continue;
        }
        let symbolic = found.target().try_name().map(|target| target.as_bstr().to_owned());
        let Ok(id) = found.follow_to_object() else { continue };
        let mut line = format!("{id} {name}");
        if let Some(target) = symbolic.filter(|_| has("symrefs")) {
            line.push_str(&format!(" symref-target:{target}"));
        }
        if let Some(peeled) = peeled(store, id.detach()).filter(|_| has("peel")) {
            line.push_str(&format!(" peeled:{peeled}"));
        }
        lines.push(line);
    }
    write_lines(out, &lines).map_err(Error::io("write", "the client"))
}

fn write_lines(out: &mut impl Write, lines: &[String]) -> std::io::Result<()> {
    lines.iter().try_for_each(|line| text_to_write(line.as_bytes(), &mut *out).map(drop))?;
    flush_to_write(&mut *out).map(drop)
}

/// HEAD's line; a store's HEAD names a branch that isn't there.
fn head_line(store: &Store, unborn: bool, symrefs: bool) -> Result<Option<String>> {
    let head = store.repo().head().map_err(Error::git("read HEAD"))?;
    let target = head.referent_name().map(|name| name.as_bstr().to_owned());
    Ok(match (head.id(), target) {
        (Some(id), Some(target)) if symrefs => Some(format!("{id} HEAD symref-target:{target}")),
        (Some(id), _) => Some(format!("{id} HEAD")),
        (None, Some(target)) if unborn => Some(format!("unborn HEAD symref-target:{target}")),
        (None, _) => None,
    })
}

/// What a tag leads to; `None` for anything but a tag.
fn peeled(store: &Store, id: Id) -> Option<Id> {
    let header = store.repo().find_header(id).ok()?;
    let is_tag = header.kind() == gix::objs::Kind::Tag;
    is_tag.then(|| Some(store.repo().find_object(id).ok()?.peel_tags_to_end().ok()?.id)).flatten()
}

/// What a client asks for.
#[derive(Default)]
struct Fetch {
    wants: Vec<Id>,
    haves: Vec<Id>,
    done: bool,
    include_tags: bool,
    filter: Filter,
}

impl Fetch {
    fn parse(arguments: &[Vec<u8>]) -> Result<Self> {
        let mut fetch = Self::default();
        for argument in arguments {
            let argument = argument.as_bstr();
            let (word, value) = argument.split_once_str(" ").unwrap_or((argument, b""));
            let id = || Id::from_hex(value).map_err(|_| invalid(&format!("'{argument}' has no id")));
            match word {
                b"want" => fetch.wants.push(id()?),
                b"have" => fetch.haves.push(id()?),
                b"done" => fetch.done = true,
                b"include-tag" => fetch.include_tags = true,
                b"filter" => fetch.filter = Filter::parse(value.as_bstr())?,
                // What a client could also take, of which no use is made.
                b"thin-pack" | b"no-progress" | b"ofs-delta" => {}
                _ => return Err(invalid(&format!("unknown argument '{argument}'"))),
            }
        }
        Ok(fetch)
    }
}

/// `fetch`: say what both sides have, then send a pack of what the client lacks.
fn fetch(store: &Store, arguments: &[Vec<u8>], out: &mut impl Write) -> Result<()> {
    let fetch = Fetch::parse(arguments)?;
    if let Some(missing) = fetch.wants.iter().find(|id| !store.has(id)) {
        return Err(invalid(&format!("not our ref {missing}")));
    }
    let common: Vec<Id> = fetch.haves.iter().copied().filter(|id| store.repo().has_object(id)).collect();
    if !fetch.done {
        let ready = acknowledge(&common, &mut *out).map_err(Error::io("write", "the client"))?;
        if !ready {
            return Ok(());
        }
    }
    let selection = Selection::new(store, &fetch.wants, &common, &fetch.filter, fetch.include_tags)?;
    text_to_write(b"packfile", &mut *out).map_err(Error::io("write", "the client"))?;
    pack::send(store, &selection, &mut *out)?;
    flush_to_write(&mut *out).map(drop).map_err(Error::io("write", "the client"))
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

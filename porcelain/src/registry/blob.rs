//! One blob into a file: from where it broke off, from any place that has it, and not a byte more than it should have.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::time::Instant;

use plumbing::digest::Digest;
use ureq::http::{Method, StatusCode};

use super::host::{Ask, is_passing_error};
use super::http::{Answer, Patience, header, plain};
use super::remote::{At, Remote};
use crate::{Error, IoResultExt, Result};

const BUFFER: usize = 128 << 10;

/// What is to come, and how far it came.
pub(super) struct Transfer<'f> {
    pub(super) digest: Digest,
    pub(super) size: u64,
    pub(super) file: &'f File,
    /// Where the next bytes come from and go to.
    pub(super) at: u64,
    /// Where the last ones end.
    pub(super) end: u64,
}

impl Remote {
    /// Bring the rest of what is wanted of a blob. `advanced` hears of each piece, and says whether the blob is still wanted.
    pub(super) fn download(&self, transfer: &mut Transfer<'_>, advanced: &mut dyn FnMut(u64) -> bool) -> Result<()> {
        let mut failed = None;
        for at in &self.places {
            match at.download(transfer, advanced) {
                Ok(()) => return Ok(()),
                Err(error @ Error::Io { .. }) => return Err(error),
                Err(error) => failed = Some(error),
            }
        }
        Err(failed.expect("because there is a place at least"))
    }
}

impl At {
    fn download(&self, transfer: &mut Transfer<'_>, advanced: &mut dyn FnMut(u64) -> bool) -> Result<()> {
        let patience = self.host.patience;
        let mut tries = 0;
        loop {
            let before = transfer.at;
            let result = self.download_once(transfer, advanced);
            // A server that gives a few bytes at a time isn't waited for without end.
            if transfer.at - before >= patience.least {
                tries = 0;
            }
            tries += 1;
            match result {
                Err(Error::Unreachable { ref source, .. }) if goes_on(source, transfer) && tries < patience.tries => {
                    std::thread::sleep(patience.pause_after(tries - 1, None));
                }
                other => return other,
            }
        }
    }

    fn download_once(&self, transfer: &mut Transfer<'_>, advanced: &mut dyn FnMut(u64) -> bool) -> Result<()> {
        if transfer.at == transfer.end {
            return Ok(());
        }
        let Transfer { digest, size, at: start, end, .. } = *transfer;
        let url = format!("/v2/{}/blobs/{digest}", self.path);
        let scope = self.scope("pull");
        let mut ask = Ask::new(Method::GET, &url, &scope);
        let in_part = start > 0 || end < size;
        if in_part {
            let last = if end < size { (end - 1).to_string() } else { String::new() };
            ask.headers.push(("range", format!("bytes={start}-{last}")));
        }
        let answer = self.host.ask(&ask)?;
        let skipped = match answer.status() {
            // A server without ranges gives all of it; of that no more is read than what is before the end.
            StatusCode::OK => start,
            StatusCode::PARTIAL_CONTENT if in_part => {
                self.check_range(&answer, start, size)?;
                0
            }
            StatusCode::NOT_FOUND => {
                return Err(Error::NotFound { what: "blob", name: format!("{digest} at {}", self.host.name()) });
            }
            StatusCode::RANGE_NOT_SATISFIABLE => return Err(self.wrong_size(&digest, size)),
            _ => return Err(self.host.failure(answer, &ask.method, &url, &self.path)),
        };
        let whole = if answer.status() == StatusCode::OK { size } else { end - start };
        if answer.body().content_length().is_some_and(|length| length > whole) {
            return Err(self.wrong_size(&digest, size));
        }
        // Not a byte more is read than there should be.
        let mut body = answer.into_body().into_reader().take(end - start + skipped);
        let mut pace = Pace::new(self.host.patience);
        let mut buffer = vec![0; BUFFER];
        let mut to_skip = skipped;
        while transfer.at < end {
            let length = body.read(&mut buffer).map_err(|error| self.host.unreachable(plain(error)))?;
            if length == 0 {
                let why = format!("it ended after {} of {end} bytes", transfer.at);
                return Err(self.host.unreachable(io::Error::new(io::ErrorKind::UnexpectedEof, why)));
            }
            pace.check(length as u64).map_err(|error| self.host.unreachable(error))?;
            let skip = usize::try_from(to_skip).unwrap_or(usize::MAX).min(length);
            to_skip -= skip as u64;
            transfer.file.write_all_at(&buffer[skip..length], transfer.at).on("write", "downloads")?;
            transfer.at += (length - skip) as u64;
            if !advanced((length - skip) as u64) {
                return Err(self.host.unreachable(io::Error::other("nobody wants it any more")));
            }
        }
        Ok(())
    }

    /// The part that came must be the part that was asked for.
    fn check_range(&self, answer: &Answer, start: u64, size: u64) -> Result<()> {
        let range = header(answer, "content-range").unwrap_or_default();
        let fits = range.strip_prefix("bytes ").and_then(|range| {
            let (first, rest) = range.split_once('-')?;
            let total = rest.split_once('/')?.1;
            Some(first.parse() == Ok(start) && (total == "*" || total.parse() == Ok(size)))
        });
        let why =
            || format!("it was asked for the bytes from {start} on of {size}, and sends '{}'", range.escape_debug());
        if fits == Some(true) { Ok(()) } else { Err(self.host.untrusted(why())) }
    }

    fn wrong_size(&self, digest: &Digest, size: u64) -> Error {
        self.host.untrusted(format!("blob {digest} hasn't the {size} bytes that the manifest says"))
    }
}

/// Whether a broken transfer may go on. Once something came, the server was there, and may come back.
fn goes_on(error: &io::Error, transfer: &Transfer<'_>) -> bool {
    is_passing_error(error) || (transfer.at > 0 && error.kind() == io::ErrorKind::ConnectionRefused)
}

/// How fast bytes come.
struct Pace {
    patience: Patience,
    since: Instant,
    bytes: u64,
}

impl Pace {
    fn new(patience: Patience) -> Self {
        Self { patience, since: Instant::now(), bytes: 0 }
    }

    /// An error where too few came for too long.
    fn check(&mut self, bytes: u64) -> io::Result<()> {
        self.bytes += bytes;
        if self.since.elapsed() < self.patience.window {
            return Ok(());
        }
        if self.bytes < self.patience.least {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "it sends next to nothing"));
        }
        *self = Self::new(self.patience);
        Ok(())
    }
}

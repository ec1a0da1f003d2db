//! Blobs and manifests to a registry: nothing that it has, from other repositories of it where it can, and on from where it
//! broke off.

use std::io::{self, Read};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};

use plumbing::digest::Digest;
use ureq::http::{Method, StatusCode};

use super::address::{follow, with_query};
use super::downloads::{Event, Listener};
use super::host::{Ask, is_passing_error};
use super::http::{Answer, header};
use super::remote::{At, Manifest, Remote};
use super::token::form;
use crate::{Error, Result};

/// Blobs that are sent at the same time.
const AT_ONCE: usize = 3;

/// A blob to send.
pub struct Part<'a> {
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// Repositories of the same registry that have it.
    pub elsewhere: Vec<String>,
    /// Its bytes from an offset on.
    pub open: Box<dyn Fn(u64) -> plumbing::Result<Box<dyn Read + Send>> + Send + Sync + 'a>,
}

impl Remote {
    /// Send blobs, as many as the registry lacks. All are there when it returns.
    pub fn send(&self, parts: &[Part<'_>], listener: &Listener) -> Result<()> {
        let queue = Mutex::new(parts.iter());
        let (failure, failed) = (Mutex::new(None), AtomicBool::new(false));
        let work = || {
            while !failed.load(Ordering::Relaxed) {
                let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some(part) = next else { return };
                if let Err(error) = self.own().send(part, listener) {
                    failed.store(true, Ordering::Relaxed);
                    failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..parts.len().min(AT_ONCE) {
                scope.spawn(work);
            }
        });
        failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
    }

    /// Let `target`, a tag or the manifest's digest, name a manifest all of whose blobs are there.
    pub fn put_manifest(&self, target: &str, manifest: &Manifest) -> Result<()> {
        self.own().put_manifest(target, manifest).map(drop)
    }

    /// As [`put_manifest`](Self::put_manifest); whether the registry will list it with what its manifest refers to.
    pub(super) fn put_with_subject(&self, target: &str, manifest: &Manifest) -> Result<bool> {
        self.own().put_manifest(target, manifest)
    }

    /// Whether a manifest of this digest is there.
    pub fn has_manifest(&self, digest: &Digest) -> Result<bool> {
        let at = self.own();
        at.has(&format!("/v2/{}/manifests/{digest}", at.path))
    }
}

impl At {
    /// Whether the registry has what is at `url`.
    fn has(&self, url: &str) -> Result<bool> {
        let scope = self.scope("pull,push");
        let answer = self.host.ask(&Ask::new(Method::HEAD, url, &scope))?;
        match answer.status() {
            StatusCode::OK => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            _ => Err(self.host.failure(answer, &Method::HEAD, url, &self.path)),
        }
    }

    /// Whether the registry took notice of what the manifest refers to.
    fn put_manifest(&self, target: &str, manifest: &Manifest) -> Result<bool> {
        let url = format!("/v2/{}/manifests/{target}", self.path);
        let scope = self.scope("pull,push");
        let mut ask = Ask::new(Method::PUT, &url, &scope);
        ask.headers.push(("content-type", manifest.descriptor.media_type().to_string()));
        ask.bytes = Some(&manifest.bytes);
        let answer = self.host.ask(&ask)?;
        if !answer.status().is_success() {
            return Err(self.host.failure(answer, &ask.method, &url, &self.path));
        }
        let (ours, theirs) = (manifest.digest().to_string(), header(&answer, "docker-content-digest"));
        match theirs.filter(|theirs| *theirs != ours) {
            None => Ok(header(&answer, "oci-subject").is_some()),
            Some(theirs) => Err(self.host.untrusted(format!("it took manifest {ours} for {}", theirs.escape_debug()))),
        }
    }

    fn send(&self, part: &Part<'_>, listener: &Listener) -> Result<()> {
        let digest = part.digest;
        if self.has(&format!("/v2/{}/blobs/{digest}", self.path))? {
            listener(Event::There(digest));
            return Ok(());
        }
        let mut location = None;
        for from in part.elsewhere.iter().filter(|from| **from != self.path) {
            match self.mount(&digest, from)? {
                Mount::Done => {
                    listener(Event::Mounted(digest, from.clone()));
                    return Ok(());
                }
                Mount::Upload(url) => location = Some(url),
                Mount::Refused => {}
            }
        }
        listener(Event::Wanted(digest, part.size));
        self.send_bytes(part, location, listener)?;
        listener(Event::Sent(digest));
        Ok(())
    }

    /// Ask the registry to take a blob from its repository `from`.
    fn mount(&self, digest: &Digest, from: &str) -> Result<Mount> {
        let query = form(&[("mount", &digest.to_string()), ("from", from)]);
        let url = format!("/v2/{}/blobs/uploads/?{query}", self.path);
        let scope = format!("{} repository:{from}:pull", self.scope("pull,push"));
        let mut ask = Ask::new(Method::POST, &url, &scope);
        ask.bytes = Some(b"");
        // Who may not read the other repository sends the blob.
        let Ok(answer) = self.host.ask(&ask) else { return Ok(Mount::Refused) };
        Ok(match answer.status() {
            StatusCode::CREATED => Mount::Done,
            StatusCode::ACCEPTED => self.location(&answer, &url).map_or(Mount::Refused, Mount::Upload),
            _ => Mount::Refused,
        })
    }

    /// Send a blob, and go on where it broke off.
    fn send_bytes(&self, part: &Part<'_>, location: Option<String>, listener: &Listener) -> Result<()> {
        let patience = self.host.patience;
        let (mut location, mut at, mut tries) = (location, 0, 0);
        loop {
            let url = match location.take() {
                Some(url) => url,
                None => {
                    at = 0;
                    self.begin()?
                }
            };
            let sent = self.send_rest(part, &url, at, listener);
            let Err(error) = sent else { return Ok(()) };
            tries += 1;
            let passes = match &error {
                Error::Unreachable { source, .. } => is_passing_error(source) || is_refused(source),
                Error::Answer { status, .. } => *status >= 500 || matches!(status, 404 | 408 | 416 | 429),
                _ => false,
            };
            if !passes || tries >= patience.tries {
                return Err(error);
            }
            std::thread::sleep(patience.pause_after(tries - 1, None));
            if let Ok(Some((url, there))) = self.progress(&url) {
                // Whoever comes further isn't given up.
                tries = if there > at { 0 } else { tries };
                (location, at) = (Some(url), there.min(part.size));
            }
        }
    }

    /// Start an upload; its address.
    fn begin(&self) -> Result<String> {
        let url = format!("/v2/{}/blobs/uploads/", self.path);
        let scope = self.scope("pull,push");
        let mut ask = Ask::new(Method::POST, &url, &scope);
        ask.bytes = Some(b"");
        let answer = self.host.ask(&ask)?;
        if answer.status() != StatusCode::ACCEPTED {
            return Err(self.host.failure(answer, &ask.method, &url, &self.path));
        }
        self.location(&answer, &url)
    }

    /// Where an upload is, and how many bytes of it are there; `None` where there is none any more.
    fn progress(&self, url: &str) -> Result<Option<(String, u64)>> {
        let scope = self.scope("pull,push");
        let answer = self.host.ask(&Ask::new(Method::GET, url, &scope))?;
        if !answer.status().is_success() {
            return Ok(None);
        }
        let range = header(&answer, "range").and_then(|range| range.trim_start_matches("bytes=").split_once('-'));
        let last: Option<u64> = range.and_then(|(_, last)| last.parse().ok());
        // Without a byte some say 0-0 as others do of one; then all is sent anew.
        let there = last.filter(|last| *last > 0).map(|last| last + 1);
        Ok(there.and_then(|there| Some((self.location(&answer, url).ok()?, there))))
    }

    /// Send the bytes from `at` on, and end the upload.
    fn send_rest(&self, part: &Part<'_>, url: &str, at: u64, listener: &Listener) -> Result<()> {
        let scope = self.scope("pull,push");
        let mut location = url.to_owned();
        if at < part.size {
            let mut ask = Ask::new(Method::PATCH, url, &scope);
            ask.headers.push(("content-type", "application/octet-stream".into()));
            if at > 0 {
                ask.headers.push(("content-range", format!("{at}-{}", part.size - 1)));
            }
            let bytes = (part.open)(at)?;
            let mut counted = Counted { bytes, digest: part.digest, listener, failure: None };
            let answer = self.host.upload(&ask, &mut counted, part.size - at);
            if let Some(error) = counted.failure {
                return Err(
                    plumbing::Error::Io { verb: "read", path: part.digest.to_string().into(), source: error }.into()
                );
            }
            let answer = answer?;
            if !answer.status().is_success() {
                return Err(self.host.failure(answer, &ask.method, url, &self.path));
            }
            location = self.location(&answer, url)?;
        }
        let end = with_query(&location, &form(&[("digest", &part.digest.to_string())]));
        let mut ask = Ask::new(Method::PUT, &end, &scope);
        ask.bytes = Some(b"");
        let answer = self.host.ask(&ask)?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            _ => Err(self.host.failure(answer, &ask.method, &end, &self.path)),
        }
    }

    fn location(&self, answer: &Answer, url: &str) -> Result<String> {
        let location =
            header(answer, "location").ok_or_else(|| self.host.untrusted("it doesn't say where to upload to"))?;
        let from = self.host.whole(url)?;
        follow(&from, location).map_err(|why| self.host.untrusted(why))
    }
}

/// What became of a blob that another repository has.
enum Mount {
    Done,
    /// It has to be sent, to this address.
    Upload(String),
    Refused,
}

fn is_refused(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ConnectionRefused
}

/// Tells how far a blob is, and remembers that our own side failed.
struct Counted<'l> {
    bytes: Box<dyn Read + Send>,
    digest: Digest,
    listener: &'l Listener,
    failure: Option<io::Error>,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.bytes.read(buffer) {
            Ok(length) => {
                (self.listener)(Event::Went(self.digest, length as u64));
                Ok(length)
            }
            Err(error) => {
                self.failure = Some(io::Error::new(error.kind(), error.to_string()));
                Err(error)
            }
        }
    }
}

//! Uploads of blobs: at once, in chunks, or by mounting what another repository has.

use std::io::Read;

use hyper::{HeaderMap, StatusCode};
use plumbing::Store;
use plumbing::digest::Digest;

use super::Registry;
use super::problem::{Answer, Problem};
use super::reply::Reply;
use super::repository::{self, Repository};
use super::route::{Begin, OnUpload};
use super::uploads::Session;

/// A header as text.
pub(super) fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// The length that a request announces for its body.
pub(super) fn announced(headers: &HeaderMap) -> Option<u64> {
    header(headers, "content-length").and_then(|length| length.parse().ok())
}

impl Registry {
    /// Begin an upload.
    pub(super) fn begin_upload(
        &self,
        store: &Store,
        repository: &Repository,
        begin: Begin,
        headers: &HeaderMap,
        body: &mut dyn Read,
    ) -> Answer<Reply> {
        match begin {
            Begin::Session => {}
            Begin::Whole(digest) => {
                self.check_length(announced(headers))?;
                let mut session = self.uploads.begin(repository)?;
                session.append(body, None).inspect_err(|_| drop(session.remove()))?;
                session.finish(repository, &digest)?;
                return Ok(created(repository, &digest));
            }
            Begin::Mount { digest, from } => {
                let anywhere = from.is_none();
                if let Some(from) = self.source(store, repository, from, &digest)? {
                    if from != *repository {
                        self.uploads.mount(&from, repository, &digest)?;
                    }
                    return Ok(created(repository, &digest));
                }
                if anywhere && self.uploads.mount_any(repository, &digest)? {
                    return Ok(created(repository, &digest));
                }
            }
        }
        let session = self.uploads.begin(repository)?;
        Ok(status(StatusCode::ACCEPTED, repository, &session))
    }

    /// Where a blob can be mounted from: the repository itself, `from`, or without that any.
    fn source(
        &self,
        store: &Store,
        repository: &Repository,
        from: Option<Repository>,
        digest: &Digest,
    ) -> Answer<Option<Repository>> {
        let named = from.is_some();
        for candidate in std::iter::once(repository.clone()).chain(from) {
            if self.find_blob(store, &candidate, digest)?.is_some() {
                return Ok(Some(candidate));
            }
        }
        if named {
            return Ok(None);
        }
        for name in repository::all(store)? {
            let candidate = Repository::parse(&name)?;
            if self.find_blob(store, &candidate, digest)?.is_some() {
                return Ok(Some(candidate));
            }
        }
        Ok(None)
    }

    /// What is done with an upload that was begun.
    pub(super) fn upload(
        &self,
        repository: &Repository,
        id: &str,
        what: OnUpload,
        headers: &HeaderMap,
        body: &mut dyn Read,
    ) -> Answer<Reply> {
        let mut session = self.uploads.session(repository, id)?;
        match what {
            OnUpload::Status => Ok(status(StatusCode::NO_CONTENT, repository, &session)),
            OnUpload::Cancel => {
                session.remove()?;
                Ok(Reply::empty(StatusCode::NO_CONTENT))
            }
            OnUpload::Append => {
                self.chunk(repository, &mut session, headers, body)?;
                Ok(status(StatusCode::ACCEPTED, repository, &session))
            }
            OnUpload::Finish(digest) => {
                self.chunk(repository, &mut session, headers, body)?;
                session.finish(repository, &digest)?;
                Ok(created(repository, &digest))
            }
        }
    }

    /// Take the body of a request: a chunk at its place, or without a range whatever follows.
    fn chunk(
        &self,
        repository: &Repository,
        session: &mut Session<'_>,
        headers: &HeaderMap,
        body: &mut dyn Read,
    ) -> Answer<()> {
        let length = announced(headers);
        self.check_length(length.map(|length| length.saturating_add(session.size)))?;
        let Some(range) = header(headers, "content-range") else { return session.append(body, None) };
        let wrong = || Problem::size_invalid("'Content-Range' must be FIRST-LAST");
        let (first, last) = super::range::sent(range).ok_or_else(wrong)?;
        let expected = (last - first).checked_add(1).ok_or_else(wrong)?;
        if first != session.size {
            let message = format!("the next byte is {}, not {first}", session.size);
            let mut problem = Problem::out_of_order(message);
            problem.headers = place(repository, session);
            return Err(problem);
        }
        if length.is_some_and(|length| length != expected) {
            return Err(Problem::size_invalid("'Content-Range' and 'Content-Length' don't agree"));
        }
        session.append(body, Some(expected))?;
        if session.size - first != expected {
            session.cut(first)?;
            return Err(Problem::size_invalid("there are fewer bytes than the range says"));
        }
        Ok(())
    }

    fn check_length(&self, length: Option<u64>) -> Answer<()> {
        match length.is_some_and(|length| length > self.options.largest_blob) {
            true => Err(Problem::blob_too_large(format!("blobs may have {} bytes here", self.options.largest_blob))),
            false => Ok(()),
        }
    }
}

/// Where an upload is, and how far.
fn place(repository: &Repository, session: &Session<'_>) -> Vec<(&'static str, String)> {
    vec![
        ("Location", format!("/v2/{}/blobs/uploads/{}", repository.familiar(), session.id())),
        ("Range", format!("0-{}", session.size.saturating_sub(1))),
        ("Docker-Upload-UUID", session.id().to_owned()),
    ]
}

fn status(status: StatusCode, repository: &Repository, session: &Session<'_>) -> Reply {
    Reply { headers: place(repository, session), ..Reply::empty(status) }
}

/// A blob is there.
fn created(repository: &Repository, digest: &Digest) -> Reply {
    let location = format!("/v2/{}/blobs/{digest}", repository.familiar());
    Reply::empty(StatusCode::CREATED).with("Location", location).with("Docker-Content-Digest", digest.to_string())
}

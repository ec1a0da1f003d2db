//! Manifests: given as they came, taken as commits, and removed.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::sync::Arc;

use hyper::{HeaderMap, StatusCode};
use plumbing::artifact::{self, LIMIT, Manifest, Reference};
use plumbing::digest::Digest;
use plumbing::store::refs::{LogLine, New, Old, Pruning, RefChange};
use plumbing::{Id, Store};

use super::Registry;
use super::hashing::Hashing;
use super::held::{Held, Kind};
use super::problem::{Answer, Problem};
use super::pushes::{announced, header};
use super::reply::{Body, Reply};
use super::repository::Repository;
use crate::Result;

/// A manifest that is put.
struct Incoming<'b> {
    bytes: &'b [u8],
    digest: Digest,
    manifest: Manifest,
}

/// What became of one.
struct Taken {
    commit: Id,
    /// Whether it is an image that can be run.
    is_image: bool,
    /// Why it isn't, though it says that it is.
    warning: Option<String>,
}

impl Registry {
    /// The manifest that a tag or digest names.
    fn find_manifest(
        &self,
        store: &Store,
        repository: &Repository,
        reference: &Reference,
    ) -> Result<Option<Arc<Held>>> {
        match reference {
            Reference::Digest(digest) => match repository.digest(store, &self.manifests, digest)? {
                Some(held) => Ok(Some(held)),
                None => repository.make(store, &self.manifests, |held| held.digest == *digest),
            },
            Reference::Tag(tag) => {
                let id = repository.tag(store, tag)?;
                Ok(id.map(|id| self.manifests.make(store, &id)).transpose()?.flatten())
            }
        }
    }

    /// Answer with a manifest.
    pub(super) fn get_manifest(&self, store: &Store, repository: &Repository, reference: &Reference) -> Answer<Reply> {
        let held = self.find_manifest(store, repository, reference)?;
        let held = held.ok_or_else(|| unknown(repository, reference))?;
        let digest = held.digest.to_string();
        let reply = Reply::empty(StatusCode::OK).with("Docker-Content-Digest", digest.clone());
        let reply = reply.with("Content-Type", held.manifest.media_type.clone()).with("ETag", format!("\"{digest}\""));
        Ok(reply.carrying(Body::Bytes(held.bytes.clone())))
    }

    /// Take a manifest, and let its tags and its digest name it.
    pub(super) fn put_manifest(
        &self,
        store: &Store,
        repository: &Repository,
        reference: &Reference,
        tags: Vec<String>,
        headers: &HeaderMap,
        body: &mut dyn Read,
    ) -> Answer<Reply> {
        let bytes = read_manifest(announced(headers), body)?;
        let digest = Digest::of(&bytes);
        if let Reference::Digest(wanted) = reference
            && *wanted != digest
        {
            return Err(Problem::digest_invalid(format!("it should be {wanted}, and is {digest}")));
        }
        let media_type = header(headers, "content-type").map(|text| text.split(';').next().unwrap_or(text).trim());
        let manifest =
            Manifest::parse(&bytes, media_type).map_err(|error| Problem::manifest_invalid(error.to_string()))?;
        let incoming = Incoming { bytes: &bytes, digest, manifest };
        // From here to the moves of the refs nothing goes that was found to be there.
        let _hold = store.hold()?;
        let taken = self.take(store, repository, &incoming)?;
        let mut names: Vec<Reference> = tags.iter().cloned().map(Reference::Tag).collect();
        names.push(reference.clone());
        self.name(store, repository, &incoming, &taken, &names)?;
        let warning =
            taken.warning.clone().or(self.adopt_history(store, repository, &incoming.digest, &incoming.manifest)?);
        for blob in incoming.manifest.blobs() {
            self.uploads.forget(repository, &blob.digest)?;
        }
        Ok(accepted(repository, &incoming, &tags, warning))
    }

    /// Make a commit of a manifest.
    fn take(&self, store: &Store, repository: &Repository, incoming: &Incoming<'_>) -> Answer<Taken> {
        if let Some(held) = repository.digest(store, &self.manifests, &incoming.digest)? {
            return Ok(Taken { commit: held.commit, is_image: held.is_image(), warning: None });
        }
        let manifest = &incoming.manifest;
        let parents = self.children(store, repository, manifest)?;
        self.check_blobs(store, repository, manifest)?;
        let mut warning = None;
        if manifest.is_image() {
            match self.commit_image(store, repository, incoming.bytes, manifest)? {
                Ok(commit) => return Ok(Taken { commit, is_image: true, warning: None }),
                Err(why) => warning = Some(format!("kept, but as an artifact that can't be run: {why}")),
            }
        }
        let commit = self.commit_artifact(store, repository, incoming, parents)?;
        Ok(Taken { commit, is_image: false, warning })
    }

    /// The commits of the manifests that an index lists; all must be there.
    fn children(&self, store: &Store, repository: &Repository, manifest: &Manifest) -> Answer<Vec<Id>> {
        let mut parents = Vec::new();
        let mut missing = Vec::new();
        for child in &manifest.manifests {
            match repository.digest(store, &self.manifests, &child.digest)? {
                Some(held) if held.bytes.len() as u64 == child.size => parents.push(held.commit),
                _ => missing.push(child.digest),
            }
        }
        let mut seen = BTreeSet::new();
        parents.retain(|id| seen.insert(*id));
        if missing.is_empty() { Ok(parents) } else { Err(lacking("manifests", &missing)) }
    }

    /// All blobs must be there in the size that the manifest says, except those that are not for passing on.
    fn check_blobs(&self, store: &Store, repository: &Repository, manifest: &Manifest) -> Answer<()> {
        let mut missing = Vec::new();
        for blob in manifest.blobs().filter(|blob| !blob.is_foreign()) {
            match self.find_blob(store, repository, &blob.digest)? {
                Some(found) if found.size == blob.size => {}
                Some(found) => {
                    let (digest, size, found) = (blob.digest, blob.size, found.size);
                    let why = format!("the blob {digest} has {found} bytes, not {size} as it says");
                    return Err(Problem::manifest_invalid(why));
                }
                None => missing.push(blob.digest),
            }
        }
        if missing.is_empty() { Ok(()) } else { Err(lacking("blobs", &missing)) }
    }

    fn commit_artifact(
        &self,
        store: &Store,
        repository: &Repository,
        incoming: &Incoming<'_>,
        parents: Vec<Id>,
    ) -> Answer<Id> {
        let mut batch = store.batch();
        let mut blobs = BTreeMap::new();
        for blob in incoming.manifest.blobs() {
            // A foreign layer may be missing.
            let Some(found) = self.find_blob(store, repository, &blob.digest)? else { continue };
            let mut reader = Hashing::new(found.reader(store, 0)?);
            let id = batch.write_content(blob.size, &mut reader)?;
            if reader.hasher.finish() != blob.digest {
                return Err(Problem::failed(format!("the blob {} is damaged: upload it again", blob.digest)));
            }
            blobs.insert(blob.digest, id);
        }
        let commit = artifact::write(&mut batch, incoming.bytes, &blobs, parents)?;
        batch.finish()?;
        Ok(commit)
    }

    /// Let names be at a manifest, all at once.
    fn name(
        &self,
        store: &Store,
        repository: &Repository,
        incoming: &Incoming<'_>,
        taken: &Taken,
        names: &[Reference],
    ) -> Answer<()> {
        let local = self.image_for_host(store, repository, &incoming.manifest)?;
        let mut changes = BTreeMap::new();
        for name in names {
            let artifact = repository.artifact_ref(name);
            match name {
                Reference::Digest(_) => drop(changes.insert(artifact, New::Id(taken.commit))),
                Reference::Tag(tag) => {
                    let image = repository.image_ref(tag)?;
                    let (image_at, artifact_at) = match taken.is_image {
                        true => (Some(taken.commit), None),
                        false => (local, Some(taken.commit)),
                    };
                    for (name, at) in [(image, image_at), (artifact, artifact_at)] {
                        match at {
                            Some(id) => drop(changes.insert(name, New::Id(id))),
                            None if store.get_ref(&name)?.is_some() => drop(changes.insert(name, New::Nothing)),
                            None => {}
                        }
                    }
                }
            }
        }
        let change = |(name, new): (String, New)| RefChange {
            name: name.into(),
            new,
            old: Old::Any,
            deref: false,
            begin_log: false,
            message: "push".into(),
        };
        store.prepare_changes(changes.into_iter().map(change).collect())?.commit()?;
        Ok(())
    }

    /// The image of an index that is for this machine.
    fn image_for_host(&self, store: &Store, repository: &Repository, manifest: &Manifest) -> Result<Option<Id>> {
        let host = plumbing::archive::Platform::host();
        let is_hosts = |child: &&artifact::Descriptor| {
            let platform = child.platform.as_ref();
            platform.is_some_and(|platform| platform.os == host.os && platform.architecture == host.architecture)
        };
        for child in manifest.manifests.iter().filter(is_hosts) {
            if let Some(held) = repository.digest(store, &self.manifests, &child.digest)?
                && held.is_image()
            {
                return Ok(Some(held.commit));
            }
        }
        Ok(None)
    }

    /// Remove a tag; or a manifest with all tags that are at it, so that its digest is forgotten too.
    pub(super) fn delete_manifest(
        &self,
        store: &Store,
        repository: &Repository,
        reference: &Reference,
    ) -> Answer<Reply> {
        let mut doomed = Vec::new();
        let mut forgotten = None;
        match reference {
            Reference::Tag(tag) => {
                repository.tag(store, tag)?.ok_or_else(|| unknown(repository, reference))?;
                doomed.extend([repository.image_ref(tag)?, repository.artifact_ref(reference)]);
            }
            Reference::Digest(_) => {
                let held = self.find_manifest(store, repository, reference)?;
                let held = held.ok_or_else(|| unknown(repository, reference))?;
                if matches!(held.kind, Kind::History(_)) {
                    return Err(Problem::in_use("it is made of the image that it is about").with("Allow", "GET, HEAD"));
                }
                doomed.push(repository.artifact_ref(reference));
                for tag in repository.tags(store)? {
                    if repository.tag(store, &tag)? == Some(held.commit) {
                        doomed.extend([repository.image_ref(&tag)?, repository.artifact_ref(&Reference::Tag(tag))]);
                    }
                }
                forgotten = Some(held);
            }
        }
        let mut changes = Vec::new();
        for name in doomed {
            if let Some(id) = store.get_ref(&name)? {
                let (new, old) = (New::Nothing, Old::Id(id));
                let message = "delete".into();
                changes.push(RefChange { name: name.into(), new, old, deref: false, begin_log: false, message });
            }
        }
        if !changes.is_empty() {
            store.prepare_changes(changes)?.commit()?;
        }
        if let Some(held) = forgotten {
            self.forget_moves(store, repository, &held)?;
        }
        Ok(Reply::empty(StatusCode::ACCEPTED))
    }

    /// Let no log of a tag tell of a manifest any longer: by these it could still be found.
    fn forget_moves(&self, store: &Store, repository: &Repository, held: &Held) -> Result<()> {
        let pruning = Pruning { chain: true, ..Pruning::default() };
        for name in repository.tag_refs(store)? {
            let name = name.as_str().into();
            let tells = |line: &LogLine| line.new == held.commit || line.old == held.commit;
            if store.read_log(name)?.unwrap_or_default().iter().any(tells) {
                store.prune_log(name, pruning, |line| Ok(tells(line)))?;
            }
        }
        Ok(())
    }
}

fn unknown(repository: &Repository, reference: &Reference) -> Problem {
    let name = repository.familiar();
    Problem::manifest_unknown(match reference {
        Reference::Tag(tag) => format!("'{name}' has no tag '{tag}'"),
        Reference::Digest(digest) => format!("'{name}' has no manifest {digest}"),
    })
}

/// What a manifest needs and that isn't there: the first few.
fn lacking(what: &str, missing: &[Digest]) -> Problem {
    let list: Vec<String> = missing.iter().take(5).map(Digest::to_string).collect();
    let more = if missing.len() > list.len() { format!(" and {} more", missing.len() - list.len()) } else { "".into() };
    Problem::blobs_missing(format!("these {what} are not here: {}{more}", list.join(", ")))
}

/// All bytes of a manifest, if these are not too many.
fn read_manifest(length: Option<u64>, body: &mut dyn Read) -> Answer<Vec<u8>> {
    let too_large = || Problem::manifest_too_large(format!("a manifest may have {LIMIT} bytes"));
    if length.is_some_and(|length| length > LIMIT) {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    body.take(LIMIT + 1).read_to_end(&mut bytes).map_err(|error| match error.kind() {
        std::io::ErrorKind::TimedOut => Problem::timed_out("nothing came for a while"),
        _ => Problem::manifest_invalid(format!("it broke off: {error}")),
    })?;
    if bytes.len() as u64 > LIMIT { Err(too_large()) } else { Ok(bytes) }
}

fn accepted(repository: &Repository, incoming: &Incoming<'_>, tags: &[String], warning: Option<String>) -> Reply {
    let digest = incoming.digest.to_string();
    let location = format!("/v2/{}/manifests/{digest}", repository.familiar());
    let mut reply = Reply::empty(StatusCode::CREATED).with("Location", location).with("Docker-Content-Digest", digest);
    if let Some(subject) = &incoming.manifest.subject {
        reply = reply.with("OCI-Subject", subject.digest.to_string());
    }
    if !tags.is_empty() {
        reply = reply.with("OCI-Tag", tags.join(", "));
    }
    match warning {
        // RFC 7234, 5.5: a code, an agent, and text in quotation marks.
        Some(why) => {
            let text: String = why.escape_default().to_string().replace(['"', '\\'], "'");
            reply.with("Warning", format!("299 - \"{text}\""))
        }
        None => reply,
    }
}

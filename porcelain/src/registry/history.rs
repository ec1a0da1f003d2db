//! Commits beside images: what another rd needs to get the very commits that an image was made of, as an artifact that refers
//! to the image ([`plumbing::travel`]).

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;

use plumbing::artifact;
use plumbing::digest::{Digest, Hasher};
use plumbing::oci::Image;
use plumbing::travel;
use plumbing::{Id, Store};

use super::downloads::Listener;
use super::pull::{Pulled, downloads_dir};
use super::referrers::download;
use super::remote::{Manifest, Remote};
use super::upload::Part;
use crate::{IoResultExt, Result};

/// Send the history of the commit that `image` was made of, where that doesn't follow from the image.
pub fn push_history(store: &Store, remote: &Remote, image: &Image, listener: &Listener) -> Result<()> {
    let commit = image.commit();
    if !travel::is_needed(store, &commit)? {
        return Ok(());
    }
    let dir = downloads_dir(store);
    std::fs::create_dir_all(&dir).on("create", &dir)?;
    let mut file = tempfile::tempfile_in(&dir).on("create a file in", &dir)?;
    travel::encode(store, &commit, &file)?;
    let (digest, size) = measure(&mut file).on("read", &dir)?;
    let subject = image.descriptor();
    let manifest = travel::manifest(&commit, (&subject.media_type, subject.digest, subject.size), (digest, size));
    let empty = Digest::of(travel::EMPTY);
    let nothing = Box::new(|at: u64| Ok(piece(travel::EMPTY, at)));
    let bundle =
        |at: u64| Ok(Box::new(Piece { file: file.try_clone().map_err(cant_read)?, at }) as Box<dyn Read + Send>);
    let parts = [
        Part { digest: empty, size: travel::EMPTY.len() as u64, elsewhere: Vec::new(), open: nothing },
        Part { digest, size, elsewhere: Vec::new(), open: Box::new(bundle) },
    ];
    remote.send(&parts, listener)?;
    let manifest = Manifest::new(manifest, artifact::OCI_MANIFEST);
    remote.put_referrer(&subject.digest, &manifest, Some(travel::ARTIFACT_TYPE))
}

/// The commit that a pulled image was made of, with all its history, if its registry has that; `None` where the image was made
/// by anything else, or has no history there.
pub fn pull_history(store: &Store, remote: &Remote, pulled: &Pulled) -> Result<Option<Id>> {
    let Some(manifest) = store.read_commit(&pulled.commit)?.state.manifest else { return Ok(None) };
    let Ok(manifest) = artifact::Manifest::parse(&store.read_blob(&manifest)?, None) else { return Ok(None) };
    let Some(commit) = travel::commit(&manifest) else { return Ok(None) };
    for descriptor in remote.referrers(&pulled.manifest)? {
        let is_history = |kind: &oci_spec::image::MediaType| kind.to_string() == travel::ARTIFACT_TYPE;
        if !descriptor.artifact_type().as_ref().is_some_and(is_history) {
            continue;
        }
        let manifest = remote.manifest(descriptor.digest().as_ref())?;
        let artifact = artifact::Manifest::parse(&manifest.bytes, None)?;
        if travel::commit(&artifact) != Some(commit) {
            continue;
        }
        if let Some(blob) = travel::blob(&artifact) {
            let file = download(store, remote, blob.digest, blob.size)?;
            travel::receive(store, &pulled.commit, &commit, file)?;
            return Ok(Some(commit));
        }
    }
    Ok(None)
}

fn cant_read(source: std::io::Error) -> plumbing::Error {
    plumbing::Error::Io { verb: "read", path: "history".into(), source }
}

fn piece(bytes: &'static [u8], at: u64) -> Box<dyn Read + Send> {
    Box::new(&bytes[usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len())..])
}

fn measure(file: &mut File) -> std::io::Result<(Digest, u64)> {
    file.seek(SeekFrom::Start(0))?;
    let (mut hasher, mut buffer, mut size) = (Hasher::default(), vec![0; 64 << 10], 0);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok((hasher.finish(), size)),
            length => {
                hasher.update(&buffer[..length]);
                size += length as u64;
            }
        }
    }
}

/// Reads a file without moving the file's own position.
struct Piece {
    file: File,
    at: u64,
}

impl Read for Piece {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = self.file.read_at(buffer, self.at)?;
        self.at += length as u64;
        Ok(length)
    }
}

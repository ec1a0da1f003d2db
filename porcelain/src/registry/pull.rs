//! Images of registries into the store.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;

use nix::fcntl::{Flock, FlockArg};
use plumbing::archive::{self, Chain, Image, LayerBlob, Platform};
use plumbing::config::ImageConfig;
use plumbing::digest::Digest;
use plumbing::{Id, Store};

use super::downloads::{Downloads, Event, Listener};
use super::partial::Partial;
use super::remote::{Manifest, Remote};
use crate::{Error, IoResultExt, Result};

/// Where what isn't complete yet is kept.
pub fn downloads_dir(store: &Store) -> PathBuf {
    store.dir().join("downloads")
}

/// An image that came, and has no name yet.
#[derive(Debug, Clone)]
pub struct Pulled {
    /// Its commit, which is durable.
    pub commit: Id,
    /// The digest of what the tag names: the image's manifest, or an index.
    pub digest: Digest,
    /// The digest of the image's manifest.
    pub manifest: Digest,
}

/// Bring the image that `manifest` is, or that it has for `platform`; without one this machine's. Nothing refers to the commit
/// yet: the caller holds off `rd gc`.
pub fn pull(
    store: &Store,
    remote: &Arc<Remote>,
    manifest: Manifest,
    platform: Option<&Platform>,
    listener: &Listener,
) -> Result<Pulled> {
    let digest = manifest.digest();
    let image = describe(remote, manifest, platform)?;
    // Of two commands that bring the same image one does the work.
    let _lock = lock(store, &Digest::of(&image.config), listener)?;
    match bring(store, remote, &image, listener, true) {
        // An earlier command, or a power cut, may have left something else than what came; a layer may describe itself wrongly.
        Err(Failed { error, resumed: true }) if is_damage(&error) => bring(store, remote, &image, listener, false),
        result => result,
    }
    .map(|commit| Pulled { commit, digest, manifest: image.manifest.as_deref().map_or(digest, Digest::of) })
    .map_err(|failed| failed.error)
}

/// The image that a manifest or an index leads to.
fn describe(remote: &Arc<Remote>, manifest: Manifest, platform: Option<&Platform>) -> Result<Image> {
    let host = Platform::host();
    let wanted = platform.unwrap_or(&host);
    let mut skipped = Vec::new();
    let mut source = Source { remote, first: Some(manifest.clone()) };
    let found = archive::find(&mut source, &manifest.descriptor, wanted, &mut skipped)?;
    let none = || {
        let there = if skipped.is_empty() { "none".into() } else { skipped.join(", ") };
        plumbing::Error::NotFound {
            what: "image",
            name: format!("{} for {wanted}; it has {there}", remote.reference()),
        }
    };
    let image = archive::image(&mut source, found.ok_or_else(none)?)?;
    if let Some(platform) = platform {
        check_platform(&image, platform, remote)?;
    }
    Ok(image)
}

/// An image that isn't one of several says itself what it is for.
fn check_platform(image: &Image, platform: &Platform, remote: &Remote) -> Result<()> {
    let config = ImageConfig::parse(&image.config)?;
    if (config.os(), config.architecture()) == (&platform.os, &platform.architecture) {
        return Ok(());
    }
    let there = format!("{}/{}", config.os(), config.architecture());
    let name = format!("{} for {platform}; it has {there}", remote.reference());
    Err(plumbing::Error::NotFound { what: "image", name }.into())
}

/// The first manifest is here already.
struct Source<'r> {
    remote: &'r Remote,
    first: Option<Manifest>,
}

impl archive::Source for Source<'_> {
    type Error = Error;

    fn manifest(&mut self, descriptor: &oci_spec::image::Descriptor) -> Result<Vec<u8>> {
        match self.first.take() {
            Some(first) if first.descriptor.digest() == descriptor.digest() => Ok(first.bytes),
            _ => archive::Source::manifest(&mut self.remote, descriptor),
        }
    }

    fn config(&mut self, descriptor: &oci_spec::image::Descriptor) -> Result<Vec<u8>> {
        archive::Source::config(&mut self.remote, descriptor)
    }
}

/// A failure, and whether an earlier command's files, or layers that were put together, had a part in it.
struct Failed {
    error: Error,
    resumed: bool,
}

impl<E: Into<Error>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self { error: error.into(), resumed: false }
    }
}

fn bring(
    store: &Store,
    remote: &Arc<Remote>,
    image: &Image,
    listener: &Listener,
    in_parts: bool,
) -> Result<Id, Failed> {
    let chain = Chain::new(image.clone())?.skip_known(store)?;
    let mut missing = chain.missing().to_vec();
    let known = chain.layers().len() - missing.len();
    chain.layers()[..known].iter().filter_map(|layer| layer.expected).for_each(|(digest, _)| {
        listener(Event::Known(digest));
    });
    let mut partial = Vec::new();
    for layer in missing.iter().filter(|_| in_parts) {
        partial.extend(Partial::bring(store, remote, layer, listener)?);
    }
    missing.retain(|layer| !partial.iter().any(|one: &Partial| one.is(layer)));
    let has_partial = !partial.is_empty();
    let downloads = Downloads::start(remote.clone(), store, &missing, listener.clone())?;
    let mut batch = store.batch();
    let mut reading = None;
    let mut open = |layer: &LayerBlob| {
        let next = layer.expected.map(|(digest, _)| digest);
        let done = std::mem::replace(&mut reading, next);
        done.into_iter().for_each(|digest| listener(Event::Read(digest)));
        next.into_iter().for_each(|digest| listener(Event::Reading(digest)));
        match partial.iter().position(|one| one.is(layer)) {
            Some(at) => Ok(partial.swap_remove(at).open()),
            None => downloads.open(layer),
        }
    };
    match chain.write(&mut batch, &mut open) {
        Ok(commit) => {
            batch.finish()?;
            reading.into_iter().for_each(|digest| listener(Event::Read(digest)));
            downloads.drop_all();
            Ok(commit)
        }
        Err(error) => {
            drop(batch);
            let failure = downloads.failure();
            let is_ours = failure.is_none() && is_damage_of_store(&error);
            let resumed = is_ours && (downloads.drop_resumed() || has_partial);
            if is_ours {
                downloads.drop_all();
            }
            Err(Failed { error: failure.unwrap_or(error.into()), resumed })
        }
    }
}

fn is_damage(error: &Error) -> bool {
    matches!(error, Error::Store(error) if is_damage_of_store(error))
}

/// Whether the bytes were wrong.
fn is_damage_of_store(error: &plumbing::Error) -> bool {
    matches!(
        error,
        plumbing::Error::Refused { .. } | plumbing::Error::Invalid { .. } | plumbing::Error::Unsupported { .. }
    )
}

/// Nobody else brings the image while it lives.
struct Lock {
    path: PathBuf,
    _file: Flock<File>,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Who waits for this very file gets it all the same, and finds the image in the store.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Wait until no other command brings the same image.
fn lock(store: &Store, image: &Digest, listener: &Listener) -> Result<Lock> {
    let dir = downloads_dir(store);
    std::fs::create_dir_all(&dir).on("create", &dir)?;
    let path = dir.join(format!("{}.lock", image.hex()));
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path).on("open", &path)?;
    let file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(file) => return Ok(Lock { path, _file: file }),
        Err((file, _)) => file,
    };
    listener(Event::Waiting(*image));
    let file = Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| Error::io("lock", &path, errno))?;
    Ok(Lock { path, _file: file })
}

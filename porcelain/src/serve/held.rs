//! Manifests that commits have, remembered: a commit never changes.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use plumbing::artifact::{self, Artifact, Descriptor, Manifest};
use plumbing::commit::Commit;
use plumbing::config::ImageConfig;
use plumbing::digest::Digest;
use plumbing::oci::{Encoding, Image};
use plumbing::{Id, Store, travel};

use super::hashing::Hashing;
use crate::{IoResultExt, Result};

/// So many bytes of manifests are remembered.
const MEMORY: usize = 32 << 20;

/// So many images that were made are remembered: they have files open.
const MADE: usize = 64;

/// A manifest and the commit that it is of.
pub(super) struct Held {
    pub(super) commit: Id,
    pub(super) digest: Digest,
    /// The manifest's exact bytes.
    pub(super) bytes: Vec<u8>,
    pub(super) manifest: Manifest,
    pub(super) kind: Kind,
}

/// What a manifest is of.
pub(super) enum Kind {
    Artifact(Artifact),
    /// An image; read when somebody asks for a part of it.
    Image(OnceLock<Arc<Image>>),
    /// The history of an image that was made here, beside it: the commits that another rd needs. A file has its blob.
    History(Arc<File>),
}

impl Held {
    /// The blob with this digest that the manifest needs: what it says of it.
    pub(super) fn blob(&self, digest: &Digest) -> Option<&Descriptor> {
        self.manifest.blobs().find(|blob| blob.digest == *digest)
    }

    /// Whether it is an image's.
    pub(super) fn is_image(&self) -> bool {
        matches!(self.kind, Kind::Image(_))
    }

    fn of_image(commit: Id, bytes: Vec<u8>, image: OnceLock<Arc<Image>>) -> Option<Self> {
        // What somebody wrote by hand may be no manifest that can be served.
        let manifest = Manifest::parse(&bytes, None).ok()?;
        Some(Self { commit, digest: Digest::of(&bytes), bytes, manifest, kind: Kind::Image(image) })
    }
}

/// Manifests by their commits.
#[derive(Default)]
pub(super) struct Manifests {
    remembered: Mutex<Remembered>,
    /// Held while images are made: one after another.
    making: Mutex<()>,
}

#[derive(Default)]
struct Remembered {
    /// `None` for a commit whose manifest would have to be made.
    held: HashMap<Id, Option<Arc<Held>>>,
    /// Histories of images that were made.
    histories: HashMap<Id, Arc<Held>>,
    /// The commits whose images were made, the last one last.
    made: VecDeque<Id>,
    bytes: usize,
}

impl Manifests {
    /// The manifest of a commit; `None` where it has none, and none was made yet.
    pub(super) fn get(&self, store: &Store, id: &Id) -> Result<Option<Arc<Held>>> {
        if let Some(held) = lock(&self.remembered).held.get(id) {
            return Ok(held.clone());
        }
        let held = read(store, id)?.map(Arc::new);
        self.remember(id, held.clone());
        Ok(held)
    }

    /// The manifest of a commit, made where it has none: its layers are compressed for that.
    pub(super) fn make(&self, store: &Store, id: &Id) -> Result<Option<Arc<Held>>> {
        if let Some(held) = self.get(store, id)? {
            return Ok(Some(held));
        }
        let _making = lock(&self.making);
        if let Some(held) = self.get(store, id)? {
            return Ok(Some(held));
        }
        // A manifest whose layers are no longer here as they came gives way to one of layers that can be made.
        let encoding = store.read_commit(id)?.state.manifest.map(|_| Encoding::default());
        let image = Image::of(store, id, encoding)?;
        let history = if travel::is_needed(store, id)? { Some(Arc::new(history(store, &image)?)) } else { None };
        let held = Held::of_image(*id, image.manifest().to_vec(), OnceLock::from(Arc::new(image))).map(Arc::new);
        self.remember(id, held.clone());
        let mut remembered = lock(&self.remembered);
        remembered.histories.extend(history.map(|history| (*id, history)));
        remembered.made.push_back(*id);
        if remembered.made.len() > MADE
            && let Some(oldest) = remembered.made.pop_front()
        {
            remembered.held.remove(&oldest);
            remembered.histories.remove(&oldest);
        }
        drop(remembered);
        Ok(held)
    }

    /// The history beside the image of a commit, where that was made.
    pub(super) fn history(&self, id: &Id) -> Option<Arc<Held>> {
        lock(&self.remembered).histories.get(id).cloned()
    }

    fn remember(&self, id: &Id, held: Option<Arc<Held>>) {
        let mut remembered = lock(&self.remembered);
        remembered.bytes += 1024 + held.as_ref().map_or(0, |held| 2 * held.bytes.len());
        if remembered.bytes > MEMORY {
            *remembered = Remembered::default();
        }
        remembered.held.insert(*id, held);
    }
}

/// The artifact with the history of an image that was made.
fn history(store: &Store, image: &Image) -> Result<Held> {
    let dir = store.content_dir();
    let file = tempfile::tempfile_in(&dir).on("create a file in", &dir)?;
    let mut out = Hashing::new(&file);
    travel::encode(store, &image.commit(), &mut out)?;
    let blob = (out.hasher.finish(), file.metadata().on("stat", &dir)?.len());
    let subject = image.descriptor();
    let subject = (subject.media_type.as_str(), subject.digest, subject.size);
    let bytes = travel::manifest(&image.commit(), subject, blob);
    let (digest, manifest) = (Digest::of(&bytes), Manifest::parse(&bytes, None)?);
    Ok(Held { commit: image.commit(), digest, bytes, manifest, kind: Kind::History(Arc::new(file)) })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read(store: &Store, id: &Id) -> Result<Option<Held>> {
    if let Some(artifact) = artifact::read(store, id)? {
        let bytes = store.read_blob(&artifact.manifest)?;
        let manifest = Manifest::parse(&bytes, None)?;
        return Ok(Some(Held {
            commit: *id,
            digest: Digest::of(&bytes),
            manifest,
            bytes,
            kind: Kind::Artifact(artifact),
        }));
    }
    let commit = store.read_commit(id)?;
    let Some(manifest) = commit.state.manifest else { return Ok(None) };
    let held = Held::of_image(*id, store.read_blob(&manifest)?, OnceLock::new());
    match held {
        Some(held) if is_whole(store, &commit, &held.manifest)? => Ok(Some(held)),
        _ => Ok(None),
    }
}

/// Whether all layers of an image can be had as its manifest names them.
fn is_whole(store: &Store, commit: &Commit, manifest: &Manifest) -> Result<bool> {
    let config = store.read_blob(&commit.state.config)?;
    for layer in &manifest.layers {
        if !is_plain(&config, &layer.digest)? && store.find_blob(&layer.digest)?.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether a layer is the tar itself, by the configuration of its image.
pub(super) fn is_plain(config: &[u8], layer: &Digest) -> Result<bool> {
    let config = ImageConfig::parse(config)?;
    let ids = config.fields().get("rootfs").and_then(|rootfs| rootfs.get("diff_ids")?.as_array());
    let layer = layer.to_string();
    Ok(ids.is_some_and(|ids| ids.iter().any(|id| id.as_str() == Some(&layer))))
}

/// The image of a manifest that is one's.
pub(super) fn image(store: &Store, held: &Held, image: &OnceLock<Arc<Image>>) -> Result<Arc<Image>> {
    if let Some(image) = image.get() {
        return Ok(image.clone());
    }
    let read = Arc::new(Image::of(store, &held.commit, None)?);
    Ok(image.get_or_init(|| read).clone())
}

//! Histories that are pushed beside images: the commits that an image was made of, from another rd.

use plumbing::artifact::Manifest;
use plumbing::digest::Digest;
use plumbing::oci::Image;
use plumbing::store::refs::Expect;
use plumbing::{Store, travel};

use super::Registry;
use super::repository::Repository;
use crate::{Error, Result};

impl Registry {
    /// After a manifest was put: where an image and its history are both there, let the image's tags be at its own commit.
    /// Gives why not, where the history isn't what it says. The image keeps its digest, or stays as it is.
    pub(super) fn adopt_history(
        &self,
        store: &Store,
        repository: &Repository,
        digest: &Digest,
        manifest: &Manifest,
    ) -> Result<Option<String>> {
        let is_history = travel::blob(manifest).is_some();
        if !is_history && travel::commit(manifest).is_none() {
            return Ok(None);
        }
        let subject = manifest.subject.as_ref().map(|subject| subject.digest);
        let Some(subject) = (if is_history { subject } else { Some(*digest) }) else { return Ok(None) };
        // What was just put is in packs that this look at the store doesn't know yet.
        let store = &Store::open(store.dir())?;
        let Some(image) = repository.digest(store, &self.manifests, &subject)?.filter(|held| held.is_image()) else {
            return Ok(None);
        };
        let Some(commit) = travel::commit(&image.manifest).filter(|commit| *commit != image.commit) else {
            return Ok(None);
        };
        for held in repository.manifests(store, &self.manifests)? {
            let is_about = held.manifest.subject.as_ref().is_some_and(|about| about.digest == subject);
            let Some(blob) = travel::blob(&held.manifest).filter(|_| is_about) else { continue };
            let Some(found) = self.find_blob(store, repository, &blob.digest)? else { continue };
            let received = travel::receive(store, &image.commit, &commit, found.reader(store, 0)?);
            return match received
                .map_err(Error::from)
                .and_then(|()| self.move_tags(repository, &subject, &image.commit, &commit))
            {
                Ok(()) => Ok(None),
                Err(error) => Ok(Some(format!("the history is not taken: {}", error.chain().join(": ")))),
            };
        }
        Ok(None)
    }

    /// Let the tags that are at `from` be at `to`, if that is an image of the same digest.
    fn move_tags(
        &self,
        repository: &Repository,
        digest: &Digest,
        from: &plumbing::Id,
        to: &plumbing::Id,
    ) -> Result<()> {
        // What was received is in packs that were not there before.
        let store = Store::open(&self.store)?;
        if Image::of(&store, to, None)?.digest() != *digest {
            return Ok(());
        }
        for tag in repository.tags(&store)? {
            let name = repository.image_ref(&tag)?;
            if store.get_ref(&name)? == Some(*from) {
                match store.update_ref(&name, *to, Expect::Id(*from), "push: its own commit") {
                    // Somebody else moved it meanwhile: theirs counts.
                    Err(plumbing::Error::Raced { .. }) => {}
                    moved => moved?,
                }
            }
        }
        self.manifests.make(&store, to).map(drop)
    }
}

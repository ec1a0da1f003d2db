//! A repository as a client names it, and the manifests that it has.

use std::collections::BTreeSet;
use std::sync::Arc;

use percent_encoding::percent_decode_str;
use plumbing::artifact::{self, Reference};
use plumbing::digest::Digest;
use plumbing::store::refs::IMAGES;
use plumbing::{Id, ImageName, Store};

use super::held::{Held, Manifests};
use super::problem::{Answer, Problem};
use crate::Result;

/// The longest name; docker's clients have room for no more.
const LONGEST: usize = 255;

/// A repository: what images are called without their tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Repository {
    /// Registry and name, nothing left out: `docker.io/library/debian`.
    full: String,
    /// The image `latest` of it, by which its refs are found.
    image: ImageName,
}

impl Repository {
    /// Read a name as people spell it: `debian`, `quay.io/team/app`.
    pub(super) fn parse(name: &str) -> Answer<Self> {
        let invalid =
            |why: &str| Problem::name_invalid(format!("'{}' names no repository: {why}", name.escape_debug()));
        let last = name.rsplit('/').next().unwrap_or_default();
        if name.len() > LONGEST || last.contains(':') || name.contains('@') {
            return Err(invalid("it is too long, or has a tag or digest"));
        }
        let image = ImageName::parse(name).map_err(|error| match error {
            plumbing::Error::Invalid { why, .. } => invalid(&why),
            other => other.into(),
        })?;
        Ok(Self::of(image))
    }

    fn of(image: ImageName) -> Self {
        let reference = image.to_ref();
        let path = reference.strip_prefix(IMAGES).and_then(|path| path.rsplit_once('@')).map_or("", |(path, _)| path);
        Self { full: percent_decode_str(path).decode_utf8_lossy().into_owned(), image }
    }

    /// The tag, if it can be one.
    pub(super) fn check_tag(&self, tag: &str) -> Answer<String> {
        match self.image(tag) {
            Ok(image) if image.tag() == tag => Ok(tag.to_owned()),
            _ => Err(Problem::name_invalid(format!("'{}' can't be a tag", tag.escape_debug()))),
        }
    }

    /// The image with this tag.
    pub(super) fn image(&self, tag: &str) -> Result<ImageName> {
        Ok(ImageName::parse(&format!("{}:{tag}", self.full))?)
    }

    /// The ref of the image with this tag.
    pub(super) fn image_ref(&self, tag: &str) -> Result<String> {
        Ok(self.image(tag)?.to_ref())
    }

    /// The ref of an artifact.
    pub(super) fn artifact_ref(&self, reference: &Reference) -> String {
        artifact::ref_name(&self.image, reference)
    }

    /// Sixteen digits that stand for it in names of files.
    pub(super) fn mark(&self) -> String {
        Digest::of(self.full.as_bytes()).hex()[..16].to_owned()
    }

    /// As docker shows it.
    pub(super) fn familiar(&self) -> String {
        self.image.familiar_repository()
    }

    /// Registry and name, nothing left out.
    pub(super) fn full(&self) -> &str {
        &self.full
    }

    fn images_prefix(&self) -> String {
        let reference = self.image.to_ref();
        reference.rsplit_once('@').map_or_else(String::new, |(path, _)| format!("{path}@"))
    }

    /// Its tags with their commits, images' and artifacts', sorted by ref.
    fn tagged(&self, store: &Store) -> Result<Vec<(String, Id)>> {
        let mut tagged = Vec::new();
        for (name, id) in store.list_refs(&self.images_prefix())? {
            tagged.extend(ImageName::from_ref(&name).map(|image| (image.tag().to_owned(), id)));
        }
        for (name, id) in store.list_refs(&artifact::ref_prefix(&self.image))? {
            if let Some((_, Reference::Tag(tag))) = artifact::parse_ref(&name) {
                tagged.push((tag, id));
            }
        }
        Ok(tagged)
    }

    /// Its tags, in the order of bytes.
    pub(super) fn tags(&self, store: &Store) -> Result<BTreeSet<String>> {
        Ok(self.tagged(store)?.into_iter().map(|(tag, _)| tag).collect())
    }

    /// Whether it has anything.
    pub(super) fn exists(&self, store: &Store) -> Result<bool> {
        Ok(!self.heads(store)?.is_empty())
    }

    /// The commits of all manifests that it has now: tagged ones, and those that are known by their digests.
    pub(super) fn heads(&self, store: &Store) -> Result<Vec<Id>> {
        let mut heads: Vec<Id> = self.tagged(store)?.into_iter().map(|(_, id)| id).collect();
        heads.extend(store.list_refs(&artifact::ref_prefix(&self.image))?.into_iter().map(|(_, id)| id));
        heads.sort_unstable();
        heads.dedup();
        Ok(heads)
    }

    /// All manifests that it has now, as far as they needn't be made; and the histories of those that were.
    pub(super) fn manifests(&self, store: &Store, known: &Manifests) -> Result<Vec<Arc<Held>>> {
        let mut manifests = Vec::new();
        for id in self.heads(store)? {
            manifests.extend(known.get(store, &id)?);
            manifests.extend(known.history(&id));
        }
        Ok(manifests)
    }

    /// The commit that a tag is at. An index counts as long as the image beside it is one of those that it lists.
    pub(super) fn tag(&self, store: &Store, tag: &str) -> Result<Option<Id>> {
        let image = store.get_ref(&self.image_ref(tag)?)?;
        let artifact = store.get_ref(&self.artifact_ref(&Reference::Tag(tag.into())))?;
        match (image, artifact) {
            (Some(image), Some(artifact)) if !store.read_header(&artifact)?.parents.contains(&image) => Ok(Some(image)),
            (image, artifact) => Ok(artifact.or(image)),
        }
    }

    /// The manifest with this digest: also one that a tag was at before.
    pub(super) fn digest(&self, store: &Store, known: &Manifests, digest: &Digest) -> Result<Option<Arc<Held>>> {
        let direct = store.get_ref(&self.artifact_ref(&Reference::Digest(*digest)))?;
        let direct = direct.map(|id| known.get(store, &id)).transpose()?.flatten();
        if let Some(held) = direct.filter(|held| held.digest == *digest) {
            return Ok(Some(held));
        }
        if let Some(held) = self.manifests(store, known)?.into_iter().find(|held| held.digest == *digest) {
            return Ok(Some(held));
        }
        for id in self.former(store)? {
            // What only a log names may be gone.
            let held = known.get(store, &id).unwrap_or(None);
            if let Some(held) = held.filter(|held| held.digest == *digest) {
                return Ok(Some(held));
            }
        }
        Ok(None)
    }

    /// Make the images of tags that have no manifest of their own, until there is one of which `is_wanted` is true.
    pub(super) fn make(
        &self,
        store: &Store,
        known: &Manifests,
        is_wanted: impl Fn(&Held) -> bool,
    ) -> Result<Option<Arc<Held>>> {
        for (_, id) in self.tagged(store)? {
            // What can't be made here is no reason not to find another one.
            let held = known.make(store, &id).unwrap_or(None);
            if let Some(held) = held.filter(|held| is_wanted(held)) {
                return Ok(Some(held));
            }
        }
        Ok(None)
    }

    /// The commits that its tags were at before, the last ones first.
    fn former(&self, store: &Store) -> Result<Vec<Id>> {
        let mut former = Vec::new();
        for name in self.tag_refs(store)? {
            let log = store.read_log(name.as_str().into())?.unwrap_or_default();
            former.extend(log.iter().rev().map(|line| line.old).filter(|id| !id.is_null()));
        }
        Ok(former)
    }

    /// The full names of the refs of its tags.
    pub(super) fn tag_refs(&self, store: &Store) -> Result<Vec<String>> {
        let mut names: Vec<String> =
            store.list_refs(&self.images_prefix())?.into_iter().map(|(name, _)| name).collect();
        let artifacts = store.list_refs(&artifact::ref_prefix(&self.image))?.into_iter().map(|(name, _)| name);
        names.extend(artifacts.filter(|name| matches!(artifact::parse_ref(name), Some((_, Reference::Tag(_))))));
        Ok(names)
    }
}

/// The repositories of a store as people spell them, sorted.
pub(super) fn all(store: &Store) -> Result<BTreeSet<String>> {
    let images = store.list_refs(IMAGES)?.into_iter().filter_map(|(name, _)| ImageName::from_ref(&name));
    let artifacts = store.list_refs(artifact::ARTIFACTS)?.into_iter();
    let artifacts = artifacts.filter_map(|(name, _)| artifact::parse_ref(&name).map(|(image, _)| image));
    Ok(images.chain(artifacts).map(|image| image.familiar_repository()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_users_spell() {
        for (name, full, familiar) in [
            ("debian", "docker.io/library/debian", "debian"),
            ("library/debian", "docker.io/library/debian", "debian"),
            ("docker.io/debian", "docker.io/library/debian", "debian"),
            ("team/app", "docker.io/team/app", "team/app"),
            ("quay.io/team/app", "quay.io/team/app", "quay.io/team/app"),
            ("localhost:5000/a.lock", "localhost:5000/a.lock", "localhost:5000/a.lock"),
        ] {
            let repository = Repository::parse(name).unwrap();
            assert_eq!((repository.full(), repository.familiar().as_str()), (full, familiar));
            assert_eq!(repository.image("x").unwrap().familiar_repository(), familiar);
            assert_eq!(Repository::parse(full).unwrap(), repository);
        }
        for name in ["", "/", "a:b", "a@b", "a/../b", "..", "A", "a//b", "a b", &"a/".repeat(200)] {
            assert!(Repository::parse(name).is_err(), "{name}");
        }
    }
}

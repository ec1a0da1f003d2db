//! Artifacts: manifests that are no images (signatures, attestations, indexes), with their blobs, as commits.
//!
//! An artifact commit follows from the manifest, its blobs and the commits of the manifests that it lists
//! (`docs/format.md`, "Artifacts"). Refs below `refs/artifacts/` name it by tag or by digest.

mod manifest;

use std::collections::BTreeMap;

use gix::bstr::ByteSlice;
use gix::objs::tree::{Entry, EntryKind};

pub use manifest::{Descriptor, LIMIT, Manifest, OCI_INDEX, OCI_MANIFEST};

use crate::commit::neutral_signature;
use crate::digest::Digest;
use crate::store::Batch;
use crate::store::refs::IMAGES;
use crate::{Error, Id, ImageName, Result, Store};

/// Folder of the refs of artifacts.
pub const ARTIFACTS: &str = "refs/artifacts/";

/// The blob that holds the manifest.
const MANIFEST: &str = "manifest";
/// The tree that holds the manifest's blobs.
const BLOBS: &str = "artifact";

/// What a ref of an artifact says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reference {
    /// A tag, as people use it.
    Tag(String),
    /// A manifest by its digest.
    Digest(Digest),
}

/// What an artifact commit holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// Blob: the exact manifest.
    pub manifest: Id,
    /// The bytes of its blobs, by digest.
    pub blobs: BTreeMap<Digest, Id>,
}

/// The ref of a repository's artifact; `name` gives the repository, its tag doesn't matter.
///
/// No tag has a colon, so a digest's ref is none of a tag.
pub fn ref_name(name: &ImageName, reference: &Reference) -> String {
    match reference {
        Reference::Tag(tag) => format!("{}@{}", repository_path(name), crate::image_name::escape(tag)),
        Reference::Digest(digest) => format!("{}@sha256%3A{}", repository_path(name), digest.hex()),
    }
}

/// What the refs of all artifacts of a repository begin with.
pub fn ref_prefix(name: &ImageName) -> String {
    format!("{}@", repository_path(name))
}

/// What the ref `full` of an artifact says; `None` where it is none.
pub fn parse_ref(full: &str) -> Option<(ImageName, Reference)> {
    let (path, last) = full.strip_prefix(ARTIFACTS)?.rsplit_once('@')?;
    let of = |tag: &str| ImageName::from_ref(&format!("{IMAGES}{path}@{tag}"));
    match last.strip_prefix("sha256%3A") {
        Some(hex) => Some((of("latest")?, Reference::Digest(format!("sha256:{hex}").parse().ok()?))),
        None => {
            let name = of(last)?;
            let tag = name.tag().to_owned();
            Some((name, Reference::Tag(tag)))
        }
    }
}

fn repository_path(name: &ImageName) -> String {
    let reference = name.to_ref();
    let path = reference.strip_prefix(IMAGES).and_then(|path| path.rsplit_once('@')).map(|(path, _)| path);
    format!("{ARTIFACTS}{}", path.expect("because every image's ref has a tag"))
}

/// Write the commit of an artifact. `blobs` are in the store or in the batch; the caller checked their digests. `parents`
/// are the commits of the manifests that an index lists, as far as they are there, in its order.
pub fn write(batch: &mut Batch<'_>, manifest: &[u8], blobs: &BTreeMap<Digest, Id>, parents: Vec<Id>) -> Result<Id> {
    let of = |name: String, oid, kind: EntryKind| Entry { mode: kind.into(), filename: name.into(), oid };
    let mut entries = vec![of(MANIFEST.into(), batch.write_blob(manifest)?, EntryKind::Blob)];
    if !blobs.is_empty() {
        let held = blobs.iter().map(|(digest, id)| of(digest.hex(), *id, EntryKind::Blob));
        let tree = gix::objs::Tree { entries: held.collect() };
        entries.insert(0, of(BLOBS.into(), batch.write_object(&tree)?, EntryKind::Tree));
    }
    let who = neutral_signature(0);
    let tree = batch.write_object(&gix::objs::Tree { entries })?;
    batch.write_object(&gix::objs::Commit {
        tree,
        parents: parents.into(),
        author: who.clone(),
        committer: who,
        encoding: None,
        message: format!("artifact {}\n", Digest::of(manifest)).into(),
        extra_headers: Vec::new(),
    })
}

/// Read the artifact commit `id`; `None` where the commit is no artifact's.
pub fn read(store: &Store, id: &Id) -> Result<Option<Artifact>> {
    let commit = store.read_object(id, gix::objs::Kind::Commit)?;
    let commit = gix::objs::CommitRef::from_bytes(&commit, gix::hash::Kind::Sha256);
    let tree = commit.map_err(|error| Error::damaged(format!("commit {id}"), error.to_string()))?.tree();
    let data = store.read_object(&tree, gix::objs::Kind::Tree)?;
    let Some((manifest, blobs)) = decode(&tree, &data)? else { return Ok(None) };
    let mut artifact = Artifact { manifest, blobs: BTreeMap::new() };
    if let Some(blobs) = blobs {
        let data = store.read_object(&blobs, gix::objs::Kind::Tree)?;
        artifact.blobs = decode_blobs(&blobs, &data)?;
    }
    Ok(Some(artifact))
}

/// The manifest and the tree of blobs in the tree of a commit; `None` where that is no artifact's.
pub(crate) fn decode(tree: &Id, data: &[u8]) -> Result<Option<(Id, Option<Id>)>> {
    let (mut manifest, mut blobs) = (None, None);
    for entry in gix::objs::TreeRefIter::from_bytes(data, gix::hash::Kind::Sha256) {
        let entry = entry.map_err(|error| Error::damaged(format!("tree {tree}"), error.to_string()))?;
        let is_tree = entry.mode.is_tree();
        match entry.filename {
            name if name == MANIFEST && !is_tree => manifest = Some(entry.oid.to_owned()),
            name if name == BLOBS && is_tree => blobs = Some(entry.oid.to_owned()),
            _ => return Ok(None),
        }
    }
    Ok(manifest.map(|manifest| (manifest, blobs)))
}

/// The blobs in their tree.
pub(crate) fn decode_blobs(tree: &Id, data: &[u8]) -> Result<BTreeMap<Digest, Id>> {
    let damaged = |why: String| Error::damaged(format!("tree {tree} of an artifact"), why);
    let mut blobs = BTreeMap::new();
    for entry in gix::objs::TreeRefIter::from_bytes(data, gix::hash::Kind::Sha256) {
        let entry = entry.map_err(|error| damaged(error.to_string()))?;
        let digest = entry.filename.to_str().ok().and_then(|hex| format!("sha256:{hex}").parse().ok());
        let digest = digest.filter(|_| entry.mode.is_blob());
        let digest = digest.ok_or_else(|| damaged(format!("'{}' is no digest of a blob", entry.filename)))?;
        blobs.insert(digest, entry.oid.to_owned());
    }
    Ok(blobs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refs_come_back() {
        let digest = Digest::of(b"");
        let tag = |tag: &str| Reference::Tag(tag.into());
        for (name, reference, want) in [
            ("debian", tag("v1.sbom"), "refs/artifacts/docker.io/library/debian@v1.sbom"),
            ("localhost:5000/a/b", tag("x.lock"), "refs/artifacts/localhost%3A5000/a/b@x%2Elock"),
            ("debian", tag("sha256-00"), "refs/artifacts/docker.io/library/debian@sha256-00"),
            (
                "q.io/a",
                Reference::Digest(digest),
                "refs/artifacts/q.io/a@sha256%3Ae3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            ),
        ] {
            let name = ImageName::parse(name).unwrap();
            let full = ref_name(&name, &reference);
            assert_eq!(full, want);
            assert!(full.starts_with(&ref_prefix(&name)));
            gix::refs::FullName::try_from(full.as_str()).unwrap();
            let (found, back) = parse_ref(&full).unwrap();
            assert_eq!((found.familiar_repository(), back), (name.familiar_repository(), reference));
        }
        for other in ["refs/images/docker.io/a@b", "refs/artifacts/a", "refs/artifacts/a/b@sha256%3A00"] {
            assert_eq!(parse_ref(other), None, "{other}");
        }
    }

    #[test]
    fn an_artifact_is_written_and_read() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::create(dir.path().join("s")).unwrap();
        let mut batch = store.batch();
        let bytes = b"signed";
        let id = batch.write_content(bytes.len() as u64, &mut &bytes[..]).unwrap();
        let blobs = BTreeMap::from([(Digest::of(bytes), id)]);
        let child = write(&mut batch, b"{}", &blobs, Vec::new()).unwrap();
        let index = write(&mut batch, b"{ }", &BTreeMap::new(), vec![child]).unwrap();
        batch.finish().unwrap();
        let found = read(&store, &child).unwrap().unwrap();
        assert_eq!((store.read_blob(&found.manifest).unwrap(), found.blobs), (b"{}".to_vec(), blobs));
        assert_eq!(read(&store, &index).unwrap().unwrap().blobs, BTreeMap::new());
    }
}

//! What refers to an image at its registry, with it: signatures, attestations, lists of what is in it.
//!
//! They are found by the registry's list of referrers (distribution specification, "listing referrers"), by the tag that stands
//! for that list where a registry has none, and by the tags that cosign makes of a digest.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashSet};
use std::io::{Read, Seek, SeekFrom};

use oci_spec::image::Descriptor;
use plumbing::artifact::{self, ARTIFACTS};
use plumbing::digest::{Digest, Hasher};
use plumbing::store::refs::Expect;
use plumbing::{Id, ImageName, Store};
use serde_json::{Value, json};

use super::blob::Transfer;
use super::downloads::Listener;
use super::pull::downloads_dir;
use super::remote::{Manifest, Remote};
use super::upload::Part;
use crate::{Error, IoResultExt, Result};

/// What cosign puts behind a digest: signatures, attestations, lists of what is in an image.
const COSIGN: [&str; 3] = ["sig", "att", "sbom"];
/// Larger blobs are no signatures.
const BLOB_LIMIT: u64 = 256 << 20;
/// More of them aren't brought: they are anybody's who may write to the repository.
const MOST: usize = 1000;
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// Bring all that refers to the manifest `digest`, and what refers to that; gives their digests. The caller holds off `rd gc`.
pub fn pull_referrers(store: &Store, remote: &Remote, name: &ImageName, digest: &Digest) -> Result<Vec<Digest>> {
    let mut found = Vec::new();
    let (mut seen, mut waiting) = (HashSet::from([*digest]), vec![*digest]);
    while let Some(subject) = waiting.pop() {
        for descriptor in remote.referrers(&subject)? {
            let target = descriptor.digest().to_string();
            let referrer: Digest = target.parse()?;
            if !seen.insert(referrer) || found.len() == MOST {
                continue;
            }
            let manifest = remote.manifest(&target)?;
            bring(store, remote, name, &manifest, artifact::Reference::Digest(referrer))?;
            found.push(referrer);
            waiting.push(referrer);
        }
    }
    for kind in COSIGN {
        let tag = format!("sha256-{}.{kind}", digest.hex());
        let Some(manifest) = remote.find_manifest(&tag)? else { continue };
        bring(store, remote, name, &manifest, artifact::Reference::Tag(tag))?;
        found.push(manifest.digest());
    }
    Ok(found)
}

/// Bring an artifact, and name it.
fn bring(
    store: &Store,
    remote: &Remote,
    name: &ImageName,
    manifest: &Manifest,
    reference: artifact::Reference,
) -> Result<()> {
    let media_type = manifest.descriptor.media_type().to_string();
    let parsed = artifact::Manifest::parse(&manifest.bytes, Some(&media_type))?;
    let mut batch = store.batch();
    let mut blobs = BTreeMap::new();
    for blob in parsed.blobs() {
        if let Entry::Vacant(entry) = blobs.entry(blob.digest) {
            let mut file = download(store, remote, blob.digest, blob.size)?;
            entry.insert(batch.write_content(blob.size, &mut file)?);
        }
    }
    let commit = artifact::write(&mut batch, &manifest.bytes, &blobs, Vec::new())?;
    batch.finish()?;
    store.update_ref(&artifact::ref_name(name, &reference), commit, Expect::Any, "pull: referrer")?;
    Ok(())
}

/// A blob in a file without a name, checked.
pub(super) fn download(store: &Store, remote: &Remote, digest: Digest, size: u64) -> Result<std::fs::File> {
    if size > BLOB_LIMIT {
        let why = format!("it has {size} bytes, an artifact's blob may have {BLOB_LIMIT}");
        return Err(plumbing::Error::Refused { entry: digest.to_string(), why }.into());
    }
    let dir = downloads_dir(store);
    std::fs::create_dir_all(&dir).on("create", &dir)?;
    let mut file = tempfile::tempfile_in(&dir).on("create a file in", &dir)?;
    remote.download(&mut Transfer { digest, size, file: &file, at: 0, end: size }, &mut |_| true)?;
    let (mut hasher, mut buffer) = (Hasher::default(), vec![0; 64 << 10]);
    loop {
        match file.read(&mut buffer).on("read", &dir)? {
            0 => break,
            length => hasher.update(&buffer[..length]),
        }
    }
    let found = hasher.finish();
    if found != digest {
        let why = format!("it should be {digest}, and is {found}");
        return Err(plumbing::Error::Refused { entry: digest.to_string(), why }.into());
    }
    file.seek(SeekFrom::Start(0)).on("read", &dir)?;
    Ok(file)
}

/// Send all that the store has about the manifest `digest`, from whatever repository it came; gives their digests.
pub fn push_referrers(store: &Store, remote: &Remote, digest: &Digest, listener: &Listener) -> Result<Vec<Digest>> {
    let mut sent = Vec::new();
    let all = store.list_refs(ARTIFACTS)?;
    let (mut seen, mut waiting) = (HashSet::new(), vec![*digest]);
    while let Some(subject) = waiting.pop() {
        let cosign = format!("sha256-{}.", subject.hex());
        for (name, id) in &all {
            let Some((_, reference)) = artifact::parse_ref(name) else { continue };
            let Some((manifest, parsed, blobs)) = read(store, id)? else { continue };
            let tag = match reference {
                artifact::Reference::Tag(tag) if tag.starts_with(&cosign) => Some(tag),
                _ if parsed.subject.as_ref().is_some_and(|about| about.digest == subject) => None,
                _ => continue,
            };
            if !seen.insert(manifest.digest()) {
                continue;
            }
            send_blobs(store, remote, &blobs, listener)?;
            match tag {
                Some(tag) => remote.put_manifest(&tag, &manifest)?,
                None => remote.put_referrer(&subject, &manifest, parsed.referrer_type())?,
            }
            sent.push(manifest.digest());
            waiting.push(manifest.digest());
        }
    }
    Ok(sent)
}

type Read3 = (Manifest, artifact::Manifest, BTreeMap<Digest, Id>);

fn read(store: &Store, id: &Id) -> Result<Option<Read3>> {
    let Some(found) = artifact::read(store, id)? else { return Ok(None) };
    let bytes = store.read_blob(&found.manifest)?;
    let parsed = artifact::Manifest::parse(&bytes, None)?;
    Ok(Some((Manifest::new(bytes, &parsed.media_type), parsed, found.blobs)))
}

fn send_blobs(store: &Store, remote: &Remote, blobs: &BTreeMap<Digest, Id>, listener: &Listener) -> Result<()> {
    let dir = store.dir();
    let mut parts = Vec::new();
    for (digest, id) in blobs {
        let (_, size) = store.blob_reader(id)?;
        let open = move |at: u64| {
            let store = Store::open(dir)?;
            if let Some(mut file) = store.open_content(id)? {
                let io = |source| plumbing::Error::Io { verb: "read", path: store.content_file(id), source };
                file.seek(SeekFrom::Start(at)).map_err(io)?;
                return Ok(Box::new(file) as Box<dyn Read + Send>);
            }
            let bytes = store.read_blob(id)?;
            let at = usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
            Ok(Box::new(std::io::Cursor::new(bytes[at..].to_vec())))
        };
        parts.push(Part { digest: *digest, size, elsewhere: Vec::new(), open: Box::new(open) });
    }
    remote.send(&parts, listener)
}

impl Remote {
    /// Put a manifest that refers to the manifest `subject`, and see to it that it is found by that.
    pub fn put_referrer(&self, subject: &Digest, manifest: &Manifest, artifact_type: Option<&str>) -> Result<()> {
        let digest = manifest.digest();
        if self.put_with_subject(&digest.to_string(), manifest)? {
            return Ok(());
        }
        // The registry knows nothing of referrers: the tag that stands for its list is the clients' to keep.
        let tag = format!("sha256-{}", subject.hex());
        let list = self.find_manifest(&tag)?;
        let mut index: Value = match &list {
            Some(list) => {
                serde_json::from_slice(&list.bytes).map_err(|error| Error::invalid("list of referrers", &tag, error))?
            }
            None => json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [] }),
        };
        let listed = index.get_mut("manifests").and_then(Value::as_array_mut);
        let listed = listed.ok_or_else(|| Error::invalid("list of referrers", &tag, "it has no manifests"))?;
        if listed.iter().any(|one| one.get("digest").and_then(Value::as_str) == Some(&digest.to_string())) {
            return Ok(());
        }
        listed.push(described(manifest, artifact_type));
        self.put_manifest(&tag, &Manifest::new(index.to_string().into_bytes(), INDEX))
    }
}

fn described(manifest: &Manifest, artifact_type: Option<&str>) -> Value {
    let about: &Descriptor = &manifest.descriptor;
    let mut described = json!({
        "mediaType": about.media_type().to_string(), "digest": about.digest().to_string(), "size": about.size(),
    });
    if let Some(artifact_type) = artifact_type {
        described["artifactType"] = artifact_type.into();
    }
    described
}

//! Commits on their way through registries: what another rd needs, beside an image's layers, to get the very commits that the
//! image was made of.
//!
//! It is an *artifact* beside the image (`docs/oci.md`): a manifest whose subject is the image's, with one blob, a bundle of
//! git's in zstd. In the bundle are the commits down to the nearest one that came from elsewhere, which follows from its
//! layers, and of their objects those that layers don't bring.

mod select;

use std::io::{BufReader, Read, Write};

use flate2::Compression;
use serde_json::json;

use crate::artifact::{Descriptor, Manifest, OCI_MANIFEST};
use crate::bundle::Header;
use crate::config::ImageConfig;
use crate::digest::Digest;
use crate::view::{Scope, View};
use crate::{Error, Id, Result, Store, receive_pack, upload_pack};

/// What the artifact says that it is.
pub const ARTIFACT_TYPE: &str = "application/vnd.rd.history.v1";

/// The media type of its blob.
pub const BUNDLE_TYPE: &str = "application/vnd.rd.history.v1.bundle+zstd";

/// The annotation of image and artifact that says of which commit they are.
pub const COMMIT: &str = "dev.rd.commit";

/// The configuration of an artifact that has none (OCI image specification, "Guidance for an Empty Descriptor").
pub const EMPTY: &[u8] = b"{}";

const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";

/// What the commit is called in the bundle.
const NAME: &str = "refs/rd/commit";

/// How hard zstd tries: the bundle is small, and read more often than made.
const LEVEL: i32 = 12;

/// So far back, as a power of two, zstd may have looked: a reader needs as much memory.
const WINDOW: u32 = 27;

/// Whether an image made of the commit needs its history beside it. One that came from elsewhere doesn't: its commits follow
/// from it.
pub fn is_needed(store: &Store, commit: &Id) -> Result<bool> {
    Ok(store.read_commit(commit)?.state.manifest.is_none())
}

/// Write the blob of the artifact for an image made of `commit`. Equal commits give equal bytes.
pub fn encode(store: &Store, commit: &Id, out: impl Write) -> Result<()> {
    let selection = select::of(store, commit)?;
    let failed = || Error::io("write", "a history");
    let mut out = zstd::stream::write::Encoder::new(out, LEVEL).map_err(failed())?;
    let header = Header {
        filter: None,
        prerequisites: selection.prerequisites.iter().map(|id| (*id, "".into())).collect(),
        references: vec![(*commit, NAME.into())],
    };
    out.write_all(&header.encode()).map_err(failed())?;
    // zstd does it better, and over all of them together.
    let view = View::new(store, Scope::Store);
    upload_pack::write_pack_with(&view, &selection.objects, Compression::none(), &mut out)?;
    out.finish().map(drop).map_err(failed())
}

/// The manifest of the artifact: `subject` is the image's manifest (media type, digest, size), `blob` digest and size of what
/// [`encode`] wrote.
pub fn manifest(commit: &Id, subject: (&str, Digest, u64), blob: (Digest, u64)) -> Vec<u8> {
    let (subject_type, subject, subject_size) = subject;
    let (blob, blob_size) = blob;
    json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": ARTIFACT_TYPE,
        "config": {
            "mediaType": EMPTY_TYPE,
            "digest": Digest::of(EMPTY).to_string(),
            "size": EMPTY.len(),
            "data": "e30=",
        },
        "layers": [{ "mediaType": BUNDLE_TYPE, "digest": blob.to_string(), "size": blob_size }],
        "subject": { "mediaType": subject_type, "digest": subject.to_string(), "size": subject_size },
        "annotations": { COMMIT: commit.to_string() },
    })
    .to_string()
    .into_bytes()
}

/// The blob of such an artifact; `None` where the manifest is another one's.
pub fn blob(manifest: &Manifest) -> Option<&Descriptor> {
    let is_history = manifest.artifact_type.as_deref() == Some(ARTIFACT_TYPE);
    match manifest.layers.as_slice() {
        [blob] if is_history && blob.media_type == BUNDLE_TYPE => Some(blob),
        _ => None,
    }
}

/// The commit that an image's manifest says it was made of.
pub fn commit(manifest: &Manifest) -> Option<Id> {
    let text = manifest.annotations.get(COMMIT)?;
    Id::from_hex(text.as_bytes()).ok().filter(|id| id.kind() == gix::hash::Kind::Sha256)
}

/// Take the blob of an artifact: then the store has `commit`, which the image's manifest names, with all that it needs.
///
/// `image` is the commit that the image gave by itself. What came is checked as a push is; an error where it is anything else
/// than the history of an image with the same files and configuration, and then nothing refers to it.
pub fn receive(store: &Store, image: &Id, commit: &Id, blob: impl Read) -> Result<()> {
    let _hold = store.hold()?;
    let failed = || Error::io("read", "a history");
    let mut bytes = zstd::stream::read::Decoder::new(blob).map_err(failed())?;
    bytes.window_log_max(WINDOW).map_err(failed())?;
    let mut bytes = BufReader::new(bytes);
    let header = Header::read(&mut bytes)?.filter(|header| {
        header.filter.is_none() && matches!(header.references.as_slice(), [(id, name)] if id == commit && *name == NAME)
    });
    if header.is_none() {
        return Err(refused(commit, "it isn't of the commit that the image names"));
    }
    receive_pack::take_pack(store, bytes, std::slice::from_ref(commit))?;
    agree(&Store::open(store.dir())?, image, commit)
}

/// Whether the commit is what the image says that it is.
fn agree(store: &Store, image: &Id, commit: &Id) -> Result<()> {
    let (image, came) = (store.read_commit(image)?, store.read_commit(commit)?);
    if image.state.root != came.state.root {
        return Err(refused(commit, "its files are others than those of the image"));
    }
    let config = |id: &Id| {
        let config = ImageConfig::parse(&store.read_blob(id)?)?;
        let field = |name: &str| config.fields().get(name).cloned();
        // An image that rd makes of a commit without this has it empty.
        let execution = field("config").filter(|value| value.as_object().is_none_or(|fields| !fields.is_empty()));
        Ok::<_, Error>((
            execution,
            field("architecture").or(Some("unknown".into())),
            field("os").or(Some("linux".into())),
        ))
    };
    match config(&image.state.config)? == config(&came.state.config)? {
        true => Ok(()),
        false => Err(refused(commit, "its configuration is another than the image's")),
    }
}

fn refused(commit: &Id, why: &str) -> Error {
    Error::Invalid { what: "history of an image", input: commit.to_string(), why: why.into() }
}

//! What a manifest refers to, whatever kind it is of: images, artifacts and indexes, OCI's and docker's.
//!
//! Fields that rd doesn't know are of no matter, since the bytes themselves are kept.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::digest::Digest;
use crate::{Error, Result};

/// A longer manifest is refused. The distribution specification asks for room for 4 megabytes.
pub const LIMIT: u64 = 8 << 20;

/// The media type of an OCI manifest.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// The media type of an OCI index.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// Artifact manifests of a draft of the specification, which some clients still write.
const ARTIFACT: &str = "application/vnd.oci.artifact.manifest.v1+json";

/// The configurations that images have.
const IMAGE_CONFIGS: [&str; 2] =
    ["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"];

/// What the media types of image layers begin with.
const LAYERS: [&str; 3] = [
    "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.oci.image.layer.nondistributable.v1.tar",
    "application/vnd.docker.image.rootfs.",
];

/// What a manifest says of bytes elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What they are.
    #[serde(default)]
    pub media_type: String,
    /// Their digest.
    #[serde(deserialize_with = "digest")]
    pub digest: Digest,
    /// Their number.
    pub size: u64,
    /// Where else they may be had; never contacted unasked.
    #[serde(default, deserialize_with = "nullable")]
    pub urls: Vec<String>,
    /// The platform of an image that an index lists.
    #[serde(default)]
    pub platform: Option<Platform>,
}

/// For what an image of an index is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Platform {
    /// `linux` and the like.
    #[serde(default)]
    pub os: String,
    /// `amd64` and the like.
    #[serde(default)]
    pub architecture: String,
    /// `v7` and the like.
    #[serde(default)]
    pub variant: Option<String>,
}

/// A manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Its media type.
    pub media_type: String,
    /// The configuration; an index has none.
    pub config: Option<Descriptor>,
    /// Layers, or what else it consists of.
    pub layers: Vec<Descriptor>,
    /// The manifests that an index lists.
    pub manifests: Vec<Descriptor>,
    /// The manifest that it says something about.
    pub subject: Option<Descriptor>,
    /// What it is, where it says so itself.
    pub artifact_type: Option<String>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
}

/// A manifest as JSON has it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Read {
    schema_version: Option<u64>,
    media_type: Option<String>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    blobs: Option<Vec<Descriptor>>,
    #[serde(default, deserialize_with = "given")]
    manifests: Option<Vec<Descriptor>>,
    subject: Option<Descriptor>,
    artifact_type: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    annotations: BTreeMap<String, String>,
}

impl Manifest {
    /// Read a manifest. `media_type` is what its sender calls it, where it says so.
    pub fn parse(bytes: &[u8], media_type: Option<&str>) -> Result<Self> {
        let invalid = |why: String| Error::Invalid { what: "manifest", input: Digest::of(bytes).to_string(), why };
        let read: Read = serde_json::from_slice(bytes).map_err(|error| invalid(error.to_string()))?;
        match (read.schema_version, &read.media_type) {
            (Some(2), _) => {}
            (None, Some(kind)) if kind == ARTIFACT => {}
            (Some(1), _) => return Err(invalid("it is of schema 1, which docker gave up: push the image anew".into())),
            _ => return Err(invalid("its 'schemaVersion' must be 2".into())),
        }
        let lists = read.manifests.is_some();
        if lists && (read.layers.is_some() || read.config.is_some()) {
            return Err(invalid("it has both 'manifests' and 'layers': it can be read in two ways".into()));
        }
        let guess = if lists { OCI_INDEX } else { OCI_MANIFEST };
        let sent = media_type.filter(|sent| known(sent).is_some());
        let media_type = read.media_type.as_deref().or(sent).unwrap_or(guess).to_owned();
        if sent.is_some_and(|sent| sent != media_type) {
            return Err(invalid(format!("it was sent as '{}', and is '{media_type}'", sent.unwrap_or_default())));
        }
        match known(&media_type) {
            None => return Err(invalid(format!("its media type '{}' is unknown", media_type.escape_debug()))),
            Some(is_index) if is_index != lists => {
                return Err(invalid(format!("it is no '{media_type}', by what it has")));
            }
            Some(_) => {}
        }
        if !lists && read.config.is_none() && media_type != ARTIFACT {
            return Err(invalid("it has no 'config'".into()));
        }
        Ok(Self {
            media_type,
            config: read.config,
            layers: read.layers.or(read.blobs).unwrap_or_default(),
            manifests: read.manifests.unwrap_or_default(),
            subject: read.subject,
            artifact_type: read.artifact_type.filter(|kind| !kind.is_empty()),
            annotations: read.annotations,
        })
    }

    /// Whether it lists other manifests.
    pub fn is_index(&self) -> bool {
        known(&self.media_type) == Some(true)
    }

    /// Whether it says that it is an image: signatures and attestations have images' configurations too, but other layers.
    pub fn is_image(&self) -> bool {
        let is_layer = |layer: &Descriptor| LAYERS.iter().any(|prefix| layer.media_type.starts_with(prefix));
        let config = self.config.as_ref().is_some_and(|config| IMAGE_CONFIGS.contains(&config.media_type.as_str()));
        config && self.layers.iter().all(is_layer)
    }

    /// What it is as a referrer: its own word, else the configuration's media type. An index without a word has none.
    pub fn referrer_type(&self) -> Option<&str> {
        self.artifact_type.as_deref().or(self.config.as_ref().map(|config| config.media_type.as_str()))
    }

    /// All blobs that it needs: the configuration first.
    pub fn blobs(&self) -> impl Iterator<Item = &Descriptor> {
        self.config.iter().chain(&self.layers)
    }
}

impl Descriptor {
    /// Whether the bytes are not for passing on, and so may be missing (foreign layers of Windows images).
    pub fn is_foreign(&self) -> bool {
        self.media_type.contains("nondistributable") || self.media_type.contains("foreign")
    }
}

/// Whether manifests of this type list other manifests; `None` for types that are no manifests'.
fn known(media_type: &str) -> Option<bool> {
    match media_type {
        OCI_INDEX | DOCKER_LIST => Some(true),
        OCI_MANIFEST | DOCKER_MANIFEST | ARTIFACT => Some(false),
        _ => None,
    }
}

fn digest<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Digest, D::Error> {
    String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
}

/// Go writes empty lists and maps as `null`.
fn nullable<'de, D: serde::Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// A list that is there, be it as `null`.
fn given<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Vec<Descriptor>>, D::Error> {
    nullable(from).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn text(fields: &str) -> String {
        fields.replace("DESC", &format!(r#"{{"mediaType":"TYPE","digest":"{EMPTY}","size":0,"urls":null}}"#))
    }

    fn config(of: &str, layer: &str) -> String {
        let config = text("DESC").replace("TYPE", of);
        format!(r#"{{"schemaVersion":2,"config":{config},"layers":[{}]}}"#, text("DESC").replace("TYPE", layer))
    }

    #[test]
    fn images_are_told_from_what_looks_like_them() {
        let layer = "application/vnd.oci.image.layer.v1.tar+gzip";
        for (of, layer, is_image) in [
            (IMAGE_CONFIGS[0], layer, true),
            (IMAGE_CONFIGS[1], "application/vnd.docker.image.rootfs.diff.tar.gzip", true),
            (IMAGE_CONFIGS[1], "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", true),
            (IMAGE_CONFIGS[0], "application/vnd.dev.cosign.simplesigning.v1+json", false),
            (IMAGE_CONFIGS[0], "application/vnd.in-toto+json", false),
            ("application/vnd.oci.empty.v1+json", layer, false),
        ] {
            let manifest = Manifest::parse(config(of, layer).as_bytes(), None).unwrap();
            assert_eq!(manifest.is_image(), is_image, "{of} {layer}");
            assert_eq!(manifest.referrer_type(), Some(of));
            assert_eq!(manifest.media_type, OCI_MANIFEST);
        }
    }

    #[test]
    fn what_is_no_manifest_or_two_at_once_is_refused() {
        for (manifest, sent, why) in [
            ("", None, "EOF"),
            ("[]", None, "expected struct"),
            ("{}", None, "schemaVersion"),
            (r#"{"schemaVersion":1}"#, None, "schema 1"),
            (r#"{"schemaVersion":2}"#, None, "no 'config'"),
            (r#"{"schemaVersion":2,"manifests":[],"layers":[]}"#, None, "two ways"),
            (r#"{"schemaVersion":2,"mediaType":"text/plain","config":DESC}"#, None, "unknown"),
            (r#"{"schemaVersion":2,"config":DESC}"#, Some(OCI_INDEX), "by what it has"),
            (
                r#"{"schemaVersion":2,"manifests":[],"mediaType":"application/vnd.oci.image.index.v1+json"}"#,
                Some(DOCKER_LIST),
                "sent as",
            ),
            (r#"{"schemaVersion":2,"config":{"digest":"sha256:x","size":1}}"#, None, "invalid digest"),
            (r#"{"schemaVersion":2,"config":{"digest":"sha256:x","size":-1}}"#, None, "invalid"),
        ] {
            let error = Manifest::parse(text(manifest).as_bytes(), sent).unwrap_err().to_string();
            assert!(error.contains(why), "{manifest}: {error}");
        }
    }

    #[test]
    fn a_type_that_only_the_sender_gives_counts() {
        let list = br#"{"schemaVersion":2,"manifests":null,"annotations":null}"#;
        assert_eq!(Manifest::parse(list, Some(DOCKER_LIST)).unwrap().media_type, DOCKER_LIST);
        assert_eq!(Manifest::parse(list, Some("text/plain")).unwrap().media_type, OCI_INDEX);
        assert!(Manifest::parse(list, None).unwrap().is_index());
    }
}

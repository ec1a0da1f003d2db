//! Image manifests: what is read of one that somebody else wrote, and how rd's own are written.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::{Error, Result};

/// The media type of OCI's image manifests.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// The media type of OCI's image configurations.
pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// The annotation of a manifest that rd made: the commit that it is of.
pub const COMMIT: &str = "dev.rd.commit";

/// Where a blob is and what it is (OCI image specification, descriptor.md).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What it is.
    #[serde(default)]
    pub media_type: String,
    /// The digest of its bytes.
    pub digest: Digest,
    /// Their number.
    pub size: u64,
    /// Where else it may be got. Nobody contacts these unasked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub urls: Option<Vec<String>>,
    /// What its maker says of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
}

/// A manifest's parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    schema_version: u32,
    /// What it says that it is. OCI's may say nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The configuration.
    pub config: Descriptor,
    /// The layers, the lowest first.
    pub layers: Vec<Descriptor>,
    /// What its maker says of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
}

impl Manifest {
    /// OCI's, of these parts.
    pub(super) fn new(
        config: Descriptor,
        layers: Vec<Descriptor>,
        annotations: Option<BTreeMap<String, String>>,
    ) -> Self {
        Self { schema_version: 2, media_type: Some(OCI_MANIFEST.into()), config, layers, annotations }
    }

    /// Read a manifest of the second version, docker's or OCI's.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let invalid =
            |why: String| Error::Invalid { what: "image manifest", input: Digest::of(bytes).to_string(), why };
        let manifest: Self = serde_json::from_slice(bytes).map_err(|error| invalid(error.to_string()))?;
        match manifest.schema_version {
            2 => Ok(manifest),
            other => Err(invalid(format!("it is of schema version {other}, not 2"))),
        }
    }

    /// Its bytes.
    pub(super) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("because a manifest can be written as JSON")
    }
}

/// The OCI media type of a layer that docker or OCI call `media_type`.
pub(super) fn oci_layer_type(media_type: &str) -> String {
    let rest = media_type.strip_prefix("application/vnd.docker.image.rootfs.");
    match rest {
        Some("diff.tar") => "application/vnd.oci.image.layer.v1.tar".into(),
        Some("diff.tar.gzip") => "application/vnd.oci.image.layer.v1.tar+gzip".into(),
        Some("diff.tar.zstd") => "application/vnd.oci.image.layer.v1.tar+zstd".into(),
        Some("foreign.diff.tar.gzip") => "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip".into(),
        Some("foreign.diff.tar") => "application/vnd.oci.image.layer.nondistributable.v1.tar".into(),
        _ => media_type.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_and_nothing_but_the_second_version() {
        let blob = |media_type: &str, bytes: &[u8]| Descriptor {
            media_type: media_type.into(),
            digest: Digest::of(bytes),
            size: bytes.len() as u64,
            urls: None,
            annotations: None,
        };
        let annotations = BTreeMap::from([(COMMIT.to_owned(), "x".to_owned())]);
        let manifest = Manifest::new(blob(OCI_CONFIG, b"{}"), vec![blob("l", b"layer")], Some(annotations));
        assert_eq!(Manifest::parse(&manifest.encode()).unwrap(), manifest);
        for text in ["{}", "[]", r#"{"schemaVersion":1,"config":{},"layers":[]}"#] {
            assert!(Manifest::parse(text.as_bytes()).is_err());
        }
        let first = String::from_utf8(manifest.encode()).unwrap().replace("\"schemaVersion\":2", "\"schemaVersion\":1");
        assert!(Manifest::parse(first.as_bytes()).unwrap_err().to_string().contains("version 1"));
    }
}

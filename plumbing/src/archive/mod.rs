//! Whole images into commits, of docker's and OCI's archives, of OCI layout folders and of registries; and out of them.
//!
//! Nothing in an archive or a manifest is believed: sizes and digests are checked before a name points at anything, paths
//! stay in the archive, and no address in it is ever contacted.

mod blobs;
mod chain;
mod docker;
mod known;
mod load;
mod manifest;
mod oci;
mod save;

pub use blobs::Blobs;
pub use chain::{Chain, Image, LayerBlob, LayerBytes, WholeFile};
pub use load::{Loaded, load};
pub use manifest::{Found, Source, find, image};
pub use save::{Named, Shape, save, save_layout};

use crate::config;
use crate::{Error, Result};

/// `os/architecture[/variant]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform {
    /// `linux` and the like.
    pub os: String,
    /// `amd64` and the like.
    pub architecture: String,
    /// `v7` and the like; where it is `None`, any will do.
    pub variant: Option<String>,
}

impl Platform {
    /// This machine's.
    pub fn host() -> Self {
        Self { os: "linux".into(), architecture: config::host_architecture().into(), variant: None }
    }

    /// Read `os/architecture[/variant]`, or an architecture alone.
    pub fn parse(input: &str) -> Result<Self> {
        let words: Vec<&str> = input.split('/').collect();
        let (os, architecture, variant) = match words[..] {
            [architecture] => ("linux", architecture, None),
            [os, architecture] => (os, architecture, None),
            [os, architecture, variant] => (os, architecture, Some(variant.to_owned())),
            _ => ("", "", None),
        };
        if os.is_empty() || architecture.is_empty() || variant.as_deref() == Some("") {
            return Err(Error::Invalid {
                what: "platform",
                input: input.into(),
                why: "it must be OS/ARCHITECTURE[/VARIANT]".into(),
            });
        }
        Ok(Self { os: os.into(), architecture: architecture.into(), variant })
    }
}

impl std::fmt::Display for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.iter().try_for_each(|variant| write!(f, "/{variant}"))
    }
}

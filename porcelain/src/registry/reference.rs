//! What a user asks a registry for: `debian`, `web:1.0`, `quay.io/a/b@sha256:…`.

use std::fmt;

use plumbing::ImageName;
use plumbing::digest::Digest;

use crate::Result;

/// A repository and what is wanted of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    name: ImageName,
    has_tag: bool,
    digest: Option<Digest>,
}

impl Reference {
    /// Read `[REGISTRY/]REPOSITORY[:TAG][@DIGEST]`, filling in docker's defaults.
    pub fn parse(input: &str) -> Result<Self> {
        let (rest, digest) = match input.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse()?)),
            None => (input, None),
        };
        let last = rest.rsplit_once('/').map_or(rest, |(_, last)| last);
        Ok(Self { name: ImageName::parse(rest)?, has_tag: last.contains(':'), digest })
    }

    /// The image's name here. A digest becomes a tag, `sha256.<digits>`, whatever tag was given with it: what it names never moves.
    pub fn local_name(&self) -> Result<ImageName> {
        let Some(digest) = self.digest else { return Ok(self.name.clone()) };
        Ok(ImageName::parse(&format!("{}/{}:sha256.{}", self.registry(), self.repository(), digest.hex()))?)
    }

    /// The registry's host and port.
    pub fn registry(&self) -> &str {
        self.name.registry()
    }

    /// The repository's path at the registry.
    pub fn repository(&self) -> &str {
        self.name.repository()
    }

    /// Whether a tag was given.
    pub fn has_tag(&self) -> bool {
        self.has_tag
    }

    /// The tag, `latest` where none was given.
    pub fn tag(&self) -> &str {
        self.name.tag()
    }

    /// The digest that was given.
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// What manifests are asked for by: the digest, else the tag.
    pub fn target(&self) -> String {
        self.digest.map_or_else(|| self.tag().to_owned(), |digest| digest.to_string())
    }

    /// The same repository with another tag.
    pub fn with_tag(&self, tag: &str) -> Result<Self> {
        Self::parse(&format!("{}/{}:{tag}", self.registry(), self.repository()))
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.digest {
            Some(digest) => write!(f, "{}@{digest}", self.name.familiar_repository()),
            None => self.name.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings() {
        let digest = Digest::of(b"x").to_string();
        let hex = &digest["sha256:".len()..];
        for (input, registry, repository, target, local) in [
            ("debian", "docker.io", "library/debian", "latest", "debian:latest"),
            ("localhost:5000/a:1", "localhost:5000", "a", "1", "localhost:5000/a:1"),
            (&format!("quay.io/a/b@{digest}"), "quay.io", "a/b", &digest, &format!("quay.io/a/b:sha256.{hex}")),
            (&format!("a/b:1@{digest}"), "docker.io", "a/b", &digest, &format!("a/b:sha256.{hex}")),
        ] {
            let reference = Reference::parse(input).unwrap();
            assert_eq!((reference.registry(), reference.repository()), (registry, repository));
            assert_eq!(
                (reference.target().as_str(), reference.local_name().unwrap().to_string().as_str()),
                (target, local)
            );
        }
        for input in ["", "a@", "a@sha256:00", "a@b@c", "UPPER", "a:b:c"] {
            assert!(Reference::parse(input).is_err(), "{input}");
        }
    }
}

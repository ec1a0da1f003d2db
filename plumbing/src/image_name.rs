//! Names of images as people write them (`debian`, `web:1.0`, `localhost:5000/team/app@sha256:…`) and as refs.
//!
//! The grammar is that of the distribution specification and docker's reference package; the defaults
//! (`docker.io`, `library/`, `latest`) are docker's.

use std::fmt;

use crate::store::refs::IMAGES;
use crate::{Error, Result};

const DEFAULT_REGISTRY: &str = "docker.io";
const DEFAULT_NAMESPACE: &str = "library/";
const DEFAULT_TAG: &str = "latest";

/// A complete image name: registry, repository and tag.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageName {
    registry: String,
    repository: String,
    tag: String,
}

impl ImageName {
    /// Read `[REGISTRY/]REPOSITORY[:TAG]`, filling in docker's defaults.
    pub fn parse(input: &str) -> Result<Self> {
        let invalid = |why: &str| Error::Invalid { what: "image name", input: input.into(), why: why.into() };
        let (registry, rest) = match input.split_once('/') {
            Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => (first, rest),
            _ => (DEFAULT_REGISTRY, input),
        };
        let (repository, tag) = rest.split_once(':').unwrap_or((rest, DEFAULT_TAG));
        if repository.contains('@') || tag.contains('@') {
            return Err(invalid("a digest names no image that could be moved; give a tag"));
        }
        if !is_registry(registry) {
            return Err(invalid("the registry must be a host name with an optional port"));
        }
        if repository.is_empty() || !repository.split('/').all(is_repository_component) || repository.len() > 255 {
            return Err(invalid(
                "a repository is made of lower-case letters and digits, parted by '/', '.', '_', '__' or '-'",
            ));
        }
        if !is_tag(tag) {
            return Err(invalid(
                "a tag is made of letters, digits, '_', '.' and '-', at most 128, not first '.' or '-'",
            ));
        }
        let official = registry == DEFAULT_REGISTRY && !repository.contains('/');
        let namespace = if official { DEFAULT_NAMESPACE } else { "" };
        Ok(Self { registry: registry.into(), repository: format!("{namespace}{repository}"), tag: tag.into() })
    }

    /// The full ref name, `refs/images/<registry>/<repository>@<tag>`.
    pub fn to_ref(&self) -> String {
        let path = format!("{}/{}@{}", self.registry, self.repository, self.tag);
        format!("{IMAGES}{}", path.split('/').map(escape).collect::<Vec<_>>().join("/"))
    }

    /// The name that a full ref stands for; `None` where the ref is no image's.
    pub fn from_ref(name: &str) -> Option<Self> {
        let path = name.strip_prefix(IMAGES)?;
        let path = percent_encoding::percent_decode_str(path).decode_utf8().ok()?;
        let (registry, rest) = path.split_once('/')?;
        let (repository, tag) = rest.rsplit_once('@')?;
        let valid = is_registry(registry) && repository.split('/').all(is_repository_component) && is_tag(tag);
        valid.then(|| Self { registry: registry.into(), repository: repository.into(), tag: tag.into() })
    }

    /// The name with all that docker leaves out: `docker.io/library/debian:12`.
    pub fn full(&self) -> String {
        format!("{}/{}:{}", self.registry, self.repository, self.tag)
    }

    /// The repository as docker shows it: without `docker.io/` and `library/`.
    pub fn familiar_repository(&self) -> String {
        if self.registry != DEFAULT_REGISTRY {
            return format!("{}/{}", self.registry, self.repository);
        }
        self.repository.strip_prefix(DEFAULT_NAMESPACE).unwrap_or(&self.repository).to_owned()
    }

    /// The registry's host and port; `docker.io` where the name gave none.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The repository at its registry, `library/` included.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag.
    pub fn tag(&self) -> &str {
        &self.tag
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.familiar_repository(), self.tag)
    }
}

pub(crate) fn is_registry(text: &str) -> bool {
    let (host, port) = text.split_once(':').unwrap_or((text, "0"));
    let host_ok = host.split('.').all(|label| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    });
    host_ok && port.parse::<u16>().is_ok()
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
pub(crate) fn is_repository_component(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let ends = text.bytes().next().is_some_and(plain) && text.bytes().last().is_some_and(plain);
    let separators = text.split(|c: char| c.is_ascii() && plain(c as u8));
    ends && separators.filter(|s| !s.is_empty()).all(|s| matches!(s, "." | "_" | "__") || s.bytes().all(|b| b == b'-'))
}

/// `[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}`
pub(crate) fn is_tag(text: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    text.len() <= 128
        && text.bytes().next().is_some_and(word)
        && text.bytes().all(|b| word(b) || b == b'.' || b == b'-')
}

/// Escape what git allows in no ref: `:`, `..`, a last `.` and a last `.lock` (git-check-ref-format(1)).
pub(crate) fn escape(component: &str) -> String {
    let mut out = component.replace(':', "%3A").replace("..", ".%2E");
    if let Some(stem) = out.strip_suffix(".lock") {
        out = format!("{stem}%2Elock");
    } else if let Some(stem) = out.strip_suffix('.') {
        out = format!("{stem}%2E");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_refs_and_come_back() {
        for (input, reference, shown) in [
            ("debian", "refs/images/docker.io/library/debian@latest", "debian:latest"),
            ("debian:12", "refs/images/docker.io/library/debian@12", "debian:12"),
            ("team/app:v1", "refs/images/docker.io/team/app@v1", "team/app:v1"),
            ("localhost:5000/a/b:x", "refs/images/localhost%3A5000/a/b@x", "localhost:5000/a/b:x"),
            ("localhost/a:1..2", "refs/images/localhost/a@1.%2E2", "localhost/a:1..2"),
            ("a:b.lock", "refs/images/docker.io/library/a@b%2Elock", "a:b.lock"),
            ("a:b.", "refs/images/docker.io/library/a@b%2E", "a:b."),
            ("a:b...", "refs/images/docker.io/library/a@b.%2E%2E", "a:b..."),
        ] {
            let name = ImageName::parse(input).unwrap();
            assert_eq!(name.to_ref(), reference);
            assert_eq!(ImageName::from_ref(reference), Some(name.clone()), "{input}");
            assert_eq!(name.to_string(), shown);
            gix::refs::FullName::try_from(reference).unwrap();
        }
    }

    #[test]
    fn bad_names_are_refused() {
        for input in ["", ":", "UPPER", "a b", "a/", "/a", "a:", "a:-x", "a..b", "a@sha256:00", "-a", "a//b", "x:y:z"] {
            assert!(ImageName::parse(input).is_err(), "{input}");
        }
    }
}

//! Names of what was last seen at a remote: `origin/app:1`, `refs/remotes/origin/app@1`.

use std::fmt;

use crate::image_name::{self, escape};
use crate::store::refs::REMOTES;
use crate::{Error, ImageName, Result};

/// The tag where none is given.
const DEFAULT_TAG: &str = "latest";

/// What a remote's image is called here.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tracking {
    remote: String,
    repository: String,
    tag: String,
}

impl Tracking {
    /// The image `repository` (as the remote spells it) with `tag`.
    ///
    /// `Invalid` where a part of it can be no part of a name.
    pub fn new(remote: &str, repository: &str, tag: &str) -> Result<Self> {
        let name = Self { remote: remote.into(), repository: repository.into(), tag: tag.into() };
        let fits = is_remote(remote) && repository.split('/').all(is_component) && image_name::is_tag(tag);
        let why = "it is REMOTE/REPOSITORY:TAG".to_owned();
        if fits { Ok(name) } else { Err(Error::Invalid { what: "remote image", input: name.to_string(), why }) }
    }

    /// Read `[remotes/]REMOTE/REPOSITORY[:TAG]`.
    pub fn parse(input: &str) -> Result<Self> {
        let rest = input.strip_prefix("remotes/").unwrap_or(input);
        let (remote, rest) = rest.split_once('/').unwrap_or((rest, ""));
        let (repository, tag) = match rest.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => (repository, tag),
            _ => (rest, DEFAULT_TAG),
        };
        Self::new(remote, repository, tag)
    }

    /// The full ref name, `refs/remotes/<remote>/<repository>@<tag>`.
    pub fn to_ref(&self) -> String {
        let path = format!("{}/{}@{}", self.remote, self.repository, self.tag);
        format!("{REMOTES}{}", path.split('/').map(escape).collect::<Vec<_>>().join("/"))
    }

    /// The name that a full ref stands for; `None` where the ref is none of these.
    pub fn from_ref(name: &str) -> Option<Self> {
        let path = name.strip_prefix(REMOTES)?;
        let path = percent_encoding::percent_decode_str(path).decode_utf8().ok()?;
        let (remote, rest) = path.split_once('/')?;
        let (repository, tag) = rest.rsplit_once('@')?;
        Self::new(remote, repository, tag).ok().filter(|tracking| tracking.to_ref() == name)
    }

    /// The remote's name; a registry's host where it isn't configured.
    pub fn remote(&self) -> &str {
        &self.remote
    }

    /// The repository, as the remote spells it.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// The same image at a remote of another name.
    pub fn at(&self, remote: &str) -> Result<Self> {
        Self::new(remote, &self.repository, &self.tag)
    }

    /// What the image is called here when it is pulled: what it is called there where the remote has a name of its own, else
    /// with the registry in front.
    pub fn image(&self) -> Result<ImageName> {
        match self.is_of_registry() {
            true => ImageName::parse(&self.to_string()),
            false => ImageName::parse(&format!("{}:{}", self.repository, self.tag)),
        }
    }

    /// Whether the remote is no configured one but a registry, by its host.
    pub fn is_of_registry(&self) -> bool {
        is_host(&self.remote)
    }
}

impl fmt::Display for Tracking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}:{}", self.remote, self.repository, self.tag)
    }
}

/// Whether a name reads as a registry's host, as the first part of an image's name does.
pub fn is_host(name: &str) -> bool {
    name.contains(['.', ':']) || name == "localhost"
}

/// Whether a remote that is configured may have this name: letters, digits, `_` and `-`, and none that reads as a registry's
/// host.
pub fn is_remote_name(name: &str) -> bool {
    let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    first && name != "localhost" && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

fn is_remote(name: &str) -> bool {
    is_remote_name(name) || image_name::is_registry(name)
}

/// A part of a repository: of an image's name, or a registry before it (`quay.io/a/b` in another store).
fn is_component(text: &str) -> bool {
    image_name::is_repository_component(text) || is_host(text) && image_name::is_registry(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_refs_and_come_back() {
        for (input, reference, image) in [
            ("origin/app", "refs/remotes/origin/app@latest", "app:latest"),
            ("origin/team/app:1..2", "refs/remotes/origin/team/app@1.%2E2", "team/app:1..2"),
            ("remotes/origin/app:1", "refs/remotes/origin/app@1", "app:1"),
            ("origin/localhost:5000/a:x", "refs/remotes/origin/localhost%3A5000/a@x", "localhost:5000/a:x"),
            ("docker.io/library/debian:12", "refs/remotes/docker.io/library/debian@12", "debian:12"),
            ("localhost:5000/a/b", "refs/remotes/localhost%3A5000/a/b@latest", "localhost:5000/a/b"),
        ] {
            let name = Tracking::parse(input).unwrap();
            assert_eq!(name.to_ref(), reference);
            assert_eq!(Tracking::from_ref(reference), Some(name.clone()));
            assert_eq!(name.image().unwrap(), ImageName::parse(image).unwrap());
            gix::refs::FullName::try_from(reference).unwrap();
        }
    }

    #[test]
    fn other_names_are_none() {
        for input in
            ["", "origin", "origin/", "/app", "or igin/app", "-x/app", "origin/App", "origin/a:", "origin/a/../b"]
        {
            assert!(Tracking::parse(input).is_err(), "{input}");
        }
        for name in ["refs/remotes/origin/main", "refs/heads/a@b", "refs/remotes/a%2Fb/c@d", "refs/remotes/o/a%40b"] {
            assert_eq!(Tracking::from_ref(name), None, "{name}");
        }
    }

    #[test]
    fn a_configured_remote_reads_as_no_registry() {
        for (name, fits) in [("origin", true), ("a-b_2", true), ("a.b", false), ("localhost", false), ("-a", false)] {
            assert_eq!(is_remote_name(name), fits, "{name}");
        }
    }
}

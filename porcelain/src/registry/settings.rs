//! Where registries are and how they are spoken to: `registries.conf` in the form of containers-registries.conf(5).

use std::path::{Path, PathBuf};

use toml_edit::{DocumentMut, TableLike};

use crate::{Error, Result};

/// docker.io, and where its API is.
pub(super) const DOCKER_HUB: (&str, &str) = ("docker.io", "registry-1.docker.io");

/// How an address may be spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// https with a certificate that is checked.
    Verified,
    /// https with any certificate, or else plain http.
    Insecure,
    /// This machine itself: plain http, or else https with any certificate.
    Loopback,
}

/// A repository at one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Host and port.
    pub host: String,
    /// The repository's path there.
    pub repository: String,
    /// How it may be spoken to.
    pub trust: Trust,
    /// A mirror has no say in what exists, and gets nothing.
    pub is_mirror: bool,
}

/// What the user says about registries.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    registries: Vec<Registry>,
    /// `--tls-verify`: overrides what the file says.
    verify: Option<bool>,
    /// `--cert-dir`: certificates for every host.
    certificates: Option<PathBuf>,
}

#[derive(Debug, Clone)]
struct Registry {
    prefix: String,
    location: String,
    insecure: bool,
    blocked: bool,
    mirrors: Vec<Mirror>,
}

#[derive(Debug, Clone)]
struct Mirror {
    location: String,
    insecure: bool,
    /// `all`, `digest-only`, `tag-only`.
    from: String,
}

impl Settings {
    /// Read the user's file, else the system's: `$CONTAINERS_REGISTRIES_CONF`, `~/.config/containers/registries.conf`,
    /// `/etc/containers/registries.conf`. None at all is fine.
    pub fn read() -> Result<Self> {
        let given = std::env::var_os("CONTAINERS_REGISTRIES_CONF").map(PathBuf::from);
        let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".config/containers/registries.conf"));
        let system = PathBuf::from("/etc/containers/registries.conf");
        match given.or(home.filter(|path| path.exists())).or(Some(system).filter(|path| path.exists())) {
            Some(path) => Self::parse(&std::fs::read_to_string(&path).map_err(|e| Error::io("read", &path, e))?, &path),
            None => Ok(Self::default()),
        }
    }

    fn parse(text: &str, path: &Path) -> Result<Self> {
        let invalid = |why: String| Error::invalid("registries.conf", path.display(), why);
        let document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| invalid(error.to_string()))?;
        if document.get("registries").is_some() {
            return Err(invalid("version 1 of its format is not known; write [[registry]] tables".into()));
        }
        let tables = document.get("registry").and_then(|item| item.as_array_of_tables());
        let registries = tables.into_iter().flatten().map(registry).collect::<Result<_, _>>().map_err(invalid)?;
        Ok(Self { registries, ..Self::default() })
    }

    /// Check certificates or don't, whatever the file says.
    pub fn with_verify(self, verify: Option<bool>) -> Self {
        Self { verify, ..self }
    }

    /// Take certificates from `folder`.
    pub fn with_certificates(self, folder: Option<PathBuf>) -> Self {
        Self { certificates: folder, ..self }
    }

    /// Folders that may hold certificates for `host`.
    pub(super) fn certificate_folders(&self, host: &str) -> Vec<PathBuf> {
        match &self.certificates {
            Some(folder) => vec![folder.clone()],
            None => ["/etc/containers/certs.d", "/etc/docker/certs.d"].map(|top| Path::new(top).join(host)).into(),
        }
    }

    /// Where a repository is: its mirrors first, then its own place. `by_digest` tells how it is asked.
    pub fn places(&self, registry: &str, repository: &str, by_digest: bool) -> Result<Vec<Place>> {
        let full = format!("{registry}/{repository}");
        let found = self.registries.iter().filter(|entry| matches(&entry.prefix, &full));
        let Some(entry) = found.max_by_key(|entry| entry.prefix.len()) else {
            return Ok(vec![self.place(&full, false, false)]);
        };
        if entry.blocked {
            return Err(Error::Unsupported(format!("registry '{}' is blocked by registries.conf", entry.prefix)));
        }
        let at = |location: &str| match entry.prefix.starts_with("*.") || location.is_empty() {
            true => full.clone(),
            false => format!("{location}{}", &full[entry.prefix.len()..]),
        };
        let serves = |mirror: &&Mirror| match mirror.from.as_str() {
            "digest-only" => by_digest,
            "tag-only" => !by_digest,
            _ => true,
        };
        let mirrors = entry.mirrors.iter().filter(serves);
        let mirrors = mirrors.map(|mirror| self.place(&at(&mirror.location), mirror.insecure, true));
        Ok(mirrors.chain([self.place(&at(&entry.location), entry.insecure, false)]).collect())
    }

    fn place(&self, full: &str, insecure: bool, is_mirror: bool) -> Place {
        let (host, repository) = full.split_once('/').unwrap_or((full, ""));
        let host = if host == DOCKER_HUB.0 { DOCKER_HUB.1 } else { host };
        Place { host: host.into(), repository: repository.into(), trust: self.trust(host, insecure), is_mirror }
    }

    fn trust(&self, host: &str, insecure: bool) -> Trust {
        match self.verify {
            Some(true) => Trust::Verified,
            _ if is_loopback(host) => Trust::Loopback,
            Some(false) => Trust::Insecure,
            None if insecure => Trust::Insecure,
            None => Trust::Verified,
        }
    }
}

fn registry(table: &toml_edit::Table) -> Result<Registry, String> {
    let (location, insecure) = location(table)?;
    let prefix = text(table, "prefix")?.unwrap_or_else(|| location.clone());
    if prefix.is_empty() {
        return Err("a [[registry]] has neither prefix nor location".into());
    }
    let mirrors = table.get("mirror").and_then(|item| item.as_array_of_tables()).into_iter().flatten();
    let mirrors = mirrors.map(|table| {
        let (location, insecure) = self::location(table)?;
        Ok(Mirror { location, insecure, from: text(table, "pull-from-mirror")?.unwrap_or_default() })
    });
    let mirrors = mirrors.collect::<Result<_, String>>()?;
    Ok(Registry { prefix, location, insecure, blocked: flag(table, "blocked")?, mirrors })
}

fn location(table: &dyn TableLike) -> Result<(String, bool), String> {
    let location = text(table, "location")?.unwrap_or_default();
    if location.contains("://") {
        return Err(format!("location '{location}' must be a host, without a scheme"));
    }
    Ok((location.trim_end_matches('/').to_owned(), flag(table, "insecure")?))
}

fn text(table: &dyn TableLike, key: &str) -> Result<Option<String>, String> {
    let wrong = || format!("'{key}' must be a text");
    table.get(key).map(|item| item.as_str().map(str::to_owned).ok_or_else(wrong)).transpose()
}

fn flag(table: &dyn TableLike, key: &str) -> Result<bool, String> {
    table.get(key).map_or(Ok(false), |item| item.as_bool().ok_or_else(|| format!("'{key}' must be true or false")))
}

/// Whether the registry of `prefix` has the repository `full`. `*.example.com` are all hosts below it.
fn matches(prefix: &str, full: &str) -> bool {
    if let Some(domain) = prefix.strip_prefix('*') {
        return full.split(['/', ':']).next().is_some_and(|host| host.ends_with(domain));
    }
    full.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', ':']))
}

/// Whether `host` is this machine itself.
pub(super) fn is_loopback(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    name == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Result<Settings> {
        Settings::parse(text, Path::new("x"))
    }

    fn places(settings: &Settings, registry: &str, repository: &str) -> Vec<String> {
        let places = settings.places(registry, repository, false).unwrap();
        places.into_iter().map(|at| format!("{}/{} {:?} {}", at.host, at.repository, at.trust, at.is_mirror)).collect()
    }

    #[test]
    fn without_a_file_there_are_dockers_rules() {
        let none = Settings::default();
        for (registry, place) in [
            ("docker.io", "registry-1.docker.io/a/b Verified false"),
            ("localhost:5000", "localhost:5000/a/b Loopback false"),
            ("127.0.0.1", "127.0.0.1/a/b Loopback false"),
            ("quay.io", "quay.io/a/b Verified false"),
            ("localhost.example.com", "localhost.example.com/a/b Verified false"),
        ] {
            assert_eq!(places(&none, registry, "a/b"), [place]);
        }
        let insecure = none.clone().with_verify(Some(false));
        assert_eq!(places(&insecure, "quay.io", "a"), ["quay.io/a Insecure false"]);
        let strict = none.with_verify(Some(true));
        assert_eq!(places(&strict, "localhost:1", "a"), ["localhost:1/a Verified false"]);
    }

    #[test]
    fn the_longest_prefix_counts_and_mirrors_come_first() {
        let settings = settings(
            r#"
            unqualified-search-registries = ["example.com"]
            [[registry]]
            location = "docker.io"
            [[registry.mirror]]
            location = "mirror.local:5000/hub"
            insecure = true
            [[registry.mirror]]
            location = "digests.local"
            pull-from-mirror = "digest-only"
            [[registry]]
            prefix = "docker.io/team"
            location = "team.example.com/x"
            [[registry]]
            prefix = "*.bad.example"
            blocked = true
            [[registry]]
            location = "plain.example:80"
            insecure = true
            "#,
        )
        .unwrap();
        assert_eq!(
            places(&settings, "docker.io", "library/a"),
            ["mirror.local:5000/hub/library/a Insecure true", "registry-1.docker.io/library/a Verified false"]
        );
        assert_eq!(places(&settings, "docker.io", "team/a"), ["team.example.com/x/a Verified false"]);
        assert_eq!(places(&settings, "docker.io", "teams/a").len(), 2);
        assert_eq!(places(&settings, "plain.example:80", "a"), ["plain.example:80/a Insecure false"]);
        assert_eq!(settings.places("docker.io", "a/b", true).unwrap().len(), 3);
        assert!(settings.places("x.bad.example", "a", false).is_err());
    }

    #[test]
    fn files_that_cannot_be_understood_are_refused() {
        for text in [
            "[[registry]]\n",
            "[[registry]]\nlocation = 5",
            "[[registry]]\nlocation = \"https://a\"",
            "[[registry]]\nlocation = \"a\"\nblocked = \"no\"",
            "[registries.search]\nregistries = []",
            "x",
        ] {
            assert!(settings(text).is_err(), "{text}");
        }
    }
}

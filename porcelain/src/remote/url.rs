//! Where a remote is: the kinds of addresses, told apart by how they begin.

use std::fmt;
use std::path::PathBuf;

use plumbing::tracking::is_host;

use crate::{Error, Result};

/// An address of a remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Url {
    /// Another store on this machine.
    Store(PathBuf),
    /// Another store on another machine.
    Ssh(Ssh),
    /// A registry.
    Registry(Registry),
    /// A folder in the form of an OCI image layout.
    OciLayout(PathBuf),
    /// An OCI image layout in a tar archive.
    OciArchive(PathBuf),
    /// An archive as `docker save` writes it.
    DockerArchive(PathBuf),
}

/// A store that is reached by ssh(1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ssh {
    /// `[USER@]HOST`.
    pub host: String,
    /// The port, where it isn't ssh's own choice.
    pub port: Option<u16>,
    /// The store's folder, relative to the user's home where it isn't absolute; the store of that user without.
    pub path: Option<String>,
}

/// A registry, and what its repositories begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registry {
    /// Whether it must be spoken to in plain HTTP; `None` where that follows from the host.
    pub plain: Option<bool>,
    /// Host and port.
    pub host: String,
    /// What comes before a repository's name, without `/` at its end; may be empty.
    pub prefix: String,
}

impl Url {
    /// Read an address.
    pub fn parse(text: &str) -> Result<Self> {
        let invalid = |why: &str| Error::invalid("address of a remote", text, why);
        if text.is_empty() || text.chars().any(char::is_control) {
            return Err(invalid("it is empty or has control characters"));
        }
        let path = |path: &str| if path.is_empty() { Err(invalid("it has no path")) } else { Ok(PathBuf::from(path)) };
        let registry = |plain, rest: &str| {
            let (host, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            Registry::new(plain, host, prefix.trim_end_matches('/')).map(Url::Registry).ok_or_else(|| invalid(REGISTRY))
        };
        match text.split_once("://") {
            Some(("https", rest)) => return registry(Some(false), rest),
            Some(("http", rest)) => return registry(Some(true), rest),
            Some(("oci", rest)) => return registry(None, rest),
            Some(("ssh", rest)) => return Ssh::parse(rest).map(Url::Ssh).ok_or_else(|| invalid(SSH)),
            Some(("file", rest)) => return path(rest).map(Url::Store),
            Some((scheme, _)) if !scheme.contains(['/', ':']) => return Err(invalid(KINDS)),
            _ => {}
        }
        match text.split_once(':') {
            Some(("oci", rest)) => path(rest).map(Url::OciLayout),
            Some(("oci-archive", rest)) => path(rest).map(Url::OciArchive),
            Some(("docker-archive", rest)) => path(rest).map(Url::DockerArchive),
            // git takes it for a host and a path; it could be a registry as well.
            Some((before, _)) if !before.contains('/') => Err(invalid(KINDS)),
            _ => path(text).map(Url::Store),
        }
    }

    /// The same, whatever the current folder.
    pub fn absolute(self) -> Result<Self> {
        let whole = |path: PathBuf| std::path::absolute(&path).map_err(|error| Error::io("resolve", path, error));
        Ok(match self {
            Url::Store(path) => Url::Store(whole(path)?),
            Url::OciLayout(path) => Url::OciLayout(whole(path)?),
            Url::OciArchive(path) => Url::OciArchive(whole(path)?),
            Url::DockerArchive(path) => Url::DockerArchive(whole(path)?),
            url => url,
        })
    }

    /// Whether it leads to another store of rd's.
    pub fn is_store(&self) -> bool {
        matches!(self, Url::Store(_) | Url::Ssh(_))
    }
}

const KINDS: &str = "write a path, file://, ssh://HOST/PATH, https://HOST/PREFIX, oci://HOST/PREFIX, oci:DIR, \
                     oci-archive:FILE or docker-archive:FILE";
const REGISTRY: &str = "a registry is HOST[:PORT][/PREFIX], the prefix in lower case";
const SSH: &str = "it is ssh://[USER@]HOST[:PORT][/PATH]";

impl Ssh {
    fn parse(rest: &str) -> Option<Self> {
        let (host, path) = rest.split_once('/').map_or((rest, None), |(host, path)| (host, Some(path)));
        let (name, port) = match host.rsplit_once(':') {
            // Colons inside of brackets are an address's own.
            Some((name, port)) if !port.contains(']') => (name, Some(port.parse().ok()?)),
            _ => (host, None),
        };
        let (user, machine) = name.split_once('@').map_or((None, name), |(user, machine)| (Some(user), machine));
        // ssh would take what begins with a dash for an option.
        let is_word = |text: &str| {
            let known = |c: char| c.is_ascii_alphanumeric() || "._-[]:%".contains(c);
            !text.is_empty() && !text.starts_with('-') && text.chars().all(known)
        };
        if !is_word(machine) || user.is_some_and(|user| !is_word(user)) {
            return None;
        }
        let path = path.filter(|path| !path.is_empty()).map(|path| match path.strip_prefix("~/") {
            Some(below_home) => below_home.to_owned(),
            None => format!("/{path}"),
        });
        Some(Self { host: name.to_owned(), port, path })
    }
}

impl Registry {
    fn new(plain: Option<bool>, host: &str, prefix: &str) -> Option<Self> {
        let name = if prefix.is_empty() { format!("{host}/x") } else { format!("{host}/{prefix}/x") };
        let is_registry = (is_host(host) || plain.is_some()) && plumbing::ImageName::parse(&with_host(&name)).is_ok();
        is_registry.then(|| Self { plain, host: host.to_owned(), prefix: prefix.to_owned() })
    }
}

/// A host without a point or a port is one all the same where it stands in an address.
fn with_host(name: &str) -> String {
    match name.split_once('/') {
        Some((host, rest)) if !is_host(host) => format!("{host}:80/{rest}"),
        _ => name.to_owned(),
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Url::Store(path) => path.display().fmt(f),
            Url::Ssh(ssh) => {
                write!(f, "ssh://{}", ssh.host)?;
                ssh.port.iter().try_for_each(|port| write!(f, ":{port}"))?;
                match &ssh.path {
                    Some(path) if path.starts_with('/') => f.write_str(path),
                    Some(path) => write!(f, "/~/{path}"),
                    None => Ok(()),
                }
            }
            Url::Registry(registry) => {
                let scheme = match registry.plain {
                    Some(true) => "http",
                    Some(false) => "https",
                    None => "oci",
                };
                write!(f, "{scheme}://{}", registry.host)?;
                if registry.prefix.is_empty() { Ok(()) } else { write!(f, "/{}", registry.prefix) }
            }
            Url::OciLayout(path) => write!(f, "oci:{}", path.display()),
            Url::OciArchive(path) => write!(f, "oci-archive:{}", path.display()),
            Url::DockerArchive(path) => write!(f, "docker-archive:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written() {
        for (text, kind) in [
            ("/var/lib/rd", "Store"),
            ("./here", "Store"),
            ("ssh://host", "Ssh"),
            ("ssh://me@host:22/srv/rd", "Ssh"),
            ("ssh://[::1]:2222/srv/rd", "Ssh"),
            ("ssh://host/~/rd", "Ssh"),
            ("https://registry.example/team", "Registry"),
            ("http://localhost:5000", "Registry"),
            ("https://registry/a", "Registry"),
            ("oci://quay.io/a/b", "Registry"),
            ("oci:/tmp/layout", "OciLayout"),
            ("oci-archive:/tmp/x.tar", "OciArchive"),
            ("docker-archive:/tmp/x.tar", "DockerArchive"),
        ] {
            let url = Url::parse(text).unwrap();
            assert!(format!("{url:?}").starts_with(kind), "{text}: {url:?}");
            assert_eq!(url.to_string(), text);
        }
        assert_eq!(Url::parse("file:///srv/rd").unwrap(), Url::Store("/srv/rd".into()));
        assert_eq!(Url::parse("https://h.example/").unwrap().to_string(), "https://h.example");
        let Url::Ssh(ssh) = Url::parse("ssh://[::1]:2222/").unwrap() else { panic!() };
        assert_eq!((ssh.host.as_str(), ssh.port, ssh.path), ("[::1]", Some(2222), None));
    }

    #[test]
    fn other_addresses_are_refused() {
        for text in [
            "",
            "ftp://host/x",
            "host:path",
            "ssh://",
            "ssh://-oProxyCommand=x/y",
            "ssh://-l@host/y",
            "ssh://host:x/y",
            "ssh://a b/y",
            "https://",
            "https://host/UPPER",
            "oci://x/y",
            "oci:",
            "file://",
            "a\nb",
        ] {
            assert!(Url::parse(text).is_err(), "{text}");
        }
    }
}

//! What a container was created with: everything needed to create it again from its commit, and nothing of this host.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// A container's id: 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Id(String);

impl Id {
    /// A new random id.
    pub fn random() -> Result<Self> {
        let mut bytes = [0; 32];
        random_bytes(&mut bytes)?;
        Ok(Id(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
    }

    /// All 64 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first twelve digits, which is what people see.
    pub fn short(&self) -> &str {
        &self.0[..12]
    }
}

/// Fills `bytes` from the kernel's random number generator.
pub(crate) fn random_bytes(bytes: &mut [u8]) -> Result<()> {
    use rustix::rand::{GetRandomFlags, getrandom};
    match getrandom(&mut *bytes, GetRandomFlags::empty()) {
        Ok(length) if length == bytes.len() => Ok(()),
        Ok(_) => Err(Error::io("read", "/dev/urandom", rustix::io::Errno::AGAIN)),
        Err(error) => Err(Error::io("read", "/dev/urandom", error)),
    }
}

impl TryFrom<String> for Id {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        if text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Ok(Id(text));
        }
        Err(Error::invalid("container id", text, "it has 64 hexadecimal digits"))
    }
}

impl From<Id> for String {
    fn from(id: Id) -> String {
        id.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A container's create-time configuration. Its JSON is the `container` blob of the container's commits, so the order of
/// its fields is part of the format: add new ones at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The container's id.
    pub id: Id,
    /// Its name.
    pub name: String,
    /// When it was created.
    pub created: jiff::Timestamp,
    /// The image as it was named.
    pub image: String,
    /// The commit that the container started from.
    pub base: String,
    /// `--entrypoint`: `None` leaves the image's; an empty list stands for no entrypoint at all.
    pub entrypoint: Option<Vec<String>>,
    /// The command and its arguments; empty for the image's.
    pub cmd: Vec<String>,
    /// `NAME=value` lines that override the image's.
    pub env: Vec<String>,
    /// `-w`.
    pub working_dir: Option<String>,
    /// `-u`: user name or id, with `:group` or without.
    pub user: Option<String>,
    /// `-t`.
    pub tty: bool,
    /// `-i`.
    pub open_stdin: bool,
    /// `-h`; `None` for the short id, or the host's name with the host's network.
    pub hostname: Option<String>,
    /// `-v`.
    pub binds: Vec<Bind>,
    /// `--tmpfs`.
    pub tmpfs: Vec<Tmpfs>,
    /// `--network`.
    pub network: Network,
    /// `--cap-add`, as `CAP_NAME` or `ALL`.
    pub cap_add: Vec<String>,
    /// `--cap-drop`, as `CAP_NAME` or `ALL`.
    pub cap_drop: Vec<String>,
    /// `--privileged`.
    pub privileged: bool,
    /// `--read-only`.
    pub read_only: bool,
    /// `-l`.
    pub labels: BTreeMap<String, String>,
    /// `--rm`.
    pub auto_remove: bool,
    /// The signal that asks the container to end, if not the image's.
    pub stop_signal: Option<String>,
}

impl Config {
    /// A configuration in which nothing is asked for but an image.
    pub fn new(id: Id, name: impl Into<String>, image: impl Into<String>, base: impl Into<String>) -> Self {
        Config {
            id,
            name: name.into(),
            created: jiff::Timestamp::now(),
            image: image.into(),
            base: base.into(),
            entrypoint: None,
            cmd: Vec::new(),
            env: Vec::new(),
            working_dir: None,
            user: None,
            tty: false,
            open_stdin: false,
            hostname: None,
            binds: Vec::new(),
            tmpfs: Vec::new(),
            network: Network::None,
            cap_add: Vec::new(),
            cap_drop: Vec::new(),
            privileged: false,
            read_only: false,
            labels: BTreeMap::new(),
            auto_remove: false,
            stop_signal: None,
        }
    }
}

/// Which network a container sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    /// Loopback only.
    #[default]
    None,
    /// The host's.
    Host,
}

impl FromStr for Network {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "none" => Ok(Network::None),
            "host" => Ok(Network::Host),
            "bridge" | "default" => {
                Err(Error::Unsupported(format!("network '{text}' doesn't exist yet: there are 'none' and 'host'")))
            }
            _ => Err(Error::NotFound { what: "network", name: text.escape_debug().to_string() }),
        }
    }
}

/// `-v HOST:CONTAINER[:OPTIONS]`: a file or folder of the host inside the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Bind {
    /// Absolute path on the host.
    pub source: PathBuf,
    /// Absolute path in the container.
    pub destination: PathBuf,
    /// Options other than the defaults, in the order given: `ro`, `rw`, `rslave`, `z` …
    pub options: Vec<String>,
}

/// The options of `-v` that mean something here; `z` and `Z` relabel for SELinux, which does nothing where it is off.
const BIND_OPTIONS: &[&str] =
    &["ro", "rw", "rprivate", "private", "rslave", "slave", "z", "Z", "nocopy", "bind", "rbind"];

impl FromStr for Bind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let invalid = |why: &str| Error::invalid("volume", text, why);
        let mut parts = text.split(':');
        let (source, destination) = (parts.next().unwrap_or_default(), parts.next());
        let Some(destination) = destination else {
            return Err(invalid("give it as HOST:CONTAINER: anonymous volumes don't exist yet"));
        };
        let options: Vec<String> =
            parts.next().map_or_else(Vec::new, |list| list.split(',').map(str::to_owned).collect());
        if parts.next().is_some() {
            return Err(invalid("it has more than three parts"));
        }
        if !source.starts_with('/') {
            return Err(invalid("its source has to be an absolute path: named volumes don't exist yet"));
        }
        if !destination.starts_with('/') || normalized(destination) == Path::new("/") {
            return Err(invalid("its destination has to be an absolute path other than '/'"));
        }
        if text.contains('\0') {
            return Err(invalid("it holds a NUL byte"));
        }
        if let Some(option) = options.iter().find(|option| matches!(option.as_str(), "shared" | "rshared")) {
            return Err(invalid(&format!("'{option}' isn't possible: rd leaves no mount on the host; use 'rslave'")));
        }
        if let Some(option) = options.iter().find(|option| !BIND_OPTIONS.contains(&option.as_str())) {
            return Err(invalid(&format!("unknown option '{option}'")));
        }
        if options.iter().any(|o| o == "ro") && options.iter().any(|o| o == "rw") {
            return Err(invalid("'ro' and 'rw' exclude each other"));
        }
        Ok(Bind { source: normalized(source), destination: normalized(destination), options })
    }
}

impl Bind {
    /// True where the container may only read.
    pub fn read_only(&self) -> bool {
        self.options.iter().any(|option| option == "ro")
    }
}

impl TryFrom<String> for Bind {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Bind> for String {
    fn from(bind: Bind) -> String {
        let mut text = format!("{}:{}", bind.source.display(), bind.destination.display());
        if !bind.options.is_empty() {
            text.push(':');
            text.push_str(&bind.options.join(","));
        }
        text
    }
}

/// `--tmpfs PATH[:OPTIONS]`: memory in place of a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Tmpfs {
    /// Absolute path in the container.
    pub destination: PathBuf,
    /// Options of mount(8) in addition to docker's `noexec,nosuid,nodev`.
    pub options: Vec<String>,
}

/// The options of `--tmpfs` that are a word; those with a value are listed in [`TMPFS_SETTINGS`].
const TMPFS_FLAGS: &[&str] = &[
    "defaults",
    "ro",
    "rw",
    "suid",
    "nosuid",
    "dev",
    "nodev",
    "exec",
    "noexec",
    "sync",
    "async",
    "dirsync",
    "atime",
    "noatime",
    "diratime",
    "nodiratime",
    "relatime",
    "norelatime",
    "strictatime",
    "nostrictatime",
    "mand",
    "nomand",
];
const TMPFS_SETTINGS: &[&str] = &["size", "mode", "uid", "gid", "nr_inodes", "nr_blocks", "mpol"];

impl FromStr for Tmpfs {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let invalid = |why: &str| Error::invalid("tmpfs", text, why);
        let (destination, options) = text.split_once(':').unwrap_or((text, ""));
        if !destination.starts_with('/') || normalized(destination) == Path::new("/") {
            return Err(invalid("it has to be an absolute path other than '/'"));
        }
        if text.contains('\0') {
            return Err(invalid("it holds a NUL byte"));
        }
        let options: Vec<String> = options.split(',').filter(|option| !option.is_empty()).map(str::to_owned).collect();
        for option in &options {
            let known = match option.split_once('=') {
                Some((name, _)) => TMPFS_SETTINGS.contains(&name),
                None => TMPFS_FLAGS.contains(&option.as_str()),
            };
            if !known {
                return Err(invalid(&format!("unknown option '{option}'")));
            }
        }
        Ok(Tmpfs { destination: normalized(destination), options })
    }
}

impl TryFrom<String> for Tmpfs {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Tmpfs> for String {
    fn from(tmpfs: Tmpfs) -> String {
        let mut text = tmpfs.destination.display().to_string();
        if !tmpfs.options.is_empty() {
            text.push(':');
            text.push_str(&tmpfs.options.join(","));
        }
        text
    }
}

/// `path` with `.`, `..` and repeated slashes taken out by their spelling alone; `..` stops at the root.
pub(crate) fn normalized(path: impl AsRef<Path>) -> PathBuf {
    use std::path::Component;
    let mut clean = PathBuf::from("/");
    for component in path.as_ref().components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => {
                clean.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binds_are_read_as_docker_does() {
        let bind: Bind = "/a//b/../c:/d/:ro,z".parse().unwrap();
        assert_eq!((bind.source.as_path(), bind.destination.as_path()), (Path::new("/a/c"), Path::new("/d")));
        assert!(bind.read_only());
        assert_eq!(String::from(bind), "/a/c:/d:ro,z");
        for (bad, why) in [
            ("/a", "anonymous"),
            ("data:/d", "named volumes"),
            ("./a:/d", "named volumes"),
            ("/a:d", "absolute"),
            ("/a:/", "absolute"),
            ("/a:/b/..", "absolute"),
            ("/a:/d:ro:x", "three"),
            ("/a:/d:rshared", "rslave"),
            ("/a:/d:suid", "unknown option"),
            ("/a:/d:ro,rw", "exclude"),
            ("/a:/d\0", "NUL"),
        ] {
            let error = bad.parse::<Bind>().unwrap_err().to_string();
            assert!(error.contains(why), "{bad:?}: {error}");
        }
    }

    #[test]
    fn tmpfs_options_are_checked() {
        let tmpfs: Tmpfs = "/run:size=64m,exec".parse().unwrap();
        assert_eq!(tmpfs.options, ["size=64m", "exec"]);
        assert_eq!(String::from(tmpfs), "/run:size=64m,exec");
        assert_eq!(String::from("/run".parse::<Tmpfs>().unwrap()), "/run");
        for bad in ["run", "/", "/x:huge=always,foo=1", "/x:bind", "/x:remount"] {
            assert!(bad.parse::<Tmpfs>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_json_of_a_configuration_keeps_its_fields_and_their_order() {
        let id = Id::try_from("0123456789abcdef".repeat(4)).unwrap();
        let mut config = Config::new(id, "web", "debian:12", "c0ffee");
        config.created = "2024-05-06T07:08:09.5Z".parse().unwrap();
        config.binds.push("/a:/b:ro".parse().unwrap());
        config.labels.insert("k".into(), "v".into());
        let json = serde_json::to_string(&config).unwrap();
        assert_eq!(
            json,
            concat!(
                r#"{"id":"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef","name":"web","#,
                r#""created":"2024-05-06T07:08:09.5Z","image":"debian:12","base":"c0ffee","entrypoint":null,"cmd":[],"#,
                r#""env":[],"working_dir":null,"user":null,"tty":false,"open_stdin":false,"hostname":null,"#,
                r#""binds":["/a:/b:ro"],"tmpfs":[],"network":"none","cap_add":[],"cap_drop":[],"privileged":false,"#,
                r#""read_only":false,"labels":{"k":"v"},"auto_remove":false,"stop_signal":null}"#
            )
        );
        assert_eq!(serde_json::from_str::<Config>(&json).unwrap(), config);
    }

    #[test]
    fn ids_are_64_hexadecimal_digits() {
        let id = Id::random().unwrap();
        assert_eq!(id.short().len(), 12);
        assert_eq!(Id::try_from(id.to_string()).unwrap(), id);
        for bad in ["", "abc", &"g".repeat(64), &"A".repeat(64), &"ä".repeat(32)] {
            assert!(Id::try_from(bad.to_owned()).is_err());
        }
    }
}

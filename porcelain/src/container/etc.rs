//! `/etc/hosts`, `/etc/hostname` and `/etc/resolv.conf` of a container: files in its folder, bound into its root.

use std::fs;
use std::io::Read;

use super::config::{Config, Network};
use super::folder::Folder;
use crate::{IoResultExt, Result};

/// The most that is taken over of a file of the host.
const LIMIT: u64 = 1 << 20;

const HOSTS: &str = "\
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::\tip6-localnet
ff00::\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
";

/// Writes the three files; what the container wrote into them at its last run is replaced, as in docker.
pub(super) fn write(config: &Config, folder: &Folder, hostname: &str) -> Result<()> {
    let hosts = match config.network {
        Network::Host => host_file("/etc/hosts"),
        Network::None => HOSTS.into(),
    };
    for (name, text) in [
        ("hosts", hosts),
        ("hostname", format!("{hostname}\n").into_bytes()),
        ("resolv.conf", host_file("/etc/resolv.conf")),
    ] {
        // Written in place: the file's mode and owner are the container's to change.
        fs::write(folder.etc(name), text).on("write", folder.etc(name))?;
    }
    Ok(())
}

/// A file of the host, empty where it has none: not having one is no reason not to run.
fn host_file(path: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Ok(file) = fs::File::open(path) {
        let _ = file.take(LIMIT).read_to_end(&mut bytes);
    }
    bytes
}

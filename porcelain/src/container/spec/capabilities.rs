//! Which capabilities a container has.

use std::collections::HashSet;
use std::str::FromStr;

use oci_spec::runtime::{Capability, LinuxCapabilities, LinuxCapabilitiesBuilder};

use super::super::config::Config;
use super::super::host::Host;
use super::super::user::User;
use super::unbuildable;
use crate::{Error, Result};

/// What docker gives a container that asks for nothing.
const DEFAULT: [Capability; 14] = [
    Capability::Chown,
    Capability::DacOverride,
    Capability::Fsetid,
    Capability::Fowner,
    Capability::Mknod,
    Capability::NetRaw,
    Capability::Setgid,
    Capability::Setuid,
    Capability::Setfcap,
    Capability::Setpcap,
    Capability::NetBindService,
    Capability::SysChroot,
    Capability::Kill,
    Capability::AuditWrite,
];

/// Reads `NET_ADMIN`, `cap_net_admin` or `ALL`, in any case, into the spelling that configurations keep.
pub fn parse(spelling: &str) -> Result<String> {
    let upper = spelling.to_ascii_uppercase();
    let name = upper.strip_prefix("CAP_").unwrap_or(&upper);
    if name == "ALL" {
        return Ok("ALL".into());
    }
    match Capability::from_str(name) {
        Ok(_) => Ok(format!("CAP_{name}")),
        Err(_) => Err(Error::invalid("capability", spelling, "there is none of this name")),
    }
}

fn named(name: &str) -> Result<Capability> {
    let plain = name.strip_prefix("CAP_").unwrap_or(name);
    Capability::from_str(plain).map_err(|_| Error::invalid("capability", name, "there is none of this name"))
}

/// The capabilities that a container is granted.
///
/// What was asked for by name and isn't there to give is an error; of the defaults and of `ALL` it is left out.
pub(super) fn granted(config: &Config, host: &Host) -> Result<Vec<Capability>> {
    let all = |names: &[String]| names.iter().any(|name| name == "ALL");
    let mut wanted: Vec<Capability> = match () {
        () if config.privileged || all(&config.cap_add) => host.capabilities.clone(),
        () if all(&config.cap_drop) => Vec::new(),
        () => DEFAULT.into_iter().filter(|capability| host.capabilities.contains(capability)).collect(),
    };
    let dropped = config.cap_drop.iter().filter(|name| *name != "ALL").map(|name| named(name));
    let dropped = dropped.collect::<Result<HashSet<_>>>()?;
    if !config.privileged {
        wanted.retain(|capability| !dropped.contains(capability));
    }
    for name in config.cap_add.iter().filter(|name| *name != "ALL") {
        let capability = named(name)?;
        if !host.capabilities.contains(&capability) {
            return Err(Error::Unsupported(format!("can't add {name}: this host doesn't let rd have it")));
        }
        if !wanted.contains(&capability) {
            wanted.push(capability);
        }
    }
    Ok(wanted)
}

/// The sets of a process: a user other than root gets them in the bounding set only.
pub(super) fn sets(config: &Config, host: &Host, user: &User, notes: &mut Vec<String>) -> Result<LinuxCapabilities> {
    let granted: HashSet<Capability> = granted(config, host)?.into_iter().collect();
    let lacking = DEFAULT.iter().filter(|capability| !host.capabilities.contains(capability));
    notes.extend(
        lacking.map(|capability| format!("the container lacks CAP_{capability}: this host doesn't let rd have it")),
    );
    let own = if user.uid == 0 { granted.clone() } else { HashSet::new() };
    LinuxCapabilitiesBuilder::default()
        .bounding(granted)
        .effective(own.clone())
        .permitted(own)
        .inheritable(HashSet::new())
        .ambient(HashSet::new())
        .build()
        .map_err(unbuildable)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{config, host};
    use super::*;

    fn names(add: &[&str], drop: &[&str]) -> Vec<String> {
        let mut config = config();
        config.cap_add = add.iter().map(|name| parse(name).unwrap()).collect();
        config.cap_drop = drop.iter().map(|name| parse(name).unwrap()).collect();
        let mut names: Vec<String> = granted(&config, &host()).unwrap().iter().map(ToString::to_string).collect();
        names.sort();
        names
    }

    #[test]
    fn capabilities_are_added_and_dropped_as_in_docker() {
        assert_eq!(names(&[], &[]).len(), 14);
        assert_eq!(names(&["net_admin"], &["ALL"]), ["NET_ADMIN"]);
        assert!(names(&[], &["CAP_CHOWN", "mknod"]).iter().all(|name| name != "CHOWN" && name != "MKNOD"));
        assert_eq!(names(&["ALL"], &[]).len(), host().capabilities.len());
        assert!(!names(&["ALL"], &["SYS_ADMIN"]).contains(&"SYS_ADMIN".to_owned()));
        assert!(parse("CAP_FLY").is_err());
    }

    #[test]
    fn what_the_host_lacks_is_dropped_silently_and_refused_by_name() {
        let mut poor = host();
        poor.capabilities.retain(|capability| *capability != Capability::Mknod);
        let mut config = config();
        assert_eq!(granted(&config, &poor).unwrap().len(), 13);
        config.cap_add = vec!["CAP_MKNOD".into()];
        assert!(granted(&config, &poor).is_err());
    }
}

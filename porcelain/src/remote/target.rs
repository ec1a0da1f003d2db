//! What a user's word for an image at a remote means: `origin/app:1`, `debian`, `quay.io/a/b:2`.

use plumbing::{ImageName, Store, Tracking};

use super::config::{self, Remote};
use super::url::{Registry, Url};
use crate::Result;

/// An image at a remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The remote that was configured; `None` for the registry that the name itself names.
    pub remote: Option<Remote>,
    /// The name by which is remembered what the remote has.
    pub tracking: Tracking,
    /// What the image is called here.
    pub local: ImageName,
    /// What the remote calls it: at a registry with its host.
    pub name: ImageName,
}

impl Target {
    /// Read `[REMOTE/]NAME[:TAG]`: where the first part is a remote's name, the rest is the image's there; else the name's own
    /// registry is the remote.
    pub fn parse(store: &Store, spelling: &str) -> Result<Self> {
        if let Some((first, _)) = spelling.split_once('/')
            && let Some(remote) = config::find(store, first)?
        {
            return Self::at(remote, Tracking::parse(spelling)?);
        }
        let name = ImageName::parse(spelling)?;
        let tracking = Tracking::new(name.registry(), name.repository(), name.tag())?;
        Ok(Self { remote: None, tracking, local: name.clone(), name })
    }

    /// The image `tracking` of a remote that is configured.
    pub fn at(remote: Remote, tracking: Tracking) -> Result<Self> {
        let local = tracking.image()?;
        let name = match &remote.url {
            Url::Registry(registry) => name_at(registry, &tracking)?,
            _ => local.clone(),
        };
        Ok(Self { remote: Some(remote), tracking, local, name })
    }

    /// The image that another store, whose own name for it is `name`, has for us.
    pub fn of_store(remote: &Remote, name: &ImageName) -> Result<Self> {
        let tracking = Tracking::new(&remote.name, &name.familiar_repository(), name.tag())?;
        Self::at(remote.clone(), tracking)
    }
}

fn name_at(registry: &Registry, tracking: &Tracking) -> Result<ImageName> {
    let prefix = if registry.prefix.is_empty() { String::new() } else { format!("{}/", registry.prefix) };
    let host = if plumbing::tracking::is_host(&registry.host) { "" } else { ":443" };
    let path = format!("{prefix}{}:{}", tracking.repository(), tracking.tag());
    Ok(ImageName::parse(&format!("{}{host}/{path}", registry.host))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_part_names_a_remote_that_is_configured() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::create(dir.path().join("store")).unwrap();
        for (name, url) in [("origin", "/srv/rd"), ("hub", "oci://quay.io/team")] {
            let remote = Remote { name: name.into(), url: Url::parse(url).unwrap(), program: None };
            config::add(&store, &remote).unwrap();
        }
        let store = Store::open(store.dir()).unwrap();
        for (spelling, remote, tracking, local, name) in [
            ("debian", None, "docker.io/library/debian:latest", "debian:latest", "debian:latest"),
            ("quay.io/a/b:2", None, "quay.io/a/b:2", "quay.io/a/b:2", "quay.io/a/b:2"),
            ("other/app", None, "docker.io/other/app:latest", "other/app:latest", "other/app:latest"),
            ("origin/app:1", Some("origin"), "origin/app:1", "app:1", "app:1"),
            ("origin/quay.io/a:1", Some("origin"), "origin/quay.io/a:1", "quay.io/a:1", "quay.io/a:1"),
            ("hub/app", Some("hub"), "hub/app:latest", "app:latest", "quay.io/team/app:latest"),
        ] {
            let target = Target::parse(&store, spelling).unwrap();
            assert_eq!(target.remote.as_ref().map(|remote| remote.name.as_str()), remote, "{spelling}");
            assert_eq!(target.tracking.to_string(), tracking);
            assert_eq!(target.local.to_string(), local);
            assert_eq!(target.name.to_string(), name);
        }
        assert!(Target::parse(&store, "origin/").is_err());
    }
}

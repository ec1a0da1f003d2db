//! What commands about registries have in common: their flags, and pulls.

use std::path::PathBuf;
use std::sync::Arc;

use plumbing::archive::Platform;
use plumbing::store::refs::Expect;
use plumbing::{Id, ImageName, Store};
use porcelain::registry::{self, Listener, Patience, Reference, Remote, Settings};

use crate::report::Failure;

/// How registries are spoken to.
#[derive(clap::Args)]
pub struct Access {
    /// Check certificates, and use https alone; `false` takes any certificate, and plain http [default: true, but for this
    /// machine itself and what registries.conf calls insecure]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    tls_verify: Option<bool>,
    /// A folder of certificates: *.crt are whom to believe, *.cert with *.key who we are [default:
    /// /etc/containers/certs.d/HOST and /etc/docker/certs.d/HOST]
    #[arg(long, value_name = "DIR")]
    cert_dir: Option<PathBuf>,
}

impl Access {
    /// What is known of registries.
    pub fn settings(&self) -> Result<Settings, Failure> {
        Ok(Settings::read()?.with_verify(self.tls_verify).with_certificates(self.cert_dir.clone()))
    }

    /// The repository of `reference`.
    pub fn open(&self, reference: &Reference) -> Result<Arc<Remote>, Failure> {
        Ok(Arc::new(Remote::open(reference, &self.settings()?, Patience::default())?))
    }
}

/// An image that was pulled and has its name.
pub struct Pulled {
    /// The name.
    pub name: ImageName,
    /// The digest of what the registry has by that name.
    pub digest: plumbing::digest::Digest,
    /// The digest of the image's own manifest.
    pub manifest: plumbing::digest::Digest,
    /// Whether the name was there with this very commit.
    pub is_same: bool,
}

/// Pull the image that `reference` names at `remote`, and name it.
pub fn pull(
    store: &Store,
    remote: &Arc<Remote>,
    reference: &Reference,
    platform: Option<&Platform>,
    listener: &Listener,
) -> Result<Pulled, Failure> {
    let manifest = remote.manifest(&reference.target())?;
    let _hold = store.hold()?;
    let pulled = registry::pull(store, remote, manifest, platform, listener)?;
    let name = reference.local_name()?;
    let is_same = name_it(store, &name, pulled.commit, reference)?;
    Ok(Pulled { name, digest: pulled.digest, manifest: pulled.manifest, is_same })
}

fn name_it(store: &Store, name: &ImageName, commit: Id, reference: &Reference) -> Result<bool, Failure> {
    let before = store.get_ref(&name.to_ref())?;
    if before == Some(commit) {
        return Ok(true);
    }
    store.update_ref(&name.to_ref(), commit, Expect::Any, &format!("pull: {reference}"))?;
    Ok(false)
}

/// The registry that a user names, with or without a scheme and a path; docker.io without one.
pub fn registry_of(server: Option<&str>) -> Result<String, Failure> {
    let Some(server) = server else { return Ok("docker.io".into()) };
    let bare = server.strip_prefix("https://").or(server.strip_prefix("http://")).unwrap_or(server);
    let host = bare.split('/').next().unwrap_or_default();
    if matches!(host, "index.docker.io" | "registry-1.docker.io") {
        return Ok("docker.io".into());
    }
    let found = Reference::parse(&format!("{host}/x")).ok().filter(|reference| reference.registry() == host);
    let invalid = || Failure::new(format!("invalid registry '{}'", server.escape_debug()));
    found
        .map(|_| host.to_owned())
        .ok_or_else(|| invalid().hint("it is a host with an optional port: quay.io, localhost:5000"))
}

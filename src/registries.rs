//! What commands about registries have in common: their flags, what names mean, and pulls.

use std::path::PathBuf;
use std::sync::Arc;

use plumbing::archive::Platform;
use plumbing::digest::Digest;
use plumbing::store::refs::Expect;
use plumbing::{Id, ImageName, Store, Tracking};
use porcelain::registry::{self, Listener, Patience, Reference, Remote, Settings};
use porcelain::remote::rules::Pull;
use porcelain::remote::store::{Fetched, follow, pull as pull_from_store};
use porcelain::remote::{Target, Url, track};

use crate::report::Failure;

/// How registries are spoken to.
#[derive(Default, clap::Args)]
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

    /// The repository of an image.
    pub fn open(&self, wanted: &Wanted) -> Result<Arc<Remote>, Failure> {
        let mut settings = self.settings()?;
        if let Some(Url::Registry(at)) = wanted.url()
            && at.plain == Some(true)
        {
            settings = settings.with_verify(Some(false));
        }
        Ok(Arc::new(Remote::open(&wanted.reference, &settings, Patience::default())?))
    }
}

/// An image as the command line names it.
pub struct Wanted {
    /// Where it is, where it is at a registry.
    pub reference: Reference,
    /// What it is called here and there; what a digest names has no such names.
    pub target: Option<Target>,
}

impl Wanted {
    /// Read `[REMOTE/]NAME[:TAG|@DIGEST]`.
    pub fn parse(store: &Store, spelling: &str) -> Result<Self, Failure> {
        if spelling.contains('@') {
            return Ok(Self { reference: Reference::parse(spelling)?, target: None });
        }
        Self::of(Target::parse(store, spelling)?)
    }

    /// An image by its names.
    pub fn of(target: Target) -> Result<Self, Failure> {
        let name = &target.name;
        let full = format!("{}/{}:{}", name.registry(), name.repository(), name.tag());
        Ok(Self { reference: Reference::parse(&full)?, target: Some(target) })
    }

    /// The same repository with another tag.
    pub fn with_tag(&self, tag: &str) -> Result<Self, Failure> {
        let target = match &self.target {
            Some(Target { remote: Some(remote), tracking, .. }) => {
                Target::at(remote.clone(), Tracking::new(tracking.remote(), tracking.repository(), tag)?)?
            }
            _ => {
                let (name, reference) =
                    (ImageName::parse(&self.reference.with_tag(tag)?.to_string())?, &self.reference);
                let tracking = Tracking::new(reference.registry(), reference.repository(), tag)?;
                Target { remote: None, tracking, local: name.clone(), name }
            }
        };
        Self::of(target)
    }

    /// The address of the remote that was configured.
    pub fn url(&self) -> Option<&Url> {
        self.target.as_ref()?.remote.as_ref().map(|remote| &remote.url)
    }

    /// What it is called here.
    pub fn local(&self) -> Result<ImageName, Failure> {
        match &self.target {
            Some(target) => Ok(target.local.clone()),
            None => Ok(self.reference.local_name()?),
        }
    }

    /// Whether it is at another store rather than at a registry. An error where it is at neither.
    pub fn is_at_store(&self) -> Result<bool, Failure> {
        match self.url() {
            None | Some(Url::Registry(_)) => Ok(false),
            Some(Url::Store(_) | Url::Ssh(_)) => Ok(true),
            Some(url) => {
                let failure = Failure::new(format!("'{url}' is neither a registry nor a store"));
                Err(failure.hint("`rd load` reads archives and layouts, `rd save` writes them"))
            }
        }
    }
}

/// How an image is pulled.
pub struct How<'a> {
    /// For which platform; `None` for this machine's.
    pub platform: Option<&'a Platform>,
    /// Move the local image even where that loses something of the user's.
    pub force: bool,
    /// Who hears how far it is.
    pub listener: Listener,
}

/// An image that was pulled.
pub struct Pulled {
    /// What it is called here.
    pub name: ImageName,
    /// The commit that the remote has.
    pub commit: Id,
    /// The digests of what the registry has by that name, and of the image's own manifest; another store has none.
    pub digests: Option<(Digest, Digest)>,
    /// What became of the local image.
    pub outcome: Pull,
}

/// Pull an image from another store.
pub fn pull_store(store: &Store, wanted: &Wanted, force: bool) -> Result<Pulled, Failure> {
    let target = wanted.target.as_ref().expect("because it is at a store that was configured");
    let pulled = pull_from_store(store, target, force, &mut |_| {})?;
    refuse_diverged(target, pulled.outcome)?;
    Ok(Pulled { name: target.local.clone(), commit: pulled.fetched.now, digests: None, outcome: pulled.outcome })
}

/// Pull an image from a registry, and let the local image follow.
pub fn pull(store: &Store, remote: &Arc<Remote>, wanted: &Wanted, how: &How<'_>) -> Result<Pulled, Failure> {
    let _hold = store.hold()?;
    let (pulled, now) = bring(store, remote, wanted, how)?;
    let name = wanted.local()?;
    let outcome = match &wanted.target {
        Some(target) => {
            let before = track(store, &target.tracking, now, "pull")?;
            let fetched = Fetched { target: target.clone(), before, now };
            let outcome = match follow(store, &fetched, how.force) {
                // Another pull of the same image was quicker.
                Err(porcelain::Error::Store(plumbing::Error::Raced { .. })) => follow(store, &fetched, how.force)?,
                outcome => outcome?,
            };
            refuse_diverged(target, outcome)?;
            outcome
        }
        None if store.get_ref(&name.to_ref())? == Some(now) => Pull::UpToDate,
        None => {
            store.update_ref(&name.to_ref(), now, Expect::Any, &format!("pull: {}", wanted.reference))?;
            Pull::New
        }
    };
    Ok(Pulled { name, commit: now, digests: Some((pulled.digest, pulled.manifest)), outcome })
}

/// Bring an image of a registry without giving it a name, and remember it. What was remembered before, and what is now.
pub fn fetch(store: &Store, remote: &Arc<Remote>, wanted: &Wanted, how: &How<'_>) -> Result<(Option<Id>, Id), Failure> {
    let _hold = store.hold()?;
    let (_, now) = bring(store, remote, wanted, how)?;
    let before = wanted.target.as_ref().map(|target| track(store, &target.tracking, now, "fetch")).transpose()?;
    Ok((before.flatten(), now))
}

/// Bring an image of a registry, with the commits it was made of where they are there. The caller holds off `rd gc`.
fn bring(
    store: &Store,
    remote: &Arc<Remote>,
    wanted: &Wanted,
    how: &How<'_>,
) -> Result<(registry::Pulled, Id), Failure> {
    let manifest = remote.manifest(&wanted.reference.target())?;
    let pulled = registry::pull(store, remote, manifest, how.platform, &how.listener)?;
    let now = match registry::pull_history(store, remote, &pulled) {
        Ok(commit) => commit.unwrap_or(pulled.commit),
        Err(error) => {
            eprintln!("warning: the image comes without the commits it was made of: {}", error.chain().join(": "));
            pulled.commit
        }
    };
    Ok((pulled, now))
}

fn refuse_diverged(target: &Target, outcome: Pull) -> Result<(), Failure> {
    if outcome != Pull::Diverged {
        return Ok(());
    }
    let (local, theirs) = (&target.local, &target.tracking);
    let failure = Failure::new(format!("not possible to fast-forward: '{local}' and '{theirs}' have diverged"));
    Err(failure.hint(format!("`rd log {local}...{theirs}` shows what each has alone; `rd pull -f` takes the remote's")))
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

//! A repository at its registry, and at the registry's mirrors: what there is, and what it is called.

use oci_spec::image::{Descriptor, MediaType};
use plumbing::archive::Source;
use plumbing::digest::Digest;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use ureq::http::{Method, StatusCode};

use super::credentials::{Credential, Credentials};
use super::host::{Ask, Host};
use super::http::{Patience, header};
use super::settings::Settings;
use super::{address, reference::Reference};
use crate::{Error, Result};

/// Longer manifests are refused; the specification asks registries to take 4 MiB.
const MANIFEST_LIMIT: u64 = 4 << 20;
/// A page of a list.
const LIST_LIMIT: u64 = 16 << 20;
/// Pages of a list that are read: one that never ends must end.
const PAGES: usize = 10_000;

/// What manifests rd asks for. The first schema is in it so that registries say that they have nothing better.
const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json, \
    application/vnd.docker.distribution.manifest.v1+prettyjws;q=0.1";

/// A manifest or index as a registry has it.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// Its exact bytes.
    pub bytes: Vec<u8>,
    /// Media type, digest and size.
    pub descriptor: Descriptor,
}

impl Manifest {
    /// A manifest of these bytes.
    pub fn new(bytes: Vec<u8>, media_type: &str) -> Self {
        let digest = Digest::of(&bytes).to_string();
        let digest: oci_spec::image::Digest = digest.parse().expect("because it is one");
        let descriptor = Descriptor::new(MediaType::from(media_type), bytes.len() as u64, digest);
        Self { bytes, descriptor }
    }

    /// Its digest.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.bytes)
    }
}

/// A repository.
pub struct Remote {
    reference: Reference,
    /// Mirrors first, the registry itself last.
    pub(super) places: Vec<At>,
}

/// A repository at one host.
pub(super) struct At {
    pub(super) host: Host,
    pub(super) path: String,
}

#[derive(Deserialize)]
struct Tags {
    tags: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Catalog {
    repositories: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Referrers {
    manifests: Vec<Descriptor>,
}

impl Remote {
    /// The repository of `reference`. No connection is made.
    pub fn open(reference: &Reference, settings: &Settings, patience: Patience) -> Result<Self> {
        let credentials = Credentials::read()?;
        let (registry, repository) = (reference.registry(), reference.repository());
        let mut places = Vec::new();
        for place in settings.places(registry, repository, reference.digest().is_some())? {
            let known_as = if place.is_mirror { place.host.as_str() } else { registry };
            let host = Host::new(known_as, &place, settings, credentials.get(known_as)?, patience)?;
            places.push(At { host, path: place.repository.clone() });
        }
        Ok(Self { reference: reference.clone(), places })
    }

    /// The API of the registry itself, as who `credential` is.
    pub fn login(registry: &str, settings: &Settings, credential: Credential) -> Result<Self> {
        let reference = Reference::parse(&format!("{registry}/x"))?;
        let places = settings.places(registry, "x", false)?;
        let place = places.last().expect("because the registry itself is among them");
        let host = Host::new(registry, place, settings, Some(credential), Patience::default())?;
        Ok(Self { reference, places: vec![At { host, path: "x".into() }] })
    }

    /// What was asked for.
    pub fn reference(&self) -> &Reference {
        &self.reference
    }

    /// The registry itself.
    pub(super) fn own(&self) -> &At {
        self.places.last().expect("because the registry itself is among them")
    }

    /// The manifest that a tag or digest names, from the first place that has it.
    pub fn manifest(&self, target: &str) -> Result<Manifest> {
        let mut failed = None;
        for at in &self.places {
            match at.manifest(target) {
                Ok(Some(manifest)) => return Ok(manifest),
                Ok(None) => {}
                Err(error) => failed = Some(error),
            }
        }
        Err(failed.unwrap_or_else(|| self.missing(target)))
    }

    /// As [`manifest`](Self::manifest), but `None` where the registry itself has none.
    pub fn find_manifest(&self, target: &str) -> Result<Option<Manifest>> {
        self.own().manifest(target)
    }

    fn missing(&self, target: &str) -> Error {
        let colon = if target.contains(':') { '@' } else { ':' };
        let repository = self.reference.with_tag("x").map_or_else(|_| String::new(), |name| name.to_string());
        let repository = repository.strip_suffix(":x").unwrap_or_default();
        Error::NotFound { what: "image at its registry", name: format!("{repository}{colon}{target}") }
    }

    /// All tags, sorted.
    pub fn tags(&self) -> Result<Vec<String>> {
        let at = self.own();
        let first = format!("/v2/{}/tags/list", at.path);
        let mut tags = Vec::new();
        let found = at.host.pages(&first, &at.scope("pull"), self.reference.repository(), &mut |page: Tags| {
            tags.extend(page.tags.unwrap_or_default());
        })?;
        if !found {
            return Err(Error::NotFound {
                what: "repository",
                name: format!("{}/{}", self.reference.registry(), at.path),
            });
        }
        tags.sort_unstable();
        Ok(tags)
    }

    /// The repositories of the whole registry, as far as it tells.
    pub fn catalog(&self) -> Result<Vec<String>> {
        let mut repositories = Vec::new();
        let host = &self.own().host;
        host.pages("/v2/_catalog?n=1000", "registry:catalog:*", "its list of repositories", &mut |page: Catalog| {
            repositories.extend(page.repositories.unwrap_or_default());
        })?;
        Ok(repositories)
    }

    /// What refers to the manifest `digest`: signatures, attestations and the like. A registry without an API for that has them
    /// in a tag that is made of the digest.
    pub fn referrers(&self, digest: &Digest) -> Result<Vec<Descriptor>> {
        let at = self.own();
        let first = format!("/v2/{}/referrers/{digest}", at.path);
        let mut found = Vec::new();
        let has_api =
            at.host.pages(&first, &at.scope("pull"), self.reference.repository(), &mut |page: Referrers| {
                found.extend(page.manifests);
            })?;
        if !has_api && let Some(index) = at.manifest(&format!("sha256-{}", digest.hex()))? {
            let index: Referrers = serde_json::from_slice(&index.bytes)
                .map_err(|error| at.host.untrusted(format!("its list of referrers can't be read: {error}")))?;
            found = index.manifests;
        }
        Ok(found)
    }

    /// Whether the registry knows us.
    pub fn check_login(&self) -> Result<()> {
        let host = &self.own().host;
        let answer = host.ask(&Ask::new(Method::GET, "/v2/", ""))?;
        if answer.status().is_success() { Ok(()) } else { Err(host.failure(answer, &Method::GET, "/v2/", "its API")) }
    }

    /// A small blob, checked.
    pub fn blob(&self, descriptor: &Descriptor, limit: u64) -> Result<Vec<u8>> {
        let mut failed = None;
        for at in &self.places {
            match at.blob(descriptor, limit) {
                Ok(bytes) => return Ok(bytes),
                Err(error) => failed = Some(error),
            }
        }
        Err(failed.expect("because there is a place at least"))
    }
}

impl At {
    /// What a token has to allow.
    pub(super) fn scope(&self, actions: &str) -> String {
        format!("repository:{}:{actions}", self.path)
    }

    fn manifest(&self, target: &str) -> Result<Option<Manifest>> {
        let url = format!("/v2/{}/manifests/{target}", self.path);
        let scope = self.scope("pull");
        let mut ask = Ask::new(Method::GET, &url, &scope);
        ask.headers.push(("accept", ACCEPT.into()));
        let Some((bytes, answer)) = self.host.get(&ask, MANIFEST_LIMIT, &self.path)? else { return Ok(None) };
        let media_type = media_type(&bytes, answer.content_type.as_deref());
        let manifest = Manifest::new(bytes, &media_type);
        let digest = manifest.digest();
        let promised = if target.starts_with("sha256:") { Some(target) } else { answer.digest.as_deref() };
        // The digest of a signed manifest of the first schema is that of a part of it.
        let is_signed = media_type.contains("docker.distribution.manifest.v1+");
        if let Some(promised) = promised.filter(|text| text.starts_with("sha256:") && !is_signed)
            && promised != digest.to_string()
        {
            return Err(self.host.untrusted(format!("the manifest should be {promised}, and is {digest}")));
        }
        Ok(Some(manifest))
    }

    /// A small blob, checked.
    fn blob(&self, descriptor: &Descriptor, limit: u64) -> Result<Vec<u8>> {
        let digest: Digest = descriptor.digest().as_ref().parse()?;
        let url = format!("/v2/{}/blobs/{digest}", self.path);
        if descriptor.size() > limit {
            let why = format!("it has {} bytes, {limit} are allowed", descriptor.size());
            return Err(plumbing::Error::Refused { entry: digest.to_string(), why }.into());
        }
        let scope = self.scope("pull");
        let ask = Ask::new(Method::GET, &url, &scope);
        let missing = || Error::NotFound { what: "blob", name: format!("{digest} at {}", self.host.name()) };
        let (bytes, _) = self.host.get(&ask, descriptor.size(), &self.path)?.ok_or_else(missing)?;
        let found = Digest::of(&bytes);
        if found != digest {
            return Err(self.host.untrusted(format!("a blob should be {digest}, and is {found}")));
        }
        Ok(bytes)
    }
}

/// Headers that tell what a body is.
pub(super) struct Told {
    content_type: Option<String>,
    digest: Option<String>,
    /// Where the next page is.
    next: Option<String>,
}

impl Host {
    /// A small body and what the headers say of it; `None` where there is nothing. `what` is asked for.
    fn get(&self, ask: &Ask<'_>, limit: u64, what: &str) -> Result<Option<(Vec<u8>, Told)>> {
        let mut tries = 1;
        loop {
            let answer = self.ask(ask)?;
            match answer.status() {
                StatusCode::NOT_FOUND => return Ok(None),
                status if !status.is_success() => return Err(self.failure(answer, &ask.method, ask.url, what)),
                _ => {}
            }
            let text = |name: &str| header(&answer, name).map(str::to_owned);
            let next = text("link").and_then(|link| next_page(&link));
            let told = Told { content_type: text("content-type"), digest: text("docker-content-digest"), next };
            match self.body(answer, limit) {
                Ok(bytes) => return Ok(Some((bytes, told))),
                Err(Error::Unreachable { .. }) if tries < self.patience.tries => {
                    std::thread::sleep(self.patience.pause_after(tries, None));
                    tries += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// All pages of a list; false where there is no such list.
    fn pages<T: DeserializeOwned>(&self, first: &str, scope: &str, what: &str, see: &mut dyn FnMut(T)) -> Result<bool> {
        let mut url = first.to_owned();
        for _ in 0..PAGES {
            let Some((bytes, told)) = self.get(&Ask::new(Method::GET, &url, scope), LIST_LIMIT, what)? else {
                return Ok(url != first);
            };
            let unread = |error| self.untrusted(format!("its list can't be read: {error}"));
            see(serde_json::from_slice(&bytes).map_err(unread)?);
            let Some(next) = told.next else { return Ok(true) };
            let base = format!("http://{}{}", self.name(), url);
            let next = address::follow(&base, &next).map_err(|why| self.untrusted(why))?;
            // Pages are the host's own, whatever it calls itself.
            let path = next.splitn(4, '/').nth(3).map(|path| format!("/{path}"));
            url = path.filter(|next| *next != url).ok_or_else(|| self.untrusted("its list goes on where it was"))?;
        }
        Err(self.untrusted(format!("its list has more than {PAGES} pages")))
    }
}

/// The address in `<address>; rel="next"`.
fn next_page(link: &str) -> Option<String> {
    let (address, rest) = link.trim().strip_prefix('<')?.split_once('>')?;
    rest.contains("next").then(|| address.to_owned())
}

/// A manifest's own word goes before the server's.
fn media_type(bytes: &[u8], content_type: Option<&str>) -> String {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Typed {
        media_type: Option<String>,
        schema_version: Option<u64>,
    }
    let typed: Option<Typed> = serde_json::from_slice(bytes).ok();
    let own = typed.as_ref().and_then(|typed| typed.media_type.clone());
    if typed.is_some_and(|typed| typed.schema_version == Some(1)) {
        return "application/vnd.docker.distribution.manifest.v1+prettyjws".into();
    }
    let told = || content_type.and_then(|text| text.split(';').next()).unwrap_or_default().trim().to_owned();
    own.unwrap_or_else(told)
}

impl Source for &Remote {
    type Error = Error;

    fn manifest(&mut self, descriptor: &Descriptor) -> Result<Vec<u8>> {
        let digest: Digest = descriptor.digest().as_ref().parse()?;
        Ok(Remote::manifest(self, &digest.to_string())?.bytes)
    }

    fn config(&mut self, descriptor: &Descriptor) -> Result<Vec<u8>> {
        self.blob(descriptor, plumbing::config::LIMIT)
    }
}

//! Which thing a request is about: a pure function of its method, path and query.

use std::borrow::Cow;

use hyper::Method;
use percent_encoding::percent_decode_str;
use plumbing::artifact::Reference;
use plumbing::digest::Digest;

use super::problem::{Answer, Problem};
use super::repository::Repository;

/// The longest path and query; tags and digests fit in many times.
const LONGEST: usize = 16 << 10;

/// A request that the specification knows.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// Whether this is a registry.
    Base,
    Catalog(Page),
    Tags(Repository, Page),
    /// Manifests that are about another one, of one kind or all.
    Referrers(Repository, Digest, Option<String>),
    Manifest(Repository, Reference, OnManifest),
    Blob(Repository, Digest, OnBlob),
    /// Begin an upload, or all of it at once.
    Begin(Repository, Begin),
    Upload(Repository, String, OnUpload),
}

/// What is done with a manifest.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum OnManifest {
    Get,
    /// With tags beside the digest that it is put under.
    Put(Vec<String>),
    Delete,
}

/// What is done with a blob.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum OnBlob {
    Get,
    Delete,
}

/// How an upload begins.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Begin {
    Session,
    Whole(Digest),
    Mount { digest: Digest, from: Option<Repository> },
}

/// What is done with an upload.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum OnUpload {
    Status,
    Append,
    Finish(Digest),
    Cancel,
}

/// Which part of a list.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) most: Option<usize>,
    pub(super) after: Option<String>,
}

/// The names and values of a query, decoded.
struct Query<'q>(Vec<(Cow<'q, str>, Cow<'q, str>)>);

/// Find out what is asked for.
pub(super) fn parse(method: &Method, path: &str, query: &str) -> Answer<Route> {
    if path.len() + query.len() > LONGEST {
        return Err(Problem::no_such_page("the address is too long"));
    }
    let no_page =
        || Problem::no_such_page(format!("there is no '{}' here: paths begin with /v2/", path.escape_debug()));
    let decoded = percent_decode_str(path).decode_utf8().map_err(|_| no_page())?;
    let rest = decoded.strip_prefix("/v2").ok_or_else(no_page)?;
    let query = Query::parse(query);
    let get = || only(method, &[Method::GET, Method::HEAD]);
    match rest {
        "" | "/" => return get().map(|()| Route::Base),
        "/_catalog" => return get().and_then(|()| Ok(Route::Catalog(query.page()?))),
        _ => {}
    }
    let rest = rest.strip_prefix('/').ok_or_else(no_page)?;
    if let Some(name) = rest.strip_suffix("/tags/list") {
        get()?;
        return Ok(Route::Tags(Repository::parse(name)?, query.page()?));
    }
    if let Some(name) = rest.strip_suffix("/blobs/uploads/").or_else(|| rest.strip_suffix("/blobs/uploads")) {
        only(method, &[Method::POST])?;
        return Ok(Route::Begin(Repository::parse(name)?, query.begin()?));
    }
    let (rest, last) = rest.rsplit_once('/').ok_or_else(no_page)?;
    if let Some(name) = rest.strip_suffix("/blobs/uploads") {
        return upload(method, Repository::parse(name)?, last, &query);
    }
    let (name, kind) = rest.rsplit_once('/').ok_or_else(no_page)?;
    match kind {
        "manifests" => manifest(method, Repository::parse(name)?, last, &query),
        "blobs" => blob(method, Repository::parse(name)?, digest(last)?),
        "referrers" => {
            get()?;
            let kind = query.get("artifactType").filter(|kind| !kind.is_empty()).map(str::to_owned);
            Ok(Route::Referrers(Repository::parse(name)?, digest(last)?, kind))
        }
        _ => Err(no_page()),
    }
}

fn upload(method: &Method, name: Repository, id: &str, query: &Query<'_>) -> Answer<Route> {
    only(method, &[Method::GET, Method::PATCH, Method::PUT, Method::DELETE])?;
    let what = match *method {
        Method::PATCH => OnUpload::Append,
        Method::PUT => {
            let missing = || Problem::digest_invalid("the end of an upload needs '?digest=…'");
            OnUpload::Finish(digest(query.get("digest").ok_or_else(missing)?)?)
        }
        Method::DELETE => OnUpload::Cancel,
        _ => OnUpload::Status,
    };
    let is_id = id.len() == 32 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    match is_id {
        true => Ok(Route::Upload(name, id.to_owned(), what)),
        false => Err(Problem::upload_unknown("no upload is called so")),
    }
}

fn manifest(method: &Method, name: Repository, reference: &str, query: &Query<'_>) -> Answer<Route> {
    only(method, &[Method::GET, Method::HEAD, Method::PUT, Method::DELETE])?;
    let reference = match reference.contains(':') {
        true => Reference::Digest(digest(reference)?),
        false => Reference::Tag(name.check_tag(reference)?),
    };
    let what = match *method {
        Method::PUT => {
            let tags = query.all("tag").map(|tag| name.check_tag(tag)).collect::<Answer<Vec<_>>>()?;
            if !tags.is_empty() && matches!(reference, Reference::Tag(_)) {
                return Err(Problem::manifest_invalid("'?tag=' goes with a digest, not with a tag"));
            }
            OnManifest::Put(tags)
        }
        Method::DELETE => OnManifest::Delete,
        _ => OnManifest::Get,
    };
    Ok(Route::Manifest(name, reference, what))
}

fn blob(method: &Method, name: Repository, digest: Digest) -> Answer<Route> {
    only(method, &[Method::GET, Method::HEAD, Method::DELETE])?;
    let what = if method == Method::DELETE { OnBlob::Delete } else { OnBlob::Get };
    Ok(Route::Blob(name, digest, what))
}

/// Read a digest.
pub(super) fn digest(text: &str) -> Answer<Digest> {
    text.parse().map_err(|error: plumbing::Error| Problem::digest_invalid(error.to_string()))
}

fn only(method: &Method, allowed: &[Method]) -> Answer<()> {
    if allowed.contains(method) {
        return Ok(());
    }
    let list = allowed.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
    Err(Problem::wrong_method(format!("{method} can't be done here")).with("Allow", list))
}

impl<'q> Query<'q> {
    fn parse(query: &'q str) -> Self {
        let decode = |text: &'q str| percent_decode_str(text).decode_utf8_lossy();
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        Self(
            pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).map(|(a, b)| (decode(a), decode(b))).collect(),
        )
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_ref())
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    fn page(&self) -> Answer<Page> {
        let wrong = || Problem::size_invalid("'n' must be a number");
        let number = |text: &str| match text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() {
            true => Ok(text.parse().unwrap_or(usize::MAX)),
            false => Err(wrong()),
        };
        let most = self.get("n").map(number).transpose()?;
        Ok(Page { most, after: self.get("last").filter(|last| !last.is_empty()).map(str::to_owned) })
    }

    fn begin(&self) -> Answer<Begin> {
        if let Some(algorithm) = self.get("digest-algorithm").filter(|name| *name != "sha256") {
            return Err(Problem::digest_invalid(format!("only sha256 is known, not '{}'", algorithm.escape_debug())));
        }
        if let Some(mount) = self.get("mount") {
            let from = self.get("from").filter(|from| !from.is_empty()).map(Repository::parse).transpose()?;
            return Ok(Begin::Mount { digest: digest(mount)?, from });
        }
        Ok(self.get("digest").map(digest).transpose()?.map_or(Begin::Session, Begin::Whole))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn route(method: Method, address: &str) -> Answer<Route> {
        let address = address.replace("DIGEST", &format!("sha256:{HEX}"));
        let (path, query) = address.split_once('?').unwrap_or((&address, ""));
        parse(&method, path, query)
    }

    fn name(text: &str) -> Repository {
        Repository::parse(text).unwrap()
    }

    #[test]
    fn requests_are_told_apart() {
        let empty = Digest::of(b"");
        let tag = |tag: &str| Reference::Tag(tag.into());
        let (get, put, post, patch, delete) = (Method::GET, Method::PUT, Method::POST, Method::PATCH, Method::DELETE);
        let id = "0123456789abcdef0123456789abcdef";
        for (method, address, want) in [
            (get.clone(), "/v2/", Route::Base),
            (Method::HEAD, "/v2", Route::Base),
            (
                get.clone(),
                "/v2/_catalog?n=5&last=a%2Fb",
                Route::Catalog(Page { most: Some(5), after: Some("a/b".into()) }),
            ),
            (get.clone(), "/v2/a/b/tags/list", Route::Tags(name("a/b"), Page::default())),
            (get.clone(), "/v2/tags/list/tags/list", Route::Tags(name("tags/list"), Page::default())),
            (get.clone(), "/v2/a/manifests/v1", Route::Manifest(name("a"), tag("v1"), OnManifest::Get)),
            (
                get.clone(),
                "/v2/manifests/manifests/manifests",
                Route::Manifest(name("manifests"), tag("manifests"), OnManifest::Get),
            ),
            (
                put.clone(),
                "/v2/a/manifests/DIGEST?tag=x&tag=y",
                Route::Manifest(name("a"), Reference::Digest(empty), OnManifest::Put(vec!["x".into(), "y".into()])),
            ),
            (delete.clone(), "/v2/a/manifests/v1", Route::Manifest(name("a"), tag("v1"), OnManifest::Delete)),
            (
                Method::HEAD,
                "/v2/localhost%3A5000/a/blobs/DIGEST",
                Route::Blob(name("localhost:5000/a"), empty, OnBlob::Get),
            ),
            (delete.clone(), "/v2/a/blobs/DIGEST", Route::Blob(name("a"), empty, OnBlob::Delete)),
            (post.clone(), "/v2/a/blobs/uploads/", Route::Begin(name("a"), Begin::Session)),
            (post.clone(), "/v2/a/blobs/uploads?digest=DIGEST", Route::Begin(name("a"), Begin::Whole(empty))),
            (
                post.clone(),
                "/v2/a/blobs/uploads/?mount=DIGEST&from=library/b",
                Route::Begin(name("a"), Begin::Mount { digest: empty, from: Some(name("b")) }),
            ),
            (patch, &format!("/v2/a/blobs/uploads/{id}"), Route::Upload(name("a"), id.into(), OnUpload::Append)),
            (
                put,
                &format!("/v2/a/blobs/uploads/{id}?digest=DIGEST"),
                Route::Upload(name("a"), id.into(), OnUpload::Finish(empty)),
            ),
            (get.clone(), &format!("/v2/a/blobs/uploads/{id}"), Route::Upload(name("a"), id.into(), OnUpload::Status)),
            (delete, &format!("/v2/a/blobs/uploads/{id}"), Route::Upload(name("a"), id.into(), OnUpload::Cancel)),
            (
                get,
                "/v2/a/referrers/DIGEST?artifactType=application%2Fx",
                Route::Referrers(name("a"), empty, Some("application/x".into())),
            ),
        ] {
            assert_eq!(route(method, address).unwrap(), want, "{address}");
        }
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for (method, address, status) in [
            (Method::GET, "/", 404),
            (Method::GET, "/v1/", 404),
            (Method::GET, "/v2x", 404),
            (Method::GET, "/v2/a", 404),
            (Method::GET, "/v2/a/b/c", 404),
            (Method::POST, "/v2/", 405),
            (Method::POST, "/v2/a/manifests/x", 405),
            (Method::GET, "/v2/A/manifests/x", 400),
            (Method::GET, "/v2/../../etc/manifests/x", 400),
            (Method::GET, "/v2/a/../b/manifests/x", 400),
            (Method::GET, "/v2/%2e%2e/%2e%2e/manifests/x", 400),
            (Method::GET, "/v2/a%00b/manifests/x", 400),
            (Method::GET, "/v2/a%0a/manifests/x", 400),
            (Method::GET, "/v2/%ff/manifests/x", 404),
            (Method::GET, "/v2/a@b/manifests/x", 400),
            (Method::GET, "/v2/a:b/manifests/x", 400),
            (Method::GET, "/v2//a/manifests/x", 400),
            (Method::GET, "/v2/a/manifests/-x", 400),
            (Method::GET, "/v2/a/manifests/sha256:x", 400),
            (Method::GET, "/v2/a/manifests/sha512:00", 400),
            (Method::GET, "/v2/a/manifests/x%2Fy", 404),
            (Method::GET, "/v2/a/blobs/x", 400),
            (Method::GET, "/v2/a/tags/list?n=-1", 400),
            (Method::GET, "/v2/a/tags/list?n=x", 400),
            (Method::PUT, "/v2/a/manifests/x?tag=y", 400),
            (Method::PUT, "/v2/a/blobs/uploads/0123456789abcdef0123456789abcdef", 400),
            (Method::PUT, "/v2/a/blobs/uploads/..?digest=DIGEST", 404),
            (Method::POST, "/v2/a/blobs/uploads/?digest-algorithm=sha512", 400),
            (Method::POST, "/v2/a/blobs/uploads/?mount=x", 400),
            (Method::GET, "/v2/a/referrers/x", 400),
        ] {
            let problem = route(method, address).unwrap_err();
            assert_eq!(problem.status.as_u16(), status, "{address}: {problem}");
        }
        let long = format!("/v2/{}/manifests/x", "a/".repeat(LONGEST));
        assert_eq!(parse(&Method::GET, &long, "").unwrap_err().status.as_u16(), 404);
    }
}

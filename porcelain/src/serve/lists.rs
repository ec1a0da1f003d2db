//! Lists: of tags, of repositories, of manifests that are about another one.

use std::collections::BTreeSet;

use hyper::StatusCode;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use plumbing::Store;
use plumbing::artifact::OCI_INDEX;
use plumbing::digest::Digest;
use serde_json::{Value, json};

use super::Registry;
use super::held::Held;
use super::problem::{Answer, Problem};
use super::reply::{Body, Reply};
use super::repository::{self, Repository};
use super::route::Page;

/// Most entries of a page of the catalogue where nobody says how many.
const CATALOG: usize = 1000;

impl Registry {
    /// The tags of a repository.
    pub(super) fn tags(&self, store: &Store, repository: &Repository, page: &Page) -> Answer<Reply> {
        if !repository.exists(store)? {
            return Err(Problem::name_unknown(format!("there is no repository '{}'", repository.familiar())));
        }
        let name = repository.familiar();
        let (tags, next) = cut(repository.tags(store)?, page, usize::MAX);
        let reply = Reply::json(StatusCode::OK, json!({ "name": name, "tags": tags }).to_string());
        Ok(linked(reply, &format!("/v2/{name}/tags/list"), page, next))
    }

    /// The repositories of the store: docker's extension.
    pub(super) fn catalog(&self, store: &Store, page: &Page) -> Answer<Reply> {
        let (names, next) = cut(repository::all(store)?, page, CATALOG);
        let reply = Reply::json(StatusCode::OK, json!({ "repositories": names }).to_string());
        Ok(linked(reply, "/v2/_catalog", page, next))
    }

    /// The manifests of a repository that are about the manifest `subject`, of one kind or all.
    pub(super) fn referrers(
        &self,
        store: &Store,
        repository: &Repository,
        subject: &Digest,
        kind: Option<&str>,
    ) -> Answer<Reply> {
        let mut found = Vec::new();
        if repository.digest(store, &self.manifests, subject)?.is_none() {
            // With an image that has to be made comes its history.
            repository.make(store, &self.manifests, |held| held.digest == *subject)?;
        }
        for held in repository.manifests(store, &self.manifests)? {
            let is_about = held.manifest.subject.as_ref().is_some_and(|about| about.digest == *subject);
            if is_about && kind.is_none_or(|kind| held.manifest.referrer_type() == Some(kind)) {
                found.push((held.digest, describe(&held)));
            }
        }
        found.sort_by_key(|(digest, _)| *digest);
        found.dedup_by_key(|(digest, _)| *digest);
        let manifests: Vec<Value> = found.into_iter().map(|(_, descriptor)| descriptor).collect();
        let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests });
        let reply = Reply::empty(StatusCode::OK).with("Content-Type", OCI_INDEX);
        let reply = reply.carrying(Body::Bytes(index.to_string().into_bytes()));
        Ok(if kind.is_some() { reply.with("OCI-Filters-Applied", "artifactType") } else { reply })
    }
}

fn describe(held: &Held) -> Value {
    let manifest = &held.manifest;
    let mut descriptor = json!({
        "mediaType": manifest.media_type,
        "digest": held.digest.to_string(),
        "size": held.bytes.len(),
    });
    if let Some(kind) = manifest.referrer_type() {
        descriptor["artifactType"] = kind.into();
    }
    if !manifest.annotations.is_empty() {
        descriptor["annotations"] = json!(manifest.annotations);
    }
    descriptor
}

/// The part of a list that a page is, and the last entry of it where more follow.
fn cut(all: BTreeSet<String>, page: &Page, most: usize) -> (Vec<String>, Option<String>) {
    let after = page.after.as_deref();
    let mut rest = all.into_iter().filter(|entry| after.is_none_or(|after| entry.as_str() > after));
    let count = page.most.unwrap_or(most).min(most);
    let part: Vec<String> = rest.by_ref().take(count).collect();
    let next = part.last().cloned().filter(|_| rest.next().is_some());
    (part, next)
}

fn linked(reply: Reply, path: &str, page: &Page, next: Option<String>) -> Reply {
    let Some(next) = next else { return reply };
    let last = utf8_percent_encode(&next, NON_ALPHANUMERIC);
    let count = page.most.map_or_else(String::new, |most| format!("n={most}&"));
    reply.with("Link", format!("<{path}?{count}last={last}>; rel=\"next\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_one_another() {
        let all: BTreeSet<String> = ["b", "A", "a", "c"].map(str::to_owned).into();
        let page = |most, after: Option<&str>| Page { most, after: after.map(str::to_owned) };
        for (page, want, next) in [
            (page(None, None), vec!["A", "a", "b", "c"], None),
            (page(Some(2), None), vec!["A", "a"], Some("a")),
            (page(Some(2), Some("a")), vec!["b", "c"], None),
            (page(Some(0), None), vec![], None),
            (page(None, Some("zz")), vec![], None),
            (page(Some(9), Some("Z")), vec!["a", "b", "c"], None),
        ] {
            let (part, found) = cut(all.clone(), &page, usize::MAX);
            assert_eq!((part, found.as_deref()), (want.into_iter().map(str::to_owned).collect(), next), "{page:?}");
        }
        assert_eq!(cut(all, &page(None, None), 3).1.as_deref(), Some("b"));
    }
}

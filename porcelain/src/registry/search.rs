//! Searches: docker.io's own, and the lists of repositories that other registries give.

use serde::Deserialize;
use serde_json::Value;
use ureq::http::Method;

use super::host::{Ask, Host};
use super::http::Patience;
use super::settings::{DOCKER_HUB, Settings};
use super::token::form;
use super::{Credentials, Reference, Remote};
use crate::{Error, Result};

/// Where docker.io is searched, which isn't where its images are.
const HUB_SEARCH: &str = "index.docker.io";
/// Answers are as long as a page of a hundred needs.
const LIMIT: u64 = 4 << 20;
/// docker.io gives no more at once.
const HUB_MOST: usize = 100;

/// A repository that was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Found {
    /// Its name; at registries other than docker.io with the host.
    pub name: String,
    /// What its owner says of it.
    #[serde(default)]
    pub description: String,
    /// How many people like it.
    #[serde(default, rename = "star_count")]
    pub stars: u64,
    /// Whether docker.io looks after it.
    #[serde(default, rename = "is_official")]
    pub official: bool,
}

/// Search the registry that the term begins with, else docker.io, for at most `limit` repositories.
pub fn search(term: &str, limit: usize, settings: &Settings) -> Result<Vec<Found>> {
    match term.split_once('/') {
        Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => catalog(host, rest, limit, settings),
        _ => hub(term, limit, settings),
    }
}

/// The repositories of a registry whose names hold `part`.
fn catalog(host: &str, part: &str, limit: usize, settings: &Settings) -> Result<Vec<Found>> {
    let reference = Reference::parse(&format!("{host}/x"))?;
    let repositories = Remote::open(&reference, settings, Patience::default())?.catalog()?;
    let found = repositories.into_iter().filter(|name| name.contains(part)).take(limit);
    Ok(found.map(|name| Found { name: format!("{host}/{name}"), ..Found::default() }).collect())
}

fn hub(term: &str, limit: usize, settings: &Settings) -> Result<Vec<Found>> {
    #[derive(Deserialize)]
    struct Answer {
        results: Vec<Value>,
    }
    let mut place =
        settings.places(DOCKER_HUB.0, "x", false)?.pop().expect("because a registry is at one place at least");
    if place.host == DOCKER_HUB.1 {
        place.host = HUB_SEARCH.into();
    }
    let credential = Credentials::read()?.get(DOCKER_HUB.0)?;
    let host = Host::new(DOCKER_HUB.0, &place, settings, credential, Patience::default())?;
    let count = limit.min(HUB_MOST).to_string();
    let url = format!("/v1/search?{}", form(&[("q", term), ("n", &count)]));
    let answer = host.ask(&Ask::new(Method::GET, &url, ""))?;
    if !answer.status().is_success() {
        return Err(host.failure(answer, &Method::GET, &url, "its search"));
    }
    let unread = |error: serde_json::Error| Error::Untrusted { server: place.host.clone(), why: error.to_string() };
    let answer: Answer = serde_json::from_slice(&host.body(answer, LIMIT)?).map_err(unread)?;
    let found = answer.results.into_iter().filter_map(|found| serde_json::from_value(found).ok());
    Ok(found.take(limit).collect())
}

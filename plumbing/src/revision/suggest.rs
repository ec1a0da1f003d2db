//! Names that a misspelt one may have been meant to be.

use crate::store::refs::{CONTAINERS, IMAGES};
use crate::{ImageName, Store};

/// At most so many are suggested.
const MOST: usize = 3;

/// Names of images and containers that are nearly `name`, the nearest first.
pub fn similar(store: &Store, name: &str) -> Vec<String> {
    let names = |prefix| store.list_refs(prefix).unwrap_or_default();
    let images = names(IMAGES).into_iter().filter_map(|(full, _)| Some(ImageName::from_ref(&full)?.to_string()));
    let containers =
        names(CONTAINERS).into_iter().filter_map(|(full, _)| Some(full.strip_prefix(CONTAINERS)?.to_owned()));
    nearest(name, images.chain(containers))
}

fn nearest(name: &str, all: impl Iterator<Item = String>) -> Vec<String> {
    let mut near: Vec<(usize, String)> = all.filter_map(|other| Some((distance(name, &other)?, other))).collect();
    near.sort();
    near.dedup();
    near.into_iter().take(MOST).map(|(_, other)| other).collect()
}

/// How far `other` is from `name`, in edits; `None` where it is too far for a slip of the fingers.
fn distance(name: &str, other: &str) -> Option<usize> {
    let whole = strsim::osa_distance(name, other);
    let repository = other.rsplit_once(':').map(|(repository, _)| strsim::osa_distance(name, repository));
    let asked = name.rsplit_once(':').map_or(name, |(repository, _)| repository);
    // Another tag of the same repository is near whatever the tag.
    let same = other.rsplit_once(':').is_some_and(|(repository, _)| repository == asked && repository != name);
    let edits = whole.min(repository.unwrap_or(usize::MAX));
    let limit = (name.chars().count() / 3).clamp(1, 4);
    if edits <= limit { Some(edits) } else { same.then_some(limit + edits) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_near_and_strangers_are_not() {
        let all = || ["web:latest", "web:1", "debian:12", "debian:bookworm", "app"].map(str::to_owned).into_iter();
        assert_eq!(nearest("web:lates", all()), ["web:latest", "web:1"]);
        assert_eq!(nearest("debain:12", all()), ["debian:12"]);
        assert_eq!(nearest("debain", all()), ["debian:12", "debian:bookworm"]);
        assert_eq!(nearest("fedora", all()), Vec::<String>::new());
    }
}

//! Which images, containers and tags are at a commit.

use std::collections::HashMap;

use plumbing::store::refs::{CONTAINERS, IMAGES};
use plumbing::{Id, ImageName, Store, Tracking};

use crate::report::Failure;

/// The names at each commit, in the words of rd: `debian:12`, `web`, `tag: v1`.
#[derive(Debug, Default)]
pub struct Names {
    by_id: HashMap<Id, Vec<String>>,
}

impl Names {
    /// Read all names of the store.
    pub fn read(store: &Store) -> Result<Self, Failure> {
        let mut by_id: HashMap<Id, Vec<String>> = HashMap::new();
        let mut refs = store.list_refs("refs/")?;
        refs.sort_by_key(|(name, _)| (order(name), name.clone()));
        for (name, id) in refs {
            by_id.entry(peel(store, id)).or_default().push(shown(&name));
        }
        Ok(Self { by_id })
    }

    /// Read all refs, in the words and the order of git: `HEAD -> main`, `tag: v1`, full names beside branches and tags.
    pub fn of_git(store: &Store) -> Result<Self, Failure> {
        let mut by_id: HashMap<Id, Vec<String>> = HashMap::new();
        let head = store.repo().head().map_err(plumbing::Error::git("read HEAD"))?;
        let branch = head.referent_name().map(|name| name.as_bstr().to_string());
        if let Some(id) = head.id() {
            let shown = branch.as_ref().map(|name| format!("HEAD -> {}", short(name)));
            by_id.entry(id.detach()).or_default().push(shown.unwrap_or_else(|| "HEAD".into()));
        }
        for (name, id) in crate::commands::show_ref::all_refs(store)?.into_iter().rev() {
            if Some(&name) == branch.as_ref() {
                continue;
            }
            let tag = if name.starts_with("refs/tags/") { "tag: " } else { "" };
            by_id.entry(peel(store, id)).or_default().push(format!("{tag}{}", short(&name)));
        }
        Ok(Self { by_id })
    }

    /// The names at `id`: containers first, then images, then the rest.
    pub fn of(&self, id: &Id) -> &[String] {
        self.by_id.get(id).map_or(&[], Vec::as_slice)
    }
}

/// A ref's name without what says its kind.
fn short(name: &str) -> &str {
    let prefixes = ["refs/heads/", "refs/tags/", "refs/remotes/"];
    prefixes.into_iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name)
}

fn order(name: &str) -> u8 {
    match name {
        name if name.starts_with(CONTAINERS) => 0,
        name if name.starts_with(IMAGES) => 1,
        _ => 2,
    }
}

fn shown(name: &str) -> String {
    if let Some(image) = ImageName::from_ref(name) {
        return image.to_string();
    }
    if let Some(tracking) = Tracking::from_ref(name) {
        return tracking.to_string();
    }
    if let Some(tag) = name.strip_prefix("refs/tags/") {
        return format!("tag: {tag}");
    }
    name.strip_prefix(CONTAINERS).or_else(|| name.strip_prefix("refs/")).unwrap_or(name).to_owned()
}

/// What a tag object points at, in the end.
fn peel(store: &Store, id: Id) -> Id {
    let object = store.repo().find_object(id).ok().and_then(|object| object.peel_tags_to_end().ok());
    object.map_or(id, |object| object.id)
}

//! Which images, containers and tags are at a commit.

use std::collections::HashMap;

use plumbing::store::refs::{CONTAINERS, IMAGES};
use plumbing::{Id, ImageName, Store};

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

    /// The names at `id`: containers first, then images, then the rest.
    pub fn of(&self, id: &Id) -> &[String] {
        self.by_id.get(id).map_or(&[], Vec::as_slice)
    }
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

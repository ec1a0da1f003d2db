//! Finding the image or commit that a user means.

use plumbing::revision::{self, Prefer};
use plumbing::{Id, ImageName, Store};

use crate::Result;

/// What a spelling was found to mean.
#[derive(Debug, Clone)]
pub struct Found {
    /// The commit.
    pub id: Id,
    /// The image name, where the spelling is one.
    pub name: Option<ImageName>,
}

/// The image that `spelling` means: a name, or else any revision (an id's beginning, `debian:12~2`).
/// `NotFound` speaks of an image.
pub fn find(store: &Store, spelling: &str) -> Result<Found> {
    let lookup = revision::Lookup { prefer: Prefer::Images, aliases: None };
    let as_image = |error| match error {
        plumbing::Error::NotFound { what: "revision", name } => plumbing::Error::NotFound { what: "image", name },
        error => error,
    };
    let id = revision::resolve_commit_with(store, spelling, lookup).map_err(as_image)?;
    let name = ImageName::parse(spelling).ok();
    let named = name.map(|name| Ok::<_, plumbing::Error>((store.get_ref(&name.to_ref())? == Some(id)).then_some(name)));
    Ok(Found { id, name: named.transpose()?.flatten() })
}

/// The commit that `spelling` means, see [`find`].
pub fn find_commit(store: &Store, spelling: &str) -> Result<Id> {
    Ok(find(store, spelling)?.id)
}

/// The lines of a ref's log, the oldest first: the old value and when it was replaced.
pub fn reflog(store: &Store, name: &str) -> Result<Vec<(Id, i64)>> {
    let failed = plumbing::Error::git(format!("read ref '{name}'"));
    let Some(reference) = store.repo().try_find_reference(name).map_err(failed)? else { return Ok(Vec::new()) };
    let mut log = reference.log_iter();
    let Some(lines) = log.all().map_err(plumbing::Error::io("read the log of", name))? else { return Ok(Vec::new()) };
    // A line that a crash cut short says nothing; the others do.
    let lines = lines.filter_map(std::result::Result::ok);
    Ok(lines.map(|line| (line.previous_oid(), line.signature.seconds())).collect())
}

//! Revisions as commands about history take them: a container goes before an image of its name, and the beginning of a
//! container's id names it too.

use plumbing::revision::{self, Lookup, Prefer, Range, Revision};
use plumbing::{Id, Store};
use porcelain::container::Containers;
use porcelain::container::history::ref_name;

use crate::report::Failure;

/// Read a revision or a path in one.
pub fn parse(store: &Store, spelling: &[u8]) -> Result<Revision, Failure> {
    with_containers(store, |lookup| revision::parse_with(store, spelling, lookup))
}

/// Read a revision that names a commit.
pub fn commit(store: &Store, spelling: &[u8]) -> Result<Id, Failure> {
    with_containers(store, |lookup| revision::resolve_commit_with(store, spelling, lookup))
}

/// Read a revision or a range.
pub fn range(store: &Store, spelling: &[u8]) -> Result<Range, Failure> {
    with_containers(store, |lookup| revision::range_with(store, spelling, lookup))
}

/// The commit that a revision names; a path in one names none.
pub fn peel(store: &Store, revision: &Revision) -> Result<Id, Failure> {
    if let Some(path) = &revision.path {
        return Err(Failure::new(format!("'/{path}' is a path in an image, not a commit"))
            .hint(format!("give paths by themselves: `REV -- /{path}`")));
    }
    Ok(revision::resolve_commit(store, revision.id.to_hex().to_string())?)
}

fn with_containers<T>(store: &Store, read: impl FnOnce(Lookup<'_>) -> plumbing::Result<T>) -> Result<T, Failure> {
    let by_id = |text: &str| -> Vec<String> {
        let is_id = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let ids = if is_id {
            Containers::open(store.dir()).and_then(|all| all.ids()).unwrap_or_default()
        } else {
            Default::default()
        };
        ids.iter().filter(|(_, id)| id.as_str().starts_with(text)).map(|(name, _)| ref_name(name)).collect()
    };
    Ok(read(Lookup { prefer: Prefer::Containers, aliases: Some(&by_id) })?)
}

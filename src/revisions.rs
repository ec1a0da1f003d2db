//! Revisions as commands about history take them: a container goes before an image of its name, and the beginning of a
//! container's id names it too.

use plumbing::bstr::ByteSlice;
use plumbing::gix::objs::Kind;
use plumbing::revision::{self, Lookup, Prefer, Range, Revision};
use plumbing::root::Part;
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

/// The root that a revision or a tree names, or the folder that `REV:/FOLDER` names in it.
pub fn part(store: &Store, spelling: &[u8]) -> Result<Part, Failure> {
    Ok(tree_and_part(store, spelling)?.1)
}

/// As [`part`], with the tree of the commit whose root it is or is in.
pub fn tree_and_part(store: &Store, spelling: &[u8]) -> Result<(Id, Part), Failure> {
    let revision = parse(store, spelling)?;
    let shown = spelling.as_bstr();
    let tree = crate::git::peel(store, revision.id, Kind::Tree)?
        .ok_or_else(|| Failure::new(format!("'{shown}' names neither a commit nor a tree")))?;
    let ids = store.read_root(&tree).map_err(|error| match error {
        plumbing::Error::Invalid { .. } => Failure::new(format!("'{shown}' holds no root"))
            .caused_by(error)
            .hint("name a commit, a tree that `rd write-tree` made, or a folder as `REV:/FOLDER`"),
        error => error.into(),
    })?;
    let path = revision.path.unwrap_or_default();
    let part = Part::folder(store, ids, path.as_bstr())?;
    Ok((tree, part.ok_or_else(|| Failure::new(format!("'/{path}' is no folder in '{shown}'")))?))
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

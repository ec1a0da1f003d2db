//! Revisions: everything that git's syntax allows, with images and containers in place of branch names.
//!
//! `debian:12~2`, `web@{1}`, `3f2a…`, `sha256:3f2a…`, `refs/images/…`, `:/text`; see gitrevisions(7). A name is looked
//! for in this order:
//!
//! 1. a complete id; `sha256:` and the beginning of an id;
//! 2. a full ref name, `HEAD`, `@`;
//! 3. a container, and an image: where both exist and differ, the name is ambiguous unless the caller [prefers](Prefer)
//!    one; `refs/containers/NAME` and `NAME:TAG` say which;
//! 4. what the caller's [`Lookup::aliases`] knows (ids of containers);
//! 5. an image of a remote as it was seen last (`origin/app:1`, `remotes/docker.io/library/debian:12`);
//! 6. a ref by git's rules (`tags/v1`, `v1`);
//! 7. the beginning of an id, at least four digits: of a git object, else of a content.
//!
//! `REV:/PATH` names a path in the image's root and follows no links; `REV:PATH` names a path in the commit's tree,
//! as git has it (`debian:rootfs/etc`). A tag never starts with `/`, so that the two can't be taken for one another;
//! where `A:B` could be an image with a tag or a path, the longest name that exists wins.

mod name;
mod path;
mod range;
mod reflog;
mod suffix;
mod suggest;
mod upstream;

use gix::bstr::{BStr, BString, ByteSlice};

pub use name::{RULES, Shorten, candidates_of_prefix, prefix_of, shorten};
pub use path::{Found, find};
pub use range::{Range, range, range_with, sides};
pub use suffix::Spelling;
pub use suggest::similar;

use crate::{Error, Id, ImageName, Result, Store};

/// What a spelling names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// The commit or other object: with a git path (`REV:rootfs/etc`) what is there, with a path in the root
    /// (`REV:/etc`) the object whose root it is.
    pub id: Id,
    /// The path in the root where there was one, relative and as the file is named (`etc/passwd`); empty for the top.
    pub path: Option<BString>,
    /// The full name of the ref, where the spelling is that of a ref (or `@{upstream}`, `@{-1}`) and nothing follows.
    pub name: Option<String>,
}

/// Which of a container and an image of the same name is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Prefer {
    /// Either; both of them, where they differ, are an error.
    #[default]
    Neither,
    /// The container.
    Containers,
    /// The image.
    Images,
}

/// Maps what is no ref's name (the beginning of a container's id) to the full names of the refs that it may stand for.
pub type Aliases<'a> = &'a dyn Fn(&str) -> Vec<String>;

/// How names are looked up, beyond what the store's refs say.
#[derive(Clone, Copy, Default)]
pub struct Lookup<'a> {
    /// Which of a container and an image of the same name is meant.
    pub prefer: Prefer,
    /// The full names of the refs that a name stands for where it is none itself: the ids of containers.
    pub aliases: Option<Aliases<'a>>,
}

/// Resolve `spelling`; `NotFound` where nothing has the name.
pub fn parse(store: &Store, spelling: impl AsRef<[u8]>) -> Result<Revision> {
    parse_with(store, spelling, Lookup::default())
}

/// As [`parse`], with names looked up as `lookup` says.
pub fn parse_with(store: &Store, spelling: impl AsRef<[u8]>, lookup: Lookup<'_>) -> Result<Revision> {
    let spelling = spelling.as_ref().as_bstr();
    if spelling.is_empty() {
        return Err(not_found(spelling));
    }
    if spelling.starts_with(b":") {
        return suffix::of_all_refs(store, spelling);
    }
    let mut first_error = None;
    for split in suffix::splits(spelling) {
        let found = match name::resolve(store, split.name, lookup) {
            Ok(None) => continue,
            Ok(Some(base)) => complete(store, base, &split),
            Err(error) => Err(error),
        };
        match found {
            Ok(revision) => return Ok(revision),
            Err(error) => first_error.get_or_insert((split.path, error)),
        };
    }
    // `web:lates` is a misspelt tag, even though `web` exists and `lates` could be a path in it.
    let longest = suffix::splits(spelling).first().map(|split| split.name.to_str_lossy().into_owned());
    let is_image = longest.is_some_and(|name| ImageName::parse(&name).is_ok());
    match first_error {
        Some((path, error)) if !is_image || path.is_none_or(|path| path.starts_with(b"/")) => Err(error),
        _ => Err(not_found(spelling)),
    }
}

/// The object and the path in its tree that `spelling` is made of, whatever is at that path; `None` where it has no path, or
/// one in an image's root.
pub fn tree_and_path<'a>(store: &Store, spelling: &'a BStr) -> Result<Option<(Id, &'a BStr)>> {
    for split in suffix::splits(spelling) {
        let Some(path) = split.path.filter(|path| !path.starts_with(b"/")) else { continue };
        if let Some(base) = name::resolve(store, split.name, Lookup::default())? {
            return Ok(Some((suffix::apply(store, &base, &split)?.0, path)));
        }
    }
    Ok(None)
}

/// Apply what follows the name.
fn complete(store: &Store, base: name::Base, split: &Spelling<'_>) -> Result<Revision> {
    if split.is_name_only() {
        return match store.has(&base.id) {
            true => Ok(Revision { id: base.id, path: None, name: base.reference }),
            false => Err(not_found(split.name)),
        };
    }
    let (id, name) = suffix::apply(store, &base, split)?;
    match split.path {
        None => Ok(Revision { id, path: None, name }),
        Some(path) => path::complete(store, id, path, split),
    }
}

/// What a user misspelt is the name, not what follows it.
fn not_found(spelling: &BStr) -> Error {
    let splits = suffix::splits(spelling);
    let mut names = splits.iter().filter_map(|split| split.name.to_str().ok());
    match names.find(|name| !name.starts_with("refs/") && ImageName::parse(name).is_ok()) {
        Some(name) => Error::NotFound { what: "image", name: name.into() },
        None => Error::NotFound { what: "revision", name: spelling.to_string() },
    }
}

/// Resolve `spelling` to the id of the object it names; of a path in the root, the file's content or the folder's
/// tree in `rootfs/`.
pub fn resolve(store: &Store, spelling: impl AsRef<[u8]>) -> Result<Id> {
    parse(store, spelling)?.object(store)
}

/// Resolve `spelling` to a commit, following tags.
pub fn resolve_commit(store: &Store, spelling: impl AsRef<[u8]>) -> Result<Id> {
    resolve_commit_with(store, spelling, Lookup::default())
}

/// As [`resolve_commit`], with names looked up as `lookup` says.
pub fn resolve_commit_with(store: &Store, spelling: impl AsRef<[u8]>, lookup: Lookup<'_>) -> Result<Id> {
    let spelling = spelling.as_ref().as_bstr();
    let revision = parse_with(store, spelling, lookup)?;
    match revision.path {
        None => suffix::peel(store, revision.id, gix::objs::Kind::Commit),
        Some(_) => Err(()),
    }
    .map_err(|()| Error::Invalid {
        what: "revision",
        input: spelling.to_string(),
        why: "it names no commit".into(),
    })
}

impl Revision {
    /// The object that is named: of a path in the root, the file's content, the link's target or the folder's tree
    /// in `rootfs/`. `Invalid` for devices and their like, which have none.
    pub fn object(&self, store: &Store) -> Result<Id> {
        let Some(path) = &self.path else { return Ok(self.id) };
        path::object(store, &self.id, path.as_bstr())
    }
}

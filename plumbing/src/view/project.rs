//! The mapping from an image's commits to commits of its files alone.

use std::collections::HashMap;

use gix::bstr::ByteSlice;
use gix::objs::{CommitRef, Kind, TreeRefIter};

use crate::{Error, Id, Result, Store};

/// The entry in a commit's tree that holds the commit of git's as which it was pushed.
pub(crate) const GIT_TREE: &str = "git";

/// The header of a projected commit that says of which commit it is the projection.
const HEADER: &str = "rd-image";

/// A projected commit.
pub(super) struct Projected {
    /// The image's commit.
    pub(super) image: Id,
    /// The projected commit's bytes.
    pub(super) data: Vec<u8>,
}

/// Projected commits, both ways.
#[derive(Default)]
pub(super) struct Projection {
    by_image: HashMap<Id, Id>,
    by_id: HashMap<Id, Projected>,
}

impl Projection {
    /// A projected commit that was made.
    pub(super) fn get(&self, id: &Id) -> Option<&Projected> {
        self.by_id.get(id)
    }

    /// The projected commit of `image`, and with it those of all commits before; `Invalid` where one of them is no image's.
    pub(super) fn of(&mut self, store: &Store, image: Id) -> Result<Id> {
        let mut waiting = vec![image];
        while let Some(id) = waiting.last().copied() {
            if self.by_image.contains_key(&id) {
                waiting.pop();
                continue;
            }
            let bytes = store.read_object(&id, Kind::Commit)?;
            let commit = parse(&id, &bytes)?;
            let unknown = commit.parents().filter(|parent| !self.by_image.contains_key(parent));
            let before = waiting.len();
            waiting.extend(unknown);
            if waiting.len() == before {
                self.add(store, id, &commit)?;
                waiting.pop();
            }
        }
        Ok(self.by_image[&image])
    }

    /// Add the projection of a commit whose parents have theirs.
    fn add(&mut self, store: &Store, image: Id, commit: &CommitRef<'_>) -> Result<()> {
        let parents: Vec<Id> = commit.parents().map(|parent| self.by_image[&parent]).collect();
        let tree = commit.tree();
        let (rootfs, git) = trees(store, &tree)?;
        let pushed = git.map(|git| pushed(store, &git, &rootfs, &parents)).transpose()?.flatten();
        let data = pushed.unwrap_or_else(|| encode_commit(commit, &rootfs, &parents, Some(&image)));
        let id = gix::objs::compute_hash(gix::hash::Kind::Sha256, Kind::Commit, &data)
            .map_err(Error::git("hash a commit"))?;
        self.by_image.insert(image, id);
        self.by_id.insert(id, Projected { image, data });
        Ok(())
    }
}

fn parse<'b>(id: &Id, bytes: &'b [u8]) -> Result<CommitRef<'b>> {
    CommitRef::from_bytes(bytes, gix::hash::Kind::Sha256)
        .map_err(|error| Error::damaged(format!("commit {id}"), error.to_string()))
}

/// The `rootfs` in a commit's tree, and its `git` where it was pushed.
fn trees(store: &Store, tree: &Id) -> Result<(Id, Option<Id>)> {
    let [rootfs, git] = find(store, tree, ["rootfs", GIT_TREE])?;
    let rootfs = rootfs.ok_or_else(|| Error::Invalid {
        what: "commit of rd",
        input: tree.to_string(),
        why: "its tree has no 'rootfs'".into(),
    })?;
    Ok((rootfs, git))
}

/// What a tree has by these names.
fn find<const N: usize>(store: &Store, tree: &Id, names: [&str; N]) -> Result<[Option<Id>; N]> {
    let data = store.read_object(tree, Kind::Tree)?;
    let mut found = [None; N];
    for entry in TreeRefIter::from_bytes(&data, gix::hash::Kind::Sha256) {
        let entry = entry.map_err(|error| Error::damaged(format!("tree {tree}"), error.to_string()))?;
        if let Some(at) = names.iter().position(|name| entry.filename == name.as_bytes().as_bstr()) {
            found[at] = Some(entry.oid.to_owned());
        }
    }
    Ok(found)
}

/// The commit as which this one was pushed; `None` where what is kept doesn't fit, since only what can be followed may be shown.
fn pushed(store: &Store, git: &Id, rootfs: &Id, parents: &[Id]) -> Result<Option<Vec<u8>>> {
    let [blob, tree] = find(store, git, ["commit", "tree"])?;
    let Some(blob) = blob else { return Ok(None) };
    let tree = tree.unwrap_or(*rootfs);
    let data = store.read_object(&blob, Kind::Blob)?;
    let fits = CommitRef::from_bytes(&data, gix::hash::Kind::Sha256)
        .is_ok_and(|commit| commit.tree() == tree && commit.parents().eq(parents.iter().copied()));
    Ok(fits.then_some(data))
}

/// The same commit with another tree and other parents, and a header that says whose projection it is.
pub(crate) fn encode_commit(commit: &CommitRef<'_>, tree: &Id, parents: &[Id], image: Option<&Id>) -> Vec<u8> {
    let mut data = format!("tree {tree}\n").into_bytes();
    for parent in parents {
        data.extend_from_slice(format!("parent {parent}\n").as_bytes());
    }
    let mut line = |key: &str, value: &[u8]| {
        data.extend_from_slice(key.as_bytes());
        data.push(b' ');
        data.extend_from_slice(value);
        data.push(b'\n');
    };
    line("author", commit.author);
    line("committer", commit.committer);
    if let Some(encoding) = commit.encoding {
        line("encoding", encoding);
    }
    if let Some(image) = image {
        line(HEADER, image.to_hex().to_string().as_bytes());
    }
    data.push(b'\n');
    data.extend_from_slice(commit.message);
    data
}

/// The commit whose projection a commit says it is; it may be wrong.
pub(crate) fn projected_of(commit: &[u8]) -> Option<Id> {
    let commit = CommitRef::from_bytes(commit, gix::hash::Kind::Sha256).ok()?;
    let (_, value) = commit.extra_headers.iter().find(|(key, _)| *key == HEADER)?;
    Id::from_hex(value).ok()
}

//! Marking: all objects and contents that can be reached from some ids.

use std::collections::HashSet;
use std::path::PathBuf;

use gix::objs::{CommitRefIter, FindExt, Kind, TagRefIter, TreeRefIter};

use crate::store::content_path;
use crate::{Error, Id, Result, Store};

/// What was reached.
pub(crate) struct Marker {
    objects: gix::OdbHandle,
    content_dir: PathBuf,
    reached: HashSet<Id>,
    /// The manifests of images among it.
    manifests: HashSet<Id>,
    buffer: Vec<u8>,
}

impl Marker {
    pub(crate) fn new(store: &Store) -> Self {
        let (objects, content_dir) = (store.repo().objects.clone(), store.content_dir());
        Self { objects, content_dir, reached: HashSet::new(), manifests: HashSet::new(), buffer: Vec::new() }
    }

    pub(crate) fn contains(&self, id: &Id) -> bool {
        self.reached.contains(id)
    }

    /// The manifests of the images that were reached.
    pub(super) fn manifests(&self) -> impl Iterator<Item = &Id> {
        self.manifests.iter()
    }

    /// Mark all that `tip` needs. Something missing or unreadable is an error: what it needs is unknown.
    pub(super) fn mark(&mut self, tip: Id) -> Result<()> {
        self.walk(tip, |_| false, true)
    }

    /// Mark all that `tip` needs and that is still there, except what `elsewhere` has.
    pub(crate) fn mark_rest(&mut self, tip: Id, elsewhere: impl Fn(&Id) -> bool) -> Result<()> {
        self.walk(tip, elsewhere, false)
    }

    /// Whether the object is there at all.
    pub(super) fn exists(&self, id: &Id) -> bool {
        use gix::objs::Exists;
        self.objects.exists(id)
    }

    fn walk(&mut self, tip: Id, elsewhere: impl Fn(&Id) -> bool, strict: bool) -> Result<()> {
        let mut waiting = vec![tip];
        let mut buffer = std::mem::take(&mut self.buffer);
        while let Some(id) = waiting.pop() {
            if elsewhere(&id) || !self.reached.insert(id) {
                continue;
            }
            let found = match self.objects.find(&id, &mut buffer) {
                Ok(found) => {
                    self.manifests.extend((found.kind == Kind::Tree).then(|| manifest(found.data)).flatten());
                    needs(found.kind, found.data, &mut waiting, &mut self.reached, &elsewhere)
                }
                // A name or tag of a file's bytes.
                Err(_) if self.content_dir.join(content_path(&id)).exists() => Ok(()),
                Err(error) => Err(error.to_string()),
            };
            match found {
                Err(why) if strict => {
                    self.reached.remove(&id);
                    return Err(Error::damaged(format!("object {id}"), why));
                }
                _ => {}
            }
        }
        self.buffer = buffer;
        Ok(())
    }
}

/// The manifest in the tree of a commit. Nobody else has a reason to lay out a tree so.
fn manifest(tree: &[u8]) -> Option<Id> {
    let entries = || TreeRefIter::from_bytes(tree, gix::hash::Kind::Sha256).filter_map(Result::ok);
    let has = |name: &str| entries().any(|entry| entry.filename == name && entry.mode.is_tree());
    let found = entries().find(|entry| entry.filename == "manifest" && entry.mode.is_blob())?.oid.to_owned();
    (has("rootfs") && has("meta") && has("times")).then_some(found)
}

/// What an object needs: objects that need others in turn go to `waiting`, blobs are marked at once and unread.
fn needs(
    kind: Kind,
    data: &[u8],
    waiting: &mut Vec<Id>,
    reached: &mut HashSet<Id>,
    elsewhere: &impl Fn(&Id) -> bool,
) -> Result<(), String> {
    let hash = gix::hash::Kind::Sha256;
    let failed = |error: &dyn std::fmt::Display| error.to_string();
    match kind {
        Kind::Blob => {}
        Kind::Tag => waiting.push(TagRefIter::from_bytes(data, hash).target_id().map_err(|e| failed(&e))?),
        Kind::Commit => {
            waiting.push(CommitRefIter::from_bytes(data, hash).tree_id().map_err(|e| failed(&e))?);
            waiting.extend(CommitRefIter::from_bytes(data, hash).parent_ids());
        }
        Kind::Tree => {
            for entry in TreeRefIter::from_bytes(data, hash) {
                let entry = entry.map_err(|e| failed(&e))?;
                let id = entry.oid.to_owned();
                if entry.mode.is_tree() {
                    waiting.push(id);
                } else if !entry.mode.is_commit() && !elsewhere(&id) {
                    reached.insert(id);
                }
            }
        }
    }
    Ok(())
}

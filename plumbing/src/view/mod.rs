//! What a client of git's protocol sees of a store: its refs and objects, and beside them *projected* commits, whose tree
//! is the `rootfs` of an image's commit, so that a clone holds the image's files (`docs/format.md`, "Projected commits").
//!
//! Projected commits are made when they are asked for and are nowhere on disk.

mod names;
mod project;

use std::cell::RefCell;

use gix::bstr::ByteSlice;
use gix::objs::Kind;

use project::Projection;
pub(crate) use project::{GIT_TREE, encode_commit, projected_of};

use crate::store::refs::{IMAGES, Value};
use crate::{Error, Id, ImageName, Result, Store};

/// Which part of a store is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// All its refs, and a branch with projected commits for each image.
    Store,
    /// One repository of images: a branch with projected commits for each tag, or for one tag alone.
    Repository {
        /// The repository; the name's own tag doesn't matter.
        name: ImageName,
        /// The tag that is shown alone.
        tag: Option<String>,
    },
}

/// A store as a client sees it.
pub struct View<'s> {
    store: &'s Store,
    scope: Scope,
    projection: RefCell<Projection>,
}

/// A ref as a client sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewRef {
    /// The full name.
    pub name: String,
    /// What it points at; a projected commit where the branch is an image's.
    pub id: Id,
    /// The ref that a symbolic one names.
    pub target: Option<String>,
}

/// What HEAD is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The commit, unless the branch isn't there.
    pub id: Option<Id>,
    /// The branch; `None` where HEAD names a commit by itself.
    pub target: Option<String>,
}

impl<'s> View<'s> {
    /// A view of `store`. An ordinary repository has no images, and shows its refs alone.
    pub fn new(store: &'s Store, scope: Scope) -> Self {
        Self { store, scope, projection: RefCell::default() }
    }

    /// The store that is looked at.
    pub fn store(&self) -> &'s Store {
        self.store
    }

    /// The part of it that is shown.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The image whose projected commits the branch `name` (`refs/heads/…`) shows; `None` where it is no image's.
    ///
    /// The image need not exist.
    pub fn image_of(&self, name: &str) -> Option<ImageName> {
        names::image(&self.scope, name)
    }

    /// All refs but HEAD whose names are `wanted`, sorted.
    pub fn refs(&self, wanted: impl Fn(&str) -> bool) -> Result<Vec<ViewRef>> {
        let mut list = if self.scope == Scope::Store { self.own_refs(&wanted)? } else { Vec::new() };
        let own: std::collections::HashSet<String> = list.iter().map(|found| found.name.clone()).collect();
        for (image, id) in self.images()? {
            let branch = names::branch(&self.scope, &image);
            let Some(name) = branch.filter(|name| wanted(name) && !own.contains(name)) else { continue };
            match self.project(id) {
                Ok(id) => list.push(ViewRef { name, id, target: None }),
                // What isn't an image's commit can't be shown as one.
                Err(Error::Invalid { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        list.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(list)
    }

    /// The refs that the store has itself.
    fn own_refs(&self, wanted: &impl Fn(&str) -> bool) -> Result<Vec<ViewRef>> {
        let mut list = Vec::new();
        for found in self.store.refs_below("")? {
            let name = found.name.to_string();
            if !wanted(&name) {
                continue;
            }
            let (id, target) = match found.value {
                Value::Id(id) => (Some(id), None),
                Value::Symbolic(target) => {
                    let end = self.store.follow_ref(found.name.as_bstr())?;
                    (end.map(|(_, id)| id), Some(target.to_string()))
                }
                Value::Broken => return Err(Error::damaged(format!("ref '{name}'"), "its file holds no id")),
            };
            list.extend(id.map(|id| ViewRef { name, id, target }));
        }
        Ok(list)
    }

    /// The images in sight, with their commits.
    fn images(&self) -> Result<Vec<(ImageName, Id)>> {
        let list = self.store.list_refs(IMAGES)?;
        let named = list.into_iter().filter_map(|(name, id)| Some((ImageName::from_ref(&name)?, id)));
        Ok(named.filter(|(name, _)| names::branch(&self.scope, name).is_some()).collect())
    }

    /// The branch that a clone checks out: the store's own HEAD where that is born, else `latest` of the repository, else the
    /// image whose name moved last.
    pub fn head(&self) -> Result<Head> {
        let head = self.store.repo().head().map_err(Error::git("read HEAD"))?;
        let target = head.referent_name().map(|name| name.as_bstr().to_string());
        if let (Scope::Store, Some(id)) = (&self.scope, head.id()) {
            return Ok(Head { id: Some(id.detach()), target });
        }
        let images = self.images()?;
        let tag = match &self.scope {
            Scope::Repository { tag, .. } => Some(tag.as_deref().unwrap_or("latest")),
            Scope::Store => None,
        };
        let named = images.iter().find(|(name, _)| Some(name.tag()) == tag);
        match named.or_else(|| images.iter().max_by_key(|(name, _)| self.moved_at(name))) {
            Some((image, id)) => Ok(Head { id: self.project(*id).ok(), target: names::branch(&self.scope, image) }),
            None => Ok(Head { id: None, target }),
        }
    }

    /// When the name of an image moved last.
    fn moved_at(&self, image: &ImageName) -> Option<std::time::SystemTime> {
        std::fs::metadata(self.store.dir().join("logs").join(image.to_ref())).and_then(|log| log.modified()).ok()
    }

    /// The projected commit of the image's commit `image`.
    pub fn project(&self, image: Id) -> Result<Id> {
        self.projection.borrow_mut().of(self.store, image)
    }

    /// The image's commit whose projection is `id`, as far as projections were made.
    pub fn image_commit(&self, id: &Id) -> Option<Id> {
        self.projection.borrow().get(id).map(|projected| projected.image)
    }

    /// Whether the object can be read.
    pub fn has(&self, id: &Id) -> bool {
        self.projection.borrow().get(id).is_some() || self.store.has(id)
    }

    /// As [`has`](Self::has), also for projected commits that weren't asked for yet.
    pub fn look_for(&self, id: &Id) -> Result<bool> {
        if self.has(id) {
            return Ok(true);
        }
        self.refs(|name| name.starts_with("refs/heads/"))?;
        Ok(self.has(id))
    }

    /// The kind and size of an object; `None` where it is missing.
    pub fn header(&self, id: &Id) -> Result<Option<(Kind, u64)>> {
        if let Some(projected) = self.projection.borrow().get(id) {
            return Ok(Some((Kind::Commit, projected.data.len() as u64)));
        }
        self.store.find_header(id)
    }

    /// The bytes of an object of this kind.
    pub fn read(&self, id: &Id, kind: Kind) -> Result<Vec<u8>> {
        if kind == Kind::Commit
            && let Some(projected) = self.projection.borrow().get(id)
        {
            return Ok(projected.data.clone());
        }
        self.store.read_object(id, kind)
    }

    /// What a tag leads to; `None` for anything but a tag.
    pub fn peeled(&self, id: Id) -> Option<Id> {
        let header = self.store.repo().find_header(id).ok()?;
        let is_tag = header.kind() == Kind::Tag;
        is_tag.then(|| Some(self.store.repo().find_object(id).ok()?.peel_tags_to_end().ok()?.id)).flatten()
    }
}

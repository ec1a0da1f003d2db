//! Entries of a layer as edits of a root, with the meaning that the OCI image specification (layer.md) gives them.
//!
//! Paths are resolved inside the root as an unpacker confined to it would: a symbolic link among the folders of a path
//! is followed, and can't lead out. Whiteouts hide what lower layers have, whatever their place in the archive.

use std::collections::HashMap;

use gix::bstr::{BStr, BString, ByteSlice};

use super::Form;
use super::entry::refused;
use super::path;
use crate::root::{Attrs, Kind, Leaf, Node, Root, Time, join_path, split_path};
use crate::store::Batch;
use crate::{Error, Id, Result, Store};

/// What whiteouts begin with (layer.md).
pub(super) const WHITEOUT: &[u8] = b".wh.";
/// An opaque folder hides all that lower layers have in it.
const OPAQUE: &[u8] = b".wh..wh..opq";
/// Whiteouts of whiteouts: in the top folder aufs kept its own files under such names.
const AUFS: &[u8] = b".wh..wh.";

/// As many links as Linux follows in one path (path_resolution(7)).
const LINKS: usize = 40;

/// A path that the layer brought: by an entry of its own, or by one below it.
#[derive(Debug, Clone, Copy, Default)]
struct Touch {
    entry: bool,
    /// A whiteout hid what lower layers had here, attributes included.
    hidden: bool,
    /// An opaque whiteout hid what lower layers had in it.
    emptied: bool,
}

/// An entry with its bytes stored.
pub(super) enum Edit {
    Dir {
        attrs: Attrs,
        mtime: Time,
    },
    Leaf(Leaf),
    /// A further name of the file of this name.
    Link(BString),
}

/// A root under the edits of a layer.
pub(super) struct Applier<'a> {
    root: &'a mut Root,
    form: Form,
    /// What this layer brought, where there are lower layers that it must be told from.
    touched: Option<HashMap<BString, Touch>>,
    links: &'a mut Targets,
}

/// The targets of the links of layers that may not be in the store yet.
#[derive(Debug, Default)]
pub(super) struct Targets(HashMap<Id, BString>);

impl Targets {
    /// Write a link's target and remember it.
    pub(super) fn write(&mut self, target: BString, batch: &mut Batch<'_>) -> Result<Id> {
        let id = batch.write_blob(&target)?;
        self.0.entry(id).or_insert(target);
        Ok(id)
    }

    fn read(&self, store: &Store, id: &Id) -> Result<BString> {
        match self.0.get(id) {
            Some(target) => Ok(target.clone()),
            None => Ok(store.read_object(id, gix::objs::Kind::Blob)?.into()),
        }
    }
}

/// What a folder that no layer describes looks like: as in a root that `mkdir -p` made, but at no particular time.
pub(crate) fn implied() -> (Attrs, Time) {
    (Attrs { mode: 0o755, ..Attrs::default() }, Time { sec: 0, nsec: 0 })
}

impl<'a> Applier<'a> {
    pub(super) fn new(root: &'a mut Root, form: Form, links: &'a mut Targets) -> Self {
        let lower = form == Form::Layer && !root.top().is_empty();
        Self { root, form, touched: lower.then(HashMap::new), links }
    }

    /// The targets of links.
    pub(super) fn targets(&mut self) -> &mut Targets {
        self.links
    }

    /// The root.
    pub(super) fn root(&self) -> &Root {
        self.root
    }

    /// Make the edit that the entry `name` stands for.
    pub(super) fn apply(&mut self, store: &Store, name: &BStr, edit: Edit) -> Result<()> {
        let refuse = |why: String| refused(name, why);
        let parsed = path::parse(name).map_err(refuse)?;
        if self.form == Form::Layer && self.whiteout(store, name, &parsed)? {
            return Ok(());
        }
        let (folder, last) = split_path(parsed.as_bstr());
        let folder = self.folder(store, name, folder, true)?.expect("because missing folders were made");
        let path = join_path(folder.as_bstr(), last);
        path::check(path.as_bstr()).map_err(refuse)?;
        let placed = match edit {
            Edit::Dir { attrs, mtime } => self.root.put_dir(store, path.as_bstr(), attrs, mtime)?,
            _ if path.is_empty() => return Err(refused(name, "the root can only be a folder")),
            Edit::Leaf(leaf) => self.root.put_leaf(store, path.as_bstr(), leaf)?,
            Edit::Link(target) => self.link(store, name, &target, &path)?,
        };
        assert!(placed, "because the folder of {path:?} was resolved");
        self.touch(&path);
        Ok(())
    }

    fn link(&mut self, store: &Store, name: &BStr, target: &BString, path: &BString) -> Result<bool> {
        let missing =
            || refused(name, format!("it is a link to '{}', which is no file here", path::shown(target.as_bstr())));
        let parsed = path::parse(target.as_bstr())
            .map_err(|why| refused(name, format!("target '{}': {why}", path::shown(target.as_bstr()))))?;
        let (folder, last) = split_path(parsed.as_bstr());
        let folder = self.folder(store, name, folder, false)?.ok_or_else(missing)?;
        let existing = join_path(folder.as_bstr(), last);
        if existing.strip_prefix(path.as_slice()).is_some_and(|rest| rest.starts_with(b"/")) {
            return Err(refused(name, "it would replace the folder that its target is in"));
        }
        if !matches!(self.root.get(store, existing.as_bstr())?, Some(Node::Leaf(_))) {
            return Err(missing());
        }
        self.root.link(store, existing.as_bstr(), path.as_bstr())
    }

    /// Hide what the entry says is to be hidden. False where it is no whiteout.
    fn whiteout(&mut self, store: &Store, name: &BStr, parsed: &BString) -> Result<bool> {
        let (folder, last) = split_path(parsed.as_bstr());
        if parsed.starts_with(AUFS) && parsed != OPAQUE {
            return Ok(true);
        }
        if folder.split_str("/").any(|component| component.starts_with(WHITEOUT)) {
            return Err(refused(name, "a whiteout is no folder"));
        }
        let Some(hidden) = last.strip_prefix(WHITEOUT) else { return Ok(false) };
        if matches!(hidden, b"" | b"." | b"..") {
            return Err(refused(name, "it is a whiteout of nothing"));
        }
        let opaque = last == OPAQUE;
        let Some(folder) = self.folder(store, name, folder, opaque)? else { return Ok(true) };
        if opaque {
            self.touch_implied(&folder);
            self.hide_below(store, &folder)?;
        } else {
            self.hide(store, vec![join_path(folder.as_bstr(), hidden.as_bstr())])?;
        }
        Ok(true)
    }

    /// Remove what lower layers have at and below `paths`. What this layer brought stays, whatever the order of entries; a
    /// folder that it only implied loses the attributes that a lower layer gave it.
    fn hide(&mut self, store: &Store, mut paths: Vec<BString>) -> Result<()> {
        // Without lower layers there is nothing to hide.
        let Some(touched) = &mut self.touched else { return Ok(()) };
        // A stack of our own, not the machine's: folders may be very deep.
        while let Some(path) = paths.pop() {
            let Some(touch) = touched.get_mut(&path) else {
                self.root.remove(store, path.as_bstr())?;
                continue;
            };
            let Some(dir) = self.root.dir(store, path.as_bstr())? else { continue };
            // Hidden once, a folder has nothing of lower layers any more.
            if std::mem::replace(&mut touch.hidden, true) {
                continue;
            }
            paths.extend(dir.names().into_iter().map(|name| join_path(path.as_bstr(), name.as_bstr())));
            if !touch.entry {
                let (attrs, mtime) = implied();
                self.root.put_dir(store, path.as_bstr(), attrs, mtime)?;
            }
        }
        Ok(())
    }

    /// Remove what lower layers have in `folder`.
    fn hide_below(&mut self, store: &Store, folder: &BString) -> Result<()> {
        let Some(touched) = &mut self.touched else { return Ok(()) };
        let touch = touched.entry(folder.clone()).or_default();
        if std::mem::replace(&mut touch.emptied, true) {
            return Ok(());
        }
        let dir = self.root.dir(store, folder.as_bstr())?.expect("because it was resolved");
        let paths = dir.names().into_iter().map(|name| join_path(folder.as_bstr(), name.as_bstr())).collect();
        self.hide(store, paths)
    }

    /// Note that the layer brought `path`.
    fn touch(&mut self, path: &BString) {
        let Some(touched) = &mut self.touched else { return };
        touched.entry(path.clone()).or_default().entry = true;
        let folder = split_path(path.as_bstr()).0.to_owned();
        self.touch_implied(&folder);
    }

    fn touch_implied(&mut self, folder: &BString) {
        let Some(touched) = &mut self.touched else { return };
        let mut folder = folder.as_bstr();
        // What is noted has its folders noted too.
        while !folder.is_empty() && !touched.contains_key(folder) {
            touched.insert(folder.to_owned(), Touch::default());
            folder = split_path(folder).0;
        }
    }

    /// The folder that `path` leads to inside the root, following links; `None` where it doesn't exist and isn't to be made.
    fn folder(&mut self, store: &Store, name: &BStr, path: &BStr, make: bool) -> Result<Option<BString>> {
        if self.root.dir(store, path)?.is_some() {
            return Ok(Some(path.to_owned()));
        }
        let mut todo: Vec<BString> = path.split(|byte| *byte == b'/').rev().map(BString::from).collect();
        let mut at = BString::default();
        let mut links = 0;
        while !todo.is_empty() {
            match self.walk(store, name, &mut at, &mut todo)? {
                Step::Arrived => break,
                Step::Up => {}
                Step::Missing if !make => return Ok(None),
                Step::Missing => self.make_folders(store, name, &mut at, &mut todo)?,
                Step::Link(target) => {
                    links += 1;
                    if links > LINKS {
                        return Err(refused(name, "too many symbolic links lead to its folder"));
                    }
                    if target.starts_with(b"/") {
                        at.clear();
                    }
                    todo.extend(
                        target
                            .split(|byte| *byte == b'/')
                            .rev()
                            .filter(|part| !matches!(*part, b"" | b"."))
                            .map(BString::from),
                    );
                }
            }
        }
        Ok(Some(at))
    }

    /// Go from the folder `at` along `todo`, whose next component is its last, as far as there are folders.
    fn walk(&mut self, store: &Store, name: &BStr, at: &mut BString, todo: &mut Vec<BString>) -> Result<Step> {
        let links = &*self.links;
        let mut dir = self.root.dir(store, at.as_bstr())?.expect("because it was walked to");
        while let Some(component) = todo.last() {
            if component == ".." {
                todo.pop();
                *at = split_path(at.as_bstr()).0.to_owned();
                return Ok(Step::Up);
            }
            match dir.get(store, component.as_bstr())? {
                None => return Ok(Step::Missing),
                Some(Node::Dir(next)) => {
                    *at = join_path(at.as_bstr(), component.as_bstr());
                    todo.pop();
                    dir = next;
                }
                Some(Node::Leaf(Leaf { kind: Kind::Symlink { id }, .. })) => {
                    let target = links.read(store, id)?;
                    todo.pop();
                    return Ok(Step::Link(target));
                }
                Some(Node::Leaf(_)) => {
                    let path = join_path(at.as_bstr(), component.as_bstr());
                    return Err(refused(name, format!("'{}' is no folder", path::shown(path.as_bstr()))));
                }
            }
        }
        Ok(Step::Arrived)
    }

    /// Make the next of the missing folders.
    fn make_folders(&mut self, store: &Store, name: &BStr, at: &mut BString, todo: &mut Vec<BString>) -> Result<()> {
        while let Some(component) = todo.last().filter(|component| *component != "..") {
            *at = join_path(at.as_bstr(), component.as_bstr());
            if component.len() > 255 || component.contains(&0) {
                return Err(refused(name, "a symbolic link leads to an impossible name"));
            }
            path::check(at.as_bstr()).map_err(|why| refused(name, why))?;
            let (attrs, mtime) = implied();
            let made = self.root.put_dir(store, at.as_bstr(), attrs, mtime)?;
            assert!(made, "because the folder above exists");
            todo.pop();
        }
        Ok(())
    }
}

/// How far a walk came.
enum Step {
    Arrived,
    Missing,
    /// `..` was taken off the way.
    Up,
    /// A link with this target was taken off the way.
    Link(BString),
}

/// Refuse what would take hours to hash.
pub(super) fn check_holes(name: &BStr, holes: u64, left: u64) -> Result<()> {
    if holes > left {
        return Err(Error::Refused {
            entry: path::shown(name),
            why: format!("it has {holes} bytes of holes; an archive may have {} altogether", super::HOLES),
        });
    }
    Ok(())
}

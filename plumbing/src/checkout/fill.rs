//! Making the entries of a root in a folder.

use std::collections::{BTreeSet, HashMap};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use gix::bstr::{BStr, BString, ByteSlice};
use rustix::fs::{AtFlags, FileType, Mode};
use rustix::io::Errno;

use super::threads::{Job, Threads};
use super::{Manner, attributes, display, open_below};
use crate::root::{Attrs, Kind, Leaf, Part, RootIds, Time, join_path, read_folder, split_path};
use crate::{Error, Result, Store};

/// A folder in which all is made that is no folder's own attributes.
pub(super) struct Filled {
    /// The folders, each before those in it: their attributes come last, since to make an entry changes a folder's time.
    folders: Vec<(BString, Attrs, Time)>,
}

/// Make what is in `part` in the folder `top`.
pub(super) fn fill(store: &Store, part: &Part, top: &OwnedFd, manner: Manner) -> Result<Filled> {
    let threads = Threads::start(store, manner.purpose);
    let filler = Filler { store, part, top, manner, threads };
    let mut links = Links::default();
    let mut folders = Vec::new();
    let mut todo = vec![(BString::default(), part.ids)];
    while let Some((path, ids)) = todo.pop()
        && filler.threads.are_well()
    {
        folders.push(filler.folder(path, &ids, &mut todo, &mut links)?);
    }
    let Filler { threads, .. } = filler;
    threads.finish()?;
    links.make(top, manner)?;
    Ok(Filled { folders })
}

impl Filled {
    /// Give the folders their attributes, the top folder last.
    pub(super) fn finish(self, top: &OwnedFd, manner: Manner) -> Result<()> {
        for (path, attrs, mtime) in self.folders.into_iter().rev() {
            open_below(top, path.as_bstr())
                .and_then(|folder| {
                    if manner.force || path.is_empty() {
                        attributes::drop_others(&folder, &attrs)?;
                    }
                    attributes::apply(&folder, &attrs, mtime, manner.purpose)
                })
                .map_err(|errno| Error::io("set the attributes of", display(path.as_bstr()))(errno.into()))?;
        }
        Ok(())
    }
}

struct Filler<'a> {
    store: &'a Store,
    part: &'a Part,
    top: &'a OwnedFd,
    manner: Manner,
    threads: Threads,
}

impl Filler<'_> {
    /// Make what is in the folder at `path`, which exists. Its folders are made empty and go on the list.
    fn folder(
        &self,
        path: BString,
        ids: &RootIds,
        todo: &mut Vec<(BString, RootIds)>,
        links: &mut Links,
    ) -> Result<(BString, Attrs, Time)> {
        let failed = |verb, path: &BStr| {
            let path = display(path);
            move |errno: Errno| Error::io(verb, path)(errno.into())
        };
        let folder = read_folder(self.store, ids)?;
        let dir = Arc::new(open_below(self.top, path.as_bstr()).map_err(failed("open", path.as_bstr()))?);
        attributes::inherit_nothing(&dir).map_err(failed("change the default ACL of", path.as_bstr()))?;
        for (name, leaf) in folder.leaves {
            let path = join_path(path.as_bstr(), name.as_bstr());
            if let Some(first) = self.part.hardlinks.group(path.as_bstr()).and_then(BTreeSet::first)
                && !links.is_first(first, &path)
            {
                continue;
            }
            self.leaf(&dir, name, path, leaf)?;
        }
        for (name, ids) in folder.dirs {
            let path = join_path(path.as_bstr(), name.as_bstr());
            make_folder(&dir, name.as_bstr(), self.manner.force).map_err(failed("create", path.as_bstr()))?;
            todo.push((path, ids));
        }
        Ok((path, folder.attrs, folder.mtime))
    }

    fn leaf(&self, dir: &Arc<OwnedFd>, name: BString, path: BString, leaf: Leaf) -> Result<()> {
        let failed = |errno: Errno| Error::io("create", display(path.as_bstr()))(errno.into());
        if self.manner.force {
            clear_way(dir, name.as_bstr()).map_err(failed)?;
        }
        let node = |kind, major, minor| make_node(dir, name.as_bstr(), &leaf, kind, (major, minor), self.manner);
        match leaf.kind {
            Kind::File { id, size } => {
                let Leaf { attrs, mtime, .. } = leaf;
                return self.threads.make(self.store, Job { dir: dir.clone(), name, path, id, size, attrs, mtime });
            }
            Kind::Symlink { id } => {
                let target = self.store.read_object(&id, gix::objs::Kind::Blob)?;
                rustix::fs::symlinkat(target, dir, name.as_bytes())
                    .and_then(|()| attributes::apply_by_name(dir, name.as_bstr(), &leaf, true, self.manner.purpose))
            }
            Kind::Char { major, minor } => node(FileType::CharacterDevice, major, minor),
            Kind::Block { major, minor } => node(FileType::BlockDevice, major, minor),
            Kind::Fifo => node(FileType::Fifo, 0, 0),
            Kind::Socket => node(FileType::Socket, 0, 0),
        }
        .map_err(failed)
    }
}

fn make_node(
    dir: &OwnedFd,
    name: &BStr,
    leaf: &Leaf,
    kind: FileType,
    (major, minor): (u32, u32),
    manner: Manner,
) -> rustix::io::Result<()> {
    let device = rustix::fs::makedev(major, minor);
    rustix::fs::mknodat(dir, name.as_bytes(), kind, Mode::RUSR | Mode::WUSR, device)?;
    attributes::apply_by_name(dir, name, leaf, false, manner.purpose)
}

/// Make a folder; by force one that is there is kept, and anything else in the way removed.
fn make_folder(dir: &OwnedFd, name: &BStr, force: bool) -> rustix::io::Result<()> {
    let make = || rustix::fs::mkdirat(dir, name.as_bytes(), Mode::RWXU);
    match make() {
        Err(Errno::EXIST) if force => {
            let stat = rustix::fs::statat(dir, name.as_bytes(), AtFlags::SYMLINK_NOFOLLOW)?;
            if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                return Ok(());
            }
            clear_way(dir, name)?;
            make()
        }
        other => other,
    }
}

/// Remove what is no folder at `name`; a folder stays, and is an error.
fn clear_way(dir: &OwnedFd, name: &BStr) -> rustix::io::Result<()> {
    match rustix::fs::unlinkat(dir, name.as_bytes(), AtFlags::empty()) {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}

/// Further names of files, made when all files are.
#[derive(Default)]
struct Links {
    /// The path that is made first of each group, by the group's first path in byte order.
    first: HashMap<BString, BString>,
    /// That path, and another name of it.
    more: Vec<(BString, BString)>,
}

impl Links {
    /// Whether `path` is the first of its group to be made; if not, it becomes a further name.
    fn is_first(&mut self, group: &BString, path: &BString) -> bool {
        match self.first.get(group) {
            None => {
                self.first.insert(group.clone(), path.clone());
                true
            }
            Some(existing) => {
                self.more.push((existing.clone(), path.clone()));
                false
            }
        }
    }

    fn make(self, top: &OwnedFd, manner: Manner) -> Result<()> {
        for (existing, path) in self.more {
            let (from, from_name) = split_path(existing.as_bstr());
            let (to, to_name) = split_path(path.as_bstr());
            open_below(top, from)
                .and_then(|from| {
                    let to = open_below(top, to)?;
                    if manner.force {
                        clear_way(&to, to_name)?;
                    }
                    rustix::fs::linkat(&from, from_name.as_bytes(), &to, to_name.as_bytes(), AtFlags::empty())
                })
                .map_err(|errno| Error::io("create", display(path.as_bstr()))(errno.into()))?;
        }
        Ok(())
    }
}

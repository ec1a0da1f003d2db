//! Images mounted for people and scripts: read-only, in the caller's mount namespace.
//!
//! A mount is the kernel's; what rd keeps beside it is a note, so that a collection knows what is in use. A note counts
//! only while there is such a mount, in whatever namespace: nothing has to be cleared up after a crash.

mod mountinfo;
mod note;

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use plumbing::bstr::BString;
use plumbing::root::Part;
use plumbing::{Id, Store};
use rustix::mount::UnmountFlags;

use crate::container::{Containers, lower_of};
use crate::rootfs::{self, StrategyCache};
use crate::{Error, IoResultExt, Result};

use mountinfo::Mount;
use note::{Draft, Note};

/// What overlayfs shows as the source of rd's mounts, in front of the note's name.
const SOURCE: &str = "rd:";

/// What is to be mounted.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// The tree of the commit whose root it is or is in.
    pub tree: Id,
    /// The root, or a folder of it.
    pub part: &'a Part,
    /// How the user spelled it.
    pub revision: BString,
}

/// A mount that is in use, somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mounted {
    /// The tree of the commit whose root it is or is in: nothing that this needs may be removed.
    pub tree: Id,
    /// The name of its image in the store's `mounts/` (there with `.erofs` behind it, or a folder).
    pub image: Id,
    /// How the user spelled what was mounted; another commit may have that name by now.
    pub revision: BString,
    /// Where it was mounted.
    pub target: PathBuf,
}

/// Mount a root on the folder `target`, read-only, without devices and setuid bits coming to life.
pub fn mount(store: &Store, request: &Request<'_>, target: &Path) -> Result<()> {
    let target = std::fs::canonicalize(target).on("mount on", target)?;
    if !target.is_dir() {
        return Err(Error::io("mount on", &target, rustix::io::Errno::NOTDIR));
    }
    sweep(store)?;
    let image = request.part.name(store)?;
    let mounted = Mounted { tree: request.tree, image, revision: request.revision.clone(), target: target.clone() };
    let draft = Draft::create(store, &mounted)?;
    let lower = lower_of(store, request.part)?;
    let cache = StrategyCache::new(store.mounts_dir().join("strategy"));
    let empty = Containers::open(store.dir())?.empty_folder();
    rootfs::mount_read_only(&lower, &format!("{SOURCE}{}", draft.name()), &target, &empty, &cache)?;
    draft.keep()
}

/// Unmount what rd mounted on `target`. `Invalid` where that is something else; with `lazy` also what is busy, which
/// then lives until nobody uses it any more.
pub fn unmount(store: &Store, target: &Path, lazy: bool) -> Result<()> {
    let target = std::fs::canonicalize(target).on("unmount", target)?;
    let refuse = |why| Err(Error::invalid("mount point", target.display(), why));
    let mounts = mountinfo::own()?;
    // Of several mounts on one folder the last one is seen.
    let Some(top) = mounts.iter().rfind(|mount| mount.target.as_slice() == target.as_os_str().as_bytes()) else {
        return refuse("nothing is mounted there");
    };
    let Some(name) = note_name(top) else { return refuse("what is mounted there is none of rd's") };
    if Note::open(store, name)?.is_none() {
        return refuse("it was mounted from another store");
    }
    let flags = if lazy { UnmountFlags::DETACH } else { UnmountFlags::empty() };
    rustix::mount::unmount(&target, flags | UnmountFlags::NOFOLLOW).on("unmount", &target)?;
    sweep(store)
}

/// The mounts of this store that the caller sees, in the order in which they were made.
pub fn list(store: &Store) -> Result<Vec<Mounted>> {
    sweep(store)?;
    let mut found = Vec::new();
    for mount in mountinfo::own()? {
        if let Some(name) = note_name(&mount)
            && let Some(note) = Note::open(store, name)?
        {
            // Seen through another mount it may be elsewhere.
            let target = PathBuf::from(std::ffi::OsStr::from_bytes(&mount.target));
            found.extend(note.read()?.map(|mounted| Mounted { target, ..mounted }));
        }
    }
    Ok(found)
}

/// All mounts of this store that anybody may be using: what a collection must keep.
pub fn in_use(store: &Store) -> Result<Vec<Mounted>> {
    let mut found = Vec::new();
    sweep_with(store, &mut |mounted| found.push(mounted))?;
    Ok(found)
}

fn sweep(store: &Store) -> Result<()> {
    sweep_with(store, &mut |_| {})
}

/// Remove the notes whose mounts are gone; tell of the others.
fn sweep_with(store: &Store, see: &mut dyn FnMut(Mounted)) -> Result<()> {
    let mut everywhere = None;
    for name in note::names(store)? {
        let Some(note) = Note::open(store, &name)? else { continue };
        let Some(locked) = note.try_lock()? else {
            // It is being mounted.
            note.read()?.into_iter().for_each(&mut *see);
            continue;
        };
        let mounted = locked.read_of_this_boot()?;
        let lives = match &mounted {
            None => false,
            Some(mounted) if is_busy(store, &mounted.image) => true,
            Some(_) => {
                let mounts = match &everywhere {
                    Some(mounts) => mounts,
                    None => everywhere.insert(mountinfo::everywhere()?),
                };
                mounts.iter().any(|mount| note_name(mount) == Some(&name))
            }
        };
        match mounted {
            Some(mounted) if lives => see(mounted),
            _ => locked.remove()?,
        }
    }
    Ok(())
}

/// The name of the note of a mount of rd's.
fn note_name(mount: &Mount) -> Option<&str> {
    let name = std::str::from_utf8(&mount.source).ok()?.strip_prefix(SOURCE)?;
    (mount.kind == "overlay" && note::is_name(name)).then_some(name)
}

/// Whether the kernel has the image open: some mount of it lives, in whatever namespace.
fn is_busy(store: &Store, image: &Id) -> bool {
    let path = store.mounts_dir().join(format!("{image}.erofs"));
    std::fs::File::open(path).is_ok_and(|file| crate::sys::is_open_elsewhere(&file) == Some(true))
}

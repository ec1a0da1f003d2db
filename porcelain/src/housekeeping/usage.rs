//! What takes the room of a store: `rd system df`.

use std::collections::{HashMap, HashSet};

use plumbing::{Id, Store, gc};

use super::{caches, prune};
use crate::container::{Container, Containers, State};
use crate::image::facts::Facts;
use crate::image::{self, Image};
use crate::{IoResultExt, Result};

/// Things of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Share {
    /// How many there are.
    pub total: usize,
    /// How many are in use.
    pub active: usize,
    /// What they take on the disk, in bytes.
    pub size: u64,
    /// What of that could be freed.
    pub reclaimable: u64,
}

/// An image and what of its files others have too.
#[derive(Debug)]
pub struct ImageUse {
    /// The image.
    pub image: Image,
    /// Bytes of files that other images have too.
    pub shared: u64,
    /// Bytes of files that it alone has.
    pub unique: u64,
    /// How many containers were made of it.
    pub containers: usize,
}

/// What takes the room.
#[derive(Debug, Default)]
pub struct Usage {
    /// Contents, compressed layers and objects.
    pub images: Share,
    /// What containers changed, and their state.
    pub containers: Share,
    /// Folders of volumes.
    pub volumes: Share,
    /// What is made again when it is missing.
    pub caches: Share,
}

/// Find out what takes the room.
pub fn usage(store: &Store) -> Result<Usage> {
    let containers = Containers::open(store.dir())?.list()?;
    let used = prune::in_use(store, &containers)?;
    let mut facts = Facts::open(store);
    let (images, _) = image::list(store, &mut facts)?;
    facts.save();
    let (kept, all) = gc::content_sizes(store, used.iter().copied())?;
    let packs = folder_size(store, "objects")? + folder_size(store, "blobs")?;
    let images = Share {
        total: images.len(),
        active: images.iter().filter(|image| used.contains(&image.id)).count(),
        size: all + packs,
        reclaimable: all - kept,
    };
    let caches_size = folder_size(store, "mounts")? + folder_size(store, "cache")?;
    let volumes = folder_size(store, "volumes")?;
    let count = |folder: &str| std::fs::read_dir(store.dir().join(folder)).map_or(0, Iterator::count);
    Ok(Usage {
        images,
        containers: container_share(&containers)?,
        volumes: Share {
            total: count("volumes"),
            size: if count("volumes") == 0 { 0 } else { volumes },
            ..Share::default()
        },
        caches: Share { total: count("mounts"), active: 0, size: caches_size, reclaimable: caches_size },
    })
}

fn container_share(containers: &[(Container, State)]) -> Result<Share> {
    let mut share = Share { total: containers.len(), ..Share::default() };
    for (container, state) in containers {
        let size = prune::container_size(container)?;
        share.size += size;
        match state.status.is_alive() {
            true => share.active += 1,
            false => share.reclaimable += size,
        }
    }
    Ok(share)
}

fn folder_size(store: &Store, name: &str) -> Result<u64> {
    let path = store.dir().join(name);
    match path.symlink_metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
        about => caches::size(&path, &about.on("look up", &path)?),
    }
}

/// Each image with what it shares, in the order of `rd images`.
pub fn images(store: &Store) -> Result<Vec<ImageUse>> {
    let containers = Containers::open(store.dir())?.list()?;
    let mut facts = Facts::open(store);
    let (images, _) = image::list(store, &mut facts)?;
    facts.save();
    let mut files: Vec<HashMap<Id, u64>> = Vec::new();
    for image in &images {
        files.push(plumbing::cold::file_sizes(store, &store.read_commit(&image.id)?.state.root.rootfs)?);
    }
    let (mut seen, mut shared): (HashSet<Id>, HashSet<Id>) = Default::default();
    for id in files.iter().flat_map(HashMap::keys) {
        if !seen.insert(*id) {
            shared.insert(*id);
        }
    }
    let with_use = images.into_iter().zip(&files).map(|(image, files)| {
        let sum = |of: bool| files.iter().filter(|(id, _)| shared.contains(*id) == of).map(|(_, size)| size).sum();
        let id = image.id.to_string();
        let made_of = |(container, _): &&(Container, State)| container.config.base == id;
        let containers = containers.iter().filter(made_of).count();
        ImageUse { shared: sum(true), unique: sum(false), containers, image }
    });
    Ok(with_use.collect())
}

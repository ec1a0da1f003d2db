//! Keeping a store small: `rd gc`, and docker's prune commands on top of it.

pub mod auto;
mod caches;
pub mod cold;
pub mod prune;
pub mod usage;

use std::time::Duration;

use plumbing::blobs::{self, Shrunk};
use plumbing::gc;
use plumbing::{Id, Store};

use crate::container::Containers;
use crate::{Error, Result, mounts, registry};

/// A collection that starts by itself makes compressed layers smaller for so long; the next one goes on.
const SHRINKING: Duration = Duration::from_secs(60);

/// What a collection came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Collected {
    /// Objects, contents, names.
    pub store: gc::Report,
    /// Mountable images and checked-out roots that went, lines of listings, and downloads that broke off.
    pub caches: usize,
    /// What they took on the disk, in bytes.
    pub cache_bytes: u64,
    /// Compressed layers that were made smaller.
    pub shrunk: Shrunk,
    /// Folders of containers that were half made or half removed.
    pub leftovers: usize,
}

impl Collected {
    /// How many bytes the store is smaller.
    pub fn freed(&self) -> u64 {
        self.store.freed() + self.cache_bytes + self.shrunk.freed
    }
}

/// The age at which unneeded things go where nobody says another, as in git: `gc.pruneExpire` of the store's
/// configuration, else two weeks.
pub fn default_cutoff(store: &Store) -> Result<i64> {
    let configured = store.repo().config_snapshot().string("gc.pruneExpire").map(|text| text.to_string());
    Ok(plumbing::date::cutoff(configured.as_deref().unwrap_or("2.weeks.ago"))?)
}

/// Collect garbage; `None` where another collection is at work and the options say not to wait for it.
pub fn collect(store: &Store, options: &gc::Options) -> Result<Option<Collected>> {
    let containers = Containers::open(store.dir())?;
    let mut collected = Collected::default();
    if !options.dry_run {
        collected.leftovers = containers.clear_leftovers()?;
        crate::serve::clear_stale_uploads(store)?;
    }
    // An error of this crate's waits here while the library below sees only that there was one.
    let failure = std::cell::RefCell::new(None);
    let roots = || nameless(store, &containers).map_err(|error| note(&failure, error));
    let report = gc::run(store, options, &roots).map_err(|error| failure.take().unwrap_or_else(|| error.into()))?;
    let Some(report) = report else { return Ok(None) };
    collected.store = report;
    if !options.dry_run {
        let _hold = store.hold()?;
        let time = if options.impatient { SHRINKING } else { Duration::MAX };
        collected.shrunk = blobs::shrink(store, options.cutoff, time)?;
    }
    let cleared = caches::clear(store, &containers, options)?;
    let broken_off = registry::clear(&registry::downloads_dir(store), options.cutoff, options.dry_run)?;
    (collected.caches, collected.cache_bytes) = (cleared.0 + broken_off.0, cleared.1 + broken_off.1);
    Ok(Some(collected))
}

/// What is needed without a name: what containers were made of, and what is mounted.
fn nameless(store: &Store, containers: &Containers) -> Result<Vec<Id>> {
    let mut ids = bases(containers)?;
    ids.extend(mounts::in_use(store)?.into_iter().map(|mounted| mounted.tree));
    Ok(ids)
}

fn note(failure: &std::cell::RefCell<Option<Error>>, error: Error) -> plumbing::Error {
    let what = plumbing::Error::damaged("container", error.to_string());
    failure.replace(Some(error));
    what
}

/// The commits that containers were made of: their roots lie below what the containers changed.
pub(crate) fn bases(containers: &Containers) -> Result<Vec<Id>> {
    containers.configs()?.iter().map(|config| config.base()).collect()
}

//! Collecting garbage: what no name needs goes, beside any other command, and nothing else does.
//!
//! Marking and writing new packs is done while others write. Then, alone and for a moment, what was named meanwhile is
//! marked too, and the new packs take the old ones' place; contents go in small portions, alone each time
//! (`docs/format.md`, "Collecting garbage").

mod blobs;
mod contents;
mod mark;
mod packs;
mod roots;

use std::collections::HashSet;
use std::path::PathBuf;

pub(crate) use mark::Marker;
use packs::{Fate, Maker, Plan, Source};
pub(crate) use roots::Roots;
use roots::Tip;

use crate::store::refs::Packing;
use crate::store::{Alone, Removed, StagedPack, Staging, lock_packs, remove_pack, sync_names};
use crate::{Error, Id, Result, Store};

/// What to collect.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// What nothing needs is kept if it is not older than this, in seconds since 1970. `i64::MAX` spares nothing,
    /// `i64::MIN` everything.
    pub cutoff: i64,
    /// Only tell what would go.
    pub dry_run: bool,
    /// Write all packs anew, into one.
    pub aggressive: bool,
    /// Commits whose names were removed just now: what they alone need goes, whatever its age.
    pub doomed: Vec<Id>,
    /// Give up rather than wait for another collection.
    pub impatient: bool,
}

/// What a collection came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    /// Contents that went.
    pub contents: usize,
    /// What they took on the disk, in bytes.
    pub content_bytes: u64,
    /// Compressed layers that went.
    pub blobs: usize,
    /// What they took on the disk, in bytes.
    pub blob_bytes: u64,
    /// Objects that went.
    pub objects: usize,
    /// Objects that nothing needs and that are too young to go.
    pub waiting: usize,
    /// Loose objects that were packed.
    pub packed: usize,
    /// Copies of contents that git had fetched for itself, and that went.
    pub copies: usize,
    /// Removed names that were forgotten.
    pub forgotten: usize,
    /// Bytes of packs that went, less those of the packs in their place; negative where packs grew.
    pub pack_bytes: i64,
}

impl Report {
    /// How many bytes the store is smaller.
    pub fn freed(&self) -> u64 {
        self.content_bytes.saturating_add(self.blob_bytes).saturating_add_signed(self.pack_bytes)
    }
}

/// Collect. `more_roots` gives the commits and trees that are needed without a name, as those that containers were made of.
///
/// `None` where another collection is at work and the options say not to wait for it. Where something that is needed is
/// missing or unreadable, nothing is removed: what that needs is unknown.
pub fn run(store: &Store, options: &Options, more_roots: &dyn Fn() -> Result<Vec<Id>>) -> Result<Option<Report>> {
    if store.is_ordinary() {
        return Err(Error::Unsupported {
            what: format!("collection in '{}'", store.dir().display()),
            why: "it is no store of rd's; `git gc` does it".into(),
        });
    }
    let Some(_lock) = lock_packs(&store.dir().join("objects/pack"), !options.impatient)? else { return Ok(None) };
    if !options.dry_run {
        pack_refs(store)?;
    }
    let mut collection = Collection::begin(store, options, more_roots)?;
    let plan = collection.plan();
    let loose = collection.loose_fates();
    if !options.dry_run {
        collection.replace_packs(&plan, &loose)?;
        collection.sweep_contents()?;
        collection.sweep_blobs()?;
        collection.shrink_cold(&plan)?;
    } else {
        collection.forecast(&plan, &loose)?;
    }
    Ok(Some(collection.report))
}

/// Refs are read faster from one file. Where a command of git's is at them, another time.
fn pack_refs(store: &Store) -> Result<()> {
    match store.pack_refs(&Packing::default()) {
        Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::WouldBlock => Ok(()),
        packed => packed.map(drop),
    }
}

/// What the contents that `commits` need take on the disk, and what all take, in bytes.
pub fn content_sizes(store: &Store, commits: impl IntoIterator<Item = Id>) -> Result<(u64, u64)> {
    let mut needed = Marker::new(store);
    for id in commits {
        needed.mark_rest(id, |_| false)?;
    }
    let list = |needed: &dyn Fn(&Id) -> bool| contents::list(&store.content_dir(), i64::MAX, needed, |_| true);
    let sum = |list: Vec<contents::Candidate>| list.iter().map(|content| content.size).sum::<u64>();
    let (all, rest) = (sum(list(&|_| false)?), sum(list(&|id| needed.contains(id))?));
    Ok((all.saturating_sub(rest), all))
}

/// Wait until nobody writes, and keep everybody from it while the value lives: for what isn't this crate's to remove.
pub fn exclude_writers(store: &Store) -> Result<impl Drop + use<>> {
    Excluded::take(store)
}

/// Nobody writes while it lives.
struct Excluded(Option<Alone>);

impl Excluded {
    fn take(store: &Store) -> Result<Self> {
        Ok(Self(Some(Alone::take(store.dir())?)))
    }
}

impl Drop for Excluded {
    fn drop(&mut self) {
        drop(self.0.take());
    }
}

/// A collection at work.
struct Collection<'a> {
    store: &'a Store,
    options: &'a Options,
    more_roots: &'a dyn Fn() -> Result<Vec<Id>>,
    roots: Roots,
    /// What something needs.
    live: Marker,
    /// What nothing needs, and must stay for now.
    waits: Marker,
    /// What goes whatever its age.
    doomed: Marker,
    sources: Vec<Source>,
    /// Packs that were looked at.
    known: HashSet<PathBuf>,
    loose: Vec<(Id, PathBuf, i64)>,
    report: Report,
}

/// Loose objects: those to pack, and those to remove, with whether they are in a pack then or a content.
#[derive(Default)]
struct Loose {
    pack: Vec<Id>,
    remove: Vec<(Id, PathBuf, bool)>,
}

impl<'a> Collection<'a> {
    fn begin(store: &'a Store, options: &'a Options, more_roots: &'a dyn Fn() -> Result<Vec<Id>>) -> Result<Self> {
        let objects = store.dir().join("objects");
        // What comes after this isn't touched.
        let (sources, loose) = (packs::list(&objects.join("pack"), &HashSet::new())?, packs::loose(&objects)?);
        let marker = || Marker::new(store);
        let mut collection = Self {
            store,
            options,
            more_roots,
            roots: Roots::new(store.dir()),
            live: marker(),
            waits: marker(),
            doomed: marker(),
            known: sources.iter().map(|source| source.path.clone()).collect(),
            sources,
            loose,
            report: Report::default(),
        };
        collection.mark_live()?;
        collection.mark_doomed()?;
        collection.mark_waiting()?;
        Ok(collection)
    }

    /// Mark all that is named since the last time.
    fn mark_live(&mut self) -> Result<()> {
        let more = (self.more_roots)()?.into_iter().map(|id| Tip { id, is_ref: true });
        for tip in self.roots.news()?.into_iter().chain(more) {
            // What only a log names may have gone with an earlier collection, as in git.
            if tip.is_ref || self.live.exists(&tip.id) {
                self.live.mark(tip.id)?;
            }
        }
        Ok(())
    }

    fn mark_doomed(&mut self) -> Result<()> {
        if self.options.doomed.is_empty() {
            return Ok(());
        }
        let named: HashSet<Id> = self.options.doomed.iter().copied().collect();
        let live = &self.live;
        for id in &self.options.doomed {
            self.doomed.mark_rest(*id, |id| live.contains(id))?;
        }
        // What was made from it and has lost its name too must not hold it.
        for removed in self.store.removed()? {
            let mut needs = Marker::new(self.store);
            needs.mark_rest(removed.id, |id| live.contains(id))?;
            if named.iter().any(|id| needs.contains(id)) {
                self.doomed.mark_rest(removed.id, |id| live.contains(id))?;
            }
        }
        Ok(())
    }

    /// Removed names within the grace period, and objects that are young or were never seen to be unneeded.
    fn mark_waiting(&mut self) -> Result<()> {
        let (live, doomed) = (&self.live, &self.doomed);
        let elsewhere = |id: &Id| live.contains(id);
        for removed in self.store.removed()?.iter().filter(|removed| removed.seconds >= self.options.cutoff) {
            if !doomed.contains(&removed.id) {
                self.waits.mark_rest(removed.id, elsewhere)?;
            }
        }
        if self.options.cutoff == i64::MAX {
            return Ok(());
        }
        for source in &self.sources {
            let is_old = source.seconds < self.options.cutoff;
            if is_old && matches!(source.maker, Maker::Unneeded | Maker::Cold) {
                continue;
            }
            for id in source.ids().filter(|id| !live.contains(id) && !doomed.contains(id)) {
                self.waits.mark_rest(id, elsewhere)?;
            }
        }
        for (id, _, seconds) in &self.loose {
            if *seconds >= self.options.cutoff && !live.contains(id) && !doomed.contains(id) {
                self.waits.mark_rest(*id, elsewhere)?;
            }
        }
        Ok(())
    }

    fn fate(&self, source: &Source, id: &Id) -> Fate {
        if matches!(source.maker, Maker::Git | Maker::Cold) && self.store.content_file(id).exists() {
            return Fate::IsContent;
        }
        if self.live.contains(id) {
            Fate::Live
        } else if self.waits.contains(id) {
            Fate::Waits
        } else {
            Fate::Goes
        }
    }

    fn plan(&self) -> Plan {
        Plan::make(&self.sources, self.options.aggressive, |source, id| self.fate(source, id))
    }

    fn loose_fates(&self) -> Loose {
        let mut fates = Loose::default();
        for (id, path, _) in &self.loose {
            let is_content = self.store.content_file(id).exists();
            let is_live = self.live.contains(id);
            if is_content || is_live || !self.waits.contains(id) {
                fates.remove.push((*id, path.clone(), is_content || is_live));
            }
            if is_live && !is_content {
                fates.pack.push(*id);
            }
        }
        fates
    }

    fn replace_packs(&mut self, plan: &Plan, loose: &Loose) -> Result<()> {
        let store = self.store;
        if plan.is_idle() && loose.remove.is_empty() && !self.has_to_forget()? {
            return Ok(());
        }
        let dir = store.dir().join("objects/pack");
        let staging = Staging::create(&store.content_dir())?;
        let mut staged: Vec<StagedPack> =
            plan.stage(store, &self.sources, &loose.pack, &staging, self.options.aggressive)?;

        let alone = Alone::take(store.dir())?;
        self.mark_news()?;
        let needed = |id: &Id| self.live.contains(id) || self.waits.contains(id);
        staged.extend(plan.stage_rescued(store, &self.sources, needed, &staging)?);
        let rescued = plan.lost.keys().filter(|id| needed(id)).count();
        let grown: u64 = staged.iter().map(StagedPack::size).sum();
        let made: Vec<PathBuf> = staged.into_iter().map(|pack| pack.publish(&dir)).collect::<Result<_>>()?;
        sync_names(&dir)?;
        if !plan.doomed.is_empty() || !loose.remove.is_empty() {
            // Before anything goes: whoever writes from now on looks again.
            alone.count()?;
            self.remove_helpers(plan)?;
        }
        let shrunk = plan.remove(&self.sources, &made)?;
        let loose_gone = self.remove_loose(loose)?;
        let forgotten = {
            let doomed = &self.doomed;
            store.forget_removed(self.options.cutoff, |removed| doomed.contains(&removed.id))?
        };
        drop(alone);

        self.report.objects = plan.lost.len() - rescued + loose_gone;
        self.report.waiting = plan.waiting_count();
        self.report.packed = loose.pack.len();
        self.report.copies = plan.copies;
        self.report.forgotten = forgotten;
        self.report.pack_bytes = i64::try_from(shrunk).unwrap_or(i64::MAX) - i64::try_from(grown).unwrap_or(i64::MAX);
        Ok(())
    }

    /// Whether removed names are to be forgotten.
    fn has_to_forget(&self) -> Result<bool> {
        let (cutoff, doomed) = (self.options.cutoff, &self.doomed);
        Ok(self.store.removed()?.iter().any(|removed| removed.seconds < cutoff || doomed.contains(&removed.id)))
    }

    /// Mark what was named or written since the last time. Nobody may write meanwhile.
    fn mark_news(&mut self) -> Result<()> {
        self.mark_live()?;
        let live = &self.live;
        for removed in self.store.removed()?.iter().filter(|removed| removed.seconds >= self.options.cutoff) {
            if !self.doomed.contains(&removed.id) {
                self.waits.mark_rest(removed.id, |id| live.contains(id))?;
            }
        }
        if self.options.cutoff == i64::MAX {
            return Ok(());
        }
        for source in packs::list(&self.store.dir().join("objects/pack"), &self.known)? {
            for id in source.ids() {
                self.waits.mark_rest(id, |id| live.contains(id))?;
            }
            self.known.insert(source.path);
        }
        Ok(())
    }

    /// What git keeps to find packed objects and commits faster speaks of packs and objects that go.
    fn remove_helpers(&self, plan: &Plan) -> Result<()> {
        let objects = self.store.dir().join("objects");
        if !plan.doomed.is_empty() {
            remove_file(&objects.join("pack/multi-pack-index"))?;
        }
        if !plan.lost.is_empty() {
            remove_file(&objects.join("info/commit-graph"))?;
            let graphs = objects.join("info/commit-graphs");
            if graphs.exists() {
                std::fs::remove_dir_all(&graphs).map_err(Error::io("remove", graphs))?;
            }
        }
        Ok(())
    }

    /// Those that nothing needs are looked at again: they may be needed now.
    fn remove_loose(&self, loose: &Loose) -> Result<usize> {
        let mut gone = 0;
        for (id, path, is_elsewhere) in &loose.remove {
            if *is_elsewhere || !(self.live.contains(id) || self.waits.contains(id)) {
                remove_file(path)?;
                gone += usize::from(!is_elsewhere);
            }
        }
        Ok(gone)
    }

    fn sweep_contents(&mut self) -> Result<()> {
        let mut candidates = self.candidates()?;
        while !candidates.is_empty() {
            let _alone = Alone::take(self.store.dir())?;
            self.mark_news()?;
            let needed = |id: &Id| self.live.contains(id) || self.waits.contains(id);
            let dir = self.store.content_dir();
            let (count, freed) = contents::remove_some(&dir, self.options.cutoff, &mut candidates, needed)?;
            self.report.contents += count;
            self.report.content_bytes += freed;
        }
        Ok(())
    }

    /// Remove compressed layers that no manifest lists any more.
    fn sweep_blobs(&mut self) -> Result<()> {
        let unneeded = self.unneeded_blobs()?;
        if unneeded.is_empty() {
            return Ok(());
        }
        let _alone = Alone::take(self.store.dir())?;
        self.mark_news()?;
        for blob in self.unneeded_blobs()?.iter().filter(|blob| unneeded.contains(blob)) {
            remove_file(&blob.path)?;
            self.report.blobs += 1;
            self.report.blob_bytes += blob.size;
        }
        Ok(())
    }

    fn unneeded_blobs(&self) -> Result<Vec<blobs::Blob>> {
        let listed = |markers: &[&Marker]| {
            blobs::listed(self.store, markers.iter().flat_map(|marker| marker.manifests().copied()))
        };
        let all = blobs::list(self.store)?;
        if all.is_empty() {
            return Ok(all);
        }
        let (needed, doomed) = (listed(&[&self.live, &self.waits]), listed(&[&self.doomed]));
        let goes = |blob: &blobs::Blob| {
            !needed.contains(&blob.digest) && (blob.seconds < self.options.cutoff || doomed.contains(&blob.digest))
        };
        Ok(all.into_iter().filter(goes).collect())
    }

    /// Pack cold contents anew where nobody needs most of a pack any more.
    fn shrink_cold(&mut self, plan: &Plan) -> Result<()> {
        let store = self.store;
        let keeps = |this: &Self, id: &Id| {
            (this.live.contains(id) || this.waits.contains(id)) && !store.content_file(id).exists()
        };
        let cold = (0..self.sources.len()).filter(|number| self.sources[*number].maker == Maker::Cold);
        for number in cold.filter(|number| !plan.doomed.contains(number)).collect::<Vec<_>>() {
            let source = &self.sources[number];
            let (kept, gone) = source.shares(|id| keeps(self, id));
            if gone == 0 || (gone < kept && !self.options.aggressive) {
                continue;
            }
            let path = source.path.clone();
            let staging = Staging::create(&store.content_dir())?;
            let staged = crate::cold::shrink(store, &path, &staging, self.more_roots, |id| keeps(self, id))?;
            let dropped: Vec<Id> = self.sources[number].ids().filter(|id| !keeps(self, id)).collect();
            let alone = Alone::take(store.dir())?;
            self.mark_news()?;
            // Something of it is needed again: another time.
            if dropped.iter().any(|id| keeps(self, id)) {
                continue;
            }
            let (before, after) = (kept + gone, staged.size());
            let dir = store.dir().join("objects/pack");
            staged.publish(&dir)?;
            sync_names(&dir)?;
            alone.count()?;
            remove_pack(&path)?;
            drop(alone);
            self.report.objects += dropped.len();
            self.report.pack_bytes += before.cast_signed() - after.cast_signed();
        }
        Ok(())
    }

    fn candidates(&self) -> Result<Vec<contents::Candidate>> {
        let needed = |id: &Id| self.live.contains(id) || self.waits.contains(id);
        let doomed = |id: &Id| self.doomed.contains(id);
        contents::list(&self.store.content_dir(), self.options.cutoff, needed, doomed)
    }

    /// What a collection would come to, as far as that can be told before.
    fn forecast(&mut self, plan: &Plan, loose: &Loose) -> Result<()> {
        let candidates = self.candidates()?;
        let blobs = self.unneeded_blobs()?;
        let removed = self.store.removed()?;
        let is_remembered =
            |removed: &Removed| removed.seconds >= self.options.cutoff && !self.doomed.contains(&removed.id);
        self.report = Report {
            contents: candidates.len(),
            content_bytes: candidates.iter().map(|candidate| candidate.size).sum(),
            blobs: blobs.len(),
            blob_bytes: blobs.iter().map(|blob| blob.size).sum(),
            objects: plan.lost.len() + loose.remove.iter().filter(|(.., elsewhere)| !elsewhere).count(),
            waiting: plan.waiting_count(),
            packed: loose.pack.len(),
            copies: plan.copies,
            forgotten: removed.iter().filter(|removed| !is_remembered(removed)).count(),
            pack_bytes: 0,
        };
        Ok(())
    }
}

fn remove_file(path: &std::path::Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", path)(error)),
        _ => Ok(()),
    }
}

//! docker's prune commands: names and containers that nobody uses go, and the room that only they took is freed at once.

use std::collections::HashSet;

use plumbing::bstr::ByteSlice;
use plumbing::store::refs::{CONTAINERS, IMAGES, Pruning};
use plumbing::{Id, ImageName, Store, gc};

use super::{Collected, caches, collect, default_cutoff};
use crate::container::{Container, Containers, State};
use crate::image::facts::Facts;
use crate::image::{self, Image};
use crate::{Error, Result};

/// What of the unused is to go: docker's `--filter until=…`, `label=…` and `label!=…`, which all must hold.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only what was made before this, in seconds since 1970.
    until: Option<i64>,
    /// Labels, their values where these matter, and whether they must be there or must not.
    labels: Vec<(String, Option<String>, bool)>,
}

impl Filter {
    /// Read the filters as they were given.
    pub fn parse(texts: &[String]) -> Result<Self> {
        let mut filter = Self::default();
        for text in texts {
            let (key, value) = text.split_once('=').unwrap_or((text, ""));
            let label = || {
                let (name, value) = value.split_once('=').map_or((value, None), |(name, value)| (name, Some(value)));
                (name.to_owned(), value.map(str::to_owned))
            };
            match key {
                "until" => filter.until = Some(plumbing::date::cutoff(value)?),
                "label" => filter.labels.push((label().0, label().1, true)),
                "label!" => filter.labels.push((label().0, label().1, false)),
                _ => return Err(Error::invalid("filter", text, "there are until=AGE, label=KEY and label!=KEY")),
            }
        }
        Ok(filter)
    }

    fn holds<'l>(&self, created: i64, labels: impl Fn(&str) -> Option<&'l str>) -> bool {
        let has = |name: &str, value: &Option<String>| {
            labels(name).is_some_and(|found| value.as_deref().is_none_or(|value| value == found))
        };
        self.until.is_none_or(|until| created < until)
            && self.labels.iter().all(|(name, value, wanted)| has(name, value) == *wanted)
    }
}

/// What went.
#[derive(Debug, Default)]
pub struct Pruned {
    /// Ids of containers.
    pub containers: Vec<String>,
    /// Names of images.
    pub untagged: Vec<ImageName>,
    /// Commits that nothing names any longer.
    pub deleted: Vec<Id>,
    /// How many bytes are free now that weren't.
    pub freed: u64,
}

/// Which images go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Images {
    /// None.
    None,
    /// Commits that a name was at before, and that have none now.
    Dangling,
    /// Also those with a name, of which there is no container.
    Unused,
}

/// Remove containers that don't run, if they are to go, then images, and free what they took.
pub fn prune(store: &Store, containers: bool, images: Images, filter: &Filter) -> Result<Pruned> {
    let mut pruned = Pruned::default();
    if containers {
        prune_containers(store, filter, &mut pruned)?;
    }
    if images == Images::None {
        return Ok(pruned);
    }
    {
        let _hold = store.hold()?;
        if images == Images::Unused {
            untag_unused(store, filter, &mut pruned)?;
        }
        forget_dangling(store, filter, &mut pruned)?;
    }
    let doomed = pruned.deleted.clone();
    let options = gc::Options { cutoff: default_cutoff(store)?, doomed, ..gc::Options::default() };
    pruned.freed += collect(store, &options)?.as_ref().map_or(0, Collected::freed);
    Ok(pruned)
}

fn prune_containers(store: &Store, filter: &Filter, pruned: &mut Pruned) -> Result<()> {
    let containers = Containers::open(store.dir())?;
    for (container, state) in containers.list()? {
        let config = &container.config;
        let labels = |name: &str| config.labels.get(name).map(String::as_str);
        if state.status.is_alive() || !filter.holds(config.created.as_second(), labels) {
            continue;
        }
        let size = container_size(&container)?;
        match containers.remove(&container, false) {
            Ok(()) => {
                pruned.containers.push(config.id.to_string());
                pruned.freed += size;
            }
            // It was started or removed meanwhile.
            Err(Error::InUse { .. } | Error::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// What a container takes on the disk beside its image, in bytes.
pub fn container_size(container: &Container) -> Result<u64> {
    match container.folder.path().symlink_metadata() {
        Ok(about) => caches::size(container.folder.path(), &about),
        Err(_) => Ok(0),
    }
}

/// The commits that containers were made of; of containers that are a ref alone, all that theirs were made of.
pub fn in_use(store: &Store, containers: &[(Container, State)]) -> Result<HashSet<Id>> {
    let mut used = HashSet::new();
    for (container, _) in containers {
        used.insert(container.config.base()?);
        used.insert(container.head(store)?);
    }
    for (name, head) in store.list_refs(CONTAINERS)? {
        let name = name.strip_prefix(CONTAINERS).unwrap_or(&name);
        if !containers.iter().any(|(container, _)| container.config.name == name) {
            used.extend(image::ancestors(store, [head])?);
        }
    }
    Ok(used)
}

fn untag_unused(store: &Store, filter: &Filter, pruned: &mut Pruned) -> Result<()> {
    let used = in_use(store, &Containers::open(store.dir())?.list()?)?;
    let mut facts = Facts::open(store);
    let (images, _) = image::list(store, &mut facts)?;
    let mut targets = Vec::new();
    for image in images.into_iter().filter(|image| !used.contains(&image.id)) {
        if shows(store, &image, filter)? {
            targets.push(image);
        }
    }
    for image in &targets {
        for name in &image.names {
            match store.delete_ref(&name.to_ref(), image.id) {
                Ok(()) => pruned.untagged.push(name.clone()),
                // Somebody moved it meanwhile: then it is used.
                Err(plumbing::Error::Raced { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    let named = named(store)?;
    let gone = image::ancestors(store, targets.iter().map(|image| image.id))?;
    pruned.deleted.extend(gone.into_iter().filter(|id| !named.contains(id)));
    Ok(())
}

/// All commits that a ref or a container needs.
fn named(store: &Store) -> Result<HashSet<Id>> {
    let heads = store.list_refs("refs/")?.into_iter().map(|(_, id)| id);
    let is_commit = |id: &Id| matches!(store.find_header(id), Ok(Some((plumbing::gix::objs::Kind::Commit, _))));
    let heads: Vec<Id> = heads.filter(is_commit).chain(super::bases(&Containers::open(store.dir())?)?).collect();
    Ok(image::ancestors(store, heads)?.into_iter().collect())
}

/// Take out of the reflogs of images what has no name, and what a removed name alone kept.
fn forget_dangling(store: &Store, filter: &Filter, pruned: &mut Pruned) -> Result<()> {
    let named = named(store)?;
    let mut facts = Facts::open(store);
    let mut gone: HashSet<Id> = HashSet::new();
    for image in image::list_dangling(store, &mut facts, &[])? {
        if !named.contains(&image.id) && shows(store, &image, filter)? {
            gone.insert(image.id);
        }
    }
    for removed in store.removed()? {
        let is_image = removed.name.starts_with_str(IMAGES) && !named.contains(&removed.id) && store.has(&removed.id);
        if is_image && !gone.contains(&removed.id) {
            let image = Image { id: removed.id, names: Vec::new(), fact: facts.get(&removed.id)? };
            if shows(store, &image, filter)? {
                gone.insert(removed.id);
            }
        }
    }
    for (name, _) in store.list_refs(IMAGES)? {
        forget_moves(store, &name, &gone)?;
    }
    let known: HashSet<Id> = pruned.deleted.iter().copied().collect();
    let all = image::ancestors(store, gone.iter().copied())?;
    pruned.deleted.extend(all.into_iter().filter(|id| !named.contains(id) && !known.contains(id)));
    Ok(())
}

/// Take the moves to commits that are `gone` out of a reflog; where the name is now is none of them.
fn forget_moves(store: &Store, name: &str, gone: &HashSet<Id>) -> Result<()> {
    let lines = store.read_log(name.into())?.unwrap_or_default();
    if lines.iter().any(|line| gone.contains(&line.new) || gone.contains(&line.old)) {
        let how = Pruning { chain: true, update_ref: false, dry_run: false };
        store.prune_log(name.into(), how, |line| Ok(gone.contains(&line.new)))?;
    }
    Ok(())
}

fn shows(store: &Store, image: &Image, filter: &Filter) -> Result<bool> {
    if filter.labels.is_empty() {
        return Ok(filter.holds(image.fact.created, |_| None));
    }
    let config = image::config(store, &image.id)?;
    let labels = config.execution().labels();
    Ok(filter.holds(image.fact.created, |name| labels.iter().find(|(key, _)| *key == name).map(|(_, value)| *value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_must_all_hold() {
        let holds = |texts: &[&str], created, label: Option<&'static str>| {
            let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
            Filter::parse(&texts).unwrap().holds(created, |name| label.filter(|_| name == "a"))
        };
        assert!(holds(&[], 0, None));
        assert!(holds(&["until=24h"], 0, None) && !holds(&["until=24h"], i64::MAX, None));
        assert!(holds(&["label=a"], 0, Some("1")) && !holds(&["label=a"], 0, None));
        assert!(holds(&["label=a=1"], 0, Some("1")) && !holds(&["label=a=2"], 0, Some("1")));
        assert!(!holds(&["label!=a"], 0, Some("1")) && holds(&["label!=a=2", "label!=b"], 0, Some("1")));
        assert!(!holds(&["label=a", "until=24h"], i64::MAX, Some("1")));
        assert!(Filter::parse(&["size=1".into()]).is_err() && Filter::parse(&["until=x".into()]).is_err());
    }
}

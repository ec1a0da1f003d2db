//! Names without operators: containers, images, refs and the beginnings of ids.

use std::collections::{BTreeSet, HashSet};

use gix::bstr::{BStr, ByteSlice};
use gix::hash::Prefix;

use super::{Lookup, Prefer};
use crate::store::refs::{CONTAINERS, is_full_name};
use crate::{Error, Id, ImageName, Result, Store, Tracking};

/// What a name stands for.
pub(super) struct Base {
    pub(super) id: Id,
    /// The full name of the ref.
    pub(super) reference: Option<String>,
}

impl Base {
    fn object(id: Id) -> Self {
        Self { id, reference: None }
    }
}

/// Resolve a name; `None` where nothing has it.
pub(super) fn resolve(store: &Store, name: &BStr, lookup: Lookup<'_>) -> Result<Option<Base>> {
    // Names of images, containers and refs are UTF-8.
    let Ok(name) = name.to_str() else { return Ok(None) };
    if let Ok(id) = Id::from_hex(name.as_bytes()) {
        return Ok((id.kind() == gix::hash::Kind::Sha256).then(|| Base::object(id)));
    }
    if let Some(hex) = name.strip_prefix("sha256:") {
        return by_prefix(store, hex);
    }
    match name {
        "" | "@" | "HEAD" => return by_ref(store, "HEAD"),
        _ if name.starts_with("refs/") => return by_ref(store, name),
        _ => {}
    }
    if let Some(found) = by_rd_name(store, name, lookup.prefer)? {
        return Ok(Some(found));
    }
    if let Some(found) = by_alias(store, name, lookup)? {
        return Ok(Some(found));
    }
    if let Some(found) = by_tracking(store, name)? {
        return Ok(Some(found));
    }
    if let Some(found) = by_ref(store, name)? {
        return Ok(Some(found));
    }
    match by_prefix(store, name)? {
        Some(found) => Ok(Some(found)),
        None => by_description(store, name),
    }
}

/// A container or an image.
fn by_rd_name(store: &Store, name: &str, prefer: Prefer) -> Result<Option<Base>> {
    let container = by_ref(store, &format!("{CONTAINERS}{name}"))?;
    let image = ImageName::parse(name).ok();
    let found = image.as_ref().map(|image| by_ref(store, &image.to_ref())).transpose()?.flatten();
    let (Some(container), Some(image)) = (&container, &found) else { return Ok(container.or(found)) };
    match prefer {
        Prefer::Images => Ok(found),
        Prefer::Neither if image.id != container.id => Err(Error::Ambiguous {
            what: "name",
            name: name.into(),
            candidates: vec![format!("container {CONTAINERS}{name}"), format!("image {}", ImageName::parse(name)?)],
        }),
        _ => Ok(Some(Base { id: container.id, reference: container.reference.clone() })),
    }
}

fn by_alias(store: &Store, name: &str, lookup: Lookup<'_>) -> Result<Option<Base>> {
    let refs = lookup.aliases.map_or_else(Vec::new, |aliases| aliases(name));
    match refs.as_slice() {
        [] => Ok(None),
        [one] => by_ref(store, one),
        _ => Err(Error::Ambiguous { what: "id", name: name.into(), candidates: refs }),
    }
}

/// An image of a remote, as it was seen last.
fn by_tracking(store: &Store, name: &str) -> Result<Option<Base>> {
    match Tracking::parse(name) {
        Ok(tracking) => by_ref(store, &tracking.to_ref()),
        Err(_) => Ok(None),
    }
}

/// A ref by its full name or by git's rules; symbolic ones are followed.
fn by_ref(store: &Store, name: &str) -> Result<Option<Base>> {
    let rules = if name.starts_with("refs/") { &RULES[..1] } else { &RULES };
    for rule in rules {
        let full = rule.replace('*', name);
        // `content` and `objects` are folders of the store, `config` a file: no names of refs.
        if is_full_name(full.as_str().into())
            && let Some((_, id)) = store.follow_ref(full.as_str().into())?
        {
            return Ok(Some(Base { id, reference: Some(full) }));
        }
    }
    Ok(None)
}

/// Where git looks for a ref, in this order (gitrevisions(7)).
pub const RULES: [&str; 6] = ["*", "refs/*", "refs/tags/*", "refs/heads/*", "refs/remotes/*", "refs/remotes/*/HEAD"];

/// How far a ref's name is shortened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shorten {
    /// So that no rule could find another ref.
    Strict,
    /// So that no earlier rule could.
    Loose,
}

/// The shortest name that git's rules take for the ref `full` and for no other one that `exists`.
pub fn shorten(full: &str, mode: Shorten, exists: impl Fn(&str) -> bool) -> String {
    for (index, rule) in RULES.iter().enumerate().skip(1).rev() {
        let (before, after) = rule.split_once('*').expect("because every rule has a star");
        let Some(short) = full.strip_prefix(before).and_then(|rest| rest.strip_suffix(after)) else { continue };
        let others = if mode == Shorten::Strict { RULES.len() } else { index };
        let taken = (0..others).any(|other| other != index && exists(&RULES[other].replace('*', short)));
        if !short.is_empty() && !taken {
            return short.to_owned();
        }
    }
    full.to_owned()
}

/// The shortest beginning of an id that git takes.
const SHORTEST: usize = 4;

/// `hex` as the beginning of an id; `None` where it is none.
pub fn prefix_of(hex: &str) -> Option<Prefix> {
    if hex.len() < SHORTEST { None } else { Prefix::from_hex(hex).ok() }
}

/// An object by the beginning of its id. Where several objects share it, commits go first, as with git's
/// `core.disambiguate`: what rd shows as an image's id is a commit.
fn by_prefix(store: &Store, hex: &str) -> Result<Option<Base>> {
    let Some(prefix) = prefix_of(hex) else { return Ok(None) };
    let candidates = candidates_of_prefix(store, prefix)?;
    let kind_of = |id: &Id| store.repo().find_header(*id).ok().map(|header| header.kind());
    let commits = || candidates.iter().filter(|id| kind_of(id) == Some(gix::objs::Kind::Commit));
    match (candidates.len(), commits().count()) {
        (0, _) => Ok(None),
        (1, _) => Ok(candidates.first().copied().map(Base::object)),
        (_, 1) => Ok(commits().next().copied().map(Base::object)),
        _ => Err(Error::Ambiguous {
            what: "id",
            name: hex.into(),
            candidates: candidates
                .iter()
                .map(|id| format!("{} {}", id.to_hex_with_len(12.max(hex.len() + 2)), name_of(kind_of(id))))
                .collect(),
        }),
    }
}

fn name_of(kind: Option<gix::objs::Kind>) -> String {
    kind.map_or_else(|| "content".into(), |kind| kind.to_string())
}

/// All objects whose id begins so, sorted: those of the git object database, or else contents.
pub fn candidates_of_prefix(store: &Store, prefix: Prefix) -> Result<BTreeSet<Id>> {
    let mut found = HashSet::default();
    store
        .repo()
        .objects
        .lookup_prefix(prefix, Some(&mut found))
        .map_err(Error::git(format!("look for ids that begin with {prefix}")))?;
    if found.is_empty() { contents_of_prefix(store, prefix) } else { Ok(found.into_iter().collect()) }
}

fn contents_of_prefix(store: &Store, prefix: Prefix) -> Result<BTreeSet<Id>> {
    let hex = prefix.to_string();
    let (folder, rest) = hex.split_at(2);
    let dir = store.content_dir().join(folder);
    let entries = match std::fs::read_dir(&dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        Err(error) => return Err(Error::io("list", dir)(error)),
    };
    let mut found = BTreeSet::new();
    for entry in entries {
        let name = entry.map_err(Error::io("list", &dir))?.file_name();
        if let Some(name) = name.to_str().filter(|name| name.starts_with(rest)) {
            found.extend(Id::from_hex(format!("{folder}{name}").as_bytes()));
        }
    }
    Ok(found)
}

/// What git-describe(1) prints: `NAME-3-gabcdef0`.
fn by_description(store: &Store, name: &str) -> Result<Option<Base>> {
    match name.rsplit_once("-g") {
        Some((_, hex)) => by_prefix(store, hex),
        None => Ok(None),
    }
}

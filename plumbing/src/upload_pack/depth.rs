//! Shallow histories: where a client's history is cut, before and after a fetch.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io::Write;

use gix::objs::{CommitRefIter, Kind, TagRefIter};
use gix_packetline::blocking_io::encode::text_to_write;

use super::request::Fetch;
use crate::view::View;
use crate::{Error, Id, Result};

/// A depth that git uses for "all".
const INFINITE: u32 = 0x7fff_ffff;

/// How a client wants its history cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deepen {
    /// So many commits from what is wanted.
    Commits(u32),
    /// So many commits more than the client has.
    More(u32),
    /// Commits that are not older, in seconds since 1970.
    Since(i64),
}

/// Where the client's history is cut.
#[derive(Debug, Default)]
pub(super) struct Boundary {
    /// Commits whose parents the client doesn't have yet.
    pub(super) before: HashSet<Id>,
    /// Commits whose parents it shall not have.
    pub(super) after: HashSet<Id>,
    /// Commits to begin with, beside those that are wanted: what was cut off and no longer is.
    pub(super) more: Vec<Id>,
    shallow: Vec<Id>,
    unshallow: Vec<Id>,
}

impl Boundary {
    pub(super) fn new(view: &View<'_>, fetch: &Fetch) -> Result<Self> {
        let before: HashSet<Id> = fetch.shallow.iter().copied().collect();
        let Some(deepen) = fetch.deepen else {
            return Ok(Self { after: before.clone(), before, ..Self::default() });
        };
        let tips = fetch.wants.iter().filter_map(|id| commit_of(view, *id).transpose()).collect::<Result<Vec<Id>>>()?;
        let cut = match deepen {
            Deepen::Commits(INFINITE) | Deepen::More(INFINITE) => Cut::at_depth(view, tips, INFINITE)?,
            Deepen::Commits(depth) => Cut::at_depth(view, tips, depth)?,
            Deepen::More(depth) if before.is_empty() => Cut::at_depth(view, tips, depth)?,
            Deepen::More(depth) => {
                let known = fetch.shallow.iter().copied().filter(|id| view.has(id)).collect();
                Cut::at_depth(view, known, depth.saturating_add(1))?
            }
            Deepen::Since(seconds) => Cut::at_date(view, tips, seconds)?,
        };
        cut.boundary(view, &fetch.shallow, before)
    }

    /// The lines that tell the client.
    pub(super) fn write_lines(&self, out: &mut impl Write) -> std::io::Result<()> {
        for (word, ids) in [("shallow", &self.shallow), ("unshallow", &self.unshallow)] {
            for id in ids {
                text_to_write(format!("{word} {id}").as_bytes(), &mut *out)?;
            }
        }
        Ok(())
    }
}

/// Commits that a client shall have, and those of them whose parents it shall not have.
#[derive(Default)]
struct Cut {
    inside: HashSet<Id>,
    edge: Vec<Id>,
}

impl Cut {
    /// The first `depth` commits from the tips on.
    fn at_depth(view: &View<'_>, tips: Vec<Id>, depth: u32) -> Result<Self> {
        let mut cut = Self::default();
        let mut waiting: VecDeque<(Id, u32)> = tips.into_iter().map(|id| (id, 1)).collect();
        while let Some((id, at)) = waiting.pop_front() {
            if !cut.inside.insert(id) {
                continue;
            }
            let parents = parents(view, &id)?;
            if at < depth {
                waiting.extend(parents.into_iter().map(|parent| (parent, at + 1)));
            } else if !parents.is_empty() {
                cut.edge.push(id);
            }
        }
        Ok(cut)
    }

    /// What the tips reach by commits that are not older than `seconds`.
    fn at_date(view: &View<'_>, tips: Vec<Id>, seconds: i64) -> Result<Self> {
        let mut cut = Self::default();
        let mut dates = HashMap::new();
        let mut is_young = |id: &Id| -> Result<bool> {
            if let Some(young) = dates.get(id) {
                return Ok(*young);
            }
            let young = date(view, id)? >= seconds;
            dates.insert(*id, young);
            Ok(young)
        };
        let mut waiting = tips;
        while let Some(id) = waiting.pop() {
            if !is_young(&id)? || !cut.inside.insert(id) {
                continue;
            }
            let parents = parents(view, &id)?;
            for parent in &parents {
                if !is_young(parent)? && cut.edge.last() != Some(&id) {
                    cut.edge.push(id);
                }
            }
            waiting.extend(parents);
        }
        if cut.inside.is_empty() {
            return Err(super::invalid("no commit is as young as that"));
        }
        Ok(cut)
    }

    /// The boundary of a client that had the commits `shallow` cut so far.
    fn boundary(self, view: &View<'_>, shallow: &[Id], before: HashSet<Id>) -> Result<Boundary> {
        let edge: HashSet<Id> = self.edge.iter().copied().collect();
        let opened = |id: &&Id| self.inside.contains(*id) && !edge.contains(*id);
        let unshallow: Vec<Id> = shallow.iter().filter(opened).copied().collect();
        let mut more = Vec::new();
        for id in &unshallow {
            more.extend(parents(view, id)?);
        }
        let kept = before.iter().filter(|id| !unshallow.contains(id)).copied();
        let after = edge.iter().copied().chain(kept).collect();
        let shallow = self.edge.into_iter().filter(|id| !before.contains(id)).collect();
        Ok(Boundary { before, after, more, shallow, unshallow })
    }
}

/// The commit that an id names, through tags; `None` for a tree or blob.
fn commit_of(view: &View<'_>, mut id: Id) -> Result<Option<Id>> {
    while let Some((Kind::Tag, _)) = view.header(&id)? {
        let data = view.read(&id, Kind::Tag)?;
        let target = TagRefIter::from_bytes(&data, gix::hash::Kind::Sha256).target_id();
        id = target.map_err(|error| Error::damaged(format!("tag {id}"), error.to_string()))?;
    }
    Ok(matches!(view.header(&id)?, Some((Kind::Commit, _))).then_some(id))
}

pub(super) fn parents(view: &View<'_>, id: &Id) -> Result<Vec<Id>> {
    let data = view.read(id, Kind::Commit)?;
    Ok(CommitRefIter::from_bytes(&data, gix::hash::Kind::Sha256).parent_ids().collect())
}

fn date(view: &View<'_>, id: &Id) -> Result<i64> {
    let data = view.read(id, Kind::Commit)?;
    let committer = CommitRefIter::from_bytes(&data, gix::hash::Kind::Sha256).committer();
    let committer = committer.map_err(|error| Error::damaged(format!("commit {id}"), error.to_string()))?;
    Ok(committer.seconds())
}

//! Names of commits by the refs that reach them: `main~3^2~1`, as git-name-rev(1) works them out.

use std::collections::HashMap;
use std::rc::Rc;

use gix::bstr::{BStr, BString, ByteSlice};

use crate::ancestry::Ancestry;
use crate::{Id, Result};

/// A ref that commits may be named after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tip {
    /// How it is shown.
    pub name: BString,
    /// What the ref points at.
    pub id: Id,
    /// The commit that this leads to.
    pub commit: Option<Id>,
    /// When it was tagged, else when the commit was made.
    pub seconds: i64,
    /// Whether it is below `refs/tags/`.
    pub is_tag: bool,
    /// Whether a tag object is in between.
    pub is_annotated: bool,
}

/// A way to a commit from a tip.
#[derive(Debug, Clone)]
struct Way {
    /// The tip's name, with merges' other parents that were gone through.
    tip: Rc<BString>,
    seconds: i64,
    /// First parents since then.
    generation: usize,
    distance: usize,
    is_tag: bool,
}

/// What going through another parent than the first costs.
const MERGE: usize = 65_535;

/// Names of commits.
pub struct Names {
    ways: HashMap<Id, Way>,
    /// Names of refs at other things than commits.
    exact: HashMap<Id, BString>,
}

impl Names {
    /// Work out the names of all commits that the `tips` reach and that are no older than `oldest`.
    pub fn new(ancestry: &mut Ancestry<'_>, mut tips: Vec<Tip>, oldest: i64) -> Result<Self> {
        let mut names = Self { ways: HashMap::new(), exact: HashMap::new() };
        for tip in &tips {
            names.exact.entry(tip.id).or_insert_with(|| tip.name.clone());
        }
        // Tags first, older ones first: what is met later has to be better.
        tips.sort_by_key(|tip| (!tip.is_tag, tip.seconds));
        for tip in &tips {
            if let Some(commit) = tip.commit {
                names.walk(ancestry, tip, commit, oldest)?;
            }
        }
        Ok(names)
    }

    fn walk(&mut self, ancestry: &mut Ancestry<'_>, tip: &Tip, commit: Id, oldest: i64) -> Result<()> {
        if ancestry.node(&commit)?.seconds < oldest {
            return Ok(());
        }
        let suffix: &[u8] = if tip.is_annotated { b"^0" } else { b"" };
        let name = Rc::new(BString::from([tip.name.as_slice(), suffix].concat()));
        let first = Way { tip: name, seconds: tip.seconds, generation: 0, distance: 0, is_tag: tip.is_tag };
        if !self.improve(commit, first) {
            return Ok(());
        }
        let mut waiting = vec![commit];
        while let Some(id) = waiting.pop() {
            let way = self.ways[&id].clone();
            let mut next = Vec::new();
            for (index, parent) in ancestry.node(&id)?.parents.iter().enumerate() {
                if ancestry.node(parent)?.seconds >= oldest && self.improve(*parent, way.to_parent(index)) {
                    next.push(*parent);
                }
            }
            // The first parent comes out first.
            waiting.extend(next.into_iter().rev());
        }
        Ok(())
    }

    /// Take the way if it is better than the one that is known.
    fn improve(&mut self, id: Id, way: Way) -> bool {
        let better = self.ways.get(&id).is_none_or(|known| way.is_better_than(known));
        if better {
            self.ways.insert(id, way);
        }
        better
    }

    /// The name of a commit.
    pub fn of_commit(&self, id: &Id) -> Option<BString> {
        let way = self.ways.get(id)?;
        Some(match way.generation {
            0 => way.tip.as_ref().clone(),
            generation => format!("{}~{generation}", without_peeling(way.tip.as_bstr())).into(),
        })
    }

    /// The name of something else: that of a ref that points at it.
    pub fn of_other(&self, id: &Id) -> Option<&BString> {
        self.exact.get(id)
    }

    /// All commits that have a name.
    pub fn commits(&self) -> impl Iterator<Item = &Id> {
        self.ways.keys()
    }
}

fn without_peeling(tip: &BStr) -> &BStr {
    tip.strip_suffix(b"^0").unwrap_or(tip).as_bstr()
}

impl Way {
    fn to_parent(&self, index: usize) -> Way {
        if index == 0 {
            return Way { generation: self.generation + 1, distance: self.distance + 1, ..self.clone() };
        }
        let base = without_peeling(self.tip.as_bstr());
        let number = index + 1;
        let tip = match self.generation {
            0 => format!("{base}^{number}"),
            generation => format!("{base}~{generation}^{number}"),
        };
        Way { tip: Rc::new(tip.into()), generation: 0, distance: self.distance + MERGE, ..self.clone() }
    }

    fn cost(&self) -> usize {
        self.distance + if self.generation > 0 { MERGE } else { 0 }
    }

    fn is_better_than(&self, known: &Way) -> bool {
        if self.is_tag && known.is_tag {
            return self.cost() < known.cost();
        }
        if self.is_tag != known.is_tag {
            return self.is_tag;
        }
        (self.cost(), self.seconds) < (known.cost(), known.seconds)
    }
}

//! What goes into a bundle.

use std::io::Write;

use gix::bstr::BString;
use gix::hashtable::HashSet;

use crate::upload_pack;
use crate::view::{Scope, View};
use crate::walk::objects::{self, Filter, Found};
use crate::walk::{Options, Tip, Walk, flag};
use crate::{Id, Result, Store};

/// What a walk puts into a bundle.
#[derive(Debug, Default)]
pub struct Contents {
    /// Commits that a reader must have.
    pub prerequisites: Vec<Id>,
    /// The commits of the bundle.
    pub commits: HashSet<Id>,
}

impl Contents {
    /// Find out which commits the walk shows, and where it ends.
    pub fn of(store: &Store, options: Options, tips: &[Tip]) -> Result<Self> {
        let mut found = Self::default();
        let mut walk = Walk::new(store, Options { boundary: true, ..options }, tips)?;
        while let Some(number) = walk.advance()? {
            let commit = walk.graph().at(number);
            if commit.is(flag::BOUNDARY) {
                found.prerequisites.push(commit.id);
            } else {
                found.commits.insert(commit.id);
            }
        }
        Ok(found)
    }
}

/// Write a pack of all that `tips` lead to, but not what `prerequisites` do.
pub fn write_pack(
    store: &Store,
    tips: &[Id],
    prerequisites: &[Id],
    filter: &Filter,
    out: &mut impl Write,
) -> Result<()> {
    let tip = |id: &Id, flags| Tip { id: *id, flags, path: BString::default() };
    let mut all: Vec<Tip> = tips.iter().map(|id| tip(id, 0)).collect();
    all.extend(prerequisites.iter().map(|id| tip(id, flag::UNINTERESTING | flag::BOTTOM)));
    let mut walk = Walk::new(store, Options { objects: true, ..Default::default() }, &all)?;
    walk.hide_edges(|_| {})?;
    let mut ids = Vec::new();
    let options = objects::Options { filter: filter.clone(), ..Default::default() };
    walk.objects(&options, &mut |walk, found| {
        ids.push(match found {
            Found::Commit(number) => walk.graph().at(number).id,
            Found::Object { id, .. } => *id,
        });
        Ok(())
    })?;
    upload_pack::write_pack(&View::new(store, Scope::Store), &ids, out)
}

//! Commits on both sides of `A...B` that make the same change.

use std::collections::HashMap;

use gix::bstr::ByteSlice;

use super::graph::Number;
use super::{Walk, flag};
use crate::diff::text::{self, Contents, Line};
use crate::diff::trees::{self, Change};
use crate::{Error, Id, Result, Store};

impl Walk<'_> {
    /// Mark (or leave out) the commits of both sides whose changes are the same.
    pub(super) fn find_equal_patches(&mut self) -> Result<()> {
        let is_left = |walk: &Self, number: Number| walk.graph.at(number).is(flag::LEFT);
        let all: Vec<Number> = self.list.iter().copied().filter(|n| !self.graph.at(*n).is(flag::BOUNDARY)).collect();
        let (left, right): (Vec<Number>, Vec<Number>) = all.into_iter().partition(|number| is_left(self, *number));
        if left.is_empty() || right.is_empty() {
            return Ok(());
        }
        let mut by_patch: HashMap<Id, Vec<Number>> = HashMap::new();
        for number in left {
            if let Some(patch) = self.patch_id(number)? {
                by_patch.entry(patch).or_default().push(number);
            }
        }
        let mark = if self.options.cherry_mark { flag::SAME_PATCH } else { flag::SHOWN };
        for number in right {
            let Some(patch) = self.patch_id(number)? else { continue };
            let Some(same) = by_patch.get(&patch) else { continue };
            for other in same.iter().chain([&number]) {
                self.graph.at_mut(*other).flags |= mark;
            }
        }
        Ok(())
    }

    /// What names a commit's change, wherever in a file it is made; `None` for a merge.
    fn patch_id(&mut self, number: Number) -> Result<Option<Id>> {
        let id = self.graph.at(number).id;
        let mut graph = super::Graph::new(self.graph.store());
        let own = graph.number(id);
        graph.read(own)?;
        let before = match graph.at(own).parents.as_slice() {
            [] => None,
            [parent] => {
                let parent = *parent;
                graph.read(parent)?;
                Some(graph.at(parent).tree)
            }
            _ => return Ok(None),
        };
        let options = trees::Options { recursive: true, paths: self.options.paths.clone(), ..Default::default() };
        let changes = trees::changes(graph.store(), before.as_ref(), Some(&graph.at(own).tree), &options)?;
        hash(graph.store(), &changes).map(Some)
    }
}

fn hash(store: &Store, changes: &[Change]) -> Result<Id> {
    let mut hasher = gix::hash::hasher(gix::hash::Kind::Sha256);
    let mut put = |bytes: &[u8]| {
        let bare: Vec<u8> = bytes.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
        hasher.update(&bare);
    };
    for change in changes {
        put(b"diff");
        put(&change.path);
        for (sign, version) in [("-", &change.before), ("+", &change.after)] {
            let mode = version.map_or(0, |version| version.mode.value());
            if change.before.is_none() || change.after.is_none() {
                put(format!("{sign}{mode:o}").as_bytes());
            }
        }
        let read = |side: &Option<trees::Version>| match side {
            Some(version) if !version.mode.is_commit() => Contents::read(store, &version.id),
            Some(version) => Ok(Contents::Text(format!("Subproject commit {}\n", version.id).into_bytes())),
            None => Ok(Contents::Text(Vec::new())),
        };
        match (read(&change.before)?, read(&change.after)?) {
            (Contents::Text(before), Contents::Text(after)) => {
                for (kind, line) in text::hunks(&before, &after, 3).iter().flat_map(|hunk| &hunk.lines) {
                    put(match kind {
                        Line::Kept => b"",
                        Line::Added => b"+",
                        Line::Removed => b"-",
                    });
                    put(line.as_bytes());
                }
            }
            _ => {
                for version in [&change.before, &change.after].into_iter().flatten() {
                    put(version.id.to_string().as_bytes());
                }
            }
        }
    }
    hasher.try_finalize().map_err(Error::git("hash a change"))
}

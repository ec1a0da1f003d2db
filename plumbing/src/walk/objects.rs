//! The trees, blobs and tags that a walk reaches (git-rev-list(1), `--objects`), with filters.

use gix::bstr::{BStr, BString, ByteSlice};
use gix::hashtable::{HashMap, HashSet};
use gix::objs::{Find, Kind, TreeRefIter};

use super::existing::Existing;
pub use super::filter::Filter;
use super::graph::Number;
use super::{Walk, flag, shown_name};
use crate::pathspec::{Interest, Pathspec};
use crate::{Error, Id, Result, Store};

/// What is to be listed.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// What is left out.
    pub filter: Filter,
    /// The filter leaves out also what was named.
    pub filter_tips: bool,
    /// The objects of a commit follow it at once.
    pub in_commit_order: bool,
    /// Only what is at these paths.
    pub paths: Pathspec,
    /// Objects that are missing are passed over and noted.
    pub note_missing: bool,
}

/// What a walk over objects comes upon.
#[derive(Debug, Clone, Copy)]
pub enum Found<'a> {
    /// A commit of the walk.
    Commit(Number),
    /// Another object, and the path where it was found first, or the name of a tag.
    Object {
        /// Its id.
        id: &'a Id,
        /// What it is.
        kind: Kind,
        /// The path, up to a line end in it.
        name: &'a BStr,
    },
}

/// Receives what is found, with the walk to look things up in.
pub type On<'o> = dyn FnMut(&Walk<'_>, Found<'_>) -> Result<()> + 'o;

impl Walk<'_> {
    /// Commits at the edge of the result, whose trees the receiver is taken to have: leave these out, and hand out
    /// the commits.
    pub fn hide_edges(&mut self, mut on_edge: impl FnMut(&Id)) -> Result<()> {
        for number in self.list.clone() {
            let commit = self.graph.at(number).clone();
            if commit.is(flag::UNINTERESTING) {
                self.output.hide_tree(self.graph.store(), &commit.tree)?;
                continue;
            }
            for parent in commit.parents {
                if !self.graph.at(parent).is(flag::UNINTERESTING) || !self.graph.try_read(parent)? {
                    continue;
                }
                let (id, tree) = (self.graph.at(parent).id, self.graph.at(parent).tree);
                self.output.hide_tree(self.graph.store(), &tree)?;
                if !self.graph.at(parent).is(flag::SHOWN) {
                    on_edge(&id);
                }
            }
        }
        Ok(())
    }

    /// Hand out all commits, and all objects that they and the tips lead to.
    pub fn objects(&mut self, options: &Options, on: &mut On<'_>) -> Result<()> {
        let mut listing = Listing {
            options,
            states: State::of(&options.filter),
            path: BString::default(),
            depth: 0,
            given: HashSet::default(),
            missing: Vec::new(),
            buffers: Vec::new(),
            existing: Existing::default(),
        };
        let given = std::mem::take(&mut self.pending).into_iter();
        let mut roots: Vec<Root> = given.map(|p| Root { id: p.id, kind: p.kind, name: p.name }).collect();
        if !options.filter_tips {
            listing.given.extend(roots.iter().map(|root| root.id));
        }
        while let Some(number) = self.advance()? {
            let commit = self.graph.at(number);
            let (id, tree) = (commit.id, commit.tree);
            let given = self.tips.contains(&number) && !options.filter_tips;
            if given || State::judge(&mut listing.states, self, &id, Situation::Commit)?.show {
                on(self, Found::Commit(number))?;
            }
            listing.given.remove(&tree);
            roots.push(Root { id: tree, kind: Kind::Tree, name: BString::default() });
            if options.in_commit_order {
                listing.roots(self, std::mem::take(&mut roots), on)?;
            }
        }
        listing.roots(self, roots, on)?;
        self.missing.append(&mut listing.missing);
        Ok(())
    }
}

/// Where a walk over objects begins.
struct Root {
    id: Id,
    kind: Kind,
    name: BString,
}

struct Listing<'o> {
    options: &'o Options,
    states: Vec<State>,
    path: BString,
    depth: usize,
    /// What was named and found nowhere else so far: it is shown whatever a filter says.
    given: HashSet<Id>,
    missing: Vec<Id>,
    /// Memory for trees, one for each level, used again and again.
    buffers: Vec<Vec<u8>>,
    existing: Existing,
}

impl Listing<'_> {
    fn roots(&mut self, walk: &mut Walk<'_>, roots: Vec<Root>, on: &mut On<'_>) -> Result<()> {
        for Root { id, kind, name } in roots {
            if walk.output.done.contains(&id) {
                continue;
            }
            let given = self.given.contains(&id);
            match kind {
                Kind::Tag => {
                    walk.output.done.insert(id);
                    if given || State::judge(&mut self.states, walk, &id, Situation::Tag)?.show {
                        on(walk, Found::Object { id: &id, kind, name: shown_name(&name).as_bstr() })?;
                    }
                }
                Kind::Tree => self.tree(walk, &id, name.as_bstr(), given, on)?,
                Kind::Blob => self.blob(walk, &id, name.as_bstr(), given, on)?,
                Kind::Commit => {}
            }
        }
        Ok(())
    }

    fn show(&mut self, walk: &Walk<'_>, id: &Id, kind: Kind, on: &mut On<'_>) -> Result<()> {
        if kind == Kind::Blob && !self.existing.has(walk.graph.store(), id)? {
            return self.note_missing(id, kind);
        }
        on(walk, Found::Object { id, kind, name: shown_name(&self.path).as_bstr() })
    }

    fn note_missing(&mut self, id: &Id, kind: Kind) -> Result<()> {
        if !self.options.note_missing {
            return Err(Error::damaged(format!("store: missing {kind} object '{id}'"), "the object is missing"));
        }
        if !self.missing.contains(id) {
            self.missing.push(*id);
        }
        Ok(())
    }

    fn blob(&mut self, walk: &mut Walk<'_>, id: &Id, name: &BStr, given: bool, on: &mut On<'_>) -> Result<()> {
        if walk.output.done.contains(id) {
            return Ok(());
        }
        let verdict = match given {
            true => Verdict::WHOLE,
            false => State::judge(&mut self.states, walk, id, Situation::Blob)?,
        };
        if verdict.done {
            walk.output.done.insert(*id);
        }
        if verdict.show {
            let length = self.path.len();
            self.path.extend_from_slice(name);
            self.show(walk, id, Kind::Blob, on)?;
            self.path.truncate(length);
        }
        Ok(())
    }

    fn tree(&mut self, walk: &mut Walk<'_>, id: &Id, name: &BStr, given: bool, on: &mut On<'_>) -> Result<()> {
        if walk.output.done.contains(id) {
            return Ok(());
        }
        let length = self.path.len();
        self.path.extend_from_slice(name);
        let verdict = match given {
            true => Verdict::WHOLE,
            false => State::judge(&mut self.states, walk, id, Situation::Tree)?,
        };
        let mut data = self.buffers.pop().unwrap_or_default();
        let exists = read_tree(walk.graph.store(), id, &mut data)?;
        if verdict.done {
            walk.output.done.insert(*id);
        }
        if !exists {
            self.note_missing(id, Kind::Tree)?;
        } else if verdict.show {
            self.show(walk, id, Kind::Tree, on)?;
        }
        if !self.path.is_empty() {
            self.path.push(b'/');
        }
        if exists && !verdict.skip {
            self.depth += 1;
            self.contents(walk, id, &data, on)?;
            self.depth -= 1;
        }
        if !given {
            State::leave(&mut self.states, id);
        }
        self.buffers.push(data);
        self.path.truncate(length);
        Ok(())
    }

    fn contents(&mut self, walk: &mut Walk<'_>, id: &Id, data: &[u8], on: &mut On<'_>) -> Result<()> {
        if self.depth > 2048 {
            return Err(Error::damaged(format!("tree {id}"), "exceeded maximum allowed tree depth"));
        }
        let mut interest = if self.options.paths.is_empty() { Interest::All } else { Interest::No };
        for entry in TreeRefIter::from_bytes(data, gix::hash::Kind::Sha256) {
            let entry = entry.map_err(|error| Error::damaged(format!("tree {id}"), error.to_string()))?;
            if interest != Interest::All {
                interest = self.options.paths.entry(self.path.as_bstr(), entry.filename, entry.mode, false);
                match interest {
                    Interest::NoneFrom => break,
                    Interest::No => continue,
                    Interest::Yes | Interest::All => {}
                }
            }
            let id = entry.oid.to_owned();
            if !self.given.is_empty() {
                self.given.remove(&id);
            }
            if entry.mode.is_tree() {
                self.tree(walk, &id, entry.filename, false, on)?;
            } else if !entry.mode.is_commit() {
                self.blob(walk, &id, entry.filename, false, on)?;
            }
        }
        Ok(())
    }
}

/// Read a tree; whether it exists.
fn read_tree(store: &Store, id: &Id, data: &mut Vec<u8>) -> Result<bool> {
    let found = store.repo().objects.try_find(id, data);
    let found = found.map_err(|error| Error::damaged(format!("store: tree {id}"), error.to_string()))?;
    match found {
        None => Ok(false),
        Some(object) if object.kind == Kind::Tree => Ok(true),
        Some(object) => {
            Err(Error::damaged(format!("store: object {id}"), format!("expected a tree, found a {}", object.kind)))
        }
    }
}

/// Where a filter is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Situation {
    Commit,
    Tag,
    Tree,
    Blob,
}

/// What a filter says.
#[derive(Debug, Clone, Copy)]
struct Verdict {
    show: bool,
    /// It needn't be asked again about this object.
    done: bool,
    /// Nothing in the tree is of interest.
    skip: bool,
}

impl Verdict {
    /// What is said of anything where no filter has a say.
    const WHOLE: Verdict = Verdict { show: true, done: true, skip: false };
}

/// A filter at work.
struct State {
    filter: Filter,
    depth: u64,
    seen_at: HashMap<Id, u64>,
    /// With several filters, each has its own opinion of what is done.
    done: HashSet<Id>,
    skipping: Option<Id>,
}

impl State {
    fn of(filter: &Filter) -> Vec<State> {
        let new = |filter: Filter| State {
            filter,
            depth: 0,
            seen_at: HashMap::default(),
            done: HashSet::default(),
            skipping: None,
        };
        match filter {
            Filter::None => Vec::new(),
            Filter::Any(all) => all.iter().flat_map(State::of).collect(),
            one => vec![new(one.clone())],
        }
    }

    /// What all filters together say.
    fn judge(states: &mut [State], walk: &Walk<'_>, id: &Id, situation: Situation) -> Result<Verdict> {
        let mut all = Verdict { skip: !states.is_empty(), ..Verdict::WHOLE };
        let several = states.len() > 1;
        for state in states {
            let one = if several { state.apart(walk, id, situation)? } else { state.verdict(walk, id, situation)? };
            all.show &= one.show;
            all.done &= one.done;
            all.skip &= if several { state.skipping.is_some() } else { one.skip };
        }
        Ok(all)
    }

    /// The verdict of one among several.
    fn apart(&mut self, walk: &Walk<'_>, id: &Id, situation: Situation) -> Result<Verdict> {
        let nothing = Verdict { show: false, done: false, skip: false };
        if self.skipping.is_some() || self.done.contains(id) {
            return Ok(nothing);
        }
        let verdict = self.verdict(walk, id, situation)?;
        if verdict.done {
            self.done.insert(*id);
        }
        if verdict.skip {
            self.skipping = Some(*id);
        }
        Ok(verdict)
    }

    fn verdict(&mut self, walk: &Walk<'_>, id: &Id, situation: Situation) -> Result<Verdict> {
        let plain = |show: bool| Verdict { show, done: true, skip: false };
        Ok(match (&self.filter, situation) {
            (Filter::NoBlobs, _) => plain(situation != Situation::Blob),
            (Filter::LargeBlobs { from }, Situation::Blob) => {
                let header = walk.graph.store().find_header(id)?;
                plain(header.is_none_or(|(_, size)| size < *from))
            }
            (Filter::Depth(depth), Situation::Blob) => {
                let show = self.depth < *depth;
                Verdict { show, done: show, skip: false }
            }
            (Filter::Depth(depth), Situation::Tree) => {
                let at = self.depth;
                self.depth += 1;
                let seen = self.seen_at.get(id).is_some_and(|seen| at >= *seen);
                if !seen {
                    self.seen_at.insert(*id, at);
                }
                let show = at < *depth && !seen;
                Verdict { show, done: false, skip: !show }
            }
            (Filter::Other(kind), _) => match (kind, situation) {
                (Kind::Commit | Kind::Tag, Situation::Tree) => Verdict { show: false, done: false, skip: true },
                (kind, situation) => plain(situation.kind() == *kind),
            },
            _ => plain(true),
        })
    }

    /// A tree has been gone through.
    fn leave(states: &mut [State], id: &Id) {
        for state in states {
            match state.skipping {
                Some(skipped) if skipped != *id => continue,
                _ => state.skipping = None,
            }
            state.depth = state.depth.saturating_sub(u64::from(matches!(state.filter, Filter::Depth(_))));
        }
    }
}

impl Situation {
    fn kind(self) -> Kind {
        match self {
            Situation::Commit => Kind::Commit,
            Situation::Tag => Kind::Tag,
            Situation::Tree => Kind::Tree,
            Situation::Blob => Kind::Blob,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_read() {
        for (text, filter) in [
            ("blob:none", Filter::NoBlobs),
            ("blob:limit=2k", Filter::LargeBlobs { from: 2048 }),
            ("tree:3", Filter::Depth(3)),
            ("object:type=tag", Filter::Other(Kind::Tag)),
            ("combine:blob%3Anone+tree:1", Filter::Any(vec![Filter::NoBlobs, Filter::Depth(1)])),
        ] {
            assert_eq!(Filter::parse(text).unwrap(), filter);
        }
        for text in ["tree:", "blob:limit=", "blob:limit=x", "sparse:oid=1", "object:type=x", ""] {
            assert!(Filter::parse(text).is_err(), "{text}");
        }
    }
}

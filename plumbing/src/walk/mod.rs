//! Walks over history by git's rules (git-rev-list(1)): ranges, orders, simplification by paths, boundaries, objects.
//!
//! Own code beside gix's walks, which have neither git's simplification of history nor its order among commits of
//! one date, which the object commands must give to the byte. A [`Walk`] is set up with [`Tip`]s and [`Options`] and
//! then asked for one commit after the other; what needs no look at the whole history is found as it is asked for.

pub mod bases;
mod cherry;
mod existing;
pub(crate) mod filter;
mod graph;
mod limit;
mod merges;
pub mod objects;
mod order;
mod output;
mod simplify;

use std::collections::{BinaryHeap, HashMap, HashSet, VecDeque};

use gix::bstr::{BString, ByteSlice};
use gix::objs::{Kind, TagRef};

pub use graph::{Commit, Graph, Number};
pub use order::Order;

use crate::pathspec::Pathspec;
use crate::{Error, Id, Result, Store};

/// What a walk knows of a commit: bits of [`Commit::flags`].
pub mod flag {
    /// It is left out, and so is what it reaches.
    pub const UNINTERESTING: u16 = 1;
    /// It was named as one to leave out.
    pub const BOTTOM: u16 = 1 << 1;
    /// It is on the left of `A...B`.
    pub const LEFT: u16 = 1 << 2;
    /// It is the parent of a commit in the result, and not in it.
    pub const BOUNDARY: u16 = 1 << 3;
    /// The other side has a commit that makes the same change.
    pub const SAME_PATCH: u16 = 1 << 4;
    pub(super) const SEEN: u16 = 1 << 5;
    pub(super) const ADDED: u16 = 1 << 6;
    pub(super) const SHOWN: u16 = 1 << 7;
    /// It changes nothing that is looked at.
    pub(super) const TREESAME: u16 = 1 << 8;
    pub(super) const CHILD_SHOWN: u16 = 1 << 9;
    pub(super) const ANCESTRY_PATH: u16 = 1 << 10;
    pub(super) const MARK: u16 = 1 << 11;
    /// A merge whose first parent isn't the one that it equals.
    pub(super) const PULL_MERGE: u16 = 1 << 12;
}

/// An object that a walk begins with, or ends at.
#[derive(Debug, Clone)]
pub struct Tip {
    /// A commit, a tag, or with [`objects`] anything.
    pub id: Id,
    /// `UNINTERESTING`, `BOTTOM` and `LEFT` of [`flag`].
    pub flags: u16,
    /// The path of a tree or blob that was named by one.
    pub path: BString,
}

/// Says of an encoded commit whether it is to be shown.
pub type Filter = Box<dyn Fn(&[u8]) -> bool>;

/// What a walk shows, and how.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "because each is an option of git's")]
pub struct Options {
    /// The order.
    pub order: Order,
    /// Follow first parents alone.
    pub first_parent: bool,
    /// Of what is left out, follow first parents alone.
    pub exclude_first_parent: bool,
    /// Nothing before this time, in seconds; what it reaches isn't looked at.
    pub since: Option<i64>,
    /// The same, but what older commits reach is looked at.
    pub since_as_filter: Option<i64>,
    /// Nothing after this time.
    pub until: Option<i64>,
    /// At most so many commits.
    pub max_count: Option<usize>,
    /// Leave out so many first ones.
    pub skip: usize,
    /// At least so many parents.
    pub min_parents: usize,
    /// At most so many parents.
    pub max_parents: Option<usize>,
    /// The last one first.
    pub reverse: bool,
    /// Show the boundary too.
    pub boundary: bool,
    /// Only the left of `A...B`.
    pub left_only: bool,
    /// Only its right.
    pub right_only: bool,
    /// Mark changes that both sides have.
    pub cherry_mark: bool,
    /// Leave out changes that both sides have.
    pub cherry_pick: bool,
    /// Only what lies between the tips and these commits; those to leave out where there are none.
    pub ancestry_path: Option<Vec<Id>>,
    /// Show the tips alone.
    pub no_walk: bool,
    /// Keep the tips in the order in which they were named.
    pub unsorted: bool,
    /// Parents of what is shown shall be such as are shown.
    pub rewrite_parents: bool,
    /// Remember children.
    pub children: bool,
    /// Only what touches these paths.
    pub paths: Pathspec,
    /// Go into all parents of a merge, also where one explains all.
    pub full_history: bool,
    /// Show also what changes nothing.
    pub sparse: bool,
    /// Leave out merges that explain nothing.
    pub simplify_merges: bool,
    /// Only these commits, and what ties them together.
    pub decorated: Option<HashSet<Id>>,
    /// Show merges that brought a change into the main line.
    pub show_pulls: bool,
    /// End where all paths come into being.
    pub remove_empty: bool,
    /// Only commits that pass.
    pub filter: Option<Filter>,
    /// Pass over tips that are missing.
    pub ignore_missing: bool,
    /// Note missing objects instead of failing.
    pub note_missing: bool,
    /// Tags, trees and blobs shall be kept for [`objects`].
    pub objects: bool,
    /// The walk must be over before its first commit is shown.
    pub limited: bool,
}

impl Options {
    /// Whether history is simplified by what commits change.
    fn prunes(&self) -> bool {
        !self.paths.is_empty() || self.decorated.is_some()
    }

    fn wants_ancestry(&self) -> bool {
        self.rewrite_parents || self.children
    }

    fn simplifies_history(&self) -> bool {
        !self.full_history
    }

    /// Whether a commit may turn out to change nothing once the result is known.
    fn limiting_matters(&self) -> bool {
        self.prunes() && !self.sparse && !self.simplifies_history() && !self.first_parent
    }
}

/// A tree, blob or tag that a walk begins with.
#[derive(Debug, Clone)]
pub struct Pending {
    /// Its id.
    pub id: Id,
    /// What it is.
    pub kind: Kind,
    /// A tag's name, or the path by which a tree or blob was named.
    pub name: BString,
}

/// A walk under way.
pub struct Walk<'s> {
    graph: Graph<'s>,
    options: Options,
    /// Commits to show, where the walk is limited; before it begins, the tips.
    list: VecDeque<Number>,
    tips: HashSet<Number>,
    queue: Queue,
    /// By commit with several parents: which of them it equals.
    same_as_parent: Option<HashMap<Number, Vec<bool>>>,
    children: HashMap<Number, Vec<Number>>,
    pending: Vec<Pending>,
    missing: Vec<Id>,
    output: output::State,
}

/// Commits by date, the newest first, then as they came.
#[derive(Default)]
struct Queue {
    heap: BinaryHeap<(i64, std::cmp::Reverse<usize>, Number)>,
    came: usize,
}

impl Queue {
    fn push(&mut self, date: i64, number: Number) {
        self.came += 1;
        self.heap.push((date, std::cmp::Reverse(self.came), number));
    }

    fn pop(&mut self) -> Option<Number> {
        self.heap.pop().map(|(_, _, number)| number)
    }
}

impl<'s> Walk<'s> {
    /// Set up a walk, doing now what can't be done commit by commit.
    pub fn new(store: &'s Store, mut options: Options, tips: &[Tip]) -> Result<Self> {
        options.limited |= options.order != Order::Date
            || options.ancestry_path.is_some()
            || options.simplify_merges
            || options.cherry_mark
            || options.cherry_pick
            || options.children;
        let mut walk = Self {
            graph: Graph::new(store),
            list: VecDeque::new(),
            tips: HashSet::new(),
            queue: Queue::default(),
            same_as_parent: None,
            children: HashMap::new(),
            pending: Vec::new(),
            missing: Vec::new(),
            output: output::State::new(&options),
            options,
        };
        walk.add_tips(tips)?;
        walk.prepare()?;
        Ok(walk)
    }

    fn add_tips(&mut self, tips: &[Tip]) -> Result<()> {
        let mut flags: gix::hashtable::HashMap<Id, u16> = Default::default();
        for tip in tips {
            *flags.entry(tip.id).or_default() |= tip.flags;
        }
        for tip in tips {
            let mut inherited = 0;
            let mut next = Some((tip.id, tip.path.clone()));
            while let Some((id, path)) = next.take() {
                let all = flags.entry(id).or_default();
                *all |= inherited;
                inherited = *all;
                next = self.add_tip(id, path, inherited)?;
            }
        }
        Ok(())
    }

    /// Begin with the object `id`; what it names, where it is a tag.
    fn add_tip(&mut self, id: Id, path: BString, flags: u16) -> Result<Option<(Id, BString)>> {
        let hidden = flags & flag::UNINTERESTING != 0;
        let Some((kind, _)) = self.graph.store().find_header(&id)? else {
            return self.missing_tip(id, hidden).map(|()| None);
        };
        match kind {
            Kind::Tag => {
                let data = self.graph.store().read_object(&id, Kind::Tag)?;
                let tag = TagRef::from_bytes(&data, id.kind());
                let tag = tag.map_err(|error| Error::damaged(format!("tag {id}"), error.to_string()))?;
                if self.options.objects && !hidden {
                    self.pending.push(Pending { id, kind, name: tag.name.to_owned() });
                }
                return Ok(Some((tag.target(), BString::default())));
            }
            Kind::Commit => {
                let number = self.graph.number(id);
                self.graph.read(number)?;
                self.graph.at_mut(number).flags |= flags;
                if hidden {
                    self.hide_parents(number);
                    self.options.limited = true;
                }
                if !self.graph.at(number).is(flag::SEEN) {
                    self.graph.at_mut(number).flags |= flag::SEEN;
                    self.list.push_back(number);
                    self.tips.insert(number);
                }
            }
            Kind::Tree | Kind::Blob if !self.options.objects => {}
            Kind::Tree if hidden => self.output.hide_tree(self.graph.store(), &id)?,
            Kind::Blob if hidden => self.output.hide_blob(id),
            Kind::Tree | Kind::Blob => self.pending.push(Pending { id, kind, name: path }),
        }
        Ok(None)
    }

    fn missing_tip(&mut self, id: Id, hidden: bool) -> Result<()> {
        if self.options.note_missing {
            self.missing.push(id);
        } else if !self.options.ignore_missing && !hidden {
            return Err(Error::damaged(format!("store: object {id}"), "the object is missing"));
        }
        Ok(())
    }

    fn prepare(&mut self) -> Result<()> {
        let options = &self.options;
        if options.simplify_merges || (options.limited && options.limiting_matters()) {
            self.same_as_parent = Some(HashMap::new());
        }
        if !options.unsorted {
            let graph = &self.graph;
            self.list.make_contiguous().sort_by_key(|number| std::cmp::Reverse(graph.at(*number).date));
        }
        if options.no_walk {
            return Ok(());
        }
        if options.limited {
            self.limit()?;
            let list = order::sorted(&self.graph, self.list.make_contiguous(), self.options.order);
            self.list = list.into();
        } else {
            for number in std::mem::take(&mut self.list) {
                self.queue.push(self.graph.at(number).date, number);
            }
        }
        if self.options.simplify_merges {
            self.simplify_merges()?;
        }
        if self.options.children {
            self.note_children();
        }
        Ok(())
    }

    fn note_children(&mut self) {
        for number in &self.list {
            for parent in &self.graph.at(*number).parents {
                self.children.entry(*parent).or_default().insert(0, *number);
            }
        }
    }

    /// The commits seen so far.
    pub fn graph(&self) -> &Graph<'s> {
        &self.graph
    }

    /// The children of a commit that are in the result, where they were asked for.
    pub fn children(&self, number: Number) -> &[Number] {
        self.children.get(&number).map_or(&[], Vec::as_slice)
    }

    /// Objects that are missing, as far as that was found out and is to be noted.
    pub fn missing(&self) -> &[Id] {
        &self.missing
    }

    /// The encoded commit.
    fn data(&self, number: Number) -> Result<Vec<u8>> {
        self.graph.store().read_object(&self.graph.at(number).id, Kind::Commit)
    }
}

/// The path of a tip as git prints it: nothing after a line end.
pub(crate) fn shown_name(name: &[u8]) -> &[u8] {
    name.find_byte(b'\n').map_or(name, |end| &name[..end])
}

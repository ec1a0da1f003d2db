//! The walk over two roots at once: folder by folder, equal ones unread.

use gix::bstr::{BStr, BString, ByteSlice};
use itertools::EitherOrBoth::{Both, Left, Right};
use itertools::Itertools;

use super::listing::{FolderRef, Item, Items, Listing, list_both};
use super::{Change, Entry, Options, Side};
use crate::root::join_path;
use crate::{Result, Store};

/// A path at which at least one side has a folder.
struct Pair<'a> {
    path: BString,
    before: Option<Item<'a>>,
    after: Option<Item<'a>>,
}

/// The changes of entries, in no order; hard links aside.
///
/// Folders wait on a list instead of the stack, so that no image is too deep.
pub(super) fn compare(store: &Store, before: Side<'_>, after: Side<'_>, options: &Options) -> Result<Vec<Change>> {
    let top = |side| FolderRef::top(side).map(Item::Folder);
    let mut walk = Walk { store, options, changes: Vec::new(), todo: Vec::new() };
    walk.push(Pair { path: BString::default(), before: top(before), after: top(after) });
    // The first folders one level after the other, so that there is enough to share out.
    while walk.todo.len() < MANY && !walk.todo.is_empty() {
        for pair in std::mem::take(&mut walk.todo) {
            walk.visit(pair)?;
        }
    }
    let todo = std::mem::take(&mut walk.todo);
    let mut changes = std::mem::take(&mut walk.changes);
    for more in walk_shared(store, options, todo)? {
        changes.extend(more);
    }
    Ok(changes)
}

/// From so many folders on it is worth it to start threads.
const MANY: usize = 48;

/// Walk on from these pairs, on all processors.
fn walk_shared<'a>(store: &Store, options: &Options, todo: Vec<Pair<'a>>) -> Result<Vec<Vec<Change>>> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(todo.len());
    if threads < 2 {
        return Ok(vec![Walk { store, options, changes: Vec::new(), todo }.finish()?]);
    }
    let mut shares: Vec<Vec<Pair<'a>>> = (0..threads).map(|_| Vec::new()).collect();
    for (number, pair) in todo.into_iter().enumerate() {
        shares[number % threads].push(pair);
    }
    let shared = store.share();
    std::thread::scope(|scope| {
        let begin = |todo| {
            let shared = &shared;
            scope.spawn(move || Walk { store: &shared.to_local(), options, changes: Vec::new(), todo }.finish())
        };
        let walks: Vec<_> = shares.into_iter().map(begin).collect();
        let ended = walks.into_iter().map(|walk| walk.join());
        ended.map(|changes| changes.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    })
}

struct Walk<'a, 's> {
    store: &'s Store,
    options: &'s Options,
    changes: Vec<Change>,
    todo: Vec<Pair<'a>>,
}

impl<'a> Walk<'a, '_> {
    /// Visit what is on the list, and what comes of it; the changes.
    fn finish(mut self) -> Result<Vec<Change>> {
        while let Some(pair) = self.todo.pop() {
            self.visit(pair)?;
        }
        Ok(self.changes)
    }

    /// Put a pair on the list, unless it can't have a change that is asked for.
    fn push(&mut self, pair: Pair<'a>) {
        let pruned = self.options.paths.as_ref().is_some_and(|paths| !paths.may_match_below(pair.path.as_bstr()));
        if !pruned && !self.is_equal(&pair) {
            self.todo.push(pair);
        }
    }

    fn is_equal(&self, pair: &Pair<'_>) -> bool {
        let (Some(Item::Folder(before)), Some(Item::Folder(after))) = (&pair.before, &pair.after) else { return false };
        let (Some(before), Some(after)) = (before.ids(), after.ids()) else { return false };
        before.rootfs == after.rootfs
            && before.meta == after.meta
            && (self.options.ignore_times || before.times == after.times)
    }

    /// Compare the two entries themselves, then what is in them.
    fn visit(&mut self, pair: Pair<'a>) -> Result<()> {
        let ((before, old_items), (after, new_items)) = match (pair.before, pair.after) {
            (Some(Item::Folder(before)), Some(Item::Folder(after))) => {
                let (before, after) = list_both(self.store, &before, &after)?;
                ((Some(before.own), before.items), (Some(after.own), after.items))
            }
            (before, after) => (self.open(before)?, self.open(after)?),
        };
        self.emit(&pair.path, before, after);
        self.join(pair.path.as_bstr(), old_items, new_items);
        Ok(())
    }

    /// The entry, and what is in it if it is a folder.
    fn open(&self, item: Option<Item<'a>>) -> Result<(Option<Entry>, Items<'a>)> {
        Ok(match item {
            None => (None, Vec::new()),
            Some(Item::Leaf(leaf)) => (Some(Entry::leaf(leaf)), Vec::new()),
            Some(Item::Folder(folder)) => {
                let Listing { own, items } = folder.list(self.store)?;
                (Some(own), items)
            }
        })
    }

    fn join(&mut self, folder: &BStr, before: Items<'a>, after: Items<'a>) {
        for pair in before.into_iter().merge_join_by(after, |a, b| a.0.cmp(&b.0)) {
            let (name, before, after) = match pair {
                Both((name, before), (_, after)) => (name, Some(before), Some(after)),
                Left((name, before)) => (name, Some(before), None),
                Right((name, after)) => (name, None, Some(after)),
            };
            match (before, after) {
                (Some(Item::Leaf(a)), Some(Item::Leaf(b))) if a == b => {}
                (before @ (None | Some(Item::Leaf(_))), after @ (None | Some(Item::Leaf(_)))) => {
                    self.emit(&join_path(folder, name.as_bstr()), entry(before), entry(after));
                }
                (before, after) => self.push(Pair { path: join_path(folder, name.as_bstr()), before, after }),
            }
        }
    }

    fn emit(&mut self, path: &BString, before: Option<Entry>, after: Option<Entry>) {
        let is_folder = [&before, &after].into_iter().flatten().any(Entry::is_folder);
        if self.options.paths.as_ref().is_none_or(|paths| paths.matches(path.as_bstr(), is_folder)) {
            self.changes.extend(Change::between(path.clone(), before, after, self.options.ignore_times));
        }
    }
}

/// The entry of a leaf; folders have one only once they are read.
fn entry(item: Option<Item<'_>>) -> Option<Entry> {
    match item {
        Some(Item::Leaf(leaf)) => Some(Entry::leaf(leaf)),
        _ => None,
    }
}

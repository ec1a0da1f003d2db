//! The comparison of roots against a model: random edits, a brute-force comparison, and changes applied again.

use std::collections::{BTreeMap, BTreeSet};

use plumbing::Store;
use plumbing::bstr::{BStr, BString, ByteSlice};
use plumbing::diff::{self, Aspect, Change, ChangeKind, Options, Paths, Side, What};
use plumbing::root::{Attrs, Kind, Leaf, Node, Root, RootIds, Time, View, join_path};
use proptest::prelude::*;

/// One edit of a root; paths are made of few names so that edits meet.
#[derive(Debug, Clone)]
enum Edit {
    Put(String, u8, u8, u8),
    Dir(String, u8, u8),
    Link(String, String),
    Touch(String, u8),
    Remove(String),
    Clear(String),
}

fn path() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec!["a", "b", "a.b", "a-", ".git", "%c", "d e", "\u{e9}"]);
    prop::collection::vec(name, 1..4).prop_map(|names| names.join("/"))
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        4 => (path(), 0..7u8, 0..3u8, 0..3u8).prop_map(|(p, kind, attrs, time)| Edit::Put(p, kind, attrs, time)),
        4 => (path(), 0..3u8, 0..3u8).prop_map(|(p, attrs, time)| Edit::Dir(p, attrs, time)),
        3 => (path(), path()).prop_map(|(a, b)| Edit::Link(a, b)),
        1 => (path(), 0..3u8).prop_map(|(p, time)| Edit::Touch(p, time)),
        2 => path().prop_map(Edit::Remove),
        1 => path().prop_map(Edit::Clear),
    ]
}

fn attrs(number: u8) -> Attrs {
    let mut attrs = Attrs { mode: 0o644 + u32::from(number % 2), uid: u32::from(number / 2), ..Attrs::default() };
    if number == 2 {
        attrs.xattrs.insert("user.x".into(), "1".into());
    }
    attrs
}

fn time(number: u8) -> Time {
    Time { sec: i64::from(number), nsec: 0 }
}

fn kind(number: u8) -> Kind {
    let id = plumbing::store::hash_content(&[number]);
    match number {
        0..=2 => Kind::File { id, size: u64::from(number) },
        3 | 4 => Kind::Symlink { id },
        5 => Kind::Fifo,
        _ => Kind::Char { major: 1, minor: 3 },
    }
}

fn apply_edit(root: &mut Root, store: &Store, edit: &Edit) {
    match edit {
        Edit::Put(path, number, a, t) => {
            let leaf = Leaf { kind: kind(*number), attrs: attrs(*a), mtime: time(*t) };
            root.put_leaf(store, path.as_str().into(), leaf).unwrap();
        }
        Edit::Dir(path, a, t) => {
            root.put_dir(store, path.as_str().into(), attrs(*a), time(*t)).unwrap();
        }
        Edit::Link(existing, path) => {
            // A link below its own target's name would replace the folder it stands in.
            if !existing.starts_with(path.as_str()) {
                root.link(store, existing.as_str().into(), path.as_str().into()).unwrap();
            }
        }
        Edit::Touch(path, t) => {
            // All names of a file have its one time.
            let names = root.hardlinks().group(path.as_str().into()).cloned().unwrap_or_default();
            for path in names.iter().map(|name| name.as_bstr()).chain([path.as_str().into()]) {
                root.set_mtime(store, path, time(*t)).unwrap();
            }
        }
        Edit::Remove(path) => {
            root.remove(store, path.as_str().into()).unwrap();
        }
        Edit::Clear(path) => {
            root.clear(store, path.as_str().into()).unwrap();
        }
    }
}

fn write(root: &mut Root, store: &Store) -> RootIds {
    let mut batch = store.batch();
    let ids = root.write(&mut batch).unwrap();
    batch.finish().unwrap();
    ids
}

/// A store for all cases of a property: what one wrote is in nobody's way.
fn shared_store() -> Store {
    // Nothing drops what is static, so the folder of the last run is removed here.
    static DIR: std::sync::OnceLock<std::path::PathBuf> = std::sync::OnceLock::new();
    let dir = DIR.get_or_init(|| {
        let dir = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("diff-model");
        let _ = std::fs::remove_dir_all(&dir);
        dir
    });
    Store::open_or_create(dir).unwrap()
}

fn empty() -> Root {
    Root::new(attrs(0), time(0))
}

/// Everything in a root by path: what, attributes, time.
type Listed = BTreeMap<BString, (What, Attrs, Time)>;

fn list(root: &mut Root, store: &Store, path: &BStr, into: &mut Listed) {
    let dir = root.dir(store, path).unwrap().unwrap();
    into.insert(path.to_owned(), (What::Folder, dir.attrs.clone(), dir.mtime));
    for name in dir.names() {
        let below = join_path(path, name.as_bstr());
        match root.get(store, below.as_bstr()).unwrap().unwrap() {
            Node::Leaf(leaf) => {
                into.insert(below, (What::Leaf(leaf.kind.clone()), leaf.attrs.clone(), leaf.mtime));
            }
            Node::Dir(_) => list(root, store, below.as_bstr(), into),
        }
    }
}

fn listed(ids: &RootIds, store: &Store) -> Listed {
    let mut all = Listed::new();
    list(&mut Root::open(store, ids).unwrap(), store, "".into(), &mut all);
    all
}

/// Apply changes as their documentation promises that it can be done.
fn apply(root: &mut Root, store: &Store, changes: &[Change]) {
    for change in changes.iter().rev().filter(|change| change.kind() != ChangeKind::Modified) {
        if change.before.is_some() {
            assert!(root.remove(store, change.path.as_bstr()).unwrap());
        }
    }
    for change in changes {
        let path = change.path.as_bstr();
        let Some(entry) = &change.after else { continue };
        match &entry.what {
            What::Folder => assert!(root.put_dir(store, path, entry.attrs.clone(), entry.mtime).unwrap()),
            What::Leaf(kind) => put_leaf(root, store, change, kind),
        }
    }
    let was_leaf = |change: &Change| change.before.as_ref().is_some_and(|entry| !entry.is_folder());
    let regrouped = |change: &&Change| !was_leaf(change) || change.aspects.contains(&Aspect::Links);
    for change in changes.iter().filter(regrouped) {
        let path = change.path.as_bstr();
        let names = change.after.iter().flat_map(|entry| entry.links.iter().flat_map(|names| names.iter()));
        for name in names.filter(|name| *name != path) {
            assert!(root.link(store, path, name.as_bstr()).unwrap());
        }
    }
}

/// Put a leaf; the group of a file that merely changed stays as it was.
fn put_leaf(root: &mut Root, store: &Store, change: &Change, kind: &Kind) {
    let path = change.path.as_bstr();
    let entry = change.after.as_ref().unwrap();
    let others: BTreeSet<BString> = root.hardlinks().group(path).cloned().unwrap_or_default();
    let leaf = Leaf { kind: kind.clone(), attrs: entry.attrs.clone(), mtime: entry.mtime };
    assert!(root.put_leaf(store, path, leaf).unwrap());
    if !change.aspects.contains(&Aspect::Links) {
        for other in others.iter().filter(|other| *other != path) {
            let there = root.get(store, other.as_bstr()).unwrap().is_some();
            if there {
                assert!(root.link(store, path, other.as_bstr()).unwrap());
            }
        }
    }
}

fn key(change: &Change) -> (BString, ChangeKind, Vec<Aspect>) {
    (change.path.clone(), change.kind(), change.aspects.clone())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn changes_are_what_brute_force_finds_and_make_the_second_root_of_the_first(
        first in prop::collection::vec(edit(), 0..40), second in prop::collection::vec(edit(), 0..12),
    ) {
        let store = shared_store();
        let mut root = empty();
        first.iter().for_each(|edit| apply_edit(&mut root, &store, edit));
        let a = write(&mut root, &store);
        let mut memory = Root::open(&store, &a).unwrap();
        second.iter().for_each(|edit| apply_edit(&mut memory, &store, edit));
        let b = write(&mut memory.clone(), &store);

        let all = Options::default();
        let changes = diff::compare(&store, Side::Stored(a), Side::Stored(b), &all).unwrap();
        let in_memory = diff::compare(&store, Side::Stored(a), Side::Memory(&memory), &all).unwrap();
        prop_assert_eq!(&changes, &in_memory);
        prop_assert_eq!(changes.is_empty(), a == b);
        prop_assert!(changes.is_sorted_by(|x, y| x.path < y.path));

        let (old, new) = (listed(&a, &store), listed(&b, &store));
        let paths: BTreeSet<&BString> = old.keys().chain(new.keys()).collect();
        let differing: Vec<&BString> = paths.into_iter().filter(|path| old.get(*path) != new.get(*path)).collect();
        let found: Vec<&BString> =
            changes.iter().filter(|c| c.kind() != ChangeKind::Modified || c.aspects != [Aspect::Links]).map(|c| &c.path).collect();
        prop_assert_eq!(differing, found);

        let mut again = Root::open(&store, &a).unwrap();
        apply(&mut again, &store, &changes);
        prop_assert_eq!(write(&mut again, &store), b);

        let back = diff::compare(&store, Side::Stored(b), Side::Stored(a), &all).unwrap();
        let turned = |c: &Change| (c.path.clone(), c.after.clone(), c.before.clone());
        prop_assert_eq!(
            changes.iter().map(turned).collect::<Vec<_>>(),
            back.iter().map(|c| (c.path.clone(), c.before.clone(), c.after.clone())).collect::<Vec<_>>()
        );
        let timeless = Options { ignore_times: true, ..Options::default() };
        let without_times = diff::compare(&store, Side::Stored(a), Side::Stored(b), &timeless).unwrap();
        let mut expected: Vec<_> = changes.iter().map(key).collect();
        expected.iter_mut().for_each(|(_, _, aspects)| aspects.retain(|aspect| *aspect != Aspect::Time));
        expected.retain(|(_, kind, aspects)| *kind != ChangeKind::Modified || !aspects.is_empty());
        prop_assert_eq!(without_times.iter().map(key).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_path_filter_prunes_without_losing(
        first in prop::collection::vec(edit(), 0..40), second in prop::collection::vec(edit(), 0..40),
        specs in prop::collection::vec(prop::sample::select(vec!["a", "b", "a/b", "a.b", "*b", "a/*", ":!a/b"]), 1..3),
    ) {
        let store = shared_store();
        let [a, b] = [first, second].map(|edits| {
            let mut root = empty();
            edits.iter().for_each(|edit| apply_edit(&mut root, &store, edit));
            write(&mut root, &store)
        });
        let all = diff::compare(&store, Side::Stored(a), Side::Stored(b), &Options::default()).unwrap();
        let paths = || Paths::parse(&specs).unwrap();
        let limited = Options { paths: paths(), ..Options::default() };
        let some = diff::compare(&store, Side::Stored(a), Side::Stored(b), &limited).unwrap();
        let filter = paths().unwrap();
        let meant = |change: &&Change| {
            let is_folder = [&change.before, &change.after].into_iter().flatten().any(|entry| entry.is_folder());
            filter.matches(change.path.as_bstr(), is_folder)
        };
        let expected: Vec<Change> = all.iter().filter(meant).cloned().collect();
        prop_assert_eq!(some, expected);
    }
}

#[test]
fn a_new_name_of_an_old_file_is_one_change() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(dir.path().join("s")).unwrap();
    let mut root = empty();
    for path in ["x", "y"] {
        apply_edit(&mut root, &store, &Edit::Put(path.into(), 1, 0, 0));
    }
    let a = write(&mut root, &store);
    apply_edit(&mut root, &store, &Edit::Link("x".into(), "z".into()));
    let b = write(&mut root, &store);
    apply_edit(&mut root, &store, &Edit::Link("x".into(), "y".into()));
    let c = write(&mut root, &store);
    let compare = |a, b| diff::compare(&store, Side::Stored(a), Side::Stored(b), &Options::default()).unwrap();
    let added = compare(a, b);
    assert_eq!(added.iter().map(key).collect::<Vec<_>>(), [("z".into(), ChangeKind::Added, vec![])]);
    assert_eq!(added[0].after.as_ref().unwrap().links.as_ref().unwrap().len(), 2);
    let linked: Vec<_> = compare(b, c).iter().map(key).collect();
    let joined = |path: &str| (path.into(), ChangeKind::Modified, vec![Aspect::Links]);
    assert_eq!(linked, [joined("x"), joined("y"), joined("z")]);
}

#[test]
fn an_empty_side_adds_or_deletes_everything() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(dir.path().join("s")).unwrap();
    let mut root = empty();
    apply_edit(&mut root, &store, &Edit::Dir("d".into(), 0, 0));
    apply_edit(&mut root, &store, &Edit::Put("d/f".into(), 1, 0, 0));
    let ids = write(&mut root, &store);
    let kinds = |a, b| -> Vec<String> {
        let changes = diff::compare(&store, a, b, &Options::default()).unwrap();
        changes.iter().map(|c| format!("{} {}", c.kind().letter(), c.path)).collect()
    };
    assert_eq!(kinds(Side::Empty, Side::Stored(ids)), ["A ", "A d", "A d/f"]);
    assert_eq!(kinds(Side::Memory(&root), Side::Empty), ["D ", "D d", "D d/f"]);
    assert!(root.folder().entries().any(|(name, view)| name == "d" && matches!(view, View::Dir(_))));
}

#[test]
fn no_root_is_too_deep() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(dir.path().join("s")).unwrap();
    let mut ids = write(&mut empty(), &store);
    let mut batch = store.batch();
    for _ in 0..3_000 {
        ids = wrap(&mut batch, &ids);
    }
    batch.finish().unwrap();
    let changes = diff::compare(&store, Side::Empty, Side::Stored(ids), &Options::default()).unwrap();
    assert_eq!(changes.len(), 3_001);
}

/// A folder with nothing in it but the folder `ids`, named `d`; written without recursion.
fn wrap(batch: &mut plumbing::store::Batch<'_>, ids: &RootIds) -> RootIds {
    use plumbing::gix::objs::{Tree, tree::Entry, tree::EntryKind};
    let meta = batch.write_blob(&plumbing::root::encode_folder(&attrs(0), 0, std::iter::empty())).unwrap();
    let times = batch.write_blob(b". time=0.000000000\n").unwrap();
    let dir = |oid| Entry { mode: EntryKind::Tree.into(), filename: "d".into(), oid };
    let blob = |name: &str, oid| Entry { mode: EntryKind::Blob.into(), filename: name.into(), oid };
    RootIds {
        rootfs: batch.write_object(&Tree { entries: vec![dir(ids.rootfs)] }).unwrap(),
        meta: batch.write_object(&Tree { entries: vec![blob("%meta", meta), dir(ids.meta)] }).unwrap(),
        times: batch.write_object(&Tree { entries: vec![blob("%times", times), dir(ids.times)] }).unwrap(),
    }
}

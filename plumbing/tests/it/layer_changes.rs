//! The layer that is made of two roots makes the second of the first.

use std::collections::BTreeMap;

use plumbing::layer::{Form, Unpacker, pack_changes};
use plumbing::root::{Attrs, Kind, Leaf, Root, RootIds, Time};
use plumbing::store::{Batch, hash_content};
use plumbing::{Error, Store};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use crate::layer::assert_same;

/// What is at a path.
#[derive(Debug, Clone)]
enum Made {
    Dir(u32, i64),
    File(String, u32, i64),
    Symlink(String),
    Fifo(bool),
    /// Another name of the file at the path of this number, if there is one.
    Link(usize),
}

/// Few names, so that entries meet, in an order that has folders first.
fn roots() -> impl Strategy<Value = BTreeMap<String, Made>> {
    let path = vec(prop_oneof!["[a-c]", Just(".git".to_owned())], 1..4).prop_map(|names| names.join("/"));
    let mode = prop_oneof![Just(0o644u32), Just(0o4755), Just(0o1777)];
    let made = prop_oneof![
        4 => (mode.clone(), 0..3i64).prop_map(|(mode, time)| Made::Dir(mode, time)),
        4 => ("[xy]{0,2}", mode, 0..3i64).prop_map(|(text, mode, time)| Made::File(text, mode, time)),
        1 => "[ab]".prop_map(Made::Symlink),
        1 => any::<bool>().prop_map(Made::Fifo),
        3 => any::<prop::sample::Index>().prop_map(|index| Made::Link(index.index(12))),
    ];
    btree_map(path, made, 0..14)
}

/// Write the root; entries whose folder is none are left out.
fn write(store: &Store, batch: &mut Batch<'_>, entries: &BTreeMap<String, Made>) -> RootIds {
    let attrs = |mode| Attrs { mode, ..Attrs::default() };
    let time = |sec| Time { sec, nsec: 5 };
    let mut root = Root::new(attrs(0o755), time(0));
    let mut placed: Vec<&str> = Vec::new();
    for (path, made) in entries {
        let leaf = |kind, mode, sec| Leaf { kind, attrs: attrs(mode), mtime: time(sec) };
        let is_placed = match made {
            Made::Dir(mode, sec) => root.put_dir(store, path.as_str().into(), attrs(*mode), time(*sec)).unwrap(),
            Made::File(text, mode, sec) => {
                let id = batch.contents().unwrap().put(text.as_bytes()).unwrap();
                assert_eq!(id, hash_content(text.as_bytes()));
                let leaf = leaf(Kind::File { id, size: text.len() as u64 }, *mode, *sec);
                root.put_leaf(store, path.as_str().into(), leaf).unwrap()
            }
            Made::Symlink(target) => {
                let id = batch.write_blob(target.as_bytes()).unwrap();
                root.put_leaf(store, path.as_str().into(), leaf(Kind::Symlink { id }, 0o777, 1)).unwrap()
            }
            Made::Fifo(late) => {
                root.put_leaf(store, path.as_str().into(), leaf(Kind::Fifo, 0o600, i64::from(*late))).unwrap()
            }
            Made::Link(number) => match placed.get(*number % placed.len().max(1)) {
                Some(existing) => root.link(store, (*existing).into(), path.as_str().into()).unwrap(),
                None => false,
            },
        };
        if is_placed && !matches!(made, Made::Dir(..)) {
            placed.push(path);
        }
    }
    root.write(batch).unwrap()
}

fn tar(store: &Store, before: Option<RootIds>, after: RootIds) -> Vec<u8> {
    let mut tar = Vec::new();
    pack_changes(store, before, after, &mut tar).unwrap();
    tar
}

fn apply(store: &Store, before: Option<RootIds>, tar: Vec<u8>) -> RootIds {
    let mut batch = store.batch();
    let mut unpacker = match before {
        Some(ids) => Unpacker::on(&mut batch, Root::open(store, &ids).unwrap()),
        None => Unpacker::new(&mut batch),
    };
    unpacker.unpack(Box::new(std::io::Cursor::new(tar)), Form::Layer).unwrap();
    let ids = unpacker.write_root().unwrap();
    batch.finish().unwrap();
    ids
}

#[test]
fn a_layer_of_changes_makes_the_second_root_of_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(dir.path().join("s")).unwrap();
    proptest!(ProptestConfig::with_cases(60), |(first in roots(), second in roots())| {
        let mut batch = store.batch();
        let (before, after) = (write(&store, &mut batch, &first), write(&store, &mut batch, &second));
        batch.finish().unwrap();
        let layer = tar(&store, Some(before), after);
        prop_assert_eq!(&layer, &tar(&store, Some(before), after));
        assert_same(&store, apply(&store, Some(before), layer), after, "applied to the first");
        assert_same(&store, apply(&store, None, tar(&store, None, after)), after, "applied to nothing");
    });
}

#[test]
fn a_layer_of_no_changes_is_empty() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(dir.path().join("s")).unwrap();
    let mut batch = store.batch();
    let ids = write(&store, &mut batch, &BTreeMap::from([("a".into(), Made::Fifo(true))]));
    batch.finish().unwrap();
    assert_eq!(tar(&store, Some(ids), ids), [0; 1024]);
}

#[test]
fn a_name_that_would_be_a_whiteout_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(dir.path().join("s")).unwrap();
    let mut batch = store.batch();
    let ids = write(&store, &mut batch, &BTreeMap::from([(".wh.a".into(), Made::Fifo(true))]));
    batch.finish().unwrap();
    let error = pack_changes(&store, None, ids, &mut Vec::new()).unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
}

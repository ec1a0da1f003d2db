//! Whatever an archive holds: it is refused, or comes back bit for bit and entry by entry.

use proptest::collection::vec;
use proptest::prelude::*;
use tar::EntryType;

use crate::layer::{Place, assert_same};
use crate::tarball::{Tarball, header};

/// An entry of an archive.
#[derive(Debug, Clone)]
enum Made {
    File(String, Vec<u8>, u32),
    Dir(String, u32),
    Symlink(String, String),
    Link(String, String),
    Fifo(String),
    Records(Vec<(String, Vec<u8>)>),
}

/// Few names, so that entries meet: replace each other, lie below links, are linked.
fn path() -> impl Strategy<Value = String> {
    vec(
        prop_oneof![
            "[a-c]",
            Just(".git".to_owned()),
            Just("%meta".to_owned()),
            Just(".wh.a".to_owned()),
            Just(".".to_owned())
        ],
        1..5,
    )
    .prop_map(|parts| parts.join("/"))
}

fn entry() -> impl Strategy<Value = Made> {
    let key = prop_oneof![
        "SCHILY.xattr.user.[ab=]{1,3}",
        Just("mtime".to_owned()),
        Just("uid".to_owned()),
        Just("path".to_owned()),
        Just("size".to_owned()),
        Just("GNU.sparse.size".to_owned()),
        Just("GNU.sparse.map".to_owned()),
    ];
    let value = prop_oneof![
        vec(any::<u8>(), 0..20),
        "-?[0-9]{1,12}(\\.[0-9]{1,12})?".prop_map(String::into_bytes),
        "[0-9,]{1,6}".prop_map(String::into_bytes)
    ];
    prop_oneof![
        4 => (path(), vec(any::<u8>(), 0..1500), 0..0o10000u32).prop_map(|(path, bytes, mode)| Made::File(path, bytes, mode)),
        2 => (path(), 0..0o10000u32).prop_map(|(path, mode)| Made::Dir(path, mode)),
        2 => (path(), prop_oneof![path(), path().prop_map(|path| format!("/{path}")), path().prop_map(|path| format!("../{path}"))])
            .prop_map(|(path, target)| Made::Symlink(path, target)),
        2 => (path(), path()).prop_map(|(path, target)| Made::Link(path, target)),
        1 => path().prop_map(Made::Fifo),
        1 => vec((key, value), 1..3).prop_map(Made::Records),
    ]
}

fn build(entries: &[Made]) -> Vec<u8> {
    let with_mode = |kind, path: &str, size: usize, mode| {
        let mut header = header(kind, path.as_bytes(), size as u64);
        header.set_mode(mode);
        header
    };
    let add = |tar: Tarball, entry: &Made| match entry {
        Made::File(path, bytes, mode) => tar.raw(with_mode(EntryType::Regular, path, bytes.len(), *mode), bytes),
        Made::Dir(path, mode) => tar.raw(with_mode(EntryType::Directory, path, 0, *mode), b""),
        Made::Symlink(path, target) => tar.symlink(path, target),
        Made::Link(path, target) => tar.link(path, target),
        Made::Fifo(path) => tar.entry(EntryType::Fifo, path.as_bytes(), "", b""),
        Made::Records(records) => {
            let records: Vec<(&str, &[u8])> =
                records.iter().map(|(key, value)| (key.as_str(), value.as_slice())).collect();
            tar.records(&records)
        }
    };
    entries.iter().fold(Tarball::default(), add).end()
}

/// Import, and if that isn't refused, check that nothing is lost.
fn check(place: &Place, tar: &[u8]) {
    let Ok(imported) = place.import(tar) else { return };
    assert_eq!(place.import_and_replay(tar).commit, imported.commit);
    let root = |commit| place.store.read_commit(&commit).unwrap().state.root;
    let again = place.import(&place.export(&imported.commit)).unwrap();
    assert_same(&place.store, root(again.commit), root(imported.commit), "exported and imported again");
}

#[test]
fn archives_of_any_entries_are_refused_or_come_back() {
    let place = Place::new();
    proptest!(ProptestConfig::with_cases(150), |(entries in vec(entry(), 0..12))| check(&place, &build(&entries)));
}

#[test]
fn garbled_archives_are_refused_or_come_back() {
    let place = Place::new();
    let whole = Tarball::default()
        .dir("d")
        .records(&[("mtime", b"1.5"), ("SCHILY.xattr.user.x", b"v")])
        .file("d/file", &"x".repeat(700))
        .long_name(&"n/".repeat(100))
        .file("short", "y")
        .symlink("l", "d")
        .link("l/h", "d/file")
        .end();
    let change = (0..whole.len(), prop_oneof![any::<u8>(), Just(0), Just(b'7'), Just(0x80), Just(0xff)]);
    proptest!(ProptestConfig::with_cases(300), |(changes in vec(change, 1..4), fix in any::<bool>())| {
        let mut tar = whole.clone();
        for (at, byte) in changes {
            tar[at] = byte;
            if fix && at < tar.len() - 1024 {
                let block = at / 512 * 512;
                let mut header = tar::Header::from_byte_slice(&tar[block..block + 512]).clone();
                header.set_cksum();
                tar[block..block + 512].copy_from_slice(header.as_bytes());
            }
        }
        check(&place, &tar);
    });
}

//! Spellings of revisions, over a store with a few images and a container.

use plumbing::revision::{self, Lookup, Prefer, Range};
use plumbing::store::refs::Expect;
use plumbing::{Error, Id, ImageName, Store};

use crate::root::{commit, git};

struct Fixture {
    _dir: tempfile::TempDir,
    store: Store,
    first: Id,
    second: Id,
    third: Id,
}

/// `debian:12` moved from the first to the second commit; `localhost:5000/a/b:x`, `web`, `odd:1..2` are at the first;
/// the containers `web` and `box` are at the third.
fn fixture() -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(dir.path().join("s")).unwrap();
    let first = commit(&store, vec![], |_| {});
    let second = commit(&store, vec![first], |root| assert!(root.remove(&store, "a.b".into()).unwrap()));
    let third = commit(&store, vec![second], |root| assert!(root.remove(&store, "ln".into()).unwrap()));
    let put = |name: &str, id| store.update_ref(name, id, Expect::Any, "test").unwrap();
    put(&ImageName::parse("debian:12").unwrap().to_ref(), first);
    put(&ImageName::parse("debian:12").unwrap().to_ref(), second);
    for name in ["debian", "localhost:5000/a/b:x", "web", "odd:1..2"] {
        put(&ImageName::parse(name).unwrap().to_ref(), first);
    }
    put("refs/containers/web", third);
    put("refs/containers/box", third);
    Fixture { _dir: dir, store, first, second, third }
}

#[test]
fn every_spelling_names_its_object() {
    let Fixture { store, first, second, third, .. } = &fixture();
    let tree = |spec: &str| Id::from_hex(git(store, &["rev-parse", spec]).trim().as_bytes()).unwrap();
    let hex = |id: &Id, len| id.to_hex_with_len(len).to_string();
    let table = [
        ("debian:12".to_owned(), *second),
        ("docker.io/library/debian:12".into(), *second),
        ("debian".into(), *first),
        ("debian:12~1".into(), *first),
        ("debian:12^".into(), *first),
        ("debian:12^0".into(), *second),
        ("debian:12@{1}".into(), *first),
        ("debian:12@{0}".into(), *second),
        ("debian:12@{1 hour ago}".into(), *first),
        ("box~2".into(), *first),
        ("refs/containers/box".into(), *third),
        ("containers/box^^".into(), *first),
        ("box^{/m}".into(), *third),
        ("localhost:5000/a/b:x".into(), *first),
        ("localhost:5000/a/b:x:/a/x".into(), plumbing::store::hash_content(b"xx")),
        ("odd:1..2^{commit}".into(), *first),
        ("debian:12^{tree}".into(), tree(&format!("{second}^{{tree}}"))),
        ("debian:12:rootfs/a".into(), tree(&format!("{second}:rootfs/a"))),
        ("debian:rootfs".into(), tree(&format!("{first}:rootfs"))),
        ("debian:/".into(), tree(&format!("{first}:rootfs"))),
        ("debian:/a/.git/config".into(), plumbing::store::hash_content(b"cc")),
        ("debian:/a/../a/x".into(), Id::null(plumbing::gix::hash::Kind::Sha256)),
        ("debian:/ln".into(), plumbing::store::hash_content(b"a/x")),
        (hex(first, 64), *first),
        (hex(first, 12), *first),
        (format!("sha256:{}", hex(second, 12)), *second),
        (format!("{}^", hex(second, 12)), *first),
        (format!("{}:/%meta", hex(first, 12)), plumbing::store::hash_content(b"mm")),
        (hex(&plumbing::store::hash_content(b"mm"), 16), plumbing::store::hash_content(b"mm")),
    ];
    for (spelling, want) in table {
        match revision::resolve(store, &spelling) {
            Ok(found) => assert_eq!(found, want, "{spelling}"),
            Err(error) => assert!(want.is_null(), "{spelling}: {error}"),
        }
    }
    let parsed = revision::parse(store, "debian:12:/a/x").unwrap();
    assert_eq!((parsed.id, parsed.path.unwrap()), (*second, "a/x".into()));
    let parsed = revision::parse(store, "debian:12").unwrap();
    assert_eq!(parsed.name.as_deref(), Some("refs/images/docker.io/library/debian@12"));
}

#[test]
fn a_container_and_an_image_of_one_name_are_ambiguous_unless_one_is_preferred() {
    let Fixture { store, first, third, .. } = &fixture();
    let error = revision::resolve(store, "web").unwrap_err();
    assert_eq!(error.to_string(), "name 'web' is ambiguous: container refs/containers/web, image web:latest");
    assert_eq!(revision::resolve(store, "web:latest").unwrap(), *first);
    let with = |prefer| revision::resolve_commit_with(store, "web", Lookup { prefer, aliases: None }).unwrap();
    assert_eq!((with(Prefer::Images), with(Prefer::Containers)), (*first, *third));
}

#[test]
fn aliases_are_looked_up_after_names() {
    let Fixture { store, third, .. } = &fixture();
    let aliases = |name: &str| match name {
        "0123" => vec!["refs/containers/box".to_owned()],
        "01" => vec!["refs/containers/box".to_owned(), "refs/containers/web".to_owned()],
        _ => vec![],
    };
    let lookup = Lookup { aliases: Some(&aliases), ..Lookup::default() };
    assert_eq!(revision::resolve_commit_with(store, "0123", lookup).unwrap(), *third);
    assert!(matches!(revision::resolve_commit_with(store, "01", lookup), Err(Error::Ambiguous { .. })));
}

#[test]
fn what_is_not_there_is_said_by_its_name() {
    let Fixture { store, .. } = &fixture();
    for (spelling, says) in [
        ("web:lates", "no such image: 'web:lates'"),
        ("web:lates~3", "no such image: 'web:lates'"),
        ("debain:/etc", "no such image: 'debain'"),
        ("No Name", "no such revision: 'No Name'"),
        ("", "no such revision: ''"),
        ("box~9", "no such revision: 'box~9'"),
        ("box@{7}", "invalid reflog entry 'refs/containers/box@{7}': its reflog has only 1 entries"),
        ("debian:/nope", "no such path: '/nope' in 'debian'"),
        ("debian:rootfs/nope", "no such path: 'rootfs/nope' in 'debian'"),
        ("debian^{", "no such revision: 'debian^{'"),
        ("deadbeef", "no such image: 'deadbeef'"),
    ] {
        assert_eq!(revision::resolve(store, spelling).unwrap_err().to_string(), says, "{spelling}");
    }
    assert_eq!(revision::similar(store, "web:lates"), ["web:latest"]);
}

#[test]
fn prefixes_that_many_objects_share_are_ambiguous() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(dir.path().join("s")).unwrap();
    let mut batch = store.batch();
    for number in 0..2000 {
        batch.write_blob(format!("{number}").as_bytes()).unwrap();
    }
    batch.finish().unwrap();
    let mut ambiguous = 0;
    for prefix in 0..=0xffffu32 {
        let prefix = format!("{prefix:04x}");
        match revision::resolve(&store, &prefix) {
            Err(Error::Ambiguous { candidates, .. }) => {
                ambiguous += 1;
                assert!(
                    candidates.len() > 1 && candidates.iter().all(|c| c.starts_with(&prefix) && c.ends_with("blob"))
                );
                break;
            }
            Err(Error::NotFound { .. }) | Ok(_) => {}
            Err(error) => panic!("{prefix}: {error}"),
        }
    }
    assert!(ambiguous > 0);
}

#[test]
fn ranges_are_parted_where_both_sides_exist() {
    let Fixture { store, first, second, third, .. } = &fixture();
    let ids = |range| match range {
        Range::Single(a) => ("single", a.id, None),
        Range::Between { from, to } => ("between", from.id, Some(to.id)),
        Range::Symmetric { left, right } => ("symmetric", left.id, Some(right.id)),
        Range::Exclude(a) => ("exclude", a.id, None),
        Range::Parents(a) => ("parents", a.id, None),
        Range::Alone(a) => ("alone", a.id, None),
    };
    for (spelling, want) in [
        ("debian..box", ("between", *first, Some(*third))),
        ("debian:12...box^", ("symmetric", *second, Some(*second))),
        ("odd:1..2", ("single", *first, None)),
        ("odd:1..2..debian:12", ("between", *first, Some(*second))),
        ("^box", ("exclude", *third, None)),
        ("box^@", ("parents", *third, None)),
        ("box^!", ("alone", *third, None)),
        ("box^-", ("between", *second, Some(*third))),
    ] {
        assert_eq!(ids(revision::range(store, spelling).unwrap()), want, "{spelling}");
    }
    assert!(revision::range(store, "debian..nope").is_err());
    assert!(revision::range(store, "..box").is_err(), "a store has no HEAD");
}

//! Refs that many move, remove and pack at once, and what killed commands leave.

use std::collections::HashSet;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use plumbing::commit::neutral_signature;
use plumbing::gix::objs::Tree;
use plumbing::gix::refs::transaction::{Change, LogChange, PreviousValue, RefEdit, RefLog};
use plumbing::gix::refs::{FullName, Target};
use plumbing::store::refs::{Expect, Packing, Value};
use plumbing::{Error, Id, Store};

/// A store, and so many commits in it.
fn store_with(dir: &Path, commits: usize) -> (Store, Vec<Id>) {
    let store = Store::create(dir.join("s")).unwrap();
    let mut batch = store.batch();
    let tree = batch.write_object(&Tree { entries: Vec::new() }).unwrap();
    let mut ids = Vec::new();
    for number in 0..commits {
        let who = neutral_signature(number as i64);
        let commit = plumbing::gix::objs::Commit {
            tree,
            parents: Vec::new().into(),
            author: who.clone(),
            committer: who,
            encoding: None,
            message: "x\n".into(),
            extra_headers: Vec::new(),
        };
        ids.push(batch.write_object(&commit).unwrap());
    }
    batch.finish().unwrap();
    (store, ids)
}

fn git(store: &Store, args: &[&str]) -> String {
    let output = Command::new("git").arg("--git-dir").arg(store.dir()).args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn no_move_is_lost_while_refs_are_packed() {
    const ROUNDS: usize = 60;
    let dir = tempfile::tempdir().unwrap();
    let (store, ids) = store_with(dir.path(), ROUNDS + 1);
    let path = store.dir().to_owned();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let packers: Vec<_> = [true, false]
            .map(|by_rd| {
                let (path, done) = (&path, &done);
                scope.spawn(move || {
                    let store = Store::open(path).unwrap();
                    while !done.load(Ordering::Relaxed) {
                        match by_rd {
                            true => drop(store.pack_refs(&Packing::default()).unwrap()),
                            // Where rd holds the lock for longer than git waits, git says so; nothing else may happen.
                            false => {
                                let args =
                                    ["-c", "core.packedRefsTimeout=10000", "-c", "core.filesRefLockTimeout=10000"];
                                let mut git = Command::new("git");
                                git.arg("--git-dir").arg(path).args(args).args(["pack-refs", "--all"]);
                                // What it says of refs that moved meanwhile is as it should be.
                                assert!(git.stderr(std::process::Stdio::null()).status().unwrap().success());
                            }
                        }
                    }
                })
            })
            .into();
        let writers: Vec<_> = (0..3)
            .map(|writer| {
                let (path, ids) = (&path, &ids);
                scope.spawn(move || {
                    let store = Store::open(path).unwrap();
                    let (stays, goes) = (format!("refs/x/{writer}/stays"), format!("refs/x/{writer}/goes"));
                    store.update_ref(&stays, ids[0], Expect::Missing, "begin").unwrap();
                    for pair in ids.windows(2) {
                        store.update_ref(&stays, pair[1], Expect::Id(pair[0]), "move").unwrap();
                        store.update_ref(&goes, pair[0], Expect::Missing, "make").unwrap();
                        assert_eq!(store.get_ref(&goes).unwrap(), Some(pair[0]));
                        assert!(
                            store
                                .list_refs("refs/x/")
                                .unwrap()
                                .iter()
                                .any(|(name, id)| *name == stays && *id == pair[1])
                        );
                        store.delete_ref(&goes, pair[0]).unwrap();
                        assert_eq!(store.get_ref(&goes).unwrap(), None);
                    }
                })
            })
            .collect();
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        done.store(true, Ordering::Relaxed);
        packers.into_iter().for_each(|packer| packer.join().unwrap());
    });
    let names: HashSet<String> = store.list_refs("refs/x/").unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, (0..3).map(|writer| format!("refs/x/{writer}/stays")).collect());
    for name in &names {
        assert_eq!(store.get_ref(name).unwrap(), ids.last().copied());
        assert_eq!(store.read_log(name.as_str().into()).unwrap().unwrap().len(), ROUNDS + 1);
    }
    assert_eq!(git(&store, &["for-each-ref", "--format=%(refname)"]).lines().count(), 3);
    git(&store, &["fsck", "--strict"]);
}

#[test]
fn of_two_who_move_a_ref_one_wins() {
    let dir = tempfile::tempdir().unwrap();
    let (store, ids) = store_with(dir.path(), 9);
    store.update_ref("refs/x/a", ids[0], Expect::Missing, "begin").unwrap();
    let path = store.dir().to_owned();
    let wins: usize = std::thread::scope(|scope| {
        let tries: Vec<_> = ids[1..]
            .iter()
            .map(|id| {
                let (path, old) = (&path, ids[0]);
                scope.spawn(move || {
                    match Store::open(path).unwrap().update_ref("refs/x/a", *id, Expect::Id(old), "move") {
                        Ok(()) => 1,
                        Err(Error::Raced { .. }) => 0,
                        Err(error) => panic!("{error}"),
                    }
                })
            })
            .collect();
        tries.into_iter().map(|one| one.join().unwrap()).sum()
    });
    assert_eq!(wins, 1);
    assert_eq!(store.read_log("refs/x/a".into()).unwrap().unwrap().len(), 2);
}

#[test]
fn what_a_killed_command_left_stops_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let (store, ids) = store_with(dir.path(), 2);
    store.update_ref("refs/x/a", ids[0], Expect::Missing, "begin").unwrap();
    for path in ["refs/x/a.lock", "packed-refs.lock", "refs/x/b.lock"] {
        std::fs::write(store.dir().join(path), "rd lock\n").unwrap();
    }
    std::fs::write(store.dir().join("refs/x/a.lock.lock"), "half").unwrap();
    std::fs::write(store.dir().join("packed-refs.new"), "half").unwrap();
    store.update_ref("refs/x/a", ids[1], Expect::Id(ids[0]), "move").unwrap();
    store.update_ref("refs/x/b", ids[1], Expect::Missing, "make").unwrap();
    assert_eq!(store.pack_refs(&Packing::default()).unwrap(), 2);
    store.delete_ref("refs/x/a", ids[1]).unwrap();
    let of_refs = |name: &String| name.contains("/refs/") || name.contains("packed-refs");
    let left = walkdir(store.dir()).into_iter().filter(of_refs);
    let left: Vec<_> = left.filter(|name| name.contains(".lock") || name.contains(".new")).collect();
    assert_eq!(left, Vec::<String>::new());
}

fn walkdir(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut waiting = vec![dir.to_owned()];
    while let Some(dir) = waiting.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => waiting.push(path),
                false => found.push(path.display().to_string()),
            }
        }
    }
    found
}

#[test]
fn edits_happen_together_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let (store, ids) = store_with(dir.path(), 2);
    store.update_ref("refs/x/a", ids[0], Expect::Missing, "begin").unwrap();
    store.pack_refs(&Packing::default()).unwrap();
    let edit = |name: &str, expected, new: Option<Id>| RefEdit {
        change: match new {
            None => Change::Delete { expected, log: RefLog::AndReference },
            Some(id) => Change::Update { log: LogChange::default(), expected, new: Target::Object(id) },
        },
        name: FullName::try_from(name).unwrap(),
        deref: false,
    };
    let was = |id| PreviousValue::MustExistAndMatch(Target::Object(id));
    let wrong = vec![edit("refs/x/b", PreviousValue::MustNotExist, Some(ids[1])), edit("refs/x/a", was(ids[1]), None)];
    assert!(matches!(store.prepare_refs(wrong), Err(Error::Raced { .. })));
    assert_eq!(store.get_ref("refs/x/b").unwrap(), None);
    // A ref can't be where another one's folder is, packed or not.
    for name in ["refs/x/a/below", "refs/x"] {
        let refused = store.update_ref(name, ids[0], Expect::Any, "in the way");
        assert!(matches!(refused, Err(Error::Invalid { .. })), "{name}: {refused:?}");
    }
    let right = vec![edit("refs/x/b", PreviousValue::MustNotExist, Some(ids[1])), edit("refs/x/a", was(ids[0]), None)];
    store.prepare_refs(right).unwrap().commit().unwrap();
    assert_eq!(store.read_ref("refs/x/a".into()).unwrap(), None);
    assert_eq!(store.read_ref("refs/x/b".into()).unwrap(), Some(Value::Id(ids[1])));
    assert_eq!(store.removed().unwrap().len(), 1);
}

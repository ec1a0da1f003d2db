//! A root written, judged by git, read back and edited.

use std::process::Command;

use plumbing::commit::{NewCommit, State, neutral_signature};
use plumbing::root::{Attrs, Kind, Leaf, Node, Root, Time};
use plumbing::store::refs::Expect;
use plumbing::{Id, Store};

pub fn git(store: &Store, args: &[&str]) -> String {
    let output = Command::new("git").arg("-C").arg(store.dir()).args(args).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {args:?}: {text}");
    text
}

fn attrs(mode: u32) -> Attrs {
    Attrs { mode, ..Attrs::default() }
}

fn time(sec: i64) -> Time {
    Time { sec, nsec: 5 }
}

fn leaf(kind: Kind) -> Leaf {
    Leaf { kind, attrs: attrs(0o644), mtime: time(7) }
}

fn small_root(store: &Store) -> (Root, plumbing::store::Batch<'_>) {
    let mut batch = store.batch();
    let contents = batch.contents().unwrap();
    let mut root = Root::new(attrs(0o755), time(1));
    for dir in ["a", "a/.git", "empty", "dev"] {
        assert!(root.put_dir(store, dir.into(), attrs(0o755), time(2)).unwrap());
    }
    for (path, bytes) in
        [("a/x", "xx"), ("a/.git/config", "cc"), (".gitmodules", "[bad"), ("a.b", "xx"), ("%meta", "mm")]
    {
        let id = contents.put(bytes.as_bytes()).unwrap();
        assert!(root.put_leaf(store, path.into(), leaf(Kind::File { id, size: bytes.len() as u64 })).unwrap());
    }
    let target = batch.write_blob(b"a/x").unwrap();
    root.put_leaf(store, "ln".into(), leaf(Kind::Symlink { id: target })).unwrap();
    root.put_leaf(store, "dev/null".into(), leaf(Kind::Char { major: 1, minor: 3 })).unwrap();
    root.link(store, "a/x".into(), "dev/x".into()).unwrap();
    (root, batch)
}

pub fn commit(store: &Store, parents: Vec<Id>, edit: impl FnOnce(&mut Root)) -> Id {
    let (mut root, mut batch) = small_root(store);
    edit(&mut root);
    let ids = root.write(&mut batch).unwrap();
    let config = batch.write_blob(b"{}").unwrap();
    let state = State { root: ids, config, manifest: None, layer: None, container: None };
    let who = neutral_signature(1);
    let new = NewCommit { parents, author: who.clone(), committer: who, message: "m".into() };
    let id = batch.write_commit(&state, new).unwrap();
    batch.finish().unwrap();
    id
}

#[test]
fn git_agrees_with_a_written_root() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(dir.path().join("s")).unwrap();
    let first = commit(&store, vec![], |_| {});
    let name = "refs/images/docker.io/library/x@1";
    store.update_ref(name, first, Expect::Missing, "import").unwrap();
    let second = commit(&store, vec![first], |root| assert!(root.remove(&store, "a".into()).unwrap()));
    assert!(matches!(store.update_ref(name, second, Expect::Id(second), "no"), Err(plumbing::Error::Raced { .. })));
    assert!(matches!(store.update_ref(name, second, Expect::Missing, "no"), Err(plumbing::Error::Raced { .. })));
    store.update_ref(name, second, Expect::Id(first), "commit").unwrap();
    let text = git(&store, &["fsck", "--strict", "--full"]);
    assert!(!text.contains("error") && !text.contains("warning") && !text.contains("missing"), "{text}");
    assert_eq!(git(&store, &["log", "--format=%H", name]), format!("{second}\n{first}\n"));
    let listed = git(&store, &["ls-tree", "-r", "--name-only", &format!("{first}:rootfs")]);
    assert!(listed.contains("a/%%2Egit/config\na/x\n"), "{listed}");
    assert!(git(&store, &["reflog", name]).contains("commit"));
    store.delete_ref(name, second).unwrap();
    assert_eq!(store.get_ref(name).unwrap(), None);
}

#[test]
fn an_edit_equals_a_root_made_afresh() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(dir.path().join("s")).unwrap();
    let first = store.read_commit(&commit(&store, vec![], |_| {})).unwrap();
    let fresh = store
        .read_commit(&commit(&store, vec![], |root| {
            assert!(root.remove(&store, "a/.git".into()).unwrap());
            assert!(root.remove(&store, "dev/x".into()).unwrap());
        }))
        .unwrap();

    let mut batch = store.batch();
    let mut root = Root::open(&store, &first.state.root).unwrap();
    assert_eq!(root.hardlinks().groups().len(), 1);
    assert!(matches!(root.get(&store, "a/.git/config".into()).unwrap(), Some(Node::Leaf(_))));
    assert!(root.remove(&store, "a/.git".into()).unwrap());
    assert!(root.remove(&store, "dev/x".into()).unwrap());
    assert_eq!(root.write(&mut batch).unwrap(), fresh.state.root);
}

#[test]
fn two_hundred_small_batches_leave_few_packs() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(dir.path().join("s")).unwrap();
    let mut ids = Vec::new();
    for number in 0..200 {
        let mut batch = store.batch();
        ids.push(batch.write_blob(format!("{number}").as_bytes()).unwrap());
        batch.finish().unwrap();
    }
    let packs = std::fs::read_dir(dir.path().join("s/objects/pack")).unwrap().count();
    assert!(packs < 3 * 30, "{packs}");
    for id in &ids {
        store.read_object(id, plumbing::gix::objs::Kind::Blob).unwrap();
        assert!(Store::open(store.dir()).unwrap().has(id));
    }
}

#[test]
fn a_checkout_is_the_root() {
    use std::os::unix::fs::MetadataExt;
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(dir.path().join("s")).unwrap();
    let id = commit(&store, vec![], |_| {});
    let out = dir.path().join("out");
    std::fs::create_dir(&out).unwrap();
    let part = plumbing::root::Part::whole(&store, store.read_commit(&id).unwrap().state.root).unwrap();
    plumbing::checkout::checkout(&store, &part, &out).unwrap();
    assert_eq!(std::fs::read(out.join("a/x")).unwrap(), b"xx");
    assert_eq!(std::fs::read(out.join("a/.git/config")).unwrap(), b"cc");
    let stat = std::fs::symlink_metadata(out.join("dev/x")).unwrap();
    assert_eq!((stat.nlink(), stat.mode() & 0o7777, stat.mtime(), stat.mtime_nsec()), (2, 0o644, 7, 5));
    assert_eq!(stat.ino(), std::fs::metadata(out.join("a/x")).unwrap().ino());
    assert_eq!(std::fs::symlink_metadata(out.join("dev/null")).unwrap().rdev(), (1 << 8) | 3);
    assert_eq!(std::fs::symlink_metadata(out.join("a")).unwrap().mtime(), 2);
    assert_eq!(std::fs::read_link(out.join("ln")).unwrap().to_str(), Some("a/x"));
}

#[test]
fn a_mount_image_is_made_of_any_root() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(dir.path().join("s")).unwrap();
    let id = commit(&store, vec![], |_| {});
    let image = plumbing::mount_image::encode(&store, &store.read_commit(&id).unwrap().state.root).unwrap();
    let magic = u32::from_le_bytes(image[1024..1028].try_into().unwrap());
    assert_eq!(magic, 0xe0f5_e1e2, "the EROFS superblock");
}

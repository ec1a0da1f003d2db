//! `rd serve-stdio`: the other end of ssh, and pushes.

use std::io::Write;
use std::process::Stdio;

use plumbing::transfer::{self, Access, Client, Compress, Update};
use plumbing::{Error, Id, ImageName, Store};
use porcelain::remote::rules::{Force, Push, Refusal};
use porcelain::remote::{Remote, Target, Url, config, store as stores};

use crate::sandbox::{Change, Sandbox};

/// Two stores, the second of which is the remote `origin` of the first.
fn two() -> (Sandbox, Sandbox) {
    let (here, there) = (Sandbox::new(), Sandbox::new());
    there.store();
    let url = Url::parse(there.store_dir().to_str().unwrap()).unwrap();
    config::add(&here.store(), &Remote { name: "origin".into(), url, program: None }).unwrap();
    (here, there)
}

fn push(here: &Sandbox, name: &str, id: Id, force: Force) -> Push {
    let store = here.store();
    let target = Target::parse(&store, name).unwrap();
    stores::push(&store, &target, id, force).unwrap().outcome
}

#[test]
fn a_push_moves_names_forward_and_overwrites_nothing() {
    let (here, there) = two();
    let first = here.image("app:1", &[("a", "1")]);
    let second = here.commit(&Change { parents: &[first], files: &[("b", "2")], ..Change::default() });
    let other = here.commit(&Change { parents: &[first], files: &[("c", "3")], ..Change::default() });
    assert_eq!(push(&here, "origin/app:1", first, Force::No), Push::New);
    assert_eq!(push(&here, "origin/app:1", first, Force::No), Push::UpToDate);
    assert_eq!(push(&here, "origin/app:1", second, Force::No), Push::FastForward);
    assert_eq!(there.ok(["rev-parse", "app:1"]), format!("{second}\n"));
    assert_eq!(here.ok(["rev-parse", "origin/app:1"]), format!("{second}\n"));
    assert_eq!(push(&here, "origin/app:1", other, Force::No), Push::Refused(Refusal::NotFastForward));
    assert_eq!(there.ok(["rev-parse", "app:1"]), format!("{second}\n"));
    assert_eq!(push(&here, "origin/app:1", other, Force::WithLease), Push::Forced);
    // Somebody else pushes in between.
    let strange = there.image("app:1", &[("z", "9")]);
    assert_eq!(push(&here, "origin/app:1", second, Force::No), Push::Refused(Refusal::FetchFirst));
    assert_eq!(push(&here, "origin/app:1", second, Force::WithLease), Push::Refused(Refusal::Stale));
    assert_eq!(push(&here, "origin/app:1", second, Force::Yes), Push::Forced);
    assert_eq!(there.ok(["rev-parse", "app:1@{1}"]), format!("{strange}\n"));
    assert_eq!(there.ok(["fsck"]), "");
}

#[test]
fn a_container_arrives_with_all_that_it_was() {
    let (here, there) = two();
    here.busybox("box");
    here.ok(["create", "--name", "web", "-e", "A=2", "box", "sh"]);
    let id = Id::from_hex(here.ok(["rev-parse", "refs/containers/web"]).trim().as_bytes()).unwrap();
    assert_eq!(push(&here, "origin/web:1", id, Force::No), Push::New);
    let shown = |sandbox: &Sandbox, name: &str| sandbox.ok(["cat-file", "-p", &format!("{name}^{{tree}}")]);
    assert_eq!(shown(&there, "web:1"), shown(&here, "refs/containers/web"));
    assert_eq!(there.ok(["log", "--format=%an %s", "web:1"]), here.ok(["log", "--format=%an %s", "web"]));
    assert_eq!(there.ok(["fsck"]), "");
}

#[test]
fn a_pull_follows_and_refuses_what_diverged() {
    use porcelain::remote::rules::Pull;
    let (here, there) = two();
    let first = there.image("app:1", &[("a", "1")]);
    let pull = |force| {
        let store = here.store();
        let target = Target::parse(&store, "origin/app:1").unwrap();
        stores::pull(&store, &target, force, &mut |_| {}).unwrap().outcome
    };
    let local = || here.ok(["rev-parse", "app:1"]).trim().to_owned();
    assert_eq!(pull(false), Pull::New);
    assert_eq!((pull(false), local()), (Pull::UpToDate, first.to_string()));
    let second = there.commit(&Change { parents: &[first], files: &[("b", "2")], ..Change::default() });
    there.tag(second, "app:1");
    assert_eq!((pull(false), local()), (Pull::FastForward, second.to_string()));
    let rebuilt = there.image("app:1", &[("n", "new")]);
    assert_eq!((pull(false), local()), (Pull::Follow, rebuilt.to_string()));
    let mine = here.commit(&Change { parents: &[rebuilt], files: &[("m", "mine")], ..Change::default() });
    here.tag(mine, "app:1");
    assert_eq!((pull(false), local()), (Pull::Ahead, mine.to_string()));
    let again = there.image("app:1", &[("n", "newer")]);
    assert_eq!((pull(false), local()), (Pull::Diverged, mine.to_string()));
    assert_eq!((pull(true), local()), (Pull::Follow, again.to_string()));
    assert_eq!(here.ok(["rev-parse", "app:1@{1}"]), format!("{mine}\n"));
    assert_eq!(here.ok(["fsck"]), "");
}

/// Push by hand to a store; the server's own outcome too.
fn raw_push(from: &Store, into: &Sandbox, update: Update, access: Access) -> Result<Vec<Result<(), String>>, Error> {
    let (from_there, to_here) = std::io::pipe().unwrap();
    let (from_here, to_there) = std::io::pipe().unwrap();
    let dir = into.store_dir();
    let server = std::thread::spawn(move || {
        let store = Store::open(dir).unwrap();
        transfer::serve(&store, from_here, to_here, access)
    });
    let mut client = Client::connect(from_there, to_there, Compress::No)?;
    let outcome = client.push(from, &[update]);
    drop(client);
    let _ = server.join().unwrap();
    outcome
}

#[test]
fn what_is_no_image_is_not_taken() {
    let (here, there) = two();
    let name = ImageName::parse("app:1").unwrap();
    let good = here.image("good", &[("a", "1")]);
    let lie = |tree: &str| {
        let who = "a <b> 0 +0000";
        let commit = format!("tree {tree}\nauthor {who}\ncommitter {who}\n\nx\n");
        let written = here.rd(["hash-object", "-t", "commit", "-w", "--stdin"]).stdin(commit).assert().success();
        Id::from_hex(String::from_utf8(written.get_output().stdout.clone()).unwrap().trim().as_bytes()).unwrap()
    };
    let ls = here.ok(["ls-tree", "good"]);
    let mktree = |text: String| {
        let made = here.rd(["mktree", "--missing"]).stdin(text).assert().success();
        String::from_utf8(made.get_output().stdout.clone()).unwrap().trim().to_owned()
    };
    let strange = "100644 blob 473a0f4c3be8a93681a267e3b1e9a7dcda1185436fe141f7749120a303721813\tstrange\n";
    here.rd(["hash-object", "-w", "--stdin"]).stdin("").assert().success();
    let without_meta: String = ls.lines().filter(|line| !line.ends_with("\tmeta")).map(|l| format!("{l}\n")).collect();
    let other_meta = ls.replace(&part(&ls, "times"), &part(&ls, "meta"));
    for (what, tree) in [
        ("a name too many", mktree(format!("{ls}{strange}"))),
        ("no meta", mktree(without_meta)),
        ("times that are none", mktree(other_meta)),
    ] {
        let id = lie(&tree);
        let update = Update { name: name.clone(), old: None, new: id };
        let outcome = raw_push(&here.store(), &there, update, Access::Write);
        assert!(outcome.is_err(), "{what}: {outcome:?}");
        assert!(!there.store().has(&id), "{what}");
    }
    let update = || Update { name: name.clone(), old: None, new: good };
    let error = raw_push(&here.store(), &there, update(), Access::Read).unwrap_err().to_string();
    assert!(error.contains("served for reading alone"), "{error}");
    let raced = Update { old: Some(good), ..update() };
    let outcome = raw_push(&here.store(), &there, raced, Access::Write).unwrap();
    assert!(outcome[0].as_ref().unwrap_err().contains("changed by another"), "{outcome:?}");
    assert_eq!(there.ok(["for-each-ref"]), "");
    assert_eq!(raw_push(&here.store(), &there, update(), Access::Write).unwrap(), [Ok(())]);
    assert_eq!(there.ok(["fsck"]), "");
}

#[test]
fn what_differs_from_a_sound_parent_is_checked() {
    let (here, there) = two();
    let name = ImageName::parse("app:1").unwrap();
    let good = here.image("good", &[("a", "1"), ("same/b", "22"), ("same/deep/c", "333")]);
    let next = here.commit(&Change { parents: &[good], files: &[("new/d", "4444")], ..Change::default() });
    here.tag(next, "next");
    let push = |old, new| {
        let update = Update { name: name.clone(), old, new };
        raw_push(&here.store(), &there, update, Access::Write)
    };
    assert_eq!(push(None, good).unwrap(), [Ok(())]);
    let words = |args: &[&str], input: String| {
        let made = here.rd(args).stdin(input).assert().success();
        String::from_utf8(made.get_output().stdout.clone()).unwrap().trim().to_owned()
    };
    let lines = here.ok(["cat-file", "-p", "next:meta/%meta"]);
    assert!(lines.contains("size=10"), "{lines}");
    let lie = words(&["hash-object", "-w", "--stdin"], lines.replacen("size=10", "size=9", 1));
    let meta = here.ok(["ls-tree", "next:meta"]);
    let meta = words(&["mktree"], meta.replace(&part(&meta, "%meta"), &lie));
    let top = here.ok(["ls-tree", "next"]);
    let tree = words(&["mktree"], top.replace(&part(&top, "meta"), &meta));
    let commit = words(&["commit-tree", &tree, "-p", "good", "-m", "lie"], String::new());
    let error = push(Some(good), Id::from_hex(commit.as_bytes()).unwrap()).unwrap_err().to_string();
    assert!(error.contains("its files have 9 bytes, they have 10"), "{error}");
    assert_eq!(push(Some(good), next).unwrap(), [Ok(())]);
    assert_eq!(there.ok(["fsck"]), "");
}

/// The id of an entry in a listing.
fn part(listing: &str, name: &str) -> String {
    let line = listing.lines().find(|line| line.ends_with(&format!("\t{name}"))).unwrap();
    line.split([' ', '\t']).nth(2).unwrap().to_owned()
}

#[test]
fn a_caller_that_speaks_otherwise_is_told_so() {
    let sandbox = Sandbox::new();
    sandbox.image("app", &[("a", "1")]);
    let greeting = "0017rd transfer 1 plain";
    for (input, answer) in [
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), ""),
        ("0017rd transfer 9 plain".to_owned(), "error this rd speaks 'rd transfer 1'"),
        (format!("{greeting}0009xlist0000"), "error "),
        (format!("{greeting}0009fetch00000010commits 99990000"), "0000"),
        (format!("{greeting}0009fetch0000000bobjects0007abc0000"), "error "),
        (format!("{greeting}0008push000enot a move0000"), "error "),
    ] {
        let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_rd"))
            .args(["serve-stdio".as_ref(), sandbox.store_dir().as_os_str()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // It may hang up before it has read all.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        assert!(String::from_utf8_lossy(&output.stdout).contains(answer), "{input}: {output:?}");
        assert!(output.status.code().is_some_and(|code| code == 2 || code == 0), "{input}: {output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{input}");
    }
    assert_eq!(sandbox.ok(["fsck"]), "");
}

#[test]
fn serve_stdio_needs_a_store() {
    let sandbox = Sandbox::new();
    assert!(sandbox.fails(2, ["serve-stdio", "/nowhere"]).starts_with("error: no such store: '/nowhere'\n"));
}

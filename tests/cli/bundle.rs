//! `rd bundle`

use std::path::Path;
use std::process::Command;

use crate::judge::Court;
use crate::sandbox::{Change, Sandbox};

fn header(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap();
    let end = bytes.windows(2).position(|two| two == b"\n\n").unwrap();
    String::from_utf8(bytes[..end].to_vec()).unwrap()
}

fn git(dir: &Path, args: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new("git");
    command.args(args).current_dir(dir).env("HOME", dir).env("GIT_CONFIG_NOSYSTEM", "1");
    let output = command.output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn headers_and_answers_are_gits() {
    let mut court = Court::with_history();
    let dir = court.sandbox.path().to_owned();
    let store = court.sandbox.store_dir();
    let ranges: [&[&str]; 9] = [
        &["main"],
        &["--all"],
        &["h2..h1"],
        &["h0", "h1", "^h3"],
        &["--branches=h*", "--not", "t1"],
        &["--tags", "^h3"],
        &["-3", "h4"],
        &["h1", "--filter=blob:none"],
        &["nested", "light"],
    ];
    for range in ranges {
        let by_git = [&["--git-dir", "git", "bundle", "create", "-q", "git.bundle"], range].concat();
        assert_eq!(git(&dir, &by_git).0, Some(0), "{range:?}");
        let mut rd = court.sandbox.rd(["--git-dir", store.to_str().unwrap(), "bundle", "create", "-q", "rd.bundle"]);
        rd = rd.args(range).current_dir(&dir);
        rd.assert().success();
        assert_eq!(header(&dir.join("rd.bundle")), header(&dir.join("git.bundle")), "{range:?}");
        for file in ["git.bundle", "rd.bundle"] {
            for args in [&["verify"][..], &["verify", "-q"], &["list-heads"]] {
                court.compare(&[&["bundle"], args, &[file]].concat());
            }
        }
        court.compare(&["bundle", "list-heads", "rd.bundle", "refs/heads/main"]);
    }
    for args in [
        &["bundle"][..],
        &["bundle", "create"],
        &["bundle", "create", "x", "main..main"],
        &["bundle", "create", "x", "nope"],
        &["bundle", "create", "--version=2", "x", "main"],
        &["bundle", "create", "--version=9", "x", "main"],
        &["bundle", "verify", "nope"],
        &["bundle", "verify", "store/config"],
        &["bundle", "list-heads", "nope"],
        &["bundle", "unbundle", "store/config"],
        &["bundle", "bogus"],
    ] {
        court.compare(args);
    }
    assert!(!dir.join("x").exists() && !dir.join("x.lock").exists());
    court.verdict(60);
}

#[test]
fn git_clones_a_bundle_with_the_files_of_an_image() {
    let sandbox = Sandbox::new();
    let id = sandbox.image("web:1", &[("etc/hostname", "web\n"), ("empty", "")]);
    sandbox.ok(["bundle", "create", "-q", "web.bundle", "web:1"]);
    let name = "refs/images/docker.io/library/web@1";
    assert_eq!(sandbox.ok(["bundle", "list-heads", "web.bundle"]), format!("{id} {name}\n"));
    let dir = sandbox.path();
    assert_eq!(git(dir, &["init", "-q", "--bare", "--object-format=sha256", "clone"]).0, Some(0));
    let clone = dir.join("clone");
    assert_eq!(git(&clone, &["bundle", "verify", "-q", "../web.bundle"]).0, Some(0));
    assert_eq!(git(&clone, &["fetch", "-q", "../web.bundle", &format!("{name}:refs/heads/web")]).0, Some(0));
    assert_eq!(git(&clone, &["show", "web:rootfs/etc/hostname"]), (Some(0), "web\n".into()));
    assert_eq!(git(&clone, &["fsck", "--strict", "--full"]).0, Some(0));
}

/// Make the refs of a bundle in the store at `to`.
fn take(sandbox: &Sandbox, to: &str, bundle: &str) {
    let output = sandbox.rd(["--root", to, "bundle", "unbundle", bundle]).assert().success().get_output().clone();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let (id, name) = line.split_once(' ').unwrap();
        sandbox.ok(["--root", to, "update-ref", name, id]);
    }
}

#[test]
fn images_go_from_store_to_store() {
    let sandbox = Sandbox::new();
    let first = sandbox.image("web:1", &[("etc/hostname", "web\n"), ("bin/x", "x")]);
    let second = sandbox.commit(&Change {
        parents: &[first],
        files: &[("etc/new", "new\n")],
        message: "2",
        ..Change::default()
    });
    sandbox.tag(second, "web:2");
    sandbox.ok(["bundle", "create", "whole.bundle", "web:1"]);
    sandbox.ok(["bundle", "create", "update.bundle", "web:1..web:2"]);
    sandbox.ok(["--root", "other", "init", "other"]);
    // What the update builds on isn't there yet.
    let refused = sandbox.fails(1, ["--root", "other", "bundle", "unbundle", "update.bundle"]);
    assert!(refused.contains("lacks these prerequisite commits"), "{refused}");
    sandbox.rd(["--root", "other", "bundle", "verify", "update.bundle"]).assert().code(1);
    take(&sandbox, "other", "whole.bundle");
    take(&sandbox, "other", "update.bundle");
    assert_eq!(sandbox.ok(["--root", "other", "rev-parse", "web:2"]), format!("{second}\n"));
    assert_eq!(sandbox.ok(["--root", "other", "show", "web:2:/etc/hostname"]), "web\n");
    let content = sandbox.ok(["rev-parse", "web:2:/etc/new"]).trim_end().to_owned();
    assert!(sandbox.path().join("other/content").join(&content[..2]).join(&content[2..]).exists());
    sandbox.ok(["--root", "other", "fsck"]);
    let dir = sandbox.path().join("other");
    assert_eq!(git(&dir, &["fsck", "--strict", "--full"]).0, Some(0));
}

#[test]
fn damaged_bundles_leave_no_trace() {
    let sandbox = Sandbox::new();
    sandbox.image("web:1", &[("etc/hostname", "web\n"), ("bin/x", &"x".repeat(5000))]);
    sandbox.ok(["bundle", "create", "web.bundle", "web:1"]);
    let whole = std::fs::read(sandbox.path().join("web.bundle")).unwrap();
    sandbox.ok(["--root", "other", "init", "other"]);
    let count =
        || -> usize { walk(&sandbox.path().join("other/objects/pack")) + walk(&sandbox.path().join("other/content")) };
    let before = count();
    let start = whole.windows(4).position(|four| four == b"PACK").unwrap();
    for at in (start..whole.len()).step_by(whole.len() / 12) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x55;
        for bytes in [&damaged[..], &whole[..at]] {
            std::fs::write(sandbox.path().join("bad.bundle"), bytes).unwrap();
            let said = sandbox.fails(1, ["--root", "other", "bundle", "unbundle", "bad.bundle"]);
            assert!(said.starts_with("error: "), "{said}");
            assert_eq!(count(), before, "after a change at {at}");
        }
    }
    // A ref without its objects.
    let text = String::from_utf8_lossy(&whole[..start]).into_owned();
    let id = text.lines().nth(2).unwrap().split(' ').next().unwrap().to_owned();
    let other = text.replace(&id, &"1".repeat(64));
    std::fs::write(sandbox.path().join("bad.bundle"), [other.as_bytes(), &whole[start..]].concat()).unwrap();
    sandbox.fails(1, ["--root", "other", "bundle", "unbundle", "bad.bundle"]);
    assert_eq!(count(), before);
}

fn walk(dir: &Path) -> usize {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { walk(&path) } else { 1 }).sum()
}

#[test]
fn a_bundle_goes_through_pipes() {
    let sandbox = Sandbox::new();
    let id = sandbox.image("web:1", &[("a", "a")]);
    let bytes = sandbox.rd(["bundle", "create", "-", "web:1"]).assert().success().get_output().stdout.clone();
    sandbox.ok(["--root", "other", "init", "other"]);
    let listed = sandbox.rd(["--root", "other", "bundle", "unbundle", "-"]).stdin(bytes).assert().success();
    assert_eq!(listed.get_output().stdout, format!("{id} refs/images/docker.io/library/web@1\n").as_bytes());
    assert_eq!(sandbox.ok(["--root", "other", "cat-file", "-t", &id.to_string()]), "commit\n");
}

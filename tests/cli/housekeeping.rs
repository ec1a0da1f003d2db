//! git's own housekeeping in a store: nothing of it removes anything.

use std::fs;

use crate::sandbox::Sandbox;
use crate::stock_git::{assert_git_is_content, git, output};

/// All that must still be there: histories, files, and what only reflogs and containers lead to.
fn read_back(sandbox: &Sandbox) -> Vec<String> {
    let mut all = vec![
        sandbox.ok(["images", "-q", "--no-trunc"]),
        sandbox.ok(["ps", "-a", "-q", "--no-trunc"]),
        sandbox.ok(["log", "--format=%H %s", "box"]),
        sandbox.ok(["log", "--format=%H %s", "moved@{1}"]),
        sandbox.ok(["diff", "--name-status", "box"]),
        sandbox.ok(["show", "moved@{1}:/only/before"]),
    ];
    for image in ["base", "made", "moved", "moved@{1}"] {
        let tar = sandbox.path().join("out.tar");
        sandbox.ok(["export", "-o", tar.to_str().unwrap(), image]);
        all.push(sandbox.ok(["hash-object", tar.to_str().unwrap()]));
    }
    all
}

#[test]
fn git_housekeeping_destroys_nothing() {
    let sandbox = Sandbox::new();
    sandbox.busybox("base");
    sandbox.ok(["run", "--name", "box", "base", "sh", "-c", "echo new >file; rm bin/false"]);
    sandbox.ok(["commit", "-m", "made", "box", "made"]);
    sandbox.image("moved", &[("only/before", "lost?\n")]);
    sandbox.image("moved", &[("after", "x\n")]);
    sandbox.image("removed", &[("gone", "x\n")]);
    sandbox.ok(["rmi", "removed"]);
    let store = sandbox.store_dir();
    // git itself adds an object, and fetches some.
    git(&sandbox, &store, &["tag", "-a", "-m", "note", "v1", "images/docker.io/library/made@latest"]);
    git(&sandbox, &store, &["show", "images/docker.io/library/moved@latest:rootfs/after"]);
    let before = read_back(&sandbox);
    for (number, (args, is_refused)) in [
        (&["gc"][..], false),
        (&["gc", "--prune=now", "--aggressive"], false),
        (&["repack", "-a", "-d"], true),
        (&["repack", "-a"], false),
        (&["repack", "-d", "--geometric=2"], true),
        (&["repack", "-a", "-d", "--filter=blob:none"], true),
        (&["prune", "--expire=now"], true),
        (&["prune-packed"], false),
        (&["pack-refs", "--all", "--prune"], false),
        (&["reflog", "expire", "--all"], false),
        (&["maintenance", "run"], false),
        (&["maintenance", "run", "--task=gc", "--task=pack-refs"], false),
        (&["maintenance", "run", "--task=commit-graph"], false),
        (&["maintenance", "run", "--task=loose-objects", "--task=incremental-repack"], false),
        (&["commit-graph", "write", "--reachable"], false),
    ]
    .into_iter()
    .enumerate()
    {
        let done = output(&sandbox, &store, args);
        let error = String::from_utf8_lossy(&done.stderr).into_owned();
        if is_refused {
            // What an older git doesn't know it doesn't do either.
            let refused = error.contains("precious-objects") || error.contains("unknown option");
            assert!(!done.status.success() && refused, "git {args:?}: {error}");
        } else {
            let unknown = error.contains("is not a valid task");
            assert!(done.status.success() || unknown, "git {args:?}: {error}");
        }
        assert_eq!(read_back(&sandbox), before, "git {args:?}");
        check(&sandbox);
        let name = format!("next:{number}");
        sandbox.ok(["commit", "-m", "on top", "box", &name]);
        let file = sandbox.path().join("root");
        fs::create_dir_all(&file).unwrap();
        fs::write(file.join("number"), number.to_string()).unwrap();
        let tar = sandbox.path().join("in.tar");
        let status = std::process::Command::new("tar").arg("-C").arg(&file).arg("-cf").arg(&tar).arg(".").status();
        assert!(status.unwrap().success());
        sandbox.ok(["import", tar.to_str().unwrap(), &format!("imported:{number}")]);
        assert_eq!(sandbox.ok(["show", &format!("imported:{number}:/number")]), number.to_string());
        for name in [name, format!("imported:{number}")] {
            sandbox.ok(["rmi", "-f", &name]);
        }
        let head = sandbox.ok(["rev-parse", "made"]);
        sandbox.ok(["update-ref", "refs/containers/box", head.trim()]);
    }
    sandbox.ok(["rm", "box"]);
    check(&sandbox);
}

/// Both checks are content, but for the files of images that were removed.
fn check(sandbox: &Sandbox) {
    assert_git_is_content(sandbox, &sandbox.store_dir());
    let text = sandbox.ok(["fsck", "--full"]);
    assert!(text.lines().all(|line| line.starts_with("dangling content ")), "{text}");
}

//! `rd commit`, and `rd diff` of a container.

use crate::sandbox::{Sandbox, wait_for};

/// A sandbox with the image `box:1` and a container `box` that ran `script`.
fn after(script: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.busybox("box:1");
    sandbox.ok(["run", "--name", "box", "box:1", "sh", "-c", script]);
    sandbox
}

#[test]
fn a_stopped_container_becomes_an_image_that_runs() {
    let sandbox = after("echo new >file; rm bin/false");
    let id = sandbox.ok(["commit", "-m", "made a file", "-a", "Ada <ada@example.org>", "box", "made"]);
    assert!(id.starts_with("sha256:") && id.trim_end().len() == 71, "{id}");
    assert_eq!(
        sandbox.ok(["run", "--rm", "made", "sh", "-c", "cat file; ls bin/false 2>/dev/null || echo gone"]),
        "new\ngone\n"
    );
    assert_eq!(sandbox.ok(["log", "-n1", "--format=%an <%ae> %s", "made"]), "Ada <ada@example.org> made a file\n");
    let id = id.trim_end().trim_start_matches("sha256:");
    assert_eq!(sandbox.ok(["rev-parse", "refs/containers/box", "made"]), format!("{id}\n{id}\n"));
}

#[test]
fn without_a_message_the_command_is_it() {
    let sandbox = after("true");
    sandbox.ok(["commit", "box"]);
    assert_eq!(sandbox.ok(["log", "-n1", "--format=%s", "refs/containers/box"]), "sh -c true\n");
}

#[test]
fn changes_and_the_containers_own_settings_reach_the_image() {
    let sandbox = Sandbox::new();
    sandbox.busybox("box:1");
    sandbox.ok(["run", "--name", "box", "-e", "A=1", "-w", "/bin", "-l", "k=v", "box:1", "true"]);
    sandbox.ok(["commit", "-c", "ENV B=2", "--change", "CMD [\"sh\", \"-c\", \"echo $A$B $(pwd)\"]", "box", "made"]);
    assert_eq!(sandbox.ok(["run", "--rm", "made"]), "12 /bin\n");
    assert_eq!(sandbox.ok(["inspect", "-f", "{{.Config.Labels.k}}", "made"]), "v\n");
}

#[test]
fn a_bad_instruction_changes_nothing() {
    let sandbox = after("echo x >file");
    let before = sandbox.ok(["rev-parse", "refs/containers/box"]);
    let error = sandbox.fails(2, ["commit", "-c", "FROM scratch", "box", "made"]);
    assert!(error.contains("instruction") && error.contains("FROM"), "{error}");
    assert_eq!(sandbox.ok(["rev-parse", "refs/containers/box"]), before);
    assert_eq!(sandbox.ok(["images", "-q", "made"]), "");
}

#[test]
fn an_unknown_container_is_named() {
    let sandbox = after("true");
    let error = sandbox.fails(2, ["commit", "nosuch", "made"]);
    assert!(error.contains("no such container: 'nosuch'") && error.contains("rd ps -a"), "{error}");
}

#[test]
fn a_running_container_is_committed_and_goes_on() {
    let sandbox = Sandbox::new();
    sandbox.busybox("box:1");
    for (name, pause) in [("paused", "--pause=true"), ("unpaused", "--pause=false")] {
        let script = "echo there >file; while [ ! -e /told/go ]; do sleep 0.01; done; exit 7";
        let told = sandbox.path().join(name);
        let volume = format!("{}:/told", told.display());
        let mut running = sandbox.spawn(["run", "--name", name, "-v", &volume, "box:1", "sh", "-c", script]);
        wait_for(|| {
            let started = told.exists() && !sandbox.ok(["ps", "-q", "--filter", &format!("name={name}")]).is_empty();
            (started && sandbox.ok(["diff", name]).contains("A /file")).then_some(())
        });
        sandbox.ok(["commit", pause, name, name]);
        assert_eq!(sandbox.ok(["run", "--rm", name, "cat", "/file"]), "there\n");
        assert_eq!(sandbox.ok(["diff", name]), "", "nothing is new after the commit");
        std::fs::write(told.join("go"), "").unwrap();
        assert_eq!(running.wait(), 7);
    }
}

#[test]
fn a_removed_file_is_gone_in_the_next_commit() {
    let sandbox = after("echo 1 >one; echo 2 >two");
    sandbox.ok(["commit", "box", "first"]);
    sandbox.ok(["run", "--name", "second-box", "first", "rm", "two"]);
    assert_eq!(sandbox.ok(["diff", "second-box"]), "D /two\n");
    sandbox.ok(["commit", "second-box", "second"]);
    assert_eq!(sandbox.ok(["diff", "--name-status", "first", "second", "--", "one", "two"]), "D\ttwo\n");
    assert_eq!(sandbox.ok(["run", "--rm", "second", "sh", "-c", "echo /on* /tw*"]), "/one /tw*\n");
}

#[test]
fn commits_of_one_container_at_once_all_count() {
    let sandbox = after("echo x >file");
    let mut all: Vec<_> = (0..6).map(|n| sandbox.spawn(["commit", "-m", &n.to_string(), "box"])).collect();
    assert!(all.iter_mut().all(|commit| commit.wait() == 0));
    let log = sandbox.ok(["log", "--format=%s", "refs/containers/box"]);
    assert!((0..6).all(|n| log.lines().any(|line| line == n.to_string())), "{log}");
    assert_eq!(sandbox.ok(["fsck"]), "");
}

#[test]
fn many_commits_leave_few_files() {
    let sandbox = after("true");
    for _ in 0..60 {
        sandbox.ok(["commit", "box"]);
    }
    let packs = std::fs::read_dir(sandbox.store_dir().join("objects/pack")).unwrap().count();
    assert!(packs < 90, "{packs} files of packs after 60 commits");
    assert_eq!(sandbox.ok(["log", "--oneline", "refs/containers/box"]).lines().count(), 62);
}

#[test]
fn what_rd_made_to_mount_on_is_no_change() {
    let sandbox = after("true");
    assert_eq!(sandbox.ok(["diff", "box"]), "");
    sandbox.ok(["commit", "box", "same"]);
    assert_eq!(sandbox.ok(["rev-parse", "same:rootfs"]), sandbox.ok(["rev-parse", "box:1:rootfs"]));
    assert_eq!(sandbox.ok(["rev-parse", "same:times"]), sandbox.ok(["rev-parse", "box:1:times"]));
}

//! `rd pull`

use crate::import::git_agrees;
use crate::registry::{Registry, archive, free_port};
use crate::sandbox::Sandbox;

#[test]
fn pull_brings_an_image_and_prints_dockers_lines() {
    let sandbox = Sandbox::new();
    let registry = Registry::start(&sandbox);
    archive(&sandbox, "web", "hello");
    let digest = registry.put(&sandbox, "docker-archive:web.tar", "team/web:1");
    let (name, host) = (registry.name("team/web:1"), registry.host());
    let lines = format!(
        "1: Pulling from team/web\nDigest: {digest}\nStatus: Downloaded newer image for {name}\n{host}/team/web:1\n"
    );
    let output = sandbox.rd(["pull", &name]).assert().success().stdout_eq(lines).get_output().stderr.clone();
    let steps = String::from_utf8(output).unwrap();
    assert_eq!(steps.lines().filter(|line| line.ends_with(": Pull complete")).count(), 2, "{steps}");
    let text = sandbox.ok(["cat-file", "blob", &format!("{name}:/own")]);
    assert_eq!(text, "hello");
    assert!(sandbox.ok(["pull", &name]).contains("Status: Image is up to date"));
    assert_eq!(
        sandbox.rd(["pull", "-q", &name]).assert().success().stderr_eq("").get_output().stdout,
        format!("{digest}\n").as_bytes()
    );
    let left = std::fs::read_dir(sandbox.store_dir().join("downloads")).unwrap().count();
    assert_eq!(left, 0);
    git_agrees(&sandbox.store_dir());
    assert_eq!(sandbox.ok(["fsck"]), "");
}

#[test]
fn layers_that_are_there_are_not_fetched() {
    let sandbox = Sandbox::new();
    let registry = Registry::start(&sandbox);
    for (name, text) in [("one", "1"), ("two", "2")] {
        archive(&sandbox, name, text);
        registry.put(&sandbox, &format!("docker-archive:{name}.tar"), &format!("{name}:latest"));
    }
    sandbox.ok(["pull", "-q", &registry.name("one")]);
    let output = sandbox.rd(["pull", &registry.name("two")]).assert().success().get_output().stderr.clone();
    let steps = String::from_utf8(output).unwrap();
    let ends: Vec<_> = steps.lines().map(|line| line.split_once(": ").unwrap().1).collect();
    assert_eq!(ends, ["Already exists", "Pull complete"]);
    let base = |name: &str| sandbox.ok(["rev-parse", &format!("{}~2", registry.name(name))]);
    assert_eq!(base("one:latest"), base("two:latest"));
}

#[test]
fn pull_gives_the_same_commit_as_load() {
    let sandbox = Sandbox::new();
    let registry = Registry::start(&sandbox);
    archive(&sandbox, "web", "x");
    registry.put(&sandbox, "docker-archive:web.tar", "web:1");
    sandbox.ok(["pull", "-q", &registry.name("web:1")]);
    sandbox.ok(["load", "-q", "-i", "web.tar"]);
    let id = |name: &str| sandbox.ok(["rev-parse", &format!("{name}~1")]);
    assert_eq!(id(&registry.name("web:1")), id("web:1"));
}

#[test]
fn all_tags_and_digests_can_be_pulled() {
    let sandbox = Sandbox::new();
    let registry = Registry::start(&sandbox);
    archive(&sandbox, "web", "x");
    let digest = registry.put(&sandbox, "docker-archive:web.tar", "web:1");
    registry.put(&sandbox, "docker-archive:web.tar", "web:2");
    assert_eq!(sandbox.ok(["pull", "-qa", &registry.name("web")]), format!("{digest}\n{digest}\n"));
    let stderr = sandbox.fails(2, ["pull", "-a", &registry.name("web:1")]);
    assert!(stderr.contains("tag can't be used with --all-tags/-a"), "{stderr}");
    let by_digest = format!("{}@{digest}", registry.name("web"));
    assert_eq!(sandbox.ok(["pull", "-q", &by_digest]), format!("{digest}\n"));
    let refs: Vec<_> = sandbox.store().list_refs("refs/images/").unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(refs.len(), 3);
    assert!(refs[2].ends_with(&format!("@sha256.{}", digest.strip_prefix("sha256:").unwrap())), "{refs:?}");
}

#[test]
fn nothing_is_left_of_an_image_whose_name_is_removed() {
    let sandbox = Sandbox::new();
    let registry = Registry::start(&sandbox);
    archive(&sandbox, "web", "x");
    registry.put(&sandbox, "docker-archive:web.tar", "web:1");
    let name = registry.name("web:1");
    sandbox.ok(["pull", "-q", &name]);
    assert_eq!(sandbox.store().list_refs("refs/").unwrap().len(), 2);
    sandbox.ok(["rmi", &name]);
    assert!(sandbox.store().list_refs("refs/").unwrap().is_empty());
    sandbox.ok(["gc", "-q", "--prune=now"]);
    let left = |folder: &str| {
        let below = std::fs::read_dir(sandbox.store_dir().join(folder)).unwrap().flatten();
        below
            .filter(|folder| folder.path().is_dir())
            .map(|folder| std::fs::read_dir(folder.path()).unwrap().count())
            .sum::<usize>()
    };
    assert_eq!((left("content"), left("blobs")), (0, 0));
}

#[test]
fn pulls_at_the_same_time_share_the_work_and_all_succeed() {
    let sandbox = Sandbox::new();
    let registry = Registry::start(&sandbox);
    archive(&sandbox, "web", "x");
    let digest = registry.put(&sandbox, "docker-archive:web.tar", "web:1");
    let name = registry.name("web:1");
    sandbox.ok(["init", sandbox.store_dir().to_str().unwrap()]);
    std::thread::scope(|scope| {
        let pull = || sandbox.ok(["pull", "-q", &name]);
        let pulls: Vec<_> = (0..4).map(|_| scope.spawn(pull)).collect();
        pulls.into_iter().for_each(|pull| assert_eq!(pull.join().unwrap(), format!("{digest}\n")));
    });
    assert_eq!(std::fs::read_dir(sandbox.store_dir().join("downloads")).unwrap().count(), 0);
    assert_eq!(sandbox.ok(["fsck"]), "");
}

#[test]
fn what_is_not_there_is_said() {
    let sandbox = Sandbox::new();
    let registry = Registry::start(&sandbox);
    archive(&sandbox, "web", "x");
    registry.put(&sandbox, "docker-archive:web.tar", "web:1");
    for (args, why) in [
        (vec!["pull", "web:2"], "no such image at its registry"),
        (vec!["pull", "other"], "no such image at its registry"),
        (vec!["pull", "-a", "other"], "no such repository"),
        (vec!["pull", "--platform", "linux/arm64", "web:1"], "for linux/arm64; it has linux/amd64"),
    ] {
        let mut args: Vec<String> = args.into_iter().map(str::to_owned).collect();
        let last = args.pop().unwrap();
        args.push(registry.name(&last));
        let stderr = sandbox.fails(2, &args);
        assert!(stderr.contains(why), "{args:?}: {stderr}");
    }
    let nobody = format!("127.0.0.1:{}/web", free_port());
    let stderr = sandbox.fails(2, ["pull", &nobody]);
    assert!(stderr.contains("can't reach 127.0.0.1:"), "{stderr}");
    let stderr = sandbox.fails(2, ["pull", "UPPER"]);
    assert!(stderr.contains("invalid image name"), "{stderr}");
    assert!(sandbox.store().list_refs("refs/").unwrap().is_empty());
}

#[test]
fn run_pulls_what_is_missing_and_only_then() {
    let sandbox = Sandbox::new();
    let registry = Registry::start(&sandbox);
    let name = registry.name("box:1");
    sandbox.busybox("box:1");
    sandbox.ok(["push", "-q", "box:1", &name]);
    let (files, sandbox) = (sandbox, Sandbox::new());
    let run = |args: &[&str]| sandbox.rd([&["run", "--rm"], args].concat());
    let stderr = sandbox.fails(125, ["run", "--pull", "never", &name, "true"]);
    assert!(stderr.starts_with("error: no such image:"), "{stderr}");
    let pulled = run(&[&name, "cat", "/etc/passwd"]).assert().success().get_output().clone();
    assert_eq!(pulled.stdout, b"root:x:0:0:root:/root:/bin/sh\n");
    assert!(String::from_utf8(pulled.stderr).unwrap().ends_with(": Pull complete\n"));
    run(&[&name, "true"]).assert().success().stderr_eq("");
    run(&["--pull", "always", "-q", &name, "true"]).assert().success().stderr_eq("");
    let digest = registry.digest(&files, "box:1");
    run(&["-q", &format!("{}@{digest}", registry.name("box")), "true"]).assert().success().stderr_eq("");
    drop(registry);
    run(&[&name, "true"]).assert().success().stderr_eq("");
    run(&["--pull", "always", &name, "true"]).assert().code(125);
    let stderr = sandbox.fails(125, ["create", &name.replace("box", "bax")]);
    assert!(stderr.starts_with("error: no such image:") && stderr.contains("can't reach"), "{stderr}");
}

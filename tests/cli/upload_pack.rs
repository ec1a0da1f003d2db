//! `rd upload-pack`: stock git in a store, and as a client of one.

use std::path::Path;
use std::process::{Command, Output};

use crate::sandbox::{Change, Sandbox};

/// Two commits of one image; the second changes a text and adds a large file.
fn filled() -> Sandbox {
    let sandbox = Sandbox::new();
    let base = [("etc/hostname", "one\n"), ("etc/motd", "hello\n"), ("usr/share/a", "a\n")];
    let first = sandbox.commit(&Change { files: &base, ..Change::default() });
    sandbox.tag(first, "web:1");
    let large = "0123456789abcdef".repeat(20_000);
    let files = [("etc/hostname", "two\n"), ("large", large.as_str())];
    let second = sandbox.commit(&Change { parents: &[first], files: &files, message: "second", ..Change::default() });
    sandbox.tag(second, "web:2");
    sandbox
}

/// git in `dir`, with the rd that is tested on PATH.
fn run(sandbox: &Sandbox, dir: &Path, args: &[&str]) -> Output {
    let rd = Path::new(env!("CARGO_BIN_EXE_rd")).parent().unwrap();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths([rd.to_owned()].into_iter().chain(std::env::split_paths(&path))).unwrap();
    let mut command = Command::new("git");
    command.arg("-C").arg(dir).args(args).env_clear().env("PATH", path).env("HOME", sandbox.path());
    command.env("GIT_CONFIG_NOSYSTEM", "1").output().unwrap()
}

#[track_caller]
fn git(sandbox: &Sandbox, args: &[&str]) -> String {
    git_in(sandbox, &sandbox.store_dir(), args)
}

#[track_caller]
fn git_in(sandbox: &Sandbox, dir: &Path, args: &[&str]) -> String {
    let output = run(sandbox, dir, args);
    assert!(output.status.success(), "git {args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

const ONE: &str = "images/docker.io/library/web@1";
const TWO: &str = "images/docker.io/library/web@2";

/// Both checks are content with the store, before and after git has fetched.
#[track_caller]
fn assert_clean(sandbox: &Sandbox) {
    let output = run(sandbox, &sandbox.store_dir(), &["fsck", "--strict", "--full"]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && !text.contains("error") && !text.contains("missing"), "{text}");
    assert_eq!(sandbox.ok(["fsck"]), "");
}

#[test]
fn git_show_fetches_the_file_that_it_shows() {
    let sandbox = filled();
    assert_clean(&sandbox);
    assert_eq!(git(&sandbox, &["show", &format!("{TWO}:rootfs/etc/hostname")]), "two\n");
    assert_eq!(git(&sandbox, &["cat-file", "-s", &format!("{TWO}:rootfs/large")]), "320000\n");
    assert_clean(&sandbox);
}

#[test]
fn git_diff_and_log_work_in_a_store() {
    let sandbox = filled();
    let stat = git(&sandbox, &["diff", "--stat", ONE, TWO, "--", "rootfs"]);
    assert!(
        stat.contains(" rootfs/etc/hostname |") && stat.contains(" 2 files changed, 2 insertions(+), 1 deletion(-)"),
        "{stat}"
    );
    let patch = git(&sandbox, &["diff", "-p", ONE, TWO, "--", "rootfs/etc"]);
    assert!(patch.contains("\n-one\n+two\n"), "{patch}");
    let log = git(&sandbox, &["log", "--stat", "--format=%s", TWO, "--", "rootfs"]);
    assert!(log.starts_with("second\n") && log.contains("rootfs/usr/share/a"), "{log}");
    assert!(git(&sandbox, &["blame", TWO, "--", "rootfs/etc/motd"]).contains("hello"));
    assert_eq!(git(&sandbox, &["grep", "-h", "hello", TWO]), "hello\n");
    assert_clean(&sandbox);
}

#[test]
fn an_ordinary_fetch_gets_all_files_and_the_next_only_what_is_new() {
    let sandbox = filled();
    let clone = sandbox.path().join("clone");
    git_in(&sandbox, sandbox.path(), &["init", "-q", "--object-format=sha256", "clone"]);
    let store = sandbox.store_dir();
    let store = store.to_str().unwrap();
    let fetch = |refspec: &str| {
        let args = ["fetch", "-q", "--upload-pack", "rd upload-pack", store, refspec];
        git_in(&sandbox, &clone, &args);
    };
    let count = || -> usize {
        let text = git_in(&sandbox, &clone, &["count-objects", "-v"]);
        let number = |key: &str| -> usize {
            text.lines().find_map(|line| line.strip_prefix(key)).unwrap().trim().parse().unwrap()
        };
        number("count:") + number("in-pack:")
    };
    fetch(&format!("refs/{ONE}:refs/heads/one"));
    let first = count();
    assert_eq!(git_in(&sandbox, &clone, &["show", "one:rootfs/etc/motd"]), "hello\n");
    fetch(&format!("refs/{TWO}:refs/heads/two"));
    assert!(count() - first < 20, "{} and then {}", first, count());
    assert_eq!(git_in(&sandbox, &clone, &["cat-file", "-s", "two:rootfs/large"]), "320000\n");
    git_in(&sandbox, &clone, &["fsck", "--strict", "--full"]);
    fetch(&format!("refs/{TWO}:refs/heads/again"));
}

#[test]
fn a_partial_clone_fetches_blobs_when_it_needs_them() {
    let sandbox = filled();
    git_in(&sandbox, sandbox.path(), &["init", "-q", "--object-format=sha256", "partial"]);
    let clone = sandbox.path().join("partial");
    let store = sandbox.store_dir();
    for (key, value) in [
        ("remote.origin.url", store.to_str().unwrap()),
        ("remote.origin.uploadpack", "rd upload-pack"),
        ("remote.origin.promisor", "true"),
        ("remote.origin.partialclonefilter", "blob:none"),
        ("extensions.partialclone", "origin"),
    ] {
        git_in(&sandbox, &clone, &["config", key, value]);
    }
    git_in(&sandbox, &clone, &["fetch", "-q", "--filter=blob:none", "origin", &format!("refs/{TWO}:refs/heads/two")]);
    let missing = git_in(&sandbox, &clone, &["rev-list", "--objects", "--missing=print", "two"]);
    assert!(missing.lines().filter(|line| line.starts_with('?')).count() > 5, "{missing}");
    assert_eq!(git_in(&sandbox, &clone, &["show", "two:rootfs/etc/hostname"]), "two\n");
}

#[test]
fn a_tag_comes_with_what_it_names() {
    let sandbox = filled();
    git(&sandbox, &["-c", "user.name=a", "-c", "user.email=e", "tag", "-a", "-m", "note", "v1", ONE]);
    git_in(&sandbox, sandbox.path(), &["init", "-q", "--object-format=sha256", "clone"]);
    let clone = sandbox.path().join("clone");
    let store = sandbox.store_dir();
    let refspec = format!("refs/{TWO}:refs/heads/two");
    git_in(
        &sandbox,
        &clone,
        &[
            "fetch",
            "-q",
            "--upload-pack",
            "rd upload-pack",
            store.to_str().unwrap(),
            &refspec,
            "refs/tags/*:refs/tags/*",
        ],
    );
    assert_eq!(git_in(&sandbox, &clone, &["cat-file", "-t", "v1"]), "tag\n");
    let listed =
        git(&sandbox, &["ls-remote", "--upload-pack", "rd upload-pack", store.to_str().unwrap(), "refs/tags/*"]);
    assert!(listed.contains("refs/tags/v1\n") && listed.contains("refs/tags/v1^{}\n"), "{listed}");
}

#[test]
fn what_a_client_does_wrong_is_said() {
    let sandbox = filled();
    let store = sandbox.store_dir();
    let serve = |input: &str| {
        let command = sandbox.rd(["upload-pack".as_ref(), store.as_os_str()]).env("GIT_PROTOCOL", "version=2");
        let output = command.stdin(input.to_owned()).assert().get_output().clone();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let line = |text: &str| format!("{:04x}{text}", text.len() + 4);
    let fetch = |argument: &str| serve(&format!("{}0001{}0000", line("command=fetch"), line(argument)));
    assert_eq!(serve("").0, Some(0));
    assert_eq!(serve("0000").0, Some(0));
    assert_eq!(serve("0010command").0, Some(0), "a client that has gone is no failure");
    for (outcome, says) in [
        (fetch(&format!("want {}\n", "a".repeat(64))), "not our ref"),
        (fetch("want zzzz\n"), "has no id"),
        (fetch("deepen 0\n"), "'deepen 0' has no number"),
        (fetch("deepen-not x\n"), "unsupported 'deepen-not'"),
        (fetch("bogus 1\n"), "unknown argument 'bogus 1'"),
        (fetch("filter sparse:oid=1\n"), "unsupported filter"),
        (serve(&format!("{}0000", line("command=bogus"))), "unknown command 'bogus'"),
        (serve(&format!("{}{}0000", line("command=fetch"), line("object-format=sha1"))), "object format is sha256"),
        (serve("zzzz"), "version 2"),
    ] {
        assert!(outcome.0 == Some(2) && outcome.1.contains(says), "{says}: {outcome:?}");
    }
}

#[test]
fn a_damaged_content_ends_the_fetch_with_an_error() {
    let sandbox = filled();
    let file = sandbox.store().content_file(&plumbing::store::hash_content(b"two\n"));
    std::fs::write(&file, "ruined").unwrap();
    let output = run(&sandbox, &sandbox.store_dir(), &["show", &format!("{TWO}:rootfs/etc/hostname")]);
    assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
}

//! `rd remote-helper`: clones of images by stock git, over `rd::NAME` and over `rd upload-pack`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::sandbox::{Change, Sandbox, THEN};
use crate::stock_git::{assert_clean, assert_git_is_content, git, git_fails, objects};

/// Two images of one repository, the second a change of the first, a minute later.
fn filled() -> Sandbox {
    let sandbox = Sandbox::new();
    let files = [
        ("etc/hostname", "one\n"),
        ("etc/motd", "hello\n"),
        ("repo/.git/config", "[core]\n"),
        ("usr/a", "a\n"),
        ("odd/%", "%"),
        ("odd/new\nline", ""),
        ("odd/tab\there", ""),
        ("odd/\u{e4} b", ""),
    ];
    let first = sandbox.commit(&Change {
        files: &files,
        programs: &[("bin/tool", "/bin/busybox")],
        symlinks: &[("bin/link", "tool")],
        message: "first\n\nwith a body",
        ..Change::default()
    });
    sandbox.tag(first, "web:1");
    let second = sandbox.commit(&Change {
        parents: &[first],
        files: &[("etc/hostname", "two\n")],
        message: "second",
        seconds: THEN + 60,
        ..Change::default()
    });
    sandbox.tag(second, "web:2");
    sandbox
}

#[track_caller]
fn clone(sandbox: &Sandbox, args: &[&str]) -> PathBuf {
    let dir = sandbox.path().join("clone");
    let _ = fs::remove_dir_all(&dir);
    git(sandbox, sandbox.path(), &[&["clone", "-q"], args, &["clone"]].concat());
    dir
}

/// The names in a folder, but git's.
fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = entries.filter(|name| name != ".git").collect();
    names.sort();
    names
}

#[test]
fn a_clone_has_the_files_of_the_image() {
    let sandbox = filled();
    let dir = clone(&sandbox, &["rd::web:1"]);
    assert_eq!(names(&dir), ["bin", "etc", "odd", "repo", "usr"]);
    assert_eq!(names(&dir.join("repo")), ["%%2Egit"]);
    assert_eq!(names(&dir.join("odd")), ["%%25", "new\nline", "tab\there", "\u{e4} b"]);
    assert_eq!(fs::read_to_string(dir.join("etc/hostname")).unwrap(), "one\n");
    assert_eq!(fs::read(dir.join("bin/tool")).unwrap(), fs::read("/bin/busybox").unwrap());
    assert_eq!(fs::read_link(dir.join("bin/link")).unwrap(), Path::new("tool"));
    let mode = |path: &str| fs::metadata(dir.join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("bin/tool"), mode("etc/motd")), (0o755, 0o644));
    assert_eq!(git(&sandbox, &dir, &["status", "--short", "--branch"]), "## 1...origin/1\n");
    assert_eq!(git(&sandbox, &dir, &["log", "--format=%an %at %B"]), format!("rd {THEN} first\n\nwith a body\n\n"));
    assert_git_is_content(&sandbox, &dir);
    let all = git(&sandbox, &dir, &["rev-list", "--objects", "--all", "--missing=print"]);
    assert!(!all.contains('?'), "{all}");
    assert_clean(&sandbox);
}

#[test]
fn a_repository_has_a_branch_for_each_tag() {
    let sandbox = filled();
    let dir = clone(&sandbox, &["rd::web"]);
    let branches = |dir: &Path| git(&sandbox, dir, &["for-each-ref", "--format=%(refname:lstrip=2)", "refs/remotes"]);
    assert_eq!(branches(&dir), "origin/1\norigin/2\norigin/HEAD\n");
    assert_eq!(git(&sandbox, &dir, &["branch", "--show-current"]), "2\n", "the one that was made last");
    assert_eq!(git(&sandbox, &dir, &["diff", "--name-status", "origin/1", "HEAD"]), "M\tetc/hostname\n");
    assert_eq!(git(&sandbox, &dir, &["log", "--format=%s"]), "second\nfirst\n");
    sandbox.ok(["tag", "web:1", "web:latest"]);
    sandbox.ok(["tag", "web:2", "web:3"]);
    assert_eq!(git(&sandbox, &clone(&sandbox, &["rd::web"]), &["branch", "--show-current"]), "latest\n");
    assert_eq!(branches(&clone(&sandbox, &["rd://web:2"])), "origin/2\norigin/HEAD\n");
    let error = git_fails(&sandbox, sandbox.path(), &["clone", "-q", "rd::nope:1", "x"]);
    assert!(error.contains("no such image: 'nope:1'"), "{error}");
    let error = git_fails(&sandbox, sandbox.path(), &["clone", "-q", "rd::A/../b", "x"]);
    assert!(error.contains("invalid image name 'A/../b'"), "{error}");
}

#[test]
fn the_helper_says_what_it_cant_do() {
    let sandbox = filled();
    let ask = |input: &str| {
        let output =
            sandbox.rd(["remote-helper", "origin", "web"]).stdin(input.to_owned()).assert().get_output().clone();
        let text = String::from_utf8(output.stdout).unwrap();
        (output.status.code(), text, String::from_utf8(output.stderr).unwrap())
    };
    let quiet = |text: &str| (Some(0), text.to_owned(), String::new());
    assert_eq!(ask(""), quiet(""));
    assert_eq!(ask("capabilities\n\n"), quiet("connect\n\n"));
    assert_eq!(ask("option depth 1\nconnect git-upload-archive\n\n"), quiet("unsupported\nfallback\n"));
    let (status, _, error) = ask("list\n");
    assert!(status == Some(2) && error.contains("git asks for 'list'"), "{error}");
    // The program that git starts finds rd beside itself, or on PATH, or says so.
    let alone = sandbox.path().join("alone");
    fs::create_dir(&alone).unwrap();
    let program = alone.join("git-remote-rd");
    fs::copy(env!("CARGO_BIN_EXE_git-remote-rd"), &program).unwrap();
    let output = std::process::Command::new(&program).args(["origin", "web"]).env_clear().output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(2) && error.starts_with("error: can't start 'rd'\ncaused by: "), "{error}");
}

#[test]
fn projected_commits_are_the_same_for_everybody() {
    let sandbox = filled();
    let dir = clone(&sandbox, &["rd::web"]);
    let image = sandbox.ok(["rev-parse", "web:2"]);
    let text = git(&sandbox, &dir, &["cat-file", "commit", "HEAD"]);
    assert!(text.contains(&format!("\nrd-image {image}")), "{text}");
    assert_eq!(git(&sandbox, &dir, &["rev-parse", "HEAD^{tree}"]), sandbox.ok(["rev-parse", "web:2:rootfs"]));
    let other = filled();
    let elsewhere = clone(&other, &["rd::web:2"]);
    assert_eq!(git(&sandbox, &dir, &["rev-parse", "HEAD"]), git(&other, &elsewhere, &["rev-parse", "HEAD"]));
}

#[test]
fn a_fetch_brings_later_commits_only() {
    let sandbox = filled();
    for args in [&["rd::web"][..], &["-c", "protocol.version=0", "-u", "rd upload-pack", "--no-local", "store"]] {
        let dir = clone(&sandbox, args);
        git(&sandbox, &dir, &["config", "remote.origin.uploadpack", "rd upload-pack"]);
        let before = objects(&sandbox, &dir);
        let tip = sandbox.commit(&Change {
            parents: &[sandbox.store().get_ref("refs/images/docker.io/library/web@2").unwrap().unwrap()],
            files: &[("etc/motd", &format!("{before} {args:?}"))],
            message: "third",
            seconds: THEN + 120,
            ..Change::default()
        });
        sandbox.tag(tip, "web:2");
        git(&sandbox, &dir, &["fetch", "-q"]);
        // The commit, two folders, and the file.
        assert_eq!(objects(&sandbox, &dir) - before, 4, "{args:?}");
        git(&sandbox, &dir, &["merge", "-q", "--ff-only", "@{upstream}"]);
        assert!(fs::read_to_string(dir.join("etc/motd")).unwrap().starts_with(&before.to_string()));
        git(&sandbox, &dir, &["fetch", "-q"]);
        assert_eq!(objects(&sandbox, &dir) - before, 4);
        assert_git_is_content(&sandbox, &dir);
    }
}

#[test]
fn a_store_is_cloned_by_its_path() {
    let sandbox = filled();
    sandbox.image("team/app:v1", &[("app", "x\n")]);
    for version in ["0", "1", "2"] {
        let config = format!("protocol.version={version}");
        let dir = clone(&sandbox, &["-c", &config, "-u", "rd upload-pack", "store"]);
        assert_eq!(names(&dir), ["app"]);
        assert_eq!(git(&sandbox, &dir, &["branch", "--show-current"]), "team/app@v1\n");
        let branches = git(&sandbox, &dir, &["for-each-ref", "--format=%(refname)", "refs/remotes"]);
        let list = ["HEAD", "team/app@v1", "web@1", "web@2"];
        assert_eq!(branches, list.map(|name| format!("refs/remotes/origin/{name}\n")).concat(), "version {version}");
        assert_git_is_content(&sandbox, &dir);
    }
    // A store whose own HEAD is born shows that.
    let id = sandbox.ok(["rev-parse", "web:1"]);
    sandbox.ok(["update-ref", "refs/heads/main", id.trim()]);
    let dir = clone(&sandbox, &["-u", "rd upload-pack", "store"]);
    assert_eq!(names(&dir), ["config", "meta", "rootfs", "times"]);
    assert_git_is_content(&sandbox, &dir);
    assert_clean(&sandbox);
}

#[test]
fn an_empty_store_is_an_empty_clone() {
    let sandbox = Sandbox::new();
    sandbox.store();
    for version in ["0", "2"] {
        let config = format!("protocol.version={version}");
        assert_eq!(names(&clone(&sandbox, &["-c", &config, "-u", "rd upload-pack", "store"])), Vec::<String>::new());
    }
}

#[test]
fn shallow_clones_are_cut_and_deepened() {
    let sandbox = filled();
    let third = sandbox.commit(&Change {
        parents: &[sandbox.store().get_ref("refs/images/docker.io/library/web@2").unwrap().unwrap()],
        files: &[("etc/hostname", "three\n")],
        message: "third",
        seconds: THEN + 120,
        ..Change::default()
    });
    sandbox.tag(third, "web:3");
    for version in ["0", "2"] {
        let config = format!("protocol.version={version}");
        let common =
            ["-c", &config, "-c", "remote.origin.uploadpack=rd upload-pack", "--no-local", "-u", "rd upload-pack"];
        let cut = |args: &[&str]| clone(&sandbox, &[&common[..], args, &["-b", "web@3", "store"]].concat());
        let log = |dir: &Path| git(&sandbox, dir, &["log", "--format=%s"]);
        let dir = cut(&["--depth", "1"]);
        assert_eq!((log(&dir).as_str(), names(&dir).len()), ("third\n", 5), "version {version}");
        git(&sandbox, &dir, &["fetch", "-q", "--deepen", "1"]);
        assert_eq!(log(&dir), "third\nsecond\n");
        assert_git_is_content(&sandbox, &dir);
        git(&sandbox, &dir, &["fetch", "-q", "--unshallow"]);
        assert_eq!(log(&dir), "third\nsecond\nfirst\n");
        assert_git_is_content(&sandbox, &dir);
        git(&sandbox, &dir, &["fetch", "-q", "--depth", "2"]);
        assert_eq!(log(&dir), "third\nsecond\n");
        let dir = cut(&["--shallow-since", &format!("@{}", THEN + 30)]);
        assert_eq!(log(&dir), "third\nsecond\n");
        let error = git_fails(&sandbox, &dir, &["fetch", "-q", "--shallow-exclude", "web@1"]);
        assert!(error.contains("deepen-not") || error.contains("does not support --shallow-exclude"), "{error}");
        let error = git_fails(&sandbox, &dir, &["fetch", "-q", "--shallow-since", "@1900000000"]);
        assert!(error.contains("no commit is as young as that"), "{error}");
    }
    let dir = clone(&sandbox, &["--depth", "1", "rd::web:3"]);
    assert_eq!(git(&sandbox, &dir, &["log", "--format=%s"]), "third\n");
    // What comes later comes without what was cut off.
    let fourth =
        sandbox.commit(&Change { parents: &[third], message: "fourth", seconds: THEN + 180, ..Change::default() });
    sandbox.tag(fourth, "web:3");
    git(&sandbox, &dir, &["pull", "-q"]);
    assert_eq!(git(&sandbox, &dir, &["log", "--format=%s"]), "fourth\nthird\n");
    assert_git_is_content(&sandbox, &dir);
}

#[test]
fn partial_clones_fetch_what_they_need_at_once() {
    let sandbox = Sandbox::new();
    let paths: Vec<String> = (0..200).map(|number| format!("d{}/f{number}", number % 7)).collect();
    let files: Vec<(&str, &str)> = paths.iter().map(|path| (path.as_str(), path.as_str())).collect();
    sandbox.image("web:1", &files);
    for version in ["0", "2"] {
        let config = format!("protocol.version={version}");
        let args =
            ["-c", &config, "-c", "remote.origin.uploadpack=rd upload-pack", "-u", "rd upload-pack", "--no-local"];
        let dir = clone(&sandbox, &[&args[..], &["--filter=blob:none", "--no-checkout", "store"]].concat());
        let missing = git(&sandbox, &dir, &["rev-list", "--objects", "--missing=print", "HEAD"]);
        assert_eq!(missing.lines().filter(|line| line.starts_with('?')).count(), 200, "version {version}");
        let trace = sandbox.path().join("trace");
        let mut checkout = crate::stock_git::command(&sandbox, &dir, &["reset", "-q", "--hard"]);
        assert!(checkout.env("GIT_TRACE", &trace).status().unwrap().success());
        let text = fs::read_to_string(&trace).unwrap();
        fs::remove_file(&trace).unwrap();
        assert_eq!(text.matches("built-in: git fetch").count(), 1, "{text}");
        assert_eq!(fs::read_to_string(dir.join("d3/f3")).unwrap(), "d3/f3");
    }
    let dir = clone(&sandbox, &["--filter=blob:none", "rd::web"]);
    assert_eq!(names(&dir).len(), 7);
}

#[test]
fn git_reads_contents_in_a_store() {
    let sandbox = Sandbox::new();
    let large = "0123456789abcdef".repeat(400_000);
    let paths: Vec<String> = (0..300).map(|number| format!("many/f{number}")).collect();
    let mut files: Vec<(&str, &str)> = paths.iter().map(|path| (path.as_str(), path.as_str())).collect();
    files.extend([("large", large.as_str()), ("etc/motd", "one\ntwo\nthree\n"), ("etc/empty", "")]);
    let first = sandbox.image("web:1", &files);
    let changed: Vec<String> = paths.iter().map(|path| format!("{path} changed\n")).collect();
    let mut files: Vec<(&str, &str)> =
        paths.iter().map(String::as_str).zip(changed.iter().map(String::as_str)).collect();
    files.push(("etc/motd", "one\nTWO\nthree\n"));
    let second = sandbox.commit(&Change { parents: &[first], files: &files, message: "second", ..Change::default() });
    sandbox.tag(second, "web:2");
    let store = sandbox.store_dir();
    let (one, two) = ("images/docker.io/library/web@1", "images/docker.io/library/web@2");
    let in_store = |args: &[&str]| git(&sandbox, &store, args);
    assert_eq!(in_store(&["show", &format!("{one}:rootfs/large")]), large);
    assert_eq!(in_store(&["show", &format!("{one}:rootfs/etc/empty")]), "");
    let trace = sandbox.path().join("trace");
    let args = ["diff", "-p", one, two, "--", "rootfs/many"];
    let output = crate::stock_git::command(&sandbox, &store, &args).env("GIT_TRACE", &trace).output().unwrap();
    let patch = String::from_utf8(output.stdout).unwrap();
    assert_eq!(patch.matches("\n+many/f").count(), 300);
    let text = fs::read_to_string(&trace).unwrap();
    assert!(text.matches("rd upload-pack").count() <= 4, "git asks for all at once: {text}");
    let log = in_store(&["log", "-p", "--format=%s", two, "--", "rootfs/etc/motd"]);
    assert!(log.starts_with("second\n") && log.contains("\n-two\n+TWO\n") && log.contains("\n+three\n"), "{log}");
    assert_eq!(in_store(&["grep", "-h", "TWO", two, "--", "rootfs/etc"]), "TWO\n");
    let blame = in_store(&["blame", "-s", "--abbrev=7", two, "--", "rootfs/etc/motd"]);
    let author: Vec<&str> = blame.lines().map(|line| &line[..8]).collect();
    assert!(author[0] == author[2] && author[0] != author[1], "{blame}");
    assert_clean(&sandbox);
}

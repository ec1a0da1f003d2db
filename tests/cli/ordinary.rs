//! The object commands on a git repository that is no store.

use std::process::Command;

use crate::sandbox::Sandbox;

fn git(sandbox: &Sandbox, args: &[&str]) -> String {
    let mut command = Command::new("git");
    command.args(args).current_dir(sandbox.path().join("repo")).env("HOME", sandbox.path());
    let output = command.env("GIT_CONFIG_NOSYSTEM", "1").output().unwrap();
    assert!(output.status.success(), "git {args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// What rd says on the repository, found by the variable that git uses.
#[track_caller]
fn rd(sandbox: &Sandbox, args: &[&str], input: &str) -> String {
    let dir = sandbox.path().join("repo/.git");
    let output = sandbox.rd(args).env("GIT_DIR", dir).env_remove("RD_ROOT").stdin(input.to_owned());
    String::from_utf8(output.assert().success().get_output().stdout.clone()).unwrap().trim_end().to_owned()
}

fn repository(format: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path().join("repo")).unwrap();
    git(&sandbox, &["init", "-q", "-b", "main", &format!("--object-format={format}")]);
    sandbox
}

#[test]
fn objects_are_written_and_read_as_git_does() {
    let sandbox = repository("sha256");
    let blob = rd(&sandbox, &["hash-object", "-w", "--stdin"], "hello\n");
    assert_eq!(git(&sandbox, &["cat-file", "-p", &blob]), "hello");
    let tree = rd(&sandbox, &["mktree"], &format!("100644 blob {blob}\tgreeting\n"));
    let commit = rd(&sandbox, &["commit-tree", &tree, "-m", "one"], "");
    rd(&sandbox, &["update-ref", "-m", "first", "HEAD", &commit], "");
    assert_eq!(git(&sandbox, &["log", "--format=%H %s", "main"]), format!("{commit} one"));
    assert_eq!(git(&sandbox, &["reflog", "-1", "--format=%gs"]), "first");
    git(&sandbox, &["fsck", "--strict"]);
    assert!(!sandbox.path().join("repo/.git/content").exists());
    git(&sandbox, &["repack", "-a", "-d", "-q"]);
    sandbox.rd(["--git-dir", "repo/.git", "fsck", "-v"]).assert().success().stdout_eq("");
    for args in [
        &["rev-parse", "HEAD~0", "main:greeting"][..],
        &["rev-parse", "--abbrev-ref", "HEAD"],
        &["show-ref", "--head"],
        &["ls-tree", "-r", "-l", "HEAD"],
        &["cat-file", "-p", "HEAD^{tree}"],
    ] {
        assert_eq!(rd(&sandbox, args, ""), git(&sandbox, args), "{args:?}");
    }
}

#[test]
fn a_flag_goes_before_a_variable() {
    let sandbox = repository("sha256");
    sandbox.image("web:1", &[("a", "a")]);
    let (store, repo) = (sandbox.store_dir(), sandbox.path().join("repo/.git"));
    let bare = |args: &[&std::ffi::OsStr], variable: &std::path::Path| {
        let output =
            sandbox.rd(args).env_remove("RD_ROOT").env("GIT_DIR", variable).assert().success().get_output().clone();
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    };
    let ask = ["rev-parse".as_ref(), "--is-bare-repository".as_ref()];
    assert_eq!(bare(&ask, &repo), "false");
    assert_eq!(bare(&[&["--root".as_ref(), store.as_os_str()][..], &ask].concat(), &repo), "true");
    assert_eq!(bare(&[&["--git-dir".as_ref(), repo.as_os_str()][..], &ask].concat(), &store), "false");
}

#[test]
fn a_repository_of_another_format_or_none_is_refused() {
    let sandbox = repository("sha1");
    let refused = sandbox.fails(128, ["--git-dir", "repo/.git", "rev-parse", "HEAD"]);
    assert!(refused.contains("objects formatted as \"sha1\""), "{refused}");
    let missing = sandbox.fails(128, ["--git-dir", "nowhere", "rev-parse", "HEAD"]);
    assert_eq!(missing, "fatal: not a git repository: 'nowhere'\n");
}

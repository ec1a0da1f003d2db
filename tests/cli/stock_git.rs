//! Stock git with the rd that is tested on its PATH.

use std::path::Path;
use std::process::{Command, Output};

use crate::sandbox::Sandbox;

/// A git command in `dir`, which finds rd, git-remote-rd and the sandbox's store.
pub fn command(sandbox: &Sandbox, dir: &Path, args: &[&str]) -> Command {
    let rd = Path::new(env!("CARGO_BIN_EXE_rd")).parent().unwrap();
    assert_eq!(rd, Path::new(env!("CARGO_BIN_EXE_git-remote-rd")).parent().unwrap());
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths([rd.to_owned()].into_iter().chain(std::env::split_paths(&path))).unwrap();
    let mut command = Command::new("git");
    command.arg("-C").arg(dir).args(args).env_clear().env("PATH", path).env("HOME", sandbox.path());
    command.env("GIT_CONFIG_NOSYSTEM", "1").env("RD_ROOT", sandbox.store_dir()).env("LC_ALL", "C.UTF-8");
    for role in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{role}_NAME"), "Ada").env(format!("GIT_{role}_EMAIL"), "ada@example.org");
        command.env(format!("GIT_{role}_DATE"), "1700000600 +0200");
    }
    command
}

/// What became of it.
pub fn output(sandbox: &Sandbox, dir: &Path, args: &[&str]) -> Output {
    command(sandbox, dir, args).output().unwrap()
}

/// What git prints, which must succeed.
#[track_caller]
pub fn git(sandbox: &Sandbox, dir: &Path, args: &[&str]) -> String {
    let output = output(sandbox, dir, args);
    assert!(output.status.success(), "git {args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// What git says on stderr, which must fail.
#[track_caller]
pub fn git_fails(sandbox: &Sandbox, dir: &Path, args: &[&str]) -> String {
    let output = output(sandbox, dir, args);
    assert!(!output.status.success(), "git {args:?}: {output:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// Both checks are content with the store.
#[track_caller]
pub fn assert_clean(sandbox: &Sandbox) {
    assert_git_is_content(sandbox, &sandbox.store_dir());
    assert_eq!(sandbox.ok(["fsck", "--full"]), "");
}

/// git-fsck has no complaint of the repository at `dir`.
#[track_caller]
pub fn assert_git_is_content(sandbox: &Sandbox, dir: &Path) {
    let output = output(sandbox, dir, &["fsck", "--strict", "--full", "--no-dangling"]);
    let text = String::from_utf8(output.stderr).unwrap() + &String::from_utf8(output.stdout).unwrap();
    let bad = text.lines().filter(|line| !line.starts_with("notice:")).collect::<Vec<_>>();
    assert!(output.status.success() && bad.is_empty(), "{bad:?}");
}

/// The number of objects that a repository has itself.
#[track_caller]
pub fn objects(sandbox: &Sandbox, dir: &Path) -> usize {
    let text = git(sandbox, dir, &["count-objects", "-v"]);
    let number =
        |key: &str| -> usize { text.lines().find_map(|line| line.strip_prefix(key)).unwrap().trim().parse().unwrap() };
    number("count:") + number("in-pack:")
}

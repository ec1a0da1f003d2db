//! `rd init`

use std::process::Command;

use crate::sandbox::Sandbox;

#[test]
fn init_makes_a_store_that_git_accepts() {
    let sandbox = Sandbox::new();
    let shown = sandbox.path().canonicalize().unwrap().join("other");
    let line = sandbox.ok(["init", "other"]);
    assert_eq!(line, format!("Initialized empty rd store in {}/\n", shown.display()));
    let fsck = Command::new("git").arg("-C").arg(&shown).args(["fsck", "--strict"]).output().unwrap();
    assert!(fsck.status.success(), "{fsck:?}");
    let again = sandbox.ok(["init", "other"]);
    assert_eq!(again, format!("Reinitialized existing rd store in {}/\n", shown.display()));
}

#[test]
fn init_without_a_folder_makes_the_default_store() {
    let sandbox = Sandbox::new();
    sandbox.ok(["init"]);
    assert!(sandbox.store_dir().join("config").is_file());
}

#[test]
fn init_refuses_a_folder_that_is_something_else() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path().join("taken")).unwrap();
    std::fs::write(sandbox.path().join("taken/file"), "").unwrap();
    let stderr = sandbox.fails(2, ["init", "taken"]);
    assert!(stderr.starts_with("error: "), "{stderr}");
    assert!(std::fs::read_dir(sandbox.path().join("taken")).unwrap().count() == 1);
}

//! `rd write-tree`

use crate::import::{git_agrees, sh, small_tar};
use crate::sandbox::Sandbox;

#[test]
fn write_tree_gives_the_root_that_import_gives() {
    let sandbox = Sandbox::new();
    small_tar(&sandbox);
    sandbox.ok(["import", "small.tar", "web"]);
    let tree = sandbox.ok(["write-tree", "r"]);
    let script =
        format!("for part in rootfs meta times; do git rev-parse {}:$part web@latest:$part; done", tree.trim());
    let script = script.replace("web@latest", "refs/images/docker.io/library/web@latest");
    let ids = String::from_utf8(sh(&sandbox.store_dir(), &script)).unwrap();
    let ids: Vec<_> = ids.lines().collect();
    assert!(ids.chunks(2).all(|pair| pair[0] == pair[1]), "{ids:?}");
    git_agrees(&sandbox.store_dir());
}

#[test]
fn write_tree_needs_a_folder() {
    let sandbox = Sandbox::new();
    let stderr = sandbox.fails(2, ["write-tree", "none"]);
    assert!(stderr.starts_with("error: can't open 'none'"), "{stderr}");
}

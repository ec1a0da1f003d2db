//! `rd mkfs`

use std::fs;

use crate::import::sh;
use crate::ls_root::everything;
use crate::sandbox::Sandbox;

#[test]
fn mkfs_gives_equal_bytes_for_equal_roots() {
    let (one, other) = (Sandbox::new(), Sandbox::new());
    let tree = everything(&one);
    one.ok(["checkout-tree", &tree, "copy"]);
    assert_eq!(other.ok(["write-tree", one.path().join("copy").to_str().unwrap()]).trim(), tree);
    for sandbox in [&one, &other] {
        assert_eq!(sandbox.ok(["mkfs", &tree, "-o", "image"]), "");
        assert_eq!(sandbox.ok(["mkfs", "-o", "etc", &format!("{tree}:/etc")]), "");
    }
    let read = |sandbox: &Sandbox, name: &str| fs::read(sandbox.path().join(name)).unwrap();
    assert_eq!(read(&one, "image"), read(&other, "image"));
    assert_eq!(read(&one, "etc"), read(&other, "etc"));
    assert_ne!(read(&one, "etc"), read(&one, "image"));
}

#[test]
fn mkfs_makes_what_the_manual_mounts() {
    let sandbox = Sandbox::new();
    let tree = everything(&sandbox);
    sandbox.ok(["mkfs", &tree, "-o", "image.erofs"]);
    let rd = env!("CARGO_BIN_EXE_rd");
    let script = format!(
        "mkdir image files; mount -t erofs -o ro,loop image.erofs image
         mount -t overlay -o ro,metacopy=on,redirect_dir=on,lowerdir=image::store/content overlay files
         {rd} --root store write-tree files"
    );
    fs::write(sandbox.path().join("script"), script).unwrap();
    let found = String::from_utf8(sh(sandbox.path(), "unshare -m sh -eu script")).unwrap();
    assert_eq!(sandbox.ok(["diff-root", &tree, found.trim()]), "");
}

#[test]
fn mkfs_of_nothing_leaves_no_file() {
    let sandbox = Sandbox::new();
    assert!(sandbox.fails(2, ["mkfs", "none", "-o", "image"]).starts_with("error: no such image: 'none'"));
    assert!(!sandbox.path().join("image").exists());
}

//! `rd export`

use crate::import::{sh, small_tar};
use crate::sandbox::Sandbox;

#[test]
fn export_and_import_give_the_same_root() {
    let sandbox = Sandbox::new();
    small_tar(&sandbox);
    sandbox.ok(["import", "small.tar", "web"]);
    sandbox.ok(["export", "web", "-o", "out.tar"]);
    let piped = sandbox.rd(["export", "web"]).assert().success().get_output().stdout.clone();
    assert_eq!(std::fs::read(sandbox.path().join("out.tar")).unwrap(), piped);
    sandbox.ok(["import", "out.tar", "again"]);
    let store = sandbox.store();
    let root = |name: &str| {
        let id = store.get_ref(&format!("refs/images/docker.io/library/{name}@latest")).unwrap().unwrap();
        store.read_commit(&id).unwrap().state.root
    };
    assert_eq!(root("web"), root("again"));
    let listed = sh(sandbox.path(), "tar -tf out.tar");
    assert_eq!(String::from_utf8(listed).unwrap(), "./\netc/\netc/issue\netc/motd\n");
}

#[test]
fn export_of_nothing_says_so_and_leaves_no_file() {
    let sandbox = Sandbox::new();
    let stderr = sandbox.fails(2, ["export", "none", "-o", "out.tar"]);
    assert!(stderr.starts_with("error: no such "), "{stderr}");
    assert!(!sandbox.path().join("out.tar").exists());
    let id = sandbox.image("web", &[("a", "b")]);
    let stderr = sandbox.fails(2, ["export", &id.to_string(), "-o", "none/out.tar"]);
    assert!(stderr.starts_with("error: can't create a file in 'none'"), "{stderr}");
}

#[test]
fn export_refuses_a_terminal() {
    let sandbox = Sandbox::new();
    sandbox.image("web", &[("a", "b")]);
    let rd = env!("CARGO_BIN_EXE_rd");
    let script = format!("script -qec '{rd} --root {} export web' /dev/null || true", sandbox.store_dir().display());
    let shown = String::from_utf8(sh(sandbox.path(), &script)).unwrap();
    assert!(shown.contains("cowardly refusing to save to a terminal"), "{shown}");
}

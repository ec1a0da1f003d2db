//! `rd cat-file`

use crate::judge::Court;
use crate::sandbox::Sandbox;

#[test]
fn cat_file_is_gits() {
    let mut court = Court::new();
    let (first, tree) = (court.first.to_string(), format!("{}^{{tree}}", court.first));
    let missing = "a".repeat(64);
    let short = &first[..9];
    let content = plumbing::store::hash_content(b"x").to_string();
    let objects = [
        "main",
        "v1^{}",
        "tags/v1",
        "nested",
        "of-tree",
        "of-blob",
        "light",
        &tree,
        "main:config",
        "main:rootfs",
        "main:rootfs/etc/passwd",
        "main:rootfs/etc/",
        "main:rootfs/nope",
        "main:rootfs/etc/passwd/",
        "nope",
        &missing,
        &first,
        short,
        "main~1",
        "main^9",
        "main~99",
        "HEAD",
        "@",
        "main@{1}",
        "main@{0}",
        ":/nothing",
        "main^{/second}",
        "main^{/nothing}",
        "nested^{tag}",
        "nested^{commit}",
        "nested^{blob}",
        "of-tree^{tree}",
        "",
        "-x",
        "main:",
        "refs/heads/link",
        "refs/heads/main",
        "heads/side/way",
        &content,
        "main^{",
        "main:meta/%meta",
        "main^0",
        "main^^",
        "main^{}",
        "0123",
        "zzzz",
        "main:./config",
        "main:../config",
        "..",
        "main..main",
    ];
    court.compare_all("cat-file", &["-t", "-s", "-p", "-e", "blob", "tree", "commit", "tag"], &objects);
    court.compare_all(
        "cat-file",
        &["", "-t|-s", "bogus", "-t|main|main"],
        &["", "main", "main|main", "main|main|main"],
    );
    court.verdict(120);
}

#[test]
fn cat_file_shows_an_images_file() {
    let sandbox = Sandbox::new();
    sandbox.image("web:1", &[("etc/hostname", "web\n")]);
    assert_eq!(sandbox.ok(["cat-file", "-p", "web:1:/etc/hostname"]), "web\n");
    assert_eq!(sandbox.ok(["cat-file", "-s", "web:1:/etc/hostname"]), "4\n");
    assert_eq!(sandbox.ok(["cat-file", "-t", "web:1:/etc"]), "tree\n");
    assert_eq!(sandbox.fails(128, ["cat-file", "-p", "web:2"]), "fatal: Not a valid object name web:2\n");
}

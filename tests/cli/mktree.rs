//! `rd mktree`

use crate::judge::Court;

#[test]
fn mktree_is_gits() {
    let mut court = Court::new();
    let dir = court.git_dir();
    let id = |spec: &str| court.git_text(&dir, &["rev-parse", spec]);
    let (blob, tree, commit) = (id("main:config"), id("main:rootfs"), id("main"));
    let content = plumbing::store::hash_content(b"x").to_string();
    let missing = "a".repeat(64);
    let listing = court.git_text(&dir, &["ls-tree", "main:rootfs/usr/share/doc"]) + "\n";
    let inputs = [
        String::new(),
        "\n".into(),
        listing.clone(),
        format!("100644 blob {blob}\tb\n100755 blob {content}\ta\n040000 tree {tree}\tc\n"),
        format!("100644 blob {blob}\tb\n\n100644 blob {blob}\ta\n"),
        format!("100644 blob {blob}\tb\n\n"),
        format!("100644 blob {blob}\tb"),
        format!("100644 blob {blob}\tx.y\n040000 tree {tree}\tx\n100644 blob {blob}\tx0\n"),
        format!("100644 blob {missing}\tb\n"),
        format!("160000 commit {missing}\tsub\n"),
        format!("160000 commit {commit}\tsub\n"),
        format!("120000 blob {blob}\tlink\n"),
        format!("100644 tree {tree}\tb\n"),
        format!("100644 blob {tree}\tb\n"),
        format!("40000 tree {tree}\tb\n"),
        format!("100644 blob {blob}\ta/b\n"),
        format!("100644 blob {blob} b\n"),
        format!("100644 blob {}\tb\n", &blob[..20]),
        format!("100644 blob {blob}\t\"q\\tx\"\n"),
        format!("100644 blob {blob}\tb\0"),
        format!("100644 blob {blob}\ta\n100644 blob {blob}\ta\n"),
        "garbage\n".into(),
        format!("10064x blob {blob}\tb\n"),
        format!("100644 bogus {blob}\tb\n"),
    ];
    for options in [
        &["mktree"][..],
        &["mktree", "--missing"],
        &["mktree", "--batch"],
        &["mktree", "-z"],
        &["mktree", "-z", "--batch"],
    ] {
        for input in &inputs {
            court.compare_with(options, input.as_bytes(), &[]);
        }
    }
    court.verdict(100);
}

//! `rd pack-refs`

use crate::judge::Court;
use crate::sandbox::Sandbox;

#[test]
fn pack_refs_is_gits() {
    for words in [
        "",
        "--all",
        "--all|--no-prune",
        "--include|refs/heads/m*",
        "--include|refs/heads/*|--exclude|refs/heads/side/*",
        "--all|--exclude|refs/tags/*",
        "--no-prune",
    ] {
        let mut court = Court::new();
        let words = words.split('|').filter(|word| !word.is_empty());
        court.compare(&["pack-refs"].into_iter().chain(words).collect::<Vec<_>>());
        court.compare(&["for-each-ref", "--format=%(objectname) %(refname) %(flag) %(*objectname)"]);
        court.compare(&["show-ref", "-d"]);
        court.compare(&["update-ref", "-d", "refs/heads/main"]);
        court.compare(&["update-ref", "refs/heads/side/way/below", "v1"]);
        court.compare(&["update-ref", "refs/heads/side", "v1"]);
        court.compare(&["update-ref", "refs/tags/light", "tags/v1", "main~1"]);
        court.compare(&["update-ref", "refs/tags/light", "tags/nested"]);
        court.compare(&["for-each-ref"]);
        court.compare(&["pack-refs", "--all"]);
        court.compare(&["for-each-ref"]);
        court.compare_files("packed-refs");
        court.verdict(10);
    }
}

#[test]
fn a_packed_image_is_moved_and_removed_as_any_other() {
    let sandbox = Sandbox::new();
    let web = sandbox.image("web:1", &[("a", "1")]);
    sandbox.image("web:2", &[("a", "2")]);
    sandbox.ok(["pack-refs", "--all"]);
    let listed = std::fs::read_to_string(sandbox.store_dir().join("packed-refs")).unwrap();
    assert!(listed.contains("refs/images/docker.io/library/web@1"), "{listed}");
    assert!(!sandbox.store_dir().join("refs/images/docker.io").exists());
    sandbox.ok(["tag", "web:1", "web:3"]);
    sandbox.ok(["rmi", "web:1"]);
    assert_eq!(sandbox.ok(["rev-parse", "web:3"]), format!("{web}\n"));
    sandbox.fails(128, ["rev-parse", "--verify", "web:1"]);
    sandbox.ok(["pack-refs", "--all"]);
    assert_eq!(sandbox.ok(["show-ref"]).lines().count(), 2);
    sandbox.ok(["fsck"]);
}

//! `rd prune`, `rd system`, `rd image`, `rd container`: docker's ways of freeing room.

use plumbing::Id;
use plumbing::store::hash_content;

use crate::sandbox::{Change, Sandbox, wait_for};

fn has_content(sandbox: &Sandbox, text: &str) -> bool {
    sandbox.store().content_file(&hash_content(text.as_bytes())).exists()
}

fn names(sandbox: &Sandbox) -> String {
    sandbox.ok(["images", "--format", "{{.Repository}}"])
}

#[track_caller]
fn assert_sound(sandbox: &Sandbox) {
    sandbox.rd(["fsck"]).assert().success().stdout_eq("");
}

#[test]
fn image_prune_removes_what_lost_its_name() {
    let sandbox = Sandbox::new();
    let old = sandbox.image("web", &[("f", "old\n"), ("g", "both\n")]);
    sandbox.image("web", &[("f", "new\n"), ("g", "both\n")]);
    let removed = sandbox.image("gone", &[("f", "gone\n")]);
    sandbox.ok(["rmi", "gone"]);
    let text = sandbox.ok(["image", "prune", "-f"]);
    let mut lines: Vec<&str> = text.lines().collect();
    assert!(lines.pop().unwrap().starts_with("Total reclaimed space: ") && lines.pop() == Some(""), "{text}");
    assert_eq!(lines.remove(0), "Deleted Images:");
    let mut wanted = [old, removed].map(|id| format!("deleted: sha256:{id}"));
    wanted.sort();
    lines.sort();
    assert_eq!(lines, wanted);
    assert!(!has_content(&sandbox, "old\n") && !has_content(&sandbox, "gone\n"));
    assert!(has_content(&sandbox, "new\n") && has_content(&sandbox, "both\n"));
    assert_eq!(sandbox.ok(["show", "web:/f"]), "new\n");
    sandbox.fails(2, ["show", "web@{1}:/f"]);
    assert_sound(&sandbox);
    assert_eq!(sandbox.ok(["image", "prune", "-f"]), "Total reclaimed space: 0B\n");
}

#[test]
fn image_prune_all_spares_what_containers_were_made_of() {
    let sandbox = Sandbox::new();
    let base = sandbox.busybox("busybox");
    let unused = sandbox.commit(&Change { parents: &[base], files: &[("f", "unused\n")], ..Change::default() });
    sandbox.tag(unused, "unused:1");
    sandbox.tag(unused, "unused:2");
    sandbox.ok(["create", "--name", "web", "busybox", "true"]);
    let text = sandbox.ok(["image", "prune", "-a", "--force"]);
    let wanted = format!("Deleted Images:\nuntagged: unused:1\nuntagged: unused:2\ndeleted: sha256:{unused}\n\n");
    assert!(text.starts_with(&wanted), "{text}");
    assert_eq!(names(&sandbox), "busybox\n");
    assert!(!has_content(&sandbox, "unused\n"));
    sandbox.ok(["rm", "web"]);
    sandbox.ok(["image", "prune", "-af"]);
    assert_eq!(names(&sandbox), "");
    assert!(!has_content(&sandbox, "root:x:0:0:root:/root:/bin/sh\n"));
    assert_sound(&sandbox);
}

#[test]
fn filters_choose_by_age_and_label() {
    let sandbox = Sandbox::new();
    let config = r#"{"architecture":"amd64","os":"linux","config":{"Labels":{"keep":"yes"}}}"#;
    let kept = sandbox.commit(&Change { files: &[("f", "kept\n")], config, ..Change::default() });
    sandbox.tag(kept, "kept");
    sandbox.image("other", &[("f", "other\n")]);
    let now = Change { files: &[("f", "young\n")], seconds: plumbing::commit::now(), ..Change::default() };
    sandbox.tag(sandbox.commit(&now), "young");
    sandbox.ok(["image", "prune", "-af", "--filter", "label!=keep", "--filter", "until=1h"]);
    assert_eq!(names(&sandbox), "young\nkept\n");
    sandbox.ok(["image", "prune", "-af", "--filter", "label=keep=yes"]);
    assert_eq!(names(&sandbox), "young\n");
    let stderr = sandbox.fails(2, ["image", "prune", "-f", "--filter", "size=1"]);
    assert!(stderr.starts_with("error: invalid filter 'size=1': "), "{stderr}");
}

#[test]
fn container_prune_spares_what_runs() {
    let sandbox = Sandbox::new();
    sandbox.busybox("busybox");
    let _run = sandbox.spawn(["run", "--rm", "--name", "web", "busybox", "sleep", "1000"]);
    wait_for(|| (!sandbox.ok(["ps", "-q"]).is_empty()).then_some(()));
    sandbox.ok(["run", "--name", "done", "-l", "a=1", "busybox", "sh", "-c", "echo x > /x"]);
    let made = sandbox.ok(["create", "busybox", "true"]);
    let text = sandbox.ok(["container", "prune", "-f", "--filter", "label=a"]);
    assert!(text.starts_with("Deleted Containers:\n"), "{text}");
    assert_eq!(sandbox.ok(["ps", "-aq", "--no-trunc"]).lines().filter(|id| *id == made.trim()).count(), 1);
    let text = sandbox.ok(["container", "prune", "-f"]);
    assert!(text.starts_with(&format!("Deleted Containers:\n{made}\nTotal reclaimed space: ")), "{text}");
    assert_eq!(sandbox.ok(["ps", "-a", "--format", "{{.Names}}"]), "web\n");
    sandbox.ok(["rm", "-f", "web"]);
    assert_sound(&sandbox);
}

#[test]
fn prune_removes_both_and_asks_only_on_a_terminal() {
    let sandbox = Sandbox::new();
    sandbox.busybox("busybox");
    sandbox.image("other", &[("f", "other\n")]);
    sandbox.ok(["run", "--name", "done", "busybox", "true"]);
    for command in [&["prune"][..], &["system", "prune"], &["image", "prune"], &["container", "prune"]] {
        let stderr = sandbox.fails(2, command);
        assert_eq!(stderr, "error: there is no terminal to ask on\nhint: -f goes ahead without asking\n");
    }
    let text = sandbox.ok(["prune", "-f"]);
    assert!(text.starts_with("Deleted Containers:\n") && !text.contains("Images"), "{text}");
    assert_eq!(names(&sandbox).lines().count(), 2);
    let text = sandbox.ok(["system", "prune", "-af"]);
    assert!(text.contains("Deleted Images:\n") && text.contains("untagged: other:latest\n"), "{text}");
    assert_eq!(names(&sandbox), "");
    let left = std::fs::read_dir(sandbox.store_dir().join("objects/pack")).unwrap();
    assert!(left.flatten().all(|entry| entry.path().extension().is_none_or(|extension| extension != "pack")));
    assert_sound(&sandbox);
}

#[test]
fn df_tells_what_takes_the_room() {
    let sandbox = Sandbox::new();
    let big = "x".repeat(100_000);
    sandbox.image("one", &[("f", &big), ("g", "one\n")]);
    sandbox.image("two", &[("f", &big), ("g", "second\n")]);
    let text = sandbox.ok(["system", "df"]);
    let words: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(words[0], ["TYPE", "TOTAL", "ACTIVE", "SIZE", "RECLAIMABLE"]);
    assert_eq!(words[1][..3], ["Images", "2", "0"]);
    assert_eq!(words[2][..3], ["Containers", "0", "0"]);
    let types = sandbox.ok(["system", "df", "--format", "{{.Type}}"]);
    assert_eq!(types, "Images\nContainers\nLocal Volumes\nCaches\n");
    let text = sandbox.ok(["system", "df", "-v"]);
    let line = |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
    let words = |name: &str| line(name).split_whitespace().rev().take(4).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words("one"), ["0", "4B", "100kB", "100kB"], "{text}");
    assert_eq!(words("two"), ["0", "7B", "100kB", "100kB"], "{text}");
    assert!(text.contains("\nContainers space usage:\n\nCONTAINER ID   IMAGE"), "{text}");
    let two: Id = sandbox.ok(["rev-parse", "two"]).trim().parse().unwrap();
    assert!(line("two").contains(&two.to_string()[..12]));
}

//! `rd cat-file`

use std::process::Command;

use crate::dialogue::Dialogue;
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

#[test]
fn a_batch_answers_before_the_next_question_is_asked() {
    let sandbox = Sandbox::new();
    sandbox.image("web:1", &[("etc/hostname", "web\n")]);
    let id = plumbing::store::hash_content(b"web\n");
    let mut batch = Dialogue::begin(&sandbox, &["cat-file", "--batch"]);
    for name in ["web:1:/etc/hostname", &id.to_string()] {
        batch.say(&format!("{name}\n"));
        assert_eq!([batch.hear(), batch.hear(), batch.hear()], [format!("{id} blob 4").as_str(), "web", ""]);
    }
    batch.say("nope\n");
    assert_eq!(batch.hear(), "nope missing");
    assert_eq!(batch.end(), (String::new(), Some(0)));
}

#[test]
fn with_a_buffer_commands_are_answered_at_a_flush() {
    let sandbox = Sandbox::new();
    sandbox.image("web:1", &[("etc/hostname", "web\n")]);
    let mut batch = Dialogue::begin(&sandbox, &["cat-file", "--batch-command=%(objecttype)", "--buffer"]);
    batch.say("info web:1\ncontents web:1:/etc/hostname\nflush\n");
    assert_eq!([batch.hear(), batch.hear(), batch.hear(), batch.hear()], ["commit", "blob", "web", ""]);
    batch.say("info web:1:/etc\n");
    assert_eq!(batch.end(), ("tree\n".into(), Some(0)));
}

#[test]
fn all_objects_are_shown_with_the_contents_of_files() {
    let sandbox = Sandbox::new();
    sandbox.image("web:1", &[("etc/hostname", "web\n"), ("etc/empty", "")]);
    for order in [&[][..], &["--unordered"]] {
        let args = [
            &["cat-file", "--batch-all-objects", "--batch-check=%(objecttype) %(objectsize:disk) %(objectname)"],
            order,
        ];
        let all = sandbox.ok(args.concat());
        for content in [&b"web\n"[..], b""] {
            let line = format!("blob {} {}", content.len(), plumbing::store::hash_content(content));
            assert_eq!(all.lines().filter(|found| **found == line).count(), 1, "{line} in {all}");
        }
        assert_eq!(all.lines().filter(|line| line.starts_with("commit")).count(), 1);
    }
    let sorted = sandbox.ok(["cat-file", "--batch-all-objects", "--batch-check=%(objectname)"]);
    assert!(sorted.lines().is_sorted());
}

/// Run `script` in a shell that may use 400 MiB of addresses; what it prints.
fn in_little_memory(dir: &std::path::Path, script: &str) -> String {
    let rd = env!("CARGO_BIN_EXE_rd");
    let script = format!("set -e; ulimit -v 409600; rd() {{ '{rd}' --git-dir repo \"$@\"; }}; {script}");
    let output = Command::new("sh").args(["-c", &script]).current_dir(dir).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn what_is_larger_than_memory_goes_in_and_out_in_pieces() {
    let size = 600u64 << 20;
    for make in ["git init -q --bare --object-format=sha256 repo", "rd --root repo init"] {
        let sandbox = Sandbox::new();
        let dir = sandbox.path();
        std::fs::File::create(dir.join("zeros")).unwrap().set_len(size).unwrap();
        let make = make.replace("rd ", &format!("'{}' ", env!("CARGO_BIN_EXE_rd")));
        assert!(Command::new("sh").args(["-c", &make]).current_dir(dir).status().unwrap().success());
        let id = in_little_memory(dir, "rd hash-object -w zeros");
        let count = |args: &str| in_little_memory(dir, &format!("rd cat-file {args} | wc -c"));
        assert_eq!(count(&format!("blob {id}")), size.to_string(), "{make}");
        let batch = format!("{id} blob {size}\n").len() as u64 + size + 1;
        assert_eq!(in_little_memory(dir, &format!("echo {id} | rd cat-file --batch | wc -c")), batch.to_string());
        let pack = "git --git-dir repo -c core.bigFileThreshold=1m repack -adq";
        if make.contains("git") {
            assert!(Command::new("sh").args(["-c", pack]).current_dir(dir).status().unwrap().success());
            assert_eq!(count(&format!("-p {id}")), size.to_string(), "packed");
        }
    }
}

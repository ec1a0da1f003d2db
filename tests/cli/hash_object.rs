//! `rd hash-object`

use crate::judge::Court;
use crate::sandbox::Sandbox;

#[test]
fn hash_object_is_gits() {
    let mut court = Court::new();
    let dir = court.sandbox.path().to_owned();
    for (name, bytes) in [("a", "alpha\n"), ("b", ""), ("c d", "x\r\ny")] {
        std::fs::write(dir.join(name), bytes).unwrap();
    }
    let tree = court.git_text(&court.git_dir(), &["rev-parse", "main^{tree}"]);
    let commit = format!("tree {tree}\nauthor a <e> 1 +0000\ncommitter a <e> 1 +0000\n\nx\n");
    let inputs =
        ["", "hello\n", "a\nb\n", "\"c d\"\n", "a\nnope\n", &commit, "tree x\n", "object 0\ntype blob\ntag x\n\n"];
    let options = [
        "--stdin",
        "--stdin|a",
        "--stdin-paths",
        "--stdin-paths|a",
        "--stdin|--stdin-paths",
        "a",
        "a|b",
        "c d",
        "nope",
        "a|nope|b",
        "",
        "-t|blob|a",
        "-t|commit|--stdin",
        "-t|tree|--stdin",
        "-t|tag|--stdin",
        "-t|bogus|a",
        "-w|a",
        "-w|--stdin",
        "-w|-t|commit|--stdin",
        "--no-filters|a",
        "--path=x|a",
        "--path|x|--no-filters|a",
        ".",
        "--|a",
        "-w|.",
        "--stdin|--stdin",
    ];
    for option in options {
        for input in inputs {
            let words: Vec<&str> =
                ["hash-object"].into_iter().chain(option.split('|').filter(|w| !w.is_empty())).collect();
            court.compare_with(&words, input.as_bytes(), &[]);
        }
    }
    court.verdict(200);
}

#[test]
fn hash_object_keeps_a_blob_as_a_content_that_other_commands_read() {
    let sandbox = Sandbox::new();
    std::fs::write(sandbox.path().join("file"), "hello").unwrap();
    let id = sandbox.ok(["hash-object", "-w", "file"]);
    let id = id.trim();
    assert!(sandbox.store_dir().join("content").join(&id[..2]).join(&id[2..]).is_file());
    assert_eq!(sandbox.ok(["cat-file", "-p", id]), "hello");
    assert_eq!(sandbox.ok(["cat-file", "-s", &id[..12]]), "5\n");
    let refused = sandbox.fails(129, ["hash-object", "--literally", "-t", "blob", "file"]);
    assert!(refused.contains("neither git nor rd can read"), "{refused}");
}

//! `rd update-ref`

use crate::dialogue::Dialogue;
use crate::judge::Court;
use crate::sandbox::Sandbox;

/// Both make the same change, then all refs must be the same.
fn change(court: &mut Court, args: &[&str], input: &str) {
    let words: Vec<&str> = ["update-ref"].into_iter().chain(args.iter().copied()).collect();
    court.compare_with(&words, input.as_bytes(), &[]);
    court.compare_with(&["show-ref", "--head"], b"", &[]);
}

#[test]
fn update_ref_is_gits() {
    let mut court = Court::new();
    let (a, b) = (court.first.to_string(), court.second.to_string());
    let (zero, missing) = ("0".repeat(64), "a".repeat(64));
    for args in [
        &["refs/x/a", &a][..],
        &["refs/x/a", &b, &a],
        &["refs/x/a", &a, &a],
        &["refs/x/a", &a, &zero],
        &["refs/x/b", &a, &zero],
        &["refs/x/c", &a, ""],
        &["-d", "refs/x/nope"],
        &["-d", "refs/x/nope", &a],
        &["-d", "refs/x/b", &b],
        &["-d", "refs/x/b"],
        &["refs/x/c", &zero],
        &["refs/x/c", "nope"],
        &["refs/x/c", &a, "nope"],
        &["refs/x/b..d", &a],
        &["FOO", &a],
        &["-d", "FOO"],
        &["refs/x/a/b", &a],
        &["refs/x", &a],
        &["refs/heads/t", "main^{tree}"],
        &["refs/x/tree", "main^{tree}"],
        &["refs/x/m", &missing],
        &["HEAD", &a],
        &["--no-deref", "HEAD", &b],
        &[],
        &["refs/x/a"],
        &["-d"],
        &["-m", "", "refs/x/a", &a],
        &["-m", "why", "--create-reflog", "refs/y/a", "main~1"],
        &["refs/x/c", &zero, &b],
        &["refs/heads/link", &a],
        &["--no-deref", "refs/heads/link", &a],
        &["-d", "refs/tags/light", &b],
        &["refs/x/a", "tags/v1"],
        &["-z", "refs/x/a", &a],
        &["-d", "refs/x/a", &zero],
        &["refs/x/a", &a, &b, &b],
        &["-d", "--no-deref", "HEAD"],
    ] {
        change(&mut court, args, "");
    }
    court.verdict(70);
}

#[test]
fn transactions_are_gits() {
    let mut court = Court::new();
    let (a, b) = (court.first.to_string(), court.second.to_string());
    let zero = "0".repeat(64);
    for input in [
        format!("update refs/s/a {a}\ncreate refs/s/b {b}\n"),
        format!("start\nupdate refs/s/a {b} {a}\nverify refs/s/b {b}\nprepare\ncommit\n"),
        format!("start\nupdate refs/s/a {a} {b}\nabort\n"),
        format!("update refs/s/a {a}\nupdate refs/s/b {a} {a}\n"),
        "bogus\n".into(),
        "delete refs/s/a\nverify refs/s/zz\n".into(),
        format!("start\nupdate refs/s/q {a}\n"),
        format!("update refs/s/a {a} extra junk\n"),
        format!("update refs/s/a {a} {b} junk\n"),
        "update refs/s/a\n".into(),
        "update\n".into(),
        format!("create refs/s/b {a}\n"),
        format!("create refs/s/z {zero}\n"),
        format!("delete refs/s/b {zero}\n"),
        format!("update refs/s/d {a}\nupdate refs/s/d {a}\n"),
        format!("option no-deref\nupdate HEAD {a}\n"),
        format!("option bogus\nupdate HEAD {a}\n"),
        "verify refs/s/b\n".into(),
        format!("verify refs/s/b {b}\n"),
        "delete refs/s/nope\n".into(),
        format!("update \"refs/s/q\" {a} \"\"\n"),
        format!("update refs/s/q \"\" {a}\n"),
        format!(" update refs/s/q {a}\n"),
        "\n".into(),
        String::new(),
        "start\nstart\n".into(),
        format!("start\nupdate refs/t/a {a}\nprepare\nupdate refs/t/b {a}\ncommit\n"),
        format!("start\nupdate refs/t/c {a}\ncommit\nupdate refs/t/d {a}\n"),
        format!("start\nupdate refs/t/e {a}\ncommit\nstart\nupdate refs/t/f {a}\ncommit\n"),
        format!("update refs/t/a..b {a}\n"),
        "update refs/heads/new main~1\nupdate refs/heads/bad main^{tree}\n".into(),
        "commit\n".into(),
        "abort\n".into(),
    ] {
        change(&mut court, &["--stdin"], &input);
    }
    for input in [
        format!("update refs/s/b\0{a}\0\0"),
        format!("update refs/s/b\0{b}\0{a}\0"),
        format!("create refs/z/a\0{a}\0"),
        format!("delete refs/z/a\0{a}\0"),
        "delete refs/s/b\0\0".into(),
        format!("update refs/s/b\0{b}"),
        format!("update refs/s/b\0\0{a}\0"),
        format!("verify refs/s/nope\0{zero}\0"),
    ] {
        change(&mut court, &["--stdin", "-z"], &input);
    }
    court.verdict(80);
}

#[test]
fn update_ref_says_where_the_ref_is_instead() {
    let sandbox = Sandbox::new();
    let id = sandbox.image("web:1", &[("a", "a")]);
    let other = sandbox.image("web:2", &[("b", "b")]);
    let name = "refs/images/docker.io/library/web@1";
    let stderr = sandbox.fails(128, ["update-ref", name, "web:2", "web:2"]);
    assert_eq!(
        stderr,
        format!(
            "fatal: update_ref failed for ref '{name}': cannot lock ref '{name}': is at {id} but expected {other}\n"
        )
    );
    sandbox.ok(["update-ref", "-m", "moved", name, "web:2", "web:1"]);
    assert_eq!(sandbox.ok(["rev-parse", "web:1@{1}"]), format!("{id}\n"));
    assert!(sandbox.fails(128, ["update-ref", "content", "web:1"]).contains("bad name"));
}

#[test]
fn a_transaction_is_answered_step_by_step() {
    let sandbox = Sandbox::new();
    let id = sandbox.image("web:1", &[("a", "a")]);
    let name = "refs/images/docker.io/library/new@1";
    let mut script = Dialogue::begin(&sandbox, &["update-ref", "--stdin"]);
    script.say("start\n");
    assert_eq!(script.hear(), "start: ok");
    script.say(&format!("create {name} {id}\nprepare\n"));
    assert_eq!(script.hear(), "prepare: ok");
    // Locked, but not there yet.
    assert!(sandbox.store_dir().join(format!("{name}.lock")).exists());
    assert_eq!(sandbox.store().get_ref(name).unwrap(), None);
    script.say("commit\n");
    assert_eq!(script.hear(), "commit: ok");
    assert_eq!(sandbox.store().get_ref(name).unwrap(), Some(id));
    assert!(!sandbox.store_dir().join(format!("{name}.lock")).exists());
    assert_eq!(script.end(), (String::new(), Some(0)));
}

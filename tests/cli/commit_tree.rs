//! `rd commit-tree`

use crate::judge::Court;

#[test]
fn commit_tree_is_gits() {
    let mut court = Court::new();
    std::fs::write(court.sandbox.path().join("message"), "from a file, no line end").unwrap();
    let tree = court.git_text(&court.git_dir(), &["rev-parse", "main^{tree}"]);
    let missing = "a".repeat(64);
    for operands in [
        &["-m", "one"][..],
        &["-m", "one", "-m", "two\n"],
        &["-m", ""],
        &["-F", "message"],
        &["-F", "-"],
        &[],
        &["-m", "one", "-F", "message", "-m", "last"],
        &["-F", "message", "-m", "last"],
        &["-p", "main", "-m", "x"],
        &["-p", "main", "-p", "main~1", "-m", "x"],
        &["-p", "main", "-p", "main", "-m", "x"],
        &["-p", "nope", "-m", "x"],
        &["-p", "tags/v1", "-m", "x"],
        &["-p", &missing, "-m", "x"],
        &["-p", "main:config", "-m", "x"],
        &["-F", "nope"],
        &["-m", "-dash"],
        &["--no-gpg-sign", "-m", "x"],
        &["-m", "\u{fc}mlaut"],
    ] {
        for target in [tree.as_str(), "main^{tree}", "main", "nope", &missing, "main:config"] {
            let words: Vec<&str> = ["commit-tree", target].into_iter().chain(operands.iter().copied()).collect();
            court.compare_with(&words, b"from\nstdin", &[]);
        }
    }
    court.compare_with(&["commit-tree", &tree], b"nul\0inside", &[]);
    court.compare(&["commit-tree"]);
    court.compare(&["commit-tree", &tree, &tree, "-m", "x"]);
    court.verdict(110);
}

#[test]
fn names_and_dates_are_read_as_git_reads_them() {
    let mut court = Court::new();
    let tree = court.git_text(&court.git_dir(), &["rev-parse", "main^{tree}"]);
    let args = ["commit-tree", &tree, "-m", "x"];
    for date in [
        "@1700000000",
        "@1700000000 +0200",
        "1700000000",
        "1700000000 -0730",
        "2005-04-07T22:13:13",
        "2005-07-07T22:13:13Z",
        "2005-04-07 22:13:13 +0200",
        "2005-04-07T22:13:13+02:00",
        "Thu, 07 Apr 2005 22:13:13 +0200",
        "Thu Apr 7 22:13:13 2005",
        "Thu Apr 7 22:13:13 2005 +0200",
        "2005-04-07",
        "04/07/2005 22:13:13",
        "07.04.2005 22:13:13",
        "yesterday",
        "2 hours ago",
        "now",
        "garbage",
        "0",
        "@0",
        "@0 +0000",
        "@-5 +0000",
        "20050407T221313",
        "12345678",
        "1700000000 +02",
        "1700000000 UTC",
    ] {
        court.compare_with(&args, b"", &[("GIT_AUTHOR_DATE", date)]);
        court.compare_with(&args, b"", &[("GIT_COMMITTER_DATE", date), ("TZ", "UTC")]);
    }
    for name in ["A. U. Thor", " x ", "<>", "a<b>c", "", ".", "\"quoted\"", "J\u{e4}rg"] {
        court.compare_with(&args, b"", &[("GIT_AUTHOR_NAME", name)]);
        court.compare_with(&args, b"", &[("GIT_COMMITTER_EMAIL", name)]);
    }
    court.verdict(60);
}

//! `rd symbolic-ref`

use crate::judge::Court;

#[test]
fn symbolic_ref_is_gits() {
    let mut court = Court::new();
    for words in [
        "HEAD",
        "--short|HEAD",
        "refs/heads/link",
        "--short|refs/heads/link",
        "refs/heads/main",
        "-q|refs/heads/main",
        "refs/heads/nope",
        "-q|nope",
        "",
        "HEAD|refs/heads/main|x",
        "-d|refs/heads/main",
        "-d|HEAD",
        "-d|refs/heads/nope",
        "HEAD|nope",
        "HEAD|refs/heads/a..b",
        "-m||HEAD|refs/heads/main",
        "HEAD|refs/heads/side/way",
        "HEAD",
        "-m|why not|HEAD|refs/heads/main",
        "refs/heads/one|refs/heads/two",
        "refs/heads/two|refs/heads/main",
        "refs/heads/one",
        "--short|refs/heads/one",
        "--no-recurse|refs/heads/one",
        "-d|refs/heads/one",
        "refs/heads/one",
        "--delete|-q|refs/heads/two",
        "refs/heads/main/below|refs/heads/main",
        "--bogus",
    ] {
        let words = words.split('|').filter(|word| !word.is_empty());
        court.compare(&["symbolic-ref"].into_iter().chain(words).collect::<Vec<_>>());
    }
    court.compare(&["show-ref", "--head"]);
    court.compare(&["rev-parse", "HEAD@{0}", "HEAD@{1}"]);
    court.compare_logs();
    court.verdict(30);
}

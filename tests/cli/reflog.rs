//! `rd reflog`

use crate::judge::Court;
use crate::sandbox::Sandbox;

/// A court whose branch has moved a few times, at moments of its own.
fn court() -> Court {
    let mut court = Court::new();
    for dir in [court.git_dir(), court.sandbox.store_dir()] {
        for name in ["refs/heads/main", "refs/heads/moved", "HEAD"] {
            let mut log = String::new();
            let mut last = "0".repeat(64);
            for number in 0..8 {
                let next = if number % 2 == 0 { court.first } else { court.second };
                // From 2001 on, a line a year.
                let seconds = 1_000_000_000 + number * 31_557_600 + i64::from(name == "HEAD");
                let message = if number == 3 { String::new() } else { format!("\tmove {number} of 100%d") };
                log += &format!("{last} {next} A U Thor <a@b> {seconds} +0200{message}\n");
                last = next.to_string();
            }
            court.git_text(&dir, &["update-ref", "refs/heads/moved", &last]);
            court.git_text(&dir, &["update-ref", "refs/heads/main", &last]);
            std::fs::create_dir_all(dir.join("logs/refs/heads")).unwrap();
            std::fs::write(dir.join("logs").join(name), log).unwrap();
        }
    }
    court.compare(&["show-ref"]);
    court
}

#[test]
fn reflogs_are_shown_as_git_shows_them() {
    let mut court = court();
    for words in [
        "",
        "show",
        "main",
        "show|main",
        "show|main|moved",
        "main@{2}",
        "main@{2004-01-01}",
        "main@{now}",
        "-n|2|main",
        "-3|main",
        "--max-count=2|--skip=1|main",
        "--date=iso|main",
        "--date=unix|moved|-n1",
        "--date=bogus|main",
        "--oneline|main",
        "--no-abbrev-commit|main",
        "--abbrev=10|main",
        "--format=%h %gd %gD %gs|main",
        "--format=%H %gn %ge %s|-2|main",
        "--pretty=format:%gs %%gs %an|main",
        "--pretty=oneline|main",
        "--all",
        "nope",
        "refs/heads/nope",
        "refs/tags/v1",
        "show|--bogus",
        "exists|refs/heads/main",
        "exists|refs/heads/nope",
        "exists|main",
        "exists|a..b",
        "exists|HEAD",
        "exists",
        "list|x",
        "delete",
        "delete|main",
        "delete|nope@{1}",
        "expire",
        "expire|nope",
        "expire|--expire=gibberish|main",
    ] {
        let words = words.split('|').filter(|word| !word.is_empty());
        court.compare(&["reflog"].into_iter().chain(words).collect::<Vec<_>>());
    }
    court.compare(&["reflog", "list"]);
    court.verdict(38);
}

#[test]
fn entries_go_as_git_lets_them_go() {
    for words in [
        "expire|--expire=all|main",
        "expire|--expire=all|--rewrite|main",
        "expire|--expire=2004-01-01|main",
        "expire|--expire=2004-01-01|--rewrite|--updateref|main",
        "expire|--expire=never|--expire-unreachable=all|main",
        "expire|--expire=never|--expire-unreachable=never|--all",
        "expire|--expire=2004-01-01|--expire-unreachable=2005-01-01|--all",
        "expire|--expire=2004-01-01|--dry-run|--all",
        "expire|--expire=all|--verbose|--dry-run|main",
        "expire|--expire=2004-01-01|--verbose|main",
        "expire|--all",
        "expire|--stale-fix|--expire=never|--all",
        "expire|main|nope",
        "delete|main@{0}",
        "delete|--updateref|main@{0}",
        "delete|--rewrite|--updateref|main@{0}",
        "delete|--rewrite|main@{2}",
        "delete|main@{1}|moved@{2}",
        "delete|main@{99}",
        "delete|--dry-run|main@{1}",
        "delete|main@{2004-01-01}",
        "delete|--rewrite|main@{7}",
        "delete|--rewrite|--updateref|--verbose|main@{0}",
    ] {
        let mut court = court();
        let words = words.split('|').filter(|word| !word.is_empty());
        court.compare(&["reflog"].into_iter().chain(words).collect::<Vec<_>>());
        court.compare_logs();
        court.compare(&["show-ref"]);
        court.verdict(4);
    }
}

#[test]
fn a_store_stays_whole_when_its_logs_expire() {
    let sandbox = Sandbox::new();
    let first = sandbox.image("web", &[("a", "1")]);
    sandbox.image("web", &[("a", "2")]);
    assert_eq!(sandbox.ok(["rev-parse", "web@{1}"]), format!("{first}\n"));
    assert_eq!(sandbox.ok(["reflog", "web"]).lines().count(), 2);
    sandbox.ok(["reflog", "expire", "--expire=all", "--all"]);
    assert_eq!(sandbox.ok(["reflog", "web"]), "");
    sandbox.ok(["fsck"]);
    sandbox.fails(128, ["rev-parse", "web@{1}"]);
}

//! `rd name-rev`

use crate::describe::history;
use crate::judge::Court;

#[test]
fn name_rev_is_gits() {
    for seed in 4..=6 {
        let mut court = history(seed);
        let dir = court.git_dir();
        let commits: Vec<String> = court.git_text(&dir, &["rev-list", "all"]).lines().map(str::to_owned).collect();
        let options: [&[&str]; 8] = [
            &[],
            &["--tags"],
            &["--name-only"],
            &["--tags", "--name-only"],
            &["--refs=b*"],
            &["--refs=refs/heads/b*", "--exclude=*3"],
            &["--always", "--no-undefined", "--tags"],
            &["--no-undefined", "--tags"],
        ];
        for (turn, commit) in commits.iter().enumerate() {
            for (place, option) in options.iter().enumerate() {
                if (turn + place) % 4 == 0 || std::env::var_os("RD_JUDGE").is_some() {
                    let words: Vec<&str> =
                        ["name-rev"].into_iter().chain(option.iter().copied()).chain([commit.as_str()]).collect();
                    court.compare_in_place(&words);
                }
            }
        }
        // A list as a whole decides how far back names are looked for.
        let words: Vec<&str> = ["name-rev"].into_iter().chain(commits.iter().map(String::as_str)).collect();
        court.compare_in_place(&words);
        court.verdict(60);
    }
}

#[test]
fn name_rev_ends_as_gits_does() {
    let mut court = Court::new();
    for words in [
        "",
        "main",
        "main~1",
        "nope",
        "main|nope|side/way",
        "refs/tags/v1",
        "refs/tags/nested",
        "main^{tree}",
        "of-blob",
        "of-tree",
        "--peel-tag|refs/tags/nested",
        "--peel-tag|main^{tree}",
        "--tags|--name-only|main~1",
        "--tags|--refs=v1|main~1",
        "--refs=images/*|main",
        "--exclude=*|main",
        "--exclude=*|--no-undefined|main",
        "--exclude=*|--always|main",
        "--exclude=*|--no-undefined|--always|main",
        "--all|main",
        "--annotate-stdin|main",
        "--bogus",
    ] {
        let words = words.split('|').filter(|word| !word.is_empty());
        court.compare(&["name-rev"].into_iter().chain(words).collect::<Vec<_>>());
    }
    let (first, second) = (court.first, court.second);
    let text = format!("x {first} y{second}\n{second}0 {}\n{first}", &first.to_string()[..40]);
    court.compare_with(&["name-rev", "--annotate-stdin"], text.as_bytes(), &[]);
    court.compare_with(&["name-rev", "--annotate-stdin", "--name-only"], text.as_bytes(), &[]);
    court.compare_with(&["name-rev", "--annotate-stdin", "--tags"], text.as_bytes(), &[]);
    court.verdict(25);
}

#[test]
fn all_commits_are_named() {
    let court = history(7);
    let dir = court.git_dir();
    let mut git: Vec<String> = court.git_text(&dir, &["name-rev", "--all"]).lines().map(str::to_owned).collect();
    git.sort();
    let rd =
        court.sandbox.ok([std::ffi::OsStr::new("--git-dir"), dir.as_os_str(), "name-rev".as_ref(), "--all".as_ref()]);
    assert_eq!(rd.lines().map(str::to_owned).collect::<Vec<_>>(), git);
}

//! `rd describe`

use crate::judge::Court;

/// Numbers that look random and are the same every time.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// A court whose git repository holds a history with merges, tags of all kinds and dates that are out of order.
pub fn history(seed: u64) -> Court {
    let court = Court::new();
    let mut dice = Dice(seed);
    let mut script = String::new();
    let who = "A U Thor <a@example.org>";
    for number in 1..=60_u64 {
        let seconds = 1_700_000_000 + number * 60 - dice.roll(4) * 45;
        script += &format!(
            "commit refs/heads/all\nmark :{number}\ncommitter {who} {seconds} +0000\ndata 2\n{}\n",
            number % 10
        );
        if number > 1 {
            let mut parents: Vec<u64> =
                (0..=dice.roll(6).saturating_sub(3)).map(|_| number - 1 - dice.roll(8.min(number - 1))).collect();
            parents.dedup();
            let mut seen = Vec::new();
            parents.retain(|parent| {
                !seen.contains(parent) && {
                    seen.push(*parent);
                    true
                }
            });
            script += &format!("from :{}\n", parents[0]);
            parents[1..].iter().for_each(|parent| script += &format!("merge :{parent}\n"));
        }
        script += &format!("M 644 inline file\ndata 3\n{number:>2}\n\n");
        match dice.roll(9) {
            0 => {
                script += &format!(
                    "tag a{number}\nfrom :{number}\ntagger {who} {} +0000\ndata 1\nx\n",
                    seconds + dice.roll(9)
                );
                script += &format!(
                    "tag twin{number}\nfrom :{number}\ntagger {who} {} +0000\ndata 1\nx\n",
                    seconds + dice.roll(9)
                );
            }
            1 => script += &format!("reset refs/tags/l{number}\nfrom :{number}\n\n"),
            2 => script += &format!("reset refs/heads/b{number}\nfrom :{number}\n\n"),
            _ => {}
        }
    }
    let dir = court.git_dir();
    for name in court.git_text(&dir, &["for-each-ref", "--format=%(refname)"]).lines() {
        court.git_text(&dir, &["update-ref", "--no-deref", "-d", name]);
    }
    court.git_input(&dir, &["fast-import", "--quiet", "--force"], script.as_bytes());
    court.git_text(&dir, &["symbolic-ref", "HEAD", "refs/heads/all"]);
    court
}

#[test]
fn describe_is_gits() {
    for seed in 1..=3 {
        let mut court = history(seed);
        let dir = court.git_dir();
        let commits: Vec<String> = court.git_text(&dir, &["rev-list", "all"]).lines().map(str::to_owned).collect();
        let options: [&[&str]; 15] = [
            &[],
            &["--tags"],
            &["--all"],
            &["--tags", "--long"],
            &["--abbrev=0"],
            &["--abbrev=12", "--tags"],
            &["--candidates=1", "--tags"],
            &["--candidates=2"],
            &["--first-parent", "--tags"],
            &["--exact-match", "--tags"],
            &["--always"],
            &["--match", "a*"],
            &["--tags", "--match=l*", "--exclude=*1"],
            &["--contains"],
            &["--contains", "--all"],
        ];
        for (turn, commit) in commits.iter().enumerate() {
            for (place, option) in options.iter().enumerate() {
                if (turn + place) % 5 == 0 || std::env::var_os("RD_JUDGE").is_some() {
                    let words: Vec<&str> =
                        ["describe"].into_iter().chain(option.iter().copied()).chain([commit.as_str()]).collect();
                    court.compare_in_place(&words);
                }
            }
        }
        court.verdict(60);
    }
}

#[test]
fn describe_ends_as_gits_does() {
    let mut court = Court::new();
    for words in [
        "",
        "main",
        "main~1",
        "--tags|main",
        "--all|main",
        "--all|main~1",
        "--all|--long|main~1",
        "--long|main",
        "--long|--abbrev=0|main",
        "--exact-match|main",
        "--exact-match|main~1",
        "--candidates=0|main~1",
        "--candidates=-3|main~1",
        "--contains|main~1",
        "--contains|main",
        "--contains|--match=v*|main~1",
        "--contains|--exclude=v*|main~1",
        "--contains|--all|main~1",
        "--contains|--always|side/way",
        "--always|main~1",
        "--always|--abbrev=9|main~1",
        "--always|--abbrev=0|main~1",
        "--match=nope|main",
        "--match=nope|--always|main",
        "--exclude=v*|--exclude=nested|main",
        "--exclude=*|main",
        "--all|--match=m*|main",
        "--all|--exclude=*|main",
        "--all|--match=s*|main",
        "--dirty",
        "--dirty|main",
        "--broken",
        "--dirty=x|main",
        "nope",
        "main^{tree}",
        "v1|main",
        "main~1|nope",
        "tags/nested",
        "refs/tags/v1",
        "--bogus",
        "--abbrev=x|main",
        "--no-abbrev|--tags|main~1",
        "main~1:rootfs/etc/passwd",
        "main:rootfs/etc/passwd",
        "--tags|--long|main:rootfs/etc/passwd",
        "--always|main:config",
        "--exact-match|main:config",
    ] {
        let words = words.split('|').filter(|word| !word.is_empty());
        court.compare(&["describe"].into_iter().chain(words).collect::<Vec<_>>());
    }
    for dir in [court.git_dir(), court.sandbox.store_dir()] {
        // A tag that is known by another name than it gives itself.
        let id = court.git_text(&dir, &["rev-parse", "refs/tags/v1"]);
        court.git_text(&dir, &["update-ref", "refs/tags/renamed", &id]);
        court.git_text(&dir, &["update-ref", "-d", "refs/tags/v1"]);
        court.git_text(&dir, &["update-ref", "-d", "refs/tags/nested"]);
    }
    for words in ["main", "--all|main", "--long|main", "--abbrev=0|main"] {
        let words = words.split('|');
        court.compare(&["describe"].into_iter().chain(words).collect::<Vec<_>>());
    }
    court.verdict(45);
}

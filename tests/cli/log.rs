//! `rd log`, against git on the same store.

use std::process::Command;

use plumbing::Id;
use snapbox::str;

use crate::judge::git_is_older_than;
use crate::sandbox::{Change, Sandbox, THEN};

/// `git log` and `rd log` with the same arguments.
#[track_caller]
fn same_as_git(sandbox: &Sandbox, args: &[&str]) {
    // git 2.45 began to write the zone of UTC as Z in strict ISO dates.
    if args.iter().any(|arg| arg.contains("%aI") || arg.contains("iso-strict")) && git_is_older_than(45) {
        return;
    }
    let git =
        Command::new("git").arg("-C").arg(sandbox.store_dir()).arg("log").args(args).env("TZ", "UTC").output().unwrap();
    assert!(git.status.success(), "{}", String::from_utf8_lossy(&git.stderr));
    let ours = sandbox.rd(["log"].iter().chain(args)).assert().success().get_output().clone();
    assert_eq!(String::from_utf8_lossy(&ours.stdout), String::from_utf8_lossy(&git.stdout), "{args:?}");
}

/// Commits on the same files, a minute apart: each with its parents by number.
fn history(sandbox: &Sandbox, commits: &[(&[usize], &str)]) -> Vec<Id> {
    dated_history(sandbox, commits, |number| 60 * number as i64)
}

fn dated_history(sandbox: &Sandbox, commits: &[(&[usize], &str)], date: fn(usize) -> i64) -> Vec<Id> {
    let mut ids: Vec<Id> = Vec::new();
    for (number, (parents, message)) in commits.iter().enumerate() {
        let parents: Vec<Id> = parents.iter().map(|parent| ids[*parent]).collect();
        let seconds = THEN + date(number);
        ids.push(sandbox.commit(&Change { parents: &parents, message, seconds, ..Change::default() }));
    }
    ids
}

const MERGED: [(&[usize], &str); 7] = [
    (&[], "one"),
    (&[0], "RUN apt-get\tupdate  &&\\\n\tmore \n\n\nbody\n\n  last "),
    (&[1], "\n\n left"),
    (&[1], "right"),
    (&[2], ""),
    (&[4, 3], "merge"),
    (&[5], "after \u{e4}"),
];

#[test]
fn forms_are_gits_byte_for_byte() {
    let sandbox = Sandbox::new();
    let ids = history(&sandbox, &MERGED);
    let tip = ids[6].to_string();
    for args in [
        &[][..],
        &["--oneline"],
        &["--format=oneline"],
        &["--format=short"],
        &["--format=medium"],
        &["--format=full"],
        &["--pretty=fuller"],
        &["--format=raw"],
        &["--format=raw", "--abbrev-commit"],
        &["--abbrev-commit"],
        &["--graph"],
        &["--graph", "--oneline"],
        &["--graph", "--format=fuller"],
        &["--graph", "--format=format:%h%n%b"],
        &["--format=%H %h %T %t %P %p|%an|%ae|%al|%ad|%at|%ai|%aI|%as|%aD|%cn|%ce|%cl|%cd|%ct|%ci|%cI|%cs|%cD"],
        &["--format=%s|%f|%b|%B|%d|%D|%n|%x41|%%|%zz|%e"],
        &["--format=tformat:%s%+b%-b% b|%+d"],
        &["--format=format:%s"],
        &["--format=%Cred%s%Creset%C(bold blue)%C(auto)x"],
        &["--date=iso"],
        &["--date=iso-strict"],
        &["--date=rfc"],
        &["--date=short"],
        &["--date=raw"],
        &["--date=unix", "--format=%ad"],
        &["--reverse"],
        &["--reverse", "-n2", "--oneline"],
        &["-2"],
        &["-12", "--oneline"],
        &["-n", "0"],
        &["--max-count=3", "--skip=1", "--oneline"],
        &["--first-parent", "--oneline"],
        &["--first-parent", "--graph", "--oneline"],
        &["--merges", "--oneline"],
        &["--no-merges", "--oneline"],
        &["--grep=r[il]", "--oneline"],
        &["--grep=RIGHT", "-i", "--oneline"],
        &["--author=nobody", "--oneline"],
        &["--since=2024-05-01 10:33:00 +0000", "--oneline"],
        &["--until=2024-05-01 10:33:00 +0000", "--oneline"],
    ] {
        same_as_git(&sandbox, &[args, &[&tip]].concat());
    }
}

#[test]
fn ranges_are_gits() {
    let sandbox = Sandbox::new();
    let ids: Vec<String> = history(&sandbox, &MERGED).iter().map(Id::to_string).collect();
    for range in [
        vec![format!("{}..{}", ids[2], ids[6])],
        vec![format!("{}...{}", ids[4], ids[3])],
        vec![ids[6].clone(), format!("^{}", ids[4])],
        vec![format!("{}^!", ids[5])],
        vec![format!("{}^@", ids[5])],
        vec![format!("{}^-", ids[5])],
        vec![ids[4].clone(), ids[3].clone()],
        vec![format!("{}..{}", ids[6], ids[6])],
    ] {
        let args: Vec<&str> = ["--oneline"].into_iter().chain(range.iter().map(String::as_str)).collect();
        same_as_git(&sandbox, &args);
    }
}

/// Histories of up to ten commits with merges of up to three, made from a seed.
#[test]
fn graphs_are_gits_on_any_history() {
    for seed in 1..=12u64 {
        let sandbox = Sandbox::new();
        let mut state = seed;
        let mut random = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let mut commits: Vec<Vec<usize>> = Vec::new();
        for number in 0..4 + random(7) as usize {
            let mut parents: Vec<usize> = Vec::new();
            for _ in 0..[1, 1, 1, 2, 2, 3][random(6) as usize].min(number) {
                let parent = number - 1 - random(4.min(number as u64)) as usize;
                if !parents.contains(&parent) {
                    parents.push(parent);
                }
            }
            commits.push(parents);
        }
        let messages: Vec<String> = (0..commits.len()).map(|number| format!("c{number}")).collect();
        let commits: Vec<(&[usize], &str)> =
            commits.iter().zip(&messages).map(|(parents, message)| (parents.as_slice(), message.as_str())).collect();
        // Half of them with dates that several commits share.
        let date = if seed % 2 == 0 { |number| number as i64 / 3 } else { |number| number as i64 };
        for (number, id) in dated_history(&sandbox, &commits, date).into_iter().enumerate() {
            sandbox.tag(id, &format!("c:{number:02}"));
        }
        same_as_git(&sandbox, &["--all", "--graph", "--oneline"]);
        same_as_git(&sandbox, &["--all", "--graph"]);
        same_as_git(&sandbox, &["--all"]);
    }
}

/// `web:1` to `web:3`: `etc/x` comes, `etc/y` comes, `etc/x` changes.
fn three(sandbox: &Sandbox) -> Vec<Id> {
    let mut ids: Vec<Id> = Vec::new();
    let steps = [("etc/x", "1\n", "add x"), ("etc/y", "1\n", "add y"), ("etc/x", "1\n2\n", "change x")];
    for (number, (path, text, message)) in steps.into_iter().enumerate() {
        let parents: Vec<Id> = ids.last().copied().into_iter().collect();
        let change = Change {
            parents: &parents,
            files: &[(path, text)],
            message,
            seconds: THEN + number as i64,
            ..Change::default()
        };
        ids.push(sandbox.commit(&change));
        sandbox.tag(ids[number], &format!("web:{}", number + 1));
    }
    ids
}

#[test]
fn paths_limit_the_history() {
    let sandbox = Sandbox::new();
    three(&sandbox);
    let log = |path: &str| sandbox.ok(["log", "--format=%s", "web:3", "--", path]);
    assert_eq!(log("etc/x"), "change x\nadd x\n");
    assert_eq!(log("/etc/y"), "add y\n");
    assert_eq!(log("etc"), "change x\nadd y\nadd x\n");
    assert_eq!(log("nothing"), "");
    assert_eq!(sandbox.ok(["log", "-1", "--format=%s", "web:3", "--", "etc/y"]), "add y\n");
    assert_eq!(sandbox.ok(["log", "--graph", "--format=%s", "web:3", "--", "etc/x"]), "* change x\n* add x\n");
}

#[test]
fn changes_are_shown_on_request() {
    let sandbox = Sandbox::new();
    three(&sandbox);
    sandbox.rd(["log", "-2", "--stat", "web:3"]).assert().success().stdout_eq(str![[r#"
commit [..]
Author: rd <rd@localhost>
Date:   Wed May 1 10:30:02 2024 +0000

    change x

 etc/x | 1 +
 1 file changed, 1 insertion(+)

commit [..]
Author: rd <rd@localhost>
Date:   Wed May 1 10:30:01 2024 +0000

    add y

 etc/y | 1 +
 1 file changed, 1 insertion(+)

"#]]);
    sandbox.rd(["log", "-1", "-p", "--graph", "--stat", "--oneline", "web:3"]).assert().success().stdout_eq(str![[
        r#"
* [..] change x
|  etc/x | 1 +
|  1 file changed, 1 insertion(+)
| 
| diff --git a/etc/x b/etc/x
| index [..]..[..] 100644
| --- a/etc/x
| +++ b/etc/x
| @@ -1 +1,2 @@
|  1
| +2

"#
    ]]);
    assert_eq!(sandbox.ok(["log", "-1", "--format=%s", "--name-status", "web:3"]), "change x\n\nM\tetc/x\n");
}

#[test]
fn commits_are_decorated_with_images_and_containers() {
    let sandbox = Sandbox::new();
    let ids = three(&sandbox);
    let store = sandbox.store();
    store.update_ref("refs/containers/box", ids[2], plumbing::store::refs::Expect::Any, "x").unwrap();
    store.update_ref("refs/tags/v1", ids[1], plumbing::store::refs::Expect::Any, "x").unwrap();
    let log = |flags: &[&str]| sandbox.ok(["log", "-2", "box"].iter().chain(flags));
    assert_eq!(log(&["--format=%d"]), " (box, web:3)\n (web:2, tag: v1)\n");
    assert_eq!(log(&["--format=%D"]), "box, web:3\nweb:2, tag: v1\n");
    let oneline = log(&["--oneline", "--decorate"]);
    assert!(oneline.lines().next().unwrap().ends_with(" (box, web:3) change x"), "{oneline}");
    assert!(!log(&[]).contains("web:3"));
    let colored = log(&["--color=always", "--oneline", "--decorate"]);
    assert!(colored.starts_with("\u{1b}[33m"), "{colored:?}");
}

#[test]
fn json_has_all_of_a_commit() {
    let sandbox = Sandbox::new();
    let ids = three(&sandbox);
    let json = sandbox.ok(["log", "--json", "-1", "--name-status", "web:3"]);
    let commit: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(commit["id"], ids[2].to_string());
    assert_eq!(commit["parents"], serde_json::json!([ids[1].to_string()]));
    assert_eq!(commit["author"]["date"], "2024-05-01T10:30:02Z");
    assert_eq!(commit["message"], "change x\n");
    assert_eq!(commit["names"], serde_json::json!(["web:3"]));
    assert_eq!(commit["changes"][0]["path"], "etc/x");
}

#[test]
fn mistakes_are_named() {
    let sandbox = Sandbox::new();
    three(&sandbox);
    let error = sandbox.fails(2, ["log"]);
    assert!(error.starts_with("error: no revision was given\nhint: `rd log IMAGE`"), "{error}");
    let error = sandbox.fails(2, ["log", "web:3:/etc/x"]);
    assert!(error.contains("hint: give paths by themselves: `REV -- /etc/x`"), "{error}");
    let error = sandbox.fails(2, ["log", "--format=nonsense", "web:3"]);
    assert!(error.contains("nonsense"), "{error}");
    let error = sandbox.fails(2, ["log", "--grep=(", "web:3"]);
    assert!(error.starts_with("error: invalid regular expression '('"), "{error}");
    let error = sandbox.fails(2, ["log", "--since=whenever", "web:3"]);
    assert!(error.starts_with("error: invalid date 'whenever'"), "{error}");
}

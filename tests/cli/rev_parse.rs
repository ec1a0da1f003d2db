//! `rd rev-parse`

use crate::judge::Court;
use crate::sandbox::Sandbox;

#[test]
fn rev_parse_is_gits() {
    let mut court = Court::new();
    std::fs::write(court.sandbox.path().join("afile"), "").unwrap();
    let (first, missing) = (court.first.to_string(), "a".repeat(64));
    let content = plumbing::store::hash_content(b"x").to_string();
    let options = [
        "",
        "--verify",
        "--verify|-q",
        "--short",
        "--short=12",
        "--short=4",
        "--symbolic",
        "--symbolic-full-name",
        "--abbrev-ref",
        "--abbrev-ref=loose",
        "--abbrev-ref=bogus",
        "--not",
        "--revs-only",
        "--no-revs",
        "--flags",
        "--no-flags",
        "--sq",
        "--default|main",
        "--verify|--default|main",
        "-q|--verify|--short",
    ];
    let operands = [
        "",
        "main",
        "tags/v1",
        "v1",
        "nope",
        "HEAD",
        "@",
        &first,
        &first[..9],
        &first[..4],
        &missing,
        &content,
        "main~1",
        "main^",
        "main^2",
        "main~9",
        "main^{tree}",
        "main^{commit}",
        "tags/v1^{}",
        "nested^{tag}",
        "main:config",
        "main:rootfs/etc",
        "main:nope",
        "main@{0}",
        "main@{1}",
        "main@{2}",
        "main@{9}",
        "main@{2020-01-01}",
        "main@{now}",
        "side/way@{0}",
        "main~1..main",
        "main..nope",
        "main...side/way",
        "..main",
        "main..",
        "^main",
        "main^@",
        "main^!",
        "main^-",
        "main^-2",
        "main~1^@",
        "main|nope|tags/v1",
        "main|side/way",
        "--all",
        "--branches",
        "--tags",
        "--remotes",
        "--glob=heads",
        "--glob=refs/tags/v*",
        "--branches=side*",
        "--exclude=main|--branches",
        "--exclude=refs/tags/*|--all",
        "afile",
        "afile|nope",
        "main|--|whatever|x",
        "--bogus",
        "--max-count=3|main",
        "-n|3",
        "-n3",
        "-n",
        "refs/heads/link",
        "link",
        "refs/containers/box",
        "containers/box",
        ":/second",
        ":/nope",
        "main^{/import}",
        ":config",
        ":",
        "main^{",
        "main@{",
        "main@{}",
        "light",
        "^nope",
        "main^{foo}",
        "deadbeef",
        "--since=2020-01-01T00:00:00Z",
    ];
    court.compare_all("rev-parse", &options, &operands);
    for question in [
        "--git-dir",
        "--is-bare-repository",
        "--is-inside-work-tree",
        "--is-inside-git-dir",
        "--show-object-format",
        "--show-object-format=storage",
        "--show-object-format=bogus",
        "--show-prefix",
        "--show-cdup",
        "--show-toplevel",
        "--is-shallow-repository",
        "--show-ref-format",
        "--git-path|objects/x",
        "--git-path",
        "--default",
        "--git-common-dir",
        "--absolute-git-dir",
    ] {
        // The folders have different names; all that differs is that.
        let words: Vec<&str> = ["rev-parse"].into_iter().chain(question.split('|')).collect();
        court.compare_in_place(&words);
    }
    court.verdict(400);
}

#[test]
fn rev_parse_takes_names_of_images_and_containers() {
    let sandbox = Sandbox::new();
    let id = sandbox.image("web:1", &[("etc/hostname", "web\n")]);
    assert_eq!(sandbox.ok(["rev-parse", "web:1"]), format!("{id}\n"));
    assert_eq!(sandbox.ok(["rev-parse", "--short", "web:1"]), format!("{}\n", id.to_hex_with_len(7)));
    let full = "refs/images/docker.io/library/web@1\n";
    assert_eq!(sandbox.ok(["rev-parse", "--symbolic-full-name", "web:1"]), full);
    let file = plumbing::store::hash_content(b"web\n");
    assert_eq!(sandbox.ok(["rev-parse", "--verify", "web:1:/etc/hostname"]), format!("{file}\n"));
    sandbox.rd(["rev-parse", "--verify", "-q", "web:2"]).assert().code(1).stdout_eq("").stderr_eq("");
}

/// The options of a script, as git-rev-parse(1) has them as its example, and a few more.
const SPEC: &str = "some-command [<options>] <args>...
some-command --other

some-command does foo and bar!
--
h,help    show the help

foo       some nifty option --foo
bar=      some cool option --bar with an argument
baz=arg   another cool option --baz with a named argument
qux?path  qux may take a path argument but has meaning by itself
a-very-long-name=<x|y> long

  An option group Header
C?        option C with an optional argument
d=        takes
hidden*   not shown
v,verbose! never taken back
";

#[test]
fn parseopt_and_sq_quote_are_gits() {
    let mut court = Court::new();
    for words in [
        "-h",
        "--help",
        "",
        "--foo|--bar|1|x",
        "--qux|--qux=3|a",
        "-C1|-v",
        "-vC",
        "-vd|x|y",
        "-dx",
        "-d",
        "--no-foo|y",
        "--no-bar=3",
        "--ba",
        "--bar",
        "--fo",
        "--foo=3",
        "--zz",
        "-z",
        "--|--foo",
        "--qux=3|a|-h",
        "--no-verbose",
        "--hidden",
        "it's|!|a b",
        "-",
        "a|--foo|b",
        "--no-fo",
        "-vh",
    ] {
        for style in ["", "--keep-dashdash|", "--stop-at-non-option|", "--stuck-long|"] {
            let words = format!("rev-parse|--parseopt|{style}--|{words}");
            let words: Vec<&str> = words.split('|').filter(|word| !word.is_empty()).collect();
            court.compare_with(&words, SPEC.as_bytes(), &[]);
        }
    }
    court.compare_with(&["rev-parse", "--parseopt"], SPEC.as_bytes(), &[]);
    for spec in ["", "--\n", "usage\n", "u\n--\n*x y\n"] {
        court.compare_with(&["rev-parse", "--parseopt", "--"], spec.as_bytes(), &[]);
    }
    for words in ["", "a", "it's|a b|!|"] {
        let words = format!("rev-parse|--sq-quote|{words}");
        court.compare(&words.split('|').filter(|word| !word.is_empty()).collect::<Vec<_>>());
    }
    court.compare(&["rev-parse", "--local-env-vars"]);
    court.compare(&["rev-parse", "--resolve-git-dir", "nowhere"]);
    court.compare_in_place(&["rev-parse", "--resolve-git-dir", "git"]);
    court.verdict(110);
}

#[test]
fn branches_that_others_follow_are_named() {
    let mut court = Court::new();
    for dir in [court.git_dir(), court.sandbox.store_dir()] {
        let first = court.first.to_string();
        court.git_text(&dir, &["update-ref", "refs/remotes/origin/main", &first]);
        court.git_text(&dir, &["config", "branch.main.remote", "origin"]);
        court.git_text(&dir, &["config", "branch.main.merge", "refs/heads/main"]);
        court.git_text(&dir, &["config", "remote.origin.url", "/nowhere"]);
        court.git_text(&dir, &["config", "remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*"]);
        court.git_text(&dir, &["config", "branch.v1.remote", "."]);
        court.git_text(&dir, &["config", "branch.v1.merge", "refs/heads/main"]);
        court.git_text(&dir, &["update-ref", "-m", "checkout: moving from side/way to main", "HEAD", "main~1"]);
        court.git_text(&dir, &["update-ref", "-m", "checkout: moving from main to v1", "HEAD", "main"]);
    }
    for option in ["", "--symbolic-full-name", "--abbrev-ref", "--verify|-q"] {
        for operand in [
            "@{u}",
            "main@{upstream}",
            "HEAD@{U}",
            "v1@{u}",
            "side/way@{u}",
            "@{push}",
            "@{-1}",
            "@{-2}",
            "@{-3}",
            "@{u}~0",
            "@{-1}^{tree}",
            "@{1}",
            "@{0}",
        ] {
            let words = format!("rev-parse|{option}|{operand}");
            court.compare(&words.split('|').filter(|word| !word.is_empty()).collect::<Vec<_>>());
        }
    }
    court.verdict(40);
}

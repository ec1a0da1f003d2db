//! `rd rev-list`

use crate::judge::Court;
use crate::sandbox::{Change, Sandbox};

#[test]
fn rev_list_is_gits_over_ranges_and_sets() {
    let mut court = Court::with_history();
    let options = [
        "",
        "--topo-order",
        "--author-date-order|--reverse",
        "--parents",
        "--children",
        "--left-right|--count",
        "--cherry-mark|--left-right",
        "--boundary",
        "--ancestry-path",
        "--simplify-by-decoration",
        "--objects",
        "--header",
        "--format=%d|--no-commit-header",
    ];
    let operands = [
        "h0",
        "h0..h1",
        "h1...h2",
        "--all",
        "--all|--not|h3",
        "--exclude=h1|--branches|--exclude=*|--tags",
        "--glob=heads/h*|^h2",
        "--remotes",
        "nested|of-tree|of-blob",
        "h3^!",
        "h3^@",
        "h3^-2",
        "h4|--|n1|links",
        "h4..h2|--|n3",
        "h4|--|:(exclude)links|:(icase)N1",
    ];
    court.compare_all("rev-list", &options, &operands);
    court.verdict(60);
}

#[test]
fn revisions_come_from_standard_input_too() {
    let mut court = Court::with_history();
    let ask = |court: &mut Court, args: &[&str], input: &str| court.compare_with(args, input.as_bytes(), &[]);
    ask(&mut court, &["rev-list", "--stdin"], "h1\n^h2\n");
    ask(&mut court, &["rev-list", "--stdin", "h3"], "--not\nh4\n");
    ask(&mut court, &["rev-list", "--stdin"], "h1\n--\nn1\n");
    ask(&mut court, &["rev-list", "--stdin"], "");
    ask(&mut court, &["rev-list", "--stdin"], "nope\n");
    ask(&mut court, &["rev-list", "--stdin"], "--reverse\nh1\n");
    ask(
        &mut court,
        &["rev-list", "--objects", "--stdin", "--not", "main"],
        "h1\nrefs/images/docker.io/library/debian@12\n",
    );
    court.verdict(7);
}

#[test]
fn missing_objects_are_named_or_passed_over() {
    let sandbox = Sandbox::new();
    let id = sandbox.image("web", &[("a", "gone"), ("b", "here")]);
    let gone = sandbox.ok(["rev-parse", "web:/a"]).trim_end().to_owned();
    std::fs::remove_file(sandbox.store_dir().join("content").join(&gone[..2]).join(&gone[2..])).unwrap();
    let all = sandbox.ok(["rev-list", "--objects", "--missing=print", "web"]);
    assert!(all.starts_with(&id.to_string()) && all.ends_with(&format!("\n?{gone}\n")), "{all}");
    let rest = sandbox.ok(["rev-list", "--objects", "--missing=allow-any", "web"]);
    assert_eq!(rest, all.replace(&format!("?{gone}\n"), ""));
    let refused = sandbox.fails(128, ["rev-list", "--objects", "web"]);
    assert!(refused.contains(&gone), "{refused}");
}

#[test]
fn contents_are_blobs() {
    let sandbox = Sandbox::new();
    let base = sandbox.image("base:1", &[("etc/a", "a")]);
    let next = sandbox.commit(&Change { parents: &[base], files: &[("etc/b", "bigger")], ..Change::default() });
    sandbox.tag(next, "web");
    let b = sandbox.ok(["rev-parse", "web:/etc/b"]).trim_end().to_owned();
    let added =
        sandbox.ok(["rev-list", "--objects", "--filter=object:type=blob", "--filter-provided-objects", "base:1..web"]);
    assert!(added.contains(&format!("{b} rootfs/etc/b\n")), "{added}");
    assert_eq!(sandbox.ok(["rev-list", "--count", "base:1..web"]), "1\n");
    let sum = sandbox.ok(["rev-list", "--objects", "--disk-usage", "web"]);
    assert!(sum.trim_end().parse::<u64>().unwrap() > 500, "{sum}");
}

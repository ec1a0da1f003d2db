//! `rd merge-base`

use crate::judge::Court;
use crate::sandbox::{Change, Sandbox};

#[test]
fn merge_base_is_gits() {
    let mut court = Court::with_history();
    let options =
        ["", "--all", "-a", "--octopus", "--octopus|--all", "--independent", "--is-ancestor", "--independent|-a"];
    let operands = [
        "main|side/way",
        "h0|h1",
        "h2|h4",
        "h0|h1|h2",
        "h0|h1|h2|h3|h4",
        "h3|h3~5|h3~2",
        "h1",
        "main|h1",
        "nested|main",
        "of-tree|main",
        "nope|main",
        "",
    ];
    court.compare_all("merge-base", &options, &operands);
    court.compare(&["merge-base", "--fork-point", "h1", "h2"]);
    court.compare(&["merge-base", "--fork-point", "h1"]);
    court.compare(&["merge-base", "--fork-point", "main", "main~1"]);
    court.compare(&["merge-base", "--fork-point", "nope", "main"]);
    court.compare(&["merge-base", "--fork-point", "--octopus", "main", "main"]);
    court.verdict(35);
}

#[test]
fn images_on_one_base_have_it_in_common() {
    let sandbox = Sandbox::new();
    let base = sandbox.image("base:1", &[("a", "a")]);
    for name in ["one", "two"] {
        let id = sandbox.commit(&Change { parents: &[base], message: name, ..Change::default() });
        sandbox.tag(id, name);
    }
    assert_eq!(sandbox.ok(["merge-base", "one", "two"]), format!("{base}\n"));
    sandbox.rd(["merge-base", "--is-ancestor", "base:1", "two"]).assert().success();
    sandbox.rd(["merge-base", "--is-ancestor", "one", "two"]).assert().code(1);
}

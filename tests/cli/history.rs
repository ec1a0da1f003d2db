//! `rd history`

use plumbing::Id;
use plumbing::commit::now;
use snapbox::str;

use crate::sandbox::{Change, Sandbox, THEN};

/// Three layers, the second empty, and the commit of the image's configuration.
fn filled(sandbox: &Sandbox, seconds: i64) -> Vec<Id> {
    let mut ids: Vec<Id> = Vec::new();
    let long = format!("RUN /bin/sh -c {}\n  second line", "x".repeat(60));
    for (files, message) in [
        (&[("bin/sh", "0123456789"), ("etc/a", "1")][..], "ADD rootfs.tar / # buildkit"),
        (&[], "ENV A=1"),
        (&[("etc/a", "22")], long.as_str()),
        (&[], "image sha256:00"),
    ] {
        let parents: Vec<Id> = ids.last().copied().into_iter().collect();
        let config = r#"{"history":[{"comment":"first"},{"empty_layer":true},{"comment":"third"}]}"#;
        ids.push(sandbox.commit(&Change { parents: &parents, files, message, config, seconds, ..Change::default() }));
    }
    sandbox.tag(ids[3], "web:1");
    ids
}

#[test]
fn history_shows_a_line_a_step_as_docker_does() {
    let sandbox = Sandbox::new();
    let ids = filled(&sandbox, now() - 3 * 86_400);
    sandbox.rd(["history", "web:1"]).assert().success().stderr_eq("").stdout_eq(str![[r#"
IMAGE          CREATED      CREATED BY                                      SIZE      COMMENT
[..]   3 days ago   RUN /bin/sh -c xxxxxxxxxxxxxxxxxxxxxxxxxxxxx…   2B        third
[..]   3 days ago   ENV A=1                                         0B        
[..]   3 days ago   ADD rootfs.tar / # buildkit                     11B       first

"#]]);
    let quiet: Vec<String> = [3, 1, 0].iter().map(|at: &usize| ids[*at].to_string()[..12].to_owned()).collect();
    assert_eq!(sandbox.ok(["history", "-q", "web:1"]), quiet.join("\n") + "\n");
}

#[test]
fn history_for_scripts_has_times_bytes_and_whole_ids() {
    let sandbox = Sandbox::new();
    let ids = filled(&sandbox, THEN);
    let text =
        sandbox.ok(["history", "-H=false", "--no-trunc", "--format", "{{.ID}} {{.CreatedAt}} {{.Size}}", "web:1"]);
    let line = |at: usize, size| format!("sha256:{} 2024-05-01T10:30:00Z {size}\n", ids[at]);
    assert_eq!(text, line(3, 2) + &line(1, 0) + &line(0, 11));
    let json = sandbox.ok(["history", "--format", "json", "--no-trunc", "web:1"]);
    assert!(json.lines().next().unwrap().contains("xxx   second line\""), "{json}");
    let table = sandbox.ok(["history", "--human=false", "web:1"]);
    assert!(table.contains(" 2024-05-01T10:30:00Z "), "{table}");
}

#[test]
fn a_step_of_a_history_is_an_image_itself() {
    let sandbox = Sandbox::new();
    filled(&sandbox, THEN);
    let format = ["--format", "{{.CreatedBy}}|{{.Comment}}"];
    assert_eq!(sandbox.ok([&["history", "web:1~3"], &format[..]].concat()), "ADD rootfs.tar / # buildkit|\n");
    assert_eq!(sandbox.fails(2, ["history", "web:2"]).lines().next(), Some("error: no such image: 'web:2'"));
}

#[test]
fn a_file_with_several_names_counts_once_and_another_name_nothing() {
    let sandbox = Sandbox::new();
    let files = &[("a/x", "12345"), ("y", "1")];
    let first = sandbox.commit(&Change { files, links: &[("a/x", "b"), ("a/x", "c")], ..Change::default() });
    let linked = sandbox.commit(&Change {
        parents: &[first],
        links: &[("b", "d/e"), ("y", "z")],
        files: &[("d/f", "22")],
        ..Change::default()
    });
    let sizes = sandbox.ok(["history", "--format", "{{.Size}}", &linked.to_string()]);
    assert_eq!(sizes, "2B\n6B\n");
}

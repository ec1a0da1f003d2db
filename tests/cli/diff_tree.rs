//! `rd diff-tree`

use crate::judge::Court;
use crate::sandbox::{Change, Sandbox};

/// Commits in which files come, go, move, change their kind, their mode, or their last line end, on `refs/heads/d`.
fn add_changes(court: &Court) {
    let numbers = |range: std::ops::Range<u32>| range.map(|n| format!("line {n}\n")).collect::<String>();
    let long = numbers(0..60);
    let edited = long.replace("line 7\n", "line seven\nint main(void)\n{\n").replace("line 50\n", "");
    let binary = "\u{0}\u{1}binary";
    let steps: [&[(&str, &str, &str)]; 9] = [
        &[
            ("100644", "src/long.c", &long),
            ("100644", "bin", binary),
            ("100644", "no-end", "a\nb"),
            ("100644", "empty", ""),
            ("100644", "kind", "a file\n"),
            ("100755", "run", "#!/bin/sh\n"),
            ("120000", "link", "target"),
            ("100644", "a b/\u{e4}", "odd name\n"),
        ],
        &[("100644", "src/long.c", &edited), ("100644", "bin", "\u{0}other"), ("100644", "no-end", "a\nb\n")],
        &[
            ("D", "src/long.c", ""),
            ("100644", "lib/long.c", &edited),
            ("100755", "empty", ""),
            ("120000", "kind", "to"),
        ],
        &[
            ("100644", "run", "#!/bin/sh\n"),
            ("120000", "link", "other"),
            ("D", "bin", ""),
            ("100644", "moved.bin", "\u{0}other"),
        ],
        &[("100644", "lib/copy.c", &(edited.clone() + "more\n")), ("100644", "lib/long.c", &(edited.clone() + "x\n"))],
        &[("D", "kind", ""), ("100644", "kind/inside", "a folder now\n"), ("160000", "module", "")],
        &[("D", "a b/\u{e4}", ""), ("100644", "a b/b", "odd name\n"), ("D", "empty", ""), ("100644", "void", "")],
        &[("D", "kind/inside", ""), ("100644", "kind", "a file again"), ("D", "no-end", "")],
        &[("100644", "lib/long.c", &(numbers(3..9) + &edited + "}\n\n}\n")), ("D", "module", "")],
    ];
    let store = court.sandbox.store_dir();
    let mut script = String::new();
    for (number, step) in steps.iter().enumerate() {
        script += &format!("commit refs/heads/d\ncommitter C <c@example.org> {} +0000\n", 1_714_559_400 + number * 60);
        script += &format!("data 6\nstep {number}\n");
        for (mode, path, text) in *step {
            match *mode {
                "D" => script += &format!("D {path}\n"),
                "160000" => script += &format!("M 160000 {} {path}\n", court.first),
                mode => script += &format!("M {mode} inline {path}\ndata {}\n{text}\n", text.len()),
            }
        }
    }
    court.git_input(&store, &["fast-import", "--quiet"], script.as_bytes());
    court.git_input(&court.git_dir(), &["fast-import", "--quiet"], script.as_bytes());
}

#[test]
fn every_form_of_every_change_is_gits() {
    let mut court = Court::with_history();
    add_changes(&court);
    let forms = [
        "",
        "-r",
        "-t",
        "-p",
        "-U0",
        "-U1|-M",
        "-p|-M|-C",
        "-r|-C|--find-copies-harder",
        "-M30%|--stat|--summary",
        "-M|--numstat|-z",
        "-r|-z|-M",
        "--stat|-p",
        "--raw|-p|--abbrev",
        "--compact-summary|-M",
        "--name-status|-r|-M",
        "--name-only|-r",
        "-R|-p",
        "--full-index|-p|--no-commit-id",
        "-v|-p|--stat",
        "--pretty=format:%h|-r",
        "--diff-filter=T|-r",
        "--diff-filter=r|-r|-M",
        "--exit-code|-r",
        "--quiet",
        "--relative=lib|-p",
        "--text|-p",
        "--shortstat",
        "--stat=30,10,3",
        "--stat-graph-width=5|--stat",
    ];
    let commits =
        ["d~8", "d~7", "d~6", "d~5", "d~4", "d~3", "d~2", "d~1", "d", "d~8|d", "d|d~8", "d~6|d~2|--|lib|kind"];
    for form in forms {
        for commit in commits {
            let words = form.split('|').chain(commit.split('|')).filter(|word| !word.is_empty());
            court.compare(&["diff-tree", "--root"].into_iter().chain(words).collect::<Vec<_>>());
        }
    }
    court.verdict(300);
}

#[test]
fn merges_are_compared_as_git_does() {
    let mut court = Court::with_history();
    let options =
        ["", "-m", "-m|-p", "-c", "-c|--name-status", "--cc", "-m|-v|-r", "--diff-merges=first-parent|-r", "-c|-z"];
    let merges = court.git_text(&court.git_dir(), &["rev-list", "--merges", "--all"]);
    let merges: Vec<&str> = merges.lines().collect();
    assert!(merges.len() > 8, "{merges:?}");
    for option in options {
        for merge in merges.iter().step_by(2) {
            let words = option.split('|').filter(|word| !word.is_empty()).chain([*merge]);
            court.compare(&["diff-tree"].into_iter().chain(words).collect::<Vec<_>>());
        }
    }
    court.verdict(40);
}

#[test]
fn contents_are_shown_line_by_line() {
    let sandbox = Sandbox::new();
    let before = sandbox.image("web:1", &[("etc/hostname", "old\n")]);
    let after =
        sandbox.commit(&Change { parents: &[before], files: &[("etc/hostname", "new\n")], ..Change::default() });
    sandbox.tag(after, "web:2");
    let patch = sandbox.ok(["diff-tree", "-p", "web:1", "web:2", "--", "rootfs"]);
    assert!(patch.ends_with("@@ -1 +1 @@\n-old\n+new\n"), "{patch}");
    assert_eq!(
        sandbox.ok(["diff-tree", "-r", "--name-status", "web:1..web:2", "--", "rootfs"]),
        "M\trootfs/etc/hostname\n"
    );
}

//! `rd show`

use std::process::Command;

use plumbing::root::Kind;
use snapbox::str;

use crate::diff::{attrs, commit};
use crate::sandbox::{Change, Sandbox, THEN};

#[test]
fn a_commit_is_shown_with_what_it_changed() {
    let sandbox = Sandbox::new();
    let first = sandbox.image("web:1", &[("etc/x", "1\n")]);
    let files = [("etc/x", "2\n")];
    let change = Change { parents: &[first], files: &files, message: "change x\n\nfor a reason", ..Change::default() };
    sandbox.tag(sandbox.commit(&change), "web:2");
    sandbox.rd(["show", "web:2"]).assert().success().stdout_eq(str![[r#"
commit [..]
Author: rd <rd@localhost>
Date:   Wed May 1 10:30:00 2024 +0000

    change x
    
    for a reason

diff --git a/etc/x b/etc/x
index [..]..[..] 100644
--- a/etc/x
+++ b/etc/x
@@ -1 +1 @@
-1
+2

"#]]);
    sandbox
        .rd(["show", "--oneline", "--name-status", "web:2"])
        .assert()
        .success()
        .stdout_eq("[..] change x\nM\tetc/x\n");
    sandbox.rd(["show", "-s", "--format=%s", "web:2", "web:1"]).assert().success().stdout_eq("change x\nimport\n");
}

#[test]
fn a_whole_image_is_summed_up() {
    let sandbox = Sandbox::new();
    let config = r#"{"os":"linux","config":{"Cmd":["sh"]}}"#;
    let id = sandbox.commit(&Change { files: &[("etc/x", "1\n"), ("etc/y", "22\n")], config, ..Change::default() });
    sandbox.tag(id, "base");
    sandbox.rd(["show", "base"]).assert().success().stdout_eq(str![[r#"
commit [..]
Author: rd <rd@localhost>
Date:   Wed May 1 10:30:00 2024 +0000

    import

diff --rd //config
+Cmd: ["sh"]
+os: linux
2 files in 2 folders, 5B (5 bytes)

"#]]);
    let status = "A\t//config/Cmd\nA\t//config/os\nA\t.\nA\tetc\nA\tetc/x\nA\tetc/y\n";
    sandbox.rd(["show", "base", "--format=", "--name-status"]).assert().success().stdout_eq(status);
}

#[test]
fn paths_give_bytes_targets_and_names() {
    let sandbox = Sandbox::new();
    let id = commit(&sandbox, &[], |draft| {
        draft.dir("etc", 0o755);
        draft.dir("etc/d", 0o755);
        let file = draft.file("no end\0\u{1b}");
        draft.put("etc/file", file, attrs(0o644), THEN);
        let link = draft.link("../x");
        draft.put("etc/link", link, attrs(0o777), THEN);
        draft.put("etc/null", Kind::Char { major: 1, minor: 3 }, attrs(0o666), THEN);
    });
    sandbox.tag(id, "i");
    let show = |path: &str| sandbox.ok(["show", &format!("i:{path}")]);
    assert_eq!(show("/etc/file"), "no end\0\u{1b}");
    assert_eq!(show("/etc/link"), "../x\n");
    assert_eq!(show("/etc/null"), "character device 1,3\n");
    assert_eq!(show("/etc"), "tree i:/etc\n\nd/\nfile\nlink\nnull\n");
    assert_eq!(show("/"), "tree i:/\n\netc/\n");
    let error = sandbox.fails(2, ["show", "i:/nothing"]);
    assert!(error.contains("nothing"), "{error}");
}

#[test]
fn objects_are_shown_as_git_shows_them() {
    let sandbox = Sandbox::new();
    let id = sandbox.image("i", &[("etc/x", "1\n"), ("y", "2\n")]);
    let git = |args: &[&str]| {
        let output = Command::new("git")
            .arg("-C")
            .arg(sandbox.store_dir())
            .args(args)
            .env("GIT_COMMITTER_NAME", "a")
            .env("GIT_COMMITTER_EMAIL", "b")
            .env("GIT_COMMITTER_DATE", "@1714559400 +0200")
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    git(&["tag", "-a", "-m", "first\n\nmore", "v1", &id.to_string()]);
    for object in [format!("{id}:rootfs"), format!("{id}:"), format!("{id}:config")] {
        assert_eq!(sandbox.ok(["show", &object]), git(&["show", &object]), "{object}");
    }
    assert_eq!(sandbox.ok(["show", "-s", "v1"]), git(&["show", "-s", "v1"]));
}

//! `rd diff`

use std::process::Command;

use plumbing::Id;
use snapbox::str;

use crate::sandbox::{Change, Sandbox};

const SEVEN: &str = "1\n2\n3\n4\n5\n6\n7\n";

/// `web:1` and, on top of it, `web:2`, in which a line of `etc/x` changed and `etc/new` came.
fn two_images(sandbox: &Sandbox) -> [Id; 2] {
    let first = sandbox.image("web:1", &[("etc/x", SEVEN), ("etc/y", "y\n"), ("bin/a", "a\0b")]);
    let files = [("etc/x", "1\n2\n3\nfour\n5\n6\n7\n"), ("etc/new", "new\n"), ("bin/a", "a\0bc")];
    let second = sandbox.commit(&Change { parents: &[first], files: &files, ..Change::default() });
    sandbox.tag(second, "web:2");
    [first, second]
}

#[test]
fn two_revisions_give_a_patch() {
    let sandbox = Sandbox::new();
    two_images(&sandbox);
    let want = str![[r#"
diff --git a/bin/a b/bin/a
index [..]..[..] 100644
old size 3
new size 4
Binary files a/bin/a and b/bin/a differ
diff --git a/etc/new b/etc/new
new file mode 100644
index 0000000..[..]
--- /dev/null
+++ b/etc/new
@@ -0,0 +1 @@
+new
diff --git a/etc/x b/etc/x
index [..]..[..] 100644
--- a/etc/x
+++ b/etc/x
@@ -1,7 +1,7 @@
 1
 2
 3
-4
+four
 5
 6
 7

"#]];
    sandbox.rd(["diff", "web:1", "web:2"]).assert().success().stdout_eq(want.clone());
    sandbox.rd(["diff", "web:1..web:2", "-p"]).assert().success().stdout_eq(want.clone());
    sandbox.rd(["diff", "web:1...web:2"]).assert().success().stdout_eq(want.clone());
    sandbox.rd(["diff", "web:2^!"]).assert().success().stdout_eq(want);
}

/// The flags, and the same comparison by git.
#[track_caller]
fn same_as_git(sandbox: &Sandbox, ids: [Id; 2], flags: &[&str]) {
    let git = Command::new("git")
        .arg("-C")
        .arg(sandbox.store_dir())
        .args(["diff", "--no-renames"])
        .args(flags)
        .args([format!("{}:rootfs", ids[0]), format!("{}:rootfs", ids[1])])
        .env("PATH", path_with_rd())
        .output()
        .unwrap();
    assert!(git.status.success(), "{}", String::from_utf8_lossy(&git.stderr));
    let ours = sandbox.rd(["diff", "web:1", "web:2"].iter().chain(flags)).assert().success().get_output().clone();
    assert_eq!(String::from_utf8_lossy(&ours.stdout), String::from_utf8_lossy(&git.stdout), "{flags:?}");
}

/// git fetches contents through `rd upload-pack`; what it needs here is put into its object database instead.
fn path_with_rd() -> String {
    format!("{}:{}", env!("CARGO_BIN_EXE_rd").trim_end_matches("/rd"), std::env::var("PATH").unwrap())
}

#[test]
fn lists_and_counts_are_gits() {
    let sandbox = Sandbox::new();
    let ids = two_images(&sandbox);
    let store = sandbox.store();
    let mut batch = store.batch();
    for bytes in [SEVEN, "1\n2\n3\nfour\n5\n6\n7\n", "new\n", "a\0b", "a\0bc"] {
        batch.write_blob(bytes.as_bytes()).unwrap();
    }
    batch.finish().unwrap();
    for flags in [
        &["--name-status"][..],
        &["--name-only"],
        &["--name-status", "-z"],
        &["--name-only", "-z"],
        &["--stat"],
        &["--shortstat"],
        &["--numstat"],
        &["--numstat", "-z"],
    ] {
        same_as_git(&sandbox, ids, flags);
    }
}

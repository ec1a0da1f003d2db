//! `rd diff`

use std::process::Command;

use plumbing::commit::{NewCommit, State, neutral_signature};
use plumbing::root::{Attrs, Kind, Leaf, Root, Time};
use plumbing::store::Batch;
use plumbing::{Id, Store};
use snapbox::str;

use crate::sandbox::{Change, Sandbox, THEN};

const SEVEN: &str = "1\n2\n3\n4\n5\n6\n7\n";

/// `web:1` and, on top of it, `web:2`, in which a line of `etc/x` changed and `etc/new` came.
fn two_images(sandbox: &Sandbox) -> [Id; 2] {
    let first = sandbox.image("web:1", &[("etc/x", SEVEN), ("etc/y", "y\n"), ("bin/a", "a\0b")]);
    let files = [("etc/x", "1\n2\n3\nfour\n5\n6\n7\n"), ("etc/new", "new\n"), ("bin/a", "a\0bc")];
    let second = sandbox.commit(&Change { parents: &[first], files: &files, ..Change::default() });
    sandbox.tag(second, "web:2");
    [first, second]
}

/// A root being made, in which a test puts what [`Sandbox::commit`] has no words for.
pub struct Draft<'a> {
    store: &'a Store,
    root: Root,
    batch: Batch<'a>,
}

impl Draft<'_> {
    pub fn put(&mut self, path: &str, kind: Kind, attrs: Attrs, sec: i64) {
        let leaf = Leaf { kind, attrs, mtime: Time { sec, nsec: 0 } };
        assert!(self.root.put_leaf(self.store, path.into(), leaf).unwrap());
    }

    pub fn file(&mut self, text: &str) -> Kind {
        let id = self.batch.contents().unwrap().put(text.as_bytes()).unwrap();
        Kind::File { id, size: text.len() as u64 }
    }

    pub fn link(&mut self, target: &str) -> Kind {
        Kind::Symlink { id: self.batch.write_blob(target.as_bytes()).unwrap() }
    }

    pub fn dir(&mut self, path: &str, mode: u32) {
        assert!(self.root.put_dir(self.store, path.into(), attrs(mode), Time { sec: THEN, nsec: 0 }).unwrap());
    }

    fn remove(&mut self, path: &str) {
        assert!(self.root.remove(self.store, path.into()).unwrap());
    }

    pub fn hard_link(&mut self, existing: &str, path: &str) {
        assert!(self.root.link(self.store, existing.into(), path.into()).unwrap());
    }
}

pub fn attrs(mode: u32) -> Attrs {
    Attrs { mode, ..Attrs::default() }
}

/// Commit what `edit` makes of the first parent's root, or of an empty one.
pub fn commit(sandbox: &Sandbox, parents: &[Id], edit: impl FnOnce(&mut Draft<'_>)) -> Id {
    let store = sandbox.store();
    let root = match parents.first() {
        Some(id) => Root::open(&store, &store.read_commit(id).unwrap().state.root).unwrap(),
        None => Root::new(attrs(0o755), Time { sec: THEN, nsec: 0 }),
    };
    let mut draft = Draft { store: &store, root, batch: store.batch() };
    edit(&mut draft);
    let Draft { mut root, mut batch, .. } = draft;
    let root = root.write(&mut batch).unwrap();
    let config = batch.write_blob(b"{}").unwrap();
    let state = State { root, config, manifest: None, layer: None, container: None };
    let who = neutral_signature(THEN);
    let new = NewCommit { parents: parents.to_vec(), author: who.clone(), committer: who, message: "edit".into() };
    let id = batch.write_commit(&state, new).unwrap();
    batch.finish().unwrap();
    id
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
        .output()
        .unwrap();
    assert!(git.status.success(), "{}", String::from_utf8_lossy(&git.stderr));
    let ids = ids.map(|id| id.to_string());
    let args =
        ["diff", "--ignore-times"].into_iter().chain(flags.iter().copied()).chain(ids.iter().map(String::as_str));
    let ours = sandbox.rd(args).assert().success().get_output().clone();
    let words = |line: &&str| !line.starts_with("old size ") && !line.starts_with("new size ");
    let ours: String = String::from_utf8_lossy(&ours.stdout).split_inclusive('\n').filter(words).collect();
    assert_eq!(ours, String::from_utf8_lossy(&git.stdout), "{flags:?}");
}

/// Put texts where git finds them by itself: it would fetch contents through `rd upload-pack`.
fn hand_to_git(sandbox: &Sandbox, texts: &[&str]) {
    let store = sandbox.store();
    let mut batch = store.batch();
    for text in texts {
        batch.write_blob(text.as_bytes()).unwrap();
    }
    batch.finish().unwrap();
}

#[test]
fn patches_lists_and_counts_are_gits() {
    let sandbox = Sandbox::new();
    let lines = |range: std::ops::Range<u32>| range.map(|n| format!("{n}\n")).collect::<String>();
    let long = "usr/share/a/very/long/path/that/goes/on/and/on/forever/and/ever/file.txt";
    let old = [
        ("etc/x", SEVEN.to_owned()),
        ("bin/a", "a\0b".to_owned()),
        ("big", lines(1..500)),
        ("gone", "no end".to_owned()),
        ("func", format!("main()\n{}", lines(1..30))),
        (long, lines(0..30)),
        ("sp ace", "x\n".to_owned()),
        ("t\tab", "x".to_owned()),
        ("\u{e4}", "x\n".to_owned()),
        ("text to binary", "x\n".to_owned()),
    ];
    let new = [
        ("etc/x", "1\n2\n3\nfour\n5\n6\n7\n".to_owned()),
        ("bin/a", "a\0bc".to_owned()),
        ("big", lines(3..900)),
        ("empty", String::new()),
        ("etc/new", "new\n".to_owned()),
        ("func", format!("main()\n{}", lines(1..30).replace("25\n", "25\nnew\n"))),
        (long, lines(1..31)),
        ("sp ace", "y\n".to_owned()),
        ("t\tab", "y".to_owned()),
        ("\u{e4}", String::new()),
        ("text to binary", "\0".to_owned()),
    ];
    let texts: Vec<&str> = old.iter().chain(&new).map(|(_, text)| text.as_str()).collect();
    hand_to_git(&sandbox, &texts);
    let put = |draft: &mut Draft<'_>, files: &[(&str, String)]| {
        for (path, text) in files {
            path.match_indices('/').for_each(|(at, _)| draft.dir(&path[..at], 0o755));
            let kind = draft.file(text);
            draft.put(path, kind, attrs(if *path == "big" && text.len() > 2500 { 0o755 } else { 0o644 }), THEN);
        }
    };
    let first = commit(&sandbox, &[], |draft| {
        put(draft, &old);
        for (path, target) in [("link", "a"), ("to file", "b")] {
            let kind = draft.link(target);
            draft.put(path, kind, attrs(0o777), THEN);
        }
    });
    let second = commit(&sandbox, &[first], |draft| {
        draft.remove("gone");
        put(draft, &new);
        let link = draft.link("c");
        draft.put("link", link, attrs(0o777), THEN);
        let file = draft.file("new\n");
        draft.put("to file", file, attrs(0o644), THEN);
    });
    hand_to_git(&sandbox, &["a", "b", "c"]);
    for ids in [[first, second], [second, first]] {
        for flags in [
            &["--name-status"][..],
            &["--name-only"],
            &["--name-status", "-z"],
            &["--name-only", "-z"],
            &["--shortstat"],
            &["--numstat"],
            &["--numstat", "-z"],
            &["-p"],
            &["-U0"],
            &["-U10"],
            &["--stat", "-p"],
        ] {
            same_as_git(&sandbox, ids, flags);
        }
    }
}

#[test]
fn counts_are_laid_out_as_gits() {
    let sandbox = Sandbox::new();
    for (number, counts) in [&[(1, 2), (300, 4)][..], &[(5, 0), (0, 5)], &[(70, 70)], &[(0, 1)]].iter().enumerate() {
        let side = |name: &str, pick: fn(&(usize, usize)) -> usize| -> Vec<(String, String)> {
            let text = |(index, count): (usize, &(usize, usize))| {
                (format!("{}{index}", "long/".repeat(index * 12)), format!("{name}{index}\n").repeat(pick(count)))
            };
            counts.iter().enumerate().map(text).collect()
        };
        let commit = |files: &[(String, String)]| {
            let texts: Vec<&str> = files.iter().map(|(_, text)| text.as_str()).collect();
            hand_to_git(&sandbox, &texts);
            let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
            sandbox.commit(&Change { files: &files, seconds: THEN + number as i64, ..Change::default() })
        };
        let ids = [commit(&side("old", |count| count.0)), commit(&side("new", |count| count.1))];
        same_as_git(&sandbox, ids, &["--stat"]);
    }
}

#[test]
fn what_git_does_not_know_is_said_in_words() {
    let sandbox = Sandbox::new();
    let first = commit(&sandbox, &[], |draft| {
        let file = draft.file("x\n");
        draft.put("mode", file.clone(), attrs(0o644), THEN);
        draft.put("owner", file.clone(), attrs(0o644), THEN);
        let mut with = attrs(0o644);
        with.xattrs.insert("user.changed".into(), "old".into());
        with.xattrs.insert("user.gone".into(), "x".into());
        draft.put("xattrs", file.clone(), with, THEN);
        draft.put("time", file.clone(), attrs(0o644), 0);
        draft.put("device", Kind::Char { major: 1, minor: 3 }, attrs(0o666), THEN);
        draft.put("file", file.clone(), attrs(0o644), THEN);
        draft.put("was-file", file, attrs(0o600), THEN);
        draft.dir("folder", 0o755);
        draft.dir("old-folder", 0o700);
    });
    let second = commit(&sandbox, &[first], |draft| {
        let file = draft.file("x\n");
        draft.put("mode", file.clone(), attrs(0o4755), THEN);
        draft.put("owner", file.clone(), Attrs { uid: 1000, gid: 100, ..attrs(0o644) }, THEN);
        let mut with = attrs(0o644);
        with.xattrs.insert("user.changed".into(), "new".into());
        with.xattrs.insert("security.capability".into(), vec![1, 0, 0, 2].into());
        draft.put("xattrs", file.clone(), with, THEN);
        draft.put("time", file, attrs(0o644), -1);
        draft.put("device", Kind::Char { major: 1, minor: 5 }, attrs(0o666), THEN);
        draft.put("fifo", Kind::Fifo, attrs(0o600), THEN);
        draft.put("block", Kind::Block { major: 8, minor: 0 }, Attrs { gid: 6, ..attrs(0o660) }, THEN);
        draft.hard_link("file", "new-name");
        draft.dir("folder", 0o1777);
        draft.remove("old-folder");
        draft.remove("was-file");
        draft.dir("was-file", 0o755);
    });
    let [first, second] = [first, second].map(|id| id.to_string());
    sandbox.rd(["diff", &first, &second]).assert().success().stdout_eq(str![[r#"
diff --rd a/block b/block
new block device 8,0 mode 060660
new owner 0:6
diff --rd a/device b/device
old character device 1,3
new character device 1,5
diff --rd a/fifo b/fifo
new fifo mode 010600
diff --rd a/folder b/folder
old mode 040755
new mode 041777
diff --git a/mode b/mode
old mode 100644
new mode 104755
diff --rd a/new-name b/new-name
new file mode 100644
hard link of file
diff --rd a/old-folder b/old-folder
deleted folder mode 040700
diff --rd a/owner b/owner
old owner 0:0
new owner 1000:100
diff --rd a/time b/time
old time 1970-01-01T00:00:00Z
new time 1969-12-31T23:59:59Z
diff --git a/was-file b/was-file
deleted file mode 100600
index [..]..0000000
--- a/was-file
+++ /dev/null
@@ -1 +0,0 @@
-x
diff --rd a/was-file b/was-file
new folder mode 040755
diff --rd a/xattrs b/xattrs
xattr security.capability: added 0x01000002
xattr user.changed: changed from "old" to "new"
xattr user.gone: removed "x"

"#]]);
    sandbox.rd(["diff", &first, &second, "--stat"]).assert().success().stdout_eq(str![[r#"
 block      | 0 (new block device 8,0)
 device     | 0 (device)
 fifo       | 0 (new fifo)
 folder     | 0 (mode)
 mode       | 0 (mode)
 new-name   | 0 (hard link)
 old-folder | 0 (deleted folder)
 owner      | 0 (owner)
 time       | 0 (time)
 was-file   | 1 - (file -> dir)
 xattrs     | 0 (xattrs)
 11 files changed, 1 deletion(-)

"#]]);
    sandbox.rd(["diff", &first, &second, "--name-status", "--", "f*", "was-file"]).assert().success().stdout_eq(str![
        [r#"
A	fifo
M	folder
T	was-file

"#]
    ]);
}

#[test]
fn the_lines_of_a_file_with_several_names_are_shown_once() {
    let sandbox = Sandbox::new();
    let first = commit(&sandbox, &[], |draft| {
        let file = draft.file("old\n");
        draft.put("m", file, attrs(0o644), THEN);
    });
    let second = commit(&sandbox, &[first], |draft| {
        draft.hard_link("m", "a");
        let file = draft.file("new\n");
        draft.put("x", file, attrs(0o644), THEN);
        draft.hard_link("x", "n");
    });
    let [first, second] = [first, second].map(|id| id.to_string());
    sandbox.rd(["diff", &first, &second]).assert().success().stdout_eq(str![[r#"
diff --rd a/a b/a
new file mode 100644
hard link of m
diff --git a/n b/n
new file mode 100644
hard link of x
index 0000000..[..]
--- /dev/null
+++ b/n
@@ -0,0 +1 @@
+new
diff --rd a/x b/x
new file mode 100644
hard link of n

"#]]);
    let counts = sandbox.ok(["diff", &second, &first, "--numstat"]);
    assert_eq!(counts, "0\t0\ta\n0\t1\tn\n0\t0\tx\n");
}

#[test]
fn times_count_unless_they_are_ignored() {
    let sandbox = Sandbox::new();
    let touched = |sec: i64| {
        commit(&sandbox, &[], |draft| {
            let file = draft.file("x\n");
            draft.put("x", file, attrs(0o644), sec);
        })
        .to_string()
    };
    let [a, b] = [touched(1), touched(2)];
    sandbox.rd(["diff", &a, &b, "--name-status", "--exit-code"]).assert().code(1).stdout_eq("M\tx\n");
    sandbox.rd(["diff", &a, &b, "--ignore-times", "--exit-code"]).assert().code(0).stdout_eq("");
    sandbox.rd(["diff", &a, &b, "--quiet"]).assert().code(1).stdout_eq("");
    sandbox.rd(["diff", &a, &a, "--quiet"]).assert().code(0).stdout_eq("");
}

#[test]
fn configurations_are_compared_field_by_field() {
    let sandbox = Sandbox::new();
    let image = |name: &str, config: &str| sandbox.tag(sandbox.commit(&Change { config, ..Change::default() }), name);
    image("a", r#"{"os":"linux","config":{"Cmd":["sh"],"Env":["PATH=/bin","A=1"]}}"#);
    image("b", r#"{"os":"linux","config":{"Cmd":["sh","-c"],"Env":["PATH=/bin:/usr/bin"],"Labels":{"v":"1 2"}}}"#);
    sandbox.rd(["diff", "a", "b"]).assert().success().stdout_eq(str![[r#"
diff --rd //config
-Cmd: ["sh"]
+Cmd: ["sh","-c"]
-Env.A: 1
-Env.PATH: /bin
+Env.PATH: /bin:/usr/bin
+Labels.v: 1 2

"#]]);
    let status = "M\t//config/Cmd\nD\t//config/Env.A\nM\t//config/Env.PATH\nA\t//config/Labels.v\n";
    sandbox.rd(["diff", "a", "b", "--name-status"]).assert().success().stdout_eq(status);
    sandbox.rd(["diff", "a", "b", "--stat"]).assert().success().stdout_eq(str![[r#"
 //config | 6 +++---
 1 file changed, 3 insertions(+), 3 deletions(-)

"#]]);
    sandbox.rd(["diff", "a", "b", "--exit-code", "--", "/etc"]).assert().code(0).stdout_eq("");
    let json = sandbox.ok(["diff", "a", "b", "--json"]);
    let first: serde_json::Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    assert_eq!(first, serde_json::json!({"status":"M","config":"Cmd","before":["sh"],"after":["sh","-c"]}));
}

#[test]
fn json_has_both_sides_of_each_change() {
    let sandbox = Sandbox::new();
    let [first, second] = two_images(&sandbox);
    let json = sandbox.ok(["diff", &first.to_string(), &second.to_string(), "--json"]);
    let changes: Vec<serde_json::Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let paths: Vec<_> = changes.iter().map(|change| change["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["bin/a", "etc/new", "etc/x"]);
    assert_eq!(changes[0]["changed"], serde_json::json!(["content"]));
    assert_eq!((&changes[0]["before"]["size"], &changes[0]["after"]["size"]), (&3.into(), &4.into()));
    assert!(changes[1]["before"].is_null());
    assert_eq!(changes[1]["after"]["mode"], "0644");
}

#[test]
fn a_patch_can_be_applied_by_git() {
    let sandbox = Sandbox::new();
    let [first, second] = two_images(&sandbox);
    let third = commit(&sandbox, &[second], |draft| {
        draft.remove("bin");
        draft.dir("var", 0o700);
        let file = draft.file("x\n");
        draft.put("etc/x", file, Attrs { uid: 7, ..attrs(0o755) }, 9);
    });
    let patch = sandbox.ok(["diff", &second.to_string(), &third.to_string(), "--", "etc", "var"]);
    let work = sandbox.path().join("work");
    std::fs::create_dir_all(work.join("etc")).unwrap();
    let bytes = sandbox.ok(["show", &format!("{second}:/etc/x")]);
    std::fs::write(work.join("etc/x"), bytes).unwrap();
    std::fs::write(work.join("patch"), patch).unwrap();
    let applied = Command::new("git").args(["apply", "patch"]).current_dir(&work).output().unwrap();
    assert!(applied.status.success(), "{}", String::from_utf8_lossy(&applied.stderr));
    assert_eq!(std::fs::read_to_string(work.join("etc/x")).unwrap(), "x\n");
    assert_ne!(first, third);
}

#[test]
fn mistakes_are_named() {
    let sandbox = Sandbox::new();
    two_images(&sandbox);
    let error = sandbox.fails(2, ["diff", "web:1"]);
    assert!(error.starts_with("error: one revision is nothing to compare\nhint: `rd diff A B`"), "{error}");
    let error = sandbox.fails(2, ["diff", "web:1", "wob:2"]);
    assert!(error.starts_with("error: no such image: 'wob:2'\n"), "{error}");
    let error = sandbox.fails(2, ["diff", "web:1", "web:2", "--", "../x"]);
    assert!(error.starts_with("error: invalid path '../x'"), "{error}");
    sandbox.image("other", &[("x", "x")]);
    let error = sandbox.fails(2, ["diff", "web:1...other"]);
    assert!(error.starts_with("error: the two revisions have no common base\n"), "{error}");
}

#[test]
fn a_container_is_compared_with_its_head_in_any_form() {
    let sandbox = Sandbox::new();
    sandbox.busybox("box:1");
    let script = "mkdir -p d/e; echo one >d/e/f; echo \u{e4} >\u{e4}; printf x >\"$(printf 'a\\nb')\"; chmod 1777 d";
    sandbox.ok(["run", "--name", "cc", "box:1", "sh", "-c", script]);
    sandbox.rd(["diff", "cc"]).assert().success().stdout_eq("A \"/a/nb\"\nA /d\nA /d/e\nA /d/e/f\nA /\u{e4}\n");
    sandbox.rd(["diff", "cc", "--name-status", "--", "/d"]).assert().success().stdout_eq("A\td\nA\td/e\nA\td/e/f\n");
    sandbox.rd(["diff", "cc", "--", "d/e"]).assert().success().stdout_eq("C /d\nA /d/e\nA /d/e/f\n");
    sandbox.rd(["diff", "cc", "-p", "--", "d/e/f"]).assert().success().stdout_eq(str![[r#"
diff --git a/d/e/f b/d/e/f
new file mode 100644
index 0000000..[..]
--- /dev/null
+++ b/d/e/f
@@ -0,0 +1 @@
+one

"#]]);
    let id = sandbox.ok(["ps", "-a", "-q", "--no-trunc"]);
    let id = id.trim();
    assert_eq!(sandbox.ok(["diff", &id[..12]]), sandbox.ok(["diff", "cc"]));
    assert_eq!(sandbox.ok(["log", "-1", "--format=%s", &id[..12]]), "create cc from box:1\n");
    sandbox.rd(["diff", "cc", "--quiet"]).assert().code(1).stdout_eq("");
    sandbox.ok(["commit", "cc"]);
    sandbox.rd(["diff", "cc", "--quiet"]).assert().code(0);
    sandbox.rd(["diff", "box:1..cc", "--name-only", "--", "d"]).assert().success().stdout_eq("d\nd/e\nd/e/f\n");
}

//! `rd receive-pack`: pushes of stock git, and of somebody who means harm.

mod hostile;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use hostile::{command, pack, push_raw};

use crate::sandbox::{Change, Sandbox};
use crate::stock_git::{assert_clean, assert_git_is_content, git, git_fails, objects};

/// The image `web:1`, with all that git knows nothing of.
fn filled() -> Sandbox {
    let sandbox = Sandbox::new();
    let script = "
        mkdir -p root/etc root/bin root/dev root/empty/deeper root/gone root/src && cd root
        echo one >etc/hostname; echo secret >etc/shadow; chmod 600 etc/shadow; chown 3:4 etc/shadow
        echo tool >bin/su; chown 0:7 bin/su; chmod 4750 bin/su; ln bin/su bin/su2; echo '[core]' >src/.gitconfig
        mknod dev/null c 1 3; mkfifo dev/pipe; chmod 700 empty; ln -s su bin/link; echo x >gone/file; mkdir gone/inner
        touch -d '2020-01-01 00:00:00' etc/shadow bin/su etc empty dev
        cd .. && tar --sort=name -C root -cf in.tar .";
    let status = Command::new("sh").arg("-ec").arg(script).current_dir(sandbox.path()).status().unwrap();
    assert!(status.success());
    sandbox.ok(["import", "-c", "CMD [\"/bin/su\"]", "-c", "ENV A=1", "in.tar", "web:1"]);
    sandbox
}

#[track_caller]
fn clone(sandbox: &Sandbox, name: &str, args: &[&str]) -> PathBuf {
    git(sandbox, sandbox.path(), &[&["clone", "-q"], args, &[name]].concat());
    sandbox.path().join(name)
}

#[track_caller]
fn commit_all(sandbox: &Sandbox, dir: &Path, message: &str) {
    git(sandbox, dir, &["add", "-A"]);
    git(sandbox, dir, &["commit", "-q", "-m", message]);
}

/// The lines of `%meta` of a folder.
fn meta(sandbox: &Sandbox, image: &str, folder: &str) -> String {
    sandbox.ok(["cat-file", "-p", &format!("{image}:meta{folder}/%meta")])
}

#[test]
fn pushed_commits_become_images() {
    let sandbox = filled();
    let dir = clone(&sandbox, "clone", &["rd::web"]);
    fs::write(dir.join("etc/hostname"), "two\n").unwrap();
    fs::write(dir.join("bin/su"), "another\n").unwrap();
    fs::set_permissions(dir.join("etc/shadow"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir_all(dir.join("new/folder")).unwrap();
    fs::write(dir.join("new/folder/program"), "p\n").unwrap();
    fs::set_permissions(dir.join("new/folder/program"), fs::Permissions::from_mode(0o700)).unwrap();
    symlink("../etc", dir.join("new/link")).unwrap();
    fs::remove_dir_all(dir.join("gone")).unwrap();
    commit_all(&sandbox, &dir, "change\n\nin a clone");
    git(&sandbox, &dir, &["push", "-q", "origin", "HEAD:2"]);
    assert_clean(&sandbox);

    let log = sandbox.ok(["log", "--format=%an <%ae> %at %B", "-n1", "web:2"]);
    assert_eq!(log, "Ada <ada@example.org> 1700000600 change\n\nin a clone\n\n");
    assert_eq!(sandbox.ok(["rev-parse", "web:2~1"]), sandbox.ok(["rev-parse", "web:1"]));
    assert_eq!(
        meta(&sandbox, "web:2", "/etc"),
        ". type=dir mode=0755 uid=0 gid=0 size=11\nhostname type=file mode=0644 uid=0 gid=0 size=4\n\
         shadow type=file mode=0700 uid=3 gid=4 size=7\n"
    );
    let bin = meta(&sandbox, "web:2", "/bin");
    assert!(
        bin.contains("su type=file mode=4750 uid=0 gid=7 size=8\nsu2 type=file mode=4750 uid=0 gid=7 size=5\n"),
        "{bin}"
    );
    let new = meta(&sandbox, "web:2", "/new") + &meta(&sandbox, "web:2", "/new/folder");
    assert_eq!(
        new,
        ". type=dir mode=0755 uid=0 gid=0 size=2\nlink type=link mode=0777 uid=0 gid=0\n\
         . type=dir mode=0755 uid=0 gid=0 size=2\nprogram type=file mode=0755 uid=0 gid=0 size=2\n"
    );
    let times = sandbox.ok(["cat-file", "-p", "web:2:times/etc/%times"]);
    assert!(times.starts_with(". time=1577836800.000000000\nhostname time=1700000600.000000000\n"), "{times}");
    assert_eq!(meta(&sandbox, "web:2", "/dev"), meta(&sandbox, "web:1", "/dev"), "devices stay");
    assert_eq!(meta(&sandbox, "web:2", "/empty"), meta(&sandbox, "web:1", "/empty"), "empty folders stay");
    assert!(!sandbox.ok(["ls-tree", "--name-only", "web:2:rootfs"]).contains("gone"), "with what was in it");
    let config = sandbox.ok(["inspect", "-f", "{{json .Config.Cmd}} {{json .Config.Env}}", "web:2"]);
    assert_eq!(config, sandbox.ok(["inspect", "-f", "{{json .Config.Cmd}} {{json .Config.Env}}", "web:1"]));
    let reflog = fs::read_to_string(sandbox.store_dir().join("logs/refs/images/docker.io/library/web@2")).unwrap();
    assert!(reflog.ends_with("\tpush\n"), "{reflog}");
}

#[test]
fn what_was_pushed_is_shown_again_byte_for_byte() {
    let sandbox = filled();
    let dir = clone(&sandbox, "clone", &["rd::web"]);
    for (number, text) in ["a\n", "b\n", "c\n"].iter().enumerate() {
        fs::write(dir.join("etc/hostname"), text).unwrap();
        fs::write(dir.join(format!("file{number}")), text).unwrap();
        commit_all(&sandbox, &dir, text.trim());
    }
    git(&sandbox, &dir, &["push", "-q", "origin", "HEAD:1"]);
    let before = objects(&sandbox, &dir);
    git(&sandbox, &dir, &["fetch", "-q"]);
    assert_eq!(objects(&sandbox, &dir), before, "nothing comes back");
    assert_eq!(git(&sandbox, &dir, &["status", "-sb"]), "## 1...origin/1\n");
    assert_eq!(sandbox.ok(["log", "--format=%s", "-n3", "web:1"]), "c\nb\na\n");
    // Somebody else sees the same, commits by rd among them.
    let tip = sandbox.store().get_ref("refs/images/docker.io/library/web@1").unwrap().unwrap();
    let later =
        sandbox.commit(&Change { parents: &[tip], files: &[("x", "x\n")], message: "rd's", ..Change::default() });
    sandbox.tag(later, "web:1");
    let other = clone(&sandbox, "other", &["rd::web"]);
    assert_eq!(git(&sandbox, &other, &["rev-parse", "HEAD~1"]), git(&sandbox, &dir, &["rev-parse", "HEAD"]));
    assert_git_is_content(&sandbox, &other);
    git(&sandbox, &dir, &["pull", "-q", "--ff-only"]);
    fs::write(dir.join("y"), "y\n").unwrap();
    commit_all(&sandbox, &dir, "d");
    git(&sandbox, &dir, &["push", "-q"]);
    assert_eq!(sandbox.ok(["log", "--format=%s", "-n3", "web:1"]), "d\nrd's\nc\n");
    assert_clean(&sandbox);
}

#[test]
fn contents_of_pushed_files_are_contents() {
    let sandbox = filled();
    let dir = clone(&sandbox, "clone", &["rd::web"]);
    let large = "0123456789abcdef".repeat(300_000);
    fs::write(dir.join("large"), &large).unwrap();
    commit_all(&sandbox, &dir, "large");
    git(&sandbox, &dir, &["push", "-q", "origin", "HEAD:2"]);
    // A small change of it travels as a delta to what the store has.
    fs::write(dir.join("large"), large.clone() + "end\n").unwrap();
    commit_all(&sandbox, &dir, "larger");
    git(&sandbox, &dir, &["push", "-q", "--thin", "origin", "HEAD:2"]);
    let store = sandbox.store();
    for text in [large.clone(), large + "end\n"] {
        let id = plumbing::store::hash_content(text.as_bytes());
        assert_eq!(fs::read_to_string(store.content_file(&id)).unwrap(), text);
        assert_eq!(fs::metadata(store.content_file(&id)).unwrap().mode() & 0o777, 0o444);
        assert!(!store.repo().has_object(id), "the bytes lie in one place");
    }
    assert_clean(&sandbox);
}

#[test]
fn a_pushed_image_runs() {
    let sandbox = Sandbox::new();
    sandbox.busybox("box:1");
    let dir = clone(&sandbox, "clone", &["rd::box"]);
    fs::write(dir.join("greeting"), "hello from git\n").unwrap();
    commit_all(&sandbox, &dir, "greet");
    git(&sandbox, &dir, &["push", "-q", "origin", "HEAD:2"]);
    assert_eq!(sandbox.ok(["run", "--rm", "box:2", "cat", "/greeting"]), "hello from git\n");
    sandbox.ok(["run", "--name", "more", "box:2", "sh", "-c", "echo more >>/greeting"]);
    sandbox.ok(["commit", "-m", "more", "more", "box:2"]);
    git(&sandbox, &dir, &["pull", "-q", "--ff-only", "origin", "2"]);
    assert_eq!(fs::read_to_string(dir.join("greeting")).unwrap(), "hello from git\nmore\n");
    sandbox.ok(["rm", "more"]);
    assert_clean(&sandbox);
}

#[test]
fn a_merge_takes_metadata_from_both_sides() {
    let sandbox = filled();
    let dir = clone(&sandbox, "clone", &["rd::web"]);
    let base = git(&sandbox, &dir, &["rev-parse", "HEAD"]);
    fs::write(dir.join("side"), "side\n").unwrap();
    commit_all(&sandbox, &dir, "side");
    git(&sandbox, &dir, &["push", "-q", "origin", "HEAD:side"]);
    // On that side a container's commit gives a file to another owner.
    let script = "mkdir r2 && cd r2 && echo theirs >theirs && chown 55:66 theirs && chmod 4711 theirs && tar -cf ../r2.tar theirs";
    assert!(Command::new("sh").arg("-ec").arg(script).current_dir(sandbox.path()).status().unwrap().success());
    sandbox.ok(["import", "r2.tar", "web:theirs"]);
    git(&sandbox, &dir, &["fetch", "-q"]);
    git(&sandbox, &dir, &["reset", "-q", "--hard", base.trim()]);
    fs::write(dir.join("ours"), "ours\n").unwrap();
    commit_all(&sandbox, &dir, "ours");
    git(&sandbox, &dir, &["merge", "-q", "-m", "merge", "origin/side"]);
    git(&sandbox, &dir, &["merge", "-q", "--allow-unrelated-histories", "-m", "merge", "origin/theirs"]);
    git(&sandbox, &dir, &["push", "-q", "origin", "HEAD:merged"]);
    let top = meta(&sandbox, "web:merged", "");
    assert!(top.contains("theirs type=file mode=4711 uid=55 gid=66 size=7\n"), "{top}");
    assert!(top.contains("ours type=file mode=0644") && top.contains("side type=file mode=0644"), "{top}");
    assert_eq!(sandbox.ok(["log", "--oneline", "web:merged"]).lines().count(), 6);
    let amended = ["commit", "-q", "--amend", "-m", "amended"];
    git(&sandbox, &dir, &["checkout", "-q", "origin/theirs"]);
    git(&sandbox, &dir, &amended);
    git(&sandbox, &dir, &["push", "-q", "origin", "HEAD:refs/heads/amended"]);
    assert_eq!(
        sandbox.ok(["log", "--format=%s", "web:amended"]),
        "amended\n",
        "what looks like another commit is none"
    );
    assert_clean(&sandbox);
}

#[test]
fn a_root_without_a_parent_is_an_image_too() {
    let sandbox = Sandbox::new();
    sandbox.store();
    git(&sandbox, sandbox.path(), &["init", "-q", "--object-format=sha256", "fresh"]);
    let dir = sandbox.path().join("fresh");
    fs::write(dir.join("file"), "x\n").unwrap();
    commit_all(&sandbox, &dir, "first");
    git(&sandbox, &dir, &["push", "-q", "rd::brand/new", "HEAD:refs/heads/v1"]);
    assert_eq!(sandbox.ok(["show", "brand/new:v1:/file"]), "x\n");
    git(&sandbox, &dir, &["push", "-q", "--receive-pack", "rd receive-pack", "../store", "HEAD:refs/heads/other@v2"]);
    assert_eq!(sandbox.ok(["rev-parse", "other:v2"]), sandbox.ok(["rev-parse", "brand/new:v1"]));
    assert_clean(&sandbox);
}

#[test]
fn what_no_image_can_hold_is_refused() {
    let sandbox = filled();
    let dir = clone(&sandbox, "clone", &["rd::web"]);
    let files = snapshot(&sandbox.store_dir());
    let refused = |refspec: &str, says: &str| {
        let error = git_fails(&sandbox, &dir, &["push", "-q", "origin", refspec]);
        assert!(error.contains(says), "{says}: {error}");
        git(&sandbox, &dir, &["reset", "-q", "--hard", "origin/1"]);
    };
    fs::write(dir.join("etc/.gitignore"), "x\n").unwrap();
    commit_all(&sandbox, &dir, "ignore");
    refused(
        "HEAD:2",
        "refused entry 'etc/.gitignore': in a clone an image's file of this name is called '%%2Egitignore'",
    );
    fs::write(dir.join("%x"), "x\n").unwrap();
    commit_all(&sandbox, &dir, "percent");
    refused("HEAD:2", "'%%25x'");
    let head = git(&sandbox, &dir, &["rev-parse", "HEAD"]);
    git(&sandbox, &dir, &["update-index", "--add", "--cacheinfo", &format!("160000,{},module", head.trim())]);
    git(&sandbox, &dir, &["commit", "-q", "-m", "module"]);
    refused("HEAD:2", "refused entry 'module': an image has no submodules");
    refused("HEAD:refs/heads/a/b", "only branches named like tags");
    refused("HEAD:refs/tags/v1", "only branches named like tags");
    refused(":refs/heads/nope", "no such ref: 'refs/heads/nope'");
    assert_eq!(snapshot(&sandbox.store_dir()), files, "nothing is left behind");
    assert_clean(&sandbox);
}

#[test]
fn refs_move_by_compare_and_swap_all_or_nothing_where_asked() {
    let sandbox = filled();
    let dir = clone(&sandbox, "clone", &["rd::web"]);
    fs::write(dir.join("a"), "a\n").unwrap();
    commit_all(&sandbox, &dir, "a");
    let list = |sandbox: &Sandbox| sandbox.ok(["images", "--format", "{{.Tag}}"]);
    let error = git_fails(&sandbox, &dir, &["push", "-q", "--atomic", "origin", "HEAD:2", "HEAD:a/b"]);
    assert!(error.contains("another ref of this atomic push was refused"), "{error}");
    assert_eq!(list(&sandbox), "1\n");
    git_fails(&sandbox, &dir, &["push", "-q", "origin", "HEAD:2", "HEAD:a/b"]);
    let mut tags: Vec<String> = list(&sandbox).lines().map(str::to_owned).collect();
    tags.sort();
    assert_eq!(tags, ["1", "2"]);
    git(&sandbox, &dir, &["push", "-q", "--atomic", "origin", "HEAD:3", "HEAD:4", ":2"]);
    git(&sandbox, &dir, &["push", "-q", "origin", ":3"]);
    let mut tags: Vec<String> = list(&sandbox).lines().map(str::to_owned).collect();
    tags.sort();
    assert_eq!(tags, ["1", "4"]);
    // A client that has seen another state is told so.
    let (one, four) = (shown(&sandbox, "1"), shown(&sandbox, "4"));
    let stale = command(&four.to_string(), &one.to_string(), "refs/heads/web@1");
    let answer = push_raw(&sandbox, &[stale], &pack(&[]));
    assert!(answer.contains("ng refs/heads/web@1 'refs/heads/web@1' was changed by another command"), "{answer}");
    assert_clean(&sandbox);
}

/// What the branch of a tag shows.
fn shown(sandbox: &Sandbox, tag: &str) -> String {
    let line = git(sandbox, sandbox.path(), &["ls-remote", "rd::web", &format!("refs/heads/{tag}")]);
    line.split('\t').next().unwrap().to_owned()
}

#[test]
fn a_whole_store_is_pushed_in_its_own_format() {
    let sandbox = filled();
    sandbox.ok(["tag", "web:1", "team/app:x"]);
    sandbox.busybox("box:1");
    sandbox.ok(["run", "--name", "box", "box:1", "sh", "-c", "echo state >file; ln file other"]);
    sandbox.ok(["commit", "box", "made:1"]);
    sandbox.ok(["rm", "box"]);
    let mirror = clone(&sandbox, "mirror", &["--mirror", "-u", "rd upload-pack", "store"]);
    let other = Sandbox::new();
    let store = other.store();
    let url = store.dir().to_str().unwrap();
    let push = |refspecs: &[&str]| {
        let args = [&["push", "-q", "--receive-pack", "rd receive-pack", url], refspecs].concat();
        crate::stock_git::output(&sandbox, &mirror, &args)
    };
    assert!(push(&["refs/images/*:refs/images/*"]).status.success());
    for name in ["web:1", "team/app:x", "made:1"] {
        assert_eq!(other.ok(["rev-parse", name]), sandbox.ok(["rev-parse", name]));
    }
    assert_clean(&other);
    assert_eq!(other.ok(["run", "--rm", "made:1", "cat", "/other"]), "state\n");
    let tar = |sandbox: &Sandbox| sandbox.rd(["export", "web:1"]).assert().success().get_output().stdout.clone();
    assert_eq!(tar(&other), tar(&sandbox));
    assert!(push(&[":refs/images/docker.io/team/app@x"]).status.success());
    for (refspec, says) in [
        ("refs/heads/web@1:refs/images/docker.io/library/web@2", "push it to a branch"),
        ("refs/images/docker.io/library/web@1:refs/containers/box", "rd keeps it by itself"),
        ("refs/images/docker.io/library/web@1:refs/images/nonsense", "it is no name of an image"),
    ] {
        let output = push(&[refspec]);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && error.contains(says), "{error}");
    }
    assert_clean(&other);
}

#[test]
fn only_what_rd_would_write_becomes_an_image() {
    let sandbox = filled();
    let mirror = clone(&sandbox, "mirror", &["--mirror", "-u", "rd upload-pack", "store"]);
    let image = "refs/images/docker.io/library/web@1";
    let files = snapshot(&sandbox.store_dir());
    let lines = git(&sandbox, &mirror, &["ls-tree", image]);
    let tree = git(&sandbox, &mirror, &["rev-parse", &format!("{image}:rootfs")]);
    let meta_blob = git(&sandbox, &mirror, &["rev-parse", &format!("{image}:meta/%meta")]);
    let mut wrong_meta = git(&sandbox, &mirror, &["cat-file", "-p", meta_blob.trim()]);
    wrong_meta = wrong_meta.replace("mode=0755", "mode=00755");
    let write = |text: &str| write_object(&sandbox, &mirror, &["hash-object", "-w", "--stdin"], text);
    let meta_lines = git(&sandbox, &mirror, &["ls-tree", &format!("{image}:meta")]);
    let remake = |lines: &str| write_object(&sandbox, &mirror, &["mktree"], lines);
    let meta = |text: &str| {
        let meta_tree = remake(&meta_lines.replace(meta_blob.trim(), &write(text)));
        let old = git(&sandbox, &mirror, &["rev-parse", &format!("{image}:meta")]);
        lines.replace(old.trim(), &meta_tree)
    };
    let config = git(&sandbox, &mirror, &["rev-parse", &format!("{image}:config")]);
    let layer = git(&sandbox, &mirror, &["rev-parse", &format!("{image}:layer")]);
    let recipe = git(&sandbox, &mirror, &["ls-tree", layer.trim()]);
    let head = git(&sandbox, &mirror, &["rev-parse", &format!("{}:head", layer.trim())]);
    let text = git(&sandbox, &mirror, &["cat-file", "-p", head.trim()]);
    let other_digest = text.replace("diff-id sha256:", "diff-id sha256:0");
    let other_digest: String = other_digest.lines().map(|line| line[..line.len().min(79)].to_owned() + "\n").collect();
    let bad_layer = remake(&recipe.replace(head.trim(), &write(&other_digest)));
    let cases = [
        (lines.replace("\tconfig", "\tkonfig"), "has no 'konfig'"),
        (lines.replace("\tmeta", "\ttimes2"), "has no 'times2'"),
        (meta(&wrong_meta), "not encoded as rd encodes it"),
        (meta(&wrong_meta.replace("mode=00755", "mode=0755").replace("uid=0", "uid=x")), "uid is no number"),
        (lines.replace(config.trim(), &write("no json")), "invalid image configuration"),
        (lines.replace(layer.trim(), &bad_layer), "layer recipe"),
        (format!("040000 tree {}\trootfs\n", tree.trim()), "its tree has no 'meta'"),
    ];
    for (lines, says) in cases {
        let tree = remake(&lines);
        let commit = git(&sandbox, &mirror, &["commit-tree", "-m", "bad", "-p", image, &tree]);
        let refspec = format!("{}:refs/images/docker.io/library/bad@1", commit.trim());
        let error =
            git_fails(&sandbox, &mirror, &["push", "-q", "--receive-pack", "rd receive-pack", "../store", &refspec]);
        assert!(error.contains(says), "{says}: {error}");
        assert_eq!(snapshot(&sandbox.store_dir()), files, "{says}: nothing is left behind");
    }
    // A folder's total that is wrong, and a root that is right.
    let whole = git(&sandbox, &mirror, &["cat-file", "-p", meta_blob.trim()]);
    let size = whole.lines().next().unwrap().rsplit("size=").next().unwrap().to_owned();
    for (text, says) in [
        (whole.replacen(&format!("size={size}"), "size=1", 1), Some("it says that its files have 1 bytes")),
        (whole, None),
    ] {
        let tree = remake(&meta(&text));
        let commit = git(&sandbox, &mirror, &["commit-tree", "-m", "own", "-p", image, &tree]);
        let refspec = format!("{}:refs/images/docker.io/library/own@1", commit.trim());
        let output = crate::stock_git::output(
            &sandbox,
            &mirror,
            &["push", "-q", "--receive-pack", "rd receive-pack", "../store", &refspec],
        );
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(says.map_or(output.status.success(), |says| error.contains(says)), "{error}");
    }
    assert_eq!(sandbox.ok(["log", "--format=%s", "-n1", "own:1"]), "own\n");
    assert_clean(&sandbox);
}

/// Feed git `text`; the id that it prints.
fn write_object(sandbox: &Sandbox, dir: &Path, args: &[&str], text: &str) -> String {
    String::from_utf8(write_bytes(sandbox, dir, args, text.as_bytes())).unwrap().trim().to_owned()
}

/// All files of a store with their sizes and times.
fn snapshot(dir: &Path) -> Vec<(PathBuf, u64, i64)> {
    let mut list = Vec::new();
    let mut waiting = vec![dir.to_owned()];
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let about = path.symlink_metadata().unwrap();
            if about.is_dir() { waiting.push(path) } else { list.push((path, about.size(), about.mtime_nsec())) }
        }
    }
    list.sort();
    list
}

#[test]
fn plain_refs_take_any_objects_that_are_sound() {
    let sandbox = filled();
    git(&sandbox, sandbox.path(), &["init", "-q", "--object-format=sha256", "fresh"]);
    let dir = sandbox.path().join("fresh");
    fs::write(dir.join(".gitignore"), "x\n").unwrap();
    commit_all(&sandbox, &dir, "first");
    git(&sandbox, &dir, &["tag", "-a", "-m", "note", "v1"]);
    let push = |refspecs: &[&str]| {
        git(&sandbox, &dir, &[&["push", "-q", "--receive-pack", "rd receive-pack", "../store"], refspecs].concat())
    };
    push(&["HEAD:refs/heads/scripts", "v1"]);
    assert_git_is_content(&sandbox, &sandbox.store_dir());
    assert_eq!(git(&sandbox, &sandbox.store_dir(), &["show", "scripts:.gitignore"]), "x\n");
    fs::write(dir.join(".gitignore"), "y\n").unwrap();
    commit_all(&sandbox, &dir, "second");
    push(&["HEAD:refs/heads/scripts", ":v1"]);
    assert_eq!(git(&sandbox, &sandbox.store_dir(), &["log", "--format=%s", "scripts"]), "second\nfirst\n");
    sandbox.rd(["fsck"]).assert().success();
}

#[test]
fn shallow_and_partial_clones_push_too() {
    let sandbox = filled();
    let tip = sandbox.store().get_ref("refs/images/docker.io/library/web@1").unwrap().unwrap();
    let second =
        sandbox.commit(&Change { parents: &[tip], files: &[("b", "b\n")], message: "second", ..Change::default() });
    sandbox.tag(second, "web:1");
    for (name, option) in [("shallow", "--depth=1"), ("partial", "--filter=blob:none")] {
        let dir = clone(&sandbox, name, &[option, "rd::web:1"]);
        fs::write(dir.join("etc/hostname"), name).unwrap();
        commit_all(&sandbox, &dir, name);
        git(&sandbox, &dir, &["push", "-q", "origin", &format!("HEAD:{name}")]);
        let image = format!("web:{name}");
        let subject = ["log", "--format=%s", "-n2", image.as_str()];
        assert_eq!(sandbox.ok(subject), format!("{name}\nsecond\n"));
        assert_eq!(sandbox.ok(["show", &format!("{image}:/etc/hostname")]), name);
        assert_eq!(sandbox.ok(["rev-parse", &format!("{image}~2")]), format!("{tip}\n"));
    }
    assert_clean(&sandbox);
}

#[test]
fn of_pushes_at_the_same_time_one_moves_the_ref() {
    let sandbox = filled();
    let dirs: Vec<PathBuf> = (0..6)
        .map(|number| {
            let dir = clone(&sandbox, &format!("clone{number}"), &["rd::web"]);
            fs::write(dir.join("etc/hostname"), number.to_string()).unwrap();
            commit_all(&sandbox, &dir, &number.to_string());
            dir
        })
        .collect();
    let (own, shared) = (|number: usize| format!("HEAD:own{number}"), "HEAD:1");
    let pushes: Vec<_> = dirs
        .iter()
        .enumerate()
        .map(|(number, dir)| {
            let args = ["push", "-q", "origin", &own(number), shared];
            crate::stock_git::command(&sandbox, dir, &args).stderr(std::process::Stdio::null()).spawn().unwrap()
        })
        .collect();
    let won = pushes.into_iter().filter_map(|mut push| push.wait().unwrap().success().then_some(())).count();
    assert_eq!(won, 1, "all started from the same commit");
    let winner = sandbox.ok(["show", "web:1:/etc/hostname"]);
    for number in 0..6 {
        let image = format!("web:own{number}");
        // git doesn't send a ref where it sees beforehand that another one has moved on.
        if sandbox.ok(["images", "-q", &image]).is_empty() {
            continue;
        }
        assert_eq!(sandbox.ok(["show", &format!("{image}:/etc/hostname")]), number.to_string());
    }
    assert_eq!(sandbox.ok(["log", "--format=%s", "-n1", "web:1"]), format!("{winner}\n"));
    assert_clean(&sandbox);
}

#[test]
fn a_push_killed_at_any_moment_leaves_a_good_store() {
    use std::io::{Read, Write};
    use std::process::Stdio;
    let sandbox = filled();
    let dir = clone(&sandbox, "clone", &["rd::web"]);
    let large: String = (0..60_000).map(|number| format!("{number}\n")).collect();
    for number in 0..40 {
        fs::write(dir.join(format!("file{number}")), format!("{number}{large}")).unwrap();
    }
    commit_all(&sandbox, &dir, "many");
    let head = git(&sandbox, &dir, &["rev-parse", "HEAD"]);
    let revs =
        write_bytes(&sandbox, &dir, &["pack-objects", "--stdout", "--revs", "--thin", "-q"], b"HEAD\n^origin/1\n");
    let line = command(&"0".repeat(64), head.trim(), "refs/heads/web@2");
    let input = [line.as_bytes(), b"0000", &revs].concat();
    for part in 0..=12 {
        let mut server = Command::new(env!("CARGO_BIN_EXE_rd"))
            .arg("receive-pack")
            .arg(sandbox.store_dir())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = server.stdin.take().unwrap();
        stdin.write_all(&input[..input.len() * part.min(10) / 10]).unwrap();
        if part > 10 {
            // It is somewhere between the last object and the ref.
            drop(stdin);
            let mut first = [0];
            server.stdout.take().unwrap().read_exact(&mut first).unwrap();
        }
        server.kill().unwrap();
        server.wait().unwrap();
        assert_git_is_content(&sandbox, &sandbox.store_dir());
        sandbox.rd(["fsck"]).assert().success();
    }
    git(&sandbox, &dir, &["push", "-q", "-f", "origin", "HEAD:2"]);
    assert_eq!(sandbox.ok(["show", "web:2:/file7"]), format!("7{large}"));
    let staged = fs::read_dir(sandbox.store_dir().join("content")).unwrap();
    let staged = staged.filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("tmp-"));
    assert_eq!(staged.count(), 0, "what the killed ones staged is cleared");
    assert_clean(&sandbox);
}

/// Feed git `input`; what it prints.
fn write_bytes(sandbox: &Sandbox, dir: &Path, args: &[&str], input: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut command = crate::stock_git::command(sandbox, dir, args);
    let mut child = command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "git {args:?}");
    output.stdout
}

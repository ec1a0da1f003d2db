//! `rd checkout-tree`

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use crate::import::sh;
use crate::ls_root::everything;
use crate::sandbox::{Change, Sandbox, wait_for};

fn write_tree(sandbox: &Sandbox, dir: &str) -> String {
    sandbox.ok(["write-tree", dir]).trim().to_owned()
}

/// What is beside the folders of a test, which must be nothing.
fn left_over(sandbox: &Sandbox) -> Vec<String> {
    let names = fs::read_dir(sandbox.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with(".rd-")).collect()
}

#[test]
fn checkout_tree_and_write_tree_give_the_same_tree() {
    let sandbox = Sandbox::new();
    let tree = everything(&sandbox);
    assert_eq!(sandbox.ok(["checkout-tree", &tree, "missing"]), "");
    assert_eq!(write_tree(&sandbox, "missing"), tree);
    // A folder that is there may have what its entries would inherit, and what the root's doesn't have.
    sh(
        sandbox.path(),
        "mkdir there && setfacl -m u:9:rwx -d -m u:9:rwx there && setfattr -n user.x -v y there && chmod g+s there",
    );
    sandbox.ok(["checkout-tree", &tree, "there"]);
    assert_eq!(write_tree(&sandbox, "there"), tree);
    symlink("behind", sandbox.path().join("link")).unwrap();
    fs::create_dir(sandbox.path().join("behind")).unwrap();
    sandbox.ok(["checkout-tree", &tree, "link/"]);
    assert_eq!(write_tree(&sandbox, "behind"), tree);
    let sparse = fs::metadata(sandbox.path().join("missing/etc/sparse")).unwrap();
    assert!(sparse.blocks() * 512 < sparse.len(), "it has kept its hole");
    assert_eq!(left_over(&sandbox), [""; 0]);
}

#[test]
fn checkout_tree_of_a_folder_keeps_the_links_in_it() {
    let sandbox = Sandbox::new();
    sh(sandbox.path(), "mkdir -p r/a/b && echo 1 > r/a/x && ln r/a/x r/a/b/y && ln r/a/x r/z && touch -d @1 r/a/b r/a");
    let tree = write_tree(&sandbox, "r");
    sandbox.ok(["checkout-tree", &format!("{tree}:/a"), "a"]);
    assert_eq!(write_tree(&sandbox, "a"), write_tree(&sandbox, "r/a"));
    assert_eq!(fs::metadata(sandbox.path().join("a/b/y")).unwrap().nlink(), 2);
}

#[test]
fn checkout_tree_refuses_what_is_not_empty_and_force_replaces() {
    let sandbox = Sandbox::new();
    let tree = everything(&sandbox);
    sh(
        sandbox.path(),
        "mkdir -p out/etc outside && echo keep > out/etc/keep && echo old > out/etc/motd && ln -s ../outside out/bin && \
         ln -s ../../outside/new out/etc/link && mkdir out/empty && setfattr -n user.x -v y out/empty && echo 1 > outside/1",
    );
    let before = write_tree(&sandbox, "out");
    let stderr = sandbox.fails(2, ["checkout-tree", &tree, "out"]);
    assert_eq!(
        stderr,
        "error: invalid folder 'out': it is not empty\nhint: empty it, or let --force replace what is in the way\n"
    );
    assert_eq!(write_tree(&sandbox, "out"), before);
    sandbox.ok(["checkout-tree", "--force", &tree, "out"]);
    assert_eq!(sandbox.ok(["diff-root", "--name-status", &tree, &write_tree(&sandbox, "out")]), "A\tetc/keep\n");
    assert_eq!(fs::read_dir(sandbox.path().join("outside")).unwrap().count(), 1, "no link was followed");
    // A folder is never removed for a file.
    sh(sandbox.path(), "rm out/etc/motd && mkdir out/etc/motd");
    let stderr = sandbox.fails(2, ["checkout-tree", "-f", &tree, "out"]);
    assert!(stderr.starts_with("error: can't create '/etc/motd'"), "{stderr}");
    assert!(sandbox.path().join("out/.rd-checkout-unfinished").exists());
    sh(sandbox.path(), "rmdir out/etc/motd");
    sandbox.ok(["checkout-tree", "-f", &tree, "out"]);
    assert!(!sandbox.path().join("out/.rd-checkout-unfinished").exists());
}

#[test]
fn checkout_tree_goes_into_no_mount() {
    let sandbox = Sandbox::new();
    let tree = everything(&sandbox);
    sh(sandbox.path(), "mkdir -p out/etc outside && echo 1 > outside/1");
    let rd = env!("CARGO_BIN_EXE_rd");
    let script = format!(
        "unshare -m sh -c 'mount --bind outside out/etc && ! {rd} --root {} checkout-tree -f {tree} out' 2>&1",
        sandbox.store_dir().display()
    );
    let shown = String::from_utf8(sh(sandbox.path(), &script)).unwrap();
    assert!(shown.starts_with("error: can't open '/etc'"), "{shown}");
    assert_eq!(fs::read_dir(sandbox.path().join("outside")).unwrap().count(), 1);
}

#[test]
fn checkout_tree_of_nothing_changes_nothing() {
    let sandbox = Sandbox::new();
    sandbox.image("web", &[("a", "b")]);
    assert!(sandbox.fails(2, ["checkout-tree", "none", "out"]).starts_with("error: no such image: 'none'"));
    assert!(sandbox.fails(2, ["checkout-tree", "web:config", "out"]).contains("names neither a commit nor a tree"));
    assert!(sandbox.fails(2, ["checkout-tree", "web", "none/out"]).starts_with("error: can't list 'none'"));
    symlink("none", sandbox.path().join("dangling")).unwrap();
    assert!(sandbox.fails(2, ["checkout-tree", "web", "dangling"]).starts_with("error: can't open 'dangling'"));
    fs::write(sandbox.path().join("file"), "").unwrap();
    assert!(sandbox.fails(2, ["checkout-tree", "web", "file"]).starts_with("error: can't open 'file'"));
    assert!(!sandbox.path().join("out").exists());
}

/// An image and its largest content's file.
fn image_and_content(sandbox: &Sandbox) -> std::path::PathBuf {
    let text = "x".repeat(5000);
    sandbox.image("web", &[("a/1", "1"), ("b/2", "2"), ("c/large", &text), ("z/9", "9")]);
    let id = sandbox.ok(["ls-root", "--format", "%(id)", "web", "c/large"]);
    let (folder, rest) = id.trim().split_at(2);
    sandbox.store_dir().join("content").join(folder).join(rest)
}

#[test]
fn a_checkout_that_fails_leaves_nothing() {
    let sandbox = Sandbox::new();
    let content = image_and_content(&sandbox);
    fs::remove_file(&content).unwrap();
    fs::write(&content, "short").unwrap();
    let there = sandbox.path().join("there");
    fs::create_dir(&there).unwrap();
    sh(sandbox.path(), "touch -d @7 there && setfacl -d -m u:9:rwx there");
    let before = write_tree(&sandbox, "there");
    for dir in ["missing", "there"] {
        let stderr = sandbox.fails(2, ["checkout-tree", "web", dir]);
        assert!(stderr.contains("it has 5 bytes, not 5000"), "{stderr}");
    }
    fs::remove_file(&content).unwrap();
    assert!(sandbox.fails(2, ["checkout-tree", "web", "missing"]).contains("is missing"));
    assert!(!sandbox.path().join("missing").exists());
    assert_eq!(write_tree(&sandbox, "there"), before);
    assert_eq!(left_over(&sandbox), [""; 0]);
}

#[test]
fn a_killed_checkout_is_never_taken_for_a_whole_one() {
    let sandbox = Sandbox::new();
    let content = image_and_content(&sandbox);
    let bytes = fs::read(&content).unwrap();
    // Whoever opens it waits for ever.
    fs::remove_file(&content).unwrap();
    sh(content.parent().unwrap(), &format!("mkfifo {}", content.file_name().unwrap().to_str().unwrap()));
    fs::create_dir(sandbox.path().join("there")).unwrap();
    for dir in ["missing", "there"] {
        let mut running = sandbox.spawn(["checkout-tree", "web", dir]);
        let at_work = |folder: &Path| folder.join("c/large").exists().then_some(());
        wait_for(|| match dir {
            "there" => at_work(&sandbox.path().join(dir)),
            _ => at_work(&sandbox.path().join(left_over(&sandbox).first()?)),
        });
        running.kill();
        assert_eq!(running.wait(), -1);
    }
    assert!(!sandbox.path().join("missing").exists());
    assert!(sandbox.path().join("there/.rd-checkout-unfinished").exists());
    fs::remove_file(&content).unwrap();
    fs::write(&content, bytes).unwrap();
    let stderr = sandbox.fails(2, ["checkout-tree", "web", "there"]);
    assert!(stderr.contains("it holds what an interrupted checkout left"), "{stderr}");
    assert_eq!(left_over(&sandbox).len(), 1);
    sandbox.ok(["checkout-tree", "web", "missing"]);
    assert_eq!(left_over(&sandbox), [""; 0], "the next checkout clears up");
    sandbox.ok(["checkout-tree", "--force", "web", "there"]);
    assert_eq!(write_tree(&sandbox, "there"), write_tree(&sandbox, "missing"));
}

#[test]
fn checkout_tree_goes_as_deep_as_it_has_to() {
    let sandbox = Sandbox::new();
    let long = ["n"; 200].concat() + "/";
    let (wide, deep) = (long.repeat(25) + "file", "d/".repeat(600) + "file");
    let files = [(wide.as_str(), "1"), (deep.as_str(), "2")];
    let id = sandbox.commit(&Change { files: &files, links: &[(&wide, "link")], ..Change::default() }).to_string();
    let few = format!("ulimit -n 60; {} --root store checkout-tree {id} out", env!("CARGO_BIN_EXE_rd"));
    sh(sandbox.path(), &few);
    assert_eq!(sandbox.ok(["diff-root", &id, &write_tree(&sandbox, "out")]), "");
}

#[test]
fn checkout_tree_keeps_names_that_the_marker_would_have() {
    let sandbox = Sandbox::new();
    sh(sandbox.path(), "mkdir r there && echo 1 > r/.rd-checkout-unfinished && touch r/.rd-checkout-unfinished~");
    let tree = write_tree(&sandbox, "r");
    sandbox.ok(["checkout-tree", &tree, "there"]);
    assert_eq!(write_tree(&sandbox, "there"), tree);
}

/// The bytes of a tree, whatever its entries are called.
fn raw_tree(entries: &[(&str, &str, plumbing::Id)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (mode, name, id) in entries {
        bytes.extend_from_slice(format!("{mode} {name}\0").as_bytes());
        bytes.extend_from_slice(id.as_slice());
    }
    bytes
}

/// A root with one file called `line` in its metadata and `name` in its trees, and a link to the folder `outside`.
fn hostile(sandbox: &Sandbox, name: &str, line: &str) -> String {
    use plumbing::gix::objs::Kind;
    let store = sandbox.store();
    let mut batch = store.batch();
    let content = batch.contents().unwrap().put(b"evil").unwrap();
    let link = batch.write_blob(b"../outside").unwrap();
    let own = "mode=0755 uid=0 gid=0";
    let mut lines = [format!("{line} type=file {own} size=4\n"), format!("link type=link {own}\n")];
    lines.sort();
    let meta = batch.write_blob(format!(". type=dir {own} size=4\n{}", lines.concat()).as_bytes()).unwrap();
    let mut lines = [format!("{line} time=0.000000000\n"), "link time=0.000000000\n".into()];
    lines.sort();
    let times = batch.write_blob(format!(". time=0.000000000\n{}", lines.concat()).as_bytes()).unwrap();
    let mut files = [("100755", name, content), ("120000", "link", link)];
    files.sort_by_key(|(_, name, _)| *name);
    let rootfs = batch.write(Kind::Tree, &raw_tree(&files)).unwrap();
    let meta = batch.write(Kind::Tree, &raw_tree(&[("100644", "%meta", meta)])).unwrap();
    let times = batch.write(Kind::Tree, &raw_tree(&[("100644", "%times", times)])).unwrap();
    let parts = [("40000", "meta", meta), ("40000", "rootfs", rootfs), ("40000", "times", times)];
    let tree = batch.write(Kind::Tree, &raw_tree(&parts)).unwrap();
    batch.finish().unwrap();
    tree.to_string()
}

#[test]
fn a_hostile_tree_reaches_nothing_outside() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path().join("outside")).unwrap();
    let harmless = hostile(&sandbox, "a", "a");
    sandbox.ok(["checkout-tree", &harmless, "good"]);
    assert_eq!(fs::read(sandbox.path().join("good/a")).unwrap(), b"evil");
    for (name, line) in [
        ("..", ".."),
        ("../outside/x", "../outside/x"),
        ("link/x", "link/x"),
        ("%%2E%2E", ".."),
        ("%link%2Fx", "link/x"),
        ("/etc/evil", "/etc/evil"),
        ("a", "../outside/x"),
        ("%meta", "%meta"),
    ] {
        let tree = hostile(&sandbox, name, line);
        fs::create_dir_all(sandbox.path().join("there")).unwrap();
        for dir in ["missing", "there"] {
            let stderr = sandbox.fails(2, ["checkout-tree", &tree, dir]);
            assert!(stderr.starts_with("error: damaged "), "{name}: {stderr}");
        }
        assert!(!sandbox.path().join("missing").exists());
        assert_eq!(fs::read_dir(sandbox.path().join("there")).unwrap().count(), 0, "{name}");
    }
    assert_eq!(fs::read_dir(sandbox.path().join("outside")).unwrap().count(), 0);
    assert_eq!(left_over(&sandbox), [""; 0]);
}

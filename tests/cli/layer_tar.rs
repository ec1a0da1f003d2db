//! `rd layer-tar`

use crate::import::{sh, small_tar};
use crate::ls_root::everything;
use crate::sandbox::{Change, Sandbox};

/// What rd prints, as bytes.
fn bytes(sandbox: &Sandbox, args: &[&str]) -> Vec<u8> {
    sandbox.rd(args).assert().success().get_output().stdout.clone()
}

#[test]
fn layer_tar_of_an_import_is_the_archive() {
    let sandbox = Sandbox::new();
    let tar = small_tar(&sandbox);
    sandbox.ok(["import", "small.tar", "web"]);
    assert_eq!(bytes(&sandbox, &["layer-tar", "web"]), tar);
    assert_eq!(sandbox.ok(["layer-tar", "web", "-o", "out.tar"]), "");
    assert_eq!(std::fs::read(sandbox.path().join("out.tar")).unwrap(), tar);
}

#[test]
fn layer_tar_of_a_commit_is_what_differs_from_its_parent() {
    let sandbox = Sandbox::new();
    let files = [("etc/a", "1"), ("etc/b", "2"), ("srv/www/x", "3"), ("srv/www/y", "4"), ("usr/bin/perl", "p")];
    let base =
        sandbox.commit(&Change { files: &files, links: &[("usr/bin/perl", "usr/bin/perl5")], ..Change::default() });
    sandbox.tag(base, "base");
    sandbox.ok(["checkout-tree", "base", "r"]);
    sh(
        sandbox.path(),
        "cd r && rm -r srv/www etc/b && echo new > etc/c && ln usr/bin/perl usr/local && ln -s c etc/d && chmod 700 etc && \
         find . -exec touch -h -d @5 {} +",
    );
    let tree = sandbox.ok(["write-tree", "r"]);
    let config = sandbox.ok(["rev-parse", "base:config"]);
    let entries = sandbox.ok(["ls-tree", tree.trim()]) + &format!("100644 blob {}\tconfig\n", config.trim());
    let with_config = sandbox.rd(["mktree"]).stdin(entries).assert().success().get_output().stdout.clone();
    let with_config = String::from_utf8(with_config).unwrap();
    let commit = sandbox.ok(["commit-tree", "-p", "base", "-m", "x", with_config.trim()]);
    let tar = bytes(&sandbox, &["layer-tar", commit.trim()]);
    assert_eq!(tar, bytes(&sandbox, &["layer-tar", commit.trim()]));
    std::fs::write(sandbox.path().join("layer.tar"), &tar).unwrap();
    let listed = String::from_utf8(sh(sandbox.path(), "tar -tf layer.tar")).unwrap();
    assert_eq!(
        listed.lines().collect::<Vec<_>>(),
        [
            "./",
            "etc/",
            "etc/.wh.b",
            "etc/a",
            "etc/c",
            "etc/d",
            "srv/",
            "srv/.wh.www",
            "usr/",
            "usr/local",
            "usr/bin/",
            "usr/bin/perl",
            "usr/bin/perl5"
        ]
    );
    let long = String::from_utf8(sh(sandbox.path(), "tar -tvf layer.tar")).unwrap();
    assert!(long.contains("usr/bin/perl link to usr/local"), "{long}");
    let whiteout = long.lines().find(|line| line.contains(".wh.b")).unwrap();
    assert!(whiteout.starts_with("-rw-r--r-- 0/0               0 1970-01-01"), "{whiteout}");
    // The first commit brings all of it.
    std::fs::write(sandbox.path().join("all.tar"), bytes(&sandbox, &["layer-tar", "base"])).unwrap();
    let all = String::from_utf8(sh(sandbox.path(), "tar -tf all.tar")).unwrap();
    assert_eq!(all.lines().count(), 12, "{all}");
    assert!(!all.contains(".wh."), "{all}");
}

#[test]
fn layers_that_others_unpack_give_the_files() {
    let sandbox = Sandbox::new();
    everything(&sandbox);
    sh(sandbox.path(), "rm r/.wh.x && touch -d @1 r");
    let tree = sandbox.ok(["write-tree", "r"]);
    let config = sandbox.image("web", &[]);
    let config = sandbox.ok(["rev-parse", &format!("{config}:config")]);
    let entries = sandbox.ok(["ls-tree", tree.trim()]) + &format!("100644 blob {}\tconfig\n", config.trim());
    let made = sandbox.rd(["mktree"]).stdin(entries).assert().success().get_output().stdout.clone();
    let commit = sandbox.ok(["commit-tree", "-m", "x", String::from_utf8(made).unwrap().trim()]);
    std::fs::write(sandbox.path().join("layer.tar"), bytes(&sandbox, &["layer-tar", commit.trim()])).unwrap();
    // GNU tar knows no sockets.
    sh(
        sandbox.path(),
        "mkdir out && tar -C out --xattrs --xattrs-include='*' --same-owner -xpf layer.tar && rm out/dev/socket r/dev/socket && \
         touch -d @1 out/dev r/dev",
    );
    let (wanted, found) = (sandbox.ok(["write-tree", "r"]), sandbox.ok(["write-tree", "out"]));
    assert_eq!(sandbox.ok(["diff-root", wanted.trim(), found.trim()]), "");
}

#[test]
fn layer_tar_of_nothing_leaves_no_file() {
    let sandbox = Sandbox::new();
    sandbox.image("bad", &[(".wh.a", "")]);
    assert!(sandbox.fails(2, ["layer-tar", "none", "-o", "out.tar"]).starts_with("error: no such image: 'none'"));
    let stderr = sandbox.fails(2, ["layer-tar", "bad", "-o", "out.tar"]);
    assert!(stderr.starts_with("error: unsupported entry '.wh.a' in a layer"), "{stderr}");
    assert!(!sandbox.path().join("out.tar").exists());
    assert!(sandbox.fails(2, ["layer-tar", "bad:/", "-o", "out.tar"]).starts_with("error: "));
}

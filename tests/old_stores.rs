//! Stores that earlier versions of rd wrote stay readable. They are never made again, see `tests/stores/README.md`.

use std::path::Path;
use std::process::{Command, Output};

/// A store of format 1, unpacked.
struct OldStore {
    dir: tempfile::TempDir,
}

impl OldStore {
    fn unpack() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let archive = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stores/format-1.tar.xz");
        let status = Command::new("tar").arg("-C").arg(dir.path()).arg("-xJf").arg(archive).status().unwrap();
        assert!(status.success());
        Self { dir }
    }

    fn command(&self, program: &str, args: &[&str]) -> Output {
        let mut command = Command::new(program);
        command.env("RD_ROOT", self.dir.path().join("store")).current_dir(self.dir.path()).args(args);
        command.output().unwrap()
    }

    fn rd(&self, args: &[&str]) -> String {
        let output = self.command(env!("CARGO_BIN_EXE_rd"), args);
        assert!(output.status.success(), "rd {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

#[test]
fn every_commit_of_an_old_store_is_there_and_whole() {
    let store = OldStore::unpack();
    assert_eq!(store.rd(&["fsck", "--full"]), "");
    let log = store.rd(&["log", "--format=%H %T %s", "old:3"]);
    assert_eq!(
        log,
        "86b09760d4c55ef7a52e95ec9171c14b6911c8ae2b67769ec20f00ebd5902f73 \
         d1af58556d3b0799066a512e4a9a3fb8a35ba7ae06c97ba670d3033340a22e4c of a container\n\
         70eab9addd9aa82dee2ef3cf56bf4e51681515500ed1e6d74397891b2b9dabde \
         edb3328d474db78ca3745a1adb940cedee1090897966830c56da40b723e30c97 create box from old:1\n\
         38cfbf6f0a533d9831361a06859ccb8d52d56621c592d3990172fc40eb88016c \
         1f3baeab580303e5a3296f77c89872115f37328a885a99fde4ca00a494fb07f2 first\n"
    );
    assert_eq!(store.rd(&["rev-parse", "localhost:5000/team/old:v1..2"]), store.rd(&["rev-parse", "old:1"]));
}

#[test]
fn the_files_of_an_old_store_come_out_as_they_went_in() {
    let store = OldStore::unpack();
    let listing = store.rd(&["ls-tree", "-r", "old:1:rootfs"]);
    assert_eq!(listing.lines().count(), 7, "{listing}");
    assert_eq!(store.rd(&["show", "old:1:/etc/a"]), "one\n");
    assert_eq!(store.rd(&["diff", "--name-status", "old:1", "old:2", "--", "etc", "bin"]), "D\tbin/b\nM\tetc/a\n");
    let tar = store.dir.path().join("out.tar");
    store.rd(&["export", "-o", tar.to_str().unwrap(), "old:1"]);
    // What is exported and imported again is the same root.
    store.rd(&["import", tar.to_str().unwrap(), "again"]);
    for tree in ["rootfs", "meta", "times"] {
        let id = |image: &str| store.rd(&["rev-parse", &format!("{image}:{tree}")]);
        assert_eq!(id("again:latest"), id("old:1"), "{tree}");
    }
}

#[test]
fn an_old_container_can_be_committed_and_removed() {
    let store = OldStore::unpack();
    assert!(store.rd(&["ps", "-a"]).contains("box"));
    assert_eq!(store.rd(&["diff", "box"]), "");
    let id = store.rd(&["commit", "-m", "later", "box"]);
    assert_eq!(store.rd(&["log", "-n1", "--format=%s", id.trim()]), "later\n");
    store.rd(&["rm", "box"]);
    assert_eq!(store.rd(&["fsck"]), "");
}

#[test]
fn an_old_store_is_kept_from_gits_housekeeping_once_it_was_opened() {
    let store = OldStore::unpack();
    let config = || std::fs::read_to_string(store.dir.path().join("store/config")).unwrap();
    assert!(!config().contains("preciousObjects"));
    assert_eq!(store.rd(&["fsck"]), "");
    let upgraded = config();
    for line in ["preciousObjects = true", "multiPackIndex = false", "reflogExpire = never", "format = 1"] {
        assert!(upgraded.contains(line), "{upgraded}");
    }
    let git = |args: &[&str]| store.command("git", &[&["-C", "store"], args].concat());
    let url = store.dir.path().join("store");
    assert!(git(&["config", "remote.rd.url", url.to_str().unwrap()]).status.success());
    for args in [&["gc", "--prune=now"][..], &["fsck", "--strict"]] {
        let output = git(args);
        assert!(output.status.success(), "git {args:?}: {output:?}");
    }
    assert!(!git(&["prune", "--expire=now"]).status.success());
    assert_eq!(store.rd(&["fsck", "--full"]), "");
    // Nothing is written a second time.
    let before = config();
    assert_eq!(store.rd(&["fsck"]), "");
    assert_eq!(config(), before);
}

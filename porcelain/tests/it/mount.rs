//! Every way of mounting a root, with the images that the store makes.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use plumbing::root::{Attrs, Root, Time};

use crate::fixture::{Store, attributes, success};
use crate::trials;

trials!(
    every_strategy_shows_the_same_root,
    the_upper_folder_is_plain_under_every_strategy,
    a_remembered_strategy_that_fails_is_not_the_end,
    a_broken_image_is_an_error,
);

/// Stores the fixture's root as a commit and returns what to mount for it, as JSON.
fn image(store: &Store) -> String {
    let objects = plumbing::Store::open_or_create(store.path()).unwrap();
    let mut batch = objects.batch();
    let time = Time { sec: 1_700_000_000, nsec: 5 };
    let mut root = Root::new(Attrs { mode: 0o751, ..Attrs::default() }, time);
    let mut cache = plumbing::stat_cache::StatCache::open(store.path().join("stat-cache"));
    plumbing::capture::capture(&mut root, &store.root(), &Default::default(), &mut cache, &mut batch).unwrap();
    let state = plumbing::commit::State {
        root: root.write(&mut batch).unwrap(),
        config: batch.write_blob(b"{}").unwrap(),
        manifest: None,
        layer: None,
        container: None,
    };
    let who = plumbing::commit::neutral_signature(0);
    let new = plumbing::commit::NewCommit { parents: vec![], author: who.clone(), committer: who, message: "x".into() };
    let commit = batch.write_commit(&state, new).unwrap();
    batch.finish().unwrap();
    serde_json::to_string(&porcelain::container::lower(&objects, &commit).unwrap()).unwrap()
}

fn remember(store: &Store, strategy: &str) {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    fs::write(store.path().join("mounts/strategy"), format!("{release}\t{strategy}\n")).unwrap();
}

fn remembered(store: &Store) -> String {
    let text = fs::read_to_string(store.path().join("mounts/strategy")).unwrap();
    text.trim_end().split('\t').nth(1).unwrap().to_owned()
}

/// Runs `script` on each strategy that this kernel has, with the name of the strategy.
fn on_each(script: &str, mut check: impl FnMut(&str, &str, &Path)) {
    for strategy in ["erofs", "erofs-loop", "folder"] {
        let store = Store::new();
        fs::create_dir(store.root().join("folder")).unwrap();
        fs::set_permissions(store.root(), PermissionsExt::from_mode(0o751)).unwrap();
        fs::write(store.root().join("folder/inner"), "inner".repeat(100)).unwrap();
        fs::write(store.root().join("data/big"), "0123456789".repeat(10_000)).unwrap();
        let then = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
        fs::File::open(store.root()).unwrap().set_modified(then).unwrap();
        let lower = match strategy {
            "folder" => serde_json::to_string(&porcelain::rootfs::Lower::Folder(store.root())).unwrap(),
            _ => image(&store),
        };
        remember(&store, strategy);
        let config = store.shell(script);
        let output = store.front_on(&lower, &config, "attached").output().unwrap();
        let text = success(&output);
        if strategy != "folder" {
            assert_eq!(remembered(&store), strategy);
        }
        store.assert_clean(&config.id);
        let container = store.containers().find(config.id.as_str()).unwrap();
        check(strategy, &text, &container.folder.upper());
    }
}

fn every_strategy_shows_the_same_root() {
    let script = "ls -1 / | tr '\\n' ' '; wc -c < /data/big; md5sum < /data/big; cat /data/file; ls -l /bin/sh | grep -o 'busybox$'; stat -c '%a %Y' /";
    let mut seen = Vec::new();
    on_each(script, |strategy, text, _| {
        assert!(text.contains("100000\n") && text.contains("content\nbusybox\n"), "{strategy}: {text}");
        assert!(text.ends_with("751 1700000000\n"), "{strategy}: {text}");
        seen.push(text.to_owned());
    });
    assert!(seen.iter().all(|text| text == &seen[0]), "{seen:?}");
}

fn the_upper_folder_is_plain_under_every_strategy() {
    let script = "chmod 600 /data/big; ln /folder/inner /linked; mv /folder /renamed; echo x >> /data/file; rm /etc/group; mv /data/file /moved";
    on_each(script, |strategy, _, upper| {
        let big = fs::metadata(upper.join("data/big")).unwrap();
        assert_eq!((big.mode() & 0o7777, big.len()), (0o600, 100_000), "{strategy}");
        assert_eq!(fs::read_to_string(upper.join("data/big")).unwrap(), "0123456789".repeat(10_000), "{strategy}");
        assert_eq!(fs::read_to_string(upper.join("renamed/inner")).unwrap(), "inner".repeat(100), "{strategy}");
        assert_eq!(fs::read_to_string(upper.join("linked")).unwrap(), "inner".repeat(100), "{strategy}");
        assert_eq!(fs::read_to_string(upper.join("moved")).unwrap(), "content\nx\n", "{strategy}");
        assert_eq!(fs::metadata(upper.join("etc/group")).unwrap().rdev(), 0, "{strategy}");
        for path in ["data/big", "data", "renamed", "renamed/inner", "linked", "moved", "."] {
            let names = attributes(&upper.join(path));
            let steering = ["metacopy", "redirect", "upper", "nlink"].map(|name| format!("trusted.overlay.{name}"));
            assert!(!names.iter().any(|name| steering.contains(name)), "{strategy} {path}: {names:?}");
        }
    });
}

fn a_remembered_strategy_that_fails_is_not_the_end() {
    let store = Store::new();
    let lower = image(&store);
    for nonsense in ["", "x", "\0\0", "folder"] {
        remember(&store, nonsense);
        assert_eq!(
            success(&store.front_on(&lower, &store.shell("cat /data/file"), "attached").output().unwrap()),
            "content\n"
        );
        assert_eq!(remembered(&store), "erofs");
    }
}

fn a_broken_image_is_an_error() {
    let store = Store::new();
    let lower = image(&store);
    let image = fs::read_dir(store.path().join("mounts"))
        .unwrap()
        .flatten()
        .find(|e| e.path().extension().is_some_and(|x| x == "erofs"));
    fs::write(image.unwrap().path(), "no image").unwrap();
    let config = store.shell("true");
    let output = store.front_on(&lower, &config, "attached").output().unwrap();
    assert_eq!(output.status.code(), Some(125));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("can't mount") && stderr.contains("erofs"), "{stderr}");
    store.assert_clean(&config.id);
}

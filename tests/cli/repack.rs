//! `rd repack`: what is cold lies in packs that git reads too, and comes back when it is needed.

use std::path::Path;
use std::process::{Command, Stdio};

use plumbing::store::hash_content;

use crate::sandbox::{Change, Sandbox, wait_for};

fn is_raw(sandbox: &Sandbox, text: &str) -> bool {
    sandbox.store().content_file(&hash_content(text.as_bytes())).exists()
}

fn git(sandbox: &Sandbox, args: &[&str]) -> String {
    let mut command = Command::new("git");
    command.arg("-C").arg(sandbox.store_dir()).args(args).env("GIT_NO_LAZY_FETCH", "1").stdin(Stdio::null());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn assert_sound(sandbox: &Sandbox) {
    sandbox.rd(["fsck"]).assert().success().stdout_eq("");
    git(sandbox, &["fsck", "--strict"]);
}

/// A text that compresses badly, with a line of its own in the middle.
fn long(own: &str) -> String {
    let mut state = 1u64;
    let mut line = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        format!("{state:x}\n")
    };
    let lines: Vec<String> = (0..3000).map(&mut line).collect();
    lines[..1500].concat() + own + &lines[1500..].concat()
}

fn packed_bytes(sandbox: &Sandbox) -> u64 {
    let dir = std::fs::read_dir(sandbox.store_dir().join("objects/pack")).unwrap();
    dir.flatten()
        .filter(|entry| entry.path().extension().is_some_and(|e| e == "pack"))
        .map(|e| e.metadata().unwrap().len())
        .sum()
}

#[test]
fn cold_contents_are_read_from_packs_by_rd_and_by_git() {
    let sandbox = Sandbox::new();
    let (one, two) = (long("one\n"), long("two\n"));
    sandbox.image("one", &[("usr/lib/libx.so.1", &one), ("empty", ""), ("small", "x\n")]);
    sandbox.image("two", &[("usr/lib/libx.so.2", &two), ("small", "x\n")]);
    assert_eq!(sandbox.ok(["repack", "--cold"]), "0 contents packed: 0B raw, 0B in packs\nTotal reclaimed space: 0B\n");
    let before = packed_bytes(&sandbox);
    let text = sandbox.ok(["repack", "--cold", "now"]);
    assert!(text.starts_with("4 contents packed: "), "{text}");
    assert!(!is_raw(&sandbox, &one) && !is_raw(&sandbox, &two) && !is_raw(&sandbox, "") && !is_raw(&sandbox, "x\n"));
    // Half of it is compressed, and the other a difference to that.
    assert!(packed_bytes(&sandbox) - before < one.len() as u64 * 7 / 10, "{}", packed_bytes(&sandbox) - before);
    assert_eq!(sandbox.ok(["show", "one:/usr/lib/libx.so.1"]), one);
    assert_eq!(sandbox.ok(["show", "two:/usr/lib/libx.so.2"]), two);
    assert_eq!(git(&sandbox, &["show", "refs/images/docker.io/library/two@latest:rootfs/usr/lib/libx.so.2"]), two);
    assert_eq!(sandbox.ok(["repack", "--cold", "now"]).lines().next(), Some("0 contents packed: 0B raw, 0B in packs"));
    assert_sound(&sandbox);
    // Nor does a collection take them for copies.
    sandbox.ok(["gc", "--prune=now"]);
    assert_eq!(sandbox.ok(["show", "two:/usr/lib/libx.so.2"]), two);
    sandbox.ok(["rmi", "one", "two"]);
    sandbox.ok(["gc", "--prune=now"]);
    assert_eq!(packed_bytes(&sandbox), 0);
}

#[test]
fn running_brings_back_what_the_image_needs() {
    let sandbox = Sandbox::new();
    let base = sandbox.busybox("busybox");
    let file = long("file\n");
    let id = sandbox.commit(&Change { parents: &[base], files: &[("file", &file)], ..Change::default() });
    sandbox.tag(id, "web");
    sandbox.image("other", &[("other", &long("other\n"))]);
    sandbox.ok(["run", "--rm", "web", "true"]);
    sandbox.ok(["create", "--name", "made", "web", "cat", "/file"]);
    sandbox.ok(["repack", "--cold", "now"]);
    assert!(!is_raw(&sandbox, &file));
    assert_eq!(sandbox.ok(["run", "--rm", "web", "cat", "/file"]), file);
    assert!(is_raw(&sandbox, &file) && !is_raw(&sandbox, &long("other\n")));
    sandbox.ok(["repack", "--cold", "now", "-q"]);
    assert!(!is_raw(&sandbox, &file));
    assert_eq!(sandbox.ok(["start", "-a", "made"]), file);
    assert_sound(&sandbox);
}

#[test]
fn what_a_running_container_needs_stays() {
    let sandbox = Sandbox::new();
    sandbox.busybox("busybox");
    let passwd = "root:x:0:0:root:/root:/bin/sh\n";
    sandbox.image("other", &[("f", "other\n")]);
    let _run = sandbox.spawn(["run", "--rm", "--name", "web", "busybox", "sleep", "1000"]);
    wait_for(|| (!sandbox.ok(["ps", "-q"]).is_empty()).then_some(()));
    sandbox.ok(["repack", "--cold", "now"]);
    assert!(is_raw(&sandbox, passwd) && !is_raw(&sandbox, "other\n"));
    sandbox.ok(["rm", "-f", "web"]);
    sandbox.ok(["repack", "--cold", "now"]);
    assert!(!is_raw(&sandbox, passwd));
    assert_eq!(sandbox.ok(["run", "--rm", "busybox", "cat", "/etc/passwd"]), passwd);
}

#[test]
fn runs_and_imports_beside_repacking_find_all_they_need() {
    let sandbox = Sandbox::new();
    sandbox.busybox("busybox");
    let passwd = "root:x:0:0:root:/root:/bin/sh\n";
    for _ in 0..5 {
        let mut runs: Vec<_> = (0..4)
            .map(|number| {
                let check = format!("[ \"$(cat /etc/passwd)\" = \"{}\" ] && exit {number}", passwd.trim_end());
                sandbox.spawn(["run", "--rm", "busybox", "sh", "-c", &check])
            })
            .collect();
        sandbox.ok(["repack", "--cold", "now"]);
        for (number, run) in runs.iter_mut().enumerate() {
            assert_eq!(run.wait(), number as i32);
        }
    }
    assert_sound(&sandbox);
}

#[test]
fn a_repacking_that_is_killed_loses_nothing() {
    let sandbox = Sandbox::new();
    let texts: Vec<String> = (0..40).map(|number| long(&format!("{number}\n"))).collect();
    let names: Vec<String> = (0..40).map(|number| format!("f{number}")).collect();
    let files: Vec<(&str, &str)> =
        names.iter().zip(&texts).map(|(name, text)| (name.as_str(), text.as_str())).collect();
    sandbox.image("web", &files);
    for micros in [500, 3_000, 10_000, 30_000, 60_000, 100_000, 200_000, 400_000] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_rd"))
            .args(["repack", "--cold", "now", "-q"])
            .env_clear()
            .env("RD_ROOT", sandbox.store_dir())
            .spawn()
            .unwrap();
        let begun = std::time::Instant::now();
        while begun.elapsed() < std::time::Duration::from_micros(micros) {
            std::hint::spin_loop();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        sandbox.rd(["fsck"]).assert().success().stdout_eq("");
        assert_eq!(sandbox.ok(["show", "web:/f7"]), texts[7]);
    }
    sandbox.ok(["repack", "--cold", "now"]);
    assert_sound(&sandbox);
}

#[test]
fn what_is_damaged_is_left_to_fsck() {
    let sandbox = Sandbox::new();
    sandbox.image("web", &[("f", "good\n"), ("g", "bad\n")]);
    let bad = sandbox.store().content_file(&hash_content(b"bad\n"));
    std::fs::remove_file(&bad).unwrap();
    std::fs::write(&bad, "ill\n").unwrap();
    let output = sandbox.rd(["repack", "--cold", "now"]).assert().success().get_output().clone();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(stderr, "warning: 1 contents are damaged and stay as they are; `rd fsck` lists them\n");
    assert!(Path::new(&bad).exists() && !is_raw(&sandbox, "good\n"));
    sandbox.fails(2, ["repack"]);
    sandbox.fails(2, ["repack", "--cold", "soonish"]);
}

#[test]
fn packs_are_joined_when_there_is_more_to_pack() {
    let sandbox = Sandbox::new();
    for round in 0..6 {
        let text = long(&format!("{round}\n"));
        sandbox.image(&format!("i{round}"), &[("usr/lib/lib.so", &text)]);
        sandbox.ok(["repack", "--cold", "now"]);
    }
    let marks = std::fs::read_dir(sandbox.store_dir().join("objects/pack")).unwrap().flatten();
    let cold = marks.filter(|entry| std::fs::read(entry.path()).is_ok_and(|mark| mark == b"rd cold contents\n\n"));
    assert!(cold.count() <= 2);
    for round in 0..6 {
        assert_eq!(sandbox.ok(["show", &format!("i{round}:/usr/lib/lib.so")]), long(&format!("{round}\n")));
    }
    assert_sound(&sandbox);
}

#[test]
fn a_collection_packs_anew_what_is_left_of_a_pack() {
    let sandbox = Sandbox::new();
    for name in ["stays", "gone", "also"] {
        let mut text = long(name);
        // Nothing like the others.
        text.insert_str(0, name);
        let text: String =
            text.chars().map(|c| if c.is_ascii_digit() { (c as u8 ^ name.as_bytes()[0]) as char } else { c }).collect();
        sandbox.image(name, &[("f", &text)]);
    }
    let stays = sandbox.ok(["show", "stays:/f"]);
    sandbox.ok(["repack", "--cold", "now"]);
    let before = packed_bytes(&sandbox);
    sandbox.ok(["rmi", "gone", "also"]);
    sandbox.ok(["gc"]);
    assert!(packed_bytes(&sandbox) > before / 10 * 9);
    sandbox.ok(["gc", "--prune=now"]);
    assert!(packed_bytes(&sandbox) < before / 2, "{} of {before}", packed_bytes(&sandbox));
    assert_eq!(sandbox.ok(["show", "stays:/f"]), stays);
    assert_sound(&sandbox);
}

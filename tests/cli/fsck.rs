//! `rd fsck`: clean stores, and every kind of file in a store damaged in every way.

use std::path::{Path, PathBuf};
use std::process::Command;

use plumbing::Store;
use plumbing::fsck::{Options, Report, check};
use plumbing::layer::{Form, Unpacker};
use plumbing::store::hash_content;

use crate::sandbox::{Change, Sandbox};

/// Two images with files in common, one with a layer's recipe, and a container; each file says where it is.
pub fn filled() -> Sandbox {
    let sandbox = Sandbox::new();
    let files = [
        ("etc/passwd", "root:x:0:0\n"),
        ("usr/bin/perl", "a program\n"),
        ("usr/share/empty", ""),
        ("usr/share/doc/a\nb", "two lines\n"),
    ];
    let links = [("usr/bin/perl", "usr/bin/perl5")];
    let base = sandbox.commit(&Change { files: &files, links: &links, ..Change::default() });
    sandbox.tag(base, "debian:12");
    let web = sandbox.commit(&Change { parents: &[base], files: &[("srv/index", "hello\n")], ..Change::default() });
    sandbox.tag(web, "web:1");
    sandbox.tag(layered(&sandbox), "layered:1");
    sandbox.store().update_ref("refs/containers/box", web, plumbing::store::refs::Expect::Missing, "create").unwrap();
    sandbox
}

/// A commit with the recipe of a tar.
fn layered(sandbox: &Sandbox) -> plumbing::Id {
    let from = sandbox.path().join("from");
    std::fs::create_dir_all(from.join("opt")).unwrap();
    std::fs::write(from.join("opt/big"), "x".repeat(5_000)).unwrap();
    let tar = Command::new("tar").arg("-C").arg(&from).args(["-c", "."]).output().unwrap().stdout;
    let store = sandbox.store();
    let mut batch = store.batch();
    let mut unpacker = Unpacker::new(&mut batch);
    let unpacked = unpacker.unpack(Box::new(std::io::Cursor::new(tar)), Form::Layer).unwrap();
    let root = unpacker.write_root().unwrap();
    let config = batch.write_blob(br#"{"architecture":"amd64","os":"linux"}"#).unwrap();
    let state = plumbing::commit::State { root, config, manifest: None, layer: Some(unpacked.layer), container: None };
    let who = plumbing::commit::neutral_signature(1);
    let new =
        plumbing::commit::NewCommit { parents: vec![], author: who.clone(), committer: who, message: "tar".into() };
    let id = batch.write_commit(&state, new).unwrap();
    batch.finish().unwrap();
    id
}

fn run(sandbox: &Sandbox) -> Result<Report, plumbing::Error> {
    check(&Store::open(sandbox.store_dir())?, Options { full: true, ..Options::default() })
}

#[test]
fn a_sound_store_is_clean() {
    let sandbox = filled();
    for options in [&["fsck"][..], &["fsck", "--full"], &["fsck", "--connectivity-only"]] {
        sandbox.rd(options).assert().success().stdout_eq("").stderr_eq("");
    }
    let verbose = sandbox.rd(["fsck", "-v"]).assert().success().get_output().clone();
    let summary = String::from_utf8(verbose.stderr).unwrap();
    assert!(summary.starts_with("checked 4 refs and reflog entries, 3 commits, "), "{summary}");
    let json: serde_json::Value = serde_json::from_str(&sandbox.ok(["fsck", "--json"])).unwrap();
    assert_eq!((&json["findings"], &json["checked"]["commits"]), (&serde_json::json!([]), &serde_json::json!(3)));
}

#[test]
fn a_flipped_bit_is_named_with_all_it_belongs_to() {
    let sandbox = filled();
    let id = hash_content(b"a program\n");
    let path = sandbox.store().content_file(&id);
    overwrite(&path, b"b program\n");
    let found = hash_content(b"b program\n");
    let output = sandbox.rd(["fsck"]).assert().code(1).get_output().clone();
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        format!(
            "damaged content {id}: its 10 bytes hash to {found}; belongs to \
             debian:12:/usr/bin/perl, debian:12:/usr/bin/perl5, web:1:/usr/bin/perl (and 3 more)\n"
        )
    );
    sandbox.rd(["fsck", "--connectivity-only"]).assert().success();
    let json: serde_json::Value =
        serde_json::from_slice(&sandbox.rd(["fsck", "--json"]).assert().code(1).get_output().stdout).unwrap();
    assert_eq!(json["findings"][0]["state"], "damaged");
}

#[test]
fn a_content_that_nothing_needs_is_dangling_and_no_fault() {
    let sandbox = filled();
    std::fs::write(sandbox.path().join("file"), "nobody's").unwrap();
    let id = sandbox.ok(["hash-object", "-w", "file"]);
    assert_eq!(sandbox.ok(["fsck"]), format!("dangling content {id}"));
    overwrite(&sandbox.store().content_file(&hash_content(b"nobody's")), b"Nobody's");
    let output = sandbox.rd(["fsck"]).assert().code(1).get_output().clone();
    assert!(String::from_utf8(output.stdout).unwrap().contains("which nothing refers to"));
}

#[test]
fn a_store_that_cant_be_opened_is_said_with_status_two() {
    let sandbox = Sandbox::new();
    assert!(sandbox.fails(2, ["fsck"]).starts_with("error: no such store"));
    assert!(!sandbox.store_dir().exists());
    let sandbox = filled();
    std::fs::write(sandbox.store_dir().join("config"), "[broken").unwrap();
    sandbox.fails(2, ["fsck"]);
}

#[test]
fn a_commit_that_is_not_rds_is_reported() {
    let sandbox = filled();
    let tree = sandbox.ok(["rev-parse", "web:1:rootfs"]);
    let commit = sandbox.ok(["commit-tree", tree.trim(), "-m", "foreign"]);
    sandbox.ok(["update-ref", "refs/heads/mine", commit.trim()]);
    let output = sandbox.rd(["fsck", "-v"]).assert().success().get_output().clone();
    assert!(String::from_utf8(output.stderr).unwrap().contains("of 'refs/heads/mine' is not rd's"));
    sandbox.ok(["update-ref", "refs/containers/odd", commit.trim()]);
    let output = sandbox.rd(["fsck"]).assert().code(1).get_output().clone();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("it is no tree of a commit of rd's") && text.contains("belongs to odd"), "{text}");
}

#[test]
fn wrong_metadata_is_found() {
    let sandbox = filled();
    let meta = sandbox.ok(["cat-file", "-p", "web:1:meta/srv/%meta"]);
    for (from, to, says) in [
        ("size=6", "size=7", "6 bytes, not 7"),
        ("mode=0644", "mode=644", "not encoded as rd encodes them"),
        ("index type=file", "other type=file", "rootfs/ has no such entry"),
        (" type=dir", " type=file", "own line is missing"),
        (". type=dir mode=0755 uid=0 gid=0 size=6", ". type=dir mode=0755 uid=0 gid=0 size=8", "bytes"),
    ] {
        let edited = meta.replace(from, to);
        assert_ne!(edited, meta, "{from}");
        let commit = with_meta(&sandbox, &edited);
        sandbox.ok(["update-ref", "refs/images/docker.io/library/wrong@1", &commit]);
        let output = sandbox.rd(["fsck"]).assert().code(1).get_output().clone();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains(says) && text.contains("belongs to wrong:1:/"), "{from}: {text}");
        sandbox.ok(["update-ref", "-d", "refs/images/docker.io/library/wrong@1"]);
    }
}

/// web:1 with another `meta/srv/%meta`, made by the object commands.
fn with_meta(sandbox: &Sandbox, meta: &str) -> String {
    let piped = |args: &[&str], input: &str| {
        let output = sandbox.rd(args).stdin(input.to_owned()).assert().success().get_output().clone();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let replaced = |tree: &str, name: &str, id: &str| {
        let listing = sandbox.ok(["ls-tree", tree]);
        let edited = listing.lines().map(|line| match line.ends_with(&format!("\t{name}")) {
            true => format!("{} {id}\t{name}\n", line.rsplit_once(' ').unwrap().0),
            false => format!("{line}\n"),
        });
        piped(&["mktree"], &edited.collect::<String>())
    };
    let blob = piped(&["hash-object", "-w", "--stdin"], meta);
    let srv = replaced("web:1:meta/srv", "%meta", &blob);
    let top = replaced("web:1:meta", "srv", &srv);
    let tree = replaced("web:1^{tree}", "meta", &top);
    piped(&["commit-tree", &tree, "-m", "wrong"], "")
}

#[test]
fn every_damage_is_found_and_named() {
    let sandbox = filled();
    let store = sandbox.store_dir();
    Command::new("git").arg("-C").arg(&store).args(["pack-refs", "--all"]).status().unwrap();
    sandbox.tag(sandbox.store().get_ref("refs/containers/box").unwrap().unwrap(), "late:1");
    assert!(damage_all(&sandbox) > 80);
}

#[test]
fn damage_is_found_in_what_git_repacked() {
    let sandbox = filled();
    // Somebody who insists can make git do it.
    let git = |args: &[&str]| Command::new("git").arg("-C").arg(sandbox.store_dir()).args(args).status().unwrap();
    assert!(git(&["config", "extensions.preciousObjects", "false"]).success());
    assert!(git(&["repack", "-a", "-d", "-q"]).success());
    assert!(damage_all(&sandbox) > 80);
}

/// Damage each file of the store in every way; how often.
fn damage_all(sandbox: &Sandbox) -> usize {
    let store = sandbox.store_dir();
    assert_eq!(run(sandbox).unwrap().findings, []);
    let mut tried = 0;
    for path in files_below(&store) {
        let name = path.strip_prefix(&store).unwrap().to_string_lossy().into_owned();
        if ["description", "info/exclude", "info/refs", "objects/info/packs"].contains(&name.as_str()) {
            continue;
        }
        // Nothing is in them, and they are made again.
        if ["gc.lock", "gc.queue", "shallow"].contains(&name.as_str()) {
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        for (damage, damaged) in damages(&name, &bytes) {
            match &damaged {
                Some(bytes) => overwrite(&path, bytes),
                None => std::fs::remove_file(&path).unwrap(),
            }
            match run(sandbox) {
                Err(error) => assert!(["config", "HEAD"].contains(&name.as_str()), "{name} {damage}: {error}"),
                Ok(report) => assert_named(&name, damage, &report),
            }
            tried += 1;
            overwrite(&path, &bytes);
        }
    }
    assert_eq!(run(sandbox).unwrap().findings, []);
    tried
}

/// Names of damages and the bytes that they leave; none where the file is removed.
pub fn damages(name: &str, bytes: &[u8]) -> Vec<(&'static str, Option<Vec<u8>>)> {
    let flipped = |at: usize| {
        let mut copy = bytes.to_vec();
        copy[at] ^= 0x01;
        Some(copy)
    };
    // What git can make again may be missing.
    let is_helper = name.ends_with(".rev");
    let mut all = if is_helper { vec![] } else { vec![("delete", None)] };
    // The mark of a pack says nothing, it is just there.
    if name.ends_with(".promisor") {
        return all;
    }
    if !bytes.is_empty() {
        // A log whose entries have all expired is empty.
        if !name.starts_with("logs/") {
            all.push(("empty", Some(Vec::new())));
        }
        all.push(("flip first", flipped(0)));
    }
    // A part of the configuration and a reflog's message are not protected by a checksum.
    if bytes.len() > 1 && !["config", "HEAD"].contains(&name) {
        all.push(("truncate", Some(bytes[..bytes.len() / 2].to_vec())));
        all.push(("cut last", Some(bytes[..bytes.len() - 1].to_vec())));
    }
    if name.contains("objects/") || name.contains("content/") {
        if !bytes.is_empty() {
            all.push(("flip middle", flipped((bytes.len() - 1) / 2)));
            all.push(("flip last", flipped(bytes.len() - 1)));
        }
        all.push(("append", Some([bytes, b"x"].concat())));
    }
    all
}

/// Something must have been found, and be said to belong to somebody where it is of objects or contents.
fn assert_named(name: &str, damage: &str, report: &Report) {
    let findings = &report.findings;
    assert!(!findings.is_empty(), "{name} {damage}: nothing found");
    let of_objects = name.starts_with("objects/") && ![".promisor", ".rev"].iter().any(|end| name.ends_with(end));
    let of_objects = of_objects || name.starts_with("content/");
    let named = findings.iter().any(|finding| !finding.owners.is_empty());
    // A checksum at a file's end may be all that was hit.
    let only_the_checksum = name.starts_with("objects/") && ["flip last", "append", "cut last"].contains(&damage);
    assert!(!of_objects || named || only_the_checksum, "{name} {damage}: {findings:?}");
}

pub fn overwrite(path: &Path, bytes: &[u8]) {
    // Contents and packs are read-only, root writes them all the same.
    std::fs::write(path, bytes).unwrap();
}

pub fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut waiting = vec![dir.to_owned()];
    while let Some(dir) = waiting.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { waiting.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    files
}

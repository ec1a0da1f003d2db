//! Pushes of bytes that git would never send.

use plumbing::Id;
use plumbing::gix::hash;
use plumbing::gix::objs::{Kind, compute_hash};

use super::{clone, commit_all, filled, snapshot, write_bytes};
use crate::sandbox::Sandbox;
use crate::stock_git::{assert_clean, git};

/// A line that asks for a ref to be moved.
pub(super) fn command(old: &str, new: &str, name: &str) -> String {
    let text = format!("{old} {new} {name}\0report-status");
    format!("{:04x}{text}", text.len() + 4)
}

/// Push bytes to the store by hand; what the server answers, behind the refs.
pub(super) fn push_raw(sandbox: &Sandbox, commands: &[String], pack: &[u8]) -> String {
    let input = [commands.concat().as_bytes(), b"0000", pack].concat();
    let store = sandbox.store_dir();
    let command = sandbox.rd(["receive-pack".as_ref(), store.as_os_str()]).stdin(input);
    let output = command.assert().get_output().clone();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!errors.contains("panicked"), "{errors}");
    text.split_once("0000").map_or_else(String::new, |(_, rest)| rest.to_owned()) + &errors
}

/// An entry of a pack: type, size as it is said, what goes before the data, data.
pub(super) struct Entry(u8, u64, Vec<u8>, Vec<u8>);

fn whole(kind: u8, data: &[u8]) -> Entry {
    Entry(kind, data.len() as u64, Vec::new(), data.to_vec())
}

/// A pack that says it has `count` objects.
fn pack_of(count: u32, entries: &[Entry]) -> Vec<u8> {
    let mut out = [b"PACK\0\0\0\x02".as_slice(), &count.to_be_bytes()].concat();
    for Entry(kind, size, before, data) in entries {
        let mut byte = (kind << 4) | (size & 15) as u8;
        let mut rest = size >> 4;
        while rest > 0 {
            out.push(byte | 0x80);
            byte = (rest & 0x7f) as u8;
            rest >>= 7;
        }
        out.push(byte);
        out.extend_from_slice(before);
        out.extend(zlib(data));
    }
    let mut hasher = hash::hasher(hash::Kind::Sha256);
    hasher.update(&out);
    out.extend_from_slice(hasher.try_finalize().unwrap().as_slice());
    out
}

pub(super) fn pack(entries: &[Entry]) -> Vec<u8> {
    pack_of(entries.len() as u32, entries)
}

/// zlib's format without compression.
fn zlib(data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).unwrap();
    let (mut a, mut b) = (1u32, 0u32);
    for byte in data {
        a = (a + u32::from(*byte)) % 65521;
        b = (b + a) % 65521;
    }
    let block = [&[0x78, 0x01, 0x01], &length.to_le_bytes()[..], &(!length).to_le_bytes(), data];
    [&block.concat()[..], &((b << 16) | a).to_be_bytes()].concat()
}

fn id(kind: Kind, data: &[u8]) -> Id {
    compute_hash(hash::Kind::Sha256, kind, data).unwrap()
}

/// A number as deltas have it.
fn number(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value > 0x7f {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}

const WHO: &str = "Ada <a@b> 1700000000 +0000";

fn commit_of(tree: &Id) -> Vec<u8> {
    format!("tree {tree}\nauthor {WHO}\ncommitter {WHO}\n\nmessage\n").into_bytes()
}

#[test]
fn hostile_packs_are_refused_and_leave_nothing() {
    let sandbox = filled();
    let files = snapshot(&sandbox.store_dir());
    let blob = b"hello\n".to_vec();
    let tree = |mode: &str, name: &str| {
        [mode.as_bytes(), b" ", name.as_bytes(), b"\0", id(Kind::Blob, &blob).as_slice()].concat()
    };
    let good_tree = tree("100644", "file");
    let good = commit_of(&id(Kind::Tree, &good_tree));
    let tip = id(Kind::Commit, &good);
    let sound = || vec![whole(1, &good), whole(2, &good_tree), whole(3, &blob)];
    let sound_pack = pack(&sound());
    let broken = |at: usize| {
        let mut bytes = sound_pack.clone();
        bytes[at] ^= 1;
        bytes
    };
    let with_tree = |bytes: &[u8]| {
        let commit = commit_of(&id(Kind::Tree, bytes));
        (id(Kind::Commit, &commit), pack(&[whole(1, &commit), whole(2, bytes), whole(3, &blob)]))
    };
    let delta = |base: u64, result: u64, rest: &[u8]| [&number(base)[..], &number(result), rest].concat();
    let with = |entry: Entry| pack(&sound().into_iter().chain([entry]).collect::<Vec<_>>());
    let offset_delta = |distance: Vec<u8>, data: Vec<u8>| Entry(6, data.len() as u64, distance, data);
    let name_delta = |base: Id, data: Vec<u8>| Entry(7, data.len() as u64, base.as_slice().to_vec(), data);
    let missing = id(Kind::Blob, b"nowhere");
    let copy_all = [0x90, 6];
    let (bad_mode, bad_name) = (with_tree(&tree("100664", "a")), with_tree(&tree("100644", ".git")));
    let unordered = with_tree(&[tree("100644", "b"), tree("100644", "a")].concat());
    let no_blob = (tip, pack(&[whole(1, &good), whole(2, &good_tree)]));
    let no_tree = (tip, pack(&[whole(1, &good), whole(3, &blob)]));
    let bad_commit = format!("tree {}\nauthor {WHO}\n\nx", id(Kind::Tree, &good_tree)).into_bytes();
    let mut version = sound_pack.clone();
    version[7] = 9;
    let cases: Vec<(&str, Id, Vec<u8>, &str)> = vec![
        ("no pack", tip, Vec::new(), "unpack invalid pack"),
        ("no pack's bytes", tip, b"this is no pack at all".to_vec(), "unpack invalid pack"),
        ("another version", tip, version, "unpack invalid pack"),
        ("cut in the header", tip, sound_pack[..9].to_vec(), "unpack invalid pack"),
        ("cut in an object", tip, sound_pack[..40].to_vec(), "unpack invalid pack"),
        ("cut in the checksum", tip, sound_pack[..sound_pack.len() - 3].to_vec(), "unpack invalid pack"),
        ("a wrong checksum", tip, broken(sound_pack.len() - 1), "unpack invalid pack"),
        ("a flipped bit", tip, broken(30), "unpack invalid pack"),
        ("fewer objects than it says", tip, pack_of(4, &sound()), "unpack invalid pack"),
        ("far fewer objects than it says", tip, pack_of(u32::MAX, &sound()), "unpack invalid pack"),
        ("a size that is too small", tip, with(Entry(3, 2, Vec::new(), b"12345".to_vec())), "unpack invalid pack"),
        (
            "a size that is too large",
            tip,
            with(Entry(3, 1 << 40, Vec::new(), b"12345".to_vec())),
            "unpack invalid pack",
        ),
        ("an unknown type", tip, with(Entry(5, 1, Vec::new(), b"x".to_vec())), "unpack invalid pack"),
        ("a delta to itself", tip, with(offset_delta(vec![0], delta(6, 6, &copy_all))), "unpack invalid pack"),
        (
            "a delta to before the pack",
            tip,
            with(offset_delta(vec![0xff, 0x7f], delta(6, 6, &copy_all))),
            "unpack invalid pack",
        ),
        ("a delta without a base", tip, with(name_delta(missing, delta(6, 6, &copy_all))), "unpack invalid pack"),
        (
            "a delta of a bomb",
            tip,
            with(name_delta(id(Kind::Blob, &blob), delta(6, 1 << 40, &copy_all))),
            "larger than 2 GiB",
        ),
        (
            "a delta of half a bomb",
            tip,
            with(name_delta(id(Kind::Blob, &blob), delta(6, 1 << 30, &copy_all))),
            "more than 512 MiB",
        ),
        (
            "a delta that lies",
            tip,
            with(name_delta(id(Kind::Blob, &blob), delta(6, 100, &copy_all))),
            "unpack invalid pack",
        ),
        (
            "a delta of another base",
            tip,
            with(name_delta(id(Kind::Blob, &blob), delta(9, 6, &copy_all))),
            "unpack invalid pack",
        ),
        (
            "a delta that reads outside",
            tip,
            with(name_delta(id(Kind::Blob, &blob), delta(6, 100, &[0x90, 100]))),
            "unpack invalid pack",
        ),
        ("an empty delta", tip, with(name_delta(id(Kind::Blob, &blob), Vec::new())), "unpack invalid pack"),
        ("a tree with a bad mode", bad_mode.0, bad_mode.1, "has the mode '100664'"),
        ("a tree with a bad name", bad_name.0, bad_name.1, "a tree has the name '.git'"),
        ("a tree out of order", unordered.0, unordered.1, "out of order"),
        ("a malformed commit", id(Kind::Commit, &bad_commit), pack(&[whole(1, &bad_commit)]), "committer is missing"),
        ("a missing file", no_blob.0, no_blob.1, "neither in the push nor in the store"),
        ("a missing folder", no_tree.0, no_tree.1, "is missing"),
        ("a missing tip", missing, sound_pack.clone(), "fetch first"),
        ("a tree as tip", id(Kind::Tree, &good_tree), sound_pack.clone(), "expected a commit"),
    ];
    let zero = "0".repeat(64);
    for (what, tip, bytes, says) in &cases {
        let answer = push_raw(&sandbox, &[command(&zero, &tip.to_string(), "refs/heads/bad@1")], bytes);
        assert!(answer.contains(says) && answer.contains("ng refs/heads/bad@1 "), "{what}: {answer}");
        assert_eq!(snapshot(&sandbox.store_dir()), files, "{what}");
    }
    // The same for names that show no image.
    for (what, tip, bytes, _) in cases.iter().filter(|(what, ..)| !["a missing tip", "a tree as tip"].contains(what)) {
        let answer = push_raw(&sandbox, &[command(&zero, &tip.to_string(), "refs/heads/plain")], bytes);
        assert!(answer.contains("ng refs/heads/plain "), "{what}: {answer}");
        assert_eq!(snapshot(&sandbox.store_dir()), files, "{what}");
    }
    // Requests that are none.
    for request in ["0008spam0000", "zzzz", &command(&zero, "x", "refs/heads/a"), &command(&zero, &zero[..40], "a")] {
        let answer = push_raw(&sandbox, &[request.to_owned()], b"");
        assert!(answer.contains("invalid request"), "{request}: {answer}");
    }
    for name in ["refs/heads/../x", "HEAD", "refs/", "x"] {
        let answer = push_raw(&sandbox, &[command(&zero, &tip.to_string(), name)], &sound_pack);
        assert!(answer.contains("it is no name of a ref"), "{name}: {answer}");
    }
    assert_eq!(snapshot(&sandbox.store_dir()), files);
    let answer = push_raw(&sandbox, &[command(&zero, &tip.to_string(), "refs/heads/good@1")], &sound_pack);
    assert!(answer.contains("unpack ok") && answer.contains("ok refs/heads/good@1"), "{answer}");
    assert_eq!(sandbox.ok(["show", "good:1:/file"]), "hello\n");
    assert_clean(&sandbox);
}

/// Numbers that look random and are always the same (Knuth's linear congruential generator).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }
}

/// Whether git finds no fault in a pack either: some bits of a compressed stream mean nothing.
fn is_sound(dir: &std::path::Path, pack: &[u8]) -> bool {
    use std::io::Write;
    let mut git = std::process::Command::new("git");
    git.arg("-C").arg(dir).args(["index-pack", "--stdin", "--fix-thin", "--strict"]);
    git.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    let mut git = git.spawn().unwrap();
    // It may end before it has read everything.
    let _ = git.stdin.take().unwrap().write_all(pack);
    git.wait().unwrap().success()
}

#[test]
fn packs_with_flipped_bytes_never_do_harm() {
    let sandbox = filled();
    let dir = clone(&sandbox, "clone", &["rd::web"]);
    let text: String = (0..3000).map(|number| format!("line {number}\n")).collect();
    for number in 0..6 {
        std::fs::write(dir.join("etc/text"), format!("{text}{number}")).unwrap();
        std::fs::write(dir.join("etc/hostname"), format!("one\n{number}\n")).unwrap();
        commit_all(&sandbox, &dir, "change");
    }
    let head = git(&sandbox, &dir, &["rev-parse", "HEAD"]);
    let line = command(&"0".repeat(64), head.trim(), "refs/heads/bad@1");
    let files = snapshot(&sandbox.store_dir());
    let mut dice = Dice(1);
    let mut refused = 0;
    for options in [&["--thin", "--delta-base-offset"][..], &["--thin"], &[]] {
        let args = [&["pack-objects", "--stdout", "--revs", "-q"], options].concat();
        let pack = write_bytes(&sandbox, &dir, &args, b"HEAD\n^origin/1\n");
        let body = pack.len() - 32;
        for _ in 0..60 {
            let mut bytes = pack[..body].to_vec();
            match dice.below(4) {
                0 => bytes.truncate(12 + dice.below(body - 12)),
                1 => drop(bytes.splice(12 + dice.below(body - 12).., std::iter::repeat_n(0xff, 40))),
                _ => (0..=dice.below(3)).for_each(|_| {
                    let at = 8 + dice.below(bytes.len() - 8);
                    bytes[at] ^= 1 << dice.below(8);
                }),
            }
            let mut hasher = hash::hasher(hash::Kind::Sha256);
            hasher.update(&bytes);
            bytes.extend_from_slice(hasher.try_finalize().unwrap().as_slice());
            if is_sound(&dir, &bytes) {
                continue;
            }
            let answer = push_raw(&sandbox, std::slice::from_ref(&line), &bytes);
            assert!(answer.contains("ng refs/heads/bad@1 "), "{answer}");
            assert_eq!(snapshot(&sandbox.store_dir()), files);
            refused += 1;
        }
    }
    assert!(refused > 120, "only {refused} packs were damaged");
    assert_clean(&sandbox);
}

//! `rd fetch`: what travels between two stores, and what is taken.

use std::io::{Cursor, sink};
use std::path::Path;
use std::process::Command;

use plumbing::store::hash_content;
use plumbing::transfer::{self, Access, Client, Compress, Progress, Tip};
use plumbing::{Error, Id, Store};

use crate::remote::two;
use crate::sandbox::{Change, Sandbox};

/// Fetch commits through the library, which counts.
fn fetch(from: &Store, into: &Store, tips: &[Id]) -> Result<Progress, Error> {
    let (from_there, to_here) = std::io::pipe().unwrap();
    let (from_here, to_there) = std::io::pipe().unwrap();
    let dir = from.dir().to_owned();
    let server = std::thread::spawn(move || {
        let store = Store::open(dir).unwrap();
        transfer::serve(&store, from_here, to_here, Access::Read)
    });
    let mut client = Client::connect(from_there, to_there, Compress::Zstd)?;
    let tips: Vec<Tip> = tips.iter().map(|id| Tip { id: *id, like: None }).collect();
    let outcome = client.fetch(into, &tips, &mut |_| {}).map(|received| received.progress);
    drop(client);
    let _ = server.join().unwrap();
    outcome
}

fn image(sandbox: &Sandbox, name: &str) -> Id {
    sandbox.ok(["rev-parse", name]).trim().parse::<String>().map(|hex| Id::from_hex(hex.as_bytes()).unwrap()).unwrap()
}

/// Names of what a writer leaves in the folder of contents while it is at work.
fn is_tidy(store: &Path) -> bool {
    let names = std::fs::read_dir(store.join("content")).unwrap();
    names.map(|entry| entry.unwrap().file_name()).all(|name| !name.to_string_lossy().starts_with("tmp-"))
}

#[test]
fn fetch_remembers_what_a_remote_has_and_moves_nothing() {
    let (there, here) = two();
    let output = here.rd(["fetch"]).assert().success().get_output().clone();
    let url = there.store_dir().display().to_string();
    let said = format!(
        "From {url}\n * [new image]        app:1 -> origin/app:1\n * [new image]        team/web:latest -> origin/team/web:latest\n"
    );
    assert_eq!(String::from_utf8(output.stderr).unwrap(), said);
    assert_eq!(here.ok(["images", "-q"]), "");
    assert_eq!(here.ok(["rev-parse", "origin/app:1"]), there.ok(["rev-parse", "app:1"]));
    assert_eq!(here.ok(["cat-file", "-p", "origin/team/web:/b"]), "2");
    assert_eq!(here.ok(["fsck"]), "");
    let git = Command::new("git").arg("--git-dir").arg(here.store_dir()).args(["fsck", "--strict", "--full"]).status();
    assert!(git.unwrap().success());
    // A second time nothing is new, and nothing is said.
    let again = here.rd(["fetch", "origin"]).assert().success().get_output().clone();
    assert_eq!(String::from_utf8(again.stderr).unwrap(), "");
}

#[test]
fn a_local_image_is_compared_with_the_remotes() {
    let (there, here) = two();
    here.ok(["fetch", "origin/app:1"]);
    here.ok(["tag", "origin/app:1", "app:1"]);
    let old = image(&there, "app:1");
    let new = there.commit(&Change { parents: &[old], files: &[("c", "3")], message: "add c", ..Change::default() });
    there.tag(new, "app:1");
    let moved = here.rd(["fetch", "origin", "app:1"]).assert().success().get_output().clone();
    let (short_old, short_new) = (old.to_hex_with_len(12), new.to_hex_with_len(12));
    let line = format!("   {short_old}..{short_new} app:1 -> origin/app:1\n");
    assert!(String::from_utf8(moved.stderr).unwrap().ends_with(&line));
    assert_eq!(here.ok(["log", "--format=%s", "app:1..origin/app:1"]), "add c\n");
    assert_eq!(here.ok(["log", "--format=%s", "origin/app:1..app:1"]), "");
    assert_eq!(here.ok(["diff", "--name-status", "app:1", "origin/app:1"]), "A\tc\n");
    // The name is built anew there: the old commit is no ancestor.
    there.image("app:1", &[("d", "4")]);
    let forced = here.rd(["fetch", "origin", "app:1"]).assert().success().get_output().clone();
    let stderr = String::from_utf8(forced.stderr).unwrap();
    assert!(
        stderr.contains(&format!(" + {short_new}...")) && stderr.ends_with("origin/app:1  (forced update)\n"),
        "{stderr}"
    );
    assert_eq!(here.ok(["rev-parse", "origin/app:1@{1}"]), format!("{new}\n"));
}

#[test]
fn only_what_is_missing_travels() {
    let (there, here) = (Sandbox::new(), Sandbox::new());
    let names: Vec<(String, String)> =
        (0..40).map(|n| (format!("usr/share/d{}/f{n}", n % 8), format!("text {n}"))).collect();
    let files: Vec<(&str, &str)> = names.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let base = there.image("base", &files);
    let first = fetch(&there.store(), &here.store(), &[base]).unwrap();
    assert_eq!((first.contents, first.all_contents), (40, 40));
    assert_eq!(first.bytes, files.iter().map(|(_, text)| text.len() as u64).sum::<u64>());
    here.tag(base, "base");
    assert_eq!(fetch(&there.store(), &here.store(), &[base]).unwrap(), Progress::default());
    // One file in one of eight folders: the trees down to it, and nothing beside them.
    let next = there.commit(&Change { parents: &[base], files: &[("usr/share/d3/f3", "new")], ..Change::default() });
    let second = fetch(&there.store(), &here.store(), &[next]).unwrap();
    // The commit, its tree, and in each of rootfs, meta and times usr, share, d3; lines of folders in two of these.
    assert_eq!(second.contents, 1);
    assert!(second.objects <= 2 + 3 * 4 + 2 * 4, "{second:?}");
    here.tag(next, "next");
    // Another image without a common ancestor, whose files are all there.
    let other = there.image("other", &[("x/y", "text 1"), ("x/z", "text 2")]);
    assert_eq!(fetch(&there.store(), &here.store(), &[other]).unwrap().contents, 0);
    here.tag(other, "other");
    assert_eq!(here.ok(["fsck"]), "");
}

#[test]
fn what_differs_little_travels_as_the_difference() {
    let (there, here) = (Sandbox::new(), Sandbox::new());
    let line = |n: u64| format!("{:016x}\n", (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29));
    let text: String = (0..20_000).map(line).collect();
    let names: Vec<String> = (0..200).map(|n| format!("usr/lib/{}", line(n).trim())).collect();
    let mut files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), name.as_str())).collect();
    files.push(("large", &text));
    there.image("app:1", &files);
    let url = there.store_dir().display().to_string();
    here.ok(["remote", "add", "origin", &url]);
    here.ok(["fetch"]);
    let old = image(&here, "origin/app:1");
    // Built anew: no ancestor in common.
    let new_text = text.replacen(&line(7_000), "changed\n", 1);
    files.pop();
    files.push(("large", &new_text));
    files[3].1 = "changed";
    let new = there.commit(&Change { files: &files, message: "again", ..Change::default() });
    let received = |like| {
        let (into, (from_there, to_here), (from_here, to_there)) =
            (here.store(), std::io::pipe().unwrap(), std::io::pipe().unwrap());
        let store = there.store_dir();
        let server =
            std::thread::spawn(move || transfer::serve(&Store::open(store).unwrap(), from_here, to_here, Access::Read));
        let mut client = Client::connect(from_there, to_there, Compress::Zstd).unwrap();
        client.fetch(&into, &[Tip { id: new, like }], &mut |_| {}).map(drop).unwrap();
        let received = client.traffic().received;
        drop(client);
        server.join().unwrap().unwrap();
        received
    };
    let difference = received(Some(old));
    assert!(difference < 4_000, "{difference}");
    here.tag(new, "app:1");
    assert_eq!(here.ok(["cat-file", "-p", "app:1:/large"]), new_text);
    assert_eq!(here.ok(["fsck"]), "");
}

#[test]
fn long_histories_and_their_layers_arrive() {
    let (there, here) = (Sandbox::new(), Sandbox::new());
    let folder = there.path().join("root");
    std::fs::create_dir_all(folder.join("bin")).unwrap();
    std::fs::write(folder.join("bin/large"), vec![7; 600_000]).unwrap();
    std::fs::write(folder.join("empty"), "").unwrap();
    let tar = there.path().join("root.tar");
    assert!(Command::new("tar").arg("-C").arg(&folder).arg("-cf").arg(&tar).arg(".").status().unwrap().success());
    there.ok(["import", tar.to_str().unwrap(), "base"]);
    let mut tip = image(&there, "base");
    for number in 0..100 {
        let text = number.to_string();
        tip = there.commit(&Change { parents: &[tip], files: &[("n", &text)], message: &text, ..Change::default() });
    }
    there.tag(tip, "app");
    here.ok(["remote", "add", "there", there.store_dir().to_str().unwrap()]);
    here.ok(["fetch"]);
    let count = here.ok(["rev-list", "--count", "there/app"]);
    assert_eq!(count, "101\n");
    let (sent, came) = (there.path().join("sent.tar"), here.path().join("came.tar"));
    std::fs::write(&sent, there.rd(["layer-tar", "base"]).output().unwrap().stdout).unwrap();
    std::fs::write(&came, here.rd(["layer-tar", "there/base"]).output().unwrap().stdout).unwrap();
    assert_eq!(std::fs::read(sent).unwrap(), std::fs::read(&came).unwrap());
    assert_eq!(std::fs::read(came).unwrap(), std::fs::read(tar).unwrap());
    assert_eq!(here.ok(["fsck"]), "");
}

#[test]
fn a_transfer_that_broke_goes_on_where_it_was() {
    let (there, here) = (Sandbox::new(), Sandbox::new());
    let tip = there.image("app", &[("a", "first"), ("b", "second"), ("c", "third")]);
    let second = there.store().content_file(&hash_content(b"second"));
    let kept = there.path().join("kept");
    std::fs::rename(&second, &kept).unwrap();
    let error = fetch(&there.store(), &here.store(), &[tip]).unwrap_err().to_string();
    assert!(error.contains("no such object"), "{error}");
    assert!(!here.store().has(&tip) && is_tidy(&here.store_dir()));
    std::fs::rename(&kept, &second).unwrap();
    let progress = fetch(&there.store(), &here.store(), &[tip]).unwrap();
    assert_eq!(progress.all_contents, 2, "what came before the break is there");
    here.tag(tip, "app");
    assert_eq!(here.ok(["fsck"]), "");
}

#[test]
fn damage_at_the_other_side_stays_there() {
    for (what, bytes) in [("another byte", "sEcond"), ("a byte less", "secon"), ("a byte more", "second!")] {
        let (there, here) = (Sandbox::new(), Sandbox::new());
        there.image("app", &[("a", "first"), ("b", "second")]);
        let path = there.store().content_file(&hash_content(b"second"));
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, bytes).unwrap();
        here.ok(["remote", "add", "origin", there.store_dir().to_str().unwrap()]);
        let stderr = here.fails(2, ["fetch"]);
        assert!(stderr.starts_with("error: "), "{what}: {stderr}");
        assert_eq!(here.ok(["for-each-ref"]), "", "{what}");
        assert!(is_tidy(&here.store_dir()), "{what}");
        // What had come before may wait for the next attempt.
        assert!(here.ok(["fsck"]).lines().all(|line| line.starts_with("dangling content ")), "{what}");
    }
}

/// A packet.
fn packet(data: &[u8]) -> Vec<u8> {
    [format!("{:04x}", data.len() + 4).as_bytes(), data].concat()
}

/// What a server says that answers the first question so.
fn says(answer: &[Vec<u8>]) -> Vec<u8> {
    [packet(b"rd transfer 1 plain"), answer.concat(), b"0000".to_vec()].concat()
}

#[test]
fn a_server_that_lies_gets_nowhere() {
    let sandbox = Sandbox::new();
    let tip = hash_content(b"no commit");
    let commit = format!("tree {tip}\nauthor a <b> 0 +0000\ncommitter a <b> 0 +0000\n\nx\n");
    let header = format!("commit {}", commit.len());
    let broken = commit.replace("author", "writer");
    let answers = [
        vec![],
        b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
        packet(b"rd transfer 2 plain"),
        says(&[]),
        says(&[packet(header.as_bytes()), packet(commit.as_bytes())]),
        says(&[packet(header.as_bytes()), packet(broken.as_bytes())]),
        says(&[packet(b"commit 99999999999999"), packet(b"x")]),
        says(&[packet(b"commit 18446744073709551616")]),
        says(&[packet(b"commit -1")]),
        says(&[packet(b"blob 3"), packet(b"abc")]),
        says(&[packet(b"tree 0")]),
        says(&[packet(b"commit 3"), packet(b"abcdef")]),
        says(&[packet(b"commit 3"), packet(b"")]),
        says(&[packet(b"commit 3 4"), packet(b"\x00\x03\x03abc")]),
        says(&[packet(b"commit 3 4 5"), packet(b"abc")]),
        says(&[packet(b"error it is \x1b[31mred")]),
        says(&[b"zzzz".to_vec()]),
        says(&[b"fff5".to_vec()]),
    ];
    let store = sandbox.store();
    for answer in answers {
        let shown = String::from_utf8_lossy(&answer).into_owned();
        let outcome = Client::connect(Cursor::new(answer), sink(), Compress::No)
            .and_then(|mut client| client.fetch(&store, &[Tip { id: tip, like: None }], &mut |_| {}).map(drop));
        assert!(outcome.is_err(), "{shown}");
    }
    assert!(is_tidy(&sandbox.store_dir()));
    assert_eq!(sandbox.ok(["count-objects"]), "0 objects, 0 kilobytes\n");
}

#[test]
fn fetch_says_what_is_wrong() {
    let (there, here) = two();
    let none = Sandbox::new();
    let stderr = none.fails(2, ["fetch"]);
    assert_eq!(stderr, "error: there is no remote to fetch from\nhint: `rd remote add origin URL` adds one\n");
    for (args, why) in [
        (&["fetch", "origin", "nope"][..], "error: no such remote image: 'origin/nope:latest'\n"),
        (&["fetch", "origin/nope:2"], "error: no such remote image: 'origin/nope:2'\n"),
        (&["fetch", "origin", "UPPER"], "error: invalid image name 'UPPER'"),
    ] {
        let stderr = here.fails(2, args);
        assert!(stderr.starts_with(why), "{args:?}: {stderr}");
    }
    here.ok(["remote", "set-url", "origin", "/nowhere"]);
    assert!(here.fails(2, ["fetch"]).starts_with("error: no such store: '/nowhere'\n"));
    // A git repository that is no store.
    let plain = there.path().join("plain.git");
    let made = Command::new("git").args(["init", "-q", "--bare", "--object-format=sha256"]).arg(&plain).status();
    assert!(made.unwrap().success());
    here.ok(["remote", "set-url", "origin", plain.to_str().unwrap()]);
    assert!(here.fails(2, ["fetch"]).starts_with("error: invalid store "));
    assert_eq!(here.ok(["for-each-ref"]), "");
}

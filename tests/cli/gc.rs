//! `rd gc`: what is needed stays, what isn't goes, beside other commands and killed at any moment.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use plumbing::store::refs::Expect;
use plumbing::{Id, store::hash_content};

use crate::sandbox::{Change, Sandbox, wait_for};

/// Both checks have no complaint.
#[track_caller]
fn assert_sound(sandbox: &Sandbox) {
    sandbox.rd(["fsck"]).assert().success().stdout_eq("");
    assert_no_complaint(sandbox);
}

/// As [`assert_sound`], where contents may be left that nothing refers to.
#[track_caller]
fn assert_no_complaint(sandbox: &Sandbox) {
    sandbox.rd(["fsck"]).assert().success();
    let output = git(sandbox, &["fsck", "--strict"]);
    assert!(output.status.success(), "{output:?}");
}

fn git(sandbox: &Sandbox, args: &[&str]) -> std::process::Output {
    let path = Path::new(env!("CARGO_BIN_EXE_rd")).parent().unwrap().display().to_string();
    let path = format!("{path}:{}", std::env::var("PATH").unwrap());
    let mut command = Command::new("git");
    command.arg("-C").arg(sandbox.store_dir()).args(args).env("PATH", path).env("HOME", sandbox.path());
    command.env("GIT_CONFIG_NOSYSTEM", "1").stdin(Stdio::null()).output().unwrap()
}

/// The file of a content.
fn content(sandbox: &Sandbox, text: &str) -> PathBuf {
    sandbox.store().content_file(&hash_content(text.as_bytes()))
}

fn packs(sandbox: &Sandbox) -> Vec<PathBuf> {
    let dir = std::fs::read_dir(sandbox.store_dir().join("objects/pack")).unwrap();
    dir.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|e| e == "pack")).collect()
}

fn has_object(sandbox: &Sandbox, id: &Id) -> bool {
    git(sandbox, &["cat-file", "-e", &id.to_string()]).status.success()
}

/// Make all of the store as if it were `days` older: files, and the record of removed names.
fn age(sandbox: &Sandbox, days: u64) {
    let seconds = days * 24 * 3600;
    for folder in ["content", "objects"] {
        for path in files(&sandbox.store_dir().join(folder)) {
            let file = std::fs::File::open(&path).unwrap();
            let time = file.metadata().unwrap().modified().unwrap();
            file.set_modified(time - Duration::from_secs(seconds)).unwrap();
        }
    }
    let record = sandbox.store_dir().join("removed");
    if let Ok(text) = std::fs::read_to_string(&record) {
        let older = |line: &str| {
            let (who, rest) = line.split_once("> ").unwrap();
            let (time, rest) = rest.split_once(' ').unwrap();
            format!("{who}> {} {rest}\n", time.parse::<u64>().unwrap() - seconds)
        };
        std::fs::write(&record, text.lines().map(older).collect::<String>()).unwrap();
    }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let (mut found, mut waiting) = (Vec::new(), vec![dir.to_owned()]);
    while let Some(dir) = waiting.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { waiting.push(path) } else { found.push(path) }
        }
    }
    found
}

#[test]
fn what_a_name_needs_stays_and_the_rest_goes_now() {
    let sandbox = Sandbox::new();
    let base = sandbox.image("base", &[("shared", "shared\n"), ("old", "old\n")]);
    let next = sandbox.commit(&Change { parents: &[base], files: &[("old", "new\n")], ..Change::default() });
    sandbox.tag(next, "next");
    let gone = sandbox.image("gone", &[("shared", "shared\n"), ("alone", "alone\n")]);
    sandbox.ok(["rmi", "base", "gone", "-f"]);
    let text = sandbox.ok(["gc", "--prune=now"]);
    assert!(text.starts_with("1 content removed, "), "{text}");
    assert!(text.contains("\nTotal reclaimed space: "), "{text}");
    assert!(!content(&sandbox, "alone\n").exists());
    assert!(content(&sandbox, "shared\n").exists() && content(&sandbox, "old\n").exists());
    assert!(has_object(&sandbox, &base) && has_object(&sandbox, &next) && !has_object(&sandbox, &gone));
    assert_sound(&sandbox);
    assert_eq!(sandbox.ok(["gc", "--prune=now"]), "Total reclaimed space: 0B\n");
}

#[test]
fn a_dry_run_changes_nothing() {
    let sandbox = Sandbox::new();
    sandbox.image("gone", &[("alone", "alone\n")]);
    sandbox.ok(["rmi", "gone"]);
    let text = sandbox.ok(["gc", "--prune=now", "-n"]);
    assert!(text.starts_with("1 content would be removed, "), "{text}");
    assert!(content(&sandbox, "alone\n").exists());
    let json: serde_json::Value = serde_json::from_str(&sandbox.ok(["gc", "--prune=now", "-n", "--json"])).unwrap();
    assert_eq!((json["contents"].as_u64(), json["forgotten"].as_u64()), (Some(1), Some(1)));
    assert_eq!(sandbox.ok(["gc", "--prune=now", "-q"]), "");
    assert!(!content(&sandbox, "alone\n").exists());
}

#[test]
fn a_removed_name_can_be_brought_back_within_the_grace_period() {
    let sandbox = Sandbox::new();
    let id = sandbox.image("web", &[("f", "web\n")]);
    age(&sandbox, 100);
    sandbox.ok(["rmi", "web"]);
    age(&sandbox, 10);
    sandbox.ok(["gc"]);
    sandbox.ok(["tag", &id.to_string(), "web"]);
    assert_eq!(sandbox.ok(["show", "web:/f"]), "web\n");
    // It is needed again, and no longer where unneeded objects are.
    age(&sandbox, 100);
    sandbox.ok(["gc"]);
    sandbox.ok(["gc"]);
    assert_eq!(sandbox.ok(["show", "web:/f"]), "web\n");
    assert_sound(&sandbox);
}

#[test]
fn what_was_removed_goes_after_the_grace_period() {
    let sandbox = Sandbox::new();
    sandbox.image("stays", &[("f", "stays\n")]);
    let id = sandbox.image("web", &[("f", "web\n")]);
    sandbox.ok(["rmi", "web"]);
    let text = sandbox.ok(["gc"]);
    assert!(text.contains("unneeded objects too young to go\n"), "{text}");
    age(&sandbox, 15);
    let text = sandbox.ok(["gc"]);
    assert!(text.contains("1 content removed") && text.contains("1 removed name forgotten\n"), "{text}");
    assert!(!has_object(&sandbox, &id) && !content(&sandbox, "web\n").exists());
    assert_eq!(std::fs::read_to_string(sandbox.store_dir().join("removed")).unwrap(), "");
    assert_sound(&sandbox);
}

#[test]
fn the_reflog_keeps_what_a_name_was_at() {
    let sandbox = Sandbox::new();
    sandbox.image("web", &[("f", "one\n")]);
    sandbox.image("web", &[("f", "two\n")]);
    age(&sandbox, 50);
    sandbox.ok(["gc", "--prune=now"]);
    assert_eq!(sandbox.ok(["show", "web@{1}:/f"]), "one\n");
    assert_sound(&sandbox);
}

#[test]
fn a_container_keeps_what_it_was_made_of() {
    let sandbox = Sandbox::new();
    sandbox.busybox("busybox");
    let _run = sandbox.spawn(["run", "--rm", "--name", "web", "busybox", "sleep", "1000"]);
    wait_for(|| (!sandbox.ok(["ps", "-q"]).is_empty()).then_some(()));
    sandbox.store().delete_ref("refs/images/docker.io/library/busybox@latest", image(&sandbox, "busybox")).unwrap();
    let text = sandbox.ok(["gc", "--prune=now"]);
    assert!(!text.contains("content"), "{text}");
    sandbox.ok(["commit", "web", "again"]);
    assert_no_complaint(&sandbox);
    sandbox.ok(["rm", "-f", "web"]);
    sandbox.ok(["run", "--rm", "again", "true"]);
}

fn image(sandbox: &Sandbox, name: &str) -> Id {
    sandbox.ok(["rev-parse", name]).trim().parse().unwrap()
}

#[test]
fn caches_of_what_has_no_name_go() {
    let sandbox = Sandbox::new();
    let images = |sandbox: &Sandbox| {
        let mounts = files(&sandbox.store_dir().join("mounts"));
        mounts.iter().filter(|path| path.extension().is_some_and(|e| e == "erofs")).count()
    };
    sandbox.busybox("one");
    let two =
        sandbox.commit(&Change { parents: &[image(&sandbox, "one")], files: &[("f", "more\n")], ..Change::default() });
    sandbox.tag(two, "two");
    for name in ["one", "two"] {
        sandbox.ok(["run", "--rm", name, "true"]);
        sandbox.ok(["images"]);
    }
    sandbox.ok(["rmi", "two"]);
    assert_eq!(images(&sandbox), 2);
    sandbox.ok(["gc"]);
    assert_eq!(images(&sandbox), 2);
    let text = sandbox.ok(["gc", "--prune=now"]);
    assert!(text.contains("2 caches removed, "), "{text}");
    assert_eq!(images(&sandbox), 1);
    sandbox.ok(["run", "--rm", "one", "true"]);
}

#[test]
fn loose_objects_are_packed_and_copies_of_contents_dropped() {
    let sandbox = Sandbox::new();
    sandbox.image("web", &[("f", "some text\n")]);
    let show = git(&sandbox, &["show", "refs/images/docker.io/library/web@latest:rootfs/f"]);
    assert_eq!(String::from_utf8_lossy(&show.stdout), "some text\n", "{show:?}");
    let tag = ["tag", "-a", "-m", "x", "v1", "refs/images/docker.io/library/web@latest"];
    let identity = ["-c", "user.name=x", "-c", "user.email=x@y"];
    assert!(git(&sandbox, &[&identity[..], &tag].concat()).status.success());
    let text = sandbox.ok(["gc"]);
    assert!(text.contains("1 copy of a content removed\n1 loose object packed\n"), "{text}");
    let counts = git(&sandbox, &["count-objects", "-v"]);
    assert!(String::from_utf8_lossy(&counts.stdout).starts_with("count: 0\n"), "{counts:?}");
    assert_sound(&sandbox);
}

#[test]
fn aggressive_makes_one_pack() {
    let sandbox = Sandbox::new();
    for name in ["a", "b", "c"] {
        sandbox.image(name, &[("f", name)]);
    }
    sandbox.ok(["gc", "--aggressive"]);
    assert_eq!(packs(&sandbox).len(), 1);
    assert_sound(&sandbox);
}

#[test]
fn nothing_goes_where_something_needed_is_missing() {
    let sandbox = Sandbox::new();
    let id = sandbox.image("web", &[("f", "web\n")]);
    sandbox.image("gone", &[("f", "gone\n")]);
    sandbox.ok(["rmi", "gone"]);
    let broken = Id::from_hex(&[b'b'; 64]).unwrap();
    std::fs::write(sandbox.store_dir().join("refs/broken"), format!("{broken}\n")).unwrap();
    let stderr = sandbox.fails(2, ["gc", "--prune=now"]);
    assert!(stderr.starts_with(&format!("error: damaged object {broken}: ")), "{stderr}");
    assert!(content(&sandbox, "gone\n").exists() && has_object(&sandbox, &id));
    let stderr = sandbox.fails(2, ["gc", "--prune=tomorrowish"]);
    assert!(stderr.starts_with("error: invalid age 'tomorrowish': "), "{stderr}");
}

#[test]
fn what_a_command_found_is_young_again() {
    let sandbox = Sandbox::new();
    let dir = sandbox.path().join("dir");
    std::fs::create_dir(&dir).unwrap();
    std::fs::write(dir.join("f"), "found\n").unwrap();
    sandbox.ok(["write-tree", "dir"]);
    age(&sandbox, 100);
    sandbox.ok(["gc", "--prune=30d"]);
    // The objects lie among the unneeded ones now, for 30 days; the content goes with them.
    assert!(content(&sandbox, "found\n").exists());
    age(&sandbox, 100);
    let tree = sandbox.ok(["write-tree", "dir"]);
    let tree = tree.lines().next().unwrap().split_whitespace().last().unwrap().to_owned();
    sandbox.ok(["gc"]);
    assert!(content(&sandbox, "found\n").exists());
    sandbox.ok(["cat-file", "-e", &tree]);
    let modified = content(&sandbox, "found\n").metadata().unwrap().modified().unwrap();
    assert!(SystemTime::now().duration_since(modified).unwrap_or_default() < Duration::from_secs(600));
}

/// A tar whose files are `shared` ones, also in others, and one of its own.
fn archive(sandbox: &Sandbox, name: &str, shared: usize) -> PathBuf {
    let dir = sandbox.path().join(format!("root-{name}"));
    std::fs::create_dir_all(&dir).unwrap();
    for number in 0..shared {
        std::fs::write(dir.join(format!("f{number}")), format!("shared {number}\n")).unwrap();
    }
    std::fs::write(dir.join("own"), name).unwrap();
    let tar = sandbox.path().join(format!("{name}.tar"));
    assert!(Command::new("tar").arg("-cf").arg(&tar).arg("-C").arg(&dir).arg(".").status().unwrap().success());
    tar
}

/// Imports, removals and tags at once, of images whose contents are old and unneeded again and again, beside one
/// collection after the other.
#[test]
fn collections_beside_eight_writers_lose_nothing() {
    let sandbox = Sandbox::new();
    let names: Vec<String> = (0..8).map(|number| format!("i{number}")).collect();
    let tars: Vec<PathBuf> = names.iter().map(|name| archive(&sandbox, name, 40)).collect();
    for round in 0..4 {
        let mut running: Vec<_> =
            tars.iter().zip(&names).map(|(tar, name)| sandbox.spawn(["import", tar.to_str().unwrap(), name])).collect();
        let mut collections = 0;
        let mut codes = Vec::new();
        while let Some(mut import) = running.pop() {
            sandbox.ok(["gc", "--prune=now", "-q"]);
            collections += 1;
            codes.push(import.wait());
        }
        assert_eq!(codes, vec![0; 8], "round {round}");
        assert!(collections == 8);
        assert_no_complaint(&sandbox);
        for name in &names {
            assert_eq!(&sandbox.ok(["show", &format!("{name}:/own")]), name);
            assert_eq!(sandbox.ok(["show", &format!("{name}:/f7")]), "shared 7\n");
        }
        age(&sandbox, 30);
        let mut rmi = vec!["rmi"];
        rmi.extend(names.iter().map(String::as_str));
        sandbox.ok(rmi);
    }
    sandbox.ok(["gc", "--prune=now"]);
    assert_eq!(files(&sandbox.store_dir().join("content")), Vec::<PathBuf>::new());
    assert_sound(&sandbox);
}

#[test]
fn a_collection_that_is_killed_leaves_a_sound_store() {
    let sandbox = Sandbox::new();
    sandbox.image("stays", &[("f", "stays\n"), ("g", "more\n")]);
    let mut seed = 0x9e37_79b9_u64;
    for round in 0..25 {
        for number in 0..6 {
            let text = format!("{round} {number}");
            sandbox.image("gone", &[("f", &text), ("g", "more\n")]);
            let id = image(&sandbox, "gone");
            sandbox.store().delete_ref("refs/images/docker.io/library/gone@latest", id).unwrap();
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_rd"));
        command.args(["gc", "--prune=now", "-q"]).env_clear().env("RD_ROOT", sandbox.store_dir());
        let mut child = command.spawn().unwrap();
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let begun = std::time::Instant::now();
        let end = Duration::from_micros(seed >> 33 & 0x7fff);
        while begun.elapsed() < end {
            std::hint::spin_loop();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert_no_complaint(&sandbox);
        assert_eq!(sandbox.ok(["show", "stays:/g"]), "more\n");
    }
    sandbox.store().update_ref("refs/heads/x", image(&sandbox, "stays"), Expect::Missing, "no lock is left").unwrap();
    sandbox.ok(["gc", "--prune=now"]);
    assert_sound(&sandbox);
    let left = std::fs::read_dir(sandbox.store_dir().join("content")).unwrap();
    assert!(left.flatten().all(|entry| !entry.file_name().to_string_lossy().starts_with("tmp-")));
}

#[test]
fn an_ordinary_repository_is_left_to_git() {
    let sandbox = Sandbox::new();
    let repo = sandbox.path().join("repo");
    assert!(
        Command::new("git")
            .args(["init", "-q", "--bare", "--object-format=sha256"])
            .arg(&repo)
            .status()
            .unwrap()
            .success()
    );
    let stderr = sandbox.fails(2, ["--root", "repo", "gc"]);
    assert!(stderr.starts_with("error: "), "{stderr}");
}

#[test]
fn a_collection_starts_by_itself_once_a_day() {
    let sandbox = Sandbox::new();
    let stamp = sandbox.store_dir().join("gc.stamp");
    let make_old = || {
        let file = std::fs::File::options().write(true).open(&stamp).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(25 * 3600)).unwrap();
    };
    let remove_old = |name: &str| {
        sandbox.image(name, &[("f", name)]);
        sandbox.ok(["rmi", name]);
        age(&sandbox, 30);
    };
    // The first command that writes begins to count.
    remove_old("one");
    sandbox.ok(["gc"]);
    age(&sandbox, 30);
    assert!(content(&sandbox, "one").exists() && stamp.exists());
    std::fs::write(sandbox.store_dir().join("config"), config(&sandbox) + "\tgcInterval = never\n").unwrap();
    make_old();
    sandbox.image("two", &[("f", "two")]);
    sandbox.ok(["rmi", "two"]);
    assert!(stamp.metadata().unwrap().modified().unwrap().elapsed().unwrap() > Duration::from_secs(24 * 3600));
    std::fs::write(sandbox.store_dir().join("config"), config(&sandbox).replace("never", "24h")).unwrap();
    sandbox.image("two", &[("f", "two")]);
    sandbox.ok(["rmi", "two"]);
    wait_for(|| (!content(&sandbox, "one").exists()).then_some(()));
    assert!(content(&sandbox, "two").exists());
    assert!(stamp.metadata().unwrap().modified().unwrap().elapsed().unwrap() < Duration::from_secs(3600));
    let root = sandbox.path().to_str().unwrap().to_owned();
    wait_for(|| (!is_at_work(&root)).then_some(()));
}

/// Whether there is a process whose command line speaks of this folder.
fn is_at_work(folder: &str) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let line = |path: PathBuf| std::fs::read(path.join("cmdline")).unwrap_or_default();
    processes.map(|entry| line(entry.path())).any(|line| String::from_utf8_lossy(&line).contains(folder))
}

fn config(sandbox: &Sandbox) -> String {
    std::fs::read_to_string(sandbox.store_dir().join("config")).unwrap()
}

//! A power cut at any moment of a command leaves a sound store, and keeps what was reported.

use std::collections::HashSet;
use std::path::Path;

use crate::disk::{Disk, Keep};
use crate::judge::{Judge, failure};
use crate::random::{Random, setting};
use crate::sandbox::Sandbox;
use crate::trace;

/// So many random disks for each command.
const ROUNDS: u64 = 32;

/// Record `rd ARGS` and judge what it leaves at each moment on disks that keep different things.
fn survives(sandbox: &Sandbox, args: &[&str]) {
    let live = Judge::new(&sandbox.store_dir());
    let existed = sandbox.store_dir().exists();
    let before = if existed { live.refs() } else { Default::default() };
    let mut disk = Disk::snapshot(sandbox.path());
    let scratch = tempfile::tempdir().unwrap();
    let (calls, status) = trace::record(&live.rd(args), &scratch.path().join("trace"));
    assert!(status.success(), "{args:?} ended with {status}");
    disk.replay(&calls);
    let case = Case { args, live, before, disk, image: scratch.path().join("image") };
    let seed = setting("RD_FAULT_SEED", 1);
    let mut random = Random::new(seed);
    let mut seen = HashSet::new();
    let moments = case.disk.moments();
    let some = (0..setting("RD_FAULT_ROUNDS", ROUNDS)).map(|round| {
        // The last moment is where everything must be there.
        let moment = if round % 4 == 0 { moments - 1 } else { random.below(moments as u64) as usize };
        let keep = [Keep::Names, Keep::Bytes, Keep::Journal(random.number()), Keep::Some(random.number())];
        (moment, *random.pick(&keep))
    });
    let disks: Vec<_> = (0..moments).map(|moment| (moment, Keep::Nothing)).chain(some).collect();
    let mut failures = Vec::new();
    for (moment, keep) in disks {
        let is_reported = case.is_reported(moment);
        if seen.insert((case.disk.cut(moment, keep).fingerprint(), is_reported))
            && let Some(complaint) = case.complain(moment, keep)
        {
            failures.push(format!("{keep:?} {}\n{complaint}", case.disk.describe(moment)));
        }
    }
    let count = failures.len();
    failures.truncate(std::env::var("RD_FAULT_SHOWN").map_or(5, |shown| shown.parse().unwrap()));
    assert!(
        failures.is_empty(),
        "rd {args:?}, RD_FAULT_SEED={seed}: {count} of {} disks:\n{}",
        seen.len(),
        failures.join("\n")
    );
}

struct Case<'a> {
    args: &'a [&'a str],
    live: Judge,
    before: crate::judge::Refs,
    disk: Disk,
    image: std::path::PathBuf,
}

impl Case<'_> {
    /// Whether the command had said all that it said.
    fn is_reported(&self, moment: usize) -> bool {
        let last = self.disk.moments() - 1;
        let said = self.disk.said(last);
        moment == last || (!said.is_empty() && self.disk.said(moment) == said)
    }

    fn complain(&self, moment: usize, keep: Keep) -> Option<String> {
        self.disk.cut(moment, keep).write(&self.image);
        let cut = Judge::new(&self.image.join("store"));
        let complaint = self.complain_of(&cut, self.is_reported(moment)).or_else(|| cut.until_quiet());
        std::fs::remove_dir_all(&self.image).unwrap();
        complaint
    }

    fn complain_of(&self, cut: &Judge, is_reported: bool) -> Option<String> {
        if !self.image.join("store").exists() {
            return is_reported.then(|| "the store is lost".to_owned());
        }
        if let Some(complaint) = cut.complain() {
            return Some(complaint);
        }
        let (after, found) = (self.live.refs(), cut.refs());
        let names: HashSet<&String> = self.before.keys().chain(after.keys()).chain(found.keys()).collect();
        for name in names {
            let (old, new, found) = (self.before.get(name), after.get(name), found.get(name));
            if found != new && (is_reported || found != old) {
                return Some(format!("{name} is {found:?}, it was {old:?} and became {new:?}"));
            }
            if is_reported && new != old && new.is_some() && cut.reflog(name) != self.live.reflog(name) {
                return Some(format!("the reflog of {name} is {:?}", cut.reflog(name)));
            }
        }
        let changed = after.iter().filter(|(name, id)| self.before.get(*name) != Some(id)).map(|(name, _)| name);
        let changed: Vec<&String> =
            changed.chain(self.before.keys().filter(|name| !after.contains_key(*name))).collect();
        if ["create", "run", "start"].contains(&self.args[0])
            && let Some(complaint) = failure(cut.rd(&["run", "--rm", "--name", "c3", "box", "true"]))
        {
            return Some(complaint);
        }
        cut.blocked(changed).or_else(|| failure(cut.rd(self.args)).filter(|_| self.args[0] == "import"))
    }
}

fn archive(folder: &Path, name: &str, files: &[(&str, &str)]) {
    let from = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = from.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let status = std::process::Command::new("tar")
        .arg("-C")
        .arg(from.path())
        .arg("-cf")
        .arg(folder.join(name))
        .arg(".")
        .status();
    assert!(status.unwrap().success());
}

/// A store with an image, and an archive that holds another.
fn prepared() -> Sandbox {
    let sandbox = Sandbox::new();
    archive(sandbox.path(), "one.tar", &[("etc/name", "one\n"), ("etc/same", "same\n")]);
    archive(sandbox.path(), "two.tar", &[("etc/name", "two\n"), ("etc/same", "same\n"), ("srv/a/b", "new\n")]);
    sandbox.ok(["import", "one.tar", "base:1"]);
    sandbox
}

#[test]
fn the_first_import_survives_a_power_cut() {
    let sandbox = Sandbox::new();
    archive(sandbox.path(), "one.tar", &[("etc/name", "one\n")]);
    survives(&sandbox, &["import", "one.tar", "base:1"]);
}

#[test]
fn an_import_under_a_new_name_survives_a_power_cut() {
    survives(&prepared(), &["import", "two.tar", "example.org/team/app:1"]);
}

#[test]
fn an_import_over_another_image_survives_a_power_cut() {
    survives(&prepared(), &["import", "two.tar", "base:1"]);
}

#[test]
fn an_import_of_many_files_survives_a_power_cut() {
    let sandbox = prepared();
    let files: Vec<(String, String)> = (0..100).map(|n| (format!("d/{n}"), format!("{n}\n"))).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    archive(sandbox.path(), "many.tar", &files);
    survives(&sandbox, &["import", "many.tar", "many:1"]);
}

#[test]
fn joining_packs_survives_a_power_cut() {
    let sandbox = prepared();
    for number in 0..23 {
        let id = sandbox.image(&format!("small:{number}"), &[("n", &number.to_string())]);
        assert!(sandbox.store().has(&id));
    }
    survives(&sandbox, &["import", "two.tar", "base:2"]);
}

#[test]
fn a_new_tag_survives_a_power_cut() {
    survives(&prepared(), &["tag", "base:1", "new/tag:1"]);
}

#[test]
fn a_moved_tag_survives_a_power_cut() {
    let sandbox = prepared();
    sandbox.ok(["import", "two.tar", "base:2"]);
    survives(&sandbox, &["tag", "base:2", "base:1"]);
}

#[test]
fn removing_an_image_survives_a_power_cut() {
    let sandbox = prepared();
    sandbox.ok(["import", "two.tar", "base:2"]);
    survives(&sandbox, &["rmi", "base:1"]);
}

#[test]
fn collecting_garbage_survives_a_power_cut() {
    let sandbox = prepared();
    sandbox.ok(["import", "two.tar", "base:2"]);
    sandbox.ok(["rmi", "base:1"]);
    sandbox.ok(["tag", "base:2", "base:1"]);
    survives(&sandbox, &["gc", "--prune=now"]);
}

#[test]
fn packing_cold_contents_survives_a_power_cut() {
    survives(&prepared(), &["repack", "--cold", "now"]);
}

/// A store with an image in which containers run.
fn with_box() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.busybox("box");
    sandbox
}

#[test]
fn making_and_starting_a_container_survives_a_power_cut() {
    let sandbox = with_box();
    survives(&sandbox, &["create", "--name", "c1", "box", "true"]);
    survives(&sandbox, &["start", "c1"]);
}

#[test]
fn running_a_container_survives_a_power_cut() {
    let sandbox = with_box();
    survives(&sandbox, &["run", "--name", "c2", "box", "sh", "-c", "echo changed >/etc/passwd"]);
    survives(&sandbox, &["run", "--rm", "--name", "c3", "box", "true"]);
}

#[test]
fn committing_and_removing_a_container_survives_a_power_cut() {
    let sandbox = with_box();
    sandbox.ok(["run", "--name", "c2", "box", "sh", "-c", "echo changed >/etc/passwd"]);
    survives(&sandbox, &["commit", "c2", "changed:1"]);
    survives(&sandbox, &["rm", "c2"]);
}

//! Commands that are killed, that run out of room and whose writes fail, alone and five at once: after each round the
//! store is sound, what was reported is there, and nothing blocks the next command.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use plumbing::Id;
use plumbing::store::refs::{CONTAINERS, IMAGES};

use crate::arena::Arena;
use crate::judge::{Judge, PATIENCE, Refs, failure};
use crate::random::{Random, setting};

/// Rounds of a run that nobody asked to be longer.
const ROUNDS: u64 = 300;

/// Room for the store: a good deal more than it needs, so that only a full disk is full.
const ROOM: u64 = 96 << 20;

/// How many commands run at once in a crowded round, each on names of its own.
const CROWD: usize = 5;

/// What happens to the commands of a round.
#[derive(Debug, Clone, Copy)]
enum Fault {
    /// SIGKILL after a while: the command alone, or all that it started too.
    Kill { everything: bool },
    /// So many bytes are left.
    Full { free: u64 },
    /// The nth of these calls fails, and with `on` all that follow.
    Call { name: &'static str, error: &'static str, nth: u64, on: bool },
    /// Nothing: the command must do what it is for.
    None,
}

/// Calls that may fail, and how.
const FAILING: [(&str, &str); 12] = [
    ("write", "ENOSPC"),
    ("write", "EIO"),
    ("pwrite64", "ENOSPC"),
    ("fsync", "EIO"),
    ("fdatasync", "EIO"),
    ("syncfs", "EIO"),
    ("openat", "ENOSPC"),
    ("rename,renameat,renameat2", "EIO"),
    ("rename,renameat,renameat2", "ENOSPC"),
    ("mkdir,mkdirat", "ENOSPC"),
    ("linkat,symlink,symlinkat", "ENOSPC"),
    ("unlink,unlinkat", "EIO"),
];

/// What a command is; those of one slot work on names of that slot only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Action {
    Import,
    ImportElsewhere,
    Tag,
    Remove,
    Create,
    Run,
    Commit,
    RemoveContainer,
    UpdateRef,
    Load,
    Gc,
    Repack,
    GitPackRefs,
}

const ACTIONS: [Action; 13] = [
    Action::Import,
    Action::ImportElsewhere,
    Action::Tag,
    Action::Remove,
    Action::Create,
    Action::Run,
    Action::Commit,
    Action::RemoveContainer,
    Action::UpdateRef,
    Action::Load,
    Action::Gc,
    Action::Repack,
    Action::GitPackRefs,
];

/// A command on its way.
struct Started {
    action: Action,
    slot: usize,
    child: Child,
    begun: Instant,
    /// When to kill it.
    end: Option<Duration>,
}

struct Rounds {
    arena: Arena,
    judge: Judge,
    random: Random,
    /// How long each kind of command takes.
    durations: BTreeMap<Action, Duration>,
    /// Commits that were reported.
    reported: BTreeSet<Id>,
    archives: usize,
    /// What happened lately, a line a command.
    past: VecDeque<String>,
}

/// So many lines are told of the past of a failure.
const PAST: usize = 40;

#[test]
fn killed_and_failing_commands_lose_nothing() {
    let seed = setting("RD_FAULT_SEED", 1);
    let rounds = setting("RD_FAULT_ROUNDS", ROUNDS);
    println!("RD_FAULT_SEED={seed} RD_FAULT_ROUNDS={rounds}");
    let mut all = Rounds::prepare(seed);
    for round in 0..rounds {
        let (fault, complaint) = all.round();
        if let Some(complaint) = complaint {
            let past = all.past.make_contiguous().join("\n");
            panic!("RD_FAULT_SEED={seed} round {round} ({fault:?}): {complaint}\nbefore that:\n{past}");
        }
    }
}

impl Rounds {
    fn prepare(seed: u64) -> Self {
        let arena = Arena::new(ROOM);
        let judge = Judge::new(&arena.path().join("store"));
        let (durations, reported) = (BTreeMap::new(), BTreeSet::new());
        let mut rounds =
            Self { arena, judge, random: Random::new(seed), durations, reported, archives: 0, past: VecDeque::new() };
        rounds.begin();
        rounds
    }

    /// Begin with a new store.
    fn begin(&mut self) {
        self.reported.clear();
        let _ = std::fs::remove_dir_all(self.arena.path().join("store"));
        let from = self.arena.path().join("root");
        std::fs::create_dir_all(from.join("bin")).unwrap();
        std::fs::copy("/bin/busybox", from.join("bin/busybox")).unwrap();
        std::os::unix::fs::symlink("busybox", from.join("bin/sh")).unwrap();
        archive(&from, &self.arena.path().join("box.tar"));
        std::fs::remove_dir_all(from).unwrap();
        assert_eq!(failure(self.judge.rd(&["import", "box.tar", "box:1"])), None);
    }

    fn round(&mut self) -> (Fault, Option<String>) {
        if self.arena.free() < ROOM / 3 {
            self.begin();
        }
        let fault = self.fault();
        let count = if self.random.below(2) == 0 { 1 } else { CROWD };
        self.new_archive();
        if let Fault::Full { free } = fault {
            self.arena.fill(free);
        }
        let before = self.judge.refs();
        let started: Vec<Started> = (0..count).map(|slot| self.start(slot, fault)).collect();
        let mut complaints = Vec::new();
        for started in self.watch(started, fault) {
            complaints.extend(self.judge_command(started, fault, &before));
        }
        self.arena.empty();
        complaints.extend(self.judge_store(count));
        (fault, (!complaints.is_empty()).then(|| complaints.join("\n")))
    }

    fn fault(&mut self) -> Fault {
        match self.random.below(10) {
            0 => Fault::None,
            1 | 2 => Fault::Full { free: self.random.below(40) << 12 },
            3..=5 => {
                let (name, error) = *self.random.pick(&FAILING);
                Fault::Call {
                    name,
                    error,
                    // Later ones are those of libcontainer in the container that starts, where one that failed has hung.
                    nth: 1 + self.random.below(if name == "openat" { 40 } else { 12 }),
                    on: self.random.below(2) == 0,
                }
            }
            _ => Fault::Kill { everything: self.random.below(3) == 0 },
        }
    }

    /// An archive that no round has seen yet.
    fn new_archive(&mut self) {
        self.archives += 1;
        let from = self.arena.path().join("new");
        std::fs::create_dir_all(from.join("etc")).unwrap();
        for number in 0..self.random.below(50) {
            std::fs::write(from.join(format!("etc/{number}")), format!("{} {number}\n", self.archives)).unwrap();
        }
        let big = vec![self.archives as u8; self.random.below(200_000) as usize];
        std::fs::write(from.join("big"), big).unwrap();
        archive(&from, &self.arena.path().join("new.tar"));
        std::fs::remove_dir_all(from).unwrap();
        self.docker_archive();
    }

    /// `new.tar` as the one layer of an image.
    fn docker_archive(&self) {
        let script = r#"rm -rf a; mkdir a; cp new.tar a/layer.tar; id=$(sha256sum <new.tar | cut -d' ' -f1)
            echo '{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":["sha256:'$id'"]}}' >a/config.json
            echo '[{"Config":"config.json","RepoTags":["loaded:1"],"Layers":["layer.tar"]}]' >a/manifest.json
            tar -C a -cf image.tar layer.tar config.json manifest.json; rm -r a"#;
        let status = Command::new("sh").args(["-ec", script]).current_dir(self.arena.path()).status();
        assert!(status.unwrap().success());
    }

    fn start(&mut self, slot: usize, fault: Fault) -> Started {
        let action = *self.random.pick(&ACTIONS);
        let mut command = self.command(action, slot);
        // git's locks say nothing of their owner: what git leaves when it is killed is for its user to clear away.
        let is_git = action == Action::GitPackRefs;
        if let Fault::Call { name, error, nth, on } = fault
            && !is_git
        {
            command = injected(&command, name, error, nth, on);
        }
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let typical = self.durations.get(&action).copied().unwrap_or(Duration::from_millis(60));
        let end = typical.mul_f64(self.random.below(1200) as f64 / 1000.0);
        let end = (matches!(fault, Fault::Kill { .. }) && !is_git).then_some(end);
        Started { action, slot, child: command.spawn().unwrap(), begun: Instant::now(), end }
    }

    fn command(&mut self, action: Action, slot: usize) -> Command {
        let (image, tag, container) = (format!("s{slot}:1"), format!("s{slot}:tag"), format!("kept{slot}"));
        let number = self.random.number().to_string();
        match action {
            Action::Import => self.judge.rd(&["import", "-m", &number, "new.tar", &image]),
            Action::ImportElsewhere => {
                self.judge.rd(&["import", "new.tar", &format!("r{slot}.example.org/{number}/x:1")])
            }
            Action::Tag => self.judge.rd(&["tag", "box:1", &tag]),
            Action::Remove => self.judge.rd(&["rmi", &tag]),
            Action::Create => self.judge.rd(&["create", "--name", &container, "box:1", "sh", "-c", "echo x >/x"]),
            Action::Run => self.judge.rd(&["run", "--rm", "box:1", "sh", "-c", "echo y >/y"]),
            Action::Commit => self.judge.rd(&["commit", "-m", &number, &container, &image]),
            Action::RemoveContainer => self.judge.rd(&["rm", "-f", &container]),
            Action::UpdateRef => self.judge.rd(&["update-ref", "-m", &number, &format!("refs/heads/s{slot}"), "box:1"]),
            Action::Load => self.judge.rd(&["load", "-i", "image.tar"]),
            // What reflogs name stays, so that all that was reported does.
            Action::Gc => self.judge.rd(&["gc", "-q", *self.random.pick(&["--prune=now", "--prune=1d"])]),
            Action::Repack => self.judge.rd(&["repack", "-q", "--cold", "now"]),
            Action::GitPackRefs => {
                let mut git = self.judge.git();
                // Not one of those that `kill_all` finds: nobody would break the locks that it leaves.
                git.args(["pack-refs", "--all"]).env_remove("RD_ROOT");
                git
            }
        }
    }

    /// Kill each command when its time has come, and wait for all.
    fn watch(&mut self, mut running: Vec<Started>, fault: Fault) -> Vec<Started> {
        let mut ended = Vec::new();
        while !running.is_empty() {
            let mut still = Vec::new();
            for mut started in running {
                let age = started.begun.elapsed();
                if started.child.try_wait().unwrap().is_some() {
                    ended.push(started);
                    continue;
                }
                if started.end.is_some_and(|end| age >= end) || age > PATIENCE {
                    match fault {
                        Fault::Kill { everything: false } => started.child.kill().unwrap(),
                        _ => kill_all(&self.arena.path().join("store")),
                    }
                }
                still.push(started);
            }
            running = still;
            std::thread::sleep(Duration::from_micros(500));
        }
        ended
    }
}

impl Rounds {
    /// What is wrong with how a command ended and what it left.
    fn judge_command(&mut self, started: Started, fault: Fault, before: &Refs) -> Option<String> {
        let Started { action, slot, child, begun, .. } = started;
        let output = child.wait_with_output().unwrap();
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let complain = |what: &str| Some(format!("{action:?} of slot {slot} {what}: {}\n{out}{err}", output.status));
        self.past.push_back(format!("{fault:?}: {action:?} of slot {slot}: {} {:.200}", output.status, err.trim()));
        self.past.drain(..self.past.len().saturating_sub(PAST));
        if begun.elapsed() > PATIENCE {
            return complain("did not end");
        }
        if err.contains("panicked") {
            return complain("panicked");
        }
        let refs = self.judge.refs();
        let names = names(slot);
        if !output.status.success() {
            let removes = [Action::Remove, Action::RemoveContainer].contains(&action);
            if !removes
                && let Some(lost) = names.iter().find(|name| before.contains_key(*name) && !refs.contains_key(*name))
            {
                return complain(&format!("lost {lost}"));
            }
            let may_fail = !matches!(fault, Fault::None)
                || action == Action::GitPackRefs
                || self.is_pointless(action, slot, before);
            return if may_fail { None } else { complain("failed") };
        }
        if matches!(fault, Fault::None) {
            self.durations.insert(action, begun.elapsed());
        }
        let [image, tag, head, branch] = &names;
        let id = out.trim().trim_start_matches("sha256:").parse::<Id>().ok();
        let boxed = refs.get("refs/images/docker.io/library/box@1").copied();
        let right = match action {
            Action::Import => id.is_some() && refs.get(image).copied() == id,
            Action::ImportElsewhere => id.is_some() && refs.values().any(|at| Some(*at) == id),
            Action::Tag => refs.get(tag).copied() == boxed,
            Action::Remove => !refs.contains_key(tag),
            Action::Create => refs.contains_key(head) && self.has_container(slot),
            Action::Commit => id.is_some() && refs.get(image).copied() == id && refs.get(head).copied() == id,
            Action::RemoveContainer => !refs.contains_key(head) && !self.has_container(slot),
            Action::UpdateRef => refs.get(branch).copied() == boxed,
            Action::Load => refs.contains_key(&format!("{IMAGES}docker.io/library/loaded@1")),
            Action::Run | Action::Gc | Action::Repack | Action::GitPackRefs => true,
        };
        if [Action::Import, Action::ImportElsewhere, Action::Commit].contains(&action) {
            self.reported.extend(id);
        }
        let found: Vec<_> = names.iter().map(|name| (name, before.get(name), refs.get(name))).collect();
        if right { None } else { complain(&format!("did not do what it said; before and now there is {found:?}")) }
    }

    /// Whether there is nothing that the command could do.
    fn is_pointless(&self, action: Action, slot: usize, before: &Refs) -> bool {
        let [_, tag, head, _] = names(slot);
        match action {
            Action::Remove => !before.contains_key(&tag),
            Action::Commit | Action::RemoveContainer => !before.contains_key(&head),
            Action::Create => before.contains_key(&head),
            _ => false,
        }
    }

    fn has_container(&self, slot: usize) -> bool {
        self.arena.path().join(format!("store/containers/names/kept{slot}")).symlink_metadata().is_ok()
    }

    /// What is wrong with the store after a round.
    fn judge_store(&mut self, slots: usize) -> Option<String> {
        self.judge.until_quiet().or_else(|| self.judge.complain()).or_else(|| self.lost()).or_else(|| {
            let touched: Vec<String> =
                (0..slots).flat_map(names).filter(|name| !name.starts_with(CONTAINERS)).collect();
            self.judge.blocked(touched)
        })
    }

    fn lost(&self) -> Option<String> {
        let store = plumbing::Store::open(self.arena.path().join("store")).unwrap();
        let lost = self.reported.iter().find(|id| store.read_commit(id).is_err())?;
        Some(format!("commit {lost}, which was reported, is lost"))
    }
}

/// The refs of a slot: an image, another name of an image, a container, a branch. The container's name can't be the beginning of
/// another one's id.
fn names(slot: usize) -> [String; 4] {
    [
        format!("{IMAGES}docker.io/library/s{slot}@1"),
        format!("{IMAGES}docker.io/library/s{slot}@tag"),
        format!("{CONTAINERS}kept{slot}"),
        format!("refs/heads/s{slot}"),
    ]
}

/// Kill every process that works on the store.
fn kill_all(store: &Path) {
    let wanted = [b"RD_ROOT=", store.as_os_str().as_encoded_bytes()].concat();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<i32>() else { continue };
        let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        if environment.split(|byte| *byte == 0).any(|line| line == wanted) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

/// The command with some of its calls failing.
fn injected(command: &Command, name: &str, error: &str, nth: u64, on: bool) -> Command {
    let mut traced = Command::new("strace");
    let when = format!("{nth}{}", if on { "+" } else { "" });
    traced.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={name}")]);
    traced.args(["-e", &format!("inject={name}:error={error}:when={when}")]);
    crate::judge::wrap(traced, command)
}

fn archive(from: &Path, to: &Path) {
    let status = Command::new("tar").arg("-C").arg(from).arg("-cf").arg(to).arg(".").status();
    assert!(status.unwrap().success());
}

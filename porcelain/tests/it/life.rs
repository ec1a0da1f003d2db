//! Starting, signalling, killing and clearing up.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use porcelain::container::{Config, Container, Status};

use crate::fixture::{Store, eventually};
use crate::trials;

trials!(
    signals_reach_the_command,
    a_killed_front_leaves_the_container_running,
    a_killed_monitor_takes_the_container_along,
    a_container_outliving_its_monitor_is_killed_by_the_next_command,
    a_running_container_is_removed_by_force_only,
    one_of_two_starts_wins,
    names_and_prefixes_find_a_container,
    a_frozen_container_stands_still,
    an_abandoned_freeze_is_undone,
    a_detached_container_runs_on,
    many_containers_at_once,
);

/// A container whose first line of output has been read.
struct Started {
    front: Child,
    stdout: BufReader<ChildStdout>,
}

fn started(store: &Store, config: &Config) -> Started {
    let mut front = store.front(config, "attached").stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = BufReader::new(front.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    Started { front, stdout }
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(child.id().cast_signed())
}

fn found(store: &Store, config: &Config) -> Container {
    store.containers().find(config.id.as_str()).unwrap()
}

/// The monitor: the parent of the container's first process.
fn monitor(container: &Container) -> Pid {
    let first = eventually("the state says running", || container.state().unwrap().process);
    let status = std::fs::read_to_string(format!("/proc/{}/status", first.pid)).unwrap();
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap();
    Pid::from_raw(parent.trim().parse().unwrap())
}

fn signals_reach_the_command() {
    let store = Store::new();
    let script = "for s in HUP INT QUIT TERM USR1 USR2 WINCH; do trap \"echo $s\" $s; done; trap 'exit 9' ALRM; \
                  echo ready; while :; do sleep 0.01; done";
    let mut started = started(&store, &store.shell(script));
    for (signal, name) in [
        (Signal::SIGHUP, "HUP"),
        (Signal::SIGINT, "INT"),
        (Signal::SIGQUIT, "QUIT"),
        (Signal::SIGTERM, "TERM"),
        (Signal::SIGUSR1, "USR1"),
        (Signal::SIGUSR2, "USR2"),
        (Signal::SIGWINCH, "WINCH"),
    ] {
        kill(pid(&started.front), signal).unwrap();
        let mut line = String::new();
        started.stdout.read_line(&mut line).unwrap();
        assert_eq!(line.trim_end(), name);
    }
    kill(pid(&started.front), Signal::SIGALRM).unwrap();
    assert_eq!(started.front.wait().unwrap().code(), Some(9));
}

fn a_killed_front_leaves_the_container_running() {
    let store = Store::new();
    let config = store.shell("echo ready; until test -e /data/stop; do sleep 0.01; done; exit 5");
    let mut started = started(&store, &config);
    started.front.kill().unwrap();
    started.front.wait().unwrap();
    let container = found(&store, &config);
    assert!(store.containers().reconcile().unwrap().is_empty());
    assert_eq!(container.state().unwrap().status, Status::Running);
    let process = container.state().unwrap().process.unwrap();
    std::fs::write(format!("/proc/{}/root/data/stop", process.pid), "").unwrap();
    let state = eventually("the container has ended", || {
        Some(container.state().unwrap()).filter(|state| state.status == Status::Exited)
    });
    assert_eq!(state.exit_code, 5);
    eventually("the container is free", || container.folder.try_lock().unwrap());
    store.assert_clean(&config.id);
}

fn a_killed_monitor_takes_the_container_along() {
    let store = Store::new();
    let config = store.shell("echo ready; sleep 1000 & sleep 1000");
    let mut started = started(&store, &config);
    let container = found(&store, &config);
    let first = container.state().unwrap().process.unwrap();
    kill(monitor(&container), Signal::SIGKILL).unwrap();
    assert_eq!(started.front.wait().unwrap().code(), Some(125));
    let mut rest = String::new();
    started.stdout.read_to_string(&mut rest).unwrap();
    assert!(!first.is_alive());
    let state = container.state().unwrap();
    assert_eq!((state.status, state.exit_code), (Status::Exited, 137));
    assert!(state.error.contains("killed"), "{}", state.error);
    store.assert_clean(&config.id);
}

fn a_container_outliving_its_monitor_is_killed_by_the_next_command() {
    let store = Store::new();
    let mut config = store.shell("echo ready; sleep 1000 & sleep 1000");
    config.auto_remove = true;
    let mut started = started(&store, &config);
    let container = found(&store, &config);
    // Stopped, the front can't clear up, and neither can the monitor that is killed.
    let monitor = monitor(&container);
    started.front.kill().unwrap();
    started.front.wait().unwrap();
    kill(monitor, Signal::SIGKILL).unwrap();
    eventually("the monitor is gone", || kill(monitor, None).err());
    assert_eq!(store.containers().reconcile().unwrap(), [config.id.clone()]);
    assert!(store.containers().find(config.id.as_str()).is_err());
    store.assert_clean(&config.id);
}

fn a_running_container_is_removed_by_force_only() {
    let store = Store::new();
    let config = store.shell("echo ready; sleep 1000");
    let mut started = started(&store, &config);
    let container = found(&store, &config);
    let error = store.containers().remove(&container, false).unwrap_err().to_string();
    assert!(error.contains("container is running: stop the container before removing or force remove"), "{error}");
    store.containers().remove(&container, true).unwrap();
    assert_eq!(started.front.wait().unwrap().code(), Some(137));
    assert!(store.containers().find(config.id.as_str()).is_err());
    store.assert_clean(&config.id);
}

fn one_of_two_starts_wins() {
    let store = Store::new();
    let config = store.shell("echo ready; test -e /data/stop || sleep 1000");
    let mut started = started(&store, &config);
    let output = store.start(&config);
    assert_eq!(output.status.code(), Some(125));
    assert!(String::from_utf8_lossy(&output.stderr).contains("running"), "{output:?}");
    store.containers().remove(&found(&store, &config), true).unwrap();
    started.front.wait().unwrap();
}

fn names_and_prefixes_find_a_container() {
    let store = Store::new();
    let containers = store.containers();
    let make = |name: &str, id: &str| {
        let id = porcelain::container::Id::try_from(format!("{id:0<64}")).unwrap();
        containers.create(Config::new(id, name, "test", "base"), vec![]).map(drop)
    };
    make("ab12", "ffff").unwrap();
    make("other", "ab12").unwrap();
    make("third", "ab13").unwrap();
    let name =
        |spelling: &str| containers.find(spelling).map(|found| found.config.name).unwrap_or_else(|e| e.to_string());
    assert_eq!(name("ab12"), "ab12");
    assert_eq!(name("/ab12"), "ab12");
    assert_eq!(name("ab120"), "other");
    assert_eq!(name(&format!("{:0<64}", "ab13")), "third");
    assert!(name("ab1").starts_with("'ab1' is ambiguous: "), "{}", name("ab1"));
    assert_eq!(name("ab14"), "no such container: 'ab14'");
    assert_eq!(name(""), "no such container: ''");
    let error = make("other", "ee").unwrap_err().to_string();
    assert!(error.starts_with("container name 'other' is in use: by container ab12"), "{error}");
    assert_eq!(containers.list().unwrap().len(), 3);
    assert!(containers.reconcile().unwrap().is_empty());
}

fn a_frozen_container_stands_still() {
    let store = Store::new();
    let config = store.shell("echo ready; i=0; while :; do i=$((i+1)); echo $i > /data/count; done");
    let mut started = started(&store, &config);
    let container = found(&store, &config);
    let count = container.folder.upper().join("data/count");
    let read = || std::fs::metadata(&count).unwrap().modified().unwrap();
    eventually("it counts", || count.exists().then_some(()));
    let frozen = container.freeze().unwrap().expect("because it runs");
    let (before, first) = (read(), container.state().unwrap().process.unwrap());
    std::thread::sleep(std::time::Duration::from_millis(50));
    assert_eq!(read(), before);
    assert!(first.is_alive());
    assert!(store.containers().reconcile().unwrap().is_empty());
    std::thread::sleep(std::time::Duration::from_millis(20));
    assert_eq!(read(), before);
    drop(frozen);
    eventually("it goes on", || (read() != before).then_some(()));
    store.containers().remove(&container, true).unwrap();
    started.front.wait().unwrap();
}

fn an_abandoned_freeze_is_undone() {
    let store = Store::new();
    let config = store.shell("echo ready; i=0; while :; do i=$((i+1)); echo $i > /data/count; done");
    let mut started = started(&store, &config);
    let container = found(&store, &config);
    let count = container.folder.upper().join("data/count");
    eventually("it counts", || count.exists().then_some(()));
    let mut freezer = std::process::Command::new(std::env::current_exe().unwrap());
    freezer.arg("freeze").arg(store.path()).arg(config.id.as_str());
    let mut freezer = freezer.stdout(Stdio::piped()).spawn().unwrap();
    let mut word = [0; 6];
    freezer.stdout.take().unwrap().read_exact(&mut word).unwrap();
    freezer.kill().unwrap();
    freezer.wait().unwrap();
    let read = || std::fs::metadata(&count).unwrap().modified().unwrap();
    let before = read();
    store.containers().reconcile().unwrap();
    eventually("it goes on", || (read() != before).then_some(()));
    store.containers().remove(&container, true).unwrap();
    started.front.wait().unwrap();
}

fn a_detached_container_runs_on() {
    let store = Store::new();
    let config = store.shell("echo lost; until test -e /data/stop; do sleep 0.01; done");
    let output = store.front(&config, "detached").output().unwrap();
    assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
    let container = found(&store, &config);
    assert_eq!(container.state().unwrap().status, Status::Running);
    store.containers().remove(&container, true).unwrap();
    store.assert_clean(&config.id);
}

fn many_containers_at_once() {
    let store = Store::new();
    let mut configs: Vec<Config> = (0..8).map(|i| store.shell(&format!("echo ready; exit {i}"))).collect();
    for (i, config) in configs.iter_mut().enumerate() {
        config.name = format!("number-{i}");
        config.auto_remove = i % 2 == 0;
    }
    let fronts: Vec<Child> =
        configs.iter().map(|config| store.front(config, "attached").stdout(Stdio::null()).spawn().unwrap()).collect();
    for (i, mut front) in fronts.into_iter().enumerate() {
        assert_eq!(front.wait().unwrap().code(), Some(i.try_into().unwrap()));
    }
    assert_eq!(store.containers().list().unwrap().len(), 4);
    configs.iter().for_each(|config| store.assert_clean(&config.id));
}

//! Many commands at once: none fails, no update is lost, and none waits for all the others.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use plumbing::store::refs::{CONTAINERS, IMAGES};

use crate::arena::Arena;
use crate::judge::{Judge, failure};
use crate::random::Random;

/// So many commands at once.
const CROWD: usize = 64;

/// So many to compare with.
const FEW: usize = 8;

#[test]
fn sixty_four_commands_at_once_lose_nothing_and_wait_little() {
    let arena = Arena::new(512 << 20);
    let judge = prepare(&arena);
    let few = run_at_once(&judge, FEW, 0);
    let many = run_at_once(&judge, CROWD, FEW);
    assert_eq!(judge.complain(), None);
    check_updates(&judge, FEW + CROWD);
    // What each command takes of the processors must not grow with their number.
    let (each, each_of_few) = (many / CROWD as u32, few / FEW as u32);
    assert!(
        each < 3 * each_of_few + Duration::from_millis(50),
        "{each:?} each of {CROWD}, {each_of_few:?} each of {FEW}"
    );
}

fn prepare(arena: &Arena) -> Judge {
    let judge = Judge::new(&arena.path().join("store"));
    let script = r#"mkdir -p root/bin; cp /bin/busybox root/bin; ln -s busybox root/bin/sh
        tar -C root -cf box.tar .; mkdir -p small; for i in 1 2 3 4 5; do echo $i >small/$i; done; tar -C small -cf small.tar ."#;
    let status = Command::new("sh").args(["-ec", script]).current_dir(arena.path()).status();
    assert!(status.unwrap().success());
    for args in [
        &["import", "box.tar", "box:1"][..],
        &["import", "small.tar", "shared:1"],
        &["create", "--name", "crowd", "box:1", "sh"],
    ] {
        assert_eq!(failure(judge.rd(args)), None);
    }
    judge
}

/// What the command of this number does.
fn command(judge: &Judge, number: usize) -> Command {
    let text = number.to_string();
    match number % 8 {
        // An image of its own that takes the name that all want.
        0 | 4 => judge.rd(&["import", "-m", &text, "small.tar", "shared:1"]),
        1 | 5 => judge.rd(&["commit", "-m", &text, "crowd", &format!("c{number}:1")]),
        2 => judge.rd(&["run", "--rm", "box:1", "sh", "-c", "echo $PATH >/x"]),
        3 => judge.rd(&["tag", "box:1", &format!("own{number}:1")]),
        6 => judge.rd(&["log", "--format=%H", "shared:1"]),
        _ if number == 15 => judge.rd(&["gc", "-q", "--prune=now"]),
        _ => judge.rd(&["images"]),
    }
}

/// Start so many commands at once, wait for all, and say how long that took.
fn run_at_once(judge: &Judge, count: usize, first: usize) -> Duration {
    let mut numbers: Vec<usize> = (first..first + count).collect();
    let mut random = Random::new(count as u64);
    for last in (1..numbers.len()).rev() {
        numbers.swap(last, random.below(last as u64 + 1) as usize);
    }
    let begun = Instant::now();
    let started: Vec<_> = (numbers.into_iter())
        .map(|number| {
            let mut command = command(judge, number);
            (number, command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
        })
        .collect();
    for (number, child) in started {
        let output = child.wait_with_output().unwrap();
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{:?}: {}: {out}{err}", command(judge, number), output.status);
    }
    begun.elapsed()
}

/// Every move of a name that all moved is in its log, one after another; every commit of the container is in its history.
fn check_updates(judge: &Judge, count: usize) {
    let imports = (0..count).filter(|number| matches!(number % 8, 0 | 4)).count();
    let log = judge.reflog(&format!("{IMAGES}docker.io/library/shared@1"));
    let moves: Vec<(&str, &str)> = log.lines().map(|line| (&line[..64], &line[65..129])).collect();
    assert_eq!(moves.len(), imports + 1, "{log}");
    assert!(moves.windows(2).all(|pair| pair[0].1 == pair[1].0), "{log}");

    let commits = (0..count).filter(|number| matches!(number % 8, 1 | 5)).count();
    let refs = judge.refs();
    let store = plumbing::Store::open(judge.store()).unwrap();
    let (mut at, mut history) = (refs[&format!("{CONTAINERS}crowd")], Vec::new());
    while let Some(parent) = store.read_commit(&at).unwrap().parents.first() {
        history.push(at);
        at = *parent;
    }
    for number in (0..count).filter(|number| matches!(number % 8, 1 | 5)) {
        let id = refs[&format!("{IMAGES}docker.io/library/c{number}@1")];
        assert!(history.contains(&id), "the commit of c{number}:1 is not in the container's history");
    }
    // And the one that created the container.
    assert_eq!(history.len(), commits + 1);
    for number in (0..count).filter(|number| number % 8 == 3) {
        assert!(refs.contains_key(&format!("{IMAGES}docker.io/library/own{number}@1")), "own{number}:1 is lost");
    }
}

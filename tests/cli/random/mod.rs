//! Thousands of random questions to git and rd over the same store: stdout and exit status must be the same.
//!
//! What may be asked is in [`tables`], one table a command. The seed is fixed, so that a run is the same everywhere; it is
//! printed with what differs. `RD_JUDGE_SEED=N` asks other questions, `RD_JUDGE_ROUNDS=N` N times as many, and
//! `RD_JUDGE_ONLY=ls-tree,mktree` those about some commands.

mod dice;
mod known;
mod refs;
mod tables;
mod words;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::judge::{Court, is_beyond_git};
use dice::Dice;
use words::Words;

/// What a command may be asked.
pub struct Table {
    pub command: &'static str,
    /// So many questions.
    pub rounds: usize,
    /// One of these comes first; none where it is empty.
    pub always: &'static [&'static str],
    /// Some of these, in any order.
    pub options: &'static [&'static str],
    /// At most so many of them.
    pub most_options: usize,
    /// One of these.
    pub operands: &'static [&'static str],
    /// Some of these are the lines of standard input.
    pub lines: &'static [&'static str],
    pub most_lines: usize,
    /// Both programs are asked about the same folder: for answers about how a store is kept.
    pub in_place: bool,
    /// The command changes the store: after each question the refs and logs must be the same too.
    pub writes: bool,
}

impl Table {
    pub const READS: Table = Table {
        command: "",
        rounds: 100,
        always: &[],
        options: &[],
        most_options: 3,
        operands: &[""],
        lines: &[],
        most_lines: 8,
        in_place: false,
        writes: false,
    };
    pub const WRITES: Table = Table { writes: true, ..Table::READS };
}

/// One question.
#[derive(Debug)]
struct Question {
    args: Vec<String>,
    input: Vec<u8>,
}

impl Question {
    fn new(table: &Table, words: &Words, dice: &mut Dice) -> Self {
        let mut options: Vec<Vec<String>> = Vec::new();
        let take = |dice: &mut Dice, templates: &[&str]| -> Vec<String> {
            let parts = dice.pick::<&str>(templates).split('|').filter(|part| !part.is_empty());
            parts.map(|part| words.expand(dice, part)).collect()
        };
        if !table.always.is_empty() {
            options.push(take(dice, table.always));
        }
        let count = if table.options.is_empty() { 0 } else { dice.below(table.most_options + 1) };
        for _ in 0..count {
            let option = take(dice, table.options);
            options.insert(dice.below(options.len() + 1), option);
        }
        let operands = take(dice, table.operands);
        let mut args = vec![table.command.to_owned()];
        // Options may also follow the operands.
        let late = if !options.is_empty() && dice.once_in(8) { options.pop() } else { None };
        args.extend(options.into_iter().flatten());
        args.extend(operands);
        args.extend(late.into_iter().flatten());
        let input = Self::input(table, &args, words, dice);
        Self { args, input }
    }

    fn input(table: &Table, args: &[String], words: &Words, dice: &mut Dice) -> Vec<u8> {
        if table.lines.is_empty() {
            return Vec::new();
        }
        let nul = args.iter().any(|arg| arg == "-z" || arg == "-Z");
        let mut input = Vec::new();
        for _ in 0..dice.below(table.most_lines + 1) {
            let line = dice.pick::<&str>(table.lines);
            let line = words.expand(dice, line);
            input.extend_from_slice(line.as_bytes());
            input.push(if nul { 0 } else { b'\n' });
        }
        if dice.once_in(10) {
            input.pop();
        }
        input
    }
}

/// Where git and rd look for what they are asked about.
struct Bench {
    git: PathBuf,
    rd: PathBuf,
}

impl Bench {
    fn ask(&self, court: &Court, question: &Question) -> (Output, Output) {
        let ask = |program: &str, dir: &Path| {
            let mut command = Command::new(program);
            command.arg("--git-dir").arg(dir);
            let args: Vec<&str> = question.args.iter().map(String::as_str).collect();
            court.output(command, &args, &question.input, &[])
        };
        (ask("git", &self.git), ask(env!("CARGO_BIN_EXE_rd"), &self.rd))
    }
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().expect("because it is a number"))
}

/// What differed, and how much was asked.
struct Record {
    seed: u64,
    asked: AtomicUsize,
    beyond_git: AtomicUsize,
    differences: Mutex<Vec<String>>,
}

impl Record {
    fn difference(&self, question: &Question, round: usize, what: &str) {
        let input: String = String::from_utf8_lossy(&question.input).chars().take(600).collect();
        let text = format!("round {round}: {:?} < {input:?}\n{what}", question.args);
        self.differences.lock().unwrap().push(text);
    }

    /// Compare two answers; whether they are the same.
    fn compare(&self, question: &Question, round: usize, git: &Output, rd: &Output) {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if git.status.code().is_none() {
            // Where git crashes it is no judge.
            return;
        }
        let usage = Some(129);
        // How a command is used both say in their own words.
        let same_words = git.stdout == rd.stdout || git.status.code() == usage;
        if same_words && git.status.code() == rd.status.code() {
            return;
        }
        let show = |output: &Output| {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).chars().take(400).collect::<String>();
            let (out, err) = (text(&output.stdout), text(&output.stderr));
            format!("{:?}: {out:?} {err:?}", output.status.code())
        };
        self.difference(question, round, &format!("  git {}\n  rd  {}", show(git), show(rd)));
    }

    fn verdict(&self, at_least: usize) {
        let differences = self.differences.lock().unwrap();
        let (asked, beyond) = (self.asked.load(Ordering::Relaxed), self.beyond_git.load(Ordering::Relaxed));
        let shown: Vec<&str> = differences.iter().take(4000).map(String::as_str).collect();
        let (count, seed) = (differences.len(), self.seed);
        assert!(count == 0, "RD_JUDGE_SEED={seed}: {count} of {asked} questions differ:\n{}", shown.join("\n"));
        assert!(asked + beyond >= at_least, "only {asked} questions, {beyond} beyond this git");
    }
}

/// All rounds of all tables that are wanted.
fn rounds(wanted: impl Fn(&Table) -> bool) -> Vec<(&'static Table, usize)> {
    let times = usize::try_from(number("RD_JUDGE_ROUNDS", 1)).unwrap();
    let only = std::env::var("RD_JUDGE_ONLY").ok();
    let tables = tables::TABLES
        .iter()
        .chain(refs::TABLES)
        .filter(|table| only.as_ref().is_none_or(|only| only.split(',').any(|only| only == table.command)));
    // The number of a round says which table of the command it belongs to, so that two of them don't ask the same.
    let tables = tables.enumerate().filter(|(_, table)| wanted(table));
    tables.flat_map(|(at, table)| (0..table.rounds * times).map(move |round| (table, at << 24 | round))).collect()
}

struct Trial {
    court: Court,
    words: Words,
    record: Record,
}

impl Trial {
    fn new() -> Self {
        let court = Court::with_history();
        let words = Words::new(&court);
        let dir = court.sandbox.path();
        for (name, bytes) in [("a", "alpha\n"), ("b", ""), ("c d", "x\r\ny")] {
            std::fs::write(dir.join(name), bytes).unwrap();
        }
        std::fs::create_dir(dir.join("folder")).unwrap();
        let seed = number("RD_JUDGE_SEED", 1);
        let record = Record { seed, asked: 0.into(), beyond_git: 0.into(), differences: Mutex::default() };
        Self { court, words, record }
    }

    fn question(&self, table: &Table, round: usize) -> (Question, Dice) {
        let mut dice = Dice::of_round(self.record.seed, table.command, round);
        (Question::new(table, &self.words, &mut dice), dice)
    }

    /// One question about stores that stay as they are.
    fn read(&self, table: &Table, round: usize) {
        let (question, mut dice) = self.question(table, round);
        if is_beyond_git(question.args.iter().map(String::as_str)) || known::difference(&question.args).is_some() {
            self.record.beyond_git.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let plain = self.court.plain_dir();
        let (git, store) = (self.court.git_dir(), self.court.sandbox.store_dir());
        let bench = match (dice.once_in(3), table.in_place) {
            (true, _) => Bench { git: plain.clone(), rd: plain },
            (false, true) => Bench { git: git.clone(), rd: git },
            (false, false) => Bench { git, rd: store },
        };
        let (git, rd) = bench.ask(&self.court, &question);
        self.record.compare(&question, round, &git, &rd);
    }

    /// A question that changes two stores, which must be the same then.
    fn write(&self, table: &Table, round: usize, bench: &Bench) {
        let (question, _) = self.question(table, round);
        let lines = String::from_utf8_lossy(&question.input).into_owned();
        let words = question.args.iter().map(String::as_str).chain(lines.split_whitespace());
        if is_beyond_git(words) || known::difference(&question.args).is_some() {
            self.record.beyond_git.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let (git, rd) = bench.ask(&self.court, &question);
        self.record.compare(&question, round, &git, &rd);
        let (of_git, of_rd) = (names(&bench.git), names(&bench.rd));
        if of_git != of_rd {
            self.record.difference(&question, round, &what_differs(&of_git, &of_rd));
            take_over(&bench.git, &bench.rd);
        }
        // Without a `HEAD` that leads into `refs/`, or to a commit, no program takes a folder for a repository.
        let head = of_git.get(Path::new("HEAD"));
        if !head.is_some_and(|head| head.starts_with(b"ref: refs/") || head.len() > 64) {
            for dir in [&bench.git, &bench.rd] {
                std::fs::write(dir.join("HEAD"), "ref: refs/heads/main\n").unwrap();
            }
        }
    }

    /// Objects that one has and the other hasn't.
    fn compare_objects(&self, bench: &Bench) {
        let list = |dir: &Path| self.court.git_text(dir, &["cat-file", "--batch-all-objects", "--batch-check"]);
        let git = list(&bench.git);
        let rd = self.court.rd_text(&bench.rd, &["cat-file", "--batch-all-objects", "--batch-check"]);
        let lacks = |one: &str, other: &str| -> Vec<String> {
            let other: std::collections::HashSet<&str> = other.lines().collect();
            one.lines().filter(|line| !other.contains(line)).map(str::to_owned).collect()
        };
        let (only_git, only_rd) = (lacks(&git, &rd), lacks(&rd, &git));
        if !only_git.is_empty() || !only_rd.is_empty() {
            let text = format!("after all writes: only git has {only_git:?}, only rd has {only_rd:?}");
            self.record.differences.lock().unwrap().push(text);
        }
    }
}

/// The files that hold names: refs, HEAD and logs.
fn names(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut pending: Vec<PathBuf> =
        ["refs", "logs", "HEAD", "packed-refs", "FOO", "main"].map(|name| dir.join(name)).into();
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            pending.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if let Ok(bytes) = std::fs::read(&path) {
            files.insert(path.strip_prefix(dir).unwrap().to_owned(), bytes);
        }
    }
    files
}

fn what_differs(git: &BTreeMap<PathBuf, Vec<u8>>, rd: &BTreeMap<PathBuf, Vec<u8>>) -> String {
    let mut text = String::new();
    let all: std::collections::BTreeSet<&PathBuf> = git.keys().chain(rd.keys()).collect();
    for path in all {
        let [git, rd] = [git, rd].map(|files| files.get(path).map(|bytes| String::from_utf8_lossy(bytes)));
        if git != rd {
            let last = |text: Option<std::borrow::Cow<'_, str>>| {
                text.map(|text| text.lines().rev().take(2).collect::<Vec<_>>().join(" after ").to_owned())
            };
            text += &format!("  {}: git {:?}\n    rd {:?}\n", path.display(), last(git), last(rd));
        }
    }
    text
}

/// Give rd's store the names of git's.
fn take_over(git: &Path, rd: &Path) {
    for path in names(rd).keys() {
        std::fs::remove_file(rd.join(path)).unwrap();
    }
    for (path, bytes) in names(git) {
        let path = rd.join(path);
        // A folder without files may be where a file has to be.
        let _ = std::fs::remove_dir(&path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

#[test]
fn git_and_rd_say_the_same() {
    let trial = Trial::new();
    let reads = rounds(|table| !table.writes);
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some((table, round)) = reads.get(next.fetch_add(1, Ordering::Relaxed)) {
                    trial.read(table, *round);
                }
            });
        }
    });
    trial.record.verdict(reads.len());
}

#[test]
fn git_and_rd_change_the_same() {
    let trial = Trial::new();
    let writes = rounds(|table| table.writes);
    // Half of the questions are about stores, half about a repository of git's own.
    let (plain, copy) = (trial.court.plain_dir(), trial.court.sandbox.path().join("plain-of-rd"));
    let status = Command::new("cp").arg("-a").args([&plain, &copy]).status().unwrap();
    assert!(status.success());
    let stores = Bench { git: trial.court.git_dir(), rd: trial.court.sandbox.store_dir() };
    let plains = Bench { git: plain, rd: copy };
    std::thread::scope(|scope| {
        for (which, bench) in [&stores, &plains].into_iter().enumerate() {
            let (trial, writes) = (&trial, &writes);
            scope.spawn(move || {
                let mine = writes.iter().skip(which).step_by(2);
                mine.for_each(|(table, round)| trial.write(table, *round, bench));
                trial.compare_objects(bench);
            });
        }
    });
    trial.record.verdict(writes.len());
}

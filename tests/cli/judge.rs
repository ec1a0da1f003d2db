//! git as the judge of the object commands: the same arguments to both, over the same repository.
//!
//! rd works on a store, git on a copy of it that has the contents as loose blobs.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use plumbing::Id;
use plumbing::store::refs::Expect;

use crate::sandbox::{Change, Sandbox};

/// A store, and git's copy of it.
pub struct Court {
    pub sandbox: Sandbox,
    pub first: Id,
    pub second: Id,
    differences: Vec<String>,
    compared: usize,
    /// Comparisons that this machine's git is too old for.
    beyond_git: usize,
}

/// What git learned after 2.39 (Debian 12), by version 2.x: an older git is no judge of it.
const LEARNED: [(u32, &str); 17] = [
    (41, "--omit-empty"),
    (41, "--stdin"),
    (41, "%(ahead-behind"),
    (42, "--exclude=refs"),
    (43, "--exists"),
    (43, "--parseopt"),
    (44, "--show-ref-format"),
    (45, "--include-root-refs"),
    (45, "(*"),
    (45, "--sort=*"),
    (46, "--branches"),
    (46, "symref-update"),
    (46, "symref-create"),
    (46, "symref-delete"),
    (46, "symref-verify"),
    (47, "GIT_AUTHOR_NAME=."),
    (47, "GIT_COMMITTER_EMAIL=."),
];

/// Whether the git of this machine is older than 2.`minor`.
pub fn git_is_older_than(minor: u32) -> bool {
    let output = Command::new("git").arg("version").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse::<u32>().ok());
    (numbers.next().unwrap(), numbers.next().unwrap()) < (2, minor)
}

/// Whether this machine's git doesn't know what `words` ask for yet.
pub fn is_beyond_git<'a>(words: impl Iterator<Item = &'a str>) -> bool {
    let mut needed = words.filter_map(|word| LEARNED.iter().find(|(_, learned)| word.contains(learned)));
    needed.any(|(minor, _)| git_is_older_than(*minor))
}

const LONG: &str = "0123456789012345678901234567890123456789012345678901234567890123456789\n";

impl Court {
    /// A store with two images, a container, branches, tags of tags, tags of trees and blobs, and odd file names.
    pub fn new() -> Self {
        let court = Self::prepare(Sandbox::new());
        court.copy_for_git();
        court
    }

    fn prepare(sandbox: Sandbox) -> Self {
        let files = [
            ("etc/passwd", "root:x:0:0::/root:/bin/sh\n"),
            ("etc/group", "root:x:0:\n"),
            ("etc/apt/sources.list", "deb http://deb.debian.org/debian bookworm main\n"),
            ("etc/apt.conf", ""),
            ("usr/share/doc/a b/copyright", LONG),
            ("usr/share/doc/\u{e4}\u{f6}/new\nline", "x"),
            ("usr/share/doc/tab\there", "y"),
            ("usr/share/doc/quote\"d", "z"),
            ("repo/.git/config", "[core]\n"),
        ];
        let first = sandbox.commit(&Change { files: &files, message: "import\n\nof a root", ..Change::default() });
        let second = sandbox.commit(&Change {
            parents: &[first],
            files: &[("etc/hostname", "web\n"), ("etc/passwd", "changed\n")],
            message: "second",
            seconds: crate::sandbox::THEN + 60,
            ..Change::default()
        });
        sandbox.tag(first, "debian:12");
        sandbox.tag(second, "web");
        let store = sandbox.store();
        let put = |name: &str, id| store.update_ref(name, id, Expect::Any, "test: put").unwrap();
        put("refs/containers/box", second);
        put("refs/heads/main", first);
        put("refs/heads/main", second);
        put("refs/heads/side/way", first);
        put("refs/heads/v1", first);
        let court = Self { sandbox, first, second, differences: Vec::new(), compared: 0, beyond_git: 0 };
        court.add_tags();
        court
    }

    fn add_tags(&self) {
        let store = self.sandbox.store_dir();
        let tree = self.git_text(&store, &["rev-parse", &format!("{}^{{tree}}", self.first)]);
        let blob = self.git_text(&store, &["rev-parse", &format!("{}:config", self.first)]);
        let second = self.second.to_string();
        self.git_text(&store, &["tag", "-a", "-m", "annotated", "v1", &second]);
        self.git_text(&store, &["tag", "-a", "-m", "a tag of a tag", "nested", "v1"]);
        self.git_text(&store, &["tag", "light", &second]);
        self.git_text(&store, &["tag", "-a", "-m", "tree", "of-tree", &tree]);
        self.git_text(&store, &["tag", "of-blob", &blob]);
        self.git_text(&store, &["symbolic-ref", "refs/heads/link", "refs/heads/main"]);
    }

    /// Copy the store and add its contents as blobs, so that git has all that rd has.
    fn copy_for_git(&self) {
        let status = Command::new("cp").arg("-a").args([self.sandbox.store_dir(), self.git_dir()]).status().unwrap();
        assert!(status.success());
        let mut paths = String::new();
        for folder in std::fs::read_dir(self.git_dir().join("content")).unwrap() {
            for file in std::fs::read_dir(folder.unwrap().path()).unwrap() {
                paths += &format!("{}\n", file.unwrap().path().display());
            }
        }
        self.git_input(&self.git_dir(), &["hash-object", "-w", "--stdin-paths"], paths.as_bytes());
    }

    /// As [`new`](Self::new), with more images, a container with links, a history with merges, packed refs, and a
    /// repository of git's own beside the store: [`plain_dir`](Self::plain_dir).
    pub fn with_history() -> Self {
        let court = Self::prepare(Sandbox::in_memory());
        court.add_images();
        court.add_history();
        court.copy_for_git();
        court.make_plain();
        court
    }

    fn add_images(&self) {
        let linked = self.sandbox.commit(&Change {
            parents: &[self.second],
            files: &[("opt/tool/run", "#!/bin/sh\n"), ("opt/tool/doc/readme", LONG)],
            links: &[("etc/passwd", "etc/passwd-")],
            message: "a container\n\nwith hard links",
            seconds: crate::sandbox::THEN + 120,
            ..Change::default()
        });
        self.sandbox.tag(linked, "team/tool:1.0");
        let shell = self.sandbox.commit(&Change {
            files: &[("bin/busybox", "\u{7f}ELF"), ("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n")],
            symlinks: &[("bin/sh", "busybox"), ("etc/mtab", "../proc/mounts"), ("bin/sbin", ".")],
            ..Change::default()
        });
        self.sandbox.tag(shell, "shell:1");
        let store = self.sandbox.store();
        store.update_ref("refs/containers/tool", linked, Expect::Any, "test: put").unwrap();
        store.update_ref("refs/containers/tool", shell, Expect::Any, "test: put again").unwrap();
        store.update_ref("refs/containers/tool", linked, Expect::Any, "test: put back").unwrap();
        std::fs::create_dir_all(self.sandbox.path().join("tar/etc")).unwrap();
        std::fs::write(self.sandbox.path().join("tar/etc/issue"), "imported\n").unwrap();
        let tar = ["--sort=name", "--mtime=@1714559400", "--owner=0", "--group=0", "-cf", "root.tar", "-C", "tar", "."];
        let status = Command::new("tar").args(tar).current_dir(self.sandbox.path()).status().unwrap();
        assert!(status.success());
        self.sandbox.ok(["import", "root.tar", "imported:1"]);
    }

    /// Commits of the trees that are there, with merges, criss-cross ones among them, on five branches; some tags.
    fn add_history(&self) {
        let store = self.sandbox.store_dir();
        let tree_of = |id: &Id| self.git_text(&store, &["rev-parse", &format!("{id}^{{tree}}")]);
        let trees = [tree_of(&self.first), tree_of(&self.second)];
        let links = self.tree_of_links();
        let mut script = String::new();
        for number in 1..=60u64 {
            let branch = number * 7 % 5;
            let seconds = crate::sandbox::THEN - 4000 + i64::try_from(number * 53 + number * number % 90).unwrap();
            script += &format!("commit refs/heads/h{branch}\nmark :{number}\n");
            script += &format!("author A{} <a@example.org> {} +0200\n", number % 3, seconds - 5);
            script += &format!("committer C <c@example.org> {seconds} -0130\n");
            let message = format!("change {number} of h{branch}\n\nbody {}\n", number % 4);
            script += &format!("data {}\n{message}\n", message.len());
            if number > 9 && number.is_multiple_of(4) {
                script += &format!("merge :{}\n", number - 3);
            }
            if number > 30 && number.is_multiple_of(11) {
                script += &format!("merge :{}\n", number - 7);
            }
            script += &format!("M 040000 {} \n", trees[usize::try_from(number % 2).unwrap()]);
            script += &format!("M 040000 {links} links\n");
            script += &format!("M 100644 inline n{}\ndata {}\n{number}\n", number % 6, number.to_string().len());
        }
        script += "tag t1\nfrom :20\ntagger T <t@example.org> 1714559000 +0000\ndata 2\nt1\n";
        script += "tag t2\nfrom :41\ntagger T <t@example.org> 1714559100 +0000\ndata 2\nt2\n";
        self.git_input(&store, &["fast-import", "--quiet"], script.as_bytes());
        self.git_text(&store, &["pack-refs", "--all"]);
        self.git_text(&store, &["update-ref", "-m", "moved on", "refs/heads/h1", "refs/heads/h2"]);
        self.git_text(&store, &["update-ref", "-m", "and back", "refs/heads/h1", "refs/heads/h1@{1}"]);
    }

    /// A tree of symbolic links: to a file, a folder, up and out, a loop, a chain, nowhere.
    fn tree_of_links(&self) -> String {
        let store = self.sandbox.store_dir();
        let blob = |text: &str| self.git_input(&store, &["hash-object", "-w", "--stdin"], text.as_bytes());
        let file = |name: &str, text: &str| format!("100644 blob {}\t{name}\n", blob(text));
        let link = |name: &str, target: &str| format!("120000 blob {}\t{name}\n", blob(target));
        let inner =
            self.git_input(&store, &["mktree"], (file("passwd", "inner\n") + &link("up", "../file")).as_bytes());
        let list = [
            file("file", "a file\n"),
            format!("040000 tree {inner}\tdir\n"),
            link("to-file", "file"),
            link("to-dir", "dir"),
            link("to-passwd", "dir/passwd"),
            link("chain", "to-passwd"),
            link("loop", "pool"),
            link("pool", "loop"),
            link("self", "self/x"),
            link("dangling", "nope"),
            link("out", "../config"),
            link("far-out", "../../x"),
            link("absolute", "/etc/passwd"),
            link("not-a-dir", "file/x"),
            link("dot", "./dir/../file"),
            link("slash", "dir/"),
        ];
        self.git_input(&store, &["mktree"], list.concat().as_bytes())
    }

    /// Of git's copy make a repository that rd didn't make: packs with deltas, loose objects, no contents, no promisor.
    fn make_plain(&self) {
        let plain = self.plain_dir();
        let status = Command::new("cp").arg("-a").args([&self.git_dir(), &plain]).status().unwrap();
        assert!(status.success());
        for folder in ["content", "mounts", "cache", "containers", "volumes"] {
            let _ = std::fs::remove_dir_all(plain.join(folder));
        }
        for section in ["rd", "remote.rd", "gc"] {
            self.git_text(&plain, &["config", "--remove-section", section]);
        }
        for key in ["extensions.partialClone", "extensions.preciousObjects"] {
            self.git_text(&plain, &["config", "--unset", key]);
        }
        for file in std::fs::read_dir(plain.join("objects/pack")).unwrap() {
            let file = file.unwrap().path();
            if file.extension().is_some_and(|extension| extension == "promisor") {
                std::fs::remove_file(file).unwrap();
            }
        }
        self.git_text(&plain, &["repack", "-a", "-d", "-q", "-f", "--window=50"]);
        self.git_input(&plain, &["hash-object", "-w", "--stdin"], b"loose, and of nobody\n");
    }

    /// A repository that rd didn't make, with the same objects and refs.
    pub fn plain_dir(&self) -> PathBuf {
        self.sandbox.path().join("plain")
    }

    /// git's copy.
    pub fn git_dir(&self) -> PathBuf {
        self.sandbox.path().join("git")
    }

    fn environment(&self, command: &mut Command) {
        command
            .current_dir(self.sandbox.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.sandbox.path())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_NO_LAZY_FETCH", "1")
            .env("LC_ALL", "C.UTF-8")
            .env("TZ", "America/New_York");
        for role in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{role}_NAME"), " An Author, ").env(format!("GIT_{role}_EMAIL"), "a@example.org");
            command.env(format!("GIT_{role}_DATE"), "1714559400 +0200");
        }
    }

    /// What git says, which must succeed.
    pub fn git_text(&self, dir: &Path, args: &[&str]) -> String {
        self.git_input(dir, args, b"")
    }

    /// What git says to `input`; it must succeed.
    pub fn git_input(&self, dir: &Path, args: &[&str], input: &[u8]) -> String {
        self.text("git", dir, args, input)
    }

    /// What rd says, which must succeed.
    pub fn rd_text(&self, dir: &Path, args: &[&str]) -> String {
        self.text(env!("CARGO_BIN_EXE_rd"), dir, args, b"")
    }

    fn text(&self, program: &str, dir: &Path, args: &[&str], input: &[u8]) -> String {
        let mut command = Command::new(program);
        command.arg("--git-dir").arg(dir);
        let output = self.output(command, args, input, &[]);
        assert!(output.status.success(), "{program} {args:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    /// Compare a file of both repositories.
    pub fn compare_files(&mut self, path: &str) {
        let read =
            |dir: PathBuf| std::fs::read(dir.join(path)).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let (git, rd) = (read(self.git_dir()).ok(), read(self.sandbox.store_dir()).ok());
        self.compared += 1;
        if git != rd {
            self.differences.push(format!("{path}:\n  git {git:?}\n  rd  {rd:?}"));
        }
    }

    /// Compare all reflogs, without who wrote them.
    pub fn compare_logs(&mut self) {
        let read = |dir: PathBuf| {
            let mut lines = Vec::new();
            for name in self.git_text(&dir, &["for-each-ref", "--include-root-refs", "--format=%(refname)"]).lines() {
                let log = std::fs::read_to_string(dir.join("logs").join(name)).unwrap_or_default();
                let line = |line: &str| {
                    format!("{name} {} {}", &line[..129], line.split_once('>').map_or("", |(_, rest)| rest))
                };
                lines.extend(log.lines().map(line));
            }
            lines
        };
        let (git, rd) = (read(self.git_dir()), read(self.sandbox.store_dir()));
        self.compared += 1;
        if git != rd {
            self.differences.push(format!("reflogs:\n  git {git:#?}\n  rd  {rd:#?}"));
        }
    }

    /// What `command` with `args` says to `input`.
    pub fn output(&self, mut command: Command, args: &[&str], input: &[u8], env: &[(&str, &str)]) -> Output {
        self.environment(&mut command);
        command.args(args).envs(env.iter().copied());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // A command may end without reading what it is given.
        let _ = child.stdin.take().unwrap().write_all(input);
        child.wait_with_output().unwrap()
    }

    /// Run both and note where stdout or status differ.
    pub fn compare(&mut self, args: &[&str]) {
        self.compare_with(args, b"", &[]);
    }

    pub fn compare_with(&mut self, args: &[&str], input: &[u8], env: &[(&str, &str)]) {
        let env_words: Vec<String> = env.iter().map(|(key, value)| format!("{key}={value}")).collect();
        if is_beyond_git(args.iter().copied().chain(env_words.iter().map(String::as_str))) {
            self.beyond_git += 1;
            return;
        }
        let mut git = Command::new("git");
        git.arg("--git-dir").arg(self.git_dir());
        let mut rd = Command::new(env!("CARGO_BIN_EXE_rd"));
        rd.arg("--git-dir").arg(self.sandbox.store_dir());
        let (git, rd) = (self.output(git, args, input, env), self.output(rd, args, input, env));
        self.compared += 1;
        if git.stdout != rd.stdout || git.status.code() != rd.status.code() {
            self.differences.push(format!(
                "{args:?} < {:?} {env:?}\n  git {:?}: {:?} {:?}\n  rd  {:?}: {:?} {:?}",
                String::from_utf8_lossy(input),
                git.status.code(),
                String::from_utf8_lossy(&git.stdout),
                String::from_utf8_lossy(&git.stderr),
                rd.status.code(),
                String::from_utf8_lossy(&rd.stdout),
                String::from_utf8_lossy(&rd.stderr),
            ));
        }
    }

    /// As [`compare`](Self::compare), both on git's copy: for answers that name the folder.
    pub fn compare_in_place(&mut self, args: &[&str]) {
        if is_beyond_git(args.iter().copied()) {
            self.beyond_git += 1;
            return;
        }
        let run = |program: &str| {
            let mut command = Command::new(program);
            command.arg("--git-dir").arg(self.git_dir());
            let output = self.output(command, args, b"", &[]);
            (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
        };
        let (git, rd) = (run("git"), run(env!("CARGO_BIN_EXE_rd")));
        self.compared += 1;
        if git != rd {
            self.differences.push(format!("{args:?}: git {git:?}, rd {rd:?}"));
        }
    }

    /// Every option of `options` with every one of `operands`; words are parted by `|`.
    ///
    /// To stay quick, all but the first option meet only every fourth operand, another fourth each;
    /// with `RD_JUDGE=all` in the environment all of them meet.
    pub fn compare_all(&mut self, command: &str, options: &[&str], operands: &[&str]) {
        let all = std::env::var_os("RD_JUDGE").is_some();
        for (turn, option) in options.iter().enumerate() {
            for (place, operand) in operands.iter().enumerate() {
                if !all && turn > 0 && !(turn + place).is_multiple_of(4) {
                    continue;
                }
                let words = [command].into_iter().chain(words(option)).chain(words(operand));
                self.compare(&words.collect::<Vec<_>>());
            }
        }
    }

    /// The verdict: no differences, and at least so many comparisons.
    pub fn verdict(&self, at_least: usize) {
        let tried = self.compared + self.beyond_git;
        assert!(tried >= at_least, "only {tried} comparisons, {} beyond this git", self.beyond_git);
        let count = self.differences.len();
        assert!(count == 0, "{count} of {} differ:\n{}", self.compared, self.differences.join("\n"));
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split('|').filter(|word| !word.is_empty()).map(|word| if word == "EMPTY" { "" } else { word })
}

//! The README, the tour and the recipes do what they say: their commands are run, and what these print is compared.
//!
//! A block ```` ```console ```` holds commands (`$ …`, run by a shell) and what each prints on stdout and stderr; `? N` says that it ends
//! with the status N. `[..]` stands for a part of a line, `...` for any lines.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use snapbox::assert_data_eq;

/// What the commands of a page share: a folder to work in, with `debian.tar` in it, and a store.
struct Session {
    dir: tempfile::TempDir,
}

/// A command of a page and what it says about it.
struct Step {
    command: String,
    status: i32,
    output: String,
}

/// What Debian has and the small root doesn't: the recipes look for it.
const MORE: &str = r#"
    mkdir -p usr/bin usr/share/doc/tool var/lib/dpkg var/tmp
    printf 'su %2000s\n' > usr/bin/su && chmod 4755 usr/bin/su
    printf 'ping %1000s\n' > usr/bin/ping && setfattr -n security.capability -v 0sAQAAAgAgAAAAAAAAAAAAAAAAAAA= usr/bin/ping
    chmod 1777 tmp var/tmp
    cp etc/motd usr/share/doc/tool/welcome
    printf 'Package: %s\nStatus: install ok installed\n\n' bash tool > var/lib/dpkg/status
"#;

impl Session {
    fn new() -> Self {
        Self::with("")
    }

    /// A session whose root is what `script` makes of the small one.
    fn with(script: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        make_root_tar(dir.path(), script);
        Session { dir }
    }

    /// Run a shell command; its status, and what it printed.
    fn shell(&self, command: &str) -> (i32, String) {
        let bin = Path::new(env!("CARGO_BIN_EXE_rd")).parent().unwrap();
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
        let output = Command::new("sh")
            .args(["-c", &format!("exec 2>&1\n{command}")])
            .current_dir(&self.dir)
            .env("PATH", path)
            .env("RD_ROOT", self.dir.path().join("store"))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    }

    fn run(&self, step: &Step) {
        let (status, output) = self.shell(&step.command);
        assert_eq!(status, step.status, "$ {}\n{output}", step.command);
        // Of what was printed, snapbox takes backslashes for those of paths on Windows.
        let shown = |output: &str| format!("$ {}\n{output}", step.command).replace('\\', "/");
        assert_data_eq!(shown(&output), shown(&step.output));
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.shell("rd ps --all --quiet | xargs -r rd rm --force; rd mount --quiet | xargs -r rd umount --lazy");
    }
}

/// A root that runs shell commands, with a few of Debian's files.
fn make_root_tar(dir: &Path, script: &str) {
    let root = dir.join("root");
    for folder in ["bin", "etc", "srv", "tmp"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    let busybox = Command::new("sh").args(["-c", "command -v busybox"]).output().unwrap();
    let busybox = String::from_utf8(busybox.stdout).unwrap();
    fs::copy(busybox.trim(), root.join("bin/busybox")).expect("because scripts/test installs busybox-static");
    for name in ["sh", "cat", "chmod", "echo", "mkdir", "rm", "touch", "true"] {
        symlink("busybox", root.join("bin").join(name)).unwrap();
    }
    fs::write(root.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n").unwrap();
    fs::write(root.join("etc/motd"), "The programs included with this system are free software.\n").unwrap();
    fs::write(root.join("etc/issue.net"), "Debian GNU/Linux 12\n").unwrap();
    let made = Command::new("sh").args(["-euc", script]).current_dir(&root).status();
    assert!(made.unwrap().success());
    let status = Command::new("tar")
        .arg("--xattrs")
        .arg("--xattrs-include=*")
        .arg("-cf")
        .arg(dir.join("debian.tar"))
        .arg("-C")
        .arg(&root)
        .arg(".")
        .status();
    assert!(status.unwrap().success());
    fs::remove_dir_all(root).unwrap();
}

fn page(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// The commands of a page.
fn steps(page: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for block in page.split("\n```console\n").skip(1) {
        let (block, _) = block.split_once("```\n").unwrap();
        for line in block.lines() {
            if let Some(command) = line.strip_prefix("$ ") {
                steps.push(Step { command: command.into(), status: 0, output: String::new() });
                continue;
            }
            let step = steps.last_mut().expect("because a block begins with a command");
            match line.strip_prefix("? ") {
                Some(status) => step.status = status.parse().unwrap(),
                None => step.output += &format!("{line}\n"),
            }
        }
    }
    assert!(!steps.is_empty());
    steps
}

#[test]
fn the_readme_does_what_it_says() {
    let session = Session::new();
    let steps = steps(&page("README.md"));
    assert_eq!(steps.len(), 10, "it is a tour of ten lines");
    steps.iter().for_each(|step| session.run(step));
}

#[test]
fn the_tour_does_what_it_says() {
    let session = Session::new();
    steps(&page("docs/tour.md")).iter().for_each(|step| session.run(step));
}

#[test]
fn the_recipes_do_what_they_say() {
    let session = Session::with(MORE);
    let page = page("docs/recipes.md");
    assert!(page.matches("\n### ").count() >= 15, "they are fifteen at least");
    steps(&page).iter().for_each(|step| session.run(step));
}

#[test]
fn the_tour_knows_what_keeps_a_containers_files() {
    let page = page("docs/tour.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
    let rows: Vec<_> = rows.map(|row| row.split_once('`').unwrap()).collect();
    assert!(rows.len() > 10);
    for (command, rest) in rows {
        let session = Session::new();
        let succeed = |command: &str| {
            let (status, output) = session.shell(command);
            assert_eq!(status, 0, "$ {command}\n{output}");
        };
        succeed("rd import debian.tar debian:12");
        succeed("rd tag debian:12 web");
        if !command.starts_with("rd run") {
            succeed("rd run --name box debian:12 touch /mark");
        }
        let (status, output) = session.shell(command);
        assert!(status == 0 || rest.contains("refused"), "$ {command}\n{output}");
        let (_, files) = session.shell("rd export box | tar -tf -");
        let word = rest.split('|').nth(1).unwrap().trim();
        let kept = files.lines().any(|line| line.trim_start_matches("./") == "mark");
        assert_eq!(kept, word == "kept", "$ {command}\n{files}");
    }
}

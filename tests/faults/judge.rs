//! Whether a store is sound: rd's opinion, git's, and that everybody can go on working.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use plumbing::{Id, Store};

/// No command takes longer, whatever happens to it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Refs and what they point at.
pub type Refs = BTreeMap<String, Id>;

/// A store, and rd and git on it.
pub struct Judge {
    store: PathBuf,
}

impl Judge {
    pub fn new(store: &Path) -> Self {
        Self { store: store.to_owned() }
    }

    pub fn store(&self) -> &Path {
        &self.store
    }

    /// The rd command on the store, without the user's environment.
    pub fn rd(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rd"));
        let folder = self.store.parent().unwrap();
        command.args(args).current_dir(folder).env_clear().env("RD_ROOT", &self.store).env("HOME", folder);
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("TZ", "UTC").stdin(Stdio::null());
        command
    }

    /// What is wrong with the store, in words.
    pub fn complain(&self) -> Option<String> {
        let mut git = self.git();
        git.args(["fsck", "--strict", "--no-dangling", "--no-progress"]);
        let rd = [self.rd(&["fsck"]), self.rd(&["images"]), self.rd(&["ps", "-a"])];
        rd.into_iter().chain([git]).find_map(failure)
    }

    /// What keeps others from moving these refs, or from making them where they aren't there.
    pub fn blocked(&self, refs: impl IntoIterator<Item = impl AsRef<str>>) -> Option<String> {
        let to = self.refs().into_values().next()?;
        let script: String = refs.into_iter().map(|name| format!("update {} {to}\n", name.as_ref())).collect();
        let path = self.store.with_file_name("script");
        std::fs::write(&path, script).unwrap();
        let mut command = self.rd(&["update-ref", "--stdin"]);
        command.stdin(std::fs::File::open(&path).unwrap());
        let blocked = failure(command);
        std::fs::remove_file(path).unwrap();
        blocked
    }

    /// Git on the store, without the user's configuration.
    pub fn git(&self) -> Command {
        let mut git = Command::new("git");
        git.arg("-C").arg(&self.store).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        git.env("GIT_CONFIG_NOSYSTEM", "1").env("RD_ROOT", &self.store).stdin(Stdio::null());
        git
    }

    /// Wait for monitors that outlive the command that started them; says which containers stay busy.
    pub fn until_quiet(&self) -> Option<String> {
        let marks = self.store.join("containers/running");
        let begun = Instant::now();
        loop {
            let running = self.rd(&["ps", "-q"]).output().unwrap();
            let busy = std::fs::read_dir(&marks).map_or(0, Iterator::count);
            if running.stdout.is_empty() && busy == 0 {
                return None;
            }
            if begun.elapsed() > PATIENCE {
                return Some(format!("{busy} containers are still busy: {running:?}"));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// All refs.
    pub fn refs(&self) -> Refs {
        Store::open(&self.store).unwrap().list_refs("refs/").unwrap().into_iter().collect()
    }

    /// A ref's reflog; empty where there is none.
    pub fn reflog(&self, name: &str) -> String {
        std::fs::read_to_string(self.store.join("logs").join(name)).unwrap_or_default()
    }
}

/// `command` as the last arguments of another, which runs it.
pub fn wrap(mut outer: Command, command: &Command) -> Command {
    outer.arg(command.get_program()).args(command.get_args()).env_clear().stdin(Stdio::null());
    outer.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if let Some(folder) = command.get_current_dir() {
        outer.current_dir(folder);
    }
    outer
}

/// What a command said that failed.
pub fn failure(mut command: Command) -> Option<String> {
    let output = command.output().unwrap();
    if output.status.success() {
        return None;
    }
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let args: Vec<_> = command.get_args().collect();
    Some(format!("{:?} {args:?} ended with {}:\n{out:.2000}{err:.2000}", command.get_program(), output.status))
}

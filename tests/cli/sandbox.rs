//! A store of its own for each test, the rd command on it, and small images without an archive.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use plumbing::commit::{NewCommit, State, neutral_signature};
use plumbing::root::{Attrs, Kind, Leaf, Root, Time};
use plumbing::store::refs::Expect;
use plumbing::{Id, ImageName, Store};
use snapbox::cmd::Command;

/// A moment for all that tests write: 2024-05-01 10:30:00 UTC.
pub const THEN: i64 = 1_714_559_400;

/// A temporary folder with a store in it; gone with the value.
pub struct Sandbox {
    dir: tempfile::TempDir,
}

/// A commit to make with [`Sandbox::commit`].
#[derive(Debug, Clone)]
pub struct Change<'a> {
    /// The commits it follows; the files of the first are kept.
    pub parents: &'a [Id],
    /// Path and bytes of each file that is added.
    pub files: &'a [(&'a str, &'a str)],
    /// Programs that are added: path in the image, file of the host.
    pub programs: &'a [(&'a str, &'a str)],
    /// Symbolic links that are added: path, target.
    pub symlinks: &'a [(&'a str, &'a str)],
    /// Further names for files: existing path, new path.
    pub links: &'a [(&'a str, &'a str)],
    /// The image configuration.
    pub config: &'a str,
    /// The manifest, where there is one.
    pub manifest: Option<&'a str>,
    /// The commit's message.
    pub message: &'a str,
    /// The commit's time, in seconds.
    pub seconds: i64,
}

impl Default for Change<'_> {
    fn default() -> Self {
        Self {
            parents: &[],
            files: &[],
            programs: &[],
            symlinks: &[],
            links: &[],
            config: r#"{"architecture":"amd64","os":"linux"}"#,
            manifest: None,
            message: "import",
            seconds: THEN,
        }
    }
}

impl Sandbox {
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    /// As [`new`](Self::new), in memory where the system has such a filesystem: for tests that wait for the disk otherwise.
    pub fn in_memory() -> Self {
        let memory = Path::new("/dev/shm");
        let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        Self { dir: dir.unwrap() }
    }

    /// A folder for the test's own files; the store is in it too.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The store's folder, which the first command makes.
    pub fn store_dir(&self) -> PathBuf {
        self.dir.path().join("store")
    }

    /// The store, opened through the library.
    pub fn store(&self) -> Store {
        Store::open_or_create(self.store_dir()).unwrap()
    }

    fn environment(&self) -> [(&'static str, OsString); 5] {
        [
            ("PATH", std::env::var_os("PATH").unwrap_or_default()),
            ("HOME", self.path().into()),
            ("RD_ROOT", self.store_dir().into()),
            ("TZ", "UTC".into()),
            ("LC_ALL", "C.UTF-8".into()),
        ]
    }

    /// The rd command with `args`, without input or output, for a test that starts it itself.
    pub fn command(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> std::process::Command {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_rd"));
        command.args(args).current_dir(self.path()).env_clear().envs(self.environment());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Start rd with `args` and without input or output; it is killed at the end of the test at the latest.
    pub fn spawn(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Running {
        Running(self.command(args).spawn().unwrap())
    }

    /// The rd command with `args`, to add to and to assert on: `.assert().code(2).stderr_eq("…")`.
    /// It runs in [`path`](Self::path), in UTC, without the user's environment, and ends after a minute at the latest.
    pub fn rd(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
        Command::new(env!("CARGO_BIN_EXE_rd"))
            .args(args)
            .current_dir(self.path())
            .env_clear()
            .envs(self.environment())
            .timeout(Duration::from_secs(60))
    }

    /// What rd prints on stdout; it must end with status 0.
    #[track_caller]
    pub fn ok(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> String {
        let output = self.rd(args).assert().success().get_output().clone();
        String::from_utf8(output.stdout).unwrap()
    }

    /// What rd prints on stderr; it must end with `status`.
    #[track_caller]
    pub fn fails(&self, status: i32, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> String {
        let output = self.rd(args).assert().code(status).get_output().clone();
        String::from_utf8(output.stderr).unwrap()
    }

    /// An image with these files.
    pub fn image(&self, name: &str, files: &[(&str, &str)]) -> Id {
        let id = self.commit(&Change { files, ..Change::default() });
        self.tag(id, name);
        id
    }

    /// An image in which containers run: busybox with a shell and a few commands.
    pub fn busybox(&self, name: &str) -> Id {
        let commands = ["cat", "echo", "ls", "rm", "sh", "sleep", "true", "false"].map(|name| format!("bin/{name}"));
        let symlinks: Vec<(&str, &str)> = commands.iter().map(|path| (path.as_str(), "busybox")).collect();
        let programs = &[("bin/busybox", "/bin/busybox")];
        let files = &[("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n")];
        let config = r#"{"architecture":"amd64","os":"linux","config":{"Env":["PATH=/bin","A=1"],"Cmd":["sh"]}}"#;
        let id = self.commit(&Change { programs, files, symlinks: &symlinks, config, ..Change::default() });
        self.tag(id, name);
        id
    }

    /// Name a commit.
    pub fn tag(&self, id: Id, name: &str) {
        let name = ImageName::parse(name).unwrap();
        self.store().update_ref(&name.to_ref(), id, Expect::Any, "import").unwrap();
    }

    /// Make a commit; folders appear as they are needed.
    pub fn commit(&self, change: &Change<'_>) -> Id {
        let store = self.store();
        let mut batch = store.batch();
        let mut root = match change.parents.first() {
            Some(parent) => Root::open(&store, &store.read_commit(parent).unwrap().state.root).unwrap(),
            None => Root::new(attrs(0o755), TIME),
        };
        let mut put = |path: &str, kind, mode| {
            make_folders(&store, &mut root, path);
            assert!(root.put_leaf(&store, path.into(), Leaf { kind, attrs: attrs(mode), mtime: TIME }).unwrap());
        };
        for (path, text) in change.files {
            let id = batch.contents().unwrap().put(text.as_bytes()).unwrap();
            put(path, Kind::File { id, size: text.len() as u64 }, 0o644);
        }
        for (path, program) in change.programs {
            let bytes = std::fs::read(program).unwrap();
            let id = batch.contents().unwrap().put(&bytes).unwrap();
            put(path, Kind::File { id, size: bytes.len() as u64 }, 0o755);
        }
        for (path, target) in change.symlinks {
            let id = batch.write_blob(target.as_bytes()).unwrap();
            put(path, Kind::Symlink { id }, 0o777);
        }
        for (existing, path) in change.links {
            assert!(root.link(&store, (*existing).into(), (*path).into()).unwrap());
        }
        let state = State {
            root: root.write(&mut batch).unwrap(),
            config: batch.write_blob(change.config.as_bytes()).unwrap(),
            manifest: change.manifest.map(|manifest| batch.write_blob(manifest.as_bytes()).unwrap()),
            layer: None,
            container: None,
        };
        let who = neutral_signature(change.seconds);
        let parents = change.parents.to_vec();
        let new = NewCommit { parents, author: who.clone(), committer: who, message: change.message.into() };
        let id = batch.write_commit(&state, new).unwrap();
        batch.finish().unwrap();
        id
    }
}

/// A command that runs beside the test.
pub struct Running(std::process::Child);

impl Running {
    /// End it at once, wherever it is.
    pub fn kill(&mut self) {
        self.0.kill().unwrap();
    }

    /// Wait for its end; the exit status, -1 where a signal ended it.
    pub fn wait(&mut self) -> i32 {
        self.0.wait().unwrap().code().unwrap_or(-1)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Ask until there is an answer; fails after half a minute.
#[track_caller]
pub fn wait_for<T>(mut answer: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = answer() {
            return answer;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "no answer after half a minute");
        std::thread::sleep(Duration::from_millis(20));
    }
}

const TIME: Time = Time { sec: THEN, nsec: 0 };

fn attrs(mode: u32) -> Attrs {
    Attrs { mode, ..Attrs::default() }
}

fn make_folders(store: &Store, root: &mut Root, path: &str) {
    for (at, _) in path.match_indices('/') {
        if root.dir(store, path[..at].into()).unwrap().is_none() {
            assert!(root.put_dir(store, path[..at].into(), attrs(0o755), TIME).unwrap());
        }
    }
}

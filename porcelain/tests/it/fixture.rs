//! A store with a small root, and commands that run containers in it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output, Stdio};

use porcelain::container::{Config, Containers, Id, Io, Launch};
use porcelain::rootfs::Lower;
use porcelain::{Error, container};

/// A store in a temporary folder, with a root made of busybox.
pub struct Store {
    folder: tempfile::TempDir,
}

impl Store {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store { folder };
        plumbing::Store::create(store.path()).unwrap();
        fs::create_dir_all(store.path().join("mounts")).unwrap();
        make_root(&store.root());
        store
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    pub fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    pub fn containers(&self) -> Containers {
        Containers::open(&self.path()).unwrap()
    }

    /// A configuration that runs `command` in a shell.
    pub fn shell(&self, command: &str) -> Config {
        self.command(&["sh", "-c", command])
    }

    pub fn command(&self, words: &[&str]) -> Config {
        let name = self.containers().free_name().unwrap();
        let mut config = Config::new(Id::random().unwrap(), name, "test", "base");
        config.cmd = words.iter().map(|word| (*word).to_owned()).collect();
        config
    }

    /// The command that plays `rd run`.
    pub fn front(&self, config: &Config, io: &str) -> Command {
        let lower = serde_json::to_string(&Lower::Folder(self.root())).unwrap();
        self.front_on(&lower, config, io)
    }

    pub fn front_on(&self, lower: &str, config: &Config, io: &str) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg("front").arg(self.path()).arg(lower).arg(serde_json::to_string(config).unwrap()).arg(io);
        command
    }

    /// Runs a container to its end.
    pub fn run(&self, config: &Config) -> Output {
        self.front(config, "attached").stdin(Stdio::null()).output().unwrap()
    }

    /// Starts a container that exists and waits for its end.
    pub fn start(&self, config: &Config) -> Output {
        self.front(config, "again").stdin(Stdio::null()).output().unwrap()
    }

    /// Nothing of the container is left on the host: no process, no cgroup, no mount, no mark.
    #[track_caller]
    pub fn assert_clean(&self, id: &Id) {
        for hierarchy in fs::read_dir("/sys/fs/cgroup").unwrap() {
            let folder = hierarchy.unwrap().path().join("rd").join(id.as_str());
            assert!(!folder.exists(), "{}", folder.display());
        }
        assert!(!Path::new("/sys/fs/cgroup/rd").join(id.as_str()).exists());
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        assert!(!mounts.contains(self.path().to_str().unwrap()), "{mounts}");
        // The monitor ends a moment after it has told its front.
        eventually("no process of the container is left", || {
            let mut processes = fs::read_dir("/proc").unwrap().flatten();
            let of_container = |process: &fs::DirEntry| {
                let command = fs::read(process.path().join("cmdline")).unwrap_or_default();
                let command = String::from_utf8_lossy(&command).into_owned();
                command.starts_with("rd-monitor") && command.contains(id.short())
            };
            (!processes.any(|process| of_container(&process))).then_some(())
        });
        for folder in ["running", "trash"] {
            assert!(!self.path().join("containers").join(folder).join(id.as_str()).exists());
        }
    }

    /// Runs `command` in a shell in a new container and returns its standard output; anything else is a failure.
    pub fn output(&self, command: &str) -> String {
        success(&self.run(&self.shell(command)))
    }
}

impl Drop for Store {
    /// Whatever a failed test has left running ends.
    fn drop(&mut self) {
        let containers = self.containers();
        for (container, _) in containers.list().unwrap_or_default() {
            let _ = containers.remove(&container, true);
        }
    }
}

/// The names of a file's extended attributes.
pub fn attributes(path: &Path) -> Vec<String> {
    let mut names = vec![0; 65536];
    let length = rustix::fs::llistxattr(path, &mut names).unwrap();
    names[..length]
        .split(|b| *b == 0)
        .filter(|n| !n.is_empty())
        .map(|n| String::from_utf8(n.to_vec()).unwrap())
        .collect()
}

/// Waits until `check` gives something; panics after a minute.
#[track_caller]
pub fn eventually<T>(what: &str, mut check: impl FnMut() -> Option<T>) -> T {
    let start = std::time::Instant::now();
    loop {
        if let Some(value) = check() {
            return value;
        }
        assert!(start.elapsed() < std::time::Duration::from_secs(60), "{what}: not within a minute");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

/// The standard output of a command that succeeded and said nothing on standard error.
pub fn success(output: &Output) -> String {
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && stderr.is_empty(), "{:?}\n{stdout}\n{stderr}", output.status);
    stdout.into_owned()
}

/// A root with busybox and a few files.
fn make_root(root: &Path) {
    for folder in ["bin", "etc", "tmp", "dev", "proc", "sys", "root", "data"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777)).unwrap();
    fs::copy("/bin/busybox", root.join("bin/busybox")).expect("because the package busybox-static is installed");
    let list = Command::new("/bin/busybox").arg("--list").output().unwrap();
    for applet in String::from_utf8(list.stdout).unwrap().lines().filter(|applet| *applet != "busybox") {
        symlink("busybox", root.join("bin").join(applet)).unwrap();
    }
    fs::write(root.join("etc/passwd"), "root:x:0:0::/root:/bin/sh\nweb:x:33:34::/data:/bin/sh\n").unwrap();
    fs::write(root.join("etc/group"), "root:x:0:\nweb:x:34:\nstaff:x:50:web\n").unwrap();
    fs::write(root.join("data/file"), "content\n").unwrap();
}

/// Plays `rd run`: errors on standard error, exit status as documented.
pub fn front(store: &Path, lower: &str, config: &str, io: &str) -> ExitCode {
    let config: Config = serde_json::from_str(config).unwrap();
    let launch = Launch {
        lower: serde_json::from_str(lower).unwrap(),
        image: Default::default(),
        strategy_cache: store.join("mounts/strategy"),
        io: match io {
            "attached" | "again" => Io::Attached { stdin: config.open_stdin },
            _ => Io::Detached,
        },
        monitor: vec!["/proc/self/exe".into(), "monitor".into()],
    };
    match start(store, config, launch, io == "again") {
        Ok(code) => ExitCode::from(u8::try_from(code).unwrap()),
        Err(error) => {
            eprintln!("error: {}", error.chain().join(": "));
            ExitCode::from(match error {
                Error::Command { missing, .. } => 126 + u8::from(missing),
                _ => 125,
            })
        }
    }
}

fn start(store: &Path, config: Config, launch: Launch, again: bool) -> porcelain::Result<i32> {
    let containers = Containers::open(store)?;
    containers.reconcile()?;
    let command = container::spec::command_line(&config, &launch.image)?;
    let detached = launch.io == Io::Detached;
    let (container, lock) = if again {
        let container = containers.find(config.id.as_str())?;
        let lock = containers.lock(&container)?;
        (container, lock)
    } else {
        containers.create(config, command)?
    };
    let attached = containers.start(&container, lock, launch)?;
    if detached { Ok(0) } else { attached.wait() }
}

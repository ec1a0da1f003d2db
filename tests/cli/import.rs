//! `rd import`

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::sandbox::Sandbox;

/// Run a shell script in `dir`; gives its stdout.
pub fn sh(dir: &Path, script: &str) -> Vec<u8> {
    let output = Command::new("bash").args(["-euc", script]).current_dir(dir).output().unwrap();
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// git has no complaint about the store at `dir`.
pub fn git_agrees(dir: &Path) {
    let text = sh(dir, "git fsck --strict --full --no-dangling 2>&1");
    let text = String::from_utf8_lossy(&text);
    let complaints: Vec<_> = text.lines().filter(|line| !line.starts_with("notice: ")).collect();
    assert!(complaints.is_empty(), "{complaints:?}");
}

/// A small root's tar, the same each time.
pub fn small_tar(sandbox: &Sandbox) -> Vec<u8> {
    sh(
        sandbox.path(),
        "mkdir -p r/etc; echo hello >r/etc/motd; ln -sf motd r/etc/issue; touch -hd @1700000000 r/etc/* r/etc r; \
         tar -C r --sort=name --owner=0 --group=0 -cf small.tar .; cat small.tar",
    )
}

/// The tar of a root of many files and some large ones, none of them like another.
fn large_tar(sandbox: &Sandbox) -> Vec<u8> {
    sh(
        sandbox.path(),
        "mkdir -p big/d; for i in {1..400}; do echo $i-$RANDOM >big/d/$i; done; \
         for i in 1 2 3; do head -c 6000000 /dev/urandom >big/l$i; done; tar -C big -cf - .",
    )
}

fn fan_out(store: &Path) -> Vec<String> {
    let content = std::fs::read_dir(store.join("content")).unwrap();
    content.map(|entry| entry.unwrap().file_name().into_string().unwrap()).filter(|name| name.len() > 2).collect()
}

#[test]
fn import_prints_the_id_and_names_the_image() {
    let sandbox = Sandbox::new();
    small_tar(&sandbox);
    let id = sandbox.ok(["import", "small.tar", "web:1"]);
    assert!(id.starts_with("sha256:") && id.len() == 72, "{id}");
    let store = sandbox.store();
    let commit = store.get_ref("refs/images/docker.io/library/web@1").unwrap().unwrap();
    assert_eq!(id, format!("sha256:{commit}\n"));
    let commit = store.read_commit(&commit).unwrap();
    let digest = String::from_utf8(sh(sandbox.path(), "sha256sum small.tar")).unwrap();
    assert_eq!(commit.message, format!("Imported from sha256:{}\n", &digest[..64]));
    assert_eq!(commit.committer.time.seconds, 1_700_000_000);
    assert_eq!(commit.committer.name, "rd");
    git_agrees(&sandbox.store_dir());
}

#[test]
fn import_gives_the_same_id_in_every_store_from_every_source() {
    let first = Sandbox::new();
    let tar = small_tar(&first);
    let id = first.ok(["import", "small.tar"]);
    for (pack, name) in [("cat", "t.tar"), ("gzip", "t.gz"), ("xz", "t.xz"), ("zstd -q", "t.zst")] {
        let sandbox = Sandbox::new();
        std::fs::write(sandbox.path().join("small.tar"), &tar).unwrap();
        let packed = sh(sandbox.path(), &format!("{pack} <small.tar >{name}; cat {name}"));
        assert_eq!(sandbox.ok(["import", name]), id, "{name}");
        let piped = sandbox.rd(["import", "-", "piped"]).stdin(packed).assert().success().get_output().stdout.clone();
        assert_eq!(String::from_utf8(piped).unwrap(), id, "{name}");
    }
}

#[test]
fn import_applies_changes_and_the_message() {
    let sandbox = Sandbox::new();
    small_tar(&sandbox);
    sandbox.ok(["import", "-m", "a root", "-c", "CMD [\"sh\"]", "--change", "ENV A=1 B=2", "small.tar", "web"]);
    let store = sandbox.store();
    let id = store.get_ref("refs/images/docker.io/library/web@latest").unwrap().unwrap();
    let commit = store.read_commit(&id).unwrap();
    assert_eq!(commit.message, "a root\n");
    let config: serde_json::Value = serde_json::from_slice(&store.read_blob(&commit.state.config).unwrap()).unwrap();
    assert_eq!(config["config"], serde_json::json!({"Cmd": ["sh"], "Env": ["A=1", "B=2"]}));
    assert_eq!((&config["os"], &config["created"]), (&"linux".into(), &"2023-11-14T22:13:20Z".into()));
    let stderr = sandbox.fails(2, ["import", "-c", "RUN x", "small.tar", "no"]);
    assert!(stderr.starts_with("error: invalid instruction 'RUN x': known are CMD,"), "{stderr}");
}

#[test]
fn import_says_what_is_wrong_and_names_nothing() {
    let sandbox = Sandbox::new();
    let tar = small_tar(&sandbox);
    std::fs::write(sandbox.path().join("cut.tar"), &tar[..2000]).unwrap();
    sh(
        sandbox.path(),
        "echo evil >evil; tar -P --transform 's,^,../../,' -cf out.tar evil; gzip <small.tar | head -c 100 >cut.gz",
    );
    for (source, words) in [
        ("none.tar", "error: can't open 'none.tar'\ncaused by: No such file"),
        ("cut.tar", "refused entry"),
        ("cut.gz", "can't be decompressed"),
        ("out.tar", "error: refused entry '../../evil': '..' in a name is not allowed"),
        ("evil", "refused entry"),
        ("/dev/null", "it is empty"),
        (".", "error: can't"),
    ] {
        let stderr = sandbox.fails(2, ["import", source, "name"]);
        assert!(stderr.contains(words), "{source}: {stderr}");
    }
    assert!(sandbox.store().list_refs("refs/").unwrap().is_empty());
    assert!(fan_out(&sandbox.store_dir()).is_empty());
    git_agrees(&sandbox.store_dir());
}

/// Answer one request with `answer`; the address to ask.
fn serve(answer: Vec<u8>) -> (String, std::thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/root.tar", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 4096];
        let _ = stream.read(&mut request).unwrap();
        stream.write_all(&answer).unwrap();
    });
    (url, server)
}

#[test]
fn import_reads_from_the_web() {
    let sandbox = Sandbox::new();
    let tar = small_tar(&sandbox);
    let id = sandbox.ok(["import", "small.tar"]);
    let answer = |status: &str, length: usize| {
        [format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n").as_bytes(), &tar]
            .concat()
    };
    let (url, server) = serve(answer("200 OK", tar.len()));
    assert_eq!(sandbox.ok(["import", &url]), id);
    server.join().unwrap();

    let (url, server) = serve(answer("404 Not Found", tar.len()));
    let stderr = sandbox.fails(2, ["import", &url, "no"]);
    assert!(stderr.contains(&format!("error: can't download '{url}'")) && stderr.contains("404"), "{stderr}");
    server.join().unwrap();

    let (url, server) = serve(answer("200 OK", tar.len() + 1));
    let stderr = sandbox.fails(2, ["import", &url, "no"]);
    assert!(stderr.contains("can't read 'archive'"), "{stderr}");
    server.join().unwrap();
    assert!(sandbox.store().list_refs("refs/images/docker.io/library/no").unwrap().is_empty());
}

/// rd import with its standard input open.
fn start_import(sandbox: &Sandbox, name: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_rd"))
        .args(["import", "-", name])
        .env("RD_ROOT", sandbox.store_dir())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn an_import_killed_at_any_moment_leaves_a_good_store() {
    let sandbox = Sandbox::new();
    let tar = large_tar(&sandbox);
    sandbox.ok(["init"]);
    for part in 0..=10 {
        let mut child = start_import(&sandbox, "killed");
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(&tar[..tar.len() * part / 10]).unwrap();
        if part == 10 {
            // It is somewhere between the last content and the ref.
            drop(stdin);
        }
        kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGKILL).unwrap();
        child.wait().unwrap();
        git_agrees(&sandbox.store_dir());
    }
    let mut child = start_import(&sandbox, "whole");
    child.stdin.take().unwrap().write_all(&tar).unwrap();
    assert!(child.wait_with_output().unwrap().status.success());
    git_agrees(&sandbox.store_dir());
    assert!(fan_out(&sandbox.store_dir()).is_empty(), "what the killed ones staged is cleared");
    let left = sh(&sandbox.store_dir(), "find objects -name 'tmp*'");
    assert_eq!(String::from_utf8(left).unwrap(), "");
    check_contents(&sandbox);
}

/// Every content has the id that it is named by.
fn check_contents(sandbox: &Sandbox) {
    let script = "find content -type f | while read -r file; do id=${file#content/}; \
        [ \"$(git hash-object $file)\" = \"${id/\\//}\" ] || echo $file; done";
    assert_eq!(String::from_utf8(sh(&sandbox.store_dir(), script)).unwrap(), "");
}

#[test]
fn imports_at_the_same_time_dont_disturb_each_other() {
    let sandbox = Sandbox::new();
    let tar = large_tar(&sandbox);
    let small = small_tar(&sandbox);
    let mut children: Vec<_> = ["a", "b", "c", "d"].iter().map(|name| start_import(&sandbox, name)).collect();
    std::thread::scope(|scope| {
        for (number, child) in children.iter_mut().enumerate() {
            let mut stdin = child.stdin.take().unwrap();
            let bytes = if number == 3 { &small } else { &tar };
            scope.spawn(move || stdin.write_all(bytes).unwrap());
        }
    });
    let ids: Vec<_> = children.into_iter().map(|child| child.wait_with_output().unwrap()).collect();
    assert!(ids.iter().all(|output| output.status.success()));
    assert!(ids[0].stdout == ids[1].stdout && ids[1].stdout == ids[2].stdout && ids[2].stdout != ids[3].stdout);
    assert_eq!(sandbox.store().list_refs("refs/images/").unwrap().len(), 4);
    git_agrees(&sandbox.store_dir());
    check_contents(&sandbox);
}

/// A small filesystem of its own; unmounted with the value.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn mount(path: std::path::PathBuf, size: &str) -> Self {
        std::fs::create_dir(&path).unwrap();
        sh(Path::new("/"), &format!("mount -t tmpfs -o size={size} tmpfs {}", path.display()));
        Self(path)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        sh(Path::new("/"), &format!("umount {}", self.0.display()));
    }
}

#[test]
fn a_full_disk_is_said_and_harms_nothing() {
    let sandbox = Sandbox::new();
    std::fs::write(sandbox.path().join("large.tar"), large_tar(&sandbox)).unwrap();
    small_tar(&sandbox);
    let disk = SmallDisk::mount(sandbox.path().join("disk"), "8m");
    let store = disk.0.join("store");
    let rd = |args: &[&str]| sandbox.rd(args).env("RD_ROOT", &store);
    let small = rd(&["import", "small.tar", "small"]).assert().success().get_output().stdout.clone();
    let output = rd(&["import", "large.tar", "large"]).assert().code(2).get_output().clone();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("No space left on device") && stderr.contains("hint: the filesystem is full"), "{stderr}");
    git_agrees(&store);
    assert!(fan_out(&store).is_empty());
    assert_eq!(rd(&["import", "small.tar", "again"]).assert().success().get_output().stdout, small);
}

//! `rd serve-stdio` at the other end of a real ssh: the tests' own sshd and keys, in a mount namespace of their own.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::sandbox::Sandbox;

/// An sshd that is started for each connection and ends with it.
struct Sshd {
    dir: PathBuf,
}

impl Sshd {
    /// Keys and configurations in the sandbox's folder; `options` go in front of the user's key.
    fn new(sandbox: &Sandbox, options: &str) -> Self {
        let sshd = Self { dir: sandbox.path().join("ssh") };
        std::fs::create_dir(&sshd.dir).unwrap();
        for name in ["host", "user"] {
            let mut keygen = Command::new("ssh-keygen");
            keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(sshd.path(name));
            assert!(keygen.status().unwrap().success());
        }
        let key = std::fs::read_to_string(sshd.path("user.pub")).unwrap();
        sshd.write("authorized_keys", &format!("{options} {key}"));
        let host = std::fs::read_to_string(sshd.path("host.pub")).unwrap();
        sshd.write("known_hosts", &format!("there {host}"));
        // Whatever this machine's root is like: one that may log in by a key.
        sshd.write("passwd", "root:x:0:0:root:/root:/bin/sh\nsshd:x:100:65534::/run/sshd:/usr/sbin/nologin\n");
        sshd.write("shadow", "root:*:19000:0:99999:7:::\nsshd:!:19000::::::\n");
        let rd = Path::new(env!("CARGO_BIN_EXE_rd")).parent().unwrap().display().to_string();
        let dir = sshd.dir.display().to_string();
        sshd.write(
            "sshd_config",
            &format!(
                "HostKey {dir}/host\nAuthorizedKeysFile {dir}/authorized_keys\nPidFile none\nUsePAM no\nStrictModes no\n\
                 PasswordAuthentication no\nPermitRootLogin yes\nSetEnv PATH={rd}:/usr/bin:/bin\nLogLevel ERROR\n"
            ),
        );
        sshd.write(
            "start",
            &format!(
                "mount -t tmpfs none /run && mkdir -m 755 /run/sshd && mount --bind {dir}/passwd /etc/passwd && \
                 mount --bind {dir}/shadow /etc/shadow && exec /usr/sbin/sshd -i -e -f {dir}/sshd_config\n"
            ),
        );
        sshd.write(
            "ssh_config",
            &format!(
                "Host there\n  User root\n  IdentityFile {dir}/user\n  IdentitiesOnly yes\n  BatchMode yes\n  \
                 UserKnownHostsFile {dir}/known_hosts\n  GlobalKnownHostsFile none\n  HostKeyAlias there\n  \
                 ProxyCommand unshare -m sh {dir}/start\nHost *\n  LogLevel ERROR\n"
            ),
        );
        sshd
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// What `RD_SSH_COMMAND` has to be.
    fn command(&self) -> String {
        format!("ssh -F {}", self.path("ssh_config").display())
    }
}

fn url(sandbox: &Sandbox) -> String {
    format!("ssh://there{}", sandbox.store_dir().display())
}

#[test]
fn images_are_fetched_over_ssh() {
    let (here, there) = (Sandbox::new(), Sandbox::new());
    let sshd = Sshd::new(&here, "restrict");
    let text = "the same words again and again\n".repeat(20_000);
    let id = there.image("app:1", &[("etc/a", "1"), ("large", &text)]);
    here.ok(["remote", "add", "there", &url(&there)]);
    let fetched = here.rd(["fetch", "there"]).env("RD_SSH_COMMAND", sshd.command()).assert().success();
    let stderr = String::from_utf8(fetched.get_output().stderr.clone()).unwrap();
    assert!(stderr.ends_with(" * [new image]        app:1 -> there/app:1\n"), "{stderr}");
    assert_eq!(here.ok(["rev-parse", "there/app:1"]), format!("{id}\n"));
    assert_eq!(here.ok(["cat-file", "-s", "there/app:1:/large"]), format!("{}\n", text.len()));
    assert_eq!(here.ok(["fsck"]), "");
}

#[test]
fn what_ssh_or_the_other_machine_says_is_told() {
    let (here, there) = (Sandbox::new(), Sandbox::new());
    let sshd = Sshd::new(&here, "");
    let fails = |args: &[&str]| {
        let failed = here.rd(args).env("RD_SSH_COMMAND", sshd.command()).assert().code(2);
        String::from_utf8(failed.get_output().stderr.clone()).unwrap()
    };
    here.ok(["remote", "add", "nostore", &url(&there)]);
    let stderr = fails(&["fetch", "nostore"]);
    assert!(
        stderr.contains("no such store") && stderr.contains("error: can't reach the store at 'ssh://there/"),
        "{stderr}"
    );
    there.image("app:1", &[("etc/a", "1")]);
    here.ok(["remote", "add", "--program", "/no/rd", "norun", &url(&there)]);
    let stderr = fails(&["fetch", "norun"]);
    assert!(stderr.contains("/no/rd: not found") && stderr.contains("error: can't reach the store at "), "{stderr}");
    here.ok(["remote", "add", "stranger", &url(&there).replace("there/", "me@there:1/")]);
    sshd.write("authorized_keys", "");
    let stderr = fails(&["fetch", "stranger"]);
    assert!(stderr.contains("Permission denied") && stderr.contains("error: can't reach the store at "), "{stderr}");
}

#[test]
fn a_key_can_be_for_one_store_and_for_reading_alone() {
    let (here, there) = (Sandbox::new(), Sandbox::new());
    let command = format!("command=\"rd serve-stdio --read-only {}\",restrict", there.store_dir().display());
    let sshd = Sshd::new(&here, &command);
    there.image("app:1", &[("etc/a", "1")]);
    // Whatever is asked for, that is what is served.
    here.ok(["remote", "add", "there", "ssh://there/elsewhere"]);
    here.rd(["fetch", "there"]).env("RD_SSH_COMMAND", sshd.command()).assert().success();
    assert_eq!(here.ok(["rev-parse", "there/app:1"]), there.ok(["rev-parse", "app:1"]));
}

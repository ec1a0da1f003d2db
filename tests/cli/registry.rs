//! A real registry for a test: Debian's docker-registry on a free port of this machine.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::import::{sh, small_tar};
use crate::sandbox::{Sandbox, wait_for};

/// A running registry; it ends with the value.
pub struct Registry {
    child: Child,
    port: u16,
}

impl Registry {
    /// Start one that keeps its files in the test's folder.
    pub fn start(sandbox: &Sandbox) -> Self {
        Self::start_with(sandbox, "")
    }

    /// Start one with more lines in the `http` part of its configuration.
    pub fn start_with(sandbox: &Sandbox, more: &str) -> Self {
        // Somebody else may get the port between the look for a free one and the start: then another is tried.
        wait_for(|| Self::try_start(sandbox.path(), more))
    }

    fn try_start(dir: &Path, more: &str) -> Option<Self> {
        let port = free_port();
        let files = dir.join(format!("registry-{port}"));
        let config = dir.join(format!("registry-{port}.yml"));
        let text = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: {}}}, delete: {{enabled: true}}}}\n\
             http:\n  addr: 127.0.0.1:{port}\n{more}",
            files.display()
        );
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(&config).env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("docker-registry is needed, see scripts/test");
        let mut registry = Self { child, port };
        wait_for(|| {
            if registry.child.try_wait().unwrap().is_some() {
                return Some(false);
            }
            TcpStream::connect(("127.0.0.1", port)).ok().map(|_| true)
        })
        .then_some(registry)
    }

    /// `127.0.0.1:PORT`.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The name of an image of this registry.
    pub fn name(&self, image: &str) -> String {
        format!("{}/{image}", self.host())
    }

    /// Let skopeo put an image there: `docker-archive:image.tar`, `oci:layout:tag`. Its digest.
    #[track_caller]
    pub fn put(&self, sandbox: &Sandbox, source: &str, image: &str) -> String {
        let name = self.name(image);
        skopeo(sandbox, &format!("copy -q --dest-tls-verify=false {source} docker://{name}"));
        self.digest(sandbox, image)
    }

    /// The digest that skopeo sees.
    #[track_caller]
    pub fn digest(&self, sandbox: &Sandbox, image: &str) -> String {
        let name = self.name(image);
        skopeo(sandbox, &format!("inspect --tls-verify=false --format '{{{{.Digest}}}}' docker://{name}"))
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that nobody listens at.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// What skopeo prints; its temporary files are the test's.
#[track_caller]
pub fn skopeo(sandbox: &Sandbox, args: &str) -> String {
    let output = sh(sandbox.path(), &format!("TMPDIR=$PWD HOME=$PWD skopeo --insecure-policy {args}"));
    String::from_utf8(output).unwrap().trim_end().to_owned()
}

/// Make `NAME.tar`, a docker archive of two layers, the second of which has the file `own` with the text `text`.
pub fn archive(sandbox: &Sandbox, name: &str, text: &str) {
    small_tar(sandbox);
    sh(
        sandbox.path(),
        &format!(
            r#"rm -rf a; mkdir -p a/root; printf '%s' '{text}' >a/root/own; cp small.tar a/1.tar
            tar --sort=name --mtime=@1700000000 --owner=0 --group=0 --numeric-owner -C a/root -cf a/2.tar own
            one=$(sha256sum <a/1.tar | cut -d' ' -f1); two=$(sha256sum <a/2.tar | cut -d' ' -f1)
            echo '{{"architecture":"amd64","os":"linux","config":{{"Cmd":["cat","/own"]}},"rootfs":{{"type":"layers","diff_ids":["sha256:'$one'","sha256:'$two'"]}},"history":[{{"created_by":"ADD base"}},{{"created_by":"ADD own"}}]}}' >a/config.json
            echo '[{{"Config":"config.json","RepoTags":["{name}:1"],"Layers":["1.tar","2.tar"]}}]' >a/manifest.json
            tar -C a -cf {name}.tar 1.tar 2.tar config.json manifest.json"#
        ),
    );
}

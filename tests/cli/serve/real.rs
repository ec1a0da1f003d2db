//! A real registry: Debian's docker-registry on a free port; and skopeo.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::import::sh;
use crate::sandbox::{Sandbox, wait_for};

/// A running registry; it ends with the value.
pub struct Registry {
    child: Child,
    port: u16,
}

impl Registry {
    /// Start one that keeps its files in the test's folder.
    pub fn start(sandbox: &Sandbox) -> Self {
        // Somebody else may get the port between the look for a free one and the start: then another is tried.
        wait_for(|| Self::try_start(sandbox.path()))
    }

    fn try_start(dir: &Path) -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = dir.join(format!("registry-{port}.yml"));
        let files = dir.join(format!("registry-{port}"));
        let storage = format!("storage: {{filesystem: {{rootdirectory: {}}}}}", files.display());
        std::fs::write(
            &config,
            format!("version: 0.1\nlog: {{level: error}}\n{storage}\nhttp: {{addr: '127.0.0.1:{port}'}}\n"),
        )
        .unwrap();
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(&config).env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("docker-registry is needed, see scripts/test");
        let mut registry = Self { child, port };
        wait_for(|| match registry.child.try_wait().unwrap() {
            Some(_) => Some(false),
            None => TcpStream::connect(("127.0.0.1", port)).ok().map(|_| true),
        })
        .then_some(registry)
    }

    /// `127.0.0.1:PORT`.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What skopeo prints; its temporary files are the test's.
#[track_caller]
pub fn skopeo(sandbox: &Sandbox, args: &str) -> String {
    let output = sh(sandbox.path(), &format!("TMPDIR=$PWD HOME=$PWD skopeo --insecure-policy {args}"));
    String::from_utf8(output).unwrap()
}

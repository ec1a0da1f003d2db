//! `rd serve`: the store as a registry.

mod blobs;
mod clients;
mod histories;
mod hostile;
mod http;
mod manifests;

use http::Server;
use nix::sys::signal::Signal;
use plumbing::digest::Digest;
use serde_json::{Value, json};

use crate::import::sh;
use crate::sandbox::{Sandbox, wait_for};

const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// A store with a server on it.
fn served() -> (Sandbox, Server) {
    let sandbox = Sandbox::in_memory();
    let server = Server::start(&sandbox, &[]);
    (sandbox, server)
}

fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({ "mediaType": media_type, "digest": Digest::of(bytes).to_string(), "size": bytes.len() })
}

/// The tar of a layer with one file.
fn layer(file: &str) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(file), format!("this is {file}\n")).unwrap();
    sh(dir.path(), &format!("tar --sort=name --owner=0 --group=0 --mtime=@1700000000 -cf - {file}"))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("f"), bytes).unwrap();
    sh(dir.path(), "gzip -n -9 <f")
}

/// An image that can be run: blobs to push, and the manifest.
struct Image {
    config: Vec<u8>,
    layers: Vec<Vec<u8>>,
    manifest: String,
}

impl Image {
    /// Of these layer tars, compressed or not.
    fn new(architecture: &str, tars: &[Vec<u8>], compress: bool) -> Self {
        let diff_ids: Vec<String> = tars.iter().map(|tar| Digest::of(tar).to_string()).collect();
        let config = json!({
            "architecture": architecture, "os": "linux", "config": { "Cmd": ["/bin/true"] },
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
        });
        let layers: Vec<Vec<u8>> = tars.iter().map(|tar| if compress { gzip(tar) } else { tar.clone() }).collect();
        let kind = if compress { format!("{OCI_LAYER}+gzip") } else { OCI_LAYER.into() };
        let config = config.to_string().into_bytes();
        let manifest = json!({
            "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": descriptor(OCI_CONFIG, &config),
            "layers": layers.iter().map(|layer| descriptor(&kind, layer)).collect::<Vec<_>>(),
        });
        Self { config, layers, manifest: manifest.to_string() }
    }

    fn digest(&self) -> Digest {
        Digest::of(self.manifest.as_bytes())
    }

    /// Push the blobs.
    #[track_caller]
    fn push_blobs(&self, server: &Server, name: &str) {
        server.push_blob(name, &self.config);
        for layer in &self.layers {
            server.push_blob(name, layer);
        }
    }

    /// Push all of it.
    #[track_caller]
    fn push(&self, server: &Server, name: &str, reference: &str) {
        self.push_blobs(server, name);
        let answer = server.put(name, reference, &self.manifest, OCI_MANIFEST);
        assert_eq!((answer.status, answer.header("warning")), (201, None), "{answer:?}");
        assert_eq!(answer.must("docker-content-digest"), self.digest().to_string());
    }
}

/// An artifact's manifest with one blob, about `subject`.
fn artifact(kind: &str, blob: &[u8], subject: Option<Value>) -> String {
    let mut manifest = json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": kind,
        "config": descriptor("application/vnd.oci.empty.v1+json", b"{}"),
        "layers": [descriptor("text/plain", blob)],
        "annotations": { "org.example.note": "hello" },
    });
    if let Some(subject) = subject {
        manifest["subject"] = subject;
    }
    manifest.to_string()
}

#[test]
fn serve_says_where_and_ends_with_a_signal() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let (_sandbox, server) = served();
        let answer = server.get("/v2/");
        assert_eq!((answer.status, answer.body.as_slice()), (200, &b"{}"[..]));
        assert_eq!(answer.must("docker-distribution-api-version"), "registry/2.0");
        assert_eq!(server.stop(signal), Some(0));
    }
}

#[test]
fn serve_says_what_hinders_it() {
    let (sandbox, server) = served();
    let stderr = sandbox.fails(2, ["serve", "--listen", &server.address]);
    assert!(stderr.starts_with("error: can't listen at"), "{stderr}");
    sandbox.fails(2, ["serve", "--listen", "nowhere"]);
    let stderr = sandbox.fails(2, ["serve", "--listen", "192.0.2.1:5000"]);
    assert!(stderr.contains("can't listen at '192.0.2.1:5000'"), "{stderr}");
}

#[test]
fn a_pushed_image_is_an_image_of_the_store_and_comes_back_as_it_was() {
    for compress in [false, true] {
        let (sandbox, server) = served();
        let image = Image::new("amd64", &[layer("a"), layer("b")], compress);
        image.push(&server, "team/app", "v1");
        assert_eq!(sandbox.ok(["images", "--format", "{{.Repository}}:{{.Tag}}"]), "team/app:v1\n");
        assert_eq!(sandbox.ok(["cat-file", "blob", "team/app:v1:/b"]), "this is b\n");
        assert_eq!(sandbox.ok(["cat-file", "blob", "refs/images/docker.io/team/app@v1:manifest"]), image.manifest);
        let server = Server::start(&sandbox, &["--read-only"]);
        for reference in ["v1", &image.digest().to_string()] {
            let answer = server.get(&format!("/v2/team/app/manifests/{reference}"));
            assert_eq!((answer.status, answer.body.as_slice()), (200, image.manifest.as_bytes()));
            assert_eq!(answer.must("content-type"), OCI_MANIFEST);
        }
        for blob in image.layers.iter().chain([&image.config]) {
            let path = format!("/v2/team/app/blobs/{}", Digest::of(blob));
            assert_eq!(server.get(&path).body, *blob);
            assert_eq!(server.head(&path).must("content-length"), blob.len().to_string());
            let part = server.ask("GET", &path, &[("Range", "bytes=7-20")], b"");
            assert_eq!((part.status, part.body.as_slice()), (206, &blob[7..21]));
        }
        assert!(!sandbox.store_dir().join("uploads/done").read_dir().unwrap().any(|_| true), "nothing waits");
        sandbox.ok(["fsck"]);
        crate::import::git_agrees(&sandbox.store_dir());
    }
}

#[test]
fn a_read_only_server_takes_and_removes_nothing() {
    let (sandbox, server) = served();
    Image::new("amd64", &[layer("a")], false).push(&server, "web", "1");
    let server = Server::start(&sandbox, &["--read-only"]);
    for (method, path) in [
        ("POST", "/v2/web/blobs/uploads/"),
        ("PUT", "/v2/web/manifests/2"),
        ("DELETE", "/v2/web/manifests/1"),
        ("PATCH", "/v2/web/blobs/uploads/0123456789abcdef0123456789abcdef"),
    ] {
        let answer = server.ask(method, path, &[], b"{}");
        assert_eq!((answer.status, answer.code().as_str()), (405, "UNSUPPORTED"), "{method} {path}");
    }
    assert_eq!(server.get("/v2/web/manifests/1").status, 200);
}

#[test]
fn repositories_are_called_as_users_call_images() {
    let (sandbox, server) = served();
    let image = Image::new("amd64", &[layer("a")], false);
    image.push(&server, "web", "1");
    image.push(&server, "quay.io/team/app", "1");
    let names = sandbox.ok(["images", "--format", "{{.Repository}}:{{.Tag}}"]);
    assert_eq!(names.lines().collect::<std::collections::BTreeSet<_>>(), ["quay.io/team/app:1", "web:1"].into());
    for name in ["web", "library/web", "docker.io/library/web", "quay.io/team/app"] {
        assert_eq!(server.get(&format!("/v2/{name}/manifests/1")).status, 200, "{name}");
    }
    assert_eq!(server.get("/v2/_catalog").json(), json!({ "repositories": ["quay.io/team/app", "web"] }));
    let page = server.get("/v2/_catalog?n=1");
    assert_eq!(page.json(), json!({ "repositories": ["quay.io/team/app"] }));
    let next = page.must("link").strip_prefix('<').unwrap().split('>').next().unwrap();
    assert_eq!(server.get(next).json(), json!({ "repositories": ["web"] }));
}

/// Whether a process has children, also ended ones that it doesn't wait for.
fn has_children(pid: nix::unistd::Pid) -> bool {
    let line = format!("PPid:\t{pid}");
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let status = |path: std::path::PathBuf| std::fs::read_to_string(path.join("status")).unwrap_or_default();
    processes.map(|entry| status(entry.path())).any(|text| text.lines().any(|found| found == line))
}

#[test]
fn a_server_collects_once_a_day_and_old_uploads_go() {
    let (sandbox, server) = served();
    let image = Image::new("amd64", &[layer("a")], true);
    image.push(&server, "web", "1");
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(25 * 3600);
    let make_old = |path: &str| {
        let path = sandbox.store_dir().join(path);
        std::fs::File::options().write(true).open(&path).unwrap().set_modified(old).unwrap();
        path
    };
    let digest = server.push_blob("web", b"forgotten");
    let left = std::fs::read_dir(sandbox.store_dir().join("uploads/done")).unwrap().next().unwrap().unwrap();
    let left = make_old(&format!("uploads/done/{}", left.file_name().to_str().unwrap()));
    let stamp = make_old("gc.stamp");
    image.push(&server, "web", "2");
    wait_for(|| (!left.exists()).then_some(()));
    assert!(stamp.metadata().unwrap().modified().unwrap() > old);
    wait_for(|| (!has_children(server.pid())).then_some(()));
    assert_eq!(server.get(&format!("/v2/web/blobs/{digest}")).status, 404);
    assert_eq!(server.get("/v2/web/manifests/1").body, image.manifest.as_bytes());
}

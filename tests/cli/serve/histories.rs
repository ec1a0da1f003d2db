//! Histories beside images: by a registry, too, another rd gets the very commits.

use plumbing::digest::Digest;
use serde_json::Value;

use super::http::Server;
use super::{OCI_MANIFEST, served};
use crate::import::git_agrees;
use crate::sandbox::{Change, Sandbox};

/// A store with the image `web:1`, three commits of which nothing came from elsewhere.
fn origin() -> (Sandbox, String) {
    let sandbox = Sandbox::in_memory();
    let base = sandbox.commit(&Change { files: &[("etc/motd", "hello\n")], message: "base", ..Change::default() });
    let mut tip = base;
    for (file, message) in [("one", "add one"), ("two", "add two")] {
        let files = &[(file, "text\n")];
        tip = sandbox.commit(&Change { parents: &[tip], files, message, ..Change::default() });
    }
    sandbox.tag(tip, "web:1");
    (sandbox, tip.to_string())
}

/// Carry a manifest and its blobs from server to server, as clients do; its bytes.
#[track_caller]
fn carry(from: &Server, to: &Server, reference: &str, as_reference: &str) -> (String, Option<String>) {
    let manifest = from.get(&format!("/v2/web/manifests/{reference}"));
    assert_eq!(manifest.status, 200, "{manifest:?}");
    let parsed = manifest.json();
    for blob in parsed["layers"].as_array().unwrap().iter().chain([&parsed["config"]]) {
        let answer = from.get(&format!("/v2/web/blobs/{}", blob["digest"].as_str().unwrap()));
        assert_eq!(answer.body.len() as u64, blob["size"].as_u64().unwrap(), "{blob}");
        to.push_blob("web", &answer.body);
    }
    let text = String::from_utf8(manifest.body).unwrap();
    let answer = to.put("web", as_reference, &text, OCI_MANIFEST);
    assert_eq!(answer.status, 201, "{answer:?}");
    (text, answer.header("warning").map(str::to_owned))
}

/// The digest of the history beside an image.
#[track_caller]
fn history(server: &Server, image: &str) -> String {
    let kind = "application%2Fvnd.rd.history.v1";
    let digest = server.head(&format!("/v2/web/manifests/{image}")).must("docker-content-digest").to_owned();
    let list = server.get(&format!("/v2/web/referrers/{digest}?artifactType={kind}")).json();
    let found: Vec<&str> =
        list["manifests"].as_array().unwrap().iter().map(|one| one["digest"].as_str().unwrap()).collect();
    assert_eq!(found.len(), 1, "{list}");
    found[0].to_owned()
}

#[test]
fn commits_travel_by_way_of_a_registry() {
    let (there, tip) = origin();
    let from = Server::start(&there, &["--read-only"]);
    for image_first in [true, false] {
        let (here, to) = served();
        let history = history(&from, "1");
        if image_first {
            carry(&from, &to, "1", "1");
            assert_ne!(here.ok(["rev-parse", "web:1"]).trim_end(), tip, "so far it is an image as any");
        }
        assert_eq!(carry(&from, &to, &history, &history).1, None);
        if !image_first {
            carry(&from, &to, "1", "1");
        }
        assert_eq!(here.ok(["rev-parse", "web:1"]).trim_end(), tip);
        assert_eq!(here.ok(["log", "--format=%s", "web:1"]), "add two\nadd one\nbase\n");
        let digest = |server: &Server| server.head("/v2/web/manifests/1").must("docker-content-digest").to_owned();
        assert_eq!(digest(&to), digest(&from), "for others it is the image that was pushed");
        // Pushed again it is the same once more.
        carry(&from, &to, "1", "1");
        assert_eq!((here.ok(["rev-parse", "web:1"]).trim_end(), digest(&to)), (tip.as_str(), digest(&from)));
        here.ok(["fsck", "--full"]);
        git_agrees(&here.store_dir());
    }
}

#[test]
fn a_history_that_lies_is_kept_and_not_taken() {
    let (there, tip) = origin();
    let from = Server::start(&there, &["--read-only"]);
    let (here, to) = served();
    let (image, _) = carry(&from, &to, "1", "1");
    let before = here.ok(["rev-parse", "web:1"]);
    let real = from.get(&format!("/v2/web/manifests/{}", history(&from, "1"))).json();
    let blob = from.get(&format!("/v2/web/blobs/{}", real["layers"][0]["digest"].as_str().unwrap())).body;
    for lie in [b"no bundle".to_vec(), blob[..blob.len() / 2].to_vec(), Vec::new()] {
        to.push_blob("web", b"{}");
        let digest = to.push_blob("web", &lie);
        let mut manifest: Value = real.clone();
        manifest["layers"][0]["digest"] = digest.to_string().into();
        manifest["layers"][0]["size"] = lie.len().into();
        let text = manifest.to_string();
        let answer = to.put("web", &Digest::of(text.as_bytes()).to_string(), &text, OCI_MANIFEST);
        assert_eq!(answer.status, 201);
        assert!(answer.must("warning").contains("the history is not taken"), "{answer:?}");
        to.delete(&format!("/v2/web/manifests/{}", Digest::of(text.as_bytes())));
    }
    assert_eq!(here.ok(["rev-parse", "web:1"]), before);
    assert_ne!(before.trim_end(), tip);
    assert_eq!(to.get("/v2/web/manifests/1").body, image.as_bytes());
    here.ok(["fsck"]);
}

#[test]
fn a_history_that_is_made_is_not_removed_by_itself() {
    let (there, tip) = origin();
    let server = Server::start(&there, &[]);
    let answer = server.delete(&format!("/v2/web/manifests/{}", history(&server, "1")));
    assert_eq!((answer.status, answer.code().as_str()), (405, "UNSUPPORTED"));
    assert_eq!(there.ok(["rev-parse", "web:1"]).trim_end(), tip);
}

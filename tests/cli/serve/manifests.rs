//! Manifests, tags and referrers, case by case as the distribution specification and its conformance suite have them.

use plumbing::digest::Digest;
use serde_json::{Value, json};

use super::http::Server;
use super::{Image, OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST, artifact, descriptor, layer, served};
use crate::import::git_agrees;
use crate::sandbox::Sandbox;

/// The manifest is there by all these names, with its bytes and its type.
#[track_caller]
fn is_there(server: &Server, references: &[&str], manifest: &str, media_type: &str) {
    let digest = Digest::of(manifest.as_bytes()).to_string();
    for reference in references.iter().copied().chain([digest.as_str()]) {
        let path = format!("/v2/web/manifests/{reference}");
        for answer in [server.head(&path), server.get(&path)] {
            assert_eq!((answer.status, answer.must("content-type")), (200, media_type), "{reference}");
            assert_eq!(answer.must("content-length"), manifest.len().to_string());
            assert_eq!(answer.must("docker-content-digest"), digest);
        }
        assert_eq!(server.get(&path).body, manifest.as_bytes());
    }
}

/// Put it under a tag, see that it is there, and remove first the tag, then the digest.
#[track_caller]
fn comes_and_goes(sandbox: &Sandbox, server: &Server, manifest: &str, media_type: &str) {
    let digest = Digest::of(manifest.as_bytes()).to_string();
    assert_eq!(server.put("web", &digest, manifest, media_type).status, 201);
    let answer = server.put("web", "tag", manifest, media_type);
    assert_eq!((answer.status, answer.must("location")), (201, format!("/v2/web/manifests/{digest}").as_str()));
    is_there(server, &["tag"], manifest, media_type);
    assert!(tags(server).contains(&"tag".to_owned()));
    sandbox.ok(["fsck", "--full"]);
    git_agrees(&sandbox.store_dir());
    assert_eq!(server.delete("/v2/web/manifests/tag").status, 202);
    assert_eq!(server.get("/v2/web/manifests/tag").code(), "MANIFEST_UNKNOWN");
    is_there(server, &[], manifest, media_type);
    assert_eq!(server.delete(&format!("/v2/web/manifests/{digest}")).status, 202);
    for reference in ["tag", &digest] {
        assert_eq!(server.head(&format!("/v2/web/manifests/{reference}")).status, 404);
        assert_eq!(server.delete(&format!("/v2/web/manifests/{reference}")).code(), "MANIFEST_UNKNOWN");
    }
}

fn tags(server: &Server) -> Vec<String> {
    serde_json::from_value(server.get("/v2/web/tags/list").json()["tags"].clone()).unwrap()
}

fn index(manifests: &[Value]) -> Value {
    json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests })
}

/// A descriptor for an index, with the platform.
fn for_platform(image: &Image, architecture: &str) -> Value {
    let mut descriptor = descriptor(OCI_MANIFEST, image.manifest.as_bytes());
    descriptor["platform"] = json!({ "os": "linux", "architecture": architecture });
    descriptor
}

#[test]
fn an_empty_registry_has_nothing() {
    let (_sandbox, server) = served();
    assert_eq!(server.get("/v2/web/tags/list").code(), "NAME_UNKNOWN");
    assert_eq!(server.get("/v2/_catalog").json(), json!({ "repositories": [] }));
    let digest = Digest::of(b"");
    let answer = server.get(&format!("/v2/web/referrers/{digest}"));
    assert_eq!((answer.status, answer.must("content-type")), (200, OCI_INDEX));
    assert_eq!(answer.json()["manifests"], json!([]));
    for reference in ["missing", &digest.to_string()] {
        assert_eq!(server.get(&format!("/v2/web/manifests/{reference}")).code(), "MANIFEST_UNKNOWN");
    }
    assert_eq!(server.get("/v2/web/manifests/sha256:baddigeststring").status, 400);
    assert_eq!(server.get("/v2/web/referrers/sha256:baddigeststring").status, 400);
}

#[test]
fn images_come_and_go() {
    let (sandbox, server) = served();
    for (compress, layers) in [(true, vec![layer("a"), layer("b")]), (false, vec![layer("a")]), (true, vec![])] {
        let image = Image::new("amd64", &layers, compress);
        image.push_blobs(&server, "web");
        comes_and_goes(&sandbox, &server, &image.manifest, OCI_MANIFEST);
    }
}

#[test]
fn images_that_are_none_come_and_go_as_artifacts() {
    let (sandbox, server) = served();
    let image = Image::new("amd64", &[layer("a"), layer("b")], true);
    image.push_blobs(&server, "web");
    let lying = json!({ "architecture": "amd64", "os": "linux",
        "rootfs": { "type": "layers", "diff_ids": [Digest::of(b"").to_string(), Digest::of(b"").to_string()] } });
    let short = json!({ "architecture": "amd64", "os": "linux", "rootfs": { "type": "layers", "diff_ids": [] } });
    for config in [lying, short, json!({}), json!([])] {
        let config = config.to_string();
        server.push_blob("web", config.as_bytes());
        let mut manifest: Value = serde_json::from_str(&image.manifest).unwrap();
        manifest["config"] = descriptor(OCI_CONFIG, config.as_bytes());
        let answer = server.put("web", "x", &manifest.to_string(), OCI_MANIFEST);
        assert!(answer.must("warning").starts_with("299 - \"kept, but as an artifact"), "{answer:?}");
        assert_eq!(sandbox.ok(["images", "-q"]), "");
        is_there(&server, &["x"], &manifest.to_string(), OCI_MANIFEST);
        image.push_blobs(&server, "web");
    }
}

#[test]
fn artifacts_come_and_go() {
    let (sandbox, server) = served();
    server.push_blob("web", b"{}");
    server.push_blob("web", b"a note");
    comes_and_goes(&sandbox, &server, &artifact("application/vnd.example", b"a note", None), OCI_MANIFEST);
    server.push_blob("web", b"{}");
    comes_and_goes(&sandbox, &server, &artifact("application/vnd.example", b"{}", None), OCI_MANIFEST);
    // A field with the bytes themselves, and fields that nobody knows.
    server.push_blob("web", b"{}");
    server.push_blob("web", b"a note");
    let mut manifest: Value = serde_json::from_str(&artifact("x/y", b"a note", None)).unwrap();
    manifest["layers"][0]["data"] = "YSBub3Rl".into();
    manifest["org.example.field"] = json!({ "deep": [1, 2.5, null] });
    comes_and_goes(&sandbox, &server, &format!("{manifest}\n "), OCI_MANIFEST);
}

#[test]
fn a_large_manifest_comes_and_goes_and_a_huge_one_is_refused() {
    let (sandbox, server) = served();
    let image = Image::new("amd64", &[layer("a")], true);
    image.push_blobs(&server, "web");
    let with = |count: usize| {
        let mut manifest: Value = serde_json::from_str(&image.manifest).unwrap();
        let annotations = (0..count).map(|number| (format!("note-{number}"), "A".repeat(10_000).into()));
        manifest["annotations"] = Value::Object(annotations.collect());
        manifest.to_string()
    };
    let answer = server.put("web", "tag", &with(900), OCI_MANIFEST);
    assert_eq!((answer.status, answer.code().as_str()), (413, "MANIFEST_INVALID"));
    comes_and_goes(&sandbox, &server, &with(390), OCI_MANIFEST);
}

#[test]
fn a_layer_that_is_not_for_passing_on_may_be_missing() {
    let (sandbox, server) = served();
    let image = Image::new("amd64", &[layer("a")], true);
    image.push_blobs(&server, "web");
    let mut manifest: Value = serde_json::from_str(&image.manifest).unwrap();
    let mut foreign = descriptor("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", b"elsewhere");
    foreign["urls"] = json!(["https://store.example.com/x"]);
    manifest["layers"].as_array_mut().unwrap().insert(0, foreign);
    comes_and_goes(&sandbox, &server, &manifest.to_string(), OCI_MANIFEST);
}

#[test]
fn what_a_manifest_needs_must_be_there() {
    let (_sandbox, server) = served();
    let image = Image::new("amd64", &[layer("a"), layer("b")], true);
    let list = index(&[for_platform(&image, "amd64")]).to_string();
    for (manifest, media_type) in [(&image.manifest, OCI_MANIFEST), (&list, OCI_INDEX)] {
        let answer = server.put("web", "tag", manifest, media_type);
        assert_eq!((answer.status, answer.code().as_str()), (400, "MANIFEST_BLOB_UNKNOWN"));
    }
    image.push_blobs(&server, "other");
    let answer = server.put("web", "tag", &image.manifest, OCI_MANIFEST);
    assert_eq!(answer.code(), "MANIFEST_BLOB_UNKNOWN", "another repository's are not this one's");
    assert_eq!(server.get("/v2/web/tags/list").status, 404, "nothing was made of it");
}

#[test]
fn bad_manifests_are_refused() {
    let (_sandbox, server) = served();
    let image = Image::new("amd64", &[layer("a")], true);
    image.push_blobs(&server, "web");
    let longer = image.manifest.replace(r#""size":"#, r#""size":1"#);
    for (reference, manifest, media_type, code) in [
        ("x", "", OCI_MANIFEST, "MANIFEST_INVALID"),
        ("x", "{", OCI_MANIFEST, "MANIFEST_INVALID"),
        ("x", "{\"schemaVersion\":1}", OCI_MANIFEST, "MANIFEST_INVALID"),
        ("x", &image.manifest, OCI_INDEX, "MANIFEST_INVALID"),
        ("x", &longer, OCI_MANIFEST, "MANIFEST_INVALID"),
        (&image.digest().to_string(), &format!("{}  ", image.manifest), OCI_MANIFEST, "DIGEST_INVALID"),
        ("sha256:baddigeststring", &image.manifest, OCI_MANIFEST, "DIGEST_INVALID"),
        ("-x", &image.manifest, OCI_MANIFEST, "NAME_INVALID"),
        (&"x".repeat(129), &image.manifest, OCI_MANIFEST, "NAME_INVALID"),
    ] {
        let answer = server.put("web", reference, manifest, media_type);
        assert_eq!((answer.status, answer.code().as_str()), (400, code), "{reference} {manifest}");
    }
    let answer = server.put("web", "x", &image.manifest, "application/vnd.oci.image.manifest.v1+json; charset=utf-8");
    assert_eq!(answer.status, 201, "parameters of a type don't matter");
}

#[test]
fn an_index_and_its_images_come_and_go() {
    let (sandbox, server) = served();
    let host = plumbing::config::host_architecture();
    let (ours, other) = (Image::new(host, &[layer("a")], true), Image::new("riscv64", &[layer("b")], true));
    for image in [&ours, &other] {
        image.push(&server, "web", &image.digest().to_string());
    }
    assert_eq!(sandbox.ok(["images", "-q"]), "", "an image without a tag is none of the user's yet");
    let list = index(&[for_platform(&other, "riscv64"), for_platform(&ours, host)]).to_string();
    let nested = index(&[descriptor(OCI_INDEX, list.as_bytes())]).to_string();
    assert_eq!(server.put("web", "multi", &list, OCI_INDEX).status, 201);
    is_there(&server, &["multi"], &list, OCI_INDEX);
    assert_eq!(sandbox.ok(["cat-file", "blob", "web:multi:/a"]), "this is a\n", "this machine's image has the tag");
    // What the user makes of the tag goes before the index that it was.
    let before = sandbox.store().get_ref("refs/images/docker.io/library/web@multi").unwrap().unwrap();
    Image::new(host, &[layer("c")], true).push(&server, "web", "new");
    sandbox.ok(["tag", "web:new", "web:multi"]);
    assert_eq!(server.get("/v2/web/manifests/multi").must("content-type"), OCI_MANIFEST);
    sandbox.ok(["tag", &before.to_string(), "web:multi"]);
    is_there(&server, &["multi"], &list, OCI_INDEX);
    assert_eq!(server.put("web", "nested", &nested, OCI_INDEX).status, 201);
    is_there(&server, &["nested"], &nested, OCI_INDEX);
    sandbox.ok(["rmi", "-f", "web:multi"]);
    assert_eq!(server.get("/v2/web/manifests/multi").status, 404, "the index went with the image");
    for manifest in [&list, &nested, &index(&[]).to_string()] {
        comes_and_goes(&sandbox, &server, manifest, OCI_INDEX);
    }
    sandbox.ok(["gc", "--prune=now"]);
    is_there(&server, &[], &ours.manifest, OCI_MANIFEST);
}

#[test]
fn tags_come_with_a_digest() {
    let (_sandbox, server) = served();
    let image = Image::new("amd64", &[layer("a")], true);
    image.push_blobs(&server, "web");
    let reference = format!("{}?tag=1.2.3&tag=1.2&tag=latest", image.digest());
    let answer = server.put("web", &reference, &image.manifest, OCI_MANIFEST);
    assert_eq!((answer.status, answer.must("oci-tag")), (201, "1.2.3, 1.2, latest"));
    assert_eq!(tags(&server), ["1.2", "1.2.3", "latest"]);
    is_there(&server, &["1.2.3", "1.2", "latest"], &image.manifest, OCI_MANIFEST);
    assert_eq!(server.delete(&format!("/v2/web/manifests/{}", image.digest())).status, 202);
    assert_eq!(server.get("/v2/web/tags/list").status, 404, "the tags went with the manifest");
}

#[test]
fn tags_are_listed_in_pages() {
    let (_sandbox, server) = served();
    let image = Image::new("amd64", &[layer("a")], false);
    image.push_blobs(&server, "web");
    server.push_blob("web", b"{}");
    for tag in ["c", "a", "B", "d"] {
        server.put("web", tag, &image.manifest, OCI_MANIFEST);
    }
    server.put("web", "b.artifact", &artifact("x/y", b"{}", None), OCI_MANIFEST);
    assert_eq!(
        server.get("/v2/web/tags/list").json(),
        json!({ "name": "web", "tags": ["B", "a", "b.artifact", "c", "d"] })
    );
    let (mut seen, mut next) = (Vec::new(), "/v2/web/tags/list?n=2".to_owned());
    loop {
        let answer = server.get(&next);
        let page: Vec<String> = serde_json::from_value(answer.json()["tags"].clone()).unwrap();
        assert!(page.len() <= 2);
        seen.extend(page);
        let Some(link) = answer.header("link") else { break };
        assert!(link.ends_with(r#">; rel="next""#), "{link}");
        next = link.trim_start_matches('<').split('>').next().unwrap().to_owned();
    }
    assert_eq!(seen, tags(&server));
    let list = |query: &str| server.get(&format!("/v2/web/tags/list?{query}"));
    assert_eq!((list("n=0").json()["tags"].clone(), list("n=0").header("link")), (json!([]), None));
    assert_eq!(list("last=b").json()["tags"], json!(["b.artifact", "c", "d"]));
    assert_eq!(list("n=1&last=c").json()["tags"], json!(["d"]));
    assert_eq!(list("n=many").status, 400);
}

#[test]
fn referrers_are_listed_by_subject_and_kind() {
    let (sandbox, server) = served();
    let image = Image::new("amd64", &[layer("a")], true);
    image.push(&server, "web", "image");
    let subject = descriptor(OCI_MANIFEST, image.manifest.as_bytes());
    let path = format!("/v2/web/referrers/{}", image.digest());
    server.push_blob("web", b"{}");
    server.push_blob("web", b"a note");
    let (sbom, note) = ("application/vnd.example.sbom", "application/vnd.example.note");
    let first = artifact(sbom, b"a note", Some(subject.clone()));
    let answer = server.put("web", &Digest::of(first.as_bytes()).to_string(), &first, OCI_MANIFEST);
    assert_eq!((answer.status, answer.must("oci-subject")), (201, image.digest().to_string().as_str()));
    server.push_blob("web", b"{}");
    let second = artifact(note, b"{}", Some(subject.clone()));
    assert_eq!(server.put("web", "tagged", &second, OCI_MANIFEST).status, 201);
    // An index, without a kind, and an image, whose kind is its configuration's.
    let mut list = index(&[]);
    list["subject"] = subject.clone();
    server.put("web", "list", &list.to_string(), OCI_INDEX);
    let mut copy: Value = serde_json::from_str(&image.manifest).unwrap();
    copy["subject"] = subject;
    server.put("web", "copy", &copy.to_string(), OCI_MANIFEST);
    let found = server.get(&path);
    assert_eq!((found.must("content-type"), found.header("oci-filters-applied")), (OCI_INDEX, None));
    let found = found.json();
    let mut seen: Vec<_> = found["manifests"].as_array().unwrap().iter().collect();
    seen.sort_by_key(|descriptor| descriptor["size"].as_u64());
    assert_eq!(seen.len(), 4, "{found}");
    for (manifest, kind) in
        [(&first, Some(sbom)), (&second, Some(note)), (&list.to_string(), None), (&copy.to_string(), Some(OCI_CONFIG))]
    {
        let digest = Digest::of(manifest.as_bytes()).to_string();
        let one = seen.iter().find(|one| one["digest"] == digest.as_str()).unwrap_or_else(|| panic!("{found}"));
        assert_eq!((one["size"].as_u64(), one["artifactType"].as_str()), (Some(manifest.len() as u64), kind));
        if kind == Some(sbom) {
            assert_eq!(one["annotations"], json!({ "org.example.note": "hello" }));
        }
    }
    let some = server.get(&format!("{path}?artifactType={}", sbom.replace('/', "%2F")));
    assert_eq!(some.must("oci-filters-applied"), "artifactType");
    assert_eq!(some.json()["manifests"].as_array().unwrap().len(), 1);
    assert_eq!(server.get(&format!("{path}?artifactType=none")).json()["manifests"], json!([]));
    // They stay when the subject goes, and through collections.
    server.delete(&format!("/v2/web/manifests/{}", image.digest()));
    sandbox.ok(["gc", "--prune=now"]);
    assert_eq!(server.get(&path).json()["manifests"].as_array().unwrap().len(), 4);
    sandbox.ok(["fsck", "--full"]);
}

#[test]
fn artifacts_are_shown_among_commits() {
    let (sandbox, server) = served();
    server.push_blob("web", b"{}");
    let manifest = artifact("x/y", b"{}", None);
    assert_eq!(server.put("web", "note", &manifest, OCI_MANIFEST).status, 201);
    let name = "refs/artifacts/docker.io/library/web@note";
    let shown = sandbox.ok(["show", name]);
    assert!(
        shown.contains(&format!("artifact {}", Digest::of(manifest.as_bytes()))) && shown.contains(&manifest),
        "{shown}"
    );
    assert!(sandbox.ok(["log", "--all", "-p", "--stat"]).contains("artifact sha256:"));
}

#[test]
fn a_subject_may_come_later() {
    let (_sandbox, server) = served();
    server.push_blob("web", b"{}");
    let subject = descriptor(OCI_MANIFEST, b"missing content");
    let manifest = artifact("x/y", b"{}", Some(subject));
    let answer = server.put("web", "early", &manifest, OCI_MANIFEST);
    let digest = Digest::of(b"missing content");
    assert_eq!((answer.status, answer.must("oci-subject")), (201, digest.to_string().as_str()));
    assert_eq!(server.get(&format!("/v2/web/referrers/{digest}")).json()["manifests"].as_array().unwrap().len(), 1);
}

#[test]
fn a_manifest_stays_known_by_its_digest_when_its_tag_moves() {
    let (_sandbox, server) = served();
    let (first, second) = (Image::new("amd64", &[layer("a")], true), Image::new("amd64", &[layer("b")], true));
    first.push(&server, "web", "latest");
    second.push(&server, "web", "latest");
    is_there(&server, &[], &first.manifest, OCI_MANIFEST);
    is_there(&server, &["latest"], &second.manifest, OCI_MANIFEST);
    assert_eq!(server.delete(&format!("/v2/web/manifests/{}", first.digest())).status, 202);
    assert_eq!(server.get(&format!("/v2/web/manifests/{}", first.digest())).status, 404);
    is_there(&server, &["latest"], &second.manifest, OCI_MANIFEST);
}

#[test]
fn a_tag_is_an_image_or_an_artifact_never_both() {
    let (sandbox, server) = served();
    let image = Image::new("amd64", &[layer("a")], true);
    image.push(&server, "web", "x");
    server.push_blob("web", b"{}");
    let note = artifact("x/y", b"{}", None);
    assert_eq!(server.put("web", "x", &note, OCI_MANIFEST).status, 201);
    is_there(&server, &["x"], &note, OCI_MANIFEST);
    assert_eq!(sandbox.ok(["images", "-q"]), "");
    image.push(&server, "web", "x");
    is_there(&server, &["x"], &image.manifest, OCI_MANIFEST);
    assert_eq!(sandbox.store().list_refs("refs/artifacts/").unwrap(), []);
}

#[test]
fn a_blob_that_a_manifest_needs_is_not_deleted() {
    let (_sandbox, server) = served();
    let image = Image::new("amd64", &[layer("a")], true);
    image.push(&server, "web", "x");
    for blob in [&image.config, &image.layers[0]] {
        let path = format!("/v2/web/blobs/{}", Digest::of(blob));
        let answer = server.delete(&path);
        assert_eq!((answer.status, answer.code().as_str()), (405, "UNSUPPORTED"));
        assert_eq!(server.get(&path).body, *blob);
    }
}

#[test]
fn blobs_that_another_repository_has_are_mounted_and_not_sent() {
    for compress in [false, true] {
        let (_sandbox, server) = served();
        let image = Image::new("amd64", &[layer("a"), layer("b")], compress);
        image.push(&server, "web", "x");
        for blob in image.layers.iter().chain([&image.config]) {
            let path = format!("/v2/other/blobs/uploads/?mount={}&from=web", Digest::of(blob));
            assert_eq!(server.ask("POST", &path, &[], b"").status, 201);
        }
        assert_eq!(server.put("other", "y", &image.manifest, OCI_MANIFEST).status, 201);
        server.delete(&format!("/v2/web/manifests/{}", image.digest()));
        let path = format!("/v2/other/blobs/{}", Digest::of(&image.layers[1]));
        assert_eq!(server.get(&path).body, image.layers[1]);
    }
}

#[test]
fn known_layers_that_are_compressed_otherwise_keep_their_digests() {
    let (sandbox, server) = served();
    let tars = [layer("a"), layer("b")];
    let packed = Image::new("amd64", &tars, true);
    packed.push(&server, "web", "packed");
    let plain = Image::new("amd64", &tars, false);
    plain.push(&server, "web", "plain");
    let mut other = Image::new("amd64", &tars, true);
    for layer in &mut other.layers {
        // A second member, empty: the same tar, other bytes.
        let before = Digest::of(layer).to_string();
        let size = format!("\"size\":{}", layer.len());
        layer.extend(super::gzip(b""));
        other.manifest = other.manifest.replace(&before, &Digest::of(layer).to_string());
        other.manifest = other.manifest.replace(&size, &format!("\"size\":{}", layer.len()));
    }
    other.push(&server, "web", "other");
    let server = Server::start(&sandbox, &["--read-only"]);
    for (tag, image) in [("packed", &packed), ("plain", &plain), ("other", &other)] {
        is_there(&server, &[tag], &image.manifest, OCI_MANIFEST);
        for layer in &image.layers {
            assert_eq!(server.get(&format!("/v2/web/blobs/{}", Digest::of(layer))).body, *layer, "{tag}");
        }
    }
    let commits = |tag: &str| sandbox.ok(["rev-parse", &format!("web:{tag}~1")]);
    assert_eq!([commits("plain"), commits("other")], [commits("packed"), commits("packed")]);
}

#[test]
fn docker_manifests_keep_their_types() {
    let (sandbox, server) = served();
    let image = Image::new("amd64", &[layer("a")], true);
    image.push_blobs(&server, "web");
    let docker = "application/vnd.docker.distribution.manifest.v2+json";
    let manifest = image.manifest.replace(OCI_MANIFEST, docker);
    let manifest = manifest.replace(OCI_CONFIG, "application/vnd.docker.container.image.v1+json");
    let manifest = manifest.replace(&format!("{OCI_LAYER}+gzip"), "application/vnd.docker.image.rootfs.diff.tar.gzip");
    comes_and_goes(&sandbox, &server, &manifest, docker);
}

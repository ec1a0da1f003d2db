//! Clients that mean harm, or only break off.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::thread;

use plumbing::digest::Digest;
use serde_json::Value;

use super::http::{Answer, Server};
use super::{Image, OCI_MANIFEST, artifact, layer, served};
use crate::import::sh;
use crate::sandbox::{Sandbox, wait_for};

/// All files that wait.
fn waiting(sandbox: &Sandbox) -> String {
    String::from_utf8(sh(&sandbox.store_dir(), "[ ! -e uploads ] || find uploads -type f")).unwrap()
}

/// Send a head and some bytes, without the end of either.
fn send(server: &Server, head: &str, bytes: &[u8]) -> std::net::TcpStream {
    let mut stream = server.connect();
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(bytes).unwrap();
    stream
}

#[test]
fn what_came_before_a_break_stays_and_the_upload_goes_on() {
    let (_sandbox, server) = served();
    let place = server.ask("POST", "/v2/web/blobs/uploads/", &[], b"").must("location").to_owned();
    let head = format!("PATCH {place} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n");
    let stream = send(&server, &head, b"12345");
    let busy = wait_for(|| Some(server.get(&place)).filter(|answer| answer.status != 204));
    assert_eq!((busy.status, busy.code().as_str()), (409, "BLOB_UPLOAD_INVALID"), "one writes at a time");
    drop(stream);
    let answer = wait_for(|| Some(server.get(&place)).filter(|answer| answer.status == 204));
    assert_eq!(answer.must("range"), "0-4");
    let digest = Digest::of(b"1234567890");
    assert_eq!(server.ask("PUT", &format!("{place}?digest={digest}"), &[], b"67890").status, 201);
}

#[test]
fn an_endless_blob_is_cut_off() {
    let sandbox = Sandbox::in_memory();
    let server = Server::start(&sandbox, &["--max-blob", "100000"]);
    let place = server.ask("POST", "/v2/web/blobs/uploads/", &[], b"").must("location").to_owned();
    let digest = Digest::of(b"");
    for path in [format!("/v2/web/blobs/uploads/?digest={digest}"), format!("{place}?digest={digest}")] {
        let method = if path.starts_with(&place) { "PUT" } else { "POST" };
        // What announces too much is refused unread.
        let answer = server.ask(method, &path, &[("Content-Length", "100001")], b"");
        assert_eq!((answer.status, answer.code().as_str()), (413, "SIZE_INVALID"));
        // What announces nothing is read up to the limit.
        let head = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
        let mut stream = send(&server, &head, b"");
        let mut other = stream.try_clone().unwrap();
        let sender = thread::spawn(move || {
            let piece = [b"4000\r\n".as_slice(), &[b'x'; 0x4000], b"\r\n"].concat();
            // It ends when the server has had enough.
            while other.write_all(&piece).is_ok() {}
        });
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let _ = stream.shutdown(Shutdown::Both);
        sender.join().unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 413"), "{answer}");
    }
    assert_eq!(waiting(&sandbox), "");
    assert_eq!(server.get("/v2/").status, 200);
}

#[test]
fn an_endless_manifest_is_cut_off() {
    let (_sandbox, server) = served();
    let head = "PUT /v2/web/manifests/x HTTP/1.1\r\nHost: x\r\n";
    let mut stream = send(&server, &format!("{head}Content-Length: 1000000000000\r\n\r\n"), b"{");
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    let mut stream = send(&server, &format!("{head}Transfer-Encoding: chunked\r\n\r\n"), b"");
    let piece = [b"100000\r\n".as_slice(), &[b' '; 0x100000], b"\r\n"].concat();
    let sent = (0..64).take_while(|_| stream.write_all(&piece).is_ok()).count();
    assert!(sent < 64, "the server read 64 MiB of a manifest");
    assert_eq!(server.get("/v2/").status, 200);
}

#[test]
fn deep_and_strange_manifests_are_refused() {
    let (_sandbox, server) = served();
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let nested = format!(r#"{{"schemaVersion":2,"x":{deep}}}"#);
    let big = r#"{"schemaVersion":2,"config":{"digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":99999999999999999999}}"#;
    let twice = r#"{"schemaVersion":2,"schemaVersion":2,"config":null}"#;
    for manifest in [&deep, &nested, big, twice, "\u{0}", "nul"] {
        let answer = server.put("web", "x", manifest, OCI_MANIFEST);
        assert_eq!((answer.status, answer.code().as_str()), (400, "MANIFEST_INVALID"), "{:.60}", manifest);
    }
}

#[test]
fn names_lead_nowhere() {
    let (sandbox, server) = served();
    std::fs::write(sandbox.path().join("secret"), "secret").unwrap();
    for path in [
        "/v2/../../secret",
        "/v2/%2e%2e/%2e%2e/manifests/secret",
        "/v2/a/../../../secret/manifests/x",
        "/v2/web/manifests/..%2f..%2fsecret",
        "/v2/web/blobs/..%2f..%2fsecret",
        "/v2/web/blobs/uploads/..%2f..%2f..%2fsecret",
        "/v2/web%00/manifests/x",
        "/v2/refs/heads/main/manifests/x.lock%0a",
        "//v2/",
        "/etc/passwd",
    ] {
        let answer = server.get(path);
        assert!(matches!(answer.status, 400 | 404 | 405), "{path}: {answer:?}");
        assert!(!answer.body.windows(6).any(|part| part == b"secret") || path.contains("secret"), "{path}");
    }
    for name in ["../evil", "a/../../evil", "UPPER", "a..b", ".git", "a/.lock"] {
        let path = format!("/v2/{}/blobs/uploads/", name.replace('/', "%2f"));
        assert_eq!(server.ask("POST", &path, &[], b"").code(), "NAME_INVALID", "{name}");
    }
    assert_eq!(waiting(&sandbox), "");
}

#[test]
fn what_is_no_http_does_no_harm() {
    let (_sandbox, server) = served();
    for bytes in [
        &b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03"[..],
        b"GET",
        b"\0\0\0\0",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\r\n\r\n\r\n",
    ] {
        let mut stream = send(&server, "", bytes);
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
    }
    let long = format!("GET /v2/{} HTTP/1.1\r\n\r\n", "a".repeat(1 << 20));
    let mut stream = server.connect();
    let _ = stream.write_all(long.as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert_eq!(server.get("/v2/").status, 200);
}

#[test]
fn a_web_page_reaches_nothing() {
    let (_sandbox, server) = served();
    let answer = server.ask("POST", "/v2/web/blobs/uploads/", &[("Origin", "https://example.com")], b"");
    assert_eq!((answer.status, answer.code().as_str()), (403, "DENIED"));
    assert_eq!(answer.header("access-control-allow-origin"), None);
}

#[test]
fn a_layer_that_would_escape_is_kept_closed() {
    let (sandbox, server) = served();
    let evil = sh(sandbox.path(), "mkdir d; touch d/x evil; cd d; tar -P --transform 's,^x,../../evil,' -cf - x");
    let image = Image::new("amd64", &[evil], true);
    image.push_blobs(&server, "web");
    let answer = server.put("web", "x", &image.manifest, OCI_MANIFEST);
    assert_eq!(answer.status, 201);
    assert!(answer.must("warning").contains("evil"), "{answer:?}");
    assert_eq!(sandbox.ok(["images", "-q"]), "", "it is no image that can be run");
    let path = format!("/v2/web/blobs/{}", Digest::of(&image.layers[0]));
    assert_eq!(server.get(&path).body, image.layers[0]);
}

#[test]
fn many_clients_push_and_pull_at_once() {
    let (sandbox, server) = served();
    let images: Vec<Image> =
        (0..6).map(|number| Image::new("amd64", &[layer("base"), layer(&format!("own-{number}"))], true)).collect();
    thread::scope(|scope| {
        for (number, image) in images.iter().enumerate() {
            let server = &server;
            scope.spawn(move || {
                let name = format!("web{}", number % 2);
                image.push(server, &name, &format!("v{number}"));
                image.push(server, "same", "latest");
                assert_eq!(server.get(&format!("/v2/{name}/manifests/v{number}")).body, image.manifest.as_bytes());
                let blob = server.get(&format!("/v2/{name}/blobs/{}", Digest::of(&image.layers[1])));
                assert_eq!(blob.body, image.layers[1]);
            });
        }
    });
    let latest = server.get("/v2/same/manifests/latest").body;
    assert!(images.iter().any(|image| image.manifest.as_bytes() == latest));
    sandbox.ok(["fsck"]);
    crate::import::git_agrees(&sandbox.store_dir());
}

#[test]
fn one_connection_serves_many_requests_and_idle_ones_wait_for_nothing() {
    let (_sandbox, server) = served();
    let idle: Vec<_> = (0..40).map(|_| server.connect()).collect();
    let mut stream = server.connect();
    for _ in 0..3 {
        stream.write_all(b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let answer = Answer::read(stream.try_clone().unwrap(), false);
        assert_eq!((answer.status, answer.body.as_slice()), (200, &b"{}"[..]));
    }
    drop(idle);
}

#[test]
fn fsck_finds_an_artifact_that_is_not_what_its_digest_says() {
    let (sandbox, server) = served();
    server.push_blob("web", b"{}");
    server.push_blob("web", b"a note");
    let manifest = artifact("x/y", b"a note", None);
    assert_eq!(server.put("web", "x", &manifest, OCI_MANIFEST).status, 201);
    drop(server);
    let blob = plumbing::store::hash_content(b"a note");
    let path = sandbox.store().content_file(&blob);
    sh(sandbox.path(), &format!("chmod u+w {0}; printf 'a lie.' >{0}", path.display()));
    let findings = sandbox.rd(["fsck", "--json"]).assert().code(1).get_output().stdout.clone();
    let findings: Value = serde_json::from_slice(&findings).unwrap();
    assert!(findings.to_string().contains(&format!("artifact/{}", Digest::of(b"a note").hex())), "{findings}");
    std::fs::remove_file(&path).unwrap();
    sandbox.rd(["fsck"]).assert().code(1);
}

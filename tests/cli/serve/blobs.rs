//! Blobs and uploads, case by case as the distribution specification has them (spec.md, "Pull" and "Push").

use plumbing::digest::Digest;

use super::http::{Answer, Server};
use super::served;

/// Begin an upload in the repository `web`; where it is.
#[track_caller]
fn begin(server: &Server) -> String {
    let answer = server.ask("POST", "/v2/web/blobs/uploads/", &[("Content-Length", "0")], b"");
    assert_eq!((answer.status, answer.must("range")), (202, "0-0"));
    answer.must("location").to_owned()
}

#[track_caller]
fn patch(server: &Server, place: &str, range: Option<&str>, bytes: &[u8]) -> Answer {
    let headers: Vec<_> = range.map(|range| ("Content-Range", range)).into_iter().collect();
    server.ask("PATCH", place, &headers, bytes)
}

fn finish(server: &Server, place: &str, digest: impl std::fmt::Display, rest: &[u8]) -> Answer {
    server.ask("PUT", &format!("{place}?digest={digest}"), &[], rest)
}

/// The blob is there, and goes when it is deleted.
#[track_caller]
fn comes_back(server: &Server, name: &str, bytes: &[u8]) {
    let digest = Digest::of(bytes);
    let path = format!("/v2/{name}/blobs/{digest}");
    for answer in [server.head(&path), server.get(&path)] {
        assert_eq!((answer.status, answer.must("content-length")), (200, bytes.len().to_string().as_str()));
        assert_eq!(answer.must("docker-content-digest"), digest.to_string());
    }
    assert_eq!(server.get(&path).body, bytes);
    assert_eq!(server.delete(&path).status, 202);
    assert_eq!((server.head(&path).status, server.get(&path).code().as_str()), (404, "BLOB_UNKNOWN"));
    assert_eq!(server.delete(&path).status, 404);
}

#[test]
fn a_blob_is_pushed_at_once() {
    let (_sandbox, server) = served();
    let missing = format!("/v2/web/blobs/{}", Digest::of(b"nothing"));
    assert_eq!((server.get(&missing).code().as_str(), server.head(&missing).status), ("BLOB_UNKNOWN", 404));
    for bytes in [&b"a blob"[..], b"", b"{}"] {
        let digest = Digest::of(bytes);
        let answer = server.ask("POST", &format!("/v2/web/blobs/uploads/?digest={digest}"), &[], bytes);
        let location = (answer.status, answer.must("location").to_owned());
        assert_eq!(location, (201, format!("/v2/web/blobs/{digest}")));
        comes_back(&server, "web", bytes);
        let answer = finish(&server, &begin(&server), digest, bytes);
        assert_eq!((answer.status, answer.must("docker-content-digest")), (201, digest.to_string().as_str()));
        comes_back(&server, "web", bytes);
    }
}

#[test]
fn a_blob_is_pushed_in_chunks() {
    let (_sandbox, server) = served();
    let (bytes, digest) = (b"0123456789abcde", Digest::of(b"0123456789abcde"));
    for last_with_put in [false, true] {
        let place = begin(&server);
        for (range, chunk) in [("0-4", &bytes[..5]), ("5-9", &bytes[5..10])] {
            let answer = patch(&server, &place, Some(range), chunk);
            assert_eq!((answer.status, answer.must("location")), (202, place.as_str()));
            assert_eq!(answer.must("range"), format!("0-{}", range.split('-').next_back().unwrap()));
        }
        let answer = if last_with_put {
            let headers = [("Content-Range", "10-14")];
            server.ask("PUT", &format!("{place}?digest={digest}"), &headers, &bytes[10..])
        } else {
            patch(&server, &place, Some("10-14"), &bytes[10..]);
            finish(&server, &place, digest, b"")
        };
        assert_eq!(answer.status, 201, "{answer:?}");
        comes_back(&server, "web", bytes);
        assert_eq!(server.get(&place).code(), "BLOB_UPLOAD_UNKNOWN", "it has ended");
    }
    // Without a range: whatever comes follows what was there.
    let place = begin(&server);
    assert_eq!(patch(&server, &place, None, &bytes[..7]).must("range"), "0-6");
    assert_eq!(patch(&server, &place, None, &bytes[7..]).must("range"), "0-14");
    assert_eq!(finish(&server, &place, digest, b"").status, 201);
    comes_back(&server, "web", bytes);
}

#[test]
fn chunks_out_of_order_are_refused_and_the_upload_goes_on() {
    let (_sandbox, server) = served();
    let (bytes, digest) = (b"0123456789", Digest::of(b"0123456789"));
    let place = begin(&server);
    assert_eq!(patch(&server, &place, Some("5-9"), &bytes[5..]).status, 416, "the first is missing");
    assert_eq!(patch(&server, &place, Some("0-4"), &bytes[..5]).status, 202);
    for range in ["0-4", "6-9", "4-8"] {
        let answer = patch(&server, &place, Some(range), &vec![b'x'; 5][..range.len().min(4)]);
        assert_eq!((answer.status, answer.must("range"), answer.must("location")), (416, "0-4", place.as_str()));
    }
    let answer = server.ask("PUT", &format!("{place}?digest={digest}"), &[("Content-Range", "7-9")], &bytes[7..]);
    assert_eq!(answer.status, 416);
    let answer = server.get(&place);
    assert_eq!((answer.status, answer.must("range"), answer.must("location")), (204, "0-4", place.as_str()));
    for (range, chunk) in [("5-8", &bytes[5..]), ("5-99", &bytes[5..]), ("x", &bytes[5..]), ("9-5", &bytes[5..])] {
        assert_eq!(patch(&server, &place, Some(range), chunk).code(), "SIZE_INVALID", "{range}");
    }
    assert_eq!(server.get(&place).must("range"), "0-4", "nothing of it was taken");
    assert_eq!(patch(&server, &place, Some("bytes 5-9/10"), &bytes[5..]).status, 202, "docker's spelling");
    assert_eq!(finish(&server, &place, digest, b"").status, 201);
    comes_back(&server, "web", bytes);
}

#[test]
fn what_its_digest_denies_is_not_kept() {
    let (sandbox, server) = served();
    let wrong = Digest::of(b"something else");
    let answer = server.ask("POST", &format!("/v2/web/blobs/uploads/?digest={wrong}"), &[], b"a blob");
    assert_eq!((answer.status, answer.code().as_str()), (400, "DIGEST_INVALID"));
    for first in [&b""[..], b"a "] {
        let place = begin(&server);
        patch(&server, &place, None, first);
        let answer = finish(&server, &place, wrong, b"blob");
        assert_eq!((answer.status, answer.code().as_str()), (400, "DIGEST_INVALID"));
        assert_eq!(server.get(&place).status, 404);
    }
    let place = begin(&server);
    for digest in ["sha256:bad", "sha512:00", "x", ""] {
        assert_eq!(finish(&server, &place, digest, b"").code(), "DIGEST_INVALID", "{digest}");
    }
    assert_eq!(server.ask("PUT", &place, &[], b"").code(), "DIGEST_INVALID", "it says none");
    assert_eq!(server.get(&place).status, 204, "that was a mistake in the request, not in the bytes");
    assert_eq!(server.head(&format!("/v2/web/blobs/{wrong}")).status, 404);
    assert_eq!(server.delete(&place).status, 204);
    let left = crate::import::sh(&sandbox.store_dir(), "find uploads -type f");
    assert_eq!(String::from_utf8(left).unwrap(), "");
}

#[test]
fn an_upload_is_cancelled() {
    let (_sandbox, server) = served();
    let place = begin(&server);
    patch(&server, &place, None, b"some");
    assert_eq!(server.delete(&place).status, 204);
    for answer in [server.get(&place), patch(&server, &place, None, b"more"), server.delete(&place)] {
        assert_eq!((answer.status, answer.code().as_str()), (404, "BLOB_UPLOAD_UNKNOWN"));
    }
    let elsewhere = begin(&server).replace("/web/", "/other/");
    assert_eq!(server.get(&elsewhere).status, 404, "an upload belongs to its repository");
}

#[test]
fn an_upload_outlives_the_server() {
    let (sandbox, server) = served();
    let place = begin(&server);
    patch(&server, &place, None, b"one ");
    drop(server);
    let server = Server::start(&sandbox, &[]);
    assert_eq!(server.get(&place).must("range"), "0-3");
    assert_eq!(finish(&server, &place, Digest::of(b"one two"), b"two").status, 201);
    comes_back(&server, "web", b"one two");
}

#[test]
fn a_blob_is_mounted_from_another_repository() {
    let (_sandbox, server) = served();
    for from in ["&from=other", "", "&from=none"] {
        let bytes = format!("mounted {from}");
        let digest = Digest::of(bytes.as_bytes());
        let path = format!("/v2/web/blobs/uploads/?mount={digest}{from}");
        assert_eq!(server.ask("POST", &path, &[], b"").status, 202, "it is nowhere: an upload begins");
        server.push_blob("other", bytes.as_bytes());
        let answer = server.ask("POST", &path, &[], b"");
        if from == "&from=none" {
            assert_eq!((answer.status, answer.header("range")), (202, Some("0-0")));
            continue;
        }
        let location = (answer.status, answer.must("location").to_owned());
        assert_eq!(location, (201, format!("/v2/web/blobs/{digest}")));
        assert_eq!(server.ask("POST", &path, &[], b"").status, 201, "it is there already");
        comes_back(&server, "web", bytes.as_bytes());
        comes_back(&server, "other", bytes.as_bytes());
    }
}

#[test]
fn parts_of_a_blob_can_be_had() {
    let (_sandbox, server) = served();
    let bytes: Vec<u8> = (0..2048u32).map(|number| (number * 7 % 251) as u8).collect();
    let digest = server.push_blob("web", &bytes);
    let path = format!("/v2/web/blobs/{digest}");
    for (range, part, shown) in [
        ("bytes=500-1499", &bytes[500..1500], "bytes 500-1499/2048"),
        ("bytes=500-", &bytes[500..], "bytes 500-2047/2048"),
        ("bytes=-500", &bytes[1548..], "bytes 1548-2047/2048"),
        ("bytes=2000-5000", &bytes[2000..], "bytes 2000-2047/2048"),
    ] {
        let answer = server.ask("GET", &path, &[("Range", range)], b"");
        assert_eq!((answer.status, answer.must("content-range")), (206, shown));
        assert_eq!(answer.body, part);
    }
    for range in ["bytes=500-0", "bytes=5000-10000"] {
        let answer = server.ask("GET", &path, &[("Range", range)], b"");
        assert_eq!((answer.status, answer.must("content-range")), (416, "bytes */2048"));
    }
    for headers in
        [[("Range", "bytes=0-1,5-6"), ("Accept", "*/*")], [("Range", "bytes=0-1"), ("If-Range", "\"other\"")]]
    {
        assert_eq!(server.ask("GET", &path, &headers, b"").body, bytes);
    }
    let same = format!("\"{digest}\"");
    assert_eq!(server.ask("GET", &path, &[("Range", "bytes=0-1"), ("If-Range", &same)], b"").status, 206);
}

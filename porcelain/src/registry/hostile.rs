//! What registries must not get away with, tried with a server of the tests' own.

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::fs::FileExt;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, Mutex};
    use std::thread::JoinHandle;
    use std::time::Duration;

    use plumbing::Store;
    use plumbing::digest::Digest;
    use serde_json::json;

    use super::super::*;
    use crate::{Error, Result};

    const OCI: &str = "application/vnd.oci.image.manifest.v1+json";

    /// A request as the server sees it.
    #[derive(Debug, Clone)]
    struct Asked {
        line: String,
        headers: HashMap<String, String>,
    }

    impl Asked {
        fn header(&self, name: &str) -> &str {
            self.headers.get(name).map_or("", String::as_str)
        }

        /// The first byte that is asked for.
        fn start(&self) -> usize {
            self.header("range").strip_prefix("bytes=").map_or(0, |range| range.trim_end_matches('-').parse().unwrap())
        }
    }

    type Handler = dyn Fn(&Asked, &mut TcpStream) + Send + Sync;

    /// A server that does what a test wants it to; it ends with the value.
    struct Server {
        host: String,
        asked: Arc<Mutex<Vec<Asked>>>,
        ended: Arc<AtomicBool>,
        thread: Option<JoinHandle<()>>,
    }

    impl Server {
        fn start(handler: impl Fn(&Asked, &mut TcpStream) + Send + Sync + 'static) -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let host = listener.local_addr().unwrap().to_string();
            let (asked, ended) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
            let (handler, seen, over): (Arc<Handler>, _, _) = (Arc::new(handler), asked.clone(), ended.clone());
            let thread = std::thread::spawn(move || {
                let mut threads = Vec::new();
                for stream in listener.incoming() {
                    if over.load(Ordering::Relaxed) {
                        break;
                    }
                    let (mut stream, handler, seen) = (stream.unwrap(), handler.clone(), seen.clone());
                    threads.push(std::thread::spawn(move || {
                        if let Some(request) = read_request(&mut stream) {
                            seen.lock().unwrap().push(request.clone());
                            handler(&request, &mut stream);
                        }
                    }));
                }
                threads.into_iter().for_each(|thread| thread.join().unwrap());
            });
            Self { host, asked, ended, thread: Some(thread) }
        }

        fn asked(&self) -> Vec<Asked> {
            self.asked.lock().unwrap().clone()
        }

        /// How often a path was asked for.
        fn count(&self, part: &str) -> usize {
            self.asked().iter().filter(|asked| asked.line.contains(part)).count()
        }
    }

    impl Drop for Server {
        fn drop(&mut self) {
            self.ended.store(true, Ordering::Relaxed);
            let _ = TcpStream::connect(&self.host);
            self.thread.take().unwrap().join().unwrap();
        }
    }

    fn read_request(stream: &mut TcpStream) -> Option<Asked> {
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
        let mut headers = HashMap::new();
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).ok()?;
            let Some((name, value)) = header.trim_end().split_once(": ") else { break };
            headers.insert(name.to_ascii_lowercase(), value.to_owned());
        }
        let length: usize = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
        reader.read_exact(&mut vec![0; length]).ok()?;
        Some(Asked { line: line.trim_end().to_owned(), headers })
    }

    /// Answer, and close the connection. Who reads no more is no concern of the server's.
    fn answer(stream: &mut TcpStream, status: &str, headers: &[(&str, &str)], body: &[u8]) {
        let mut head = format!("HTTP/1.1 {status}\r\nConnection: close\r\n");
        headers.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
        if !headers.iter().any(|(name, _)| *name == "Content-Length" || *name == "Transfer-Encoding") {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        let _ = stream.write_all(format!("{head}\r\n").as_bytes());
        let _ = stream.write_all(body);
    }

    /// An image of one layer, and an honest answer to every request.
    #[derive(Clone)]
    struct Honest {
        layer: Vec<u8>,
        config: Vec<u8>,
        manifest: Vec<u8>,
    }

    impl Honest {
        fn new() -> Self {
            let mut tar = tar::Builder::new(Vec::new());
            // No two pieces of it are alike, so that a wrong one shows.
            let bytes: Vec<u8> =
                (0..100_000u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, "file", &bytes[..]).unwrap();
            let layer = tar.into_inner().unwrap();
            let config = json!({"architecture": "amd64", "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [Digest::of(&layer).to_string()]}})
            .to_string()
            .into_bytes();
            let manifest = manifest(&config, &layer, layer.len());
            Self { layer, config, manifest }
        }

        fn layer_path(&self) -> String {
            format!("/blobs/{}", Digest::of(&self.layer))
        }

        fn answer(&self, asked: &Asked, stream: &mut TcpStream) {
            let is = |part: &str| asked.line.contains(part);
            if is(" /v2/ ") {
                answer(stream, "200 OK", &[], b"{}");
            } else if is("/manifests/") {
                answer(stream, "200 OK", &[("Content-Type", OCI)], &self.manifest);
            } else if is(&self.layer_path()) {
                let start = asked.start();
                let range = format!("bytes {start}-{}/{}", self.layer.len() - 1, self.layer.len());
                match start {
                    0 => answer(stream, "200 OK", &[], &self.layer),
                    _ => answer(stream, "206 Partial Content", &[("Content-Range", &range)], &self.layer[start..]),
                }
            } else if is(&Digest::of(&self.config).to_string()) {
                answer(stream, "200 OK", &[], &self.config);
            } else {
                answer(stream, "404 Not Found", &[], b"");
            }
        }

        /// A server that is honest but where `lies` says it answered.
        fn but(&self, lies: impl Fn(&Asked, &mut TcpStream) -> bool + Send + Sync + 'static) -> Server {
            let honest = self.clone();
            Server::start(move |asked, stream| {
                if !lies(asked, stream) {
                    honest.answer(asked, stream);
                }
            })
        }
    }

    fn manifest(config: &[u8], layer: &[u8], size: usize) -> Vec<u8> {
        let blob = |bytes: &[u8], media_type: &str, size: usize| json!({"mediaType": media_type, "digest": Digest::of(bytes).to_string(), "size": size});
        json!({"schemaVersion": 2, "mediaType": OCI,
        "config": blob(config, "application/vnd.oci.image.config.v1+json", config.len()),
        "layers": [blob(layer, "application/vnd.oci.image.layer.v1.tar", size)]})
        .to_string()
        .into_bytes()
    }

    /// A store, and what a pull from `server` does to it.
    struct Puller {
        dir: tempfile::TempDir,
    }

    impl Puller {
        fn new() -> Self {
            Self { dir: tempfile::tempdir().unwrap() }
        }

        fn store(&self) -> Store {
            Store::open_or_create(self.dir.path().join("store")).unwrap()
        }

        fn pull(&self, server: &Server) -> Result<Pulled> {
            let patience = Patience {
                answer: Duration::from_millis(400),
                window: Duration::from_millis(200),
                least: 1000,
                tries: 3,
                pause: Duration::from_millis(1),
            };
            let reference = Reference::parse(&format!("{}/a:1", server.host))?;
            let remote = Arc::new(Remote::open(&reference, &Settings::default(), patience)?);
            let store = self.store();
            let manifest = remote.manifest(&reference.target())?;
            let listener: Listener = Arc::new(|_| {});
            pull(&store, &remote, manifest, None, &listener)
        }

        /// Nothing is left of a pull that failed, and nothing refers to what it wrote.
        fn is_untouched(&self) {
            let store = self.store();
            assert!(store.list_refs("refs/").unwrap().is_empty());
            let downloads: Vec<_> = std::fs::read_dir(downloads_dir(&store)).into_iter().flatten().collect();
            assert!(downloads.is_empty(), "{downloads:?}");
            let left = std::fs::read_dir(store.content_dir()).unwrap().count();
            assert_eq!(left, 0, "contents are left");
        }

        #[track_caller]
        fn refuses(&self, server: &Server, why: &str) {
            let error = self.pull(server).unwrap_err().chain().join(": ");
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn an_honest_server_is_believed() {
        let honest = Honest::new();
        let server = honest.but(|_, _| false);
        let puller = Puller::new();
        let pulled = puller.pull(&server).unwrap();
        assert_eq!(pulled.digest, Digest::of(&honest.manifest));
        assert_eq!(server.count(&honest.layer_path()), 1);
        // Asked once more, it needn't send the layer.
        puller.store().update_ref("refs/images/x/a@1", pulled.commit, plumbing::store::refs::Expect::Any, "x").unwrap();
        assert_eq!(puller.pull(&server).unwrap().commit, pulled.commit);
        assert_eq!(server.count(&honest.layer_path()), 1);
    }

    #[test]
    fn wrong_bytes_are_refused() {
        let honest = Honest::new();
        let path = honest.layer_path();
        let mut wrong = honest.layer.clone();
        wrong[300_000] ^= 1;
        let server = honest.but(move |asked, stream| {
            let is_layer = asked.line.contains(&path);
            if is_layer {
                answer(stream, "200 OK", &[], &wrong);
            }
            is_layer
        });
        let puller = Puller::new();
        puller.refuses(&server, "should be sha256:");
        puller.is_untouched();
    }

    #[test]
    fn a_wrong_configuration_and_a_wrong_manifest_are_refused() {
        let honest = Honest::new();
        let config = Digest::of(&honest.config).to_string();
        let size = honest.config.len();
        let server = honest.but(move |asked, stream| {
            let is_config = asked.line.contains(&config);
            if is_config {
                answer(stream, "200 OK", &[], &vec![b' '; size]);
            }
            is_config
        });
        let puller = Puller::new();
        puller.refuses(&server, "a blob should be sha256:");
        let server = honest.but(|asked, stream| {
            let is_manifest = asked.line.contains("/manifests/");
            if is_manifest {
                let digest = Digest::of(b"else").to_string();
                answer(stream, "200 OK", &[("Content-Type", OCI), ("Docker-Content-Digest", &digest)], b"{}");
            }
            is_manifest
        });
        puller.refuses(&server, "the manifest should be sha256:");
        puller.is_untouched();
    }

    #[test]
    fn a_body_is_not_read_past_its_size() {
        let honest = Honest::new();
        // Without end, and without a length.
        for endless in ["/manifests/", "/blobs/"] {
            let server = honest.but(move |asked, stream| {
                let is_it = asked.line.contains(endless);
                if is_it {
                    answer(stream, "200 OK", &[("Transfer-Encoding", "chunked"), ("Content-Type", OCI)], b"");
                    let chunk = [b"10000\r\n".as_slice(), &[b' '; 0x10000], b"\r\n"].concat();
                    while stream.write_all(&chunk).is_ok() {}
                }
                is_it
            });
            let puller = Puller::new();
            puller.refuses(&server, "refused what 127.0.0.1:");
            puller.is_untouched();
        }
        // A layer with more than the manifest says, in either way.
        let mut long = honest.clone();
        long.manifest = manifest(&honest.config, &honest.layer, honest.layer.len() - 512);
        let puller = Puller::new();
        puller.refuses(&long.but(|_, _| false), "hasn't the");
        puller.is_untouched();
        // Gigabytes are refused before they come.
        let server = honest.but(|asked, stream| {
            let is_manifest = asked.line.contains("/manifests/");
            if is_manifest {
                answer(stream, "200 OK", &[("Content-Length", "5000000000"), ("Content-Type", OCI)], b"{");
            }
            is_manifest
        });
        puller.refuses(&server, "more than 4194304 bytes");
        puller.is_untouched();
    }

    #[test]
    fn a_transfer_that_is_cut_goes_on_at_the_byte() {
        let honest = Honest::new();
        let (path, layer) = (honest.layer_path(), honest.layer.clone());
        let server = honest.but(move |asked, stream| {
            if !asked.line.contains(&path) {
                return false;
            }
            // Fifty thousand bytes at a time, though all are promised.
            let start = asked.start();
            let end = layer.len().min(start + 50_000);
            let (length, range) =
                ((layer.len() - start).to_string(), format!("bytes {start}-{}/{}", layer.len() - 1, layer.len()));
            let status = if start == 0 { "200 OK" } else { "206 Partial Content" };
            answer(stream, status, &[("Content-Length", &length), ("Content-Range", &range)], &layer[start..end]);
            true
        });
        let puller = Puller::new();
        puller.pull(&server).unwrap();
        let starts: Vec<_> =
            server.asked().iter().filter(|asked| asked.line.contains(&honest.layer_path())).map(Asked::start).collect();
        let expected: Vec<_> = (0..honest.layer.len()).step_by(50_000).collect();
        assert_eq!(starts, expected);
    }

    #[test]
    fn a_server_without_ranges_sends_it_all_again() {
        let honest = Honest::new();
        let (path, layer, first) = (honest.layer_path(), honest.layer.clone(), AtomicBool::new(true));
        let server = honest.but(move |asked, stream| {
            let is_layer = asked.line.contains(&path);
            if is_layer {
                let end = if first.swap(false, Ordering::Relaxed) { 100_000 } else { layer.len() };
                answer(stream, "200 OK", &[("Content-Length", &layer.len().to_string())], &layer[..end]);
            }
            is_layer
        });
        Puller::new().pull(&server).unwrap();
        assert_eq!(server.count(&honest.layer_path()), 2);
    }

    #[test]
    fn another_part_than_was_asked_for_is_refused() {
        let honest = Honest::new();
        let (path, layer) = (honest.layer_path(), honest.layer.clone());
        let server = honest.but(move |asked, stream| {
            let is_layer = asked.line.contains(&path);
            if is_layer && asked.start() == 0 {
                answer(stream, "200 OK", &[("Content-Length", &layer.len().to_string())], &layer[..100_000]);
            } else if is_layer {
                let range = format!("bytes 7-{}/{}", layer.len() - 1, layer.len());
                answer(stream, "206 Partial Content", &[("Content-Range", &range)], &layer[7..]);
            }
            is_layer
        });
        Puller::new().refuses(&server, "it was asked for the bytes from 100000 on");
    }

    #[test]
    fn what_an_earlier_command_left_is_used_and_not_believed() {
        let honest = Honest::new();
        let server = honest.but(|_, _| false);
        for (left, requests) in
            [(honest.layer[..200_000].to_vec(), 1), (vec![b'x'; 200_000], 2), (honest.layer.clone(), 0)]
        {
            let puller = Puller::new();
            let dir = downloads_dir(&puller.store());
            std::fs::create_dir_all(&dir).unwrap();
            let name = if left.len() > 200_000 { ".whole" } else { "" };
            let name = format!("sha256-{}{name}", Digest::of(&honest.layer).hex());
            let file = std::fs::File::create(dir.join(name)).unwrap();
            file.write_all_at(&left, 0).unwrap();
            let before = server.count(&honest.layer_path());
            puller.pull(&server).unwrap();
            assert_eq!(server.count(&honest.layer_path()) - before, requests);
            assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0);
        }
    }

    #[test]
    fn servers_that_are_busy_are_asked_again() {
        for status in ["429 Too Many Requests", "503 Service Unavailable", "500 Internal Server Error"] {
            let honest = Honest::new();
            let seen = Mutex::new(HashMap::<String, u32>::new());
            let server = honest.but(move |asked, stream| {
                let times =
                    { *seen.lock().unwrap().entry(asked.line.clone()).and_modify(|times| *times += 1).or_insert(1) };
                let is_busy = times <= 2 && !asked.line.contains(" /v2/ ");
                if is_busy {
                    answer(stream, status, &[("Retry-After", "0")], b"");
                }
                is_busy
            });
            Puller::new().pull(&server).unwrap();
            assert_eq!(server.count(&honest.layer_path()), 3, "{status}");
        }
    }

    #[test]
    fn servers_that_are_always_busy_are_given_up() {
        let honest = Honest::new();
        let server = honest.but(|asked, stream| {
            let is_manifest = asked.line.contains("/manifests/");
            if is_manifest {
                answer(stream, "503 Service Unavailable", &[], br#"{"errors":[{"code":"BUSY","message":"later"}]}"#);
            }
            is_manifest
        });
        let puller = Puller::new();
        puller.refuses(&server, "answers 503 to GET /v2/a/manifests/1: BUSY: later");
        assert_eq!(server.count("/manifests/"), 3);
        puller.is_untouched();
    }

    #[test]
    fn servers_that_say_nothing_or_next_to_nothing_are_given_up() {
        let honest = Honest::new();
        // Nothing at all, until the other side goes.
        let server = honest.but(|asked, stream| {
            let is_manifest = asked.line.contains("/manifests/");
            if is_manifest {
                let _ = stream.read(&mut [0]);
            }
            is_manifest
        });
        Puller::new().refuses(&server, "it takes too long to answer");
        // A byte at a time: each comes in time, all of them never would.
        let (path, length) = (honest.layer_path(), honest.layer.len().to_string());
        let server = honest.but(move |asked, stream| {
            let is_layer = asked.line.contains(&path);
            if is_layer {
                answer(stream, "200 OK", &[("Content-Length", &length)], b"");
                stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
                // The other side's end is the only thing that can be read.
                while stream.write_all(b"x").is_ok() && stream.read(&mut [0]).is_err() {}
            }
            is_layer
        });
        Puller::new().refuses(&server, "it sends next to nothing");
    }

    #[test]
    fn credentials_go_to_the_registry_alone() {
        let honest = Honest::new();
        let blobs = honest.clone();
        let elsewhere = Server::start(move |asked, stream| blobs.answer(asked, stream));
        let target = elsewhere.host.clone();
        let server = honest.but(move |asked, stream| {
            if asked.header("authorization").is_empty() {
                answer(stream, "401 Unauthorized", &[("WWW-Authenticate", "Basic realm=\"x\"")], b"");
            } else if asked.line.contains("/blobs/") {
                let path = asked.line.split(' ').nth(1).unwrap();
                answer(stream, "307 Temporary Redirect", &[("Location", &format!("http://{target}{path}"))], b"");
            } else {
                return false;
            }
            true
        });
        let place = settings::Place {
            host: server.host.clone(),
            repository: "a".into(),
            trust: settings::Trust::Loopback,
            is_mirror: false,
        };
        let credential = Credential::Password { user: "me".into(), password: "secret".into() };
        let patience = Patience { pause: Duration::from_millis(1), ..Patience::default() };
        let host = host::Host::new("x", &place, &Settings::default(), Some(credential), patience).unwrap();
        let url = format!("/v2/a{}", honest.layer_path());
        let answer = host.ask(&host::Ask::new(ureq::http::Method::GET, &url, "")).unwrap();
        assert_eq!(host.body(answer, 1 << 20).unwrap(), honest.layer);
        assert_eq!(server.asked().last().unwrap().header("authorization"), "Basic bWU6c2VjcmV0");
        assert_eq!(elsewhere.asked().len(), 1);
        assert!(elsewhere.asked().iter().all(|asked| !asked.headers.contains_key("authorization")));
    }

    #[test]
    fn redirects_end() {
        let honest = Honest::new();
        let server = honest.but(|asked, stream| {
            let is_manifest = asked.line.contains("/manifests/");
            if is_manifest {
                let path = asked.line.split(' ').nth(1).unwrap();
                answer(stream, "302 Found", &[("Location", path)], b"");
            }
            is_manifest
        });
        Puller::new().refuses(&server, "it sends us on more than 5 times");
        for location in ["file:///etc/passwd", "http://", "http://user:password@127.0.0.1/"] {
            let server = honest.but(move |asked, stream| {
                let is_manifest = asked.line.contains("/manifests/");
                if is_manifest {
                    answer(stream, "302 Found", &[("Location", location)], b"");
                }
                is_manifest
            });
            Puller::new().refuses(&server, "is no address to be sent to");
        }
    }

    #[test]
    fn tokens_are_fetched_kept_and_renewed() {
        let honest = Honest::new();
        let (issued, used) = (Arc::new(Mutex::new(0)), Arc::new(Mutex::new(HashMap::<String, u32>::new())));
        let issuing = issued.clone();
        let realm = Server::start(move |asked, stream| {
            assert!(asked.line.contains("service=s&scope=repository%3Aa%3Apull"), "{}", asked.line);
            let mut number = issuing.lock().unwrap();
            *number += 1;
            answer(stream, "200 OK", &[], format!(r#"{{"token": "t{number}", "expires_in": 300}}"#).as_bytes());
        });
        let challenge = format!(r#"Bearer realm="http://{}/token",service="s",scope="repository:a:pull""#, realm.host);
        let server = honest.but(move |asked, stream| {
            let token = asked.header("authorization").to_owned();
            let mut used = used.lock().unwrap();
            let times = used.entry(token.clone()).and_modify(|times| *times += 1).or_insert(1);
            // A token ends after two requests, whatever was said of its life.
            let is_denied = !token.starts_with("Bearer t") || *times > 2;
            if is_denied {
                answer(stream, "401 Unauthorized", &[("WWW-Authenticate", &challenge)], b"");
            }
            is_denied
        });
        Puller::new().pull(&server).unwrap();
        assert_eq!(*issued.lock().unwrap(), 2);
    }

    #[test]
    fn who_is_denied_is_told_so() {
        let honest = Honest::new();
        let server = honest.but(|asked, stream| {
            let is_manifest = asked.line.contains("/manifests/");
            if is_manifest {
                let body = br#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#;
                answer(stream, "401 Unauthorized", &[("WWW-Authenticate", "Basic realm=\"x\"")], body);
            }
            is_manifest
        });
        let error = Puller::new().pull(&server).unwrap_err();
        assert!(
            matches!(&error, Error::Denied { what, why, .. } if what == "a" && why.contains("authentication required")),
            "{error}"
        );
    }

    #[test]
    fn schema_1_artifacts_and_nonsense_are_refused_with_a_reason() {
        for (manifest, why) in [
            (json!({"schemaVersion": 1, "name": "a", "tag": "1", "fsLayers": []}), "schema 1"),
            (
                json!({"schemaVersion": 2, "mediaType": OCI, "config": {"mediaType": "application/vnd.example+json", "size": 2,
                "digest": Digest::of(b"{}").to_string()}, "layers": []}),
                "no image's",
            ),
            (json!({"schemaVersion": 2, "mediaType": OCI, "manifests": [], "layers": []}), "at the same time"),
            (json!({"schemaVersion": 2}), "invalid image"),
            (json!([[[]]]), "invalid image"),
        ] {
            let honest = Honest { manifest: manifest.to_string().into_bytes(), ..Honest::new() };
            let puller = Puller::new();
            puller.refuses(&honest.but(|_, _| false), why);
            puller.is_untouched();
        }
        let deep = Honest { manifest: "[".repeat(1_000_000).into_bytes(), ..Honest::new() };
        Puller::new().refuses(&deep.but(|_, _| false), "invalid image");
    }

    #[test]
    fn an_address_in_a_manifest_is_not_contacted() {
        let honest = Honest::new();
        let elsewhere = Server::start(|_, stream| answer(stream, "200 OK", &[], b""));
        let mut manifest: serde_json::Value = serde_json::from_slice(&honest.manifest).unwrap();
        manifest["layers"][0]["mediaType"] = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip".into();
        manifest["layers"][0]["urls"] = json!([format!("http://{}/layer", elsewhere.host)]);
        let path = honest.layer_path();
        let foreign = Honest { manifest: manifest.to_string().into_bytes(), ..honest };
        let server = foreign.but(move |asked, stream| {
            let is_layer = asked.line.contains(&path);
            if is_layer {
                answer(stream, "404 Not Found", &[], b"");
            }
            is_layer
        });
        let puller = Puller::new();
        puller.refuses(&server, "no such blob");
        assert!(elsewhere.asked().is_empty());
        puller.is_untouched();
    }

    #[test]
    fn a_list_that_never_ends_ends() {
        let server = Server::start(|asked, stream| match asked.line.contains("/tags/list") {
            true => answer(
                stream,
                "200 OK",
                &[("Link", "</v2/a/tags/list>; rel=\"next\"")],
                br#"{"name":"a","tags":["x"]}"#,
            ),
            false => answer(stream, "200 OK", &[], b""),
        });
        let reference = Reference::parse(&format!("{}/a:1", server.host)).unwrap();
        let remote = Remote::open(&reference, &Settings::default(), Patience::default()).unwrap();
        let error = remote.tags().unwrap_err().to_string();
        assert!(error.contains("goes on where it was"), "{error}");
    }

    #[test]
    fn an_upload_that_is_cut_goes_on_where_it_was() {
        let blob: Vec<u8> = (0..200_000u32).flat_map(u32::to_le_bytes).collect();
        let there = Arc::new(Mutex::new(0usize));
        let size = blob.len();
        let state = there.clone();
        let server = Server::start(move |asked, stream| {
            let mut there = state.lock().unwrap();
            let location = ("Location", "/v2/a/blobs/uploads/u?_state=1");
            if asked.line.starts_with("HEAD") {
                answer(stream, "404 Not Found", &[], b"");
            } else if asked.line.starts_with("POST") {
                answer(stream, "202 Accepted", &[location], b"");
            } else if asked.line.starts_with("PATCH") && *there == 0 {
                *there = 300_000;
                // The connection is cut without an answer.
            } else if asked.line.starts_with("PATCH") {
                assert_eq!(asked.header("content-range"), format!("{there}-{}", size - 1));
                assert_eq!(asked.header("content-length"), (size - *there).to_string());
                *there = size;
                answer(stream, "202 Accepted", &[location], b"");
            } else if asked.line.starts_with("GET /v2/a/blobs/uploads/u") {
                answer(stream, "204 No Content", &[location, ("Range", &format!("0-{}", *there - 1))], b"");
            } else {
                answer(stream, if asked.line.starts_with("PUT") { "201 Created" } else { "200 OK" }, &[], b"");
            }
        });
        let patience = Patience { pause: Duration::from_millis(1), ..Patience::default() };
        let reference = Reference::parse(&format!("{}/a:1", server.host)).unwrap();
        let remote = Remote::open(&reference, &Settings::default(), patience).unwrap();
        let bytes = blob.clone();
        let open = move |at: u64| {
            let rest = bytes[usize::try_from(at).unwrap()..].to_vec();
            Ok(Box::new(std::io::Cursor::new(rest)) as Box<dyn Read + Send>)
        };
        let part =
            Part { digest: Digest::of(&blob), size: blob.len() as u64, elsewhere: Vec::new(), open: Box::new(open) };
        let listener: Listener = Arc::new(|_| {});
        remote.send(&[part], &listener).unwrap();
        assert_eq!(*there.lock().unwrap(), size);
    }
}

//! `rd search`

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

use crate::registry::{Registry, archive};
use crate::sandbox::Sandbox;

#[test]
fn a_registry_is_searched_by_its_list_and_what_is_here_comes_first() {
    let sandbox = Sandbox::new();
    let registry = Registry::start(&sandbox);
    archive(&sandbox, "web", "x");
    for image in ["team/web:1", "team/web:2", "other:1"] {
        registry.put(&sandbox, "docker-archive:web.tar", image);
    }
    sandbox.ok(["pull", "-q", &registry.name("other:1")]);
    let list = |args: &[&str]| sandbox.ok([&["search", "--format", "{{.Name}} {{.Place}}"], args].concat());
    let name = |image: &str| registry.name(image);
    assert_eq!(list(&[&name("team")]), format!("{} registry\n", name("team/web")));
    let all = format!("{0} local\n{0} registry\n{1} registry\n", name("other"), name("team/web"));
    assert_eq!(list(&[&name("")]), all);
    assert_eq!(list(&["--filter", "local=true", &name("")]), format!("{} local\n", name("other")));
    assert_eq!(list(&["--filter", "local=false", "--limit", "1", &name("")]), format!("{} registry\n", name("other")));
    assert_eq!(sandbox.ok(["search", "--list-tags", "--format", "{{.Tag}}", &name("team/web")]), "1\n2\n");
    let stderr = sandbox.fails(2, ["search", "--filter", "x=1", "a"]);
    assert!(stderr.contains("is-official, stars and local"), "{stderr}");
}

/// A server that answers docker.io's search; it ends when it was asked `count` times.
fn hub(count: usize) -> (u16, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let thread = std::thread::spawn(move || {
        let answer = |mut stream: std::net::TcpStream| {
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let first = lines.next().unwrap().unwrap();
            lines.by_ref().take_while(|line| !line.as_ref().unwrap().is_empty()).for_each(drop);
            let body = r#"{"results": [
                {"name": "debian", "description": "Debian is\ta system of many words, more than fit into a line", "star_count": 5000, "is_official": true},
                {"name": "x/debian", "star_count": 3, "is_official": false}, {"nonsense": 1}]}"#;
            write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len())
                .unwrap();
            first
        };
        listener.incoming().take(count).map(|stream| answer(stream.unwrap())).collect()
    });
    (port, thread)
}

#[test]
fn docker_io_is_asked_for_all_other_words() {
    let sandbox = Sandbox::new();
    let (port, thread) = hub(4);
    let folder = sandbox.path().join(".config/containers");
    std::fs::create_dir_all(&folder).unwrap();
    let conf = format!("[[registry]]\nprefix = \"docker.io\"\nlocation = \"127.0.0.1:{port}\"\n");
    std::fs::write(folder.join("registries.conf"), conf).unwrap();
    let expected = "NAME       DESCRIPTION                                     STARS     OFFICIAL   PLACE\n\
        debian     Debian is a system of many words, more than …   5000      [OK]       registry\n\
        x/debian                                                   3                    registry\n";
    assert_eq!(sandbox.ok(["search", "debian"]), expected);
    let names = sandbox.ok(["search", "-f", "stars=10", "-f", "is-official=true", "--format", "{{.Name}}", "a b"]);
    assert_eq!(names, "debian\n");
    let asked = thread.join().unwrap();
    assert!(asked[1].starts_with("GET /v1/search?q=debian&n=25 "), "{asked:?}");
    assert!(asked[3].starts_with("GET /v1/search?q=a%20b&n=25 "), "{asked:?}");
}

#[test]
fn what_is_here_is_shown_where_nobody_can_be_asked() {
    let sandbox = Sandbox::new();
    let host = format!("127.0.0.1:{}", crate::registry::free_port());
    sandbox.image(&format!("{host}/web:1"), &[("a", "x")]);
    let output = sandbox.rd(["search", "--format", "{{.Name}}", &format!("{host}/")]).assert().code(2);
    assert_eq!(output.get_output().stdout, format!("{host}/web\n").as_bytes());
    assert!(String::from_utf8_lossy(&output.get_output().stderr).contains("can't reach"));
}

//! `rd info`

use serde_json::{Value, json};

use crate::sandbox::{Change, Sandbox};

fn field<'t>(text: &'t str, name: &str) -> &'t str {
    let line = text.lines().find_map(|line| line.trim_start().strip_prefix(name)?.strip_prefix(": "));
    line.unwrap_or_else(|| panic!("no '{name}' in {text}"))
}

fn filled() -> Sandbox {
    let sandbox = Sandbox::new();
    let base = sandbox.image("base:1", &[("a", "12345"), ("b", "12345"), ("c", "1")]);
    sandbox.tag(base, "base:2");
    sandbox.tag(sandbox.commit(&Change { parents: &[base], files: &[("d", "123")], ..Change::default() }), "top");
    sandbox.busybox("busybox");
    sandbox.ok(["create", "--name", "web", "busybox"]);
    sandbox
}

#[test]
fn info_counts_what_is_in_the_store() {
    let sandbox = filled();
    let text = sandbox.ok(["info"]);
    for (name, value) in [
        ("Containers", "1"),
        ("Running", "0"),
        ("Stopped", "1"),
        ("Images", "3"),
        ("Commits", "4"),
        ("Format", "1"),
        ("Object Format", "sha256"),
        ("Version", env!("CARGO_PKG_VERSION")),
        ("OSType", "linux"),
    ] {
        assert_eq!(field(&text, name), value, "{name}");
    }
    let shown = sandbox.store_dir().canonicalize().unwrap();
    assert_eq!(field(&text, "Store"), shown.to_str().unwrap());
    assert!(["1", "2", "hybrid"].contains(&field(&text, "Cgroup Version")), "{text}");
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    assert_eq!(field(&text, "Kernel Version"), kernel.trim());
}

#[test]
fn info_for_scripts_has_dockers_fields() {
    let sandbox = filled();
    let json: Value = serde_json::from_str(&sandbox.ok(["info", "--json"])).unwrap();
    assert_eq!((&json["Images"], &json["ContainersStopped"]), (&json!(3), &json!(1)));
    let busybox = std::fs::metadata("/bin/busybox").unwrap().len();
    let bytes = json["Rd"]["Contents"]["Bytes"].as_u64().unwrap();
    assert_eq!(bytes, busybox + 5 + 1 + 3 + "root:x:0:0:root:/root:/bin/sh\n".len() as u64);
    let line = sandbox.ok(["info", "-f", "{{.Images}} {{.NCPU}} {{.Rd.ObjectFormat}}"]);
    assert_eq!(line, format!("3 {} sha256\n", json["NCPU"]));
    assert_eq!(sandbox.ok(["info", "--format", "json"]).lines().count(), 1);
    assert!(sandbox.fails(2, ["info", "-f", "{{.Nope}}"]).contains("no entry for key: Nope"));
}

#[test]
fn info_tells_how_roots_are_mounted_once_one_was() {
    let sandbox = Sandbox::new();
    sandbox.busybox("busybox");
    sandbox.ok(["run", "--rm", "busybox", "true"]);
    let roots = sandbox.ok(["info", "-f", "{{.Rd.Roots}}"]);
    assert!(["erofs\n", "erofs-loop\n", "folder\n"].contains(&roots.as_str()), "{roots}");
}

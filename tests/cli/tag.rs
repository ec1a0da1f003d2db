//! `rd tag`

use crate::sandbox::Sandbox;

fn names(sandbox: &Sandbox) -> String {
    sandbox.ok(["images", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}}={{.ID}}"])
}

#[test]
fn tag_gives_another_name() {
    let sandbox = Sandbox::new();
    let id = sandbox.image("web:1", &[("a", "1")]);
    assert_eq!(sandbox.ok(["tag", "web:1", "localhost:5000/team/web"]), "");
    assert_eq!(names(&sandbox), format!("localhost:5000/team/web:latest=sha256:{id}\nweb:1=sha256:{id}\n"));
    sandbox.ok(["tag", &id.to_string()[..12], "by-prefix"]);
    sandbox.ok(["tag", &format!("sha256:{id}"), "by-digest"]);
    assert!(names(&sandbox).starts_with(&format!("by-digest:latest=sha256:{id}\nby-prefix:latest=sha256:{id}\n")));
}

#[test]
fn a_name_can_be_moved_and_moved_back() {
    let sandbox = Sandbox::new();
    let (old, new) = (sandbox.image("web:1", &[("a", "1")]), sandbox.image("web:2", &[("a", "2")]));
    sandbox.ok(["tag", "web:2", "web:1"]);
    assert_eq!(names(&sandbox), format!("web:1=sha256:{new}\nweb:2=sha256:{new}\n"));
    sandbox.ok(["tag", "web:1@{1}", "web:1"]);
    assert!(names(&sandbox).contains(&format!("web:1=sha256:{old}\n")));
}

#[test]
fn tagging_twice_changes_nothing() {
    let sandbox = Sandbox::new();
    sandbox.image("web:1", &[("a", "1")]);
    sandbox.ok(["tag", "web:1", "web:2"]);
    let log = sandbox.store_dir().join("logs/refs/images/docker.io/library/web@2");
    let before = std::fs::read_to_string(&log).unwrap();
    assert!(before.ends_with("\ttag: web:1\n"), "{before}");
    sandbox.ok(["tag", "web:1", "web:2"]);
    assert_eq!(std::fs::read_to_string(&log).unwrap(), before);
}

#[test]
fn tag_says_what_is_wrong() {
    let sandbox = Sandbox::new();
    sandbox.image("web:1", &[("a", "1")]);
    for (args, why) in [
        (["tag", "nope", "x"], "error: no such image: 'nope'\nhint: "),
        (["tag", "web:1", "UPPER"], "error: invalid image name 'UPPER'"),
        (["tag", "web:1", "x@sha256:00"], "error: invalid image name 'x@sha256:00'"),
        (["tag", "web:1", ""], "error: invalid image name ''"),
    ] {
        let stderr = sandbox.fails(2, args);
        assert!(stderr.starts_with(why), "{stderr}");
    }
    sandbox.fails(2, ["tag", "web:1"]);
}

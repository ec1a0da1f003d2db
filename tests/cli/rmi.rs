//! `rd rmi`

use plumbing::Id;
use plumbing::store::refs::Expect;

use crate::sandbox::{Change, Sandbox, wait_for};

/// A commit that follows `parent`.
fn child(sandbox: &Sandbox, parent: Id, text: &str) -> Id {
    sandbox.commit(&Change { parents: &[parent], files: &[("child", text)], ..Change::default() })
}

#[test]
fn a_name_among_several_is_only_untagged() {
    let sandbox = Sandbox::new();
    let id = sandbox.image("web:1", &[("a", "1")]);
    sandbox.tag(id, "web:2");
    assert_eq!(sandbox.ok(["rmi", "web:1"]), "Untagged: web:1\n");
    assert_eq!(sandbox.ok(["rmi", "web:2"]), format!("Untagged: web:2\nDeleted: sha256:{id}\n"));
    assert_eq!(sandbox.ok(["images", "-q", "-a"]), "");
}

#[test]
fn commits_that_nothing_names_are_told_and_can_be_brought_back() {
    let sandbox = Sandbox::new();
    let base = sandbox.image("base", &[("a", "1")]);
    let middle = child(&sandbox, base, "1");
    let top = child(&sandbox, middle, "2");
    sandbox.tag(top, "top");
    assert_eq!(
        sandbox.ok(["rmi", "top"]),
        format!("Untagged: top:latest\nDeleted: sha256:{top}\nDeleted: sha256:{middle}\n")
    );
    sandbox.ok(["tag", &top.to_string(), "top"]);
    assert_eq!(sandbox.ok(["images", "-q", "top"]), format!("{}\n", &top.to_string()[..12]));
}

#[test]
fn an_image_that_another_was_made_from_is_kept() {
    let sandbox = Sandbox::new();
    let base = sandbox.image("base", &[("a", "1")]);
    sandbox.tag(child(&sandbox, base, "1"), "web:1");
    let stderr = sandbox.fails(2, ["rmi", "base"]);
    let start = "error: image 'base' is in use: the image 'web:1' was made from it\nhint: `rd rmi -f` ";
    assert!(stderr.starts_with(start), "{stderr}");
    sandbox.tag(base, "spare");
    assert_eq!(sandbox.ok(["rmi", "base"]), "Untagged: base:latest\n");
    assert_eq!(sandbox.ok(["rmi", "-f", "spare"]), "Untagged: spare:latest\n");
    assert_eq!(sandbox.ok(["images", "--format", "{{.Repository}}"]), "web\n");
}

#[test]
fn an_image_that_a_container_needs_is_kept() {
    let sandbox = Sandbox::new();
    let base = sandbox.image("base", &[("a", "1")]);
    let head = child(&sandbox, base, "state");
    sandbox.store().update_ref("refs/containers/web", head, Expect::Missing, "create").unwrap();
    let stderr = sandbox.fails(2, ["rmi", "base"]);
    let start = "error: image 'base' is in use: the stopped container 'web' was made from it\n";
    assert!(stderr.starts_with(start), "{stderr}");
    assert_eq!(sandbox.ok(["rmi", "-f", "base"]), "Untagged: base:latest\n");
}

#[test]
fn an_id_with_several_names_needs_force() {
    let sandbox = Sandbox::new();
    let id = sandbox.image("web:1", &[("a", "1")]);
    let prefix = &id.to_string()[..12];
    sandbox.tag(id, "web:2");
    let stderr = sandbox.fails(2, ["rmi", prefix]);
    assert!(stderr.contains("it has several names: web:1, web:2"), "{stderr}");
    let all = format!("Untagged: web:1\nUntagged: web:2\nDeleted: sha256:{id}\n");
    assert_eq!(sandbox.ok(["rmi", "-f", prefix]), all);
    assert!(sandbox.fails(2, ["rmi", prefix]).starts_with("error: no such name of the image: "));
}

#[test]
fn the_other_names_are_removed_where_one_fails() {
    let sandbox = Sandbox::new();
    for name in ["a", "b"] {
        sandbox.image(name, &[("f", name)]);
    }
    let output = sandbox.rd(["rmi", "a", "nope", "b"]).assert().code(2).get_output().clone();
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("error: no such image: 'nope'\nhint: "));
    assert_eq!(String::from_utf8_lossy(&output.stdout).matches("Untagged").count(), 2);
    assert_eq!(sandbox.ok(["images", "-q"]), "");
}

#[test]
fn the_same_name_twice_is_removed_once() {
    let sandbox = Sandbox::new();
    sandbox.image("a", &[]);
    sandbox.fails(2, ["rmi", "a", "a"]);
    assert_eq!(sandbox.ok(["images", "-q"]), "");
    sandbox.fails(2, ["rmi"]);
}

#[test]
fn force_spares_the_image_of_a_running_container() {
    let sandbox = Sandbox::new();
    sandbox.busybox("busybox");
    let run = sandbox.spawn(["run", "--rm", "--name", "web", "busybox", "sleep", "1000"]);
    wait_for(|| (!sandbox.ok(["ps", "-q"]).is_empty()).then_some(()));
    for force in [&["rmi"][..], &["rmi", "-f"]] {
        let stderr = sandbox.fails(2, [force, &["busybox"]].concat());
        let start = "error: image 'busybox' is in use: the running container 'web' was made from it\n";
        assert!(stderr.starts_with(start), "{stderr}");
    }
    sandbox.ok(["rm", "-f", "web"]);
    drop(run);
    sandbox.ok(["rmi", "busybox"]);
}

//! `rd remote`

use crate::sandbox::Sandbox;

/// A store that has images, and one that has it as the remote `origin`.
pub fn two() -> (Sandbox, Sandbox) {
    let (there, here) = (Sandbox::new(), Sandbox::new());
    there.image("app:1", &[("etc/a", "1")]);
    there.image("team/web", &[("etc/a", "1"), ("b", "2")]);
    here.ok(["remote", "add", "origin", there.store_dir().to_str().unwrap()]);
    (there, here)
}

#[test]
fn remotes_are_kept_in_gits_configuration() {
    let sandbox = Sandbox::new();
    sandbox.ok(["remote", "add", "origin", "ssh://me@host:22/srv/rd"]);
    sandbox.ok(["remote", "add", "hub", "https://registry.example/team/"]);
    sandbox.ok(["remote", "add", "--program", "/opt/rd", "local", "./x"]);
    assert_eq!(sandbox.ok(["remote"]), "hub\nlocal\norigin\n");
    let dir = sandbox.path().canonicalize().unwrap();
    let listed = sandbox.ok(["remote", "-v"]);
    let local = format!("local\t{0}/x (fetch)\nlocal\t{0}/x (push)\n", dir.display());
    let origin = "origin\tssh://me@host:22/srv/rd (fetch)\norigin\tssh://me@host:22/srv/rd (push)\n";
    let hub = "hub\thttps://registry.example/team (fetch)\nhub\thttps://registry.example/team (push)\n";
    assert_eq!(listed, format!("{hub}{local}{origin}"));
    let git = std::process::Command::new("git")
        .args(["--git-dir".as_ref(), sandbox.store_dir().as_os_str(), "remote".as_ref()])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(git.stdout).unwrap(), "hub\nlocal\norigin\nrd\n");
    assert_eq!(sandbox.ok(["remote", "get-url", "origin"]), "ssh://me@host:22/srv/rd\n");
    sandbox.ok(["remote", "set-url", "origin", "oci:/tmp/layout"]);
    assert_eq!(sandbox.ok(["remote", "get-url", "origin"]), "oci:/tmp/layout\n");
    let config = std::fs::read_to_string(sandbox.store_dir().join("config")).unwrap();
    assert!(config.contains("[remote \"local\"]") && config.contains("program = /opt/rd"), "{config}");
    for name in ["origin", "hub", "local"] {
        sandbox.ok(["remote", "rm", name]);
    }
    assert_eq!(sandbox.ok(["remote"]), "");
    // The store can still be used, and is as it was.
    sandbox.image("a", &[("a", "1")]);
    sandbox.ok(["fsck"]);
}

#[test]
fn what_is_known_of_a_remote_goes_where_its_name_goes() {
    let (_there, here) = two();
    here.ok(["fetch"]);
    here.ok(["remote", "rename", "origin", "up"]);
    assert_eq!(here.ok(["remote"]), "up\n");
    assert_eq!(here.ok(["show-ref", "--abbrev=4"]).lines().count(), 2);
    here.ok(["rev-parse", "--verify", "up/app:1"]);
    here.fails(128, ["rev-parse", "--verify", "origin/app:1"]);
    here.ok(["fetch", "up", "app:1"]);
    here.ok(["remote", "remove", "up"]);
    assert_eq!(here.ok(["for-each-ref"]), "");
    here.ok(["fsck"]);
}

#[test]
fn show_says_how_both_sides_stand() {
    let (there, here) = two();
    let url = there.store_dir().display().to_string();
    let header = format!("* remote origin\n  Fetch URL: {url}\n  Push  URL: {url}\n");
    let new =
        "    app:1           new (the next fetch will get it)\n    team/web:latest new (the next fetch will get it)\n";
    assert_eq!(here.ok(["remote", "show", "origin"]), format!("{header}  Remote images:\n{new}"));
    here.ok(["fetch"]);
    here.ok(["tag", "origin/app:1", "app:1"]);
    let old = there.store().get_ref("refs/images/docker.io/library/app@1").unwrap().unwrap();
    let next = there.commit(&crate::sandbox::Change { parents: &[old], files: &[("c", "3")], ..Default::default() });
    there.tag(next, "app:1");
    there.ok(["rmi", "team/web"]);
    let shown = here.ok(["remote", "show", "origin"]);
    let images = "    app:1           changed (the next fetch will get it)\n    \
                  team/web:latest stale (use 'rd remote prune' to remove)\n";
    assert_eq!(shown, format!("{header}  Remote images:\n{images}  Local images:\n    app:1 up to date\n"));
    here.ok(["fetch"]);
    let shown = here.ok(["remote", "show", "-n", "origin"]);
    let images = "    app:1\n    team/web:latest\n  Local images:\n    app:1 behind 1\n";
    assert_eq!(shown, format!("{header}  Remote images: (status not queried)\n{images}"));
}

#[test]
fn prune_forgets_what_is_gone() {
    let (there, here) = two();
    here.ok(["fetch"]);
    assert_eq!(here.ok(["remote", "prune", "origin"]), "");
    there.ok(["rmi", "team/web"]);
    let header = format!("Pruning origin\nURL: {}\n", there.store_dir().display());
    let dry = here.ok(["remote", "prune", "--dry-run", "origin"]);
    assert_eq!(dry, format!("{header} * [would prune] origin/team/web:latest\n"));
    assert_eq!(here.ok(["remote", "prune", "origin"]), format!("{header} * [pruned] origin/team/web:latest\n"));
    assert_eq!(here.ok(["for-each-ref", "--format=%(refname)"]), "refs/remotes/origin/app@1\n");
}

#[test]
fn remote_says_what_is_wrong() {
    let sandbox = Sandbox::new();
    sandbox.ok(["remote", "add", "origin", "/x"]);
    for (args, why) in [
        (&["remote", "add", "origin", "/y"][..], "error: invalid remote name 'origin': there is a remote of this name"),
        (&["remote", "add", "rd", "/y"], "error: invalid remote name 'rd': "),
        (&["remote", "add", "quay.io", "/y"], "error: invalid remote name 'quay.io': "),
        (&["remote", "add", "a/b", "/y"], "error: invalid remote name 'a/b': "),
        (&["remote", "add", "x", "ftp://y"], "error: invalid address of a remote 'ftp://y': write a path, "),
        (&["remote", "add", "x", "ssh://-oProxyCommand=x"], "error: invalid address of a remote "),
        (&["remote", "remove", "nope"], "error: no such remote: 'nope'\n"),
        (&["remote", "remove", "rd"], "error: no such remote: 'rd'\n"),
        (&["remote", "rename", "nope", "x"], "error: no such remote: 'nope'\n"),
        (&["remote", "rename", "origin", "rd"], "error: invalid remote name 'rd': "),
        (&["remote", "set-url", "nope", "/x"], "error: no such remote: 'nope'\n"),
        (&["remote", "get-url", "nope"], "error: no such remote: 'nope'\n"),
        (&["remote", "show", "nope"], "error: no such remote: 'nope'\n"),
        (&["remote", "prune", "origin"], "error: no such store: '/x'\n"),
    ] {
        let stderr = sandbox.fails(2, args);
        assert!(stderr.starts_with(why), "{args:?}: {stderr}");
    }
    assert_eq!(sandbox.ok(["remote", "-v"]), "origin\t/x (fetch)\norigin\t/x (push)\n");
}

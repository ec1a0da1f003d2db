//! `rd run`, `create`, `start`, `ps` and `rm`.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use plumbing::commit::{NewCommit, State, neutral_signature};
use plumbing::root::{Attrs, Root, Time};
use plumbing::stat_cache::StatCache;

use crate::sandbox::{Sandbox, THEN};

/// A sandbox with the image `box:1`, made of busybox.
fn with_image(config: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    let root = sandbox.path().join("root");
    for folder in ["bin", "etc", "tmp", "root"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    fs::copy("/bin/busybox", root.join("bin/busybox")).expect("because the package busybox-static is installed");
    let list = Command::new("/bin/busybox").arg("--list").output().unwrap();
    for applet in String::from_utf8(list.stdout).unwrap().lines().filter(|applet| *applet != "busybox") {
        symlink("busybox", root.join("bin").join(applet)).unwrap();
    }
    fs::write(root.join("etc/passwd"), "root:x:0:0::/root:/bin/sh\nweb:x:33:33::/:/bin/sh\n").unwrap();

    let store = sandbox.store();
    let mut batch = store.batch();
    let mut image = Root::new(Attrs::default(), Time { sec: THEN, nsec: 0 });
    let mut cache = StatCache::open(sandbox.path().join("stat-cache"));
    plumbing::capture::capture(&mut image, &root, &Default::default(), &mut cache, &mut batch).unwrap();
    let state = State {
        root: image.write(&mut batch).unwrap(),
        config: batch.write_blob(config.as_bytes()).unwrap(),
        manifest: None,
        layer: None,
        container: None,
    };
    let who = neutral_signature(THEN);
    let new = NewCommit { parents: Vec::new(), author: who.clone(), committer: who, message: "import".into() };
    let id = batch.write_commit(&state, new).unwrap();
    batch.finish().unwrap();
    sandbox.tag(id, "box:1");
    sandbox
}

fn plain() -> Sandbox {
    with_image(r#"{"config":{"Cmd":["echo","default"],"Env":["FROM=image"],"WorkingDir":"/tmp"}}"#)
}

#[test]
fn run_uses_what_the_image_says_unless_told_otherwise() {
    let sandbox = plain();
    assert_eq!(sandbox.ok(["run", "--rm", "box:1"]), "default\n");
    assert_eq!(sandbox.ok(["run", "--rm", "box:1", "sh", "-c", "pwd; echo $FROM"]), "/tmp\nimage\n");
    let changed =
        ["run", "--rm", "-w", "/etc", "-e", "FROM=here", "-e", "A=b=c", "box:1", "sh", "-c", "pwd; echo $FROM $A"];
    assert_eq!(sandbox.ok(changed), "/etc\nhere b=c\n");
    assert_eq!(sandbox.ok(["run", "--rm", "--entrypoint", "wc", "box:1", "-c", "/etc/passwd"]), "49 /etc/passwd\n");
    assert_eq!(
        sandbox.ok(["run", "--rm", "-u", "web", "-h", "box", "box:1", "sh", "-c", "id -un; hostname"]),
        "web\nbox\n"
    );
    let file = sandbox.path().join("env");
    fs::write(&file, "# comment\n\nX=1\n  Y=two words\nHOME\nNOT_HERE\n").unwrap();
    let script = "echo $X/$Y/$HOME/${NOT_HERE-none}";
    let shown = sandbox.ok(["run", "--rm", "--env-file", file.to_str().unwrap(), "box:1", "sh", "-c", script]);
    assert_eq!(shown, format!("1/two words/{}/none\n", sandbox.path().display()));
}

#[test]
fn flags_after_the_image_belong_to_the_command() {
    let sandbox = plain();
    assert_eq!(sandbox.ok(["run", "--rm", "box:1", "echo", "--rm", "-e", "--help", "--"]), "--rm -e --help --\n");
    assert_eq!(sandbox.ok(["run", "--rm", "--", "box:1", "echo", "x"]), "x\n");
}

#[test]
fn exit_statuses_and_errors_of_run() {
    let sandbox = plain();
    sandbox.fails(7, ["run", "--rm", "box:1", "sh", "-c", "exit 7"]);
    let stderr = sandbox.fails(127, ["run", "--rm", "box:1", "nothing"]);
    assert_eq!(stderr, "error: can't run 'nothing': executable file not found in $PATH\n");
    let stderr = sandbox.fails(126, ["run", "--rm", "box:1", "/etc"]);
    assert_eq!(stderr, "error: can't run '/etc': is a directory\n");
    for (args, why) in [
        (&["--network", "bridge"][..], "network 'bridge' doesn't exist yet"),
        (&["--network", "moon"], "no such network: 'moon'"),
        (&["-v", "data:/data"], "named volumes don't exist yet"),
        (&["--cap-add", "FLY"], "invalid capability 'FLY'"),
        (&["-w", "here"], "needs to be an absolute path"),
        (&["--name", "a b"], "invalid container name 'a b'"),
        (&["-u", "nobody"], "unable to find user nobody"),
        (&["-it"], "the input device is not a TTY"),
        (&["-e", "=x"], "invalid variable"),
    ] {
        let stderr = sandbox.fails(125, [&["run", "--rm"], args, &["box:1"]].concat());
        assert!(stderr.contains(why), "{args:?}: {stderr}");
    }
    assert!(sandbox.fails(125, ["run", "box:2"]).starts_with("error: no such image: 'box:2'\n"));
    assert_eq!(sandbox.ok(["ps", "-aq"]), "");
}

#[test]
fn mounts_and_files_of_run() {
    let sandbox = plain();
    let id_file = sandbox.path().join("cid");
    let volume = format!("{}/made:/data", sandbox.path().display());
    let script = "echo x > /data/x; echo y > ./y; df -h /tmp | grep -c tmpfs";
    let args = ["run", "-v", &volume, "-v", "./relative:/here", "-w", "/here", "--tmpfs", "/tmp", "--cidfile"];
    let all = [&args[..], &[id_file.to_str().unwrap(), "box:1", "sh", "-c", script]].concat();
    assert_eq!(sandbox.ok(&all), "1\n");
    assert_eq!(fs::read_to_string(sandbox.path().join("made/x")).unwrap(), "x\n");
    assert_eq!(fs::read_to_string(sandbox.path().join("relative/y")).unwrap(), "y\n");
    let id = fs::read_to_string(&id_file).unwrap();
    assert_eq!(sandbox.ok(["ps", "-aq", "--no-trunc"]), format!("{id}\n"));
    assert!(sandbox.fails(125, &all).contains("can't create the container ID file"));
}

#[test]
fn a_container_is_created_started_listed_and_removed() {
    let sandbox = plain();
    let id =
        sandbox.ok(["create", "--name", "web", "-l", "a=b", "box:1", "sh", "-c", "echo run >> /count; cat /count"]);
    assert_eq!(id.trim().len(), 64);
    assert_eq!(sandbox.ok(["ps", "-q"]), "");
    let list = sandbox.ok(["ps", "-a"]);
    let mut lines = list.lines();
    assert_eq!(
        lines.next().unwrap().split_whitespace().collect::<Vec<_>>().join(" "),
        "CONTAINER ID IMAGE COMMAND CREATED STATUS PORTS NAMES"
    );
    let line = lines.next().unwrap();
    assert!(line.starts_with(&id[..12]) && line.contains("box:1") && line.ends_with("web"), "{line}");
    assert!(line.contains("\"sh -c 'echo run >> …\""), "{line}");
    assert!(line.contains("Created"), "{line}");
    assert_eq!(sandbox.ok(["start", "-a", "web"]), "run\n");
    assert_eq!(sandbox.ok(["start", "-a", &id[..6]]), "run\nrun\n");
    let format = "{{.Names}} {{.State}} {{.Label \"a\"}} {{.Networks}}";
    assert_eq!(sandbox.ok(["ps", "-a", "--format", format]), "web exited b none\n");
    assert!(sandbox.ok(["ps", "-a", "--format", "{{.Status}}"]).starts_with("Exited (0) "));
    assert_eq!(
        sandbox.ok(["ps", "-q", "-f", "status=exited", "-f", "name=we", "-f", "label=a=b"]),
        format!("{}\n", &id[..12])
    );
    assert_eq!(sandbox.ok(["ps", "-aq", "-f", "exited=1"]), "");
    assert!(sandbox.store().get_ref("refs/containers/web").unwrap().is_some());
    let stderr = sandbox.fails(125, ["create", "--name", "web", "box:1"]);
    assert!(stderr.starts_with("error: container name 'web' is in use"), "{stderr}");
    assert_eq!(sandbox.ok(["rm", "web"]), "web\n");
    assert_eq!(sandbox.store().get_ref("refs/containers/web").unwrap(), None);
    assert!(sandbox.fails(2, ["rm", "web"]).starts_with("error: no such container: 'web'\n"));
    assert_eq!(sandbox.ok(["rm", "-f", "web"]), "");
}

#[test]
fn a_running_container_is_listed_and_removed_by_force() {
    let sandbox = plain();
    let id = sandbox.ok(["create", "--name", "long", "box:1", "sleep", "1000"]);
    assert_eq!(sandbox.ok(["start", "long"]), "long\n");
    assert!(sandbox.ok(["ps", "--format", "{{.Names}} {{.Status}}"]).starts_with("long Up "));
    let stderr = sandbox.fails(2, ["rm", "long"]);
    assert!(stderr.contains("stop the container before removing or force remove"), "{stderr}");
    assert!(sandbox.fails(125, ["start", "long"]).contains("container 'long' is in use"));
    assert_eq!(sandbox.ok(["rm", "-f", &id[..12]]), format!("{}\n", &id[..12]));
    assert_eq!(sandbox.ok(["ps", "-aq"]), "");
}

/// What a command leaves that was killed while it made or removed the container.
fn leave_half_removed(sandbox: &Sandbox, name: &str) {
    let containers = sandbox.store_dir().join("containers");
    let id = fs::read_link(containers.join("names").join(name)).unwrap();
    fs::write(containers.join("running").join(id), "passing\n").unwrap();
    sandbox.ok(["update-ref", "-d", &format!("refs/containers/{name}")]);
}

#[test]
fn a_container_that_was_half_removed_is_removed_by_the_next_command() {
    let sandbox = plain();
    sandbox.ok(["create", "--name", "web", "box:1"]);
    leave_half_removed(&sandbox, "web");
    assert_eq!(sandbox.ok(["ps", "-aq"]), "");
    sandbox.ok(["create", "--name", "web", "box:1"]);
    assert_eq!(sandbox.ok(["rm", "web"]), "web\n");
}

#[test]
fn a_container_that_is_being_removed_is_not_committed() {
    let sandbox = plain();
    sandbox.ok(["create", "--name", "web", "box:1"]);
    let containers = porcelain::container::Containers::open(&sandbox.store_dir()).unwrap();
    let container = containers.find("web").unwrap();
    // Whoever removes it holds its lock.
    let _lock = containers.lock(&container).unwrap();
    leave_half_removed(&sandbox, "web");
    assert!(sandbox.fails(2, ["commit", "web", "saved:1"]).contains("no such container: 'web'"));
    assert_eq!(sandbox.ok(["images", "-q", "saved"]), "");
}

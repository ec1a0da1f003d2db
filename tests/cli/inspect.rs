//! `rd inspect`

use plumbing::Id;
use serde_json::{Value, json};

use crate::sandbox::{Change, Sandbox, wait_for};

const CONFIG: &str = r#"{
    "architecture": "arm64", "variant": "v8", "os": "linux", "created": "2024-04-24T03:20:31.5Z", "author": "Jo",
    "config": {
        "Env": ["PATH=/bin", "LANG=C"], "Cmd": ["bash"], "Labels": {"b": "2", "a": "1"}, "StopSignal": "SIGQUIT",
        "x-unknown": {"kept": [1, 2.5, null]}
    },
    "rootfs": {"type": "layers", "diff_ids": ["sha256:aa", "sha256:bb"]},
    "history": [{"created_by": "ADD"}, {"created_by": "CMD", "comment": "buildkit.dockerfile.v0"}]
}"#;

fn filled(sandbox: &Sandbox) -> (Id, Id) {
    let layer = sandbox.commit(&Change { files: &[("bin/sh", "0123456789")], ..Change::default() });
    let change = Change {
        parents: &[layer],
        config: CONFIG,
        manifest: Some("{}"),
        message: "image sha256:00",
        ..Change::default()
    };
    let id = sandbox.commit(&change);
    sandbox.tag(id, "team/web:1");
    sandbox.tag(id, "team/web:2");
    (layer, id)
}

fn inspect(sandbox: &Sandbox, args: &[&str]) -> Value {
    serde_json::from_str(&sandbox.ok([&["inspect"], args].concat())).unwrap()
}

#[test]
fn an_image_has_dockers_fields() {
    let sandbox = Sandbox::new();
    let (layer, id) = filled(&sandbox);
    let all = inspect(&sandbox, &["team/web:1"]);
    let image = &all[0];
    let digest = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
    for (field, value) in [
        ("Id", json!(format!("sha256:{id}"))),
        ("RepoTags", json!(["team/web:1", "team/web:2"])),
        ("RepoDigests", json!([format!("team/web@{digest}")])),
        ("Parent", json!(format!("sha256:{layer}"))),
        ("Comment", json!("buildkit.dockerfile.v0")),
        ("Created", json!("2024-04-24T03:20:31.5Z")),
        ("Author", json!("Jo")),
        ("Architecture", json!("arm64")),
        ("Variant", json!("v8")),
        ("Os", json!("linux")),
        ("Size", json!(10)),
        ("RootFS", json!({"Type": "layers", "Layers": ["sha256:aa", "sha256:bb"]})),
    ] {
        assert_eq!(image[field], value, "{field}");
    }
    let config = &image["Config"];
    assert_eq!(config["Env"], json!(["PATH=/bin", "LANG=C"]));
    assert_eq!((&config["Entrypoint"], &config["User"], &config["Tty"]), (&Value::Null, &json!(""), &json!(false)));
    assert_eq!((&config["StopSignal"], &config["x-unknown"]["kept"]), (&json!("SIGQUIT"), &json!([1, 2.5, null])));
    let tagged = image["Metadata"]["LastTagTime"].as_str().unwrap();
    assert!(tagged.starts_with("20") && tagged.ends_with('Z'), "{tagged}");
    assert_eq!(image["Rd"]["Commit"], json!(id.to_string()));
    assert_eq!(image["Rd"]["Parents"], json!([layer.to_string()]));
    assert_eq!(image["Rd"]["Refs"][0], json!("refs/images/docker.io/team/web@1"));
}

#[test]
fn the_output_is_indented_as_dockers() {
    let sandbox = Sandbox::new();
    let (_, id) = filled(&sandbox);
    let text = sandbox.ok(["inspect", "team/web:1"]);
    assert!(
        text.starts_with(&format!("[\n    {{\n        \"Id\": \"sha256:{id}\",\n        \"RepoTags\": [\n")),
        "{text}"
    );
    assert!(text.ends_with("    }\n]\n"));
    assert_eq!(sandbox.ok(["inspect", "-f", "json", "team/web:1"]).lines().count(), 1);
}

#[test]
fn a_commit_made_by_rd_speaks_for_itself() {
    let sandbox = Sandbox::new();
    let id = sandbox.commit(&Change { message: "add a user\n\nand a group", ..Change::default() });
    let all = inspect(&sandbox, &[&id.to_string()]);
    assert_eq!(all[0]["Comment"], json!("add a user\n\nand a group"));
    assert_eq!((&all[0]["Author"], &all[0]["Parent"]), (&json!(""), &json!("")));
    assert_eq!(all[0]["Created"], json!("2024-05-01T10:30:00Z"));
    assert_eq!(all[0]["Metadata"]["LastTagTime"], json!("0001-01-01T00:00:00Z"));
    assert_eq!(all[0]["RepoTags"], json!([]));
}

#[test]
fn templates_are_dockers() {
    let sandbox = Sandbox::new();
    let (_, id) = filled(&sandbox);
    let render = |template: &str| sandbox.ok(["inspect", "-f", template, "team/web:1"]);
    for (template, text) in [
        ("{{.Id}}", format!("sha256:{id}\n")),
        ("{{.Config.Env}}", "[PATH=/bin LANG=C]\n".into()),
        ("{{json .Config.Env}}", "[\"PATH=/bin\",\"LANG=C\"]\n".into()),
        ("{{json .Config.Labels}}", "{\"b\":\"2\",\"a\":\"1\"}\n".into()),
        ("{{.Config.Labels}} {{index .Config.Labels \"a\"}}", "map[a:1 b:2] 1\n".into()),
        ("{{index .Config.Labels \"no\"}}", "\n".into()),
        ("{{.Config.Entrypoint}} {{len .Config.Volumes}}", "[] 0\n".into()),
        ("{{range .RepoTags}}{{println .}}{{end}}", "team/web:1\nteam/web:2\n\n".into()),
        (r"{{.Os}}\t{{.Size}}", "linux\t10\n".into()),
        ("{{join .RepoTags \",\" | upper}}", "TEAM/WEB:1,TEAM/WEB:2\n".into()),
    ] {
        assert_eq!(render(template), text, "{template}");
    }
    for template in ["{{.Nope}}", "{{.Config.Nope}}", "{{", "{{nope}}"] {
        let stderr = sandbox.fails(2, ["inspect", "-f", template, "team/web:1"]);
        assert!(stderr.starts_with("error: template parsing error: "), "{stderr}");
    }
}

#[test]
fn what_is_missing_is_told_and_the_rest_shown() {
    let sandbox = Sandbox::new();
    filled(&sandbox);
    let output = sandbox.rd(["inspect", "nope", "team/web:1"]).assert().code(1).get_output().clone();
    assert_eq!(serde_json::from_slice::<Value>(&output.stdout).unwrap().as_array().unwrap().len(), 1);
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("error: no such image or container: 'nope'\nhint: "));
    let stderr = sandbox.fails(1, ["inspect", "team/web:11"]);
    assert!(stderr.contains("hint: did you mean 'team/web:1'"), "{stderr}");
    let output = sandbox.rd(["inspect", "--type", "image", "nope"]).assert().code(1).get_output().clone();
    assert_eq!(output.stdout, b"[]\n");
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("error: no such image: 'nope'\n"));
}

#[test]
fn hostile_configurations_are_errors_not_panics() {
    let sandbox = Sandbox::new();
    let deep = format!("{{\"config\":{}", "{\"a\":".repeat(100_000));
    for config in ["", "[]", "nonsense", deep.as_str()] {
        let id = sandbox.commit(&Change { config, ..Change::default() }).to_string();
        for command in ["inspect", "history"] {
            let stderr = sandbox.fails(2, [command, &id]);
            assert!(stderr.starts_with("error: invalid image configuration "), "{stderr}");
        }
    }
    let odd = r#"{"config":{"Env":"x","Labels":[1],"Cmd":{}},"rootfs":7,"history":[7],"created":[],"os":{}}"#;
    let id = sandbox.commit(&Change { config: odd, ..Change::default() }).to_string();
    assert_eq!(inspect(&sandbox, &[&id])[0]["Config"]["Env"], json!("x"));
    assert_eq!(inspect(&sandbox, &[&id])[0]["RootFS"]["Layers"], json!([]));
}

#[test]
fn a_container_has_dockers_fields() {
    let sandbox = Sandbox::new();
    let image = sandbox.busybox("busybox");
    let options =
        ["--name", "web", "-e", "B=2", "-w", "/etc", "-v", "/tmp:/mnt:ro", "--tmpfs", "/run:size=1m", "-l", "k=v"];
    let more = ["--read-only", "--cap-add", "NET_ADMIN", "-i", "-h", "host", "busybox", "echo", "hi"];
    let id = sandbox.ok([&["create"], &options[..], &more].concat());
    let all = inspect(&sandbox, &["web"]);
    let container = &all[0];
    for (field, value) in [
        ("Id", json!(id.trim())),
        ("Path", json!("echo")),
        ("Args", json!(["hi"])),
        ("Image", json!(format!("sha256:{image}"))),
        ("Name", json!("/web")),
        ("RestartCount", json!(0)),
        (
            "Mounts",
            json!([{"Type": "bind", "Source": "/tmp", "Destination": "/mnt", "Mode": "ro", "RW": false, "Propagation": "rprivate"}]),
        ),
    ] {
        assert_eq!(container[field], value, "{field}");
    }
    let state = &container["State"];
    assert_eq!((&state["Status"], &state["Pid"], &state["Running"]), (&json!("created"), &json!(0), &json!(false)));
    assert_eq!(state["StartedAt"], json!("0001-01-01T00:00:00Z"));
    let host = &container["HostConfig"];
    assert_eq!((&host["Binds"], &host["Tmpfs"]), (&json!(["/tmp:/mnt:ro"]), &json!({"/run": "size=1m"})));
    assert_eq!((&host["ReadonlyRootfs"], &host["CapAdd"]), (&json!(true), &json!(["CAP_NET_ADMIN"])));
    assert_eq!((&host["NetworkMode"], &host["CapDrop"]), (&json!("none"), &Value::Null));
    let config = &container["Config"];
    assert_eq!(config["Env"], json!(["PATH=/bin", "A=1", "B=2"]));
    assert_eq!((&config["Cmd"], &config["Hostname"]), (&json!(["echo", "hi"]), &json!("host")));
    assert_eq!((&config["WorkingDir"], &config["OpenStdin"]), (&json!("/etc"), &json!(true)));
    assert_eq!((&config["Labels"], &config["Image"]), (&json!({"k": "v"}), &json!("busybox")));
    assert_eq!(container["Rd"]["Ref"], json!("refs/containers/web"));
    assert_eq!(container["SizeRw"], Value::Null);
    for name in [id.trim(), &id[..12], "/web"] {
        assert_eq!(sandbox.ok(["inspect", "-f", "{{.Name}} {{index .Config.Labels \"k\"}}", name]), "/web v\n");
    }
}

#[test]
fn a_running_container_tells_its_process_and_what_it_wrote() {
    let sandbox = Sandbox::new();
    sandbox.busybox("busybox");
    let script = "echo 12345 > /etc/new; echo ready > /etc/ready; sleep 1000";
    let run = sandbox.spawn(["run", "--name", "web", "busybox", "sh", "-c", script]);
    let size = wait_for(|| {
        let sizes = sandbox.rd(["inspect", "-s", "-f", "{{.State.Pid}} {{.SizeRw}}", "web"]).output().ok()?;
        let text = String::from_utf8(sizes.stdout).ok()?;
        let (pid, size) = text.trim().split_once(' ')?;
        (pid != "0" && size == "12").then(|| pid.to_owned())
    });
    assert!(std::path::Path::new("/proc").join(size).exists());
    let state = sandbox.ok(["inspect", "-f", "{{.State.Status}} {{.State.Running}}", "web"]);
    assert_eq!(state, "running true\n");
    sandbox.ok(["rm", "-f", "web"]);
    drop(run);
    assert_eq!(sandbox.fails(1, ["inspect", "web"]).lines().next(), Some("error: no such image or container: 'web'"));
}

#[test]
fn a_kind_is_chosen_by_type() {
    let sandbox = Sandbox::new();
    let id = sandbox.busybox("web");
    sandbox.ok(["create", "--name", "web", "web"]);
    assert_eq!(sandbox.ok(["inspect", "-f", "{{.Name}}", "web"]), "/web\n");
    assert_eq!(sandbox.ok(["inspect", "--type", "image", "-f", "{{.Id}}", "web"]), format!("sha256:{id}\n"));
    sandbox.ok(["tag", "web:latest", "other"]);
    assert!(
        sandbox.fails(1, ["inspect", "--type=container", "other"]).starts_with("error: no such container: 'other'")
    );
}

#[test]
fn layers_are_those_of_the_image_and_of_what_was_imported() {
    let sandbox = Sandbox::new();
    let (_, base) = filled(&sandbox);
    sandbox.tag(sandbox.commit(&Change { parents: &[base], files: &[("a", "1")], ..Change::default() }), "made");
    assert_eq!(sandbox.ok(["inspect", "-f", "{{.RootFS.Layers}}", "made"]), "[sha256:aa sha256:bb]\n");

    std::fs::write(sandbox.path().join("file"), "1").unwrap();
    let tar = std::process::Command::new("tar").args(["-cf", "root.tar", "file"]).current_dir(sandbox.path()).status();
    assert!(tar.unwrap().success());
    sandbox.ok(["import", "root.tar", "imported"]);
    let sum = std::process::Command::new("sha256sum").arg("root.tar").current_dir(sandbox.path()).output().unwrap();
    let digest = String::from_utf8(sum.stdout).unwrap()[..64].to_owned();
    assert_eq!(sandbox.ok(["inspect", "-f", "{{.RootFS.Layers}}", "imported"]), format!("[sha256:{digest}]\n"));
}

#[test]
fn terminal_controls_reach_pipes_but_no_table() {
    let sandbox = Sandbox::new();
    let config = r#"{"config":{"Labels":{"a":"\u001b[2Jred\u0007"}}}"#;
    let id = sandbox.commit(&Change { config, message: "RUN \u{1b}[2J\u{7}x", ..Change::default() }).to_string();
    assert_eq!(sandbox.ok(["inspect", "-f", "{{.Config.Labels.a}}", &id]), "\u{1b}[2Jred\u{7}\n");
    assert!(sandbox.ok(["history", &id]).contains(r"RUN \u{1b}[2J\u{7}x"));
}

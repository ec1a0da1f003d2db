//! `rd inspect`

use plumbing::Id;
use serde_json::{Value, json};

use crate::sandbox::{Change, Sandbox};

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
            assert!(stderr.starts_with("error: damaged image configuration "), "{stderr}");
        }
    }
    let odd = r#"{"config":{"Env":"x","Labels":[1],"Cmd":{}},"rootfs":7,"history":[7],"created":[],"os":{}}"#;
    let id = sandbox.commit(&Change { config: odd, ..Change::default() }).to_string();
    assert_eq!(inspect(&sandbox, &[&id])[0]["Config"]["Env"], json!("x"));
    assert_eq!(inspect(&sandbox, &[&id])[0]["RootFS"]["Layers"], json!([]));
}

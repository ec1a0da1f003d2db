//! `rd images`

use plumbing::commit::now;
use snapbox::str;

use crate::sandbox::{Change, Sandbox};

const DAY: i64 = 86_400;

/// debian:12 and debian:stable on one commit, its layer below, and a younger web:1 with a label.
fn filled() -> Sandbox {
    let sandbox = Sandbox::new();
    let layer = sandbox.commit(&Change {
        files: &[("etc/os-release", "ID=debian\n"), ("bin/true", "0123456789")],
        seconds: now() - 21 * DAY,
        message: "ADD rootfs.tar / # buildkit",
        ..Change::default()
    });
    let base = sandbox.commit(&Change {
        parents: &[layer],
        manifest: Some(r#"{"schemaVersion":2}"#),
        seconds: now() - 20 * DAY,
        message: "image sha256:00",
        ..Change::default()
    });
    sandbox.tag(base, "debian:12");
    sandbox.tag(base, "debian:stable");
    let web = sandbox.commit(&Change {
        parents: &[base],
        files: &[("srv/index.html", &"x".repeat(116_400))],
        config: r#"{"config":{"Labels":{"tier":"front"}}}"#,
        seconds: now() - 2 * 3600,
        message: "copy the site",
        ..Change::default()
    });
    sandbox.tag(web, "localhost:5000/team/web:1");
    sandbox
}

fn short(sandbox: &Sandbox, name: &str) -> String {
    let name = plumbing::ImageName::parse(name).unwrap();
    sandbox.store().get_ref(&name.to_ref()).unwrap().unwrap().to_string()[..12].to_owned()
}

#[test]
fn images_are_listed_as_docker_lists_them() {
    let sandbox = filled();
    sandbox.rd(["images"]).assert().success().stderr_eq("").stdout_eq(str![[r#"
REPOSITORY                TAG       IMAGE ID       CREATED       SIZE
localhost:5000/team/web   1         [..]   2 hours ago   116kB
debian                    12        [..]   2 weeks ago   20B
debian                    stable    [..]   2 weeks ago   20B

"#]]);
    let (web, base) = (short(&sandbox, "localhost:5000/team/web:1"), short(&sandbox, "debian:12"));
    assert_eq!(sandbox.ok(["images", "-q"]), format!("{web}\n{base}\n{base}\n"));
}

#[test]
fn an_empty_store_has_a_header_and_no_images() {
    let sandbox = Sandbox::new();
    assert_eq!(sandbox.ok(["images"]), "REPOSITORY   TAG       IMAGE ID   CREATED   SIZE\n");
    assert_eq!(sandbox.ok(["images", "-q"]), "");
    assert_eq!(sandbox.ok(["images", "--json"]), "[]\n");
    assert_eq!(sandbox.ok(["images", "--format", "json"]), "");
}

#[test]
fn all_shows_the_commits_that_images_are_made_of() {
    let sandbox = filled();
    sandbox
        .rd(["images", "-a", "--format", "{{.Repository}}:{{.Tag}} {{.CreatedSince}}"])
        .assert()
        .success()
        .stdout_eq(str![[r#"
localhost:5000/team/web:1 2 hours ago
debian:12 2 weeks ago
debian:stable 2 weeks ago
<none>:<none> 3 weeks ago

"#]]);
}

#[test]
fn digests_and_whole_ids_are_shown_on_request() {
    let sandbox = filled();
    sandbox.rd(["images", "--digests", "--no-trunc", "debian:12"]).assert().success().stdout_eq(str![[r#"
REPOSITORY   TAG       DIGEST                                                                    IMAGE ID                                                                  CREATED       SIZE
debian       12        sha256:bafebd36189ad3688b7b3915ea55d461e0bfcfbdde11e54b0a123999fb6be50f   sha256:[..]   2 weeks ago   20B

"#]]);
    assert!(sandbox.ok(["images", "--digests", "*/team/web"]).contains("<none>"));
}

#[test]
fn formats_are_dockers() {
    let sandbox = filled();
    let table = sandbox.ok(["images", "--format", r"table {{.Repository}}\t{{.Size}}"]);
    assert_eq!(
        table,
        "REPOSITORY                SIZE\nlocalhost:5000/team/web   116kB\ndebian                    20B\ndebian                    20B\n"
    );
    let line = sandbox.ok(["images", "--format", "json", "debian:12"]);
    assert!(line.starts_with(r#"{"Containers":"N/A","CreatedAt":"20"#), "{line}");
    assert!(
        line.ends_with("\"Size\":\"20B\",\"Tag\":\"12\",\"UniqueSize\":\"N/A\",\"VirtualSize\":\"20B\"}\n"),
        "{line}"
    );
    let stderr = sandbox.fails(2, ["images", "--format", "{{.Nope}}"]);
    assert!(stderr.starts_with("error: template parsing error: map has no entry for key: Nope\nhint: "), "{stderr}");
    assert!(sandbox.fails(2, ["images", "--format", "{{"]).contains("unclosed action"));
}

#[test]
fn json_has_dockers_fields_with_numbers() {
    let sandbox = filled();
    let text = sandbox.ok(["images", "--json", "debian"]);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json[0]["RepoTags"], serde_json::json!(["debian:12", "debian:stable"]));
    assert_eq!(json[0]["Size"], 20);
    assert!(json[0]["RepoDigests"][0].as_str().unwrap().starts_with("debian@sha256:"));
    assert_eq!(json.as_array().unwrap().len(), 1);
    let text = sandbox.ok(["images", "--json", "-f", "label=tier"]);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json[0]["Labels"], serde_json::json!({"tier": "front"}));
}

#[test]
fn filters_select() {
    let sandbox = filled();
    let shown = |args: &[&str]| {
        let all: Vec<_> = ["images", "--format", "{{.Repository}}:{{.Tag}}"].iter().chain(args).copied().collect();
        sandbox.ok(all).replace('\n', " ")
    };
    for (args, names) in [
        (&["debian"][..], "debian:12 debian:stable "),
        (&["debian:s*"], "debian:stable "),
        (&["docker.io/library/debian:12"], "debian:12 "),
        (&["*"], "debian:12 debian:stable "),
        (&["*/*/*"], "localhost:5000/team/web:1 "),
        (&["nothing"], ""),
        (&["-f", "reference=debian:12", "-f", "reference=*/team/*"], "localhost:5000/team/web:1 debian:12 "),
        (&["-f", "label=tier=front"], "localhost:5000/team/web:1 "),
        (&["-f", "label=tier=back"], ""),
        (&["-f", "label=tier", "-f", "label=other"], ""),
        (&["-f", "since=debian:12"], "localhost:5000/team/web:1 "),
        (&["-f", "before=localhost:5000/team/web:1"], "debian:12 debian:stable "),
        (&["-a", "-f", "before=debian:12"], "<none>:<none> "),
        (&["-f", "dangling=false", "debian:12"], "debian:12 "),
        (&["-f", "dangling=true"], ""),
    ] {
        assert_eq!(shown(args), names, "{args:?}");
    }
    for (filter, why) in [
        ("label", "KEY=VALUE"),
        ("size=3", "there are reference, label, before, since and dangling"),
        ("dangling=maybe", "dangling is true or false"),
        ("before=nothing", "no such image: 'nothing'"),
    ] {
        let stderr = sandbox.fails(2, ["images", "-f", filter]);
        assert!(stderr.contains(why), "{stderr}");
    }
}

#[test]
fn an_image_that_lost_its_name_is_dangling() {
    let sandbox = filled();
    let old = short(&sandbox, "debian:12");
    sandbox.ok(["rmi", "debian:stable"]);
    sandbox.ok(["rmi", "-f", "localhost:5000/team/web:1"]);
    let new = sandbox.commit(&Change { files: &[("a", "new")], ..Change::default() });
    sandbox.tag(new, "debian:12");
    assert_eq!(sandbox.ok(["images", "-f", "dangling=true", "-q"]), format!("{old}\n"));
    sandbox.ok(["tag", &old, "debian:old"]);
    assert_eq!(sandbox.ok(["images", "-f", "dangling=true", "-q"]), "");
}

#[test]
fn a_file_with_two_names_counts_once() {
    let sandbox = Sandbox::new();
    let links = &[("a/x", "b"), ("a/x", "c")];
    let id = sandbox.commit(&Change { files: &[("a/x", "12345"), ("y", "1")], links, ..Change::default() });
    sandbox.tag(id, "linked");
    assert_eq!(sandbox.ok(["images", "--format", "{{.Size}}"]), "6B\n");
}

#[test]
fn a_damaged_cache_is_made_again() {
    let sandbox = filled();
    let before = sandbox.ok(["images"]);
    let cache = sandbox.store_dir().join("cache/images");
    let good = std::fs::read_to_string(&cache).unwrap();
    for damage in ["", "garbage", &good[..good.len() / 2], "\u{0}\n\n "] {
        std::fs::write(&cache, damage).unwrap();
        assert_eq!(sandbox.ok(["images"]), before);
    }
    std::fs::remove_file(&cache).unwrap();
    std::fs::create_dir(&cache).unwrap();
    assert_eq!(sandbox.ok(["images"]), before);
}

#[test]
fn a_damaged_image_is_named_and_hides_no_other() {
    let sandbox = filled();
    let gone = "ab".repeat(32);
    std::fs::write(sandbox.store_dir().join("refs/images/docker.io/library/debian@12"), format!("{gone}\n")).unwrap();
    let output = sandbox.rd(["images", "--format", "{{.Repository}}:{{.Tag}}"]).assert().code(2).get_output().clone();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "localhost:5000/team/web:1\ndebian:stable\n");
    let stderr = String::from_utf8_lossy(&output.stderr);
    let start = format!(
        "error: can't read the image 'debian:12'\ncaused by: damaged store: commit {gone}: the object is missing\n"
    );
    assert!(stderr.starts_with(&start), "{stderr}");
}

#[test]
fn a_second_listing_reads_no_objects() {
    let sandbox = filled();
    let before = sandbox.ok(["images", "--digests"]);
    let packs = sandbox.store_dir().join("objects/pack");
    std::fs::rename(&packs, sandbox.path().join("away")).unwrap();
    std::fs::create_dir(&packs).unwrap();
    assert_eq!(sandbox.ok(["images", "--digests"]), before);
}

#[test]
fn images_v_says_what_is_ahead_of_remotes_and_behind() {
    let (here, there) = (Sandbox::new(), Sandbox::new());
    let first = there.image("app:1", &[("a", "1")]);
    here.ok(["remote", "add", "origin", there.store_dir().to_str().unwrap()]);
    here.ok(["fetch", "-q"]);
    here.ok(["tag", "origin/app:1", "app:1"]);
    here.image("own", &[("o", "1")]);
    let remotes = || here.ok(["images", "-v", "--format", "{{.Repository}}:{{.Tag}} {{.Remotes}}"]);
    assert_eq!(remotes(), "app:1 [origin/app:1]\nown:latest \n");
    let mine = here.commit(&Change { parents: &[first], files: &[("b", "2")], ..Change::default() });
    here.tag(mine, "app:1");
    assert!(remotes().starts_with("app:1 [origin/app:1: ahead 1]\n"));
    let other = there.commit(&Change { parents: &[first], files: &[("c", "3")], ..Change::default() });
    let other = there.commit(&Change { parents: &[other], files: &[("d", "4")], ..Change::default() });
    there.tag(other, "app:1");
    here.ok(["fetch", "-q"]);
    here.ok(["remote", "add", "second", there.store_dir().to_str().unwrap()]);
    here.ok(["fetch", "-q", "second"]);
    let both = "[origin/app:1: ahead 1, behind 2] [second/app:1: ahead 1, behind 2]";
    assert!(remotes().starts_with(&format!("app:1 {both}\n")), "{}", remotes());
    let table = here.ok(["images", "-v"]);
    assert!(table.lines().next().unwrap().ends_with("SIZE      REMOTES") && table.contains(both), "{table}");
}

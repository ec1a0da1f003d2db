//! Other people's clients: skopeo, podman, umoci, and a real registry on the other side.

use crate::import::{git_agrees, sh};

use crate::sandbox::{Change, Sandbox};

use super::http::Server;
use crate::registry::{Registry, skopeo};

/// Make the OCI layout `lay` with the image `one`: two layers as umoci writes them, with what roots can hold.
fn layout(sandbox: &Sandbox) {
    sh(
        sandbox.path(),
        "umoci init --layout lay; umoci new --image lay:one; umoci unpack --image lay:one b >/dev/null
         mkdir -p b/rootfs/etc; echo hello >b/rootfs/etc/motd; chmod 4755 b/rootfs/etc/motd; mkfifo b/rootfs/pipe
         ln -s motd b/rootfs/etc/issue; seq 20000 >b/rootfs/numbers
         umoci repack --image lay:one --refresh-bundle b >/dev/null
         rm b/rootfs/numbers; echo two >b/rootfs/etc/two; umoci repack --image lay:one b >/dev/null
         umoci config --image lay:one --config.cmd /bin/true",
    );
}

/// The digest of what an address has, by its raw manifest.
#[track_caller]
fn digest(sandbox: &Sandbox, address: &str) -> String {
    let raw = format!("inspect --raw {address}");
    let raw = skopeo(
        sandbox,
        &if address.starts_with("docker:") { raw.replace("--raw", "--raw --tls-verify=false") } else { raw },
    );
    plumbing::digest::Digest::of(raw.as_bytes()).to_string()
}

fn copy(sandbox: &Sandbox, args: &str, from: &str, to: &str) {
    skopeo(sandbox, &format!("copy -q --src-tls-verify=false --dest-tls-verify=false {args} {from} {to}"));
}

#[test]
fn skopeo_copies_in_and_out_and_nothing_changes() {
    let sandbox = Sandbox::in_memory();
    let server = Server::start(&sandbox, &[]);
    layout(&sandbox);
    let here = format!("docker://{}/team/app:1", server.address);
    copy(&sandbox, "", "oci:lay:one", &here);
    assert_eq!(digest(&sandbox, &here), digest(&sandbox, "oci:lay:one"));
    let server = Server::start(&sandbox, &["--read-only"]);
    let here = format!("docker://{}/team/app:1", server.address);
    copy(&sandbox, "", &here, "oci:out:one");
    assert_eq!(digest(&sandbox, "oci:out:one"), digest(&sandbox, "oci:lay:one"));
    sh(
        sandbox.path(),
        "for blob in out/blobs/sha256/*; do cmp $blob lay/blobs/sha256/${blob##*/}; done; umoci unpack --image out:one c",
    );
    let motd = sh(sandbox.path(), "cat c/rootfs/etc/motd; stat -c %a c/rootfs/etc/motd; ls c/rootfs");
    assert_eq!(String::from_utf8(motd).unwrap(), "hello\n4755\netc\npipe\n");
    assert_eq!(sandbox.ok(["cat-file", "blob", "team/app:1:/etc/two"]), "two\n");
    let tags = skopeo(&sandbox, &format!("list-tags --tls-verify=false docker://{}/team/app", server.address));
    assert!(tags.contains("\"1\""), "{tags}");
    git_agrees(&sandbox.store_dir());
}

#[test]
fn images_of_every_form_pass_between_a_real_registry_and_a_store() {
    let sandbox = Sandbox::in_memory();
    let (server, registry) = (Server::start(&sandbox, &[]), Registry::start(&sandbox));
    layout(&sandbox);
    let place = |host: &str, name: &str| format!("docker://{host}/{name}");
    for (name, args) in [
        ("oci:1", "--format oci"),
        ("docker:1", "--format v2s2"),
        ("zstd:1", "--format oci --dest-compress-format zstd"),
    ] {
        let real = place(&registry.host(), name);
        copy(&sandbox, args, "oci:lay:one", &real);
        let (ours, back) = (place(&server.address, name), place(&registry.host(), &format!("back/{name}")));
        copy(&sandbox, "--preserve-digests", &real, &ours);
        assert_eq!(digest(&sandbox, &ours), digest(&sandbox, &real), "{name}");
        copy(&sandbox, "--preserve-digests", &ours, &back);
        assert_eq!(digest(&sandbox, &back), digest(&sandbox, &real), "{name}");
        assert_eq!(sandbox.ok(["cat-file", "blob", &format!("{name}:/etc/two")]), "two\n");
    }
    sandbox.ok(["fsck", "--full"]);
}

#[test]
fn an_index_passes_with_all_its_images() {
    let sandbox = Sandbox::in_memory();
    let (server, registry) = (Server::start(&sandbox, &[]), Registry::start(&sandbox));
    layout(&sandbox);
    // An index of two platforms, as a layout has it.
    sh(
        sandbox.path(),
        r#"python3 - <<'END'
import hashlib, json
index = json.load(open("lay/index.json"))
one = next(m for m in index["manifests"] if m["annotations"]["org.opencontainers.image.ref.name"] == "one")
base = {key: one[key] for key in ("mediaType", "digest", "size")}
manifests = [{**base, "platform": {"os": "linux", "architecture": name}} for name in ("amd64", "arm64")]
text = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": manifests}).encode()
digest = hashlib.sha256(text).hexdigest()
open(f"lay/blobs/sha256/{digest}", "wb").write(text)
index["manifests"].append({"mediaType": "application/vnd.oci.image.index.v1+json", "digest": f"sha256:{digest}", "size": len(text),
    "annotations": {"org.opencontainers.image.ref.name": "many"}})
json.dump(index, open("lay/index.json", "w"))
END"#,
    );
    let (ours, real) = (format!("docker://{}/many:1", server.address), format!("docker://{}/many:1", registry.host()));
    copy(&sandbox, "--all", "oci:lay:many", &ours);
    copy(&sandbox, "--all", &ours, &real);
    assert_eq!(digest(&sandbox, &ours), digest(&sandbox, "oci:lay:many"));
    assert_eq!(digest(&sandbox, &real), digest(&sandbox, &ours));
    assert_eq!(sandbox.ok(["cat-file", "blob", "many:1:/etc/two"]), "two\n", "this machine's image");
}

#[test]
fn commits_that_came_from_nowhere_are_images_for_others() {
    let sandbox = Sandbox::in_memory();
    let base = sandbox.commit(&Change { files: &[("etc/motd", "hello\n"), ("gone", "x")], ..Change::default() });
    let parents = &[base];
    let change = Change { parents, files: &[("etc/more", "more\n")], message: "add more", ..Change::default() };
    sandbox.tag(sandbox.commit(&change), "web:1");
    let server = Server::start(&sandbox, &["--read-only"]);
    let here = format!("docker://{}/web:1", server.address);
    copy(&sandbox, "", &here, "oci:out:one");
    let first = digest(&sandbox, &here);
    assert_eq!(digest(&sandbox, "oci:out:one"), first);
    sh(sandbox.path(), "umoci unpack --image out:one c; cat c/rootfs/etc/motd c/rootfs/etc/more >text");
    assert_eq!(std::fs::read_to_string(sandbox.path().join("text")).unwrap(), "hello\nmore\n");
    // The same after a restart, by digest and with no tag asked for.
    let server = Server::start(&sandbox, &["--read-only"]);
    let answer = server.get(&format!("/v2/web/manifests/{first}"));
    assert_eq!(answer.status, 200);
    let server = Server::start(&sandbox, &["--read-only"]);
    for blob in answer.json()["layers"].as_array().unwrap().iter().chain([&answer.json()["config"]]) {
        let (digest, size) = (blob["digest"].as_str().unwrap(), blob["size"].as_u64().unwrap());
        let body = server.get(&format!("/v2/web/blobs/{digest}")).body;
        assert_eq!((plumbing::digest::Digest::of(&body).to_string(), body.len() as u64), (digest.to_owned(), size));
    }
}

#[test]
fn images_that_are_made_keep_few_files_open() {
    let sandbox = Sandbox::in_memory();
    for number in 0..80 {
        let text = number.to_string();
        sandbox.tag(sandbox.commit(&Change { files: &[("f", &text)], ..Change::default() }), &format!("web:{number}"));
    }
    let server = Server::start(&sandbox, &["--read-only"]);
    let tag = |number: u32| server.get(&format!("/v2/web/manifests/{number}"));
    let first = tag(0);
    // Nobody has it: all are made in the search for it.
    assert_eq!(server.get(&format!("/v2/web/manifests/{}", plumbing::digest::Digest::of(b"none"))).status, 404);
    let open = std::fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap().count();
    assert!(open < 250, "{open} files are open");
    assert_eq!(tag(0).body, first.body);
    let layer = first.json()["layers"][0]["digest"].as_str().unwrap().to_owned();
    assert_eq!(server.get(&format!("/v2/web/blobs/{layer}")).status, 200);
}

#[test]
fn podman_pulls_and_pushes() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    layout(&sandbox);
    let address = &server.address;
    copy(&sandbox, "", "oci:lay:one", &format!("docker://{address}/web:1"));
    let podman = |args: &str| {
        let script = format!(
            "TMPDIR=$PWD HOME=$PWD podman --root $PWD/p --runroot $PWD/pr --tmpdir $PWD/pt --storage-driver vfs {args}"
        );
        String::from_utf8(sh(sandbox.path(), &script)).unwrap()
    };
    podman(&format!("pull -q --tls-verify=false {address}/web:1"));
    podman(&format!("tag {address}/web:1 {address}/web:2"));
    podman(&format!("push -q --tls-verify=false {address}/web:2"));
    assert_eq!(sandbox.ok(["cat-file", "blob", "web:2:/etc/two"]), "two\n");
    assert_eq!(
        sandbox.ok(["rev-parse", "web:2~1"]),
        sandbox.ok(["rev-parse", "web:1~1"]),
        "the layers are the same commits"
    );
    podman("rmi -a -f");
}

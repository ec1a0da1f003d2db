//! `rd save`

use std::path::Path;

use crate::import::sh;
use crate::sandbox::{Change, Sandbox};

fn run(dir: &Path, script: &str) -> String {
    String::from_utf8(sh(dir, script)).unwrap()
}

/// The digest of the first manifest of an image, as skopeo finds it.
fn digest(dir: &Path, image: &str) -> String {
    run(dir, &format!("skopeo inspect --raw {image} | sha256sum"))
}

/// A layout `layout` with the image `web` of two layers that skopeo compressed, loaded as `web:1`.
fn layout() -> Sandbox {
    let sandbox = Sandbox::new();
    run(
        sandbox.path(),
        r#"mkdir -p one/etc two/etc a
        seq 30000 >one/etc/numbers; echo 1 >one/etc/os; echo 2 >two/etc/new
        for layer in one two; do tar -C $layer -cf a/$layer.tar etc; done
        ids=$(sha256sum a/one.tar a/two.tar | sed 's/ .*/"/; s/^/"sha256:/' | paste -sd,)
        echo '{"architecture":"amd64","os":"linux","config":{"Cmd":["sh"]},"rootfs":{"type":"layers","diff_ids":['$ids']},"history":[{"created_by":"one"},{"created_by":"two"}]}' >a/config.json
        echo '[{"Config":"config.json","RepoTags":["web:1"],"Layers":["one.tar","two.tar"]}]' >a/manifest.json
        tar -C a -cf image.tar .
        skopeo copy -q docker-archive:image.tar oci:layout:web"#,
    );
    let loaded = sandbox.ok(["load", "-i", "layout"]);
    let id = loaded.trim_end().strip_prefix("Loaded image ID: sha256:").unwrap();
    sandbox.ok(["tag", id, "web:1"]);
    sandbox
}

#[test]
fn an_image_goes_out_with_the_digests_that_it_came_with() {
    let sandbox = layout();
    let came = digest(sandbox.path(), "oci:layout:web");
    sandbox.ok(["save", "--format", "oci", "-o", "oci.tar", "web:1"]);
    sandbox.ok(["save", "-o", "docker.tar", "web:1"]);
    assert_eq!(digest(sandbox.path(), "oci-archive:oci.tar"), came);
    assert_eq!(digest(sandbox.path(), "oci-archive:docker.tar"), came);
    // What skopeo copies out of it is what it put in.
    run(sandbox.path(), "mkdir x && tar -C x -xf docker.tar && skopeo copy -q oci:x:1 oci:again:web");
    run(
        sandbox.path(),
        "cd layout/blobs/sha256 && for blob in *; do cmp $blob ../../../again/blobs/sha256/$blob; done",
    );
    let other = Sandbox::new();
    let tar = sandbox.path().join("docker.tar");
    assert_eq!(other.ok(["load", "-i", tar.to_str().unwrap()]), "Loaded image: web:1\n");
    assert_eq!(other.ok(["rev-parse", "web:1"]), sandbox.ok(["rev-parse", "web:1"]));
}

#[test]
fn dockers_archive_is_read_as_one() {
    let sandbox = layout();
    sandbox.ok(["tag", "web:1", "localhost:5000/team/web:2"]);
    sandbox.ok(["save", "-o", "docker.tar", "web:1", "localhost:5000/team/web"]);
    run(sandbox.path(), "skopeo copy -q docker-archive:docker.tar:localhost:5000/team/web:2 dir:copy");
    let config = "sed 's/.*\"config\":{[^}]*\"digest\":\"sha256:\\([0-9a-f]*\\)\".*/\\1/'";
    let copied = run(sandbox.path(), &format!("tr -d ' \\n' <copy/manifest.json | {config}"));
    let came = run(sandbox.path(), &format!("skopeo inspect --raw oci:layout:web | tr -d ' \\n' | {config}"));
    assert_eq!(copied, came);
    let list = run(sandbox.path(), "tar -xOf docker.tar manifest.json");
    assert!(list.contains(r#""RepoTags":["web:1","localhost:5000/team/web:2"]"#), "{list}");
}

#[test]
fn a_layout_folder_takes_images_in_one_after_another() {
    let sandbox = layout();
    sandbox.image("other:2", &[("a", "a")]);
    sandbox.ok(["save", "--format", "oci-dir", "-o", "dir", "web:1"]);
    sandbox.ok(["save", "--format", "oci-dir", "-o", "dir", "other:2"]);
    // The same name once more is the same image once.
    sandbox.ok(["save", "--format", "oci-dir", "-o", "dir", "web:1"]);
    assert_eq!(run(sandbox.path(), "grep -o org.opencontainers.image.ref.name dir/index.json | wc -l").trim(), "2");
    assert_eq!(digest(sandbox.path(), "oci:dir:1"), digest(sandbox.path(), "oci:layout:web"));
    run(sandbox.path(), "umoci unpack --image dir:2 bundle >/dev/null 2>&1 && test $(cat bundle/rootfs/a) = a");
    let other = Sandbox::new();
    let dir = sandbox.path().join("dir");
    let loaded = other.ok(["load", "-i", dir.to_str().unwrap()]);
    assert_eq!(loaded, "Loaded image: other:2\nLoaded image: web:1\n");
    assert_eq!(other.ok(["rev-parse", "web:1"]), sandbox.ok(["rev-parse", "web:1"]));

    let stderr = sandbox.fails(2, ["save", "--format", "oci-dir", "web:1"]);
    assert!(stderr.contains("hint: give it with -o"), "{stderr}");
    std::fs::write(sandbox.path().join("dir/index.json"), "{}").unwrap();
    let stderr = sandbox.fails(2, ["save", "--format", "oci-dir", "-o", "dir", "web:1"]);
    assert!(stderr.contains("it has no list of manifests"), "{stderr}");
}

#[test]
fn a_commit_of_ones_own_goes_out_on_top_of_what_is_below() {
    let sandbox = layout();
    let base = sandbox.store().get_ref("refs/images/docker.io/library/web@1").unwrap().unwrap();
    let change = Change { parents: &[base], files: &[("etc/own", "mine\n")], ..Change::default() };
    sandbox.tag(sandbox.commit(&change), "own");
    for round in ["1.tar", "2.tar"] {
        sandbox.ok(["save", "--format", "oci", "-o", round, "own"]);
    }
    run(
        sandbox.path(),
        "cmp 1.tar 2.tar
        skopeo copy -q oci-archive:1.tar oci:theirs:own
        for blob in $(sed 's/.*layers//; s/sha256:/\\n/g' <(skopeo inspect --raw oci:layout:web) | grep -o '^[0-9a-f]\\{64\\}'); do
            cmp layout/blobs/sha256/$blob theirs/blobs/sha256/$blob
        done
        umoci unpack --image theirs:own bundle >/dev/null 2>&1",
    );
    sandbox.ok(["export", "-o", "own.tar", "own"]);
    run(
        sandbox.path(),
        "mkdir ours && tar -C ours -xpf own.tar && diff -r ours bundle/rootfs && test $(cat ours/etc/own) = mine",
    );
}

#[test]
fn a_layer_that_was_not_kept_is_compressed_anew_and_that_is_said() {
    let sandbox = layout();
    std::fs::remove_dir_all(sandbox.store_dir().join("blobs")).unwrap();
    let output = sandbox.rd(["save", "-o", "web.tar", "web:1"]).assert().success().get_output().stderr.clone();
    let output = String::from_utf8(output).unwrap();
    assert_eq!(output.matches("is compressed anew").count(), 2, "{output}");
    run(sandbox.path(), "skopeo copy -q docker-archive:web.tar dir:copy");
}

#[test]
fn a_reader_that_goes_ends_it_quietly() {
    let sandbox = layout();
    let rd = env!("CARGO_BIN_EXE_rd");
    let script =
        format!("{rd} --root {} save web:1 2>err | head -c 10 | wc -c; cat err", sandbox.store_dir().display());
    assert_eq!(run(sandbox.path(), &script), "10\n");
}

#[test]
fn what_there_is_not_is_not_saved() {
    let sandbox = layout();
    let stderr = sandbox.fails(2, ["save", "-o", "x.tar", "web:1", "web:2"]);
    assert!(stderr.starts_with("error: no such "), "{stderr}");
    assert!(!sandbox.path().join("x.tar").exists());
}

#[test]
fn a_collection_makes_compressed_layers_smaller_and_they_still_go_out_as_they_came() {
    let sandbox = layout();
    // As a pull of two weeks ago.
    let told = sandbox.ok(["gc", "--prune=now"]);
    assert!(told.contains("compressed layer made smaller"), "{told}");
    let forms = run(&sandbox.store_dir(), "find blobs -type f | sed 's/.*[.]//' | sort | uniq | paste -sd,");
    assert!(forms.contains("made") && !forms.contains("raw"), "{forms}");
    sandbox.ok(["fsck", "--full"]);
    sandbox.ok(["save", "--format", "oci", "-o", "oci.tar", "web:1"]);
    assert_eq!(digest(sandbox.path(), "oci-archive:oci.tar"), digest(sandbox.path(), "oci:layout:web"));
    run(sandbox.path(), "skopeo copy -q oci-archive:oci.tar oci:again:web");
    run(
        sandbox.path(),
        "cd layout/blobs/sha256 && for blob in *; do cmp $blob ../../../again/blobs/sha256/$blob; done",
    );
    // A layer that is there in whatever form isn't kept again.
    sandbox.ok(["load", "-q", "-i", "layout"]);
    assert_eq!(run(&sandbox.store_dir(), "find blobs -name '*.raw' | wc -l").trim(), "0");
}

#[test]
fn a_damaged_compressed_layer_is_found_and_goes_aside() {
    let sandbox = layout();
    run(
        &sandbox.store_dir(),
        "for file in blobs/*/*.raw; do printf x | dd of=$file bs=1 seek=20 conv=notrunc status=none; done",
    );
    let output = sandbox.rd(["fsck"]).assert().code(1).get_output().clone();
    let told = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert_eq!(told.matches("damaged compressed-layer sha256:").count(), 2, "{told}");
    sandbox.rd(["fsck", "--repair"]).assert().success();
    assert_eq!(run(&sandbox.store_dir(), "find blobs -type f | wc -l").trim(), "0");
    sandbox.ok(["fsck"]);
    sandbox.ok(["load", "-q", "-i", "layout"]);
    assert_eq!(run(&sandbox.store_dir(), "find blobs -type f | wc -l").trim(), "2");
}

#[test]
fn layers_that_no_image_has_any_more_are_collected() {
    let sandbox = layout();
    sandbox.ok(["save", "-o", "web.tar", "web:1"]);
    let blobs = || run(&sandbox.store_dir(), "find blobs -type f | wc -l").trim().parse::<u32>().unwrap();
    sandbox.ok(["gc", "--prune=now"]);
    assert_eq!(blobs(), 2);
    let info: serde_json::Value = serde_json::from_str(&sandbox.ok(["info", "--json"])).unwrap();
    assert_eq!(info["Rd"]["CompressedLayers"]["Files"], 2);
    sandbox.ok(["rmi", "web:1"]);
    sandbox.ok(["gc"]);
    assert_eq!(blobs(), 2, "the image can be brought back");
    let told = sandbox.ok(["gc", "--prune=now"]);
    assert!(told.contains("2 compressed layers removed"), "{told}");
    assert_eq!(blobs(), 0);
}

//! `rd load`

use crate::import::{git_agrees, sh, small_tar};
use crate::sandbox::Sandbox;

/// Make `image.tar`, a docker archive of one layer.
fn docker_archive(sandbox: &Sandbox, tags: &str) {
    small_tar(sandbox);
    sh(
        sandbox.path(),
        &format!(
            r#"id=$(sha256sum <small.tar | cut -d' ' -f1); mkdir -p a; cp small.tar a/layer.tar
            echo '{{"architecture":"amd64","os":"linux","config":{{}},"rootfs":{{"type":"layers","diff_ids":["sha256:'$id'"]}},"history":[{{"created_by":"ADD"}}]}}' >a/config.json
            echo '[{{"Config":"config.json","RepoTags":{tags},"Layers":["layer.tar"]}}]' >a/manifest.json
            tar -C a -cf image.tar layer.tar config.json manifest.json"#
        ),
    );
}

#[test]
fn load_prints_dockers_lines_and_names_the_images() {
    let sandbox = Sandbox::new();
    docker_archive(&sandbox, r#"["web:1","team/app:v2"]"#);
    assert_eq!(sandbox.ok(["load", "-i", "image.tar"]), "Loaded image: web:1\nLoaded image: team/app:v2\n");
    assert_eq!(sandbox.ok(["load", "--input", "image.tar", "-q"]), "");
    let names: Vec<_> = sandbox.store().list_refs("refs/").unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["refs/images/docker.io/library/web@1", "refs/images/docker.io/team/app@v2"]);
    git_agrees(&sandbox.store_dir());
}

#[test]
fn load_reads_standard_input_and_shows_the_id_of_a_nameless_image() {
    let sandbox = Sandbox::new();
    docker_archive(&sandbox, "null");
    let packed = sh(sandbox.path(), "gzip <image.tar");
    let output = sandbox.rd(["load"]).stdin(packed).assert().success().get_output().stdout.clone();
    let output = String::from_utf8(output).unwrap();
    let id = output.strip_prefix("Loaded image ID: sha256:").unwrap().trim_end();
    let log = sh(&sandbox.store_dir(), &format!("git log --format=%s {id}"));
    assert!(String::from_utf8(log).unwrap().ends_with("\nADD\n"));
}

#[test]
fn load_refuses_what_is_no_image() {
    let sandbox = Sandbox::new();
    small_tar(&sandbox);
    let stderr = sandbox.fails(2, ["load", "-i", "small.tar"]);
    assert!(stderr.contains("is it the tar of a root, for rd import?"), "{stderr}");
    let stderr = sandbox.fails(2, ["load", "-i", "none"]);
    assert!(stderr.starts_with("error: can't open 'none'"), "{stderr}");
    let stderr = sandbox.fails(2, ["load", "-i", "small.tar", "--platform", "a/b/c/d"]);
    assert!(stderr.contains("OS/ARCHITECTURE"), "{stderr}");
}

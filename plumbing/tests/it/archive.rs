//! Archives of whole images.

use std::os::unix::fs::symlink;
use std::path::Path;

use plumbing::archive::{Blobs, Loaded, Platform, load};
use plumbing::digest::Digest;
use plumbing::{Error, Id, Store};
use serde_json::{Value, json};

use crate::layer::{Place, git_agrees, pipe};
use crate::tarball::Tarball;

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

pub(crate) fn base() -> Vec<u8> {
    Tarball::default().dir("etc").file("etc/os", "debian").file("etc/old", "o").symlink("lib", "usr/lib").end()
}

pub(crate) fn upper() -> Vec<u8> {
    Tarball::default().file("etc/.wh.old", "").file("lib/x", "x").end()
}

pub(crate) fn config(layers: &[Vec<u8>], cmd: &str) -> Vec<u8> {
    let ids: Vec<_> = layers.iter().map(|layer| Digest::of(layer).to_string()).collect();
    let mut history = vec![json!({"created": "2024-05-01T10:30:00Z", "created_by": "ADD base /"})];
    history.extend((1..ids.len()).map(|_| json!({"created": "2024-05-01T10:31:00.5Z", "created_by": "RUN change"})));
    history.push(json!({"created": "2024-05-01T10:32:00Z", "created_by": format!("CMD {cmd}"), "empty_layer": true}));
    let config = json!({"architecture": "amd64", "os": "linux", "created": "2024-05-01T10:32:00Z", "x-own": {"b": 1, "a": [null]},
        "config": {"Cmd": [cmd]}, "rootfs": {"type": "layers", "diff_ids": ids}, "history": history});
    config.to_string().into_bytes()
}

/// An archive as `docker save` wrote before version 25: layers in folders, the list at the end.
pub(crate) fn docker(tags: &Value, layers: &[Vec<u8>], cmd: &str) -> Tarball {
    let config = config(layers, cmd);
    let name = format!("{}.json", Digest::of(&config).hex());
    let mut tar = Tarball::default();
    let mut paths = Vec::new();
    for (number, layer) in layers.iter().enumerate() {
        tar = tar.dir(&format!("{number}/")).entry(
            tar::EntryType::Regular,
            format!("{number}/layer.tar").as_bytes(),
            "",
            layer,
        );
        paths.push(format!("{number}/layer.tar"));
    }
    let list = json!([{"Config": name, "RepoTags": tags, "Layers": paths}]).to_string();
    tar.entry(tar::EntryType::Regular, name.as_bytes(), "", &config).file("manifest.json", &list)
}

/// An OCI layout in a folder, made blob by blob.
pub(crate) struct Layout<'p>(pub(crate) &'p Path);

impl Layout<'_> {
    pub(crate) fn blob(&self, bytes: &[u8], media_type: &str) -> Value {
        let digest = Digest::of(bytes);
        std::fs::create_dir_all(self.0.join("blobs/sha256")).unwrap();
        std::fs::write(self.0.join("blobs/sha256").join(digest.hex()), bytes).unwrap();
        json!({"mediaType": media_type, "digest": digest.to_string(), "size": bytes.len()})
    }

    pub(crate) fn manifest(&self, layers: &[Vec<u8>], packed: &[Vec<u8>], cmd: &str) -> Value {
        let config = self.blob(&config(layers, cmd), "application/vnd.oci.image.config.v1+json");
        let layers: Vec<_> =
            packed.iter().map(|layer| self.blob(layer, "application/vnd.oci.image.layer.v1.tar")).collect();
        let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers});
        self.blob(manifest.to_string().as_bytes(), MANIFEST)
    }

    pub(crate) fn index(&self, manifests: Value) {
        std::fs::write(self.0.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        std::fs::write(self.0.join("index.json"), json!({"schemaVersion": 2, "manifests": manifests}).to_string())
            .unwrap();
    }
}

pub(crate) fn named(mut descriptor: Value, key: &str, name: &str) -> Value {
    descriptor["annotations"] = json!({ key: name });
    descriptor
}

fn amd64() -> Platform {
    Platform::parse("linux/amd64").unwrap()
}

pub(crate) fn load_bytes(store: &Store, tar: &[u8]) -> Result<Vec<Loaded>, Error> {
    load(store, &Blobs::read(store, Box::new(std::io::Cursor::new(tar.to_vec())))?, &amd64())
}

pub(crate) fn load_dir(store: &Store, dir: &Path) -> Result<Vec<Loaded>, Error> {
    load(store, &Blobs::open(store, dir)?, &amd64())
}

pub(crate) fn first_parents(store: &Store, commit: Id) -> Vec<(Id, String)> {
    let mut commits = Vec::new();
    let mut next = Some(commit);
    while let Some(id) = next {
        let commit = store.read_commit(&id).unwrap();
        commits.push((id, commit.message.to_string()));
        next = commit.parents.first().copied();
    }
    commits
}

#[test]
fn a_docker_archive_becomes_a_commit_for_each_step_and_one_for_the_image() {
    let place = Place::new();
    let tar = docker(&json!(["web:1", "localhost:5000/web:1"]), &[base(), upper()], "sh").end();
    let loaded = load_bytes(&place.store, &tar).unwrap();
    assert_eq!(loaded.len(), 1);
    let names: Vec<_> = loaded[0].names.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["web:1", "localhost:5000/web:1"]);
    let commits = first_parents(&place.store, loaded[0].commit);
    let messages: Vec<_> = commits.iter().map(|(_, message)| message.as_str()).collect();
    let digest = Digest::of(&config(&[base(), upper()], "sh"));
    assert_eq!(messages, [&format!("image {digest}\n"), "CMD sh\n", "RUN change\n", "ADD base /\n"]);

    let image = place.store.read_commit(&commits[0].0).unwrap();
    assert_eq!(place.store.read_blob(&image.state.config).unwrap(), config(&[base(), upper()], "sh"));
    assert_eq!((image.state.layer, image.state.manifest), (None, None));
    assert_eq!(image.committer.time.seconds, 1_714_559_520);
    let step = place.store.read_commit(&commits[2].0).unwrap();
    assert_eq!(place.store.read_blob(&step.state.config).unwrap(), br#"{"architecture":"amd64","os":"linux"}"#);
    assert_eq!(step.committer.time.seconds, 1_714_559_460);
    let mut again = Vec::new();
    plumbing::layer::replay(&place.store, &step.state.layer.unwrap(), &mut again).unwrap();
    assert_eq!(again, upper());
    let listed = pipe(place.store.dir(), &format!("git ls-tree -r --name-only {}:rootfs", image.id), b"");
    assert_eq!(String::from_utf8(listed).unwrap(), "etc/os\nlib\nusr/lib/x\n");
    git_agrees(&place.store);
}

#[test]
fn the_same_layers_give_the_same_commits_in_every_kind_of_archive() {
    let place = Place::new();
    let layers = [base(), upper()];
    let docker_tar = docker(&json!(null), &layers, "sh").end();
    let from_docker = load_bytes(&place.store, &docker_tar).unwrap()[0].commit;
    let steps = &first_parents(&place.store, from_docker)[1..];

    let dir = place.path("layout");
    std::fs::create_dir(&dir).unwrap();
    let packed = [pipe(place.dir.path(), "gzip", &layers[0]), pipe(place.dir.path(), "zstd -q", &layers[1])];
    let layout = Layout(&dir);
    let manifest = layout.manifest(&layers, &packed, "sh");
    layout.index(json!([named(manifest, "org.opencontainers.image.ref.name", "web:2")]));
    let from_folder = load_dir(&place.store, &dir).unwrap();
    assert_eq!(from_folder[0].names[0].to_string(), "web:2");
    assert_eq!(&first_parents(&place.store, from_folder[0].commit)[1..], steps);
    let image = place.store.read_commit(&from_folder[0].commit).unwrap();
    let manifest = place.store.read_blob(&image.state.manifest.unwrap()).unwrap();
    assert!(manifest.starts_with(b"{\"schemaVersion\":2"));

    for pack in ["tar -cf - .", "tar -cf - . | gzip", "tar -cf - . | xz -1", "tar -cf - . | zstd -q"] {
        let other = Place::new();
        let tar = pipe(&dir, pack, b"");
        assert_eq!(load_bytes(&other.store, &tar).unwrap(), from_folder, "{pack}");
        std::fs::write(other.path("a.tar"), &tar).unwrap();
        assert_eq!(load_dir(&other.store, &other.path("a.tar")).unwrap(), from_folder, "{pack}");
    }

    let other = docker(&json!(["other:1"]), &[base()], "bash").end();
    let other = load_bytes(&place.store, &other).unwrap()[0].commit;
    assert_eq!(first_parents(&place.store, other).last(), steps.last(), "images share the commits of a common base");
    git_agrees(&place.store);
}

#[test]
fn of_several_platforms_the_wanted_one_is_taken() {
    let place = Place::new();
    let dir = place.path("layout");
    std::fs::create_dir(&dir).unwrap();
    let layout = Layout(&dir);
    let on = |mut descriptor: Value, os: &str, architecture: &str| {
        descriptor["platform"] = json!({"os": os, "architecture": architecture});
        descriptor
    };
    let inner = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [
        on(layout.manifest(&[base()], &[base()], "arm"), "linux", "arm64"),
        on(layout.manifest(&[base()], &[base()], "amd"), "linux", "amd64"),
        on(layout.manifest(&[base()], &[base()], "attestation"), "unknown", "unknown"),
    ]});
    let inner = layout.blob(inner.to_string().as_bytes(), INDEX);
    layout.index(json!([named(inner, "io.containerd.image.name", "docker.io/library/multi:1")]));
    let blobs = Blobs::open(&place.store, &dir).unwrap();
    for (platform, cmd) in [("linux/amd64", "amd"), ("arm64", "arm")] {
        let loaded = load(&place.store, &blobs, &Platform::parse(platform).unwrap()).unwrap();
        assert_eq!((loaded.len(), loaded[0].names[0].to_string().as_str()), (1, "multi:1"));
        let state = place.store.read_commit(&loaded[0].commit).unwrap().state;
        let config = plumbing::config::ImageConfig::parse(&place.store.read_blob(&state.config).unwrap()).unwrap();
        assert_eq!(config.execution().cmd(), [cmd]);
    }
    let error = load(&place.store, &blobs, &Platform::parse("linux/s390x").unwrap()).unwrap_err().to_string();
    assert!(error.contains("linux/arm64, linux/amd64"), "{error}");
}

#[test]
fn links_in_an_archive_lead_to_files_in_it() {
    let place = Place::new();
    let config = config(&[base(), base()], "sh");
    let list = json!([{"Config": "c.json", "RepoTags": ["a:1"], "Layers": ["1/layer.tar", "2/layer.tar"]}]).to_string();
    let tar = Tarball::default()
        .entry(tar::EntryType::Regular, b"1/layer.tar", "", &base())
        .symlink("2/layer.tar", "../1/layer.tar")
        .entry(tar::EntryType::Regular, b"c.json", "", &config)
        .file("manifest.json", &list);
    assert_eq!(load_bytes(&place.store, &tar.end()).unwrap().len(), 1);
}

/// A layout that is right, to be broken.
fn broken(what: impl FnOnce(&Layout<'_>, Value)) -> Error {
    let place = Place::new();
    let dir = place.path("layout");
    std::fs::create_dir(&dir).unwrap();
    let layout = Layout(&dir);
    let manifest = layout.manifest(&[base()], &[base()], "sh");
    layout.index(json!([manifest]));
    what(&layout, manifest);
    let error = load_dir(&place.store, &dir).unwrap_err();
    assert!(place.store.list_refs("refs/").unwrap().is_empty());
    git_agrees(&place.store);
    error
}

fn layer_file(layout: &Layout<'_>) -> std::path::PathBuf {
    layout.0.join("blobs/sha256").join(Digest::of(&base()).hex())
}

#[test]
fn nothing_in_a_layout_is_believed() {
    let flipped = || {
        let mut bytes = base();
        bytes[1026] ^= 1;
        bytes
    };
    let cases: Vec<(&str, Error)> = vec![
        ("sha256:", broken(|layout, _| std::fs::write(layer_file(layout), flipped()).unwrap())),
        ("bytes", broken(|layout, _| std::fs::write(layer_file(layout), [base(), vec![0; 512]].concat()).unwrap())),
        ("no such file", broken(|layout, _| std::fs::remove_file(layer_file(layout)).unwrap())),
        (
            "no regular file",
            broken(|layout, _| {
                std::fs::remove_file(layer_file(layout)).unwrap();
                pipe(layout.0, &format!("mkfifo {}", layer_file(layout).display()), b"");
            }),
        ),
        (
            "out of the folder",
            broken(|layout, _| {
                std::fs::write(layout.0.join("../outside"), base()).unwrap();
                std::fs::remove_file(layer_file(layout)).unwrap();
                symlink("../../../outside", layer_file(layout)).unwrap();
            }),
        ),
        (
            "out of the folder",
            broken(|layout, _| {
                std::fs::remove_file(layout.0.join("index.json")).unwrap();
                symlink("/etc/passwd", layout.0.join("index.json")).unwrap();
            }),
        ),
        (
            "decompressed it should be",
            broken(|layout, _| layout.index(json!([layout.manifest(&[base()], &[upper()], "sh")]))),
        ),
        (
            "lists 1 layers, the image has 2",
            broken(|layout, _| layout.index(json!([layout.manifest(&[base()], &[base(), upper()], "sh")]))),
        ),
        (
            "should be",
            broken(|layout, mut manifest| {
                manifest["size"] = json!(3);
                layout.index(json!([manifest]));
            }),
        ),
        (
            "sha512",
            broken(|layout, mut manifest| {
                manifest["digest"] = json!(format!("sha512:{}", "0".repeat(128)));
                layout.index(json!([manifest]));
            }),
        ),
        (
            "more than 4 deep",
            broken(|layout, manifest| {
                let mut inner = manifest;
                for _ in 0..6 {
                    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [inner]}).to_string();
                    inner = layout.blob(index.as_bytes(), INDEX);
                }
                layout.index(json!([inner]));
            }),
        ),
        ("image index", broken(|layout, _| std::fs::write(layout.0.join("index.json"), "[".repeat(100_000)).unwrap())),
        ("neither", broken(|layout, _| std::fs::remove_file(layout.0.join("oci-layout")).unwrap())),
    ];
    for (words, error) in cases {
        assert!(error.to_string().contains(words), "{words}: {error}");
    }
}

#[test]
fn a_docker_archive_that_lies_is_refused() {
    let place = Place::new();
    let list = |list: Value| Tarball::default().file("manifest.json", &list.to_string());
    let config_only = |config: &str| {
        list(json!([{"Config": "c", "RepoTags": null, "Layers": ["l"]}])).file("c", config).file("l", "")
    };
    let cases: Vec<(&str, Tarball)> = vec![
        ("no such file", list(json!([{"Config": "../../etc/passwd", "RepoTags": null, "Layers": []}]))),
        (
            "no such file",
            docker(&json!(null), &[], "sh")
                .file("manifest.json", &json!([{"Config": "none", "Layers": []}]).to_string()),
        ),
        ("no list of diff ids", config_only("{}")),
        ("no list of diff ids", config_only(r#"{"rootfs":{"diff_ids":7}}"#)),
        ("a diff id is no text", config_only(r#"{"rootfs":{"diff_ids":[7]}}"#)),
        ("invalid digest", config_only(r#"{"rootfs":{"diff_ids":["sha256:x"]}}"#)),
        ("lists 0 layers", config_only(r#"{"rootfs":{"diff_ids":[]}}"#)),
        ("invalid image configuration", config_only("[]")),
        (
            "decompressed it should be",
            config_only(&format!(r#"{{"rootfs":{{"diff_ids":["sha256:{}"]}}}}"#, "0".repeat(64))),
        ),
        ("invalid image name", docker(&json!(["../x:1"]), &[base()], "sh")),
        ("docker archive", list(json!({}))),
        ("links without end", list(json!([])).symlink("manifest.json", "manifest.json")),
        ("link out of the archive", list(json!([])).symlink("x", "../../etc/passwd")),
        ("more than", Tarball::default().entry(tar::EntryType::Regular, b"manifest.json", "", &vec![b' '; 9 << 20])),
    ];
    for (words, tar) in cases {
        let error = load_bytes(&place.store, &tar.end()).map_err(|error| error.to_string()).unwrap_err();
        assert!(error.contains(words) || (words == "more than" && error.contains("are allowed")), "{words}: {error}");
    }
    let cut = docker(&json!(null), &[base()], "sh").end();
    assert!(load_bytes(&place.store, &cut[..2000]).is_err());
    assert!(place.store.list_refs("refs/").unwrap().is_empty());
}

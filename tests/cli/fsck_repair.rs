//! `rd fsck --repair`: what another copy holds comes back, what is damaged goes aside, and nothing gets worse.

use std::collections::HashSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use plumbing::Store;
use plumbing::fsck::{Aside, Options, check, repair};
use plumbing::store::hash_content;

use crate::fsck::{damages, files_below, filled, overwrite};
use crate::sandbox::Sandbox;

/// What `rd fsck --repair --json` says: the findings, after it ended with `status`.
fn repaired(sandbox: &Sandbox, status: i32) -> Vec<serde_json::Value> {
    let output = sandbox.rd(["fsck", "--repair", "--json"]).assert().code(status).get_output().clone();
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    json["findings"].as_array().unwrap().clone()
}

/// All files that were put aside.
fn aside(sandbox: &Sandbox) -> Vec<PathBuf> {
    let folder = sandbox.store_dir().join("lost-found");
    if folder.exists() { files_below(&folder) } else { Vec::new() }
}

fn damage(sandbox: &Sandbox, text: &str) -> PathBuf {
    let path = sandbox.store().content_file(&hash_content(text.as_bytes()));
    overwrite(&path, b"something else");
    path
}

fn git_with_input(sandbox: &Sandbox, args: &[&str], input: &str) {
    let mut git =
        Command::new("git").arg("-C").arg(sandbox.store_dir()).args(args).stdin(Stdio::piped()).spawn().unwrap();
    git.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    assert!(git.wait().unwrap().success());
}

#[test]
fn a_content_comes_back_from_gits_database() {
    let sandbox = filled();
    git_with_input(&sandbox, &["hash-object", "-w", "--stdin"], "a program\n");
    let path = damage(&sandbox, "a program\n");
    let findings = repaired(&sandbox, 0);
    assert_eq!(findings[0]["kind"], "content");
    assert_eq!(findings[0]["repaired"], "restored from git's database");
    assert_eq!(std::fs::read(&path).unwrap(), b"a program\n");
    assert_eq!(std::fs::read(&aside(&sandbox)[0]).unwrap(), b"something else");
    assert_eq!(repaired(&sandbox, 0), Vec::<serde_json::Value>::new());
}

#[test]
fn a_content_comes_back_from_a_containers_files() {
    let sandbox = filled();
    let id = "0".repeat(64);
    let upper = sandbox.store_dir().join("containers").join(id).join("upper/tmp");
    std::fs::create_dir_all(&upper).unwrap();
    std::fs::write(upper.join("same size"), "a programm").unwrap();
    std::fs::write(upper.join("copy"), "a program\n").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", upper.join("link")).unwrap();
    let path = damage(&sandbox, "a program\n");
    let findings = repaired(&sandbox, 0);
    assert!(findings[0]["repaired"].as_str().unwrap().ends_with("/upper/tmp/copy'"), "{findings:?}");
    assert_eq!(std::fs::read(&path).unwrap(), b"a program\n");
}

#[test]
fn a_content_without_a_copy_goes_aside_and_comes_back_with_its_image() {
    let sandbox = filled();
    let path = damage(&sandbox, "a program\n");
    let findings = repaired(&sandbox, 1);
    assert_eq!(findings[0]["repaired"], "moved aside; no other copy was found");
    assert!(!path.exists());
    sandbox.commit(&crate::sandbox::Change { files: &[("p", "a program\n")], ..Default::default() });
    sandbox.rd(["fsck"]).assert().success();
}

#[test]
fn a_lost_index_is_made_again() {
    let sandbox = filled();
    let packs: Vec<PathBuf> = files_below(&sandbox.store_dir().join("objects/pack"));
    for index in packs.iter().filter(|path| path.extension().is_some_and(|extension| extension == "idx")) {
        std::fs::remove_file(index).unwrap();
    }
    sandbox.fails(1, ["fsck"]);
    repaired(&sandbox, 0);
    let git = Command::new("git").arg("-C").arg(sandbox.store_dir()).args(["fsck", "--strict"]).output().unwrap();
    assert!(git.status.success(), "{git:?}");
}

#[test]
fn the_index_of_a_pack_with_deltas_is_made_again() {
    let sandbox = filled();
    let long: String = (0..5_000).map(|number| format!("line {number}\n")).collect();
    for (name, text) in [("a:1", long.clone()), ("a:2", format!("{long}one more\n"))] {
        sandbox.image(name, &[("file", &text)]);
    }
    let packs = || -> HashSet<PathBuf> {
        let files = files_below(&sandbox.store_dir().join("objects/pack")).into_iter();
        files.filter(|path| path.extension().is_some_and(|extension| extension == "idx")).collect()
    };
    let known = packs();
    sandbox.ok(["repack", "--cold", "now"]);
    let made = packs();
    let index = made.difference(&known).next().unwrap();
    let listed = Command::new("git").args(["verify-pack", "--object-format=sha256", "-v"]).arg(index).output().unwrap();
    assert!(String::from_utf8(listed.stdout).unwrap().contains("chain length = 1"), "no delta was made");
    let before = std::fs::read(index).unwrap();
    overwrite(index, &before[..before.len() / 2]);
    repaired(&sandbox, 0);
    assert_eq!(std::fs::read(index).unwrap(), before);
}

#[test]
fn caches_are_made_again() {
    let sandbox = Sandbox::new();
    sandbox.busybox("box");
    sandbox.ok(["run", "--rm", "box", "true"]);
    sandbox.ok(["images"]);
    let mounts = files_below(&sandbox.store_dir().join("mounts"));
    let find = |word: &str| mounts.iter().find(|path| path.to_string_lossy().contains(word)).unwrap();
    let (image, filter) = (find(".erofs"), find("filter-"));
    let listings = sandbox.store_dir().join("cache/images");
    let right = std::fs::read(image).unwrap();
    for path in [image, filter, &listings] {
        let bytes = std::fs::read(path).unwrap();
        let wrong = if path == &listings {
            String::from_utf8(bytes).unwrap().replace(" 1714559400 ", " 1714559401 ").into_bytes()
        } else {
            bytes.iter().map(|byte| byte ^ 1).collect()
        };
        overwrite(path, &wrong);
        let findings = repaired(&sandbox, 0);
        assert_eq!((findings.len(), &findings[0]["kind"]), (1, &serde_json::json!("cache")), "{}", path.display());
    }
    assert_eq!(std::fs::read(image).unwrap(), right);
    sandbox.ok(["run", "--rm", "box", "true"]);
}

#[test]
fn a_checked_out_root_is_compared_with_its_image() {
    let sandbox = filled();
    let store = sandbox.store();
    let id = store.get_ref("refs/images/docker.io/library/web@1").unwrap().unwrap();
    let root = store.read_commit(&id).unwrap().state.root;
    let folder = store.mounts_dir().join(root.name().to_string());
    std::fs::create_dir(&folder).unwrap();
    let part = plumbing::root::Part::whole(&store, root).unwrap();
    plumbing::checkout::checkout(&store, &part, &folder).unwrap();
    sandbox.rd(["fsck"]).assert().success();
    std::fs::write(folder.join("srv/index"), "hullo\n").unwrap();
    let findings = repaired(&sandbox, 0);
    assert_eq!(findings[0]["why"], "the files in it are not those of its root");
}

#[test]
fn containers_are_made_whole() {
    let sandbox = Sandbox::new();
    sandbox.busybox("box");
    for name in ["one", "two", "three"] {
        sandbox.ok(["create", "--name", name, "box", "true"]);
    }
    let containers = sandbox.store_dir().join("containers");
    let folder = |name: &str| containers.join(std::fs::read_link(containers.join("names").join(name)).unwrap());
    let config = std::fs::read(folder("one").join("config.json")).unwrap();
    overwrite(&folder("one").join("config.json"), b"{");
    overwrite(&folder("two").join("state.json"), b"");
    std::fs::remove_dir_all(folder("three")).unwrap();
    // The others can be used meanwhile.
    assert!(sandbox.ok(["images"]).contains("box"));
    sandbox.ok(["ps", "-a"]);
    let findings = repaired(&sandbox, 0);
    assert_eq!(findings.len(), 3, "{findings:?}");
    let found: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder("one").join("config.json")).unwrap()).unwrap();
    assert_eq!(found, serde_json::from_slice::<serde_json::Value>(&config).unwrap());
    for name in ["one", "two"] {
        sandbox.ok(["start", name]);
    }
    sandbox.ok(["create", "--name", "three", "box", "true"]);
}

#[test]
fn a_lost_ref_comes_back_from_its_reflog() {
    let sandbox = filled();
    let path = sandbox.store_dir().join("refs/images/docker.io/library/web@1");
    let before = std::fs::read(&path).unwrap();
    for bytes in [None, Some(b"".as_slice()), Some(b"0123\n")] {
        match bytes {
            None => std::fs::remove_file(&path).unwrap(),
            Some(bytes) => overwrite(&path, bytes),
        }
        let findings = repaired(&sandbox, 0);
        assert!(findings[0]["repaired"].as_str().unwrap().starts_with("restored from its reflog"), "{findings:?}");
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }
}

/// Every file damaged in every way: what was sound before the repair is sound after it, and damaged bytes are kept.
#[test]
fn no_repair_makes_it_worse() {
    let sandbox = filled();
    let store = sandbox.store_dir();
    let options = Options::default();
    let copy = sandbox.path().join("copy");
    for path in files_below(&store) {
        let name = path.strip_prefix(&store).unwrap().to_string_lossy().into_owned();
        if ["description", "info/exclude", "config", "HEAD"].contains(&name.as_str()) {
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        for (damage, damaged) in damages(&name, &bytes) {
            let copied = Command::new("cp").args(["-a", "--"]).args([&store, &copy]).status();
            assert!(copied.unwrap().success());
            match &damaged {
                Some(bytes) => overwrite(&copy.join(&name), bytes),
                None => std::fs::remove_file(copy.join(&name)).unwrap(),
            }
            let opened = Store::open(&copy).unwrap();
            let before = check(&opened, options).unwrap();
            let aside = Aside::new(&copy);
            repair(&opened, &before, &aside).unwrap_or_else(|error| panic!("{name} {damage}: {error}"));
            let after = check(&Store::open(&copy).unwrap(), options).unwrap();
            let lost =
                |report: &plumbing::fsck::Report| report.findings.iter().filter(|finding| finding.id.is_some()).count();
            assert!(lost(&after) <= lost(&before), "{name} {damage}: {:?}\nthen {:?}", before.findings, after.findings);
            if let Some(damaged) = damaged
                .filter(|bytes| !bytes.is_empty() && std::fs::read(copy.join(&name)).ok().as_ref() != Some(bytes))
            {
                let kept = aside.used().map(|folder| files_below(&copy.join(folder))).unwrap_or_default();
                let kept = kept.iter().any(|file| std::fs::read(file).unwrap() == damaged);
                assert!(kept, "{name} {damage}: the damaged bytes are gone: {:?}", before.findings);
            }
            std::fs::remove_dir_all(&copy).unwrap();
        }
    }
}

#[test]
fn repair_of_a_sound_store_changes_nothing() {
    let sandbox = filled();
    let listing = |sandbox: &Sandbox| -> Vec<(PathBuf, Vec<u8>)> {
        let read = |path: PathBuf| (path.clone(), std::fs::read(path).unwrap());
        files_below(&sandbox.store_dir()).into_iter().map(read).collect()
    };
    let before = listing(&sandbox);
    assert_eq!(repaired(&sandbox, 0), Vec::<serde_json::Value>::new());
    assert_eq!(listing(&sandbox), before);
    assert!(!Path::new(&sandbox.store_dir()).join("lost-found").exists());
}

#[test]
fn a_content_comes_back_from_a_layer_that_is_kept() {
    let sandbox = Sandbox::new();
    let layout = sandbox.path().join("layout");
    let script = r#"mkdir -p root layout/blobs/sha256; echo precious >root/file; echo other >root/other
        put() { digest=$(sha256sum <"$1" | cut -d' ' -f1); size=$(stat -c %s "$1"); mv "$1" layout/blobs/sha256/$digest; }
        tar -C root -cf layer.tar file other; diff_id=$(sha256sum <layer.tar | cut -d' ' -f1)
        gzip -n layer.tar; put layer.tar.gz; layer=$digest layer_size=$size
        printf '{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' $diff_id >config
        put config; config=$digest config_size=$size; i=application/vnd.oci.image
        printf '{"schemaVersion":2,"config":{"mediaType":"%s","digest":"sha256:%s","size":%s},"layers":[{"mediaType":"%s","digest":"sha256:%s","size":%s}]}' \
            $i.config.v1+json $config $config_size $i.layer.v1.tar+gzip $layer $layer_size >manifest
        put manifest
        printf '{"schemaVersion":2,"manifests":[{"mediaType":"%s","digest":"sha256:%s","size":%s,"annotations":{"org.opencontainers.image.ref.name":"kept:1"}}]}' \
            $i.manifest.v1+json $digest $size >layout/index.json
        printf '{"imageLayoutVersion":"1.0.0"}' >layout/oci-layout"#;
    assert!(Command::new("sh").args(["-ec", script]).current_dir(sandbox.path()).status().unwrap().success());
    sandbox.ok(["load", "-i", layout.to_str().unwrap()]);
    let path = damage(&sandbox, "precious\n");
    std::fs::remove_file(sandbox.store().content_file(&hash_content(b"other\n"))).unwrap();
    let findings = repaired(&sandbox, 0);
    let restored =
        findings.iter().filter(|one| one["repaired"].as_str().unwrap().starts_with("restored from layer sha256:"));
    assert_eq!(restored.count(), 2, "{findings:?}");
    assert_eq!(std::fs::read(&path).unwrap(), b"precious\n");
    assert_eq!(repaired(&sandbox, 0), Vec::<serde_json::Value>::new());
}

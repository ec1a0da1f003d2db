//! Histories that travel beside images: `rd push` writes them, `rd pull` takes them.

use plumbing::artifact::Manifest;
use plumbing::digest::Digest;
use plumbing::{Error, Id, Store, travel};

use crate::sandbox::{Change, Sandbox};

/// An image that came from elsewhere, and two commits on top of it.
const BASE: Change<'_> = Change {
    parents: &[],
    files: &[("etc/a", "1"), ("etc/b", "2"), ("usr/bin/x", "program")],
    programs: &[],
    symlinks: &[("link", "etc/a")],
    links: &[],
    config: r#"{"architecture":"amd64","os":"linux"}"#,
    manifest: Some("{}"),
    message: "image",
    seconds: crate::sandbox::THEN,
};
const UPPER: &[(&str, &str)] = &[("etc/c", "3"), ("home/me/text", "mine")];

/// The sender's store and its commit.
fn sender() -> (Sandbox, Id) {
    let sandbox = Sandbox::new();
    let base = sandbox.commit(&BASE);
    let first = sandbox.commit(&Change { parents: &[base], files: &UPPER[..1], message: "first", ..Change::default() });
    let tip = sandbox.commit(&Change { parents: &[first], files: &UPPER[1..], message: "second", ..Change::default() });
    (sandbox, tip)
}

/// A store that has the files of the sender's image, as it has after a pull of its layers; and that image.
fn receiver() -> (Sandbox, Id) {
    let sandbox = Sandbox::new();
    let files = [BASE.files, UPPER].concat();
    let image = sandbox.commit(&Change { files: &files, message: "pulled", ..BASE });
    sandbox.tag(image, "pulled");
    (sandbox, image)
}

fn encode(store: &Store, commit: &Id) -> Vec<u8> {
    let mut blob = Vec::new();
    travel::encode(store, commit, &mut blob).unwrap();
    blob
}

#[test]
fn the_very_commits_arrive() {
    let (from, tip) = sender();
    let (into, image) = receiver();
    assert!(travel::is_needed(&from.store(), &tip).unwrap());
    let blob = encode(&from.store(), &tip);
    assert_eq!(blob, encode(&from.store(), &tip), "equal commits give equal bytes");
    travel::receive(&into.store(), &image, &tip, &blob[..]).unwrap();
    into.tag(tip, "app");
    assert_eq!(into.ok(["log", "--format=%H %s", "app"]), {
        from.tag(tip, "app");
        from.ok(["log", "--format=%H %s", "app"])
    });
    assert_eq!(into.ok(["cat-file", "-p", "app:/home/me/text"]), "mine");
    assert_eq!(into.ok(["fsck"]), "");
    let git =
        std::process::Command::new("git").arg("--git-dir").arg(into.store_dir()).args(["fsck", "--strict"]).status();
    assert!(git.unwrap().success());
}

#[test]
fn files_of_merged_lines_travel_along() {
    let (from, tip) = sender();
    let side = from.commit(&Change { files: &[("only/here", "side")], ..Change::default() });
    let merge = from.commit(&Change { parents: &[tip, side], message: "merge", ..Change::default() });
    let (into, image) = receiver();
    travel::receive(&into.store(), &image, &merge, &encode(&from.store(), &merge)[..]).unwrap();
    into.tag(merge, "app");
    assert_eq!(into.ok(["cat-file", "-p", "app^2:/only/here"]), "side");
    assert_eq!(into.ok(["fsck"]), "");
}

#[test]
fn a_history_is_of_the_image_that_it_comes_with() {
    let (from, tip) = sender();
    let other = from.commit(&Change { parents: &[tip], files: &[("evil", "x")], ..Change::default() });
    let config = r#"{"architecture":"amd64","os":"linux","config":{"User":"me"}}"#;
    let configured = from.commit(&Change { parents: &[tip], config, ..Change::default() });
    let good = encode(&from.store(), &tip);
    let flipped = {
        let mut blob = good.clone();
        let at = blob.len() / 2;
        blob[at] ^= 1;
        blob
    };
    for (what, commit, blob) in [
        ("another commit than the image names", other, good.clone()),
        ("files that came with no layer", other, encode(&from.store(), &other)),
        ("another configuration", configured, encode(&from.store(), &configured)),
        ("a bit that was flipped", tip, flipped),
        ("half of it", tip, good[..good.len() / 2].to_vec()),
        ("nothing", tip, Vec::new()),
        ("no bundle", tip, zstd_of(b"PACK")),
    ] {
        let (into, image) = receiver();
        let outcome: Result<(), Error> = travel::receive(&into.store(), &image, &commit, &blob[..]);
        assert!(outcome.is_err(), "{what}");
        assert_eq!(into.ok(["for-each-ref", "--format=%(refname)"]), "refs/images/docker.io/library/pulled@latest\n");
    }
    // The files of another image.
    let (into, _) = receiver();
    let strange = into.image("strange", &[("z", "1")]);
    assert!(travel::receive(&into.store(), &strange, &tip, &good[..]).is_err());
}

/// Compressed by the program, as another client might.
fn zstd_of(bytes: &[u8]) -> Vec<u8> {
    let output = snapbox::cmd::Command::new("zstd").args(["-q", "-c"]).stdin(bytes.to_vec()).output().unwrap();
    output.stdout
}

#[test]
fn the_manifest_says_what_it_is_of() {
    let (from, tip) = sender();
    let blob = encode(&from.store(), &tip);
    let digest = Digest::of(&blob);
    let subject = ("application/vnd.oci.image.manifest.v1+json", Digest::of(b"image"), 5);
    let bytes = travel::manifest(&tip, subject, (digest, blob.len() as u64));
    let manifest = Manifest::parse(&bytes, None).unwrap();
    assert_eq!(manifest.subject.as_ref().unwrap().digest, Digest::of(b"image"));
    assert_eq!(travel::commit(&manifest), Some(tip));
    let found = travel::blob(&manifest).unwrap();
    assert_eq!((found.digest, found.size), (digest, blob.len() as u64));
    // Another artifact isn't taken for one.
    let other = String::from_utf8(bytes).unwrap().replace(travel::ARTIFACT_TYPE, "application/vnd.example");
    assert_eq!(travel::blob(&Manifest::parse(other.as_bytes(), None).unwrap()), None);
}

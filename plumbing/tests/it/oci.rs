//! Commits as images for registries.

use std::io::{Read, Write};
use std::path::Path;

use plumbing::commit::{NewCommit, State, neutral_signature, signature};
use plumbing::digest::Digest;
use plumbing::layer::{Form, Unpacker, compression};
use plumbing::oci::{COMMIT, Encoding, Image, Layer, Manifest};
use plumbing::{Error, Id, Store};
use serde_json::{Value, json};

use crate::archive::{Layout, base, config, docker, load_bytes, load_dir, upper};
use crate::layer::Place;
use crate::tarball::Tarball;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A layout with one image; its manifest's digest.
fn layout(dir: &Path, packed: &[Vec<u8>]) -> Digest {
    let layout = Layout(dir);
    let manifest = layout.manifest(&[base(), upper()], packed, "sh");
    let digest = manifest["digest"].as_str().unwrap().parse().unwrap();
    layout.index(json!([manifest]));
    digest
}

fn loaded(place: &Place, packed: &[Vec<u8>]) -> (Id, Digest) {
    let dir = tempfile::tempdir().unwrap();
    let digest = layout(dir.path(), packed);
    (load_dir(&place.store, dir.path()).unwrap()[0].commit, digest)
}

fn bytes_of(store: &Store, layer: &Layer) -> Vec<u8> {
    let mut bytes = Vec::new();
    layer.reader(store, 0).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

fn unpacked(bytes: &[u8]) -> Vec<u8> {
    let (how, reader) = compression::sniff(bytes).unwrap();
    let mut out = Vec::new();
    compression::decompress(how, reader).unwrap().read_to_end(&mut out).unwrap();
    out
}

/// A commit on top of `parent` that lays `tar` over it, as `rd commit` would write it.
fn commit_on(store: &Store, parent: Id, tar: &[u8], message: &str) -> Id {
    let below = store.read_commit(&parent).unwrap();
    let mut batch = store.batch();
    let root = plumbing::root::Root::open(store, &below.state.root).unwrap();
    let mut unpacker = Unpacker::on(&mut batch, root);
    unpacker.unpack(Box::new(std::io::Cursor::new(tar.to_vec())), Form::Layer).unwrap();
    let root = unpacker.write_root().unwrap();
    let config = br#"{"created":"2025-01-01T00:00:00Z","architecture":"amd64","os":"linux","config":{"Cmd":["ls"]}}"#;
    let config = batch.write_blob(config).unwrap();
    let state = State { root, config, manifest: None, layer: None, container: None };
    let who = signature("me", "me@here", 1_735_689_600);
    let new = NewCommit { parents: vec![parent], author: who.clone(), committer: who, message: message.into() };
    let id = batch.write_commit(&state, new).unwrap();
    batch.finish().unwrap();
    id
}

#[test]
fn an_image_that_came_from_elsewhere_is_the_very_same_again() {
    let place = Place::new();
    let packed = [gzip(&base()), zstd::encode_all(&upper()[..], 5).unwrap()];
    let (commit, digest) = loaded(&place, &packed);
    let image = Image::of(&place.store, &commit, None).unwrap();
    assert!(image.is_exact());
    assert_eq!(image.digest(), digest);
    assert_eq!(image.config(), config(&[base(), upper()], "sh"));
    let ids: Vec<Digest> = image.layers().iter().map(Layer::diff_id).collect();
    assert_eq!(ids, [Digest::of(&base()), Digest::of(&upper())]);
    for (layer, packed) in image.layers().iter().zip(&packed) {
        assert!(layer.is_here(&place.store).unwrap());
        assert!(bytes_of(&place.store, layer) == *packed);
        let (mut rest, size) = image.blob(&place.store, &layer.descriptor().digest, 7).unwrap().unwrap();
        let mut bytes = Vec::new();
        rest.read_to_end(&mut bytes).unwrap();
        assert!(bytes == packed[7..] && size == packed.len() as u64);
    }
    assert!(image.blob(&place.store, &Digest::of(b"other"), 0).unwrap().is_none());
}

#[test]
fn a_compressed_layer_that_was_not_kept_is_missed() {
    let place = Place::new();
    let (commit, _) = loaded(&place, &[gzip(&base()), upper()]);
    std::fs::remove_dir_all(place.store.blobs_dir()).unwrap();
    let image = Image::of(&place.store, &commit, None).unwrap();
    let here: Vec<bool> = image.layers().iter().map(|layer| layer.is_here(&place.store).unwrap()).collect();
    assert_eq!(here, [false, true]);
    assert!(bytes_of(&place.store, &image.layers()[1]) == upper());
    assert!(matches!(image.layers()[0].reader(&place.store, 0), Err(Error::NotFound { .. })));
    // Compressed anew it can still go.
    let image = Image::of(&place.store, &commit, Some(Encoding::default())).unwrap();
    assert!(!image.is_exact());
    assert!(unpacked(&bytes_of(&place.store, &image.layers()[0])) == base());
}

#[test]
fn an_image_of_a_docker_archive_keeps_its_configuration() {
    let place = Place::new();
    let tar = docker(&json!(["web:1"]), &[base(), upper()], "sh").end();
    let commit = load_bytes(&place.store, &tar).unwrap()[0].commit;
    let image = Image::of(&place.store, &commit, None).unwrap();
    assert!(!image.is_exact());
    assert_eq!(image.config(), config(&[base(), upper()], "sh"));
    let manifest = Manifest::parse(image.manifest()).unwrap();
    assert_eq!(manifest.annotations.unwrap()[COMMIT], commit.to_string());
    assert_eq!(manifest.config.digest, Digest::of(image.config()));
    for (layer, tar) in image.layers().iter().zip([base(), upper()]) {
        let bytes = bytes_of(&place.store, layer);
        assert_eq!((Digest::of(&bytes), bytes.len() as u64), (layer.descriptor().digest, layer.descriptor().size));
        assert!(unpacked(&bytes) == tar);
    }
}

#[test]
fn a_commit_gives_the_same_image_in_every_store_and_whether_remembered_or_not() {
    let first = |place: &Place| {
        let (below, _) = loaded(place, &[gzip(&base()), gzip(&upper())]);
        commit_on(&place.store, below, &Tarball::default().file("etc/new", "n").file("etc/.wh.os", "").end(), "change")
    };
    let (a, b) = (Place::new(), Place::new());
    let (commit, other) = (first(&a), first(&b));
    assert_eq!(commit, other);
    for encoding in [None, Some(Encoding::Gzip(1)), Some(Encoding::Zstd(1))] {
        let image = Image::of(&a.store, &commit, encoding).unwrap();
        let remembered = Image::of(&a.store, &commit, encoding).unwrap();
        let elsewhere = Image::of(&b.store, &commit, encoding).unwrap();
        assert_eq!(image.digest(), elsewhere.digest());
        assert_eq!(image.digest(), remembered.digest());
        for (one, again) in image.layers().iter().zip(remembered.layers()) {
            assert!(bytes_of(&a.store, one) == bytes_of(&a.store, again));
        }
    }
}

#[test]
fn commits_above_an_image_become_layers_and_history_above_its_own() {
    let place = Place::new();
    let packed = [gzip(&base()), gzip(&upper())];
    let (below, _) = loaded(&place, &packed);
    let same = commit_on(&place.store, below, &Tarball::default().end(), "create box from web");
    let change = Tarball::default().file("etc/new", "n").file("etc/.wh.os", "").end();
    let commit = commit_on(&place.store, same, &change, "what I did");
    let image = Image::of(&place.store, &commit, None).unwrap();
    assert_eq!(image.layers().len(), 3);
    for (layer, packed) in image.layers().iter().zip(&packed) {
        assert!(bytes_of(&place.store, layer) == *packed);
    }
    let config: Value = serde_json::from_slice(image.config()).unwrap();
    assert_eq!(config["config"], json!({"Cmd": ["ls"]}));
    assert_eq!(config["rootfs"]["diff_ids"].as_array().unwrap().len(), 3);
    let history = config["history"].as_array().unwrap();
    let said: Vec<_> = history.iter().map(|entry| entry["created_by"].as_str().unwrap()).collect();
    assert_eq!(said, ["ADD base /", "RUN change", "CMD sh", "create box from web", "what I did"]);
    assert_eq!(
        history[4],
        json!({"created": "2025-01-01T00:00:00Z", "created_by": "what I did", "author": "me <me@here>"})
    );
    assert_eq!(history[3]["empty_layer"], true);

    // What another engine makes of it is the root that the commit has.
    let other = Place::new();
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout(dir.path());
    layout.blob(image.config(), "");
    image.layers().iter().for_each(|layer| drop(layout.blob(&bytes_of(&place.store, layer), "")));
    layout.index(json!([layout.blob(image.manifest(), plumbing::oci::OCI_MANIFEST)]));
    let arrived = load_dir(&other.store, dir.path()).unwrap()[0].commit;
    let root = |store: &Store, id| store.read_commit(id).unwrap().state.root;
    assert_eq!(root(&other.store, &arrived), root(&place.store, &commit));
}

#[test]
fn a_commit_without_an_image_below_it_is_all_its_own() {
    let place = Place::new();
    let wishes = plumbing::import::Wishes::default();
    let source = Box::new(std::io::Cursor::new(base()));
    let commit = plumbing::import::import(&place.store, source, &wishes).unwrap().commit;
    let image = Image::of(&place.store, &commit, Some(Encoding::Zstd(3))).unwrap();
    assert_eq!(image.layers().len(), 1);
    assert_eq!(image.layers()[0].descriptor().media_type, "application/vnd.oci.image.layer.v1.tar+zstd");
    assert!(unpacked(&bytes_of(&place.store, &image.layers()[0])) == base());
    let config: Value = serde_json::from_slice(image.config()).unwrap();
    assert_eq!(config["rootfs"], json!({"type": "layers", "diff_ids": [Digest::of(&base()).to_string()]}));
    assert!(config["history"][0].get("author").is_none());

    // Nothing at all is an image without layers.
    let mut batch = place.store.batch();
    let root = Unpacker::new(&mut batch).write_root().unwrap();
    let config = batch.write_blob(b"{}").unwrap();
    let state = State { root, config, manifest: None, layer: None, container: None };
    let who = neutral_signature(0);
    let new = NewCommit { parents: Vec::new(), author: who.clone(), committer: who, message: "nothing".into() };
    let commit = batch.write_commit(&state, new).unwrap();
    batch.finish().unwrap();
    let image = Image::of(&place.store, &commit, None).unwrap();
    assert!(image.layers().is_empty());
    let config: Value = serde_json::from_slice(image.config()).unwrap();
    assert_eq!(config["created"], "1970-01-01T00:00:00Z");
}

#[test]
fn a_remembered_digest_that_is_wrong_never_goes_out_as_a_whole_layer() {
    let place = Place::new();
    let tar = docker(&json!(null), &[base()], "sh").end();
    let commit = load_bytes(&place.store, &tar).unwrap()[0].commit;
    let digest = Image::of(&place.store, &commit, None).unwrap().layers()[0].descriptor().digest;
    let cache = place.store.dir().join("cache/layers");
    let text = std::fs::read_to_string(&cache).unwrap();
    std::fs::write(&cache, text.replace(&digest.hex(), &Digest::of(b"x").hex())).unwrap();
    let image = Image::of(&place.store, &commit, None).unwrap();
    let mut bytes = Vec::new();
    let error = image.layers()[0].reader(&place.store, 0).unwrap().read_to_end(&mut bytes).unwrap_err();
    assert!(error.to_string().contains("damaged"), "{error}");
}

#[test]
fn what_is_compressed_has_the_digests_of_the_page() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/oci.md")).unwrap();
    let (_, rest) = page.split_once("\n```vectors encodings\n").unwrap();
    let bytes: Vec<u8> = (0..3_000_000u64).map(|number| (number * number / 1000 % 251) as u8).collect();
    let found: String = rest[..rest.find("```").unwrap()]
        .lines()
        .map(|line| {
            let name = line.split(' ').next().unwrap();
            let mut encoder = name.parse::<Encoding>().unwrap().encoder(Vec::new()).unwrap().unwrap();
            encoder.write_all(&bytes).unwrap();
            format!("{name}  {}\n", Digest::of(&encoder.finish().unwrap()))
        })
        .collect();
    assert_eq!(found, rest[..found.len()], "another version of a library compresses otherwise: say so in docs/oci.md");
}

#[test]
fn other_readers_find_single_files_in_a_zstd_chunked_layer() {
    let place = Place::new();
    let big = "0123456789abcdef".repeat(20_000);
    let tar = Tarball::default()
        .dir("etc")
        .file("etc/os", "debian")
        .file("etc/empty", "")
        .file("big", &big)
        .symlink("lib", "usr/lib")
        .file("last", "l")
        .end();
    let wishes = plumbing::import::Wishes::default();
    let commit =
        plumbing::import::import(&place.store, Box::new(std::io::Cursor::new(tar.clone())), &wishes).unwrap().commit;
    let encoding = "zstd:chunked".parse().unwrap();
    let image = Image::of(&place.store, &commit, Some(encoding)).unwrap();
    let layer = &image.layers()[0];
    let bytes = bytes_of(&place.store, layer);
    assert!(unpacked(&bytes) == tar, "readers of zstd see the tar");
    let again = Image::of(&place.store, &commit, Some(encoding)).unwrap();
    assert_eq!(again.digest(), image.digest());
    assert!(bytes_of(&place.store, &again.layers()[0]) == bytes);

    let annotations = layer.descriptor().annotations.clone().unwrap();
    let found = zstd_chunked::MetadataReferences::from_oci(|key| annotations.get(key)).unwrap();
    let footer = zstd_chunked::MetadataReferences::from_footer(&bytes[bytes.len() - 72..]).unwrap();
    assert_eq!((&found.manifest.range, &found.tarsplit.range), (&footer.manifest.range, &footer.tarsplit.range));
    let part = |range: &std::ops::Range<u64>| &bytes[range.start as usize..range.end as usize];
    for part_of in [&found.manifest, &found.tarsplit] {
        assert_eq!(*part_of.digest.as_ref().unwrap(), Digest::of(part(&part_of.range)).to_string());
    }
    let stream =
        zstd_chunked::Stream::new_from_frames(part(&found.manifest.range), part(&found.tarsplit.range)).unwrap();
    assert_eq!(stream.references().count(), 3);
    let mut back = Vec::new();
    let resolve = |content: &zstd_chunked::ContentReference| {
        let file = zstd::decode_all(part(&content.range)).unwrap();
        assert_eq!(content.digest, Digest::of(&file).to_string());
        Ok(file)
    };
    stream.write_to(&mut back, resolve).unwrap();
    assert!(back == tar);
}

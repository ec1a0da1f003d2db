//! Compressed layers that are made again from what their compressor chose.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use plumbing::Store;
use plumbing::archive::{Blobs, Platform, load};
use plumbing::blobs::{Shrunk, shrink};
use plumbing::digest::Digest;
use plumbing::store::refs::Expect;
use serde_json::json;

use crate::archive::{Layout, base};
use crate::layer::Place;
use crate::tarball::Tarball;

/// A layer with something to compress.
fn tar(seed: u64) -> Vec<u8> {
    let words = ["container", "image", "layer", "commit", "\n", "digest", " ", "registry ", "0", "x"];
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    let text: String = (0..120_000).map(|_| words[next() % words.len()]).collect();
    Tarball::default().file("text", &text).end()
}

/// What a program makes of some bytes.
fn through(program: &str, args: &[&str], bytes: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program).args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&bytes).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success());
    output.stdout
}

/// A store with an image of these layers, the compressed bytes of each given.
fn loaded(layers: &[(Vec<u8>, Vec<u8>)]) -> Place {
    let place = Place::new();
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout(dir.path());
    let (plain, packed): (Vec<_>, Vec<_>) = layers.iter().cloned().unzip();
    layout.index(json!([layout.manifest(&plain, &packed, "sh")]));
    let blobs = Blobs::open(&place.store, dir.path()).unwrap();
    let commit = load(&place.store, &blobs, &Platform::parse("linux/amd64").unwrap()).unwrap()[0].commit;
    place.store.update_ref("refs/images/x/y@z", commit, Expect::Any, "load").unwrap();
    place
}

fn shrink_all(store: &Store) -> Shrunk {
    let _hold = store.hold().unwrap();
    shrink(store, i64::MAX, Duration::MAX).unwrap()
}

fn bytes(store: &Store, digest: &Digest, offset: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    let kept = store.find_blob(digest).unwrap().unwrap();
    kept.reader(store, offset).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn what_compressors_wrote_comes_back_bit_for_bit() {
    let gzip = |level: &str, seed| {
        let tar = tar(seed);
        let packed = through("gzip", &["-c", "-n", level], &tar);
        (tar, packed)
    };
    // Two members, and this crate's own.
    let first = tar(5);
    let members =
        [through("gzip", &["-c", "-1"], &first[..3000]), through("gzip", &["-c", "-6"], &first[3000..])].concat();
    let mut own = plumbing::oci::Encoding::default().encoder(Vec::new()).unwrap().unwrap();
    own.write_all(&tar(7)).unwrap();
    let zstd = (tar(8), zstd::encode_all(&tar(8)[..], 3).unwrap());
    let layers = [
        gzip("-1", 1),
        gzip("-6", 2),
        gzip("-9", 3),
        (first, members),
        (tar(7), own.finish().unwrap()),
        zstd,
        (base(), base()),
    ];
    let place = loaded(&layers);
    let before: u64 = layers.iter().take(5).map(|(_, packed)| packed.len() as u64).sum();
    let shrunk = shrink_all(&place.store);
    assert!(shrunk.layers >= 4, "{shrunk:?}");
    assert!(shrunk.freed > before / 2, "{shrunk:?} of {before}");
    for (_, packed) in layers.iter().take(6) {
        let digest = Digest::of(packed);
        assert!(bytes(&place.store, &digest, 0) == *packed);
        assert!(bytes(&place.store, &digest, 1234) == packed[1234..]);
        assert_eq!(place.store.find_blob(&digest).unwrap().unwrap().size(), packed.len() as u64);
    }
    // What can't be made smaller isn't tried again.
    assert_eq!(shrink_all(&place.store), Shrunk::default());
}

#[test]
fn what_is_young_or_has_no_image_stays_as_it_is() {
    let tar = tar(1);
    let packed = through("gzip", &["-c"], &tar);
    let place = loaded(&[(tar, packed.clone())]);
    let _hold = place.store.hold().unwrap();
    assert_eq!(shrink(&place.store, 0, Duration::MAX).unwrap(), Shrunk::default());
    let id = place.store.get_ref("refs/images/x/y@z").unwrap().unwrap();
    place.store.delete_ref("refs/images/x/y@z", id).unwrap();
    assert_eq!(shrink_all(&place.store), Shrunk::default());
    assert!(bytes(&place.store, &Digest::of(&packed), 0) == packed);
}

#[test]
fn a_damaged_recipe_of_a_compressed_layer_is_an_error_and_no_layer() {
    let tar = tar(1);
    let packed = through("gzip", &["-c"], &tar);
    let place = loaded(&[(tar, packed.clone())]);
    assert_eq!(shrink_all(&place.store).layers, 1);
    let digest = Digest::of(&packed);
    let hex = digest.hex();
    let file = place.store.blobs_dir().join(&hex[..2]).join(format!("{}.made", &hex[2..]));
    let whole = std::fs::read(&file).unwrap();
    let read = |text: &[u8]| {
        std::fs::write(&file, text).unwrap();
        let kept = place.store.find_blob(&digest)?.unwrap();
        kept.reader(&place.store, 0)?.read_to_end(&mut Vec::new()).map_err(plumbing::Error::io("read", "layer"))
    };
    assert_eq!(read(&whole).unwrap(), packed.len());
    for cut in [0, 5, 30, 100, whole.len() / 2, whole.len() - 1] {
        assert!(read(&whole[..cut]).is_err(), "{cut}");
    }
    let garbled = [&whole[..whole.len() - 20], &b"raw 99999999999999\n"[..]].concat();
    assert!(read(&garbled).is_err());
    let other = String::from_utf8_lossy(&whole[..10]).replace('1', "2");
    assert!(matches!(read(other.as_bytes()), Err(plumbing::Error::Unsupported { .. })));
}

#[test]
fn a_layer_that_was_damaged_meanwhile_never_becomes_another() {
    let tar = tar(1);
    let packed = through("gzip", &["-c"], &tar);
    let place = loaded(&[(tar, packed.clone())]);
    let hex = Digest::of(&packed).hex();
    let raw = place.store.blobs_dir().join(&hex[..2]).join(format!("{}.raw", &hex[2..]));
    let mut bytes = packed;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x55;
    std::fs::write(&raw, &bytes).unwrap();
    assert_eq!(shrink_all(&place.store), Shrunk::default());
    assert!(std::fs::read(raw.with_extension("kept")).unwrap() == bytes);
}

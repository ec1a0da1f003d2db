//! Compressed layers: each is what its name says, or makes it.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::Issues;
use crate::blobs::{MADE, files};
use crate::digest::{Digest, Hasher};
use crate::{Result, Store};

/// Compare the layers with their digests; those that are made of others only where `full`.
pub(super) fn check(store: &Store, full: bool, issues: &mut Issues) -> Result<()> {
    for (digest, form, path) in files(store)? {
        if form == MADE && !full {
            continue;
        }
        if let Some(why) = damage(store, &digest, form, &path) {
            let place = path.strip_prefix(store.dir()).unwrap_or(&path);
            issues.add_at(place, "damaged", format!("compressed-layer {digest}"), why);
        }
    }
    Ok(())
}

/// What is wrong with a layer.
fn damage(store: &Store, digest: &Digest, form: &str, path: &Path) -> Option<String> {
    let mut reader: Box<dyn Read> = match form {
        MADE => match store.find_blob(digest).and_then(|kept| kept.map(|kept| kept.reader(store, 0)).transpose()) {
            Ok(Some(reader)) => reader,
            Ok(None) => return None,
            Err(error) => return Some(error.to_string()),
        },
        _ => match File::open(path) {
            Ok(file) => Box::new(file),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
            Err(error) => return Some(error.to_string()),
        },
    };
    let (mut hasher, mut buffer) = (Hasher::default(), vec![0; 256 << 10]);
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => hasher.update(&buffer[..length]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Some(error.to_string()),
        }
    }
    let found = hasher.finish();
    (found != *digest).then(|| format!("it is {found}"))
}

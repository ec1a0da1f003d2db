//! Images into archives: docker's, OCI's, and OCI layout folders.
//!
//! All of them are OCI layouts with the images' exact bytes; docker's archive also has docker's list, which leads to the same
//! blobs. So every engine finds what it looks for, and digests stay what they are.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use serde_json::{Value, json};
use tar::{EntryType, Header};

use super::oci::{FULL_NAME, INDEX, MARK, REF_NAME};
use super::{Blobs, docker};
use crate::config::LIMIT;
use crate::digest::Digest;
use crate::oci::{Descriptor, Image};
use crate::store::sync;
use crate::{Error, ImageName, Result, Store};

/// What a layout says of itself.
const LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// What kind of archive to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// An OCI layout that docker's older versions read too.
    Docker,
    /// An OCI layout alone.
    Oci,
}

/// An image and the names that it has in an archive.
pub struct Named {
    /// The image.
    pub image: Image,
    /// Its names; an image without any is found by its digest.
    pub names: Vec<ImageName>,
}

/// Write an archive of the images. Equal images give equal bytes.
pub fn save(store: &Store, images: &[Named], shape: Shape, out: &mut dyn Write) -> Result<()> {
    let mut tar = Tar { out };
    tar.folder("blobs/")?;
    tar.folder("blobs/sha256/")?;
    each_blob(store, images, |descriptor, reader| tar.entry(&blob_path(&descriptor.digest), descriptor.size, reader))?;
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": listed(images) });
    tar.small(INDEX, index.to_string().as_bytes())?;
    if shape == Shape::Docker {
        tar.small(
            docker::MANIFEST,
            Value::from(images.iter().map(docker_entry).collect::<Vec<_>>()).to_string().as_bytes(),
        )?;
    }
    tar.small(MARK, LAYOUT)?;
    tar.out.write_all(&[0; 1024]).map_err(Error::io("write", "archive"))
}

const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";

/// Put the images into the layout folder `dir`, which is made where it is missing. What is there stays, but for the names that
/// the images take over. The index is replaced last, in one step.
pub fn save_layout(store: &Store, images: &[Named], dir: &Path) -> Result<()> {
    let blobs = dir.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).map_err(Error::io("create the folder", &blobs))?;
    let index = merged(store, images, dir)?;
    each_blob(store, images, |descriptor, reader| {
        let path = dir.join(blob_path(&descriptor.digest));
        if path.metadata().is_ok_and(|there| there.is_file() && there.len() == descriptor.size) {
            return Ok(());
        }
        put(&path, |file| copy(reader, descriptor.size, file))
    })?;
    sync::sync_folder(&blobs)?;
    let bytes =
        |bytes: Vec<u8>| move |file: &mut dyn Write| file.write_all(&bytes).map_err(Error::io("write", "layout"));
    put(&dir.join(MARK), bytes(LAYOUT.to_vec()))?;
    put(&dir.join(INDEX), bytes(index.to_string().into_bytes()))?;
    sync::sync_folder(dir)
}

/// The index of a layout that may be there already, with the images in it.
fn merged(store: &Store, images: &[Named], dir: &Path) -> Result<Value> {
    let there = Blobs::open(store, dir)?.small(INDEX, LIMIT)?;
    let invalid =
        |why: String| Error::Invalid { what: "image index", input: dir.join(INDEX).display().to_string(), why };
    let mut index: Value = match there {
        Some(bytes) => serde_json::from_slice(&bytes).map_err(|error| invalid(error.to_string()))?,
        None => json!({ "schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [] }),
    };
    let new = listed(images);
    let list = index.get_mut("manifests").and_then(Value::as_array_mut);
    let list = list.ok_or_else(|| invalid("it has no list of manifests".into()))?;
    list.retain(|old| !new.iter().any(|new| takes_over(new, old)));
    list.extend(new);
    Ok(index)
}

/// Whether the descriptor `new` has the name of `old`, or without one its digest.
fn takes_over(new: &Value, old: &Value) -> bool {
    let name = |of: &Value| [FULL_NAME, REF_NAME].map(|key| of["annotations"][key].as_str().map(str::to_owned));
    match (name(new), name(old)) {
        ([None, None], [None, None]) => new["digest"] == old["digest"],
        ([Some(full), _], [Some(other), _]) => full == other,
        ([_, short], [None, other]) => short == other,
        _ => false,
    }
}

/// The images' descriptors, one for each name.
fn listed(images: &[Named]) -> Vec<Value> {
    let mut list = Vec::new();
    for Named { image, names } in images {
        let plain = serde_json::to_value(image.descriptor()).expect("because a descriptor can be written as JSON");
        for name in names {
            let mut named = plain.clone();
            named["annotations"] = json!({ FULL_NAME: name.full(), REF_NAME: name.tag() });
            list.push(named);
        }
        list.extend(names.is_empty().then_some(plain));
    }
    list
}

/// What docker's list says of an image.
fn docker_entry(named: &Named) -> Value {
    let tags = (!named.names.is_empty()).then(|| named.names.iter().map(ImageName::to_string).collect::<Vec<_>>());
    let layers = named.image.layers().iter().map(|layer| blob_path(&layer.descriptor().digest));
    json!({
        "Config": blob_path(&named.image.config_descriptor().digest),
        "RepoTags": tags,
        "Layers": layers.collect::<Vec<_>>(),
    })
}

fn blob_path(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// Every blob of the images, each once: manifests, configurations and layers.
fn each_blob(
    store: &Store,
    images: &[Named],
    mut put: impl FnMut(&Descriptor, &mut dyn Read) -> Result<()>,
) -> Result<()> {
    let mut seen = HashSet::new();
    for Named { image, .. } in images {
        let small = [(image.descriptor(), image.manifest()), (image.config_descriptor(), image.config())];
        for (descriptor, mut bytes) in small {
            if seen.insert(descriptor.digest) {
                put(descriptor, &mut bytes)?;
            }
        }
        for layer in image.layers() {
            if seen.insert(layer.descriptor().digest) {
                put(layer.descriptor(), &mut layer.reader(store, 0)?)?;
            }
        }
    }
    Ok(())
}

/// Copy exactly `size` bytes, which have to be all.
fn copy(from: &mut dyn Read, size: u64, to: &mut dyn Write) -> Result<()> {
    let (mut buffer, mut left) = (vec![0; 256 << 10], size);
    loop {
        let length = match from.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read.map_err(Error::io("read", "layer"))?,
        };
        match left.checked_sub(length as u64) {
            Some(0) if length == 0 => return Ok(()),
            Some(rest) if length > 0 => left = rest,
            _ => {
                return Err(Error::damaged(
                    "layer",
                    format!("it doesn't have the {size} bytes that its manifest says"),
                ));
            }
        }
        to.write_all(&buffer[..length]).map_err(Error::io("write", "archive"))?;
    }
}

/// Write a file beside its place and rename it.
fn put(path: &Path, write: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    let dir = path.parent().expect("because it is in a folder");
    let mut file = tempfile::Builder::new()
        .prefix(".rd-")
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .tempfile_in(dir)
        .map_err(Error::io("create a file in", dir))?;
    write(file.as_file_mut())?;
    file.as_file().sync_all().map_err(Error::io("sync", path))?;
    let file: std::result::Result<File, _> = file.persist(path);
    file.map(drop).map_err(|error| Error::io("create", path)(error.error))
}

/// The archive.
struct Tar<'o> {
    out: &'o mut dyn Write,
}

impl Tar<'_> {
    fn folder(&mut self, path: &str) -> Result<()> {
        self.header(path, EntryType::Directory, 0o755, 0)
    }

    fn small(&mut self, path: &str, bytes: &[u8]) -> Result<()> {
        self.entry(path, bytes.len() as u64, &mut &*bytes)
    }

    fn entry(&mut self, path: &str, size: u64, from: &mut dyn Read) -> Result<()> {
        self.header(path, EntryType::Regular, 0o644, size)?;
        copy(from, size, self.out)?;
        let padding = size.wrapping_neg() % 512;
        self.out.write_all(&[0; 512][..padding as usize]).map_err(Error::io("write", "archive"))
    }

    fn header(&mut self, path: &str, kind: EntryType, mode: u32, size: u64) -> Result<()> {
        let mut header = Header::new_ustar();
        header.set_path(path).map_err(Error::io("write", "archive"))?;
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(size);
        header.set_cksum();
        self.out.write_all(header.as_bytes()).map_err(Error::io("write", "archive"))
    }
}

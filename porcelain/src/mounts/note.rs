//! The note on a mount: `STORE/mounted/<name>` (docs/format.md, "Mounts in use").

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use plumbing::bstr::{BString, ByteSlice};
use plumbing::root::{escape, unescape};
use plumbing::{Id, Store};
use rustix::fs::FlockOperation;

use super::Mounted;
use crate::{Error, IoResultExt, Result};

/// The first line; a note with another one is of a later version, and counts until the next boot.
const VERSION: &str = "rd-mount 1";
const NAME_LENGTH: usize = 12;

/// Whether `name` can be a note's.
pub(super) fn is_name(name: &str) -> bool {
    name.len() == NAME_LENGTH && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn folder(store: &Store) -> PathBuf {
    store.dir().join("mounted")
}

/// The names of all notes.
pub(super) fn names(store: &Store) -> Result<Vec<String>> {
    let folder = folder(store);
    let entries = match fs::read_dir(&folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.on("list", &folder)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry.on("list", &folder)?.file_name().into_string().ok().filter(|name| is_name(name)));
    }
    Ok(names)
}

/// A note, opened.
#[derive(Debug)]
pub(super) struct Note {
    path: PathBuf,
    file: File,
}

impl Note {
    /// Open the note `name`; `None` where there is none.
    pub fn open(store: &Store, name: &str) -> Result<Option<Self>> {
        let path = folder(store).join(name);
        match File::open(&path) {
            Ok(file) => Ok(Some(Self { path, file })),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).on("open", &path),
        }
    }

    /// Take the note's lock; `None` where the mount is being made.
    pub fn try_lock(&self) -> Result<Option<&Self>> {
        match rustix::fs::flock(&self.file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(self)),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(errno) => Err(errno).on("lock", &self.path),
        }
    }

    /// What it says; `None` where that is nothing: whoever wrote it was killed.
    pub fn read(&self) -> Result<Option<Mounted>> {
        Ok(parse(&fs::read(&self.path).on("read", &self.path)?).map(|(_, mounted)| mounted))
    }

    /// As [`read`](Self::read), and `None` where the mount is of an earlier boot.
    pub fn read_of_this_boot(&self) -> Result<Option<Mounted>> {
        let bytes = fs::read(&self.path).on("read", &self.path)?;
        let boot = boot()?;
        Ok(parse(&bytes).filter(|(found, _)| *found == boot).map(|(_, mounted)| mounted))
    }

    /// Remove it.
    pub fn remove(&self) -> Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error).on("remove", &self.path),
            _ => Ok(()),
        }
    }
}

/// The note on a mount that is being made; removed when dropped.
pub(super) struct Draft {
    file: tempfile::NamedTempFile,
}

impl Draft {
    /// Write the note. Its lock is held, so that nobody takes it for left over.
    pub fn create(store: &Store, mounted: &Mounted) -> Result<Self> {
        let folder = folder(store);
        fs::create_dir_all(&folder).on("create", &folder)?;
        loop {
            let mut builder = tempfile::Builder::new();
            let file =
                builder.prefix("").rand_bytes(NAME_LENGTH).tempfile_in(&folder).on("create a file in", &folder)?;
            rustix::fs::flock(file.as_file(), FlockOperation::LockExclusive).on("lock", file.path())?;
            file.as_file().write_all(&encode(mounted, &boot()?)).on("write", file.path())?;
            // Before it was locked another command may have taken it for left over.
            if file.path().exists() {
                return Ok(Self { file });
            }
        }
    }

    pub fn name(&self) -> &str {
        let name = self.file.path().file_name().and_then(|name| name.to_str());
        name.expect("because it was made of letters and digits")
    }

    /// The mount is there.
    pub fn keep(self) -> Result<()> {
        let path = self.file.path().to_owned();
        self.file.keep().map(drop).map_err(|error| Error::io("keep", path, error.error))
    }
}

fn boot() -> Result<String> {
    const FILE: &str = "/proc/sys/kernel/random/boot_id";
    Ok(fs::read_to_string(FILE).on("read", FILE)?.trim().to_owned())
}

fn encode(mounted: &Mounted, boot: &str) -> Vec<u8> {
    let Mounted { tree, image, revision, target } = mounted;
    let mut out = format!("{VERSION}\nboot {boot}\ntree {tree}\nimage {image}\n").into_bytes();
    for (key, value) in [("revision", revision.as_bytes()), ("target", target.as_os_str().as_bytes())] {
        out.extend_from_slice(format!("{key} ").as_bytes());
        escape(value.as_bstr(), &mut out);
        out.push(b'\n');
    }
    out
}

/// The boot that a note is of, and what it says.
fn parse(bytes: &[u8]) -> Option<(String, Mounted)> {
    let mut lines = bytes.lines();
    let mut value = |key: &str| lines.next()?.strip_prefix(key.as_bytes())?.strip_prefix(b" ").map(BString::from);
    value("rd-mount").filter(|version| version == "1")?;
    let boot = value("boot")?.to_string();
    let id = |value: BString| Id::from_hex(&value).ok();
    let (tree, image) = (id(value("tree")?)?, id(value("image")?)?);
    let revision = unescape(&value("revision")?).ok()?;
    let target = unescape(&value("target")?).ok()?;
    let target = Path::new(std::ffi::OsStr::from_bytes(&target)).to_owned();
    bytes.ends_with(b"\n").then_some((boot, Mounted { tree, image, revision, target }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_come_back() {
        let id = |digit: &str| Id::from_hex(digit.repeat(64).as_bytes()).unwrap();
        let target = Path::new(std::ffi::OsStr::from_bytes(b"/mnt/a b\n\xff")).to_owned();
        let mounted = Mounted { tree: id("a"), image: id("b"), revision: "web:1".into(), target };
        let bytes = encode(&mounted, "b-o-o-t");
        assert_eq!(parse(&bytes), Some(("b-o-o-t".into(), mounted)));
        assert!(bytes.ends_with(b"\nrevision web:1\ntarget /mnt/a\\040b\\012\\377\n"));
        for end in 0..bytes.len() {
            assert_eq!(parse(&bytes[..end]), None, "{end}");
        }
    }
}

//! What must not be removed: all that refs and reflogs name, and what the caller adds.
//!
//! They are read again and again while a collection goes on; files that didn't change are not read twice.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use gix::bstr::ByteSlice;

use crate::{Error, Id, Result};

/// Names that commands of git leave in a repository and that keep objects alive.
const HEADS: [&str; 6] = ["HEAD", "FETCH_HEAD", "ORIG_HEAD", "MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD"];

/// What tells a file's states apart: it is replaced or grows.
type Stamp = (u64, u64, i64, i64);

/// An id that something names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tip {
    pub(crate) id: Id,
    /// Whether a ref names it; what only a log names may be gone.
    pub(crate) is_ref: bool,
}

/// The files of refs and reflogs as they were read last.
pub(crate) struct Roots {
    dir: PathBuf,
    read: HashMap<PathBuf, Stamp>,
}

impl Roots {
    pub(crate) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), read: HashMap::new() }
    }

    /// What is named in files that are new or changed since the last call: at the first call, in all.
    pub(crate) fn news(&mut self) -> Result<Vec<Tip>> {
        let mut tips = Vec::new();
        for head in HEADS {
            self.file(&self.dir.join(head), &mut tips)?;
        }
        // In this order: who packs refs writes the file before the loose ones go.
        self.folder(self.dir.join("refs"), &mut tips)?;
        self.file(&self.dir.join("packed-refs"), &mut tips)?;
        self.folder(self.dir.join("logs"), &mut tips)?;
        tips.retain(|tip| !tip.id.is_null());
        Ok(tips)
    }

    fn folder(&mut self, dir: PathBuf, tips: &mut Vec<Tip>) -> Result<()> {
        let mut waiting = vec![dir];
        while let Some(dir) = waiting.pop() {
            let entries = match std::fs::read_dir(&dir) {
                Ok(entries) => entries,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(Error::io("list", dir)(error)),
            };
            for entry in entries {
                let entry = entry.map_err(Error::io("list", &dir))?;
                let path = entry.path();
                let kind = match entry.file_type() {
                    Ok(kind) => kind,
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                    Err(error) => return Err(Error::io("stat", path)(error)),
                };
                match kind.is_dir() {
                    true => waiting.push(path),
                    // Half a ref in the making.
                    false if path.extension().is_some_and(|extension| extension == "lock") => {}
                    false => self.file(&path, tips)?,
                }
            }
        }
        Ok(())
    }

    /// A file that isn't there, or no longer, names nothing.
    fn file(&mut self, path: &Path, tips: &mut Vec<Tip>) -> Result<()> {
        let about = match path.symlink_metadata() {
            Ok(about) if about.is_file() => about,
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(Error::io("stat", path)(error)),
        };
        let stamp = (about.ino(), about.len(), about.ctime(), about.ctime_nsec());
        if self.read.get(path) == Some(&stamp) {
            return Ok(());
        }
        let text = match std::fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(Error::io("read", path)(error)),
        };
        parse(&self.dir, path, &text, tips)?;
        self.read.insert(path.to_owned(), stamp);
        Ok(())
    }
}

fn parse(dir: &Path, path: &Path, text: &[u8], tips: &mut Vec<Tip>) -> Result<()> {
    let name = path.strip_prefix(dir).unwrap_or(path);
    let damaged = || Error::damaged(format!("'{}'", name.display()), "it isn't what git writes");
    if name.starts_with("logs") {
        for line in text.lines() {
            for word in line.splitn_str(3, " ").take(2) {
                tips.push(Tip { id: id(word).ok_or_else(damaged)?, is_ref: false });
            }
        }
        return Ok(());
    }
    if text.starts_with(b"ref: ") {
        return Ok(());
    }
    let is_list = name == Path::new("packed-refs");
    for line in text.lines().filter(|line| !line.starts_with(b"#") && !line.is_empty()) {
        let line = line.strip_prefix(b"^").unwrap_or(line);
        let word = line.split(|byte| byte.is_ascii_whitespace()).next().unwrap_or_default();
        tips.push(Tip { id: id(word).ok_or_else(damaged)?, is_ref: is_list || name.starts_with("refs") });
    }
    Ok(())
}

fn id(word: &[u8]) -> Option<Id> {
    Id::from_hex(word).ok().filter(|id| id.kind() == gix::hash::Kind::Sha256)
}

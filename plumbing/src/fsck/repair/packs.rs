//! Packs: an index is made again, what is sound in a damaged pack moves to a new one, and what git can make again goes.

use std::path::{Path, PathBuf};

use super::Repair;
use super::scan::Scan;
use crate::fsck::Issues;
use crate::fsck::objects::{Objects, list};
use crate::store::encode_index;
use crate::{Error, Result};

/// The files of a pack, the index first: without it nobody looks at the others.
const FILES: [&str; 5] = ["idx", "pack", "promisor", "rev", "bitmap"];

impl Repair<'_> {
    /// The files below `objects/pack`.
    pub(super) fn packs(&mut self) -> Result<()> {
        let objects = Objects::load(self.store, true, &mut Issues::default())?;
        for (number, finding) in self.open(&["pack", "index", "promisor", "file", "loose"]) {
            let Some(path) = finding.path.filter(|path| path.starts_with("objects")) else { continue };
            let done = match (finding.kind.as_str(), finding.state) {
                ("pack", "missing") => self.take_pack(&path)?,
                ("pack", _) => self.salvage(&path, &objects)?,
                ("index", _) => self.reindex(&path)?,
                ("promisor", _) => self.mark(&path)?,
                _ => self.aside.take(&path)?.then(|| "moved aside".to_owned()),
            };
            self.done[number] = done;
        }
        Ok(())
    }

    /// Packs without an index may hold what is missing.
    pub(super) fn unindexed_packs(&mut self) -> Result<()> {
        if !self.findings.iter().any(|finding| finding.state == "missing" && finding.id.is_some()) {
            return Ok(());
        }
        for path in list(&self.store.dir().join("objects/pack"))? {
            if path.extension().is_some_and(|extension| extension == "pack") && !path.with_extension("idx").exists() {
                let name = path.file_name().unwrap_or_default();
                self.reindex(&Path::new("objects/pack").join(name).with_extension("idx"))?;
            }
        }
        Ok(())
    }

    /// Make the index of a pack again; of a pack that is damaged too, take what can be read.
    fn reindex(&mut self, index: &Path) -> Result<Option<String>> {
        let path = self.store.dir().join(index).with_extension("pack");
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return self.take_pack(index),
            Err(error) => return Err(Error::io("read", path)(error)),
        };
        let mut scan = Scan::new(&bytes);
        if scan.is_whole {
            let checksum = crate::Id::from_bytes_or_panic(&bytes[bytes.len() - crate::store::PACK_TRAILER..]);
            let draft = self.aside.draft()?;
            std::fs::write(&draft, encode_index(&mut scan.entries, &checksum)).map_err(Error::io("write", &draft))?;
            self.aside.replace(&draft, index)?;
            return Ok(Some(format!("made again from the pack, with {} objects", scan.entries.len())));
        }
        let mut batch = self.store.batch();
        for entry in &scan.entries {
            if let Some((kind, data)) = scan.read(entry) {
                batch.write_again(kind, &data)?;
            }
        }
        batch.finish()?;
        let saved = scan.entries.len();
        self.take_pack(index)?;
        Ok(Some(format!("{saved} objects saved into a new pack, the damaged one moved aside")))
    }

    /// Write what is sound in a damaged pack into a new one.
    fn salvage(&mut self, path: &Path, objects: &Objects) -> Result<Option<String>> {
        let ids = objects.of_pack(path);
        if ids.is_empty() {
            return self.reindex(&path.with_extension("idx"));
        }
        let mut batch = self.store.batch();
        let mut saved = 0;
        for id in &ids {
            if let Some((kind, data)) = objects.read(id) {
                batch.write_again(kind, &data)?;
                saved += 1;
            }
        }
        batch.finish()?;
        self.take_pack(path)?;
        Ok(Some(format!("{saved} of {} objects saved into a new pack, the damaged one moved aside", ids.len())))
    }

    /// Move all files of a pack aside.
    fn take_pack(&mut self, path: &Path) -> Result<Option<String>> {
        let mut taken = false;
        for extension in FILES {
            taken |= self.aside.take(&path.with_extension(extension))?;
        }
        Ok(taken.then(|| "moved aside".to_owned()))
    }

    /// An empty mark is git's: it doesn't say that rd wrote the pack, which nobody knows now.
    fn mark(&mut self, path: &Path) -> Result<Option<String>> {
        let mark: PathBuf = self.store.dir().join(path).with_extension("promisor");
        std::fs::File::create(&mark).and_then(|file| file.sync_all()).map_err(Error::io("create", &mark))?;
        Ok(Some("marked again".into()))
    }
}

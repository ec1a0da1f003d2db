//! Listing refs: loose ones before packed ones of the same name.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use gix::bstr::{BStr, BString, ByteSlice};

use super::place::{Value, is_full_name};
use crate::store::Store;
use crate::{Error, Id, Result};

/// A ref, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ref {
    /// Its full name.
    pub name: BString,
    /// What it says.
    pub value: Value,
    /// Whether it lies in `packed-refs` alone.
    pub is_packed: bool,
    /// What the tag that it points at leads to, where `packed-refs` remembers it.
    pub peeled: Option<Id>,
}

impl Store {
    /// All refs whose full names begin with `prefix` (empty, or `refs/` and on), sorted by name, with what is stored;
    /// broken and dangling ones too.
    ///
    /// A ref that is packed meanwhile isn't missed: loose ones are read first.
    pub fn refs_below(&self, prefix: impl AsRef<[u8]>) -> Result<Vec<Ref>> {
        let prefix = prefix.as_ref().as_bstr();
        let loose = self.loose_refs(prefix)?;
        let packed = self.read_packed()?;
        let mut all = Vec::new();
        let mut loose = loose.into_iter().peekable();
        for entry in packed.entries(prefix) {
            let entry = entry?;
            while let Some((name, value)) = loose.next_if(|(name, _)| *name < entry.name) {
                all.push(Ref { name, value, is_packed: false, peeled: None });
            }
            if loose.peek().is_none_or(|(name, _)| *name != entry.name) {
                all.push(Ref { name: entry.name, value: Value::Id(entry.id), is_packed: true, peeled: entry.peeled });
            }
        }
        all.extend(loose.map(|(name, value)| Ref { name, value, is_packed: false, peeled: None }));
        Ok(all)
    }

    /// The refs in files of their own whose names begin with `prefix` and that point at an object, sorted by name.
    pub fn loose_refs_below(&self, prefix: &str) -> Result<Vec<(String, Id)>> {
        let loose = self.loose_refs(prefix.into())?.into_iter();
        let direct = loose.filter_map(|(name, value)| match value {
            Value::Id(id) => Some((name.to_string(), id)),
            _ => None,
        });
        Ok(direct.collect())
    }

    /// The refs in `packed-refs` whose names begin with `prefix`, sorted by name; a loose one of the same name counts
    /// instead.
    pub fn packed_refs_below(&self, prefix: &str) -> Result<Vec<(String, Id)>> {
        let packed = self.read_packed()?;
        packed.entries(prefix.into()).map(|entry| entry.map(|entry| (entry.name.to_string(), entry.id))).collect()
    }

    /// What tells the present `packed-refs` from any other: it is replaced as a whole. `None` where there is none.
    pub fn packed_state(&self) -> Option<String> {
        use std::os::unix::fs::MetadataExt;
        let about = std::fs::metadata(self.packed_file()).ok()?;
        let times = [about.mtime(), about.mtime_nsec(), about.ctime(), about.ctime_nsec()];
        Some(format!("{} {} {}", about.ino(), about.size(), times.map(|time| time.to_string()).join(" ")))
    }

    /// The loose refs whose names begin so.
    pub(super) fn loose_refs(&self, prefix: &BStr) -> Result<BTreeMap<BString, Value>> {
        let folder = prefix.rfind_byte(b'/').map_or(b"refs".as_bstr(), |at| prefix[..at].as_bstr());
        let mut found = BTreeMap::new();
        let common = self.repo().common_dir();
        self.collect_loose(&common.join(OsStr::from_bytes(folder)), folder, prefix, &mut found)?;
        Ok(found)
    }

    fn collect_loose(
        &self,
        dir: &Path,
        name: &BStr,
        prefix: &BStr,
        found: &mut BTreeMap<BString, Value>,
    ) -> Result<()> {
        let entries = match std::fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(()),
            Err(error) => return Err(Error::io("list", dir)(error)),
        };
        for entry in entries {
            let entry = entry.map_err(Error::io("list", dir))?;
            let last = entry.file_name();
            let full: BString = [name.as_bytes(), b"/", last.as_bytes()].concat().into();
            let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let overlaps = full.starts_with(prefix) || (is_dir && prefix.starts_with(&[&full[..], b"/"].concat()));
            if !overlaps || !is_full_name(full.as_bstr()) {
                continue;
            }
            if is_dir {
                self.collect_loose(&entry.path(), full.as_bstr(), prefix, found)?;
            } else if let Some(value) = self.read_loose(full.as_bstr())? {
                found.insert(full, value);
            }
        }
        Ok(())
    }
}

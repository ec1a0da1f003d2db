//! Contents out of compressed layers that the store keeps as they came.

use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use super::Repair;
use crate::blobs::{MADE, files};
use crate::layer::compression::{decompress, sniff};
use crate::{Id, Result};

/// A content that is wanted: its finding's number, id and size in bytes.
pub(super) type Wanted = (usize, Id, u64);

impl Repair<'_> {
    /// Look for contents in all layers that have bytes of their own. Those that make their bytes of contents can't help.
    pub(super) fn contents_of_layers(&mut self, mut wanted: Vec<Wanted>) -> Result<()> {
        for (digest, form, path) in files(self.store)? {
            if wanted.is_empty() {
                return Ok(());
            }
            if form != MADE {
                for (number, draft, id) in self.search_layer(&path, &mut wanted)? {
                    let place = PathBuf::from("content").join(crate::store::content_path(&id));
                    self.aside.replace(&draft, &place)?;
                    self.did(number, format!("restored from layer {digest}"));
                }
            }
        }
        Ok(())
    }

    /// Drafts of what a layer has of `wanted`, which gets shorter. A layer is read as far as it can be.
    fn search_layer(&self, path: &PathBuf, wanted: &mut Vec<Wanted>) -> Result<Vec<(usize, PathBuf, Id)>> {
        let mut found = Vec::new();
        let Ok(file) = File::open(path) else { return Ok(found) };
        let Ok((compression, reader)) = sniff(file) else { return Ok(found) };
        let Ok(reader) = decompress(compression, reader) else { return Ok(found) };
        let mut tar = tar::Archive::new(reader);
        let Ok(entries) = tar.entries() else { return Ok(found) };
        for mut entry in entries.map_while(std::result::Result::ok) {
            let size = entry.size();
            let ids: HashSet<Id> = wanted.iter().filter(|one| one.2 == size).map(|one| one.1).collect();
            if ids.is_empty() || !entry.header().entry_type().is_file() {
                continue;
            }
            let Some((draft, id)) = self.stage_one_of(&ids, size, &mut entry.by_ref().take(size))? else { continue };
            let at = wanted.iter().position(|one| one.1 == id).expect("because it is one of them");
            found.push((wanted.swap_remove(at).0, draft, id));
        }
        Ok(found)
    }
}

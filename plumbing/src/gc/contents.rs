//! Contents that nothing needs.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::store::content_path;
use crate::{Error, Id, Result};

/// So long nobody may write in one go.
const SLICE: Duration = Duration::from_millis(100);

/// A content that is to go.
pub(super) struct Candidate {
    pub(super) id: Id,
    /// What its file takes on the disk, in bytes.
    pub(super) size: u64,
    /// Whether it goes however young it is.
    pub(super) at_once: bool,
}

/// The contents in the folder `dir` that are older than `cutoff` (seconds since 1970) or `doomed`, and not `needed`.
pub(super) fn list(
    dir: &Path,
    cutoff: i64,
    needed: impl Fn(&Id) -> bool,
    doomed: impl Fn(&Id) -> bool,
) -> Result<Vec<Candidate>> {
    let mut found = Vec::new();
    for byte in 0..=255u8 {
        let prefix = format!("{byte:02x}");
        let folder = dir.join(&prefix);
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(Error::io("list", folder)(error)),
        };
        for entry in entries {
            let entry = entry.map_err(Error::io("list", &folder))?;
            let name = entry.file_name();
            let Ok(id) = Id::from_hex(format!("{prefix}{}", name.to_string_lossy()).as_bytes()) else { continue };
            if needed(&id) {
                continue;
            }
            let at_once = doomed(&id);
            match entry.metadata() {
                Ok(about) if at_once || about.mtime() < cutoff => {
                    found.push(Candidate { id, size: about.blocks() * 512, at_once });
                }
                _ => {}
            }
        }
    }
    Ok(found)
}

/// Remove candidates from the end of the list until the time is up, except those that are `needed` now or were given a
/// new date; what that freed. Nobody may write meanwhile.
pub(super) fn remove_some(
    dir: &Path,
    cutoff: i64,
    candidates: &mut Vec<Candidate>,
    needed: impl Fn(&Id) -> bool,
) -> Result<(usize, u64)> {
    let begun = Instant::now();
    let (mut count, mut freed) = (0, 0);
    while let Some(candidate) = candidates.pop() {
        if needed(&candidate.id) {
            continue;
        }
        let path: PathBuf = dir.join(content_path(&candidate.id));
        let is_old = |about: std::fs::Metadata| candidate.at_once || about.mtime() < cutoff;
        if !path.symlink_metadata().is_ok_and(is_old) {
            continue;
        }
        match std::fs::remove_file(&path) {
            Ok(()) => {
                count += 1;
                freed += candidate.size;
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::io("remove", path)(error)),
        }
        if begun.elapsed() > SLICE {
            break;
        }
    }
    Ok((count, freed))
}

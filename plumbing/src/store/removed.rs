//! Refs that were removed: git drops a ref's log with the ref, so where it was is kept here for a while.
//!
//! `STORE/removed` has a line a removal, in the form of a reflog: what the ref was at, zeros, who, when, and after a
//! tab the ref's name. A line is durable before its ref is gone.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use gix::bstr::{BString, ByteSlice};

use super::{Store, sync};
use crate::{Error, Id, Result};

/// A ref that was removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// Where it was.
    pub id: Id,
    /// When it was removed, in seconds since 1970.
    pub seconds: i64,
    /// Its full name.
    pub name: BString,
}

impl Store {
    fn removed_file(&self) -> PathBuf {
        self.dir.join("removed")
    }

    /// The refs that were removed and are not forgotten yet, the last one last. A line that can't be read is left out.
    pub fn removed(&self) -> Result<Vec<Removed>> {
        let path = self.removed_file();
        match std::fs::read(&path) {
            Ok(text) => Ok(text.lines().filter_map(decode).collect()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(Error::io("read", path)(error)),
        }
    }

    /// Remember that these refs, which are still there, are about to go.
    pub(super) fn remember_removed(&self, refs: &[(BString, Id)]) -> Result<()> {
        if refs.is_empty() || self.ordinary {
            return Ok(());
        }
        let mut who = crate::commit::host_signature()?;
        // A made-up date is for commits; this is about when it may be forgotten.
        who.time.seconds = crate::commit::now();
        let mut text = Vec::new();
        for (name, id) in refs {
            text.extend_from_slice(format!("{id} {} ", Id::null(id.kind())).as_bytes());
            who.to_ref(&mut gix::date::parse::TimeBuf::default())
                .write_to(&mut text)
                .expect("because a vector takes all that is written");
            text.push(b'\t');
            text.extend_from_slice(name);
            text.push(b'\n');
        }
        let path = self.removed_file();
        let is_new = !path.exists();
        let file = File::options().append(true).create(true).open(&path);
        let written = file.and_then(|mut file| {
            file.write_all(&text)?;
            file.sync_data()
        });
        written.map_err(Error::io("write", &path))?;
        if is_new { sync::sync_folder(&self.dir) } else { Ok(()) }
    }

    /// Forget what was removed before `seconds`, and what `also` picks; how many that were. Nobody may write meanwhile.
    pub(crate) fn forget_removed(&self, seconds: i64, also: impl Fn(&Removed) -> bool) -> Result<usize> {
        let path = self.removed_file();
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(Error::io("read", path)(error)),
        };
        let stays = |line: &&[u8]| decode(line).is_some_and(|line| line.seconds >= seconds && !also(&line));
        let kept: Vec<&[u8]> = text.lines_with_terminator().filter(stays).collect();
        let gone = text.lines().count() - kept.len();
        if gone == 0 {
            return Ok(0);
        }
        let mut draft = tempfile::NamedTempFile::new_in(&self.dir).map_err(Error::io("create a file in", &self.dir))?;
        let written = draft.write_all(&kept.concat()).and_then(|()| draft.as_file().sync_data());
        written.map_err(Error::io("write", draft.path()))?;
        draft.persist(&path).map_err(|error| Error::io("write", &path)(error.error))?;
        sync::sync_folder(&self.dir)?;
        Ok(gone)
    }
}

fn decode(line: &[u8]) -> Option<Removed> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let (who, name) = line.split_once_str("\t")?;
    let id = Id::from_hex(who.split_once_str(" ")?.0).ok()?;
    let (_, time) = who.rsplit_once_str("> ")?;
    let seconds = time.split_once_str(" ")?.0.to_str().ok()?.parse().ok()?;
    Some(Removed { id, seconds, name: name.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_removed_is_remembered_until_it_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::create(dir.path().join("s")).unwrap();
        assert_eq!(store.removed().unwrap(), []);
        let id = Id::from_hex(&[b'a'; 64]).unwrap();
        store.remember_removed(&[("refs/images/a".into(), id), ("refs/images/b".into(), id)]).unwrap();
        let removed = store.removed().unwrap();
        assert_eq!(
            removed.iter().map(|line| line.name.to_string()).collect::<Vec<_>>(),
            ["refs/images/a", "refs/images/b"]
        );
        assert!(removed.iter().all(|line| line.id == id && line.seconds > 1_700_000_000));
        assert_eq!(store.forget_removed(0, |line| line.name == "refs/images/a").unwrap(), 1);
        assert_eq!(store.removed().unwrap(), removed[1..]);
        assert_eq!(store.forget_removed(i64::MAX, |_| false).unwrap(), 1);
        assert_eq!(store.removed().unwrap(), []);
    }
}

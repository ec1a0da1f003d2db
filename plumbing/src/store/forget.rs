//! Taking commits out of a reflog, so that it doesn't keep them any longer.

use std::io::Write;

use gix::bstr::ByteSlice;

use super::{Store, sync};
use crate::{Error, Id, Result};

/// How long to wait for a ref that another command has locked.
const LOCK_WAIT: std::time::Duration = std::time::Duration::from_secs(1);

impl Store {
    /// Take the moves of the ref `name` to commits that are `gone` out of its reflog, except the last move; how many
    /// those were. Each line that stays begins where the line before it ends.
    pub fn forget_moves(&self, name: &str, gone: impl Fn(&Id) -> bool) -> Result<usize> {
        let path = self.dir.join("logs").join(name);
        let wait = gix::lock::acquire::Fail::AfterDurationWithBackoff(LOCK_WAIT);
        let lock = gix::lock::Marker::acquire_to_hold_resource(self.dir.join(name), wait, Some(self.dir.clone()), 0);
        let _lock = lock.map_err(Error::git(format!("lock ref '{name}'")))?;
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(Error::io("read", path)(error)),
        };
        let (shorter, count) = shorten(&text, gone);
        if shorter == text {
            return Ok(0);
        }
        let mut draft = tempfile::NamedTempFile::new_in(&self.dir).map_err(Error::io("create a file in", &self.dir))?;
        let written = draft.write_all(&shorter).and_then(|()| draft.as_file().sync_data());
        written.map_err(Error::io("write", draft.path()))?;
        draft.persist(&path).map_err(|error| Error::io("write", &path)(error.error))?;
        sync::sync_folder(path.parent().unwrap_or(&self.dir))?;
        Ok(count)
    }
}

/// The log without the moves to what is gone, and how many those were.
fn shorten(text: &[u8], gone: impl Fn(&Id) -> bool) -> (Vec<u8>, usize) {
    let lines: Vec<&[u8]> = text.lines_with_terminator().collect();
    let (mut out, mut count, mut at) = (Vec::with_capacity(text.len()), 0, None);
    for (number, line) in lines.iter().enumerate() {
        let id = |range: std::ops::Range<usize>| line.get(range).and_then(|hex| Id::from_hex(hex).ok());
        let (Some(old), Some(new)) = (id(0..64), id(65..129)) else {
            out.extend_from_slice(line);
            continue;
        };
        if number + 1 < lines.len() && gone(&new) {
            count += 1;
            continue;
        }
        let begins = if gone(&old) || count > 0 { at.unwrap_or(Id::null(new.kind())) } else { old };
        out.extend_from_slice(begins.to_hex().to_string().as_bytes());
        out.extend_from_slice(&line[64..]);
        at = Some(new);
    }
    (out, count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_whole_without_what_is_forgotten() {
        let id = |letter: u8| [letter; 64].as_bstr().to_string();
        let line = |old: u8, new: u8| format!("{} {} A <a@b> 1 +0000\tm\n", id(old), id(new));
        let text = [line(b'0', b'a'), line(b'a', b'b'), line(b'b', b'c'), line(b'c', b'd')].concat();
        let gone = |letters: &'static [u8]| move |found: &Id| letters.iter().any(|l| found.to_string() == id(*l));
        let shorter = |letters| shorten(text.as_bytes(), gone(letters));
        assert_eq!(shorter(b"bc"), ([line(b'0', b'a'), line(b'a', b'd')].concat().into_bytes(), 2));
        assert_eq!(shorter(b"a"), ([line(b'0', b'b'), line(b'b', b'c'), line(b'c', b'd')].concat().into_bytes(), 1));
        // Where the ref is now stays.
        assert_eq!(shorter(b"abcd"), (line(b'0', b'd').into_bytes(), 3));
        assert_eq!(shorter(b""), (text.clone().into_bytes(), 0));
    }
}

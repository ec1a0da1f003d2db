//! Where a ref and its reflog lie in the repository, and what a loose ref's file says.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use gix::bstr::{BStr, BString, ByteSlice};

use crate::store::Store;
use crate::{Error, Id, Result};

/// What a ref says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// It points at an object.
    Id(Id),
    /// It is symbolic: it stands for the ref of this full name, which needn't exist.
    Symbolic(BString),
    /// Its file holds neither.
    Broken,
}

impl Value {
    /// Read what a loose ref's file holds; git takes blanks at its end.
    pub(super) fn parse(bytes: &[u8]) -> Self {
        if let Some(target) = bytes.strip_prefix(b"ref:") {
            return Value::Symbolic(target.trim().into());
        }
        let end = bytes.iter().position(u8::is_ascii_whitespace).unwrap_or(bytes.len());
        match Id::from_hex(&bytes[..end]) {
            Ok(id) if id.kind() == gix::hash::Kind::Sha256 => Value::Id(id),
            _ => Value::Broken,
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        match self {
            Value::Id(id) => format!("{id}\n").into(),
            Value::Symbolic(name) => [b"ref: ", name.as_bytes(), b"\n"].concat(),
            Value::Broken => Vec::new(),
        }
    }
}

/// Refs that each working tree has for itself, and that are never packed (gitrepository-layout(5)).
const PER_WORKTREE: [&[u8]; 3] = [b"refs/bisect/", b"refs/worktree/", b"refs/rewritten/"];

/// Whether the ref is shared by all working trees of the repository.
pub(super) fn is_shared(name: &BStr) -> bool {
    name.starts_with(b"refs/") && !PER_WORKTREE.iter().any(|prefix| name.starts_with(prefix))
}

impl Store {
    fn ref_base(&self, name: &BStr) -> &std::path::Path {
        if is_shared(name) { self.repo().common_dir() } else { self.repo().git_dir() }
    }

    /// The file of the ref `name`, where it is loose.
    pub(super) fn ref_file(&self, name: &BStr) -> PathBuf {
        self.ref_base(name).join(OsStr::from_bytes(name))
    }

    /// The file of the reflog of `name`.
    pub fn log_file(&self, name: &BStr) -> PathBuf {
        self.ref_base(name).join("logs").join(OsStr::from_bytes(name))
    }

    /// What the loose ref `name` says; `None` where there is none.
    pub(super) fn read_loose(&self, name: &BStr) -> Result<Option<Value>> {
        let path = self.ref_file(name);
        match std::fs::read(&path) {
            Ok(bytes) => Ok(Some(Value::parse(&bytes))),
            Err(error) => match error.kind() {
                ErrorKind::NotFound | ErrorKind::IsADirectory | ErrorKind::NotADirectory => Ok(None),
                _ => Err(Error::io("read", path)(error)),
            },
        }
    }

    /// Whether the ref `name`, which exists, lies in `packed-refs` alone.
    pub fn is_packed(&self, name: &BStr) -> bool {
        matches!(self.read_loose(name), Ok(None))
    }

    /// What the ref of exactly this full name says, without following it; `None` where there is none.
    ///
    /// The loose ref goes first and the packed ones are read after it, as refs are packed in the other order: written
    /// there, then removed here.
    pub fn read_ref(&self, name: &BStr) -> Result<Option<Value>> {
        match self.read_loose(name)? {
            Some(value) => Ok(Some(value)),
            None if is_shared(name) => Ok(self.read_packed()?.find(name)?.map(Value::Id)),
            None => Ok(None),
        }
    }

    /// What the ref `name` comes to when symbolic refs are followed, and the name of the last; `None` where that leads
    /// to none.
    pub fn follow_ref(&self, name: &BStr) -> Result<Option<(BString, Id)>> {
        let mut name = name.to_owned();
        for _ in 0..MOST_SYMBOLIC {
            match self.read_ref(name.as_bstr())? {
                Some(Value::Id(id)) => return Ok(Some((name, id))),
                Some(Value::Symbolic(next)) if is_full_name(next.as_bstr()) => name = next,
                _ => return Ok(None),
            }
        }
        Ok(None)
    }
}

/// So many symbolic refs are followed one after the other, as in git.
pub(super) const MOST_SYMBOLIC: usize = 5;

/// Whether `name` is one that a ref can have: `refs/…`, or like `HEAD` capitals at the top (git-check-ref-format(1)).
pub fn is_full_name(name: &BStr) -> bool {
    gix::refs::FullName::try_from(name.to_owned()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back() {
        let id = Id::from_hex(&[b'a'; 64]).unwrap();
        for value in [Value::Id(id), Value::Symbolic("refs/heads/main".into())] {
            assert_eq!(Value::parse(&value.encode()), value);
        }
        assert_eq!(Value::parse(format!("{id} \n").as_bytes()), Value::Id(id));
        for broken in ["", "garbage", "aaaa", "0000000000000000000000000000000000000000"] {
            assert_eq!(Value::parse(broken.as_bytes()), Value::Broken, "{broken}");
        }
    }
}

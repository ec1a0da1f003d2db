//! Refs as git's commands list them, and their short names.

use std::collections::HashSet;

use plumbing::bstr::{BStr, BString, ByteSlice};
use plumbing::gix::glob::wildmatch;
use plumbing::gix::glob::wildmatch::Mode;
use plumbing::revision::{self, Shorten};
use plumbing::store::refs::{Value, is_full_name};
use plumbing::{Id, Store};

use crate::report::Failure;

/// A ref that leads to an object's id.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The full name.
    pub name: BString,
    /// What it comes to.
    pub id: Id,
    /// The ref that it stands for, where it is symbolic.
    pub symref: Option<BString>,
    /// Whether it, or what it stands for, lies in `packed-refs` alone.
    pub is_packed: bool,
    /// What the tag that it points at leads to, where that is known already.
    pub peeled: Option<Id>,
}

/// The refs below `prefix`, by name. `warn`: say which are broken; they are left out anyway.
pub fn list(store: &Store, prefix: &str, warn: bool) -> Result<Vec<Listed>, Failure> {
    let mut listed = Vec::new();
    for found in store.refs_below(prefix)? {
        let mut is_packed = found.is_packed;
        let (id, symref) = match found.value {
            Value::Id(id) => (Some(id), None),
            Value::Symbolic(target) => {
                let end = if is_full_name(target.as_bstr()) { store.follow_ref(target.as_bstr())? } else { None };
                is_packed = end.as_ref().is_some_and(|(name, _)| store.is_packed(name.as_bstr()));
                (end.map(|(_, id)| id), Some(target))
            }
            Value::Broken => (None, None),
        };
        match id.filter(|id| !id.is_null()) {
            Some(id) => {
                listed.push(Listed { name: found.name, id, symref, is_packed, peeled: found.peeled });
            }
            None if warn => eprintln!("warning: ignoring broken ref {}", found.name),
            None => {}
        }
    }
    Ok(listed)
}

/// The ref that `name` is in the end when symbolic ones are followed; one that needn't exist.
pub fn end_of(store: &Store, name: &str) -> Result<BString, Failure> {
    let mut name = BString::from(name);
    for _ in 0..5 {
        match store.read_ref(name.as_bstr())? {
            Some(Value::Symbolic(next)) if is_full_name(next.as_bstr()) => name = next,
            _ => break,
        }
    }
    Ok(name)
}

/// The short name of a ref, where the store says which others there are.
pub fn shorten(store: &Store, full: &str, mode: Shorten) -> String {
    let exists = |name: &str| is_full_name(name.into()) && store.follow_ref(name.into()).is_ok_and(|end| end.is_some());
    revision::shorten(full, mode, exists)
}

/// Short names of many refs, which are looked for in a list instead of the store.
pub struct Shortener(HashSet<BString>);

impl Shortener {
    pub fn new(store: &Store) -> Result<Self, Failure> {
        let mut names: HashSet<BString> = list(store, "", false)?.into_iter().map(|listed| listed.name).collect();
        for name in ["HEAD", "FETCH_HEAD", "ORIG_HEAD", "MERGE_HEAD"] {
            if store.follow_ref(name.into())?.is_some() {
                names.insert(name.into());
            }
        }
        Ok(Self(names))
    }

    pub fn shorten(&self, full: &BStr, mode: Shorten) -> String {
        revision::shorten(&full.to_str_lossy(), mode, |name| self.0.contains(name.as_bytes().as_bstr()))
    }
}

/// Whether a pattern as `for-each-ref` takes it names the ref: its beginning up to a slash, or by its signs.
pub fn matches_path(pattern: &str, name: &BStr, ignore_case: bool) -> bool {
    let begins = name.strip_prefix(pattern.as_bytes());
    if begins.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/") || pattern.ends_with('/')) {
        return true;
    }
    let mode = Mode::NO_MATCH_SLASH_LITERAL | if ignore_case { Mode::IGNORE_CASE } else { Mode::empty() };
    wildmatch(pattern.into(), name, mode)
}

/// Refs at the top that end otherwise than in `_HEAD` (git's refs.c, `is_root_ref`).
const IRREGULAR: [&str; 6] =
    ["HEAD", "AUTO_MERGE", "BISECT_EXPECTED_REV", "NOTES_MERGE_PARTIAL", "NOTES_MERGE_REF", "MERGE_AUTOSTASH"];

/// The refs that lie beside `refs/`: `HEAD` and its like.
pub fn root_refs(store: &Store) -> Result<Vec<Listed>, Failure> {
    let mut found = Vec::new();
    let dir = store.repo().git_dir();
    for entry in std::fs::read_dir(dir).map_err(plumbing::Error::io("list", dir))? {
        let name = entry.map_err(plumbing::Error::io("list", dir))?.file_name();
        let Some(name) = name.to_str() else { continue };
        let capitals = name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-' || byte == b'_');
        let regular = name.ends_with("_HEAD") && !matches!(name, "FETCH_HEAD" | "MERGE_HEAD");
        if !capitals || !(regular || IRREGULAR.contains(&name)) {
            continue;
        }
        let symref = match store.read_ref(name.into())? {
            Some(Value::Symbolic(target)) => Some(target),
            _ => None,
        };
        if let Some((_, id)) = store.follow_ref(name.into())? {
            found.push(Listed { name: name.into(), id, symref, is_packed: false, peeled: None });
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

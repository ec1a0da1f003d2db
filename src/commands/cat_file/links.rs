//! `--follow-symlinks`: paths in a tree, with the symbolic links on the way followed inside of it.

use plumbing::bstr::{BString, ByteSlice};
use plumbing::gix::objs::{Kind, TreeRefIter};
use plumbing::store::Objects;
use plumbing::{Error, Id, Store};

use crate::git;
use crate::report::Failure;

/// As many links git follows before it takes them for a loop.
const MOST_LINKS: usize = 40;

/// Where a path leads.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    Object(Id),
    /// Out of the tree: the path that is left, or an absolute one.
    Outside(BString),
    Missing,
    /// The name stands for more than one object.
    Several,
    /// A link on the way leads nowhere.
    Dangling,
    Loop,
    /// A file is used as a folder.
    NotDir,
}

/// Follow `path` from the tree that `id` leads to.
pub(super) fn follow(store: &Store, objects: &mut Objects<'_>, id: Id, path: &[u8]) -> Result<Target, Failure> {
    let Some(top) = git::peel(store, id, Kind::Tree)? else { return Ok(Target::Missing) };
    let mut folders = vec![top];
    let mut rest = BString::from(path);
    let mut links = 0;
    let nowhere = |links: usize| if links == 0 { Target::Missing } else { Target::Dangling };
    if rest.is_empty() {
        return Ok(Target::Object(top));
    }
    loop {
        let slashes = rest.iter().take_while(|byte| **byte == b'/').count();
        rest.drain(..slashes);
        let (length, more) = match rest.find_byte(b'/') {
            Some(slash) => (slash, true),
            None => (rest.len(), false),
        };
        let here = *folders.last().expect("because the top stays");
        let name = rest[..length].as_bstr();
        if name == ".." {
            if folders.len() == 1 {
                return Ok(Target::Outside(rest));
            }
            folders.pop();
            rest.drain(..length + usize::from(more));
            continue;
        }
        if name.is_empty() {
            return Ok(Target::Object(here));
        }
        let Some((mode, found)) = entry(store, &here, name)? else { return Ok(nowhere(links)) };
        match mode & 0o170_000 {
            0o040_000 if !more => return Ok(Target::Object(found)),
            0o040_000 => {
                rest.drain(..=length);
                if objects.find(&found)?.is_none_or(|found| found.kind != Kind::Tree) {
                    return Ok(nowhere(links));
                }
                folders.push(found);
                if rest.is_empty() {
                    return Ok(Target::Object(found));
                }
            }
            0o100_000 if more => return Ok(Target::NotDir),
            0o100_000 => return Ok(Target::Object(found)),
            0o120_000 if links == MOST_LINKS => return Ok(Target::Loop),
            0o120_000 => {
                links += 1;
                let Some(blob) = objects.find(&found)? else { return Ok(Target::Dangling) };
                let target = objects.read(&blob)?;
                if target.starts_with(b"/") {
                    return Ok(Target::Outside(target.into()));
                }
                rest.splice(..length, target);
            }
            _ => return Ok(nowhere(links)),
        }
    }
}

/// Mode and id of what is called `name` in the tree `id`.
fn entry(store: &Store, id: &Id, name: &[u8]) -> Result<Option<(u16, Id)>, Failure> {
    let data = store.read_object(id, Kind::Tree)?;
    for entry in TreeRefIter::from_bytes(&data, id.kind()) {
        let entry = entry.map_err(|error| Error::damaged(format!("tree {id}"), error.to_string()))?;
        if entry.filename == name {
            return Ok(Some((entry.mode.value(), entry.oid.to_owned())));
        }
    }
    Ok(None)
}

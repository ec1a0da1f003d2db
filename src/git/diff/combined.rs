//! `-c` and `--cc`: what a merge has from none of its parents.

use std::io::Write;

use plumbing::Store;
use plumbing::bstr::BString;
use plumbing::diff::renames::{Pair, Status};
use plumbing::gix::objs::tree::EntryMode;

use super::{Options, quoted};
use crate::git::{self, Abbrev};
use crate::report::Failure;

/// A path that differs from all parents.
struct Path {
    path: BString,
    /// For each parent, how the path came to be as it is.
    pairs: Vec<Pair>,
}

/// Print what `by_parent`, the differences to each parent, have in common; whether anything.
pub fn combined(
    out: &mut dyn Write,
    store: &Store,
    by_parent: &[Vec<Pair>],
    options: &Options,
    header: &mut dyn FnMut(&mut dyn Write) -> Result<(), Failure>,
) -> Result<bool, Failure> {
    let paths = common(by_parent);
    if paths.is_empty() {
        return Ok(false);
    }
    header(out)?;
    if options.formats.has_lists() {
        paths.iter().try_for_each(|path| raw(out, store, path, options))?;
    }
    Ok(true)
}

fn common(by_parent: &[Vec<Pair>]) -> Vec<Path> {
    let Some((first, others)) = by_parent.split_first() else { return Vec::new() };
    let mut paths = Vec::new();
    for pair in first {
        let same = |pairs: &Vec<Pair>| pairs.iter().find(|other| other.path() == pair.path()).cloned();
        if let Some(others) = others.iter().map(same).collect::<Option<Vec<_>>>() {
            let path = pair.path().to_owned();
            paths.push(Path { path, pairs: [vec![pair.clone()], others].concat() });
        }
    }
    paths
}

fn raw(out: &mut dyn Write, store: &Store, path: &Path, options: &Options) -> Result<(), Failure> {
    let between: &[u8] = if options.nul { b"\0" } else { b"\t" };
    if !options.formats.name_only {
        if !options.formats.name_status {
            let mode = |mode: Option<EntryMode>| format!("{:06o}", mode.map_or(0, EntryMode::value));
            let after = path.pairs.first().and_then(|pair| pair.after.as_ref());
            write!(out, "{}", ":".repeat(path.pairs.len()))?;
            for pair in &path.pairs {
                write!(out, "{} ", mode(pair.before.as_ref().map(|file| file.version.mode)))?;
            }
            write!(out, "{}", mode(after.map(|file| file.version.mode)))?;
            for pair in &path.pairs {
                write!(out, " {}", id(store, pair.before.as_ref().map(|file| file.version.id), options.abbrev)?)?;
            }
            write!(out, " {} ", id(store, after.map(|file| file.version.id), options.abbrev)?)?;
        }
        for pair in &path.pairs {
            let letter = match pair.status {
                Status::Added | Status::Deleted => pair.status.letter(),
                Status::Renamed | Status::Copied => pair.status.letter(),
                _ => 'M',
            };
            write!(out, "{letter}")?;
        }
        out.write_all(between)?;
    }
    if options.nul {
        out.write_all(&path.path)?;
        return Ok(out.write_all(b"\0")?);
    }
    out.write_all(&quoted(path.path.as_ref()))?;
    Ok(out.write_all(b"\n")?)
}

fn id(store: &Store, id: Option<plumbing::Id>, abbrev: Abbrev) -> Result<String, Failure> {
    git::abbreviate_or_zeros(store, id.as_ref(), abbrev)
}

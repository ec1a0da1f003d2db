//! Differences of trees as git's object commands print them: formats, options and order of git-diff-tree(1).

mod combined;
mod lists;
mod options;
mod patch;
mod stat;

use std::io::Write;

use plumbing::bstr::{BStr, BString, ByteSlice};
use plumbing::diff::renames::{self, File, Pair, Status};
use plumbing::diff::text::Contents;
use plumbing::diff::trees::{self, Change};
use plumbing::{Id, Store};

pub use combined::combined;
pub use options::{Merges, Options};

use crate::report::Failure;

/// The pairs of files that differ between two trees, as far as `options` ask for them.
pub fn pairs(store: &Store, before: Option<&Id>, after: Option<&Id>, options: &Options) -> Result<Vec<Pair>, Failure> {
    let how = options.trees();
    let mut changes = trees::changes(store, before, after, &how)?;
    if let Some(prefix) = &options.relative {
        changes.retain(|change| change.path.starts_with(prefix.as_slice()));
    }
    if options.reverse {
        changes.iter_mut().for_each(|change: &mut Change| std::mem::swap(&mut change.before, &mut change.after));
    }
    let mut pairs = renames::pairs(store, changes, options.detect)?;
    options.filter.apply(&mut pairs);
    Ok(pairs)
}

fn strip(pair: &mut Pair, prefix: &BStr) {
    for file in [&mut pair.before, &mut pair.after].into_iter().flatten() {
        let rest = file.path.strip_prefix(prefix.as_bytes()).unwrap_or(&file.path);
        file.path = rest.strip_prefix(b"/").unwrap_or(rest).into();
    }
}

/// Print the pairs in all forms that were asked for.
pub fn print(out: &mut dyn Write, store: &Store, pairs: &[Pair], options: &Options) -> Result<(), Failure> {
    if pairs.is_empty() {
        return Ok(());
    }
    let formats = options.formats;
    let mut any = false;
    let whole = pairs;
    let mut pairs = pairs.to_vec();
    if let Some(prefix) = &options.relative {
        pairs.iter_mut().for_each(|pair| strip(pair, prefix.as_bstr()));
    }
    if formats.has_lists() {
        pairs.iter().try_for_each(|pair| lists::print(out, store, pair, options))?;
        any = true;
    }
    if formats.numstat || formats.stat || formats.shortstat {
        stat::print(out, store, &pairs, options)?;
        any = true;
    }
    if formats.summary {
        // It alone has whole paths.
        any |= lists::summary(out, whole)?;
    }
    if formats.patch {
        if any {
            out.write_all(if options.nul { b"\0" } else { b"\n" })?;
        }
        pairs.iter().try_for_each(|pair| patch::print(out, store, pair, options))?;
    }
    Ok(())
}

/// Whether a side is a folder, which has no lines.
fn has_tree(pair: &Pair) -> bool {
    [&pair.before, &pair.after].into_iter().flatten().any(|file| file.version.mode.is_tree())
}

/// Files beyond this size in bytes are binary: git's `core.bigFileThreshold` as it is without a configuration.
const LARGE: u64 = 512 << 20;

/// One side of a pair as far as its lines are concerned.
struct Lines {
    size: u64,
    /// `None` where it has none.
    text: Option<Vec<u8>>,
}

/// Read one side. A submodule's are git's words for it; with `--text` everything has lines.
fn read(store: &Store, file: Option<&File>, options: &Options) -> Result<Lines, Failure> {
    let text = |bytes: Vec<u8>| Lines { size: bytes.len() as u64, text: Some(bytes) };
    let Some(File { version, .. }) = file else { return Ok(text(Vec::new())) };
    if version.mode.is_commit() {
        return Ok(text(format!("Subproject commit {}\n", version.id).into_bytes()));
    }
    if options.text {
        return Ok(text(store.read_blob(&version.id)?));
    }
    match Contents::read_within(store, &version.id, LARGE, usize::MAX)? {
        Contents::Text(bytes) => Ok(text(bytes)),
        Contents::Binary => {
            let size = store.find_header(&version.id)?.map_or(0, |(_, size)| size);
            Ok(Lines { size, text: None })
        }
    }
}

/// How similar both sides are, in per cent.
fn similarity(pair: &Pair) -> u32 {
    pair.score * 100 / renames::MAX_SCORE
}

fn is_moved(pair: &Pair) -> bool {
    matches!(pair.status, Status::Renamed | Status::Copied)
}

/// A name in git's quotes where it needs them.
fn quoted(name: &BStr) -> BString {
    crate::output::quote::c_style(name).into_owned()
}

//! Which entries of two folders differ, by their encoded forms: what is equal is passed over without being decoded.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use gix::bstr::{BString, ByteSlice};
use itertools::EitherOrBoth::{Both, Left, Right};
use itertools::Itertools;

use super::read::{RawFolder, is_own_blob, tree_entries};
use super::{RootIds, lines, name};
use crate::{Id, Result};

/// The names, sorted, of the entries that are in one of two folders only, or not the same in both.
pub(super) fn names(one: &RawFolder, other: &RawFolder) -> Result<Vec<BString>> {
    let mut names = BTreeSet::new();
    compare_lines(&one.meta_lines, &other.meta_lines, &mut names)?;
    compare_lines(&one.times_lines, &other.times_lines, &mut names)?;
    let RootIds { rootfs, meta, times } = one.ids();
    compare_trees(&one.rootfs, &other.rootfs, rootfs, &mut names)?;
    compare_trees(&one.meta, &other.meta, meta, &mut names)?;
    compare_trees(&one.times, &other.times, times, &mut names)?;
    Ok(names.into_iter().collect())
}

/// The lines are sorted by name; the first is the folder's own.
fn compare_lines(one: &[u8], other: &[u8], names: &mut BTreeSet<BString>) -> Result<()> {
    if one == other {
        return Ok(());
    }
    for pair in one.lines().skip(1).merge_join_by(other.lines().skip(1), |a, b| order(a, b)) {
        match pair {
            Both(a, b) if a == b => {}
            Both(line, _) | Left(line) | Right(line) => {
                names.insert(lines::line_name(line)?.into_owned());
            }
        }
    }
    Ok(())
}

/// The order of two lines; where one is no line, which whoever decodes it will say, any.
fn order(a: &[u8], b: &[u8]) -> Ordering {
    if a == b {
        return Ordering::Equal;
    }
    match (lines::line_name(a), lines::line_name(b)) {
        (Ok(a), Ok(b)) => a.cmp(&b),
        _ => a.cmp(b),
    }
}

/// The entries are sorted as git sorts them.
fn compare_trees(one: &[u8], other: &[u8], id: &Id, names: &mut BTreeSet<BString>) -> Result<()> {
    if one == other {
        return Ok(());
    }
    let one: Vec<_> = tree_entries(one, id).try_collect()?;
    let other: Vec<_> = tree_entries(other, id).try_collect()?;
    for pair in one.into_iter().merge_join_by(other, |a, b| a.cmp(b)) {
        match pair {
            Both(a, b) if a == b => {}
            Both(entry, _) | Left(entry) | Right(entry) => {
                if !is_own_blob(entry.filename) {
                    names.insert(name::decode(entry.filename)?);
                }
            }
        }
    }
    Ok(())
}

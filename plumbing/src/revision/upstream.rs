//! `BRANCH@{upstream}`, `BRANCH@{push}` and `@{-1}`: branches that a configuration or `HEAD`'s log knows.

use gix::bstr::{BStr, ByteSlice};
use gix::refs::FullName;
use gix::remote::Direction;

use crate::{Error, Id, Result, Store};

/// The ref that remembers the branch which `branch` (`refs/heads/…`) follows, or (`push`) where it is pushed; `Invalid`
/// where there is none.
pub(super) fn find(store: &Store, branch: &str, push: bool) -> Result<(Id, String)> {
    let tracking = tracking(store, branch, if push { Direction::Push } else { Direction::Fetch });
    let end = tracking.as_deref().map(|name| store.follow_ref(name.into())).transpose()?.flatten();
    match (tracking, end) {
        (Some(name), Some((_, id))) => Ok((id, name)),
        _ => Err(Error::Invalid { what: "upstream", input: branch.into(), why: "the branch follows none".into() }),
    }
}

fn tracking(store: &Store, branch: &str, direction: Direction) -> Option<String> {
    let full = FullName::try_from(branch).ok()?;
    let repo = store.repo();
    if let Some(Ok(name)) = repo.branch_remote_tracking_ref_name(full.as_ref(), direction) {
        return Some(name.as_bstr().to_string());
    }
    // A branch of this repository itself.
    let remote = repo.branch_remote_name(BStr::new(branch.strip_prefix("refs/heads/")?), direction)?;
    let merge = repo.branch_remote_ref_name(full.as_ref(), direction)?.ok()?;
    (remote.as_bstr() == ".").then(|| merge.as_bstr().to_string())
}

/// The branch, or commit, that was checked out `number` checkouts ago.
pub(super) fn checked_out_before(store: &Store, number: usize) -> Result<Option<(Id, Option<String>)>> {
    let log = store.read_log(b"HEAD".as_bstr())?.unwrap_or_default();
    let mut moves = log.iter().rev().filter_map(|line| {
        let rest = line.message.strip_prefix(b"checkout: moving from ")?;
        Some(rest.split_once_str(" to ")?.0.to_str_lossy().into_owned())
    });
    let Some(from) = number.checked_sub(1).and_then(|skip| moves.nth(skip)) else { return Ok(None) };
    let branch = format!("refs/heads/{from}");
    if let Some((_, id)) = store.follow_ref(branch.as_str().into())? {
        return Ok(Some((id, Some(branch))));
    }
    Ok(Id::from_hex(from.as_bytes()).ok().filter(|id| store.has(id)).map(|id| (id, None)))
}

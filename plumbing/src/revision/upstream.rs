//! `BRANCH@{upstream}`, `BRANCH@{push}` and `@{-1}`: branches that a configuration or `HEAD`'s log knows.

use gix::bstr::{BStr, ByteSlice};
use gix::refs::FullName;
use gix::remote::Direction;

use crate::{Id, Result, Store};

/// The ref that remembers the branch which `reference` follows, or (`push`) where it is pushed; `HEAD` stands for its branch.
pub(super) fn find(store: &Store, reference: &str, push: bool) -> Result<Option<(Id, String)>> {
    let branch = match reference {
        "HEAD" => store.follow_ref(b"HEAD".as_bstr())?.map_or_else(|| reference.to_owned(), |(name, _)| name.to_string()),
        _ => reference.to_owned(),
    };
    let Ok(full) = FullName::try_from(branch.as_str()) else { return Ok(None) };
    let direction = if push { Direction::Push } else { Direction::Fetch };
    let repo = store.repo();
    let local = || {
        let short = branch.strip_prefix("refs/heads/")?;
        let remote = repo.branch_remote_name(BStr::new(short), direction)?;
        let merge = repo.branch_remote_ref_name(full.as_ref(), direction)?.ok()?;
        (remote.as_bstr() == ".").then(|| merge.as_bstr().to_string())
    };
    let tracking = match repo.branch_remote_tracking_ref_name(full.as_ref(), direction) {
        Some(Ok(name)) => Some(name.as_bstr().to_string()),
        _ => local(),
    };
    let Some(name) = tracking else { return Ok(None) };
    Ok(store.follow_ref(name.as_str().into())?.map(|(_, id)| (id, name)))
}

/// The branch, or commit, that was checked out `number` checkouts ago.
pub(super) fn checked_out_before(store: &Store, number: usize) -> Result<Option<(Id, Option<String>)>> {
    let log = store.read_log(b"HEAD".as_bstr())?.unwrap_or_default();
    let moves = log.iter().rev().filter_map(|line| {
        let rest = line.message.strip_prefix(b"checkout: moving from ")?;
        Some(rest.split_once_str(" to ")?.0.to_str_lossy().into_owned())
    });
    let Some(from) = number.checked_sub(1).and_then(|skip| moves.skip(skip).next()) else { return Ok(None) };
    let branch = format!("refs/heads/{from}");
    if let Some((_, id)) = store.follow_ref(branch.as_str().into())? {
        return Ok(Some((id, Some(branch))));
    }
    Ok(Id::from_hex(from.as_bytes()).ok().filter(|id| store.has(id)).map(|id| (id, None)))
}

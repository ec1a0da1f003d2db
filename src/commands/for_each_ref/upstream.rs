//! The branch that another one follows, as the configuration says (git-config(1), `branch.<name>.merge`).

use plumbing::Store;
use plumbing::bstr::{BStr, ByteSlice};
use plumbing::gix::refs::FullName;
use plumbing::gix::remote::Direction;

use crate::report::Failure;

/// Where a branch comes from, or goes to.
pub struct Found {
    pub remote: String,
    /// The branch there.
    pub merge: String,
    /// The ref here that remembers it.
    pub tracking: Option<String>,
}

/// What the branch `name` follows, or where it is pushed; `None` where nothing is said, or the ref is no branch.
pub fn find(store: &Store, name: &BStr, push: bool) -> Result<Option<Found>, Failure> {
    let Some(branch) = name.strip_prefix(b"refs/heads/") else { return Ok(None) };
    let Ok(full) = FullName::try_from(name.to_owned()) else { return Ok(None) };
    let direction = if push { Direction::Push } else { Direction::Fetch };
    let repo = store.repo();
    let Some(remote) = repo.branch_remote_name(branch.as_bstr(), direction) else { return Ok(None) };
    let merge = match repo.branch_remote_ref_name(full.as_ref(), direction) {
        Some(Ok(merge)) => merge.as_bstr().to_string(),
        _ => return Ok(None),
    };
    let tracking = match repo.branch_remote_tracking_ref_name(full.as_ref(), direction) {
        Some(Ok(tracking)) => Some(tracking.as_bstr().to_string()),
        // A branch of this repository itself.
        _ if remote.as_bstr() == "." => Some(merge.clone()),
        _ => None,
    };
    Ok(Some(Found { remote: remote.as_bstr().to_string(), merge, tracking }))
}

//! Revisions: everything that git's syntax allows, with images and containers in place of branch names.
//!
//! `debian:12~2`, `web@{1}`, `3f2a…`, `refs/images/…`; see gitrevisions(7).

use crate::store::refs::CONTAINERS;
use crate::{Error, Id, ImageName, Result, Store};

/// Resolve `spelling` to the id of the object it names.
pub fn resolve(store: &Store, spelling: &str) -> Result<Id> {
    let not_found = || Error::NotFound { what: "revision", name: spelling.into() };
    let (base, suffix) = split_suffix(spelling);
    let base = base_name(store, base)?.ok_or_else(not_found)?;
    let spec = format!("{base}{suffix}");
    let id = store.repo().rev_parse_single(spec.as_str()).map_err(|_| not_found())?;
    Ok(id.detach())
}

/// Resolve `spelling` to a commit, following tags.
pub fn resolve_commit(store: &Store, spelling: &str) -> Result<Id> {
    let id = resolve(store, spelling)?;
    let object = store.repo().find_object(id).map_err(Error::git(format!("read object {id}")))?;
    let commit = object.peel_to_kind(gix::objs::Kind::Commit).map_err(|_| Error::Invalid {
        what: "revision",
        input: spelling.into(),
        why: "it names no commit".into(),
    })?;
    Ok(commit.id)
}

/// Where the name ends and git's operators begin.
fn split_suffix(spelling: &str) -> (&str, &str) {
    let ends = [spelling.find(['^', '~']), spelling.find("@{")];
    let at = ends.into_iter().flatten().min().unwrap_or(spelling.len());
    spelling.split_at(at)
}

/// The full ref name or the full id that `base` stands for.
fn base_name(store: &Store, base: &str) -> Result<Option<String>> {
    if base.starts_with("refs/") || base == "HEAD" {
        return Ok(Some(base.into()));
    }
    let mut candidates = vec![format!("{CONTAINERS}{base}")];
    candidates.extend(ImageName::parse(base).ok().map(|name| name.to_ref()));
    for candidate in candidates {
        if candidate.as_str().try_into().is_ok_and(|name: gix::refs::FullName| {
            store.repo().try_find_reference(&name).is_ok_and(|found| found.is_some())
        }) {
            return Ok(Some(candidate));
        }
    }
    let hex = base.strip_prefix("sha256:").unwrap_or(base);
    Ok((hex.len() >= 4 && hex.bytes().all(|b| b.is_ascii_hexdigit())).then(|| hex.into()))
}

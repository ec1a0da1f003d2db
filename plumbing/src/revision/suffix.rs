//! Taking a spelling apart into name, operators and path, and applying git's operators.

use gix::bstr::{BStr, ByteSlice};
use gix::objs::Kind;

use super::name::Base;
use super::{Revision, reflog, upstream};
use crate::{Error, Id, Result, Store};

/// One way to take a spelling apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spelling<'a> {
    /// The name of an image, container or ref, or the beginning of an id.
    pub name: &'a BStr,
    /// Git's operators: `^2`, `~3`, `@{1}`, `^{tree}`.
    pub operators: &'a BStr,
    /// What follows the colon.
    pub path: Option<&'a BStr>,
}

impl Spelling<'_> {
    /// Whether nothing follows the name.
    pub fn is_name_only(&self) -> bool {
        self.operators.is_empty() && self.path.is_none()
    }
}

/// All ways to take `spelling` apart, the longest name first.
///
/// A name ends at an operator or at a colon; image names have colons too (`localhost:5000/a:1`), and paths may hold
/// what looks like an operator (`debian:/etc/x~1`).
pub(super) fn splits(spelling: &BStr) -> Vec<Spelling<'_>> {
    let end = [spelling.find_byteset(b"^~"), spelling.find("@{")].into_iter().flatten().min();
    let end = end.unwrap_or(spelling.len());
    let colons = (0..end).rev().filter(|at| spelling[*at] == b':');
    std::iter::once(end)
        .chain(colons)
        .map(|at| {
            let (name, rest) = spelling.split_at(at);
            let colon = path_colon(rest);
            let (operators, path) = match colon {
                Some(colon) => (&rest[..colon], Some(rest[colon + 1..].as_bstr())),
                None => (rest, None),
            };
            Spelling { name: name.as_bstr(), operators: operators.as_bstr(), path }
        })
        .collect()
}

/// The first colon that is in no braces, where a path begins.
fn path_colon(rest: &[u8]) -> Option<usize> {
    let mut depth = 0u32;
    let mut escaped = false;
    for (at, byte) in rest.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if depth > 0 => escaped = true,
            b'{' => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            b':' if depth == 0 => return Some(at),
            _ => {}
        }
    }
    None
}

/// The object that `base` and the operators of `split` name, and the ref where they name one and no more.
pub(super) fn apply(store: &Store, base: &Base, split: &Spelling<'_>) -> Result<(Id, Option<String>)> {
    let (mut id, mut rest, mut name) = (base.id, split.operators, None);
    if let Some(inner) = rest.strip_prefix(b"@{") {
        let end = inner.find_byte(b'}').ok_or_else(|| unknown(split))?;
        if !matches!(inner.get(end + 1), None | Some(b'^' | b'~')) {
            return Err(unknown(split));
        }
        (id, name) = braces(store, base, split, inner[..end].as_bstr())?;
        rest = inner[end + 1..].as_bstr();
    }
    if rest.is_empty() {
        return Ok((id, name));
    }
    Ok((operate(store, id, rest, split)?, None))
}

/// What `@{…}` names after `base`.
fn braces(store: &Store, base: &Base, split: &Spelling<'_>, inner: &BStr) -> Result<(Id, Option<String>)> {
    let reference = base.reference.as_deref().ok_or_else(|| unknown(split))?;
    let lower = inner.to_ascii_lowercase();
    if matches!(lower.as_slice(), b"u" | b"upstream" | b"push") {
        let branch = match split.name.as_bytes() {
            b"" | b"@" | b"HEAD" => store.follow_ref(b"HEAD".as_bstr())?.map(|(name, _)| name.to_string()),
            name => Some(format!("refs/heads/{}", name.as_bstr())),
        };
        let branch = branch.unwrap_or_else(|| reference.to_owned());
        let (id, name) = upstream::find(store, &branch, lower == b"push")?;
        return Ok((id, Some(name)));
    }
    if let Some(number) = inner.strip_prefix(b"-").filter(|_| split.name.is_empty()) {
        let number = number.to_str().ok().and_then(|number| number.parse().ok()).ok_or_else(|| unknown(split))?;
        let found = upstream::checked_out_before(store, number)?;
        return found.ok_or_else(|| unknown(split));
    }
    // Without a name it is the branch that HEAD is symbolic for, not HEAD.
    let named = match split.name.is_empty() {
        true => store.follow_ref(b"HEAD".as_bstr())?.map(|(name, _)| name.to_string()),
        false => None,
    };
    let reference = named.as_deref().unwrap_or(reference);
    Ok((reflog::lookup(store, reference, base.id, inner)?, None))
}

fn operate(store: &Store, id: Id, rest: &BStr, split: &Spelling<'_>) -> Result<Id> {
    if matches!(rest.as_bytes(), b"^{}" | b"^{blob}" | b"^{object}") && store.content_file(&id).exists() {
        return Ok(id);
    }
    // A commit without its parents is a set, which gix takes for the commit.
    if rest.ends_with(b"^!") {
        return Err(unknown(split));
    }
    navigate(store, id, rest)
        .map_err(|_| Error::NotFound { what: "revision", name: format!("{}{}", split.name, split.operators) })
}

/// Let gix apply `operators` to the object `id`.
fn navigate(store: &Store, id: Id, operators: &BStr) -> Result<Id> {
    let spec = format!("{id}{operators}");
    let found = store.repo().rev_parse_single(spec.as_str()).map_err(Error::git("follow a revision"))?;
    Ok(found.detach())
}

fn unknown(split: &Spelling<'_>) -> Error {
    Error::NotFound { what: "revision", name: format!("{}{}", split.name, split.operators) }
}

/// `:/TEXT`: the youngest commit reachable from any ref whose message matches.
pub(super) fn of_all_refs(store: &Store, spelling: &BStr) -> Result<Revision> {
    if !spelling.starts_with(b":/") {
        let why = "a bare repository has no index to look a path up in; name a revision before the colon";
        return Err(Error::Invalid { what: "revision", input: spelling.to_string(), why: why.into() });
    }
    let found = store.repo().rev_parse_single(spelling);
    let id = found.map_err(|_| Error::NotFound { what: "revision", name: spelling.to_string() })?;
    Ok(Revision { id: id.detach(), path: None, name: None })
}

/// The object of `kind` that `id` leads to through tags, and from a commit to its tree.
pub(super) fn peel(store: &Store, id: Id, kind: Kind) -> Result<Id, ()> {
    let object = store.repo().find_object(id).map_err(drop)?;
    object.peel_to_kind(kind).map(|object| object.id).map_err(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spelling_comes_apart_at_colons_and_operators() {
        let take = |text: &'static str| -> Vec<(String, String, Option<String>)> {
            let parts = splits(text.into());
            parts.iter().map(|s| (s.name.to_string(), s.operators.to_string(), s.path.map(|p| p.to_string()))).collect()
        };
        let part = |name: &str, operators: &str, path: Option<&str>| {
            (name.to_owned(), operators.to_owned(), path.map(str::to_owned))
        };
        assert_eq!(take("debian:12~2"), [part("debian:12", "~2", None), part("debian", "", Some("12~2"))]);
        assert_eq!(take("web@{1}^{/a:b}:/x"), [part("web", "@{1}^{/a:b}", Some("/x"))]);
        assert_eq!(take("x^{/a\\}:b}"), [part("x", "^{/a\\}:b}", None)]);
        assert_eq!(
            take("l:5/a:/etc/x~1"),
            [
                part("l:5/a:/etc/x", "~1", None),
                part("l:5/a", "", Some("/etc/x~1")),
                part("l", "", Some("5/a:/etc/x~1")),
            ]
        );
    }
}

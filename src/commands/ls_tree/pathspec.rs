//! Which entries are listed: paths without wildcards, as git-ls-tree(1) has them.

use plumbing::bstr::{BStr, BString, ByteSlice};
use plumbing::gix::objs::Kind;

use crate::report::Failure;

/// The paths that were asked for; all where there are none.
pub(super) struct Pathspec(Vec<BString>);

impl Pathspec {
    pub(super) fn parse<'a>(paths: impl Iterator<Item = &'a BStr> + Clone) -> Result<Self, Failure> {
        if paths.clone().any(|path| path.is_empty()) {
            let why = "empty string is not a valid pathspec. please use . instead if you meant to match all paths";
            return Err(Failure::fatal(why));
        }
        paths.map(path).collect::<Result<_, _>>().map(Self)
    }

    /// Whether an entry is, lies in, or leads to one of the paths.
    pub(super) fn is_wanted(&self, base: &BStr, name: &BStr, kind: Kind) -> bool {
        self.0.is_empty() || self.0.iter().any(|path| is_interesting(path.as_bstr(), base, name, kind))
    }

    /// Whether the folder `name` leads to one of the paths.
    pub(super) fn leads_on(&self, base: &BStr, name: &BStr) -> bool {
        self.0.iter().any(|path| {
            let rest = path.strip_prefix(base.as_bytes()).and_then(|rest| rest.strip_prefix(name.as_bytes()));
            rest.is_some_and(|rest| rest.starts_with(b"/"))
        })
    }
}

/// A path as git compares it; `:/` and `:(top,literal)` in front of it are all the magic that ls-tree takes.
fn path(spelled: &BStr) -> Result<BString, Failure> {
    let Some(magic) = spelled.strip_prefix(b":") else { return normalize(spelled, spelled) };
    let literal = std::env::var("GIT_LITERAL_PATHSPECS")
        .is_ok_and(|value| !["", "0", "false", "no", "off"].contains(&value.as_str()));
    if literal {
        return normalize(spelled, spelled);
    }
    let (top, path) = match magic.strip_prefix(b"(") {
        Some(words) => long_magic(spelled, words)?,
        None => short_magic(spelled, magic)?,
    };
    if top { Ok(path.to_owned()) } else { normalize(spelled, path) }
}

/// `top,literal)PATH`
fn long_magic<'a>(spelled: &BStr, rest: &'a [u8]) -> Result<(bool, &'a BStr), Failure> {
    let missing = || Failure::fatal(format!("Missing ')' at the end of pathspec magic in '{spelled}'"));
    let (words, path) = rest.split_once_str(")").ok_or_else(missing)?;
    let mut top = false;
    for word in words.split_str(",") {
        match word {
            b"top" => top = true,
            b"" | b"literal" => {}
            word => return Err(unsupported(spelled, &word.as_bstr().to_string())),
        }
    }
    Ok((top, path.as_bstr()))
}

/// `/PATH`, or a path that another colon begins.
fn short_magic<'a>(spelled: &BStr, magic: &'a [u8]) -> Result<(bool, &'a BStr), Failure> {
    let signs = magic.iter().take_while(|byte| b"!\"#%&',-/;<=>@_`~^".contains(byte)).count();
    if let Some(other) = magic[..signs].iter().find(|byte| **byte != b'/') {
        return Err(unsupported(spelled, &char::from(*other).to_string()));
    }
    let path = magic[signs..].strip_prefix(b":").unwrap_or(&magic[signs..]);
    Ok((signs > 0, path.as_bstr()))
}

fn unsupported(spelled: &BStr, magic: &str) -> Failure {
    Failure::fatal(format!("{spelled}: pathspec magic not supported by this command: '{magic}'"))
}

/// A path without `.` and empty components, `..` resolved; a slash at the end stays.
fn normalize(spelled: &BStr, path: &BStr) -> Result<BString, Failure> {
    let outside = || Failure::fatal(format!("{spelled}: '{path}' is outside repository"));
    if path.starts_with(b"/") {
        return Err(outside());
    }
    let mut kept: Vec<&[u8]> = Vec::new();
    for component in path.split_str("/") {
        match component {
            b"" | b"." => {}
            b".." => drop(kept.pop().ok_or_else(outside)?),
            name => kept.push(name),
        }
    }
    let mut out = BString::from(kept.join(&b'/'));
    if !out.is_empty() && (path.ends_with(b"/") || path.ends_with(b"/.") || path.ends_with(b"/..")) {
        out.push(b'/');
    }
    Ok(out)
}

/// Whether a path without wildcards concerns the entry `name` of the folder `base`.
fn is_interesting(path: &BStr, base: &BStr, name: &BStr, kind: Kind) -> bool {
    if base.len() >= path.len() {
        let inside = path.is_empty() || path.ends_with(b"/") || base.get(path.len()) == Some(&b'/');
        return inside && base.starts_with(path);
    }
    let Some(rest) = path.strip_prefix(base.as_bytes()).and_then(|rest| rest.strip_prefix(name.as_bytes())) else {
        return false;
    };
    match (rest, kind) {
        (b"", _) => true,
        (b"/", Kind::Commit) => true,
        _ => rest.starts_with(b"/") && kind == Kind::Tree,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_as_git_does() {
        for (spelled, want) in [
            ("a//b/", "a/b/"),
            ("./a", "a"),
            (".", ""),
            ("a/../b", "b"),
            ("a/.", "a/"),
            ("./", ""),
            (":/a", "a"),
            (":(top)a//b", "a//b"),
            (":(literal)./a", "a"),
            ("::a", "a"),
        ] {
            assert_eq!(path(spelled.into()).ok().unwrap(), want, "{spelled}");
        }
        for spelled in ["..", "a/../..", "/a", ":!a", ":(exclude)a", ":(top", ":^a"] {
            assert!(path(spelled.into()).is_err(), "{spelled}");
        }
    }
}

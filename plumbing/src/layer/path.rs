//! Names in an archive as paths in a root.
//!
//! As in the other engines a name is relative to the root whether or not it starts with `/` or `./`. `..` is refused
//! rather than followed: no archiver writes it, and what it would mean depends on who reads it.

use gix::bstr::{BStr, BString, ByteSlice};

use super::header::Flaw;

/// Longest path in bytes (Linux's PATH_MAX).
const LONGEST: usize = 4096;
/// Longest component in bytes (Linux's NAME_MAX).
const LONGEST_COMPONENT: usize = 255;
/// Most components; git refuses trees that are more than 2048 deep.
const DEEPEST: usize = 1024;

/// A name or target of an archive as a path: relative, without empty components, `.` and `..`. The root is the empty path.
pub(super) fn parse(name: &BStr) -> Result<BString, Flaw> {
    if name.contains(&0) {
        return Err("its name has a zero byte".into());
    }
    let mut path = BString::default();
    for component in name.split_str("/").filter(|component| !matches!(*component, b"" | b".")) {
        if component == b".." {
            return Err("'..' in a name is not allowed".into());
        }
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(component);
    }
    check(path.as_bstr())?;
    Ok(path)
}

/// Refuse a path that Linux or git couldn't handle.
pub(super) fn check(path: &BStr) -> Result<(), Flaw> {
    if path.len() > LONGEST {
        return Err(format!("its path has {} bytes, {LONGEST} are allowed", path.len()));
    }
    if let Some(long) = path.split_str("/").find(|component| component.len() > LONGEST_COMPONENT) {
        return Err(format!("its path has a component of {} bytes, {LONGEST_COMPONENT} are allowed", long.len()));
    }
    match path.split_str("/").count() {
        depth if depth > DEEPEST => Err(format!("it is {depth} folders deep, {DEEPEST} are allowed")),
        _ => Ok(()),
    }
}

/// A name for a message: escaped for terminals, and not endless.
pub fn shown(name: &BStr) -> String {
    const SHOWN: usize = 200;
    let end = name.len().min(SHOWN);
    let dots = if name.len() > SHOWN { "…" } else { "" };
    let text = match std::str::from_utf8(&name[..end]) {
        Ok(text) => {
            text.chars().map(|c| if c.is_control() { c.escape_default().to_string() } else { c.into() }).collect()
        }
        Err(_) => name[..end].escape_ascii().to_string(),
    };
    text + dots
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_paths() {
        for (name, path) in
            [("a/b", "a/b"), ("./a//b/", "a/b"), ("/etc/x", "etc/x"), (".", ""), ("./", ""), ("/", ""), ("...", "...")]
        {
            assert_eq!(parse(name.into()).unwrap(), path);
        }
    }

    #[test]
    fn impossible_names_are_refused() {
        let long = "x".repeat(256);
        let deep = "d/".repeat(1025);
        let longer = "abc/".repeat(1025);
        for name in ["..", "a/../b", "/..", "a/..", "a\0b", &long, &deep, &longer] {
            assert!(parse(name.into()).is_err(), "{name}");
        }
    }

    #[test]
    fn names_are_escaped_for_terminals() {
        assert_eq!(shown("a\u{1b}[31m\nb".into()), "a\\u{1b}[31m\\nb");
        assert_eq!(shown(b"\xff\x1b".as_bstr()), "\\xff\\x1b");
        assert_eq!(shown("ä".into()), "ä");
    }
}

//! Whether an object that somebody hands in is one: what `git fsck --strict` demands of a single object, and of what
//! `git hash-object` refuses the rest.

use std::collections::HashSet;

use gix::bstr::{BStr, ByteSlice};
use gix::objs::Kind;
use gix::validate::path::component;

/// Why `bytes` are no object of `kind`.
pub fn check(kind: Kind, bytes: &[u8]) -> Result<(), &'static str> {
    match kind {
        Kind::Blob => Ok(()),
        Kind::Tree => check_tree(bytes),
        Kind::Commit => check_commit(bytes),
        Kind::Tag => check_tag(bytes),
    }
}

/// Length of an id in a tree.
const RAW_ID: usize = 32;
/// Length of an id in a commit or tag.
const HEX_ID: usize = 64;
/// Longer names git takes for an attack.
const LONGEST_NAME: usize = 4096;

fn check_tree(bytes: &[u8]) -> Result<(), &'static str> {
    let mut rest = bytes;
    let mut names = HashSet::new();
    let mut last: Option<Vec<u8>> = None;
    while !rest.is_empty() {
        let (entry, behind) = TreeEntry::take(rest).ok_or("it can't be parsed as a tree")?;
        rest = behind;
        entry.check()?;
        if !names.insert(entry.name) {
            return Err("it has duplicate entries");
        }
        let key = entry.sort_key();
        if last.is_some_and(|last| last >= key) {
            return Err("it is not properly sorted");
        }
        last = Some(key);
    }
    Ok(())
}

struct TreeEntry<'a> {
    mode: &'a [u8],
    name: &'a BStr,
    id: &'a [u8],
}

impl<'a> TreeEntry<'a> {
    fn take(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (mode, rest) = bytes.split_once_str(" ")?;
        let (name, rest) = rest.split_once_str("\0")?;
        let (id, rest) = rest.split_at_checked(RAW_ID)?;
        Some((Self { mode, name: name.as_bstr(), id }, rest))
    }

    fn check(&self) -> Result<(), &'static str> {
        if !matches!(self.mode, b"100644" | b"100755" | b"120000" | b"40000" | b"160000") {
            return Err("it has a bad file mode");
        }
        if self.id.iter().all(|byte| *byte == 0) {
            return Err("it has an entry that points to no object");
        }
        if self.name.len() > LONGEST_NAME {
            return Err("it has a name that is too long");
        }
        let is_link = self.mode == b"120000";
        let hidden: [&[u8]; 3] = [b".gitattributes", b".gitignore", b".mailmap"];
        if is_link && hidden.contains(&self.name.as_bytes()) {
            return Err("it has a symbolic link where git reads a file");
        }
        let options = component::Options { protect_windows: false, protect_hfs: true, protect_ntfs: true };
        // On Windows a backslash parts names; git accepts one, but no name behind it that it refuses itself.
        let parts = self.name.split_str("\\").filter(|part| part.len() == self.name.len() || !part.is_empty());
        for part in parts {
            let mode = is_link.then_some(component::Mode::Symlink);
            let name = gix::validate::path::component(part.as_bstr(), mode, options);
            if name.is_err() && (part.len() == self.name.len() || part.to_ascii_lowercase().starts_with(b".git")) {
                return Err("it has a name that no file may have");
            }
        }
        Ok(())
    }

    /// Folders are sorted as if a slash ended their names.
    fn sort_key(&self) -> Vec<u8> {
        let end: &[u8] = if self.mode == b"40000" { b"/" } else { b"" };
        [self.name.as_bytes(), end].concat()
    }
}

/// The header lines of a commit or tag, which are followed by an empty line or the end.
struct Headers<'a>(&'a [u8]);

impl<'a> Headers<'a> {
    fn new(bytes: &'a [u8]) -> Result<Self, &'static str> {
        let end = bytes.find(b"\n\n").map(|at| at + 1);
        let headers = match end {
            Some(end) => &bytes[..end],
            None => bytes,
        };
        if headers.contains(&0) {
            return Err("its header holds a NUL");
        }
        match headers.ends_with(b"\n") || headers.is_empty() {
            true => Ok(Self(headers)),
            false => Err("its header doesn't end"),
        }
    }

    /// The value of the next line if that is called `name`.
    fn take(&mut self, name: &str) -> Option<&'a [u8]> {
        let rest = self.0.strip_prefix(name.as_bytes())?.strip_prefix(b" ")?;
        let (value, rest) = rest.split_once_str("\n")?;
        self.0 = rest;
        Some(value)
    }
}

fn check_commit(bytes: &[u8]) -> Result<(), &'static str> {
    let mut headers = Headers::new(bytes)?;
    check_id(headers.take("tree").ok_or("it has no tree")?)?;
    while let Some(parent) = headers.take("parent") {
        check_id(parent)?;
    }
    check_ident(headers.take("author").ok_or("it has no author")?)?;
    if headers.take("author").is_some() {
        return Err("it has several authors");
    }
    check_ident(headers.take("committer").ok_or("it has no committer")?)?;
    if bytes.contains(&0) { Err("its message holds a NUL") } else { Ok(()) }
}

fn check_tag(bytes: &[u8]) -> Result<(), &'static str> {
    let mut headers = Headers::new(bytes)?;
    check_id(headers.take("object").ok_or("it has no object")?)?;
    let kind = headers.take("type").ok_or("it has no type")?;
    Kind::from_bytes(kind).map_err(|_| "its type is none")?;
    let name = headers.take("tag").ok_or("it has no name")?;
    let name = [b"refs/tags/", name].concat();
    gix::validate::reference::name(name.as_bstr()).map_err(|_| "its name is no tag's")?;
    check_ident(headers.take("tagger").ok_or("it has no tagger")?)
}

fn check_id(hex: &[u8]) -> Result<(), &'static str> {
    let is_id = hex.len() == HEX_ID && hex.iter().all(u8::is_ascii_hexdigit);
    if is_id { Ok(()) } else { Err("it has a line with a bad id") }
}

/// `NAME <EMAIL> SECONDS ZONE`
fn check_ident(line: &[u8]) -> Result<(), &'static str> {
    let bad = "it has a bad author, committer or tagger";
    let (name, rest) = line.split_at(line.find_byteset(b"<>").ok_or(bad)?);
    let email = rest.strip_prefix(b"<").ok_or(bad)?;
    let (_, end) = email.split_at(email.find_byteset(b"<>").ok_or(bad)?);
    let date = end.strip_prefix(b"> ").ok_or(bad)?;
    if !name.ends_with(b" ") {
        return Err(bad);
    }
    let date = date.trim_start_with(|c| c == ' ' || c == '\t');
    let (seconds, zone) = date.split_once_str(" ").ok_or(bad)?;
    let is_number = seconds.iter().all(u8::is_ascii_digit) && !seconds.is_empty();
    let is_plain = seconds == b"0" || !seconds.starts_with(b"0");
    let fits = seconds.to_str().is_ok_and(|text| text.parse::<i64>().is_ok());
    let is_zone = zone.len() == 5 && matches!(zone[0], b'+' | b'-') && zone[1..].iter().all(u8::is_ascii_digit);
    if is_number && is_plain && fits && is_zone { Ok(()) } else { Err(bad) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trees_are_sorted_and_name_files() {
        let entry = |mode: &str, name: &str| [format!("{mode} {name}\0").as_bytes(), &[7; RAW_ID]].concat();
        let tree = |entries: &[(&str, &str)]| entries.iter().flat_map(|(mode, name)| entry(mode, name)).collect();
        let ok = |entries: &[(&str, &str)]| {
            let bytes: Vec<u8> = tree(entries);
            check(Kind::Tree, &bytes).is_ok()
        };
        assert!(ok(&[]));
        assert!(ok(&[("100644", "a.b"), ("40000", "a"), ("120000", "a0")]));
        assert!(ok(&[("100644", "a\\b"), ("100644", "b\\")]));
        for bad in [
            &[("100644", "b"), ("100644", "a")][..],
            &[("100644", "a"), ("100644", "a")],
            &[("100644", "a"), ("100644", "a.b"), ("40000", "a")],
            &[("40000", "a"), ("100644", "a.b")],
            &[("040000", "a")],
            &[("100664", "a")],
            &[("100644", "")],
            &[("100644", ".")],
            &[("40000", "..")],
            &[("40000", ".git")],
            &[("40000", ".GiT")],
            &[("40000", "git~1")],
            &[("100644", "a/b")],
            &[("100644", "x\\.git")],
            &[("120000", ".gitmodules")],
            &[("120000", ".mailmap")],
        ] {
            assert!(!ok(bad), "{bad:?}");
        }
        assert!(check(Kind::Tree, b"100644 a\0short").is_err());
        assert!(check(Kind::Tree, &[&b"100644 a\0"[..], &[0; RAW_ID]].concat()).is_err());
    }

    #[test]
    fn people_and_dates_have_one_form() {
        for (line, good) in [
            ("A <a@b> 1 +0000", true),
            ("A <a@b>  1 +0000", true),
            (" <> 0 -0130", true),
            ("<a@b> 1 +0000", false),
            ("A<a@b> 1 +0000", false),
            ("A <a@b 1 +0000", false),
            ("A <a@b> 01 +0000", false),
            ("A <a@b> x +0000", false),
            ("A <a@b> 1 0000", false),
            ("A <a@b> 1 +000", false),
            ("A <a@b> 99999999999999999999 +0000", false),
        ] {
            assert_eq!(check_ident(line.as_bytes()).is_ok(), good, "{line}");
        }
    }
}

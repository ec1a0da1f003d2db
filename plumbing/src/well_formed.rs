//! What git demands of objects (git-fsck(1), with `--strict`), so that it can read all that is taken in.

use std::collections::HashSet;

use gix::bstr::{BStr, ByteSlice};
use gix::objs::Kind;
use gix::objs::tree::EntryKind;
use gix::validate::path::component;

use crate::Id;

/// Check the bytes of an object; what is wrong with them.
pub fn check(kind: Kind, data: &[u8]) -> Result<(), String> {
    match kind {
        Kind::Blob => Ok(()),
        Kind::Tree => check_tree(data),
        Kind::Commit => check_commit(data),
        Kind::Tag => check_tag(data),
    }
}

/// An entry of a tree.
pub(crate) struct TreeEntry<'t> {
    pub(crate) kind: EntryKind,
    pub(crate) name: &'t BStr,
    pub(crate) id: Id,
}

/// The entries of a tree's bytes; git's own spelling of modes only.
pub(crate) fn tree_entries(data: &[u8]) -> impl Iterator<Item = Result<TreeEntry<'_>, String>> {
    let mut rest = data;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let parsed = parse_entry(rest);
        rest = parsed.as_ref().map_or(&[][..], |(_, behind)| *behind);
        Some(parsed.map(|(entry, _)| entry))
    })
}

fn parse_entry(data: &[u8]) -> Result<(TreeEntry<'_>, &[u8]), String> {
    let (mode, behind) = data.split_once_str(" ").ok_or("a tree's entry has no name")?;
    let kind = match mode {
        b"40000" => EntryKind::Tree,
        b"100644" => EntryKind::Blob,
        b"100755" => EntryKind::BlobExecutable,
        b"120000" => EntryKind::Link,
        b"160000" => EntryKind::Commit,
        other => return Err(format!("a tree's entry has the mode '{}'", other[..other.len().min(20)].as_bstr())),
    };
    let (name, behind) = behind.split_once_str("\0").ok_or("a tree's entry has no end")?;
    let (id, behind) = behind.split_at_checked(32).ok_or("a tree's last entry is cut short")?;
    let id = Id::try_from(id).map_err(|error| error.to_string())?;
    Ok((TreeEntry { kind, name: name.as_bstr(), id }, behind))
}

fn check_tree(data: &[u8]) -> Result<(), String> {
    let mut names = HashSet::new();
    let mut last: Option<Vec<u8>> = None;
    for entry in tree_entries(data) {
        let entry = entry?;
        let symlink = (entry.kind == EntryKind::Link).then_some(component::Mode::Symlink);
        let options = component::Options { protect_windows: false, protect_hfs: true, protect_ntfs: true };
        gix::validate::path::component(entry.name, symlink, options)
            .map_err(|error| format!("a tree has the name '{}': {error}", entry.name))?;
        check_name(&entry)?;
        if entry.id.is_null() {
            return Err(format!("a tree's entry '{}' names no object", entry.name));
        }
        if !names.insert(entry.name) {
            return Err(format!("a tree has '{}' twice", entry.name));
        }
        // Git orders folders as if their names ended in a slash.
        let key = [entry.name.as_bytes(), if entry.kind == EntryKind::Tree { b"/" } else { b"" }].concat();
        if last.as_ref().is_some_and(|last| *last >= key) {
            return Err(format!("a tree's entry '{}' is out of order", entry.name));
        }
        last = Some(key);
    }
    Ok(())
}

/// Longer names git takes for an attack.
const LONGEST_NAME: usize = 4096;

/// What git has against a name that is no other system's matter.
fn check_name(entry: &TreeEntry<'_>) -> Result<(), String> {
    let read_by_git: [&[u8]; 3] = [b".gitattributes", b".gitignore", b".mailmap"];
    if entry.kind == EntryKind::Link && read_by_git.contains(&entry.name.as_bytes()) {
        return Err(format!("a tree has a symbolic link '{}', which git reads", entry.name));
    }
    // Where a backslash parts names, what follows it would be one.
    let parts = entry.name.split_str("\\").skip(1);
    if parts.into_iter().any(|part| part.eq_ignore_ascii_case(b".git") || part.eq_ignore_ascii_case(b"git~1")) {
        return Err(format!("a tree has the name '{}'", entry.name));
    }
    if entry.name.len() > LONGEST_NAME { Err("a tree has a name that is too long".into()) } else { Ok(()) }
}

fn check_commit(data: &[u8]) -> Result<(), String> {
    check_headers(data)?;
    let mut rest = id_line(data, "tree ").ok_or("a commit has no tree")?;
    while let Some(behind) = id_line(rest, "parent ") {
        rest = behind;
    }
    rest = check_person(rest, "author ")?;
    rest = check_person(rest, "committer ")?;
    if rest.starts_with(b"author ") || rest.starts_with(b"committer ") || rest.starts_with(b"parent ") {
        return Err("a commit has a header twice or out of order".into());
    }
    if data.contains(&0) { Err("a commit has a zero byte".into()) } else { Ok(()) }
}

fn check_tag(data: &[u8]) -> Result<(), String> {
    check_headers(data)?;
    let rest = id_line(data, "object ").ok_or("a tag names no object")?;
    let (kind, rest) = line(rest, "type ").ok_or("a tag has no type")?;
    Kind::from_bytes(kind).map_err(|_| "a tag has an unknown type")?;
    let (name, rest) = line(rest, "tag ").ok_or("a tag has no name")?;
    gix::validate::tag::name(name.as_bstr()).map_err(|error| format!("a tag's name: {error}"))?;
    check_person(rest, "tagger ").map(drop)
}

/// Headers end with an empty line, or with the object.
fn check_headers(data: &[u8]) -> Result<(), String> {
    let end = data.find(b"\n\n").unwrap_or(data.len());
    if data[..end].contains(&0) {
        return Err("a header has a zero byte".into());
    }
    if end == data.len() && !data.ends_with(b"\n") { Err("the headers have no end".into()) } else { Ok(()) }
}

/// The value of the first line, which has this key, and what is behind it.
fn line<'d>(data: &'d [u8], key: &str) -> Option<(&'d [u8], &'d [u8])> {
    data.strip_prefix(key.as_bytes())?.split_once_str("\n")
}

/// What is behind a line with an id.
fn id_line<'d>(data: &'d [u8], key: &str) -> Option<&'d [u8]> {
    let (id, behind) = line(data, key)?;
    let is_id = id.len() == 64 && id.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    is_id.then_some(behind)
}

/// `NAME <EMAIL> SECONDS OFFSET`; what is behind the line.
fn check_person<'d>(data: &'d [u8], key: &str) -> Result<&'d [u8], String> {
    let bad = |why: &str| format!("the {} {why}", key.trim_end());
    let (who, behind) = line(data, key).ok_or_else(|| bad("is missing"))?;
    let (name, rest) = who.split_once_str("<").ok_or_else(|| bad("has no address"))?;
    if !name.ends_with(b" ") || name.contains(&b'>') {
        return Err(bad("has no name"));
    }
    let (email, time) = rest.split_once_str("> ").ok_or_else(|| bad("has no time"))?;
    if email.find_byteset(b"<>").is_some() {
        return Err(bad("has a bad address"));
    }
    let is_time = time.split_once_str(" ").is_some_and(|(seconds, offset)| is_date(seconds) && is_offset(offset));
    if is_time { Ok(behind) } else { Err(bad("has a bad time")) }
}

fn is_date(seconds: &[u8]) -> bool {
    let no_padding = seconds == b"0" || !seconds.starts_with(b"0");
    no_padding
        && seconds.iter().all(u8::is_ascii_digit)
        && seconds.to_str().is_ok_and(|text| text.parse::<i64>().is_ok())
}

fn is_offset(offset: &[u8]) -> bool {
    matches!(offset, [b'+' | b'-', digits @ ..] if digits.len() == 4 && digits.iter().all(u8::is_ascii_digit))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "473a0f4c3be8a93681a267e3b1e9a7dcda1185436fe141f7749120a303721813";
    const WHO: &str = "A B <a@b> 1700000000 +0000";

    fn tree(entries: &[(&str, &str)]) -> Vec<u8> {
        let id = Id::from_hex(ID.as_bytes()).unwrap();
        entries
            .iter()
            .flat_map(|(mode, name)| [mode.as_bytes(), b" ", name.as_bytes(), b"\0", id.as_slice()].concat())
            .collect()
    }

    #[test]
    fn trees_are_as_git_writes_them() {
        assert_eq!(check_tree(&tree(&[("100644", "a"), ("100755", "a.b"), ("40000", "a0"), ("120000", "z")])), Ok(()));
        assert_eq!(check_tree(&tree(&[("100644", "a.b"), ("40000", "a"), ("100644", "a0")])), Ok(()));
        assert_eq!(check_tree(&tree(&[("100644", ".mailmap"), ("100644", "a\\b")])), Ok(()));
        for entries in [
            &[("100644", "b"), ("100644", "a")][..],
            &[("40000", "a"), ("100644", "a.b")],
            &[("100644", "a"), ("40000", "a")],
            &[("100644", "a"), ("100644", "a.b"), ("40000", "a")],
            &[("100644", "")],
            &[("100644", ".")],
            &[("40000", "..")],
            &[("40000", ".git")],
            &[("40000", ".GIT")],
            &[("40000", "git~1")],
            &[("100644", "a/b")],
            &[("120000", ".gitmodules")],
            &[("040000", "a")],
            &[("100664", "a")],
            &[("", "a")],
            &[("120000", ".mailmap")],
            &[("100644", "x\\.Git")],
        ] {
            assert!(check_tree(&tree(entries)).is_err(), "{entries:?}");
        }
        let whole = tree(&[("100644", "a")]);
        for length in 1..whole.len() {
            assert!(check_tree(&whole[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn commits_are_as_git_writes_them() {
        let good = format!("tree {ID}\nparent {ID}\nauthor {WHO}\ncommitter {WHO}\nx y\n\nmessage\n");
        assert_eq!(check_commit(good.as_bytes()), Ok(()));
        for (from, to) in [
            ("tree ", "tree  "),
            ("tree ", "TREE "),
            (ID, &ID[1..]),
            ("author", "writer"),
            ("A B <", "<"),
            ("<a@b>", "a@b"),
            ("<a@b>", "<a<b>"),
            ("1700000000", "01700000000"),
            ("1700000000", "x"),
            ("1700000000", "99999999999999999999"),
            ("+0000", "0000"),
            ("+0000", "+000"),
            ("message", "mess\0age"),
            ("x y", "author A <b> 0 +0000"),
        ] {
            assert!(check_commit(good.replacen(from, to, 1).as_bytes()).is_err(), "{from} -> {to}");
        }
    }

    #[test]
    fn tags_are_as_git_writes_them() {
        let good = format!("object {ID}\ntype commit\ntag v1\ntagger {WHO}\n\nnote\n");
        assert_eq!(check_tag(good.as_bytes()), Ok(()));
        for (from, to) in [("type commit", "type x"), ("tag v1", "tag a..b"), ("object", "objekt"), ("tagger", "x")] {
            assert!(check_tag(good.replacen(from, to, 1).as_bytes()).is_err(), "{from} -> {to}");
        }
    }
}

//! Pathspecs as git's own commands take them (gitglossary(7), "pathspec"), matched against the entries of trees.
//!
//! Own code beside `gix::pathspec`: what a walk over trees needs is git's answer about an entry that may be a folder with
//! something of interest in it, and that answer depends on whether the walk goes into folders.

use gix::bstr::{BStr, BString, ByteSlice};
use gix::glob::wildmatch::Mode;

use crate::{Error, Result};

/// Paths that a walk is limited to; empty means all.
#[derive(Debug, Clone, Default)]
pub struct Pathspec {
    items: Vec<Item>,
}

/// What a pathspec says of a tree's entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Interest {
    /// Neither it nor any later entry of the tree is meant.
    NoneFrom,
    /// It isn't meant.
    No,
    /// It is meant, or something in it may be.
    Yes,
    /// It and all later entries are meant, with all that is in them.
    All,
}

#[derive(Debug, Clone)]
struct Item {
    path: BString,
    /// How much of the path is no pattern.
    literal: usize,
    excludes: bool,
    /// `*` and `?` match no slash.
    glob: bool,
    ignore_case: bool,
}

impl Pathspec {
    /// Read pathspecs; `Invalid` for magic that a bare repository can't know, and for paths outside of it.
    pub fn parse<S: AsRef<[u8]>>(specs: &[S]) -> Result<Self> {
        let mut items = specs.iter().map(|spec| Item::parse(spec.as_ref())).collect::<Result<Vec<_>>>()?;
        if !items.is_empty() && items.iter().all(|item| item.excludes) {
            // Nothing but exclusions excludes from everything.
            items.push(Item { path: BString::default(), literal: 0, excludes: false, glob: false, ignore_case: false });
        }
        Ok(Self { items })
    }

    /// Whether everything is meant.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// What is said of the entry `name` of the tree whose path, with a slash at its end, is `base`.
    /// `recursive`: the walk goes into folders.
    pub fn entry(&self, base: &BStr, name: &BStr, mode: gix::objs::tree::EntryMode, recursive: bool) -> Interest {
        if self.items.is_empty() {
            return Interest::All;
        }
        let entry = Entry { base, name, is_tree: mode.is_tree(), is_link: mode.is_commit(), recursive };
        let positive = self.best(&entry, false);
        if positive <= Interest::No || !self.items.iter().any(|item| item.excludes) {
            return positive;
        }
        match (positive, self.best(&entry, true)) {
            (positive, Interest::NoneFrom) => positive,
            (_, Interest::No) => Interest::Yes,
            (_, Interest::Yes) if entry.is_tree => Interest::Yes,
            (Interest::All, Interest::All) => Interest::NoneFrom,
            _ => Interest::No,
        }
    }

    fn best(&self, entry: &Entry<'_>, exclusions: bool) -> Interest {
        let mut otherwise = if self.items.iter().any(Item::has_wildcards) { Interest::No } else { Interest::NoneFrom };
        for item in self.items.iter().rev().filter(|item| item.excludes == exclusions) {
            match item.matches(entry, &mut otherwise) {
                Some(found) => return found,
                None => continue,
            }
        }
        otherwise
    }
}

struct Entry<'a> {
    base: &'a BStr,
    name: &'a BStr,
    is_tree: bool,
    is_link: bool,
    recursive: bool,
}

impl Item {
    fn parse(spec: &[u8]) -> Result<Self> {
        let invalid =
            |why: &str| Error::Invalid { what: "pathspec", input: spec.to_str_lossy().into_owned(), why: why.into() };
        if spec.is_empty() {
            return Err(invalid("empty string is not a valid pathspec"));
        }
        let mut item = Self { path: "".into(), literal: 0, excludes: false, glob: false, ignore_case: false };
        let (mut rest, mut is_literal, mut from_top) = (spec, false, false);
        if let Some(long) = spec.strip_prefix(b":(") {
            let end = long.find_byte(b')').ok_or_else(|| invalid("missing ')' at the end of pathspec magic"))?;
            for word in long[..end].split_str(",").filter(|word| !word.is_empty()) {
                match word {
                    b"top" => from_top = true,
                    b"literal" => is_literal = true,
                    b"glob" => item.glob = true,
                    b"icase" => item.ignore_case = true,
                    b"exclude" => item.excludes = true,
                    _ => return Err(invalid("invalid pathspec magic")),
                }
            }
            rest = &long[end + 1..];
        } else if let Some(short) = spec.strip_prefix(b":") {
            rest = short;
            while let [sign @ (b'/' | b'!' | b'^'), after @ ..] = rest {
                from_top |= *sign == b'/';
                item.excludes |= *sign != b'/';
                rest = after;
            }
            rest = rest.strip_prefix(b":").unwrap_or(rest);
        }
        if is_literal && item.glob {
            return Err(invalid("'literal' and 'glob' are incompatible"));
        }
        item.path =
            if from_top { rest.into() } else { normalized(rest).ok_or_else(|| invalid("outside repository"))? };
        let wild = item.path.find_byteset(b"*?[\\");
        item.literal = if is_literal { None } else { wild }.unwrap_or(item.path.len());
        Ok(item)
    }

    fn has_wildcards(&self) -> bool {
        self.literal < self.path.len()
    }

    /// What this pathspec says; `None` where another has to be asked.
    fn matches(&self, entry: &Entry<'_>, otherwise: &mut Interest) -> Option<Interest> {
        let (base, path) = (entry.base, self.path.as_bstr());
        if base.len() >= path.len() {
            let ends = path.is_empty() || path.ends_with(b"/") || base.get(path.len()) == Some(&b'/');
            if ends && self.is_same(&base[..path.len()], path) {
                return Some(Interest::All);
            }
        } else if self.is_same(base, &path[..base.len()]) {
            let rest = path[base.len()..].as_bstr();
            if self.names(entry, rest, otherwise) {
                return Some(Interest::Yes);
            }
            if !self.has_wildcards() {
                return None;
            }
            let literal = self.literal.saturating_sub(base.len());
            let matched = self.is_match(rest, entry.name, literal) || (entry.recursive && entry.is_tree);
            return matched.then_some(Interest::Yes);
        }
        let literal = self.literal.min(base.len());
        if !self.has_wildcards() || !self.is_same(&base[..literal], &path[..literal]) {
            return None;
        }
        let full: BString = [base.as_bytes(), entry.name].concat().into();
        let matched = self.is_match(path, full.as_bstr(), self.literal) || (entry.recursive && entry.is_tree);
        matched.then_some(Interest::Yes)
    }

    /// Whether `rest` is the entry's name, or leads into it.
    fn names(&self, entry: &Entry<'_>, rest: &BStr, otherwise: &mut Interest) -> bool {
        let name = entry.name;
        if *otherwise == Interest::NoneFrom {
            // Entries are sorted: one that is still ahead may be meant.
            let length = rest.len().min(name.len());
            let ahead = self.ignore_case || rest[..length] >= name[..length];
            if ahead {
                *otherwise = Interest::No;
            }
        }
        if rest.len() < name.len() || !self.is_same(&rest[..name.len()], name) {
            return false;
        }
        match rest.get(name.len()) {
            None => true,
            Some(b'/') => entry.is_tree || (entry.is_link && rest.len() == name.len() + 1),
            Some(_) => false,
        }
    }

    fn is_same(&self, a: &[u8], b: &[u8]) -> bool {
        if self.ignore_case { a.eq_ignore_ascii_case(b) } else { a == b }
    }

    fn is_match(&self, pattern: &BStr, text: &BStr, literal: usize) -> bool {
        if text.len() < literal || !self.is_same(&pattern[..literal], &text[..literal]) {
            return false;
        }
        let mut mode = Mode::empty();
        mode.set(Mode::NO_MATCH_SLASH_LITERAL, self.glob);
        mode.set(Mode::IGNORE_CASE, self.ignore_case);
        gix::glob::wildmatch(pattern[literal..].as_bstr(), text[literal..].as_bstr(), mode)
    }
}

/// The path as git normalizes what is given on the command line; `None` where it leads out of the repository.
pub fn normalized(path: &[u8]) -> Option<BString> {
    if path.starts_with(b"/") {
        return None;
    }
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split_str("/") {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    let mut out = BString::from(parts.join(&b'/'));
    if !out.is_empty() && (path.ends_with(b"/") || path.ends_with(b"/.") || path.ends_with(b"/..")) {
        out.push(b'/');
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gix::objs::tree::EntryKind;

    #[test]
    fn entries_are_matched_as_git_does() {
        use Interest::*;
        for (specs, base, name, kind, wanted) in [
            (&["etc"][..], "", "etc", EntryKind::Tree, Yes),
            (&["etc"], "etc/", "passwd", EntryKind::Blob, All),
            (&["etc/ssh"], "", "etc", EntryKind::Tree, Yes),
            (&["etc/ssh"], "", "etc", EntryKind::Blob, No),
            (&["etc/ssh"], "etc/", "apt", EntryKind::Tree, No),
            (&["etc/"], "", "etc", EntryKind::Blob, No),
            (&["etc"], "", "var", EntryKind::Tree, NoneFrom),
            (&["*.conf"], "etc/", "a.conf", EntryKind::Blob, Yes),
            (&["*.conf"], "etc/", "a", EntryKind::Blob, No),
            (&[":(glob)etc/*.conf"], "etc/a/", "b.conf", EntryKind::Blob, No),
            (&["etc/*.conf"], "etc/a/", "b.conf", EntryKind::Blob, Yes),
            (&[":(icase)ETC"], "", "etc", EntryKind::Tree, Yes),
            (&[":(literal)*"], "", "a", EntryKind::Blob, NoneFrom),
            // What is excluded of a folder is seen inside it.
            (&[":!etc"], "", "etc", EntryKind::Tree, Yes),
            (&[":!etc"], "", "etc", EntryKind::Blob, No),
            (&[":!etc"], "etc/", "passwd", EntryKind::Blob, NoneFrom),
            (&[":!etc"], "", "var", EntryKind::Tree, All),
            (&["etc", ":!etc/ssh"], "etc/", "ssh", EntryKind::Tree, Yes),
        ] {
            let spec = Pathspec::parse(specs).unwrap();
            assert_eq!(spec.entry(base.into(), name.into(), kind.into(), true), wanted, "{specs:?} {base}{name}");
        }
    }

    #[test]
    fn impossible_specs_are_refused() {
        for spec in ["", "../x", "/x", ":(attr:a)x", ":(nonsense)x", ":(glob", ":(glob,literal)x"] {
            assert!(Pathspec::parse(&[spec]).is_err(), "{spec}");
        }
    }
}

//! Groups of names for one file, kept in one table for the whole root.

use std::collections::{BTreeMap, BTreeSet};

use gix::bstr::{BStr, BString, ByteSlice};

use super::lines::{escape, unescape};
use crate::{Error, Result};

/// Which paths of a root are names of one and the same file.
///
/// A path is in at most one group and a group has at least two paths once it is written; the order of
/// groups and paths is that of bytes, so that equal roots have equal tables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hardlinks {
    group_of: BTreeMap<BString, u64>,
    groups: BTreeMap<u64, BTreeSet<BString>>,
    next: u64,
}

impl Hardlinks {
    /// Make `path` another name of the file at `existing`.
    pub fn link(&mut self, existing: &BStr, path: &BStr) {
        if existing == path {
            return;
        }
        self.remove(path);
        let group = *self.group_of.entry(existing.to_owned()).or_insert(self.next);
        if group == self.next {
            self.next += 1;
            self.groups.insert(group, BTreeSet::from([existing.to_owned()]));
        }
        self.group_of.insert(path.to_owned(), group);
        self.groups.entry(group).or_default().insert(path.to_owned());
    }

    /// `path` is gone, or a file of its own from now on.
    pub fn remove(&mut self, path: &BStr) {
        let Some(group) = self.group_of.remove(path) else { return };
        let members = self.groups.entry(group).or_default();
        members.remove(path);
        if members.len() < 2 {
            for last in self.groups.remove(&group).unwrap_or_default() {
                self.group_of.remove(&last);
            }
        }
    }

    /// Everything below the folder `folder` is gone.
    pub fn remove_below(&mut self, folder: &BStr) {
        if folder.is_empty() {
            *self = Self::default();
            return;
        }
        let mut from = folder.to_owned();
        from.push(b'/');
        let below: Vec<BString> = self
            .group_of
            .range(from.clone()..)
            .map(|(path, _)| path.clone())
            .take_while(|path| path.starts_with(&from))
            .collect();
        below.iter().for_each(|path| self.remove(path.as_bstr()));
    }

    /// The other names of `path`, itself included, in byte order; `None` where it has only this one.
    pub fn group(&self, path: &BStr) -> Option<&BTreeSet<BString>> {
        self.group_of.get(path).and_then(|group| self.groups.get(group))
    }

    /// The table of the folder `folder` alone: the names in it, as paths in the folder.
    pub fn below(&self, folder: &BStr) -> Self {
        if folder.is_empty() {
            return self.clone();
        }
        let inside = |path: &BString| -> Option<BString> {
            Some(path.strip_prefix(folder.as_bytes())?.strip_prefix(b"/")?.into())
        };
        let mut table = Self::default();
        for group in self.groups.values() {
            let mut names = group.iter().filter_map(inside);
            let Some(first) = names.next() else { continue };
            names.for_each(|name| table.link(first.as_bstr(), name.as_bstr()));
        }
        table
    }

    /// A number that names the group of `path` within this table; `None` where it has only this name.
    pub fn number(&self, path: &BStr) -> Option<u64> {
        self.group_of.get(path).copied()
    }

    /// All paths that have other names, in byte order.
    pub fn paths(&self) -> impl Iterator<Item = &BStr> {
        self.group_of.keys().map(|path| path.as_bstr())
    }

    /// All groups, in the byte order of their first paths.
    pub fn groups(&self) -> Vec<&BTreeSet<BString>> {
        let mut groups: Vec<_> = self.groups.values().filter(|group| group.len() > 1).collect();
        groups.sort();
        groups
    }

    /// Whether no file has two names.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// The table as bytes: a line a group, its paths escaped and parted by spaces.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for group in self.groups() {
            for (i, path) in group.iter().enumerate() {
                if i > 0 {
                    out.push(b' ');
                }
                escape(path.as_bstr(), &mut out);
            }
            out.push(b'\n');
        }
        out
    }

    /// Read the table back; `Damaged` where [`encode`](Self::encode) can't have made it.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut table = Self::default();
        for line in bytes.lines() {
            let paths = line.split_str(" ").map(unescape).collect::<Result<Vec<_>>>()?;
            for path in &paths[1..] {
                table.link(paths[0].as_bstr(), path.as_bstr());
            }
        }
        if table.encode() == bytes {
            Ok(table)
        } else {
            Err(Error::damaged("hard link table", "it is not in canonical order"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_canonical() {
        let mut links = Hardlinks::default();
        links.link("b".into(), "a".into());
        links.link("b".into(), "c d".into());
        links.link("y/1".into(), "x/1".into());
        assert_eq!(links.encode().as_bstr(), "a b c\\040d\nx/1 y/1\n");
        assert_eq!(Hardlinks::decode(&links.encode()).unwrap().groups(), links.groups());
    }

    #[test]
    fn a_group_of_one_is_none() {
        let mut links = Hardlinks::default();
        links.link("a".into(), "b".into());
        links.remove("a".into());
        assert!(links.is_empty());
        assert_eq!(links.group("b".into()), None);
    }

    #[test]
    fn a_folder_has_the_names_that_are_in_it() {
        let mut links = Hardlinks::default();
        links.link("a/1".into(), "a/b/2".into());
        links.link("a/1".into(), "c".into());
        links.link("a/3".into(), "d".into());
        links.link("a.b".into(), "e".into());
        assert_eq!(links.below("a".into()).encode().as_bstr(), "1 b/2\n");
        assert!(links.below("a/b".into()).is_empty());
        assert_eq!(links.below("".into()), links);
    }

    #[test]
    fn removing_a_folder_removes_what_is_below() {
        let mut links = Hardlinks::default();
        links.link("a/1".into(), "a/2".into());
        links.link("a.b".into(), "c".into());
        links.remove_below("a".into());
        assert_eq!(links.encode().as_bstr(), "a.b c\n");
    }
}

//! Entries of a root in words `keyword=value` of mtree(5), as the store's own metadata lines have them.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use plumbing::bstr::{BStr, BString, ByteSlice};
use plumbing::diff::{Entry, What};
use plumbing::gix::objs::Kind as ObjectKind;
use plumbing::root::{Kind, escape};
use plumbing::{Result, Store};

use super::quote::c_style;

/// A keyword and its value, which has no blank in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    pub key: Cow<'static, str>,
    pub value: BString,
}

/// The keywords, in their order; `xattr.NAME` come last.
pub const KEYWORDS: [&str; 11] =
    ["type", "mode", "uid", "gid", "size", "device", "time", "link", "id", "nlink", "hardlink"];

/// What `entry` is, in words. `size` is that of its bytes, or of all bytes below it, where it has one to show.
pub fn words(store: &Store, entry: &Entry, size: Option<u64>) -> Result<Vec<Word>> {
    let mut words = Words(Vec::with_capacity(9));
    let attrs = &entry.attrs;
    words.put("type", entry.what.word());
    words.put("mode", format!("{:04o}", attrs.mode));
    words.put("uid", attrs.uid.to_string());
    words.put("gid", attrs.gid.to_string());
    if let Some(size) = size {
        words.put("size", size.to_string());
    }
    if let What::Leaf(Kind::Char { major, minor } | Kind::Block { major, minor }) = entry.what {
        words.put("device", format!("linux,{major},{minor}"));
    }
    words.put("time", format!("{}.{:09}", entry.mtime.sec, entry.mtime.nsec));
    match &entry.what {
        What::Leaf(Kind::Symlink { id }) => words.put("link", escaped(target(store, id)?.as_bstr())),
        What::Leaf(Kind::File { id, .. }) => words.put("id", id.to_string()),
        _ => {}
    }
    if let Some(names) = &entry.links {
        words.put("nlink", names.len().to_string());
        words.put("hardlink", escaped(names.first().expect("because a group has members").as_bstr()));
    }
    for (name, value) in &attrs.xattrs {
        let key = format!("xattr.{}", escaped(name.as_bstr()));
        words.0.push(Word { key: key.into(), value: BASE64.encode(value).into() });
    }
    Ok(words.0)
}

struct Words(Vec<Word>);

impl Words {
    fn put(&mut self, key: &'static str, value: impl Into<BString>) {
        self.0.push(Word { key: key.into(), value: value.into() });
    }
}

/// Where the link that is stored as the blob `id` points.
pub fn target(store: &Store, id: &plumbing::Id) -> Result<BString> {
    Ok(store.read_object(id, ObjectKind::Blob)?.into())
}

fn escaped(text: &BStr) -> BString {
    let mut out = Vec::with_capacity(text.len());
    escape(text, &mut out);
    out.into()
}

/// The words of a line, parted by blanks, each with `sign` in front.
pub fn join(sign: &str, words: &[Word]) -> Vec<u8> {
    let mut out = Vec::with_capacity(200);
    for word in words {
        if !out.is_empty() {
            out.push(b' ');
        }
        out.extend_from_slice(sign.as_bytes());
        out.extend_from_slice(word.key.as_bytes());
        out.push(b'=');
        out.extend_from_slice(&word.value);
    }
    out
}

/// What differs: `-keyword=value` for what was, `+keyword=value` for what is.
pub fn difference(before: &[Word], after: &[Word]) -> Vec<u8> {
    let find = |words: &[Word], key: &str| words.iter().position(|word| word.key == key);
    let mut out = Vec::new();
    let mut put = |sign: &str, word: &Word| {
        let blank: &[u8] = if out.is_empty() { b"" } else { b" " };
        out.extend_from_slice(blank);
        out.extend_from_slice(&join(sign, std::slice::from_ref(word)));
    };
    for word in before {
        match find(after, &word.key) {
            Some(at) if after[at].value == word.value => {}
            Some(at) => {
                put("-", word);
                put("+", &after[at]);
            }
            None => put("-", word),
        }
    }
    after.iter().filter(|word| find(before, &word.key).is_none()).for_each(|word| put("+", word));
    out
}

/// The path as a line shows it: the top folder is `.`; quoted as git quotes unless NUL ends the line.
pub fn shown_path(path: &BStr, nul: bool) -> Cow<'_, BStr> {
    match path {
        path if path.is_empty() => b".".as_bstr().into(),
        path if nul => path.into(),
        path => c_style(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_told_word_by_word() {
        let words = |text: &str| -> Vec<Word> {
            let pairs = text.split(' ').map(|word| word.split_once('=').unwrap());
            pairs.map(|(key, value)| Word { key: key.to_owned().into(), value: value.into() }).collect()
        };
        let (before, after) = (words("type=file mode=0644 size=1 link=x"), words("type=file mode=0600 size=1 uid=7"));
        assert_eq!(difference(&before, &after).as_bstr(), "-mode=0644 +mode=0600 -link=x +uid=7");
        assert_eq!(difference(&before, &before).as_bstr(), "");
        assert_eq!(join("+", &after[..2]).as_bstr(), "+type=file +mode=0600");
    }
}

//! File names as names in git trees: identical, but for those that git refuses.
//!
//! git's fsck and checkout refuse `.git` in all the spellings that some filesystem takes for it (`.GIT`, `git~1`,
//! `.g\u{200c}it`, `x\.git`), and look into `.gitmodules` and its kin. Such names, and those that begin with
//! `%`, are written as `%` and the name in percent encoding. The rule is wider than git's on purpose: it must
//! stay right when git learns of another spelling.

use gix::bstr::{BStr, BString, ByteSlice};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_encode};

use crate::{Error, Result};

/// First byte of an escaped name.
const MARK: u8 = b'%';

/// What stays as it is in an escaped name.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');

/// Words that, at the start of a name, make git look closer.
const PREFIXES: [&[u8]; 8] = [b".git", b"git~", b"gitmod", b"gi7eb", b"gi7d2", b"gi250", b".mailmap", b"mailma"];

/// The name in a git tree of the file name `name`.
pub fn encode(name: &BStr) -> BString {
    if !is_escaped(name) && !is_special(name) {
        return name.to_owned();
    }
    let mut out = BString::from(&[MARK][..]);
    out.extend(percent_encode(name, ESCAPED).flat_map(str::bytes));
    out
}

/// The file name that the tree name `name` stands for; `Damaged` where [`encode`] can't have made it.
pub fn decode(name: &BStr) -> Result<BString> {
    let decoded = match name.strip_prefix(&[MARK]) {
        Some(rest) => BString::from(percent_decode(rest).collect::<Vec<u8>>()),
        None => name.to_owned(),
    };
    if is_file_name(decoded.as_bstr()) && encode(decoded.as_bstr()) == name {
        return Ok(decoded);
    }
    Err(Error::damaged(format!("tree entry '{name}'"), "rd never writes such a name"))
}

/// Whether the tree name `name` stands for another file name.
pub(super) fn is_escaped(name: &BStr) -> bool {
    name.first() == Some(&MARK)
}

/// Whether `name` can name an entry of a folder on Linux.
pub fn is_file_name(name: &BStr) -> bool {
    !name.is_empty() && name != "." && name != ".." && name.len() <= 255 && name.find_byteset(b"/\0").is_none()
}

/// Whether git might take a part of `name` (NTFS also parts at backslashes) for one of its own files.
fn is_special(name: &BStr) -> bool {
    name.split(|b| *b == b'\\').any(|part| {
        let plain: Vec<u8> = without_ignored(part).iter().map(u8::to_ascii_lowercase).collect();
        PREFIXES.iter().any(|prefix| plain.starts_with(prefix))
            || plain.starts_with(b"gitatt")
            || plain.starts_with(b"gitign")
    })
}

/// The bytes without the code points that HFS+ ignores in names (git's utf8.c, `next_hfs_char`).
fn without_ignored(part: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(part.len());
    let mut rest = part;
    while let [first, tail @ ..] = rest {
        let ignored = matches!(
            rest,
            [0xe2, 0x80, 0x8c..=0x8f | 0xaa..=0xae, ..] | [0xe2, 0x81, 0xaa..=0xaf, ..] | [0xef, 0xbb, 0xbf, ..]
        );
        if ignored {
            rest = &rest[3..];
        } else {
            out.push(*first);
            rest = tail;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_names_stay() {
        for name in ["bash", "a b", "system\\x2dcrypt.slice", "\u{e4}", "x.git", "100%", "git", "-"] {
            assert_eq!(encode(name.into()), name);
        }
    }

    #[test]
    fn special_names_are_escaped_and_come_back() {
        for (name, escaped) in [
            (".git", "%%2Egit"),
            (".GIT", "%%2EGIT"),
            ("git~1", "%git%7E1"),
            (".gitmodules", "%%2Egitmodules"),
            ("x\\.git", "%x%5C%2Egit"),
            (".g\u{200c}it", "%%2Eg%E2%80%8Cit"),
            ("%meta", "%%25meta"),
            ("%", "%%25"),
        ] {
            assert_eq!(encode(name.into()), escaped, "{name}");
            assert_eq!(decode(escaped.into()).unwrap(), name);
        }
    }

    #[test]
    fn what_encode_never_makes_is_refused() {
        for name in ["%meta", "%bash", "%", "%%2egit", "", ".", "..", ".git", "a/b"] {
            assert!(decode(name.into()).is_err(), "{name}");
        }
    }

    proptest::proptest! {
        #[test]
        fn every_name_comes_back(name in proptest::collection::vec(1u8.., 1..64)) {
            let name = BString::from(name);
            proptest::prop_assume!(is_file_name(name.as_bstr()));
            proptest::prop_assert_eq!(decode(encode(name.as_bstr()).as_bstr()).unwrap(), name);
        }
    }
}

//! Extended headers of POSIX pax: records `LENGTH KEY=VALUE\n`, whose values may hold any byte.
//!
//! The `tar` crate parts them at line ends, so that an xattr with a line end in it would be lost; hence this reader.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use gix::bstr::{BStr, BString, ByteSlice};

use super::header::Flaw;
use crate::root::Time;

/// An extended header longer than this is refused.
pub(super) const LIMIT: u64 = 1 << 20;

/// Limits of Linux for one extended attribute (xattr(7)).
const XATTR_NAME: usize = 255;
const XATTR_VALUE: usize = 64 * 1024;

const SCHILY: &str = "SCHILY.xattr.";
const LIBARCHIVE: &str = "LIBARCHIVE.xattr.";

/// The record by which rd's own archives tell types that tar has no letter for.
pub(super) const RD_TYPE: &str = "RD.type";

/// All records that apply to one entry. Later records win; GNU's sparse maps of format 0.0 repeat theirs and are kept apart.
#[derive(Debug, Clone, Default)]
pub(super) struct Pax {
    records: BTreeMap<BString, BString>,
    /// `GNU.sparse.offset` and `GNU.sparse.numbytes` in their order.
    pub(super) sparse: Vec<(bool, u64)>,
}

impl Pax {
    /// Add the records in `bytes`.
    pub(super) fn read(&mut self, mut bytes: &[u8]) -> Result<(), Flaw> {
        // Some writers pad with zero bytes.
        while bytes.first().is_some_and(|first| *first != 0) {
            let (record, rest) = split_record(bytes).ok_or("its extended header is malformed")?;
            let (key, value) = record.split_once_str("=").ok_or("its extended header has a record without '='")?;
            self.add(key.as_bstr(), value.as_bstr())?;
            bytes = rest;
        }
        Ok(())
    }

    fn add(&mut self, key: &BStr, value: &BStr) -> Result<(), Flaw> {
        let kind =
            if key == "GNU.sparse.offset" { Some(true) } else { (key == "GNU.sparse.numbytes").then_some(false) };
        if let Some(is_offset) = kind {
            self.sparse.push((is_offset, decimal(value)?));
        } else if value.is_empty() && !is_xattr(key) {
            // An empty value takes back what an earlier header said.
            self.records.remove(key);
        } else {
            self.records.insert(key.to_owned(), value.to_owned());
        }
        Ok(())
    }

    /// Refuse what can't be meant for all entries to come.
    pub(super) fn check_global(&self) -> Result<(), Flaw> {
        let one = |key: &&BString| {
            matches!(key.as_slice(), b"path" | b"linkpath" | b"size") || key.starts_with(b"GNU.sparse.")
        };
        match self.records.keys().find(one) {
            Some(key) => Err(format!("a global header sets '{key}' for all entries")),
            None if !self.sparse.is_empty() => Err("a global header makes all entries sparse".into()),
            None => Ok(()),
        }
    }

    /// The value of `key`.
    pub(super) fn get(&self, key: &str) -> Option<&BStr> {
        self.records.get(key.as_bytes().as_bstr()).map(|value| value.as_bstr())
    }

    /// The value of `key` as a number.
    pub(super) fn number(&self, key: &str) -> Result<Option<u64>, Flaw> {
        self.get(key).map(decimal).transpose().map_err(|why| format!("its {key} {why}"))
    }

    /// The modification time.
    pub(super) fn mtime(&self) -> Result<Option<Time>, Flaw> {
        let Some(text) = self.get("mtime") else { return Ok(None) };
        parse_time(text).map(Some).ok_or_else(|| format!("its time '{}' is no number", text.escape_ascii()))
    }

    /// The extended attributes, as star, GNU tar and Go (`SCHILY.xattr.`) and as libarchive write them.
    pub(super) fn xattrs(&self) -> Result<BTreeMap<BString, BString>, Flaw> {
        let mut xattrs = BTreeMap::new();
        for (key, value) in &self.records {
            if let Some(name) = key.strip_prefix(LIBARCHIVE.as_bytes()) {
                let name: Vec<u8> = percent_encoding::percent_decode(name).collect();
                let value = value.trim_end_with(|c| c == '=');
                let value = STANDARD_NO_PAD.decode(value).or_else(|_| STANDARD.decode(value));
                let value =
                    value.map_err(|_| format!("its extended attribute '{}' is no base64", name.escape_ascii()))?;
                insert_xattr(&mut xattrs, name.into(), value.into())?;
            }
        }
        for (key, value) in &self.records {
            if let Some(name) = key.strip_prefix(SCHILY.as_bytes()) {
                insert_xattr(&mut xattrs, name.into(), value.clone())?;
            }
        }
        Ok(xattrs)
    }
}

fn is_xattr(key: &BStr) -> bool {
    key.starts_with(SCHILY.as_bytes()) || key.starts_with(LIBARCHIVE.as_bytes())
}

fn insert_xattr(xattrs: &mut BTreeMap<BString, BString>, name: BString, value: BString) -> Result<(), Flaw> {
    if name.is_empty() || name.len() > XATTR_NAME || name.contains(&0) {
        return Err("it has an extended attribute with an impossible name".into());
    }
    if value.len() > XATTR_VALUE {
        return Err(format!("its extended attribute '{}' has more than {XATTR_VALUE} bytes", name.escape_ascii()));
    }
    xattrs.insert(name, value);
    Ok(())
}

/// Cut the first record off: its `KEY=VALUE` and what is behind its line end.
fn split_record(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = bytes.iter().take(20).position(|byte| *byte == b' ')?;
    let length = usize::try_from(decimal(bytes[..space].as_bstr()).ok()?).ok()?;
    let record = bytes.get(space + 1..length)?;
    Some((record.strip_suffix(b"\n")?, &bytes[length..]))
}

/// A number in decimal digits.
pub(super) fn decimal(text: &BStr) -> Result<u64, Flaw> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let value = text.to_str().ok().filter(|_| digits).and_then(|text| text.parse().ok());
    value.ok_or_else(|| format!("'{}' is no possible number", text.escape_ascii()))
}

/// `[-]SECONDS[.FRACTION]`; digits beyond nanoseconds are cut off, towards the past.
fn parse_time(text: &BStr) -> Option<Time> {
    let text = text.to_str().ok()?;
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(fraction) || !digits(whole) || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    let sec: i64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let cut = &fraction[..fraction.len().min(9)];
    let mut nsec: u32 = format!("{cut:0<9}").parse().ok()?;
    if !negative {
        return Some(Time { sec, nsec });
    }
    if fraction[cut.len()..].bytes().any(|digit| digit != b'0') {
        nsec += 1;
    }
    let borrow = i64::from(nsec.div_ceil(1_000_000_000));
    Some(Time { sec: -sec - borrow, nsec: if borrow == 1 { 1_000_000_000 - nsec } else { 0 } })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Pax, Flaw> {
        let mut pax = Pax::default();
        pax.read(bytes).map(|()| pax)
    }

    #[test]
    fn values_may_hold_line_ends_and_zero_bytes() {
        let pax = read(b"25 SCHILY.xattr.user.a=\n\0\n12 path=a=b\n").unwrap_err();
        assert_eq!(pax, "its extended header is malformed");
        let pax = read(b"27 SCHILY.xattr.user.a=\n\0\n\n12 path=a=b\n").unwrap();
        assert_eq!(pax.get("path").unwrap(), "a=b");
        assert_eq!(pax.xattrs().unwrap()[BStr::new("user.a")], "\n\0\n");
    }

    #[test]
    fn lengths_that_lie_are_refused() {
        for bytes in [
            &b"6 a=b"[..],
            b"7 a=b\n",
            b"5 a=b\n",
            b"0 a=b\n",
            b"99999999999999999999999 a=b\n",
            b"-6 a=b\n",
            b"a=b\n",
            b" a=b\n",
        ] {
            assert!(read(bytes).is_err(), "{}", bytes.escape_ascii());
        }
        assert!(read(b"6 a=b\n").is_ok());
        assert!(read(b"6 a=b\n\0\0\0").is_ok());
    }

    #[test]
    fn an_empty_value_takes_back() {
        assert_eq!(read(b"10 path=x\n8 path=\n").unwrap().get("path"), None);
    }

    #[test]
    fn times() {
        for (text, sec, nsec) in [
            ("1", 1, 0),
            ("1.5", 1, 500_000_000),
            ("1.0000000019", 1, 1),
            (".5", 0, 500_000_000),
            ("-1.5", -2, 500_000_000),
            ("-1", -1, 0),
            ("-0.25", -1, 750_000_000),
            ("-0.9999999999", -1, 0),
            ("9223372036854775807", i64::MAX, 0),
        ] {
            assert_eq!(parse_time(text.into()), Some(Time { sec, nsec }), "{text}");
        }
        for text in ["", "-", ".", "1e3", "1.2.3", "--1", "9223372036854775808", "\u{661}"] {
            assert_eq!(parse_time(text.into()), None, "{text}");
        }
    }

    #[test]
    fn libarchive_spells_xattrs_in_base64() {
        let pax = read(b"35 LIBARCHIVE.xattr.user.a%20b=AP8\n").unwrap();
        assert_eq!(pax.xattrs().unwrap()[BStr::new("user.a b")], [0, 255]);
    }
}

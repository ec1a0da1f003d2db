//! The text of `%meta` and `%times`: one line an entry, sorted by name, in the keywords of mtree(5).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use gix::bstr::{BStr, BString, ByteSlice};

use super::{Attrs, Kind, Time, name};
use crate::{Error, Id, Result};

/// What a line of `%meta` says of an entry that is no folder; contents and targets are in `rootfs/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryMeta {
    /// What it is; the ids in it are those that the caller gave.
    pub kind: Kind,
    /// Mode, owner, xattrs.
    pub attrs: Attrs,
}

/// The name of a folder's own line.
const SELF: &str = ".";

/// Encode `%meta`: the folder's own line first, with the `total` of all file sizes in and below it.
pub fn encode_folder<'a>(
    own: &Attrs,
    total: u64,
    entries: impl Iterator<Item = (&'a BStr, &'a Kind, &'a Attrs)>,
) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend_from_slice(b". type=dir");
    encode_attrs(own, &mut out);
    push(&mut out, format_args!(" size={total}"));
    encode_xattrs(own, &mut out);
    for (name, kind, attrs) in entries {
        escape(name, &mut out);
        push(&mut out, format_args!(" type={}", kind.word()));
        encode_attrs(attrs, &mut out);
        match kind {
            Kind::File { size, .. } => push(&mut out, format_args!(" size={size}")),
            Kind::Char { major, minor } | Kind::Block { major, minor } => {
                push(&mut out, format_args!(" device=linux,{major},{minor}"));
            }
            _ => {}
        }
        encode_xattrs(attrs, &mut out);
    }
    out
}

fn push(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("because a vector takes all that is written");
}

fn encode_attrs(attrs: &Attrs, out: &mut Vec<u8>) {
    push(out, format_args!(" mode={:04o} uid={} gid={}", attrs.mode, attrs.uid, attrs.gid));
}

fn encode_xattrs(attrs: &Attrs, out: &mut Vec<u8>) {
    for (name, value) in &attrs.xattrs {
        out.extend_from_slice(b" xattr.");
        escape(name.as_bstr(), out);
        push(out, format_args!("={}", BASE64.encode(value)));
    }
    out.push(b'\n');
}

/// The total of file sizes that `%meta`'s own line gives, without reading the rest.
pub fn folder_total(bytes: &[u8]) -> Result<u64> {
    let line = bytes.lines().next().unwrap_or_default();
    Ok(Line::parse(line.as_bstr())?.number("size")?.unwrap_or(0))
}

/// A folder's own attributes, its total, and its entries by name.
pub type FolderMeta = (Attrs, u64, BTreeMap<BString, EntryMeta>);

/// Decode `%meta`, of the entries those that `keep` says yes to. `id_of` gives the id that `rootfs/` holds for a file or
/// symlink.
pub fn decode_folder(
    bytes: &[u8],
    mut id_of: impl FnMut(&BStr) -> Option<Id>,
    keep: &dyn Fn(&BStr) -> bool,
) -> Result<FolderMeta> {
    let mut lines = bytes.lines();
    let own = Line::parse(lines.next().unwrap_or_default().as_bstr())?;
    if own.name != SELF || own.word("type")? != "dir" {
        return Err(bad(b"", "the folder's own line is missing"));
    }
    let mut entries = BTreeMap::new();
    let mut last = BString::default();
    for text in lines {
        if !keep(&line_name(text)?) {
            continue;
        }
        let line = Line::parse(text.as_bstr())?;
        if line.name <= last || !name::is_file_name(line.name.as_bstr()) {
            return Err(bad(text, "names are out of order or impossible"));
        }
        let kind = line.kind(id_of(line.name.as_bstr()))?;
        let attrs = line.attrs()?;
        last.clone_from(&line.name);
        entries.insert(line.name, EntryMeta { kind, attrs });
    }
    Ok((own.attrs()?, own.number("size")?.unwrap_or(0), entries))
}

/// Encode `%times`.
pub(super) fn encode_times<'a>(own: Time, entries: impl Iterator<Item = (&'a BStr, Time)>) -> Vec<u8> {
    let mut out = Vec::new();
    push(&mut out, format_args!(". time={}.{:09}\n", own.sec, own.nsec));
    for (name, time) in entries {
        escape(name, &mut out);
        push(&mut out, format_args!(" time={}.{:09}\n", time.sec, time.nsec));
    }
    out
}

/// Decode `%times`: the folder's own time and, in the order of the lines, those of the entries that `keep` says yes to.
pub(super) fn decode_times(bytes: &[u8], keep: &dyn Fn(&BStr) -> bool) -> Result<(Time, Vec<(BString, Time)>)> {
    let mut lines = bytes.lines();
    let (name, own) = decode_time(lines.next().unwrap_or_default())?;
    if name != SELF {
        return Err(bad(b"", "the folder's own line is missing"));
    }
    let mut times = Vec::new();
    for text in lines {
        if keep(&line_name(text)?) {
            times.push(decode_time(text)?);
        }
    }
    Ok((own, times))
}

fn decode_time(text: &[u8]) -> Result<(BString, Time)> {
    let line = Line::parse(text.as_bstr())?;
    let time = parse_time(line.word("time")?.as_bytes()).ok_or_else(|| bad(text, "it has no valid time"))?;
    Ok((line.name, time))
}

/// The name at the beginning of a line.
pub(super) fn line_name(text: &[u8]) -> Result<Cow<'_, BStr>> {
    let name = text.split(|byte| *byte == b' ').next().unwrap_or_default();
    Ok(if name.contains(&b'\\') { Cow::Owned(unescape(name)?) } else { Cow::Borrowed(name.as_bstr()) })
}

fn parse_time(text: &[u8]) -> Option<Time> {
    let (sec, nsec) = text.split_once_str(".")?;
    let nsec = (nsec.len() == 9).then_some(nsec)?.to_str().ok()?.parse().ok()?;
    Some(Time { sec: sec.to_str().ok()?.parse().ok()?, nsec })
}

/// A line taken apart once, since a large folder has thousands: the name and its keywords.
struct Line<'a> {
    name: BString,
    text: &'a BStr,
    words: Vec<(&'a [u8], &'a [u8])>,
}

impl<'a> Line<'a> {
    fn parse(text: &'a BStr) -> Result<Self> {
        let mut parts = text.split(|byte| *byte == b' ');
        let name = unescape(parts.next().unwrap_or_default())?;
        let mut words = Vec::with_capacity(6);
        words.extend(parts.filter_map(|word| {
            let at = word.iter().position(|byte| *byte == b'=')?;
            Some((&word[..at], &word[at + 1..]))
        }));
        Ok(Self { name, text, words })
    }

    fn find(&self, key: &str) -> Option<&'a [u8]> {
        self.words.iter().find(|(k, _)| *k == key.as_bytes()).map(|(_, value)| *value)
    }

    fn word(&self, key: &str) -> Result<&'a str> {
        self.find(key).and_then(|v| v.to_str().ok()).ok_or_else(|| bad(self.text, &format!("it has no valid {key}")))
    }

    fn number(&self, key: &str) -> Result<Option<u64>> {
        self.find(key)
            .map(|_| self.word(key)?.parse().map_err(|_| bad(self.text, &format!("its {key} is no number"))))
            .transpose()
    }

    fn id_number(&self, key: &str) -> Result<u32> {
        self.word(key)?.parse().map_err(|_| bad(self.text, &format!("its {key} is no number")))
    }

    fn attrs(&self) -> Result<Attrs> {
        let mode = u32::from_str_radix(self.word("mode")?, 8).ok().filter(|mode| *mode <= 0o7777);
        let mode = mode.ok_or_else(|| bad(self.text, "its mode is impossible"))?;
        let mut xattrs = BTreeMap::new();
        for (key, value) in &self.words {
            if let Some(name) = key.strip_prefix(b"xattr.") {
                let value = BASE64.decode(value).map_err(|_| bad(self.text, "an xattr is no base64"))?;
                xattrs.insert(unescape(name)?, BString::from(value));
            }
        }
        Ok(Attrs { mode, uid: self.id_number("uid")?, gid: self.id_number("gid")?, xattrs })
    }

    fn kind(&self, id: Option<Id>) -> Result<Kind> {
        let id = || id.ok_or_else(|| bad(self.text, "rootfs/ has no such entry"));
        Ok(match self.word("type")? {
            "file" => {
                let size = self.number("size")?.ok_or_else(|| bad(self.text, "it has no size"))?;
                Kind::File { id: id()?, size }
            }
            "link" => Kind::Symlink { id: id()? },
            "fifo" => Kind::Fifo,
            "socket" => Kind::Socket,
            "char" => self.device().map(|(major, minor)| Kind::Char { major, minor })?,
            "block" => self.device().map(|(major, minor)| Kind::Block { major, minor })?,
            _ => return Err(bad(self.text, "its type is unknown")),
        })
    }

    fn device(&self) -> Result<(u32, u32)> {
        let numbers = self.word("device")?.strip_prefix("linux,").and_then(|rest| rest.split_once(','));
        numbers
            .and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)))
            .ok_or_else(|| bad(self.text, "its device is impossible"))
    }
}

fn bad(line: &[u8], why: &str) -> Error {
    Error::damaged(format!("metadata line '{}'", line.as_bstr()), why)
}

/// Write `text` so that it has no blank, no line end and no `=`: such bytes, the backslash, `#` and all that is not
/// printable ASCII become `\ooo` (vis(3), VIS_OCTAL).
pub fn escape(text: &BStr, out: &mut Vec<u8>) {
    for byte in text.iter() {
        match byte {
            b'\\' | b'#' | b'=' | 0..=b' ' | 0x7f.. => push(out, format_args!("\\{byte:03o}")),
            _ => out.push(*byte),
        }
    }
}

/// Undo [`escape`]; `Damaged` where an escape is cut short.
pub fn unescape(text: &[u8]) -> Result<BString> {
    if !text.contains(&b'\\') {
        return Ok(text.into());
    }
    let mut out = BString::default();
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        let (byte, tail) = match (first, tail) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', tail @ ..]) => {
                (((a - b'0') << 6) | ((b - b'0') << 3) | (c - b'0'), tail)
            }
            (b'\\', _) => return Err(bad(text, "an escape is cut short")),
            _ => (*first, tail),
        };
        out.push(byte);
        rest = tail;
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meta_comes_back() {
        let own = Attrs { mode: 0o1777, ..Attrs::default() };
        let mut attrs = Attrs { mode: 0o4755, uid: 7, gid: 0xffff_fffe, ..Attrs::default() };
        attrs.xattrs.insert("user.a b".into(), BString::from(vec![0, 255]));
        let id = crate::store::hash_content(b"x");
        let entries: BTreeMap<BString, Kind> = [
            (BString::from("a\nb"), Kind::File { id, size: 1 }),
            (BString::from("null"), Kind::Char { major: 1, minor: 3 }),
            (BString::from(&b"\xff"[..]), Kind::Symlink { id }),
        ]
        .into();
        let bytes = encode_folder(&own, 1, entries.iter().map(|(name, kind)| (name.as_bstr(), kind, &attrs)));
        assert!(bytes.starts_with(b". type=dir mode=1777 uid=0 gid=0 size=1\na\\012b type=file mode=4755 uid=7 gid=4294967294 size=1 xattr.user.a\\040b=AP8=\n"));
        let (own_again, total, back) = decode_folder(&bytes, |_| Some(id), &|_| true).unwrap();
        assert_eq!((own_again, total), (own, 1));
        let want: BTreeMap<_, _> =
            entries.into_iter().map(|(n, kind)| (n, EntryMeta { kind, attrs: attrs.clone() })).collect();
        assert_eq!(back, want);
    }

    #[test]
    fn times_come_back() {
        let times =
            [("a".into(), Time { sec: -2, nsec: 500_000_000 }), ("b".into(), Time { sec: 1_700_000_000, nsec: 1 })];
        let own = Time { sec: 0, nsec: 0 };
        let bytes = encode_times(own, times.iter().map(|(n, t): &(BString, Time)| (n.as_bstr(), *t)));
        assert_eq!(bytes.as_bstr(), ". time=0.000000000\na time=-2.500000000\nb time=1700000000.000000001\n");
        assert_eq!(decode_times(&bytes, &|_| true).unwrap(), (own, times.to_vec()));
    }
}

//! The parts of a commit or tag as `for-each-ref` and `log` name them: header lines, subject, body, signature.

use plumbing::bstr::{BStr, BString, ByteSlice};
use plumbing::gix::date::Time;

/// An object's text, taken apart as git does it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts<'a> {
    /// The whole message.
    pub contents: &'a BStr,
    /// The first paragraph.
    pub subject: &'a BStr,
    /// What follows it, with the signature.
    pub body: &'a BStr,
    /// A signature at the end.
    pub signature: &'a BStr,
}

/// How signatures begin.
const SIGNATURES: [&[u8]; 4] = [
    b"-----BEGIN PGP SIGNATURE-----",
    b"-----BEGIN PGP MESSAGE-----",
    b"-----BEGIN SIGNED MESSAGE-----",
    b"-----BEGIN SSH SIGNATURE-----",
];

impl<'a> Parts<'a> {
    /// Take the bytes of a commit or tag apart.
    pub fn of(object: &'a [u8]) -> Self {
        let after_header = object.find(b"\n\n").map_or(object.len(), |at| at + 2);
        let message = if object.starts_with(b"\n") { object } else { &object[after_header..] };
        let message = message.trim_start_with(|c| c == '\n');
        let signature = signature_at(message);
        let blank = message.find(b"\n\n").or_else(|| message.find(b"\r\n\r\n"));
        let end = blank.map_or(signature, |at| at.min(signature));
        let subject = message[..end].trim_end_with(|c| c == '\n' || c == '\r');
        let body = message[end..].trim_start_with(|c| c == '\n' || c == '\r');
        Self {
            contents: message.as_bstr(),
            subject: subject.as_bstr(),
            body: body.as_bstr(),
            signature: message[signature..].as_bstr(),
        }
    }

    /// The subject as one line.
    pub fn subject_line(&self) -> BString {
        self.subject.replace("\r\n", "\n").replace("\n", " ").into()
    }

    /// The body without the signature.
    pub fn body_text(&self) -> &'a BStr {
        self.body.strip_suffix(self.signature.as_bytes()).unwrap_or(self.body).as_bstr()
    }

    /// The first `count` lines, each but the first indented.
    pub fn lines(&self, count: usize) -> BString {
        let end = self.contents.len() - self.signature.len();
        let lines: Vec<&[u8]> = self.contents[..end].lines_with_terminator().take(count).collect();
        let lines = lines.iter().map(|line| line.strip_suffix(b"\n").unwrap_or(line));
        lines.collect::<Vec<_>>().join(&b"\n    "[..]).into()
    }
}

/// Where a signature begins: the last line that begins one.
fn signature_at(message: &[u8]) -> usize {
    let mut at = 0;
    let mut found = message.len();
    for line in message.lines_with_terminator() {
        if SIGNATURES.iter().any(|signature| line.starts_with(signature)) {
            found = at;
        }
        at += line.len();
    }
    found
}

/// The rest of the header line that begins with `key`.
pub fn header<'a>(object: &'a [u8], key: &str) -> Option<&'a BStr> {
    headers(object, key).next()
}

/// The rests of all header lines that begin with `key`.
pub fn headers<'a>(object: &'a [u8], key: &str) -> impl Iterator<Item = &'a BStr> {
    let lines = object.lines().take_while(|line| !line.is_empty());
    lines.filter_map(move |line| Some(line.strip_prefix(key.as_bytes())?.strip_prefix(b" ")?.as_bstr()))
}

/// `Name`, of a line `Name <email> seconds zone`.
pub fn name(who: &BStr) -> &BStr {
    who.find(" <").map_or(b"".as_bstr(), |at| who[..at].as_bstr())
}

/// `<email>`
pub fn email(who: &BStr) -> &BStr {
    let Some(start) = who.find_byte(b'<') else { return b"".as_bstr() };
    who[start..].find_byte(b'>').map_or(b"".as_bstr(), |length| who[start..=start + length].as_bstr())
}

/// The date of such a line.
pub fn time(who: &BStr) -> Option<Time> {
    let text = who[who.find("> ")? + 2..].to_str_lossy();
    let mut words = text.split_whitespace();
    let seconds = words.next()?.parse().ok()?;
    let zone: i32 = words.next().and_then(|zone| zone.parse().ok()).unwrap_or(0);
    let minutes = zone.abs() / 100 * 60 + zone.abs() % 100;
    Some(Time { seconds, offset: zone.signum() * minutes * 60 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_apart() {
        let text = b"tree x\n\n\nsub\nject\n\n\nbody\n-----BEGIN PGP SIGNATURE-----\nx\n";
        let parts = Parts::of(text);
        assert_eq!(parts.subject_line(), "sub ject");
        assert_eq!(parts.body_text(), "body\n");
        assert_eq!(parts.signature, "-----BEGIN PGP SIGNATURE-----\nx\n");
        assert_eq!(parts.lines(2), "sub\n    ject");
        let empty = Parts::of(b"tree x\n");
        assert_eq!((empty.subject_line(), empty.body), ("".into(), "".into()));
    }

    #[test]
    fn people_come_apart() {
        let who = b"A U Thor <a@b> 1714559400 -0130".as_bstr();
        assert_eq!((name(who), email(who)), ("A U Thor".into(), "<a@b>".into()));
        assert_eq!(time(who), Some(Time { seconds: 1_714_559_400, offset: -5400 }));
    }
}

//! Names as git prints them: plain, or in C's quotes where they hold what a terminal or a script would trip over.

use std::borrow::Cow;

use plumbing::bstr::{BStr, BString, ByteSlice};

/// The name as git prints it with `core.quotePath`: quoted where it has control characters, bytes beyond ASCII,
/// quotes or backslashes.
pub fn c_style(name: &BStr) -> Cow<'_, BStr> {
    if name.iter().all(|byte| is_plain(*byte)) {
        return Cow::Borrowed(name);
    }
    let mut out = BString::from("\"");
    name.iter().for_each(|byte| push(*byte, &mut out));
    out.push(b'"');
    Cow::Owned(out)
}

fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\'
}

fn push(byte: u8, out: &mut BString) {
    let letter = match byte {
        0x07 => b'a',
        0x08 => b'b',
        b'\t' => b't',
        b'\n' => b'n',
        0x0b => b'v',
        0x0c => b'f',
        b'\r' => b'r',
        b'"' | b'\\' => byte,
        byte if is_plain(byte) => return out.push(byte),
        byte => return out.extend_from_slice(format!("\\{byte:03o}").as_bytes()),
    };
    out.extend_from_slice(&[b'\\', letter]);
}

/// A value as getfattr(1) prints it: text in quotes, anything else in hexadecimal; cut where it is long.
pub fn value(bytes: &[u8]) -> String {
    const LONGEST: usize = 64;
    let shown = &bytes[..bytes.len().min(LONGEST)];
    let rest = if shown.len() < bytes.len() { format!("… ({} bytes)", bytes.len()) } else { String::new() };
    let is_text = |c: char| !c.is_control() && c != char::REPLACEMENT_CHARACTER;
    match shown.to_str() {
        Ok(text) if text.chars().all(is_text) => format!("{text:?}{rest}"),
        _ => format!("0x{}{rest}", shown.iter().map(|byte| format!("{byte:02x}")).collect::<String>()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_as_git_quotes_them() {
        for (name, quoted) in [
            (&b"etc/pass wd"[..], "etc/pass wd"),
            (b"t\tab", r#""t\tab""#),
            (b"\xff\xc3\xa4", r#""\377\303\244""#),
            (b"a\"b\\", r#""a\"b\\""#),
            (b"\x1b[2J\n", r#""\033[2J\n""#),
        ] {
            assert_eq!(c_style(name.as_bstr()).as_ref(), quoted);
        }
    }

    #[test]
    fn values_are_text_or_hexadecimal() {
        assert_eq!(value(b"a\"b"), r#""a\"b""#);
        assert_eq!(value(&[1, 0, 255]), "0x0100ff");
        assert_eq!(value(&[b'a'; 70]), format!("\"{}\"… (70 bytes)", "a".repeat(64)));
    }
}

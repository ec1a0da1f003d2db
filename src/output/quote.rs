//! Names as git prints them: plain, or in C's quotes where they hold what a terminal or a script would trip over.

use std::borrow::Cow;

use plumbing::bstr::{BStr, ByteSlice};

/// The name as git prints it with `core.quotePath`: quoted where it has control characters, bytes beyond ASCII,
/// quotes or backslashes.
pub fn c_style(name: &BStr) -> Cow<'_, BStr> {
    plumbing::gix::quote::ansi_c::quote(name)
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

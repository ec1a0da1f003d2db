//! A commit's message: subject, body, and both indented.

use plumbing::bstr::{BStr, BString, ByteSlice};

/// The message without empty lines at its start.
fn begin(message: &BStr) -> &BStr {
    let mut rest = message.as_bytes();
    while let Some(at) = rest.find_byte(b'\n') {
        if !rest[..at].trim().is_empty() {
            break;
        }
        rest = &rest[at + 1..];
    }
    rest.as_bstr()
}

/// The first paragraph's lines, and what follows it.
fn split(message: &BStr) -> (Vec<&[u8]>, &BStr) {
    let mut rest = begin(message).as_bytes();
    let mut lines = Vec::new();
    while !rest.is_empty() {
        let (line, next) = rest.split_at(rest.find_byte(b'\n').map_or(rest.len(), |at| at + 1));
        if line.trim().is_empty() {
            break;
        }
        lines.push(line.trim_end());
        rest = next;
    }
    (lines, begin(rest.as_bstr()))
}

/// The first paragraph as one line.
pub(super) fn subject(message: &BString) -> BString {
    split(message.as_bstr()).0.join(&b' ').into()
}

/// What follows the first paragraph.
pub(super) fn body(message: &BString) -> &BStr {
    split(message.as_bstr()).1
}

/// The message (or its first paragraph) with four blanks before each line, tabs as blanks if asked for.
pub(super) fn indent(message: &BString, expand_tabs: bool, whole: bool, out: &mut BString) {
    for line in begin(message.as_bstr()).lines() {
        let line = line.trim_end();
        if line.is_empty() && !whole {
            return;
        }
        out.extend_from_slice(b"    ");
        if expand_tabs {
            push_expanded(line, out);
        } else {
            out.extend_from_slice(line);
        }
        out.push(b'\n');
    }
}

fn push_expanded(line: &[u8], out: &mut BString) {
    let mut column = 0;
    for (index, part) in line.split(|byte| *byte == b'\t').enumerate() {
        if index > 0 {
            let blanks = 8 - column % 8;
            out.extend_from_slice(" ".repeat(blanks).as_bytes());
            column += blanks;
        }
        out.extend_from_slice(part);
        column += part.chars().count();
    }
}

/// The first line as git makes a file name of it.
pub fn sanitized(message: &BString) -> String {
    let keep = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '_';
    let mut out = String::new();
    let (lines, _) = split(message.as_bstr());
    for c in lines.first().copied().unwrap_or_default().to_str_lossy().chars() {
        match keep(c) {
            true if c == '.' && out.ends_with('.') => {}
            true => out.push(c),
            false if !out.is_empty() && !out.ends_with('-') => out.push('-'),
            false => {}
        }
    }
    out.trim_end_matches(['.', '-']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_a_subject_and_a_body() {
        let message = BString::from("\n \none\ntwo \n\n\nbody\n\nmore\n");
        assert_eq!(subject(&message), "one two");
        assert_eq!(body(&message), "body\n\nmore\n");
        assert_eq!(sanitized(&BString::from("RUN a && b/c..\n")), "RUN-a-b-c");
        assert_eq!(subject(&BString::default()), "");
    }

    #[test]
    fn lines_are_indented_and_tabs_expanded() {
        let mut out = BString::default();
        indent(&BString::from("a\tb \n\n\tc\n"), true, true, &mut out);
        assert_eq!(out, "    a       b\n    \n            c\n");
    }
}

//! Values quoted for the language of the script that reads them.

/// Whose strings the values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    Shell,
    Perl,
    Python,
    Tcl,
}

impl Language {
    /// The value as a string of the language.
    pub fn quote(self, value: &[u8]) -> Vec<u8> {
        let mark = if self == Language::Tcl { b'"' } else { b'\'' };
        let mut out = vec![mark];
        for byte in value {
            match (self, byte) {
                (Language::Shell, b'\'' | b'!') => out.extend([b'\'', b'\\', *byte, b'\'']),
                (Language::Perl | Language::Python, b'\'' | b'\\') => out.extend([b'\\', *byte]),
                (Language::Python, b'\n') => out.extend(b"\\n"),
                (Language::Tcl, b'[' | b']' | b'{' | b'}' | b'$' | b'\\' | b'"') => out.extend([b'\\', *byte]),
                (Language::Tcl, b'\x0c') => out.extend(b"\\f"),
                (Language::Tcl, b'\r') => out.extend(b"\\r"),
                (Language::Tcl, b'\n') => out.extend(b"\\n"),
                (Language::Tcl, b'\t') => out.extend(b"\\t"),
                (Language::Tcl, b'\x0b') => out.extend(b"\\v"),
                _ => out.push(*byte),
            }
        }
        out.push(mark);
        out
    }
}

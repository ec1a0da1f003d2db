//! The header of a bundle: text, up to an empty line.

use std::io::BufRead;

use gix::bstr::{BString, ByteSlice};

use crate::{Error, Id, Result};

/// A header is no longer than this, in bytes.
const LONGEST: u64 = 64 << 20;

/// What a bundle says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Header {
    /// What was left out, in the words of `--filter`.
    pub filter: Option<String>,
    /// Commits that a reader must have, and their subjects.
    pub prerequisites: Vec<(Id, BString)>,
    /// The refs.
    pub references: Vec<(Id, BString)>,
}

impl Header {
    /// The header in version 3 of the format, which other object formats than SHA-1 need; the pack follows it.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = b"# v3 git bundle\n@object-format=sha256\n".to_vec();
        if let Some(filter) = &self.filter {
            out.extend(format!("@filter={filter}\n").bytes());
        }
        for (id, subject) in &self.prerequisites {
            out.extend([format!("-{id} ").as_bytes(), subject, b"\n"].concat());
        }
        for (id, name) in &self.references {
            out.extend([format!("{id} ").as_bytes(), name, b"\n"].concat());
        }
        out.push(b'\n');
        out
    }

    /// Read a header, no byte more. `None` where this is no bundle.
    pub fn read(input: &mut impl BufRead) -> Result<Option<Self>> {
        let mut lines = Lines { input, left: LONGEST };
        let has_capabilities = match lines.next()?.as_slice() {
            b"# v3 git bundle" => true,
            b"# v2 git bundle" => false,
            _ => return Ok(None),
        };
        let mut header = Self::default();
        let mut is_sha256 = false;
        loop {
            let line = lines.next()?;
            let invalid = |why: &str| Error::Invalid {
                what: "bundle header",
                input: line.to_str_lossy().into_owned(),
                why: why.into(),
            };
            if line.is_empty() {
                break;
            }
            if let Some(capability) = line.strip_prefix(b"@").filter(|_| has_capabilities) {
                match capability.split_once_str("=") {
                    Some((b"object-format", b"sha256")) => is_sha256 = true,
                    Some((b"filter", filter)) => header.filter = Some(filter.to_str_lossy().into_owned()),
                    _ => return Err(invalid("rd reads bundles of the object format sha256 alone")),
                }
                continue;
            }
            let (is_prerequisite, rest) = line.strip_prefix(b"-").map_or((false, &line[..]), |rest| (true, rest));
            let (id, text) = rest.split_at_checked(64).unwrap_or((rest, b""));
            let id = Id::from_hex(id).map_err(|_| invalid("no id"))?;
            match text.strip_prefix(b" ") {
                Some(text) if is_prerequisite => header.prerequisites.push((id, text.trim_end().into())),
                None if is_prerequisite && text.is_empty() => header.prerequisites.push((id, BString::default())),
                Some(name) if !name.is_empty() => header.references.push((id, name.into())),
                _ => return Err(invalid("no name")),
            }
        }
        if !is_sha256 {
            let why = "its object format is sha1; a store's is sha256".to_owned();
            return Err(Error::Unsupported { what: "bundle".into(), why });
        }
        Ok(Some(header))
    }
}

struct Lines<'i, R> {
    input: &'i mut R,
    left: u64,
}

impl<R: BufRead> Lines<'_, R> {
    /// The next line without its end; a header that ends with its file has an empty one there.
    fn next(&mut self) -> Result<BString> {
        let mut line = Vec::new();
        let mut limited = std::io::Read::take(&mut *self.input, self.left);
        let read = limited.read_until(b'\n', &mut line).map_err(Error::io("read", "the bundle"))?;
        self.left -= read as u64;
        if self.left == 0 {
            let why = format!("it is longer than {LONGEST} bytes");
            return Err(Error::Invalid { what: "bundle header", input: "…".into(), why });
        }
        if line.last() == Some(&b'\n') {
            line.pop();
        }
        Ok(line.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_as_it_is_written() {
        let id = Id::from_hex(&[b'a'; 64]).unwrap();
        let header = Header {
            filter: Some("blob:none".into()),
            prerequisites: vec![(id, "a subject".into()), (id, "".into())],
            references: vec![(id, "refs/heads/main".into())],
        };
        let bytes = [header.encode(), b"PACK".to_vec()].concat();
        let mut input = bytes.as_slice();
        assert_eq!(Header::read(&mut input).unwrap(), Some(header));
        assert_eq!(input, b"PACK");
    }

    #[test]
    fn what_is_no_bundle_of_this_format_is_refused() {
        assert_eq!(Header::read(&mut &b"PACK"[..]).unwrap(), None);
        assert_eq!(Header::read(&mut &b""[..]).unwrap(), None);
        let id = "a".repeat(64);
        for text in [
            "# v2 git bundle\n\n".to_owned(),
            "# v3 git bundle\n@object-format=sha1\n\n".into(),
            "# v3 git bundle\n@object-format=sha256\n@new=1\n\n".into(),
            format!("# v3 git bundle\n@object-format=sha256\n{id}\n\n"),
            "# v3 git bundle\n@object-format=sha256\nabc refs/heads/main\n\n".into(),
        ] {
            assert!(Header::read(&mut text.as_bytes()).is_err(), "{text}");
        }
    }
}

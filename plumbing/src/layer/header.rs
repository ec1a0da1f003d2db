//! One header block of a tar: its fields as numbers and bytes.
//!
//! Layouts are those of POSIX ustar, of GNU tar and of star; numbers may be octal or, as GNU tar and star write large
//! and negative ones, base 256. Which fields count is decided as Go's archive/tar does, since that is what the
//! other engines read layers with.

use std::ops::Range;

use super::stream::BLOCK;

const NAME: Range<usize> = 0..100;
const MODE: Range<usize> = 100..108;
const UID: Range<usize> = 108..116;
const GID: Range<usize> = 116..124;
const SIZE: Range<usize> = 124..136;
const MTIME: Range<usize> = 136..148;
const CHECKSUM: Range<usize> = 148..156;
const TYPE: usize = 156;
const LINK: Range<usize> = 157..257;
const MAGIC: Range<usize> = 257..263;
const DEVICE_MAJOR: Range<usize> = 329..337;
const DEVICE_MINOR: Range<usize> = 337..345;
const PREFIX: Range<usize> = 345..500;
/// star keeps times where ustar's prefix goes on, and marks that at the end of the block.
const STAR_PREFIX: Range<usize> = 345..476;
const STAR_MARK: Range<usize> = 508..512;

/// What can be wrong with a header, to be said of the entry or of its place.
pub(super) type Flaw = String;

/// A header whose checksum is right.
pub(super) struct Header<'a>(&'a [u8]);

impl<'a> Header<'a> {
    /// Look at a whole block.
    pub(super) fn new(block: &'a [u8]) -> Result<Self, Flaw> {
        let header = Self(block);
        if block.len() != BLOCK {
            return Err("the archive ends in the middle of a header".into());
        }
        let stored = number(&block[CHECKSUM]).map_err(|_| "it is no tar header")?;
        let (unsigned, signed) = checksums(block);
        if stored == unsigned || stored == signed {
            Ok(header)
        } else {
            Err("its checksum is wrong: it is no tar header".into())
        }
    }

    /// Whether ustar's fields (prefix, device numbers) mean what POSIX says.
    fn is_ustar(&self) -> bool {
        &self.0[MAGIC] == b"ustar\0"
    }

    /// Whether this is GNU tar's own layout.
    pub(super) fn is_gnu(&self) -> bool {
        &self.0[MAGIC] == b"ustar "
    }

    /// The type, as the byte that it is.
    pub(super) fn type_byte(&self) -> u8 {
        self.0[TYPE]
    }

    /// The name, with ustar's prefix.
    pub(super) fn name(&self) -> Vec<u8> {
        let prefix = match self.is_ustar() {
            true if &self.0[STAR_MARK] == b"tar\0" => text(&self.0[STAR_PREFIX]),
            true => text(&self.0[PREFIX]),
            false => b"",
        };
        let mut name = prefix.to_vec();
        if !prefix.is_empty() {
            name.push(b'/');
        }
        name.extend_from_slice(text(&self.0[NAME]));
        name
    }

    /// The target of a link.
    pub(super) fn link(&self) -> &'a [u8] {
        text(&self.0[LINK])
    }

    /// Mode bits, some with the file type in them.
    pub(super) fn mode(&self) -> Result<i64, Flaw> {
        number(&self.0[MODE]).map_err(|why| format!("its mode {why}"))
    }

    /// Numeric owner.
    pub(super) fn uid(&self) -> Result<i64, Flaw> {
        number(&self.0[UID]).map_err(|why| format!("its owner {why}"))
    }

    /// Numeric group.
    pub(super) fn gid(&self) -> Result<i64, Flaw> {
        number(&self.0[GID]).map_err(|why| format!("its group {why}"))
    }

    /// Number of bytes that follow, without padding.
    pub(super) fn size(&self) -> Result<i64, Flaw> {
        number(&self.0[SIZE]).map_err(|why| format!("its size {why}"))
    }

    /// Modification time in seconds.
    pub(super) fn mtime(&self) -> Result<i64, Flaw> {
        number(&self.0[MTIME]).map_err(|why| format!("its time {why}"))
    }

    /// Device numbers; zero in layouts without.
    pub(super) fn device(&self) -> Result<(i64, i64), Flaw> {
        if !self.is_ustar() && !self.is_gnu() {
            return Ok((0, 0));
        }
        let read = |range: Range<usize>| number(&self.0[range]).map_err(|why| format!("its device number {why}"));
        Ok((read(DEVICE_MAJOR)?, read(DEVICE_MINOR)?))
    }

    /// GNU's old sparse fields: the first entries of the map, whether more follow, and the size with holes.
    pub(super) fn gnu_sparse(&self) -> (&'a [u8], bool, &'a [u8]) {
        (&self.0[386..482], self.0[482] != 0, &self.0[483..495])
    }
}

/// Bytes up to the first zero.
fn text(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// Sums of all bytes, the checksum's own taken for spaces. Some old tars added signed bytes.
fn checksums(block: &[u8]) -> (i64, i64) {
    let mut sums = (0, 0);
    for (at, byte) in block.iter().enumerate() {
        let byte = if CHECKSUM.contains(&at) { b' ' } else { *byte };
        sums.0 += i64::from(byte);
        sums.1 += i64::from(byte.cast_signed());
    }
    sums
}

/// A number in octal, or in base 256 where the first bit is set; empty is zero.
pub(super) fn number(field: &[u8]) -> Result<i64, &'static str> {
    match field.first() {
        Some(first) if first & 0x80 != 0 => base_256(field),
        _ => octal(field),
    }
}

fn octal(field: &[u8]) -> Result<i64, &'static str> {
    let digits = field.trim_ascii_start();
    let end = digits.iter().position(|byte| matches!(byte, 0 | b' ')).unwrap_or(digits.len());
    digits[..end].iter().try_fold(0i64, |value, digit| match digit {
        b'0'..=b'7' => value.checked_mul(8).map(|value| value + i64::from(digit - b'0')).ok_or("is too large"),
        _ => Err("is no number"),
    })
}

/// Big-endian two's complement; the first bit only marks the base.
fn base_256(field: &[u8]) -> Result<i64, &'static str> {
    let negative = field[0] & 0x40 != 0;
    let mut value = if negative { -1i64 } else { 0 };
    for (at, byte) in field.iter().enumerate() {
        let byte = match (at, negative) {
            (0, true) => byte | 0x80,
            (0, false) => byte & 0x7f,
            _ => *byte,
        };
        value = value.checked_mul(256).ok_or("is too large")? | i64::from(byte);
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_all_spellings() {
        for (field, value) in [
            (&b"0000644\0"[..], 0o644),
            (b"   644 \0", 0o644),
            (b"644 \0\0\0\0", 0o644),
            (b"77777777777 ", 0o77777777777),
            (b"777777777777", 0o777777777777),
            (b"\0\0\0\0\0\0\0\0", 0),
            (b"\x80\0\0\0\0\0\0\0\0\0\x01\x02", 258),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe", -2),
            (b"\x80\0\0\x02\0\0\0\0", 0x2_0000_0000),
        ] {
            assert_eq!(number(field), Ok(value), "{}", field.escape_ascii());
        }
        for field in [
            &b"9"[..],
            b"-1",
            b"0x12",
            b"12a",
            b"\xbf\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
            b"7777777777777777777777777",
        ] {
            assert!(number(field).is_err(), "{}", field.escape_ascii());
        }
    }
}

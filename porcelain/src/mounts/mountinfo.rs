//! What is mounted, by proc_pid_mountinfo(5).

use std::collections::HashSet;
use std::fs;

use plumbing::bstr::{BString, ByteSlice};

use crate::{IoResultExt, Result};

/// A mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    /// Where it is.
    pub target: BString,
    /// The kind of filesystem.
    pub kind: String,
    /// What the filesystem says that it is made of.
    pub source: BString,
}

/// The mounts that this process sees, in the order in which they were made.
pub(super) fn own() -> Result<Vec<Mount>> {
    const FILE: &str = "/proc/self/mountinfo";
    Ok(parse(&fs::read(FILE).on("read", FILE)?))
}

/// The mounts that any process sees: every mount namespace in which there is one. Of a process that ends meanwhile
/// nothing is said.
pub(super) fn everywhere() -> Result<Vec<Mount>> {
    let mut seen = HashSet::new();
    let mut mounts = own()?;
    seen.extend(fs::read_link("/proc/self/ns/mnt"));
    for entry in fs::read_dir("/proc").on("list", "/proc")? {
        let process = entry.on("list", "/proc")?.path();
        let is_process = process.file_name().is_some_and(|name| name.as_encoded_bytes()[0].is_ascii_digit());
        if is_process
            && let Ok(namespace) = fs::read_link(process.join("ns/mnt"))
            && !seen.contains(&namespace)
            && let Ok(text) = fs::read(process.join("mountinfo"))
        {
            seen.insert(namespace);
            mounts.extend(parse(&text));
        }
    }
    Ok(mounts)
}

/// `36 35 98:0 /root /target rw,noatime shared:1 - ext3 /dev/sda rw`, bytes that part words as `\ooo`.
fn parse(text: &[u8]) -> Vec<Mount> {
    let parse_line = |line: &[u8]| {
        let (mount, filesystem) = line.split_once_str(" - ")?;
        let mut filesystem = filesystem.split_str(" ");
        Some(Mount {
            target: unescape(mount.split_str(" ").nth(4)?),
            kind: filesystem.next()?.to_str().ok()?.to_owned(),
            source: unescape(filesystem.next()?),
        })
    };
    text.lines().filter_map(parse_line).collect()
}

/// The kernel escapes blanks, tabs, line ends, backslashes and `#`.
fn unescape(text: &[u8]) -> BString {
    let mut out = BString::default();
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        let (byte, tail) = match (first, tail) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', tail @ ..]) => {
                (((a - b'0') << 6) | ((b - b'0') << 3) | (c - b'0'), tail)
            }
            _ => (*first, tail),
        };
        out.push(byte);
        rest = tail;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read() {
        let text = b"22 28 0:20 / /sys rw,relatime - sysfs sysfs rw\n\
            99 28 0:55 / /mnt/a\\040b\\134 ro,nosuid shared:7 master:2 - overlay rd:abc ro,lowerdir=/x - y\nnonsense\n";
        let mount = |target: &str, kind: &str, source: &str| Mount {
            target: target.into(),
            kind: kind.into(),
            source: source.into(),
        };
        assert_eq!(parse(text), [mount("/sys", "sysfs", "sysfs"), mount("/mnt/a b\\", "overlay", "rd:abc")]);
    }
}

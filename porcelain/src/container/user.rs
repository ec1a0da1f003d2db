//! Who a container's process runs as: names are looked up in the container's own root, and only there.
//!
//! The root is hostile: `/etc/passwd` may be a FIFO, a device, a link to the host's or without end. It is opened below
//! the root without effect, looked at, and only then read, up to a limit.

use std::io::Read;
use std::path::Path;

use pathrs::Root;
use pathrs::flags::OpenFlags;

use crate::{Error, IoResultExt, Result};

/// The most that is read of `/etc/passwd` or `/etc/group`.
const LIMIT: u64 = 8 << 20;
/// What an error calls these files.
const FILE: &str = "file in the container";
/// The highest id that docker accepts.
const MAX_ID: u32 = i32::MAX as u32;

/// Who to run as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// Supplementary groups, the primary one among them: a process without it would pass checks that exclude the group.
    pub groups: Vec<u32>,
    /// Home folder, `/` where none is known.
    pub home: String,
}

/// Resolves `USER[:GROUP]`, names or ids, in the root at `root`; an empty spelling is root.
pub(super) fn resolve(root: &Path, spelling: &str) -> Result<User> {
    let (user, group) = match spelling.split_once(':') {
        Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
        None => (spelling, None),
    };
    let needs_passwd = !user.is_empty() && user.parse::<u32>().is_err();
    let passwd = read_list(root, "etc/passwd", needs_passwd)?;
    let needs_group = group.is_some_and(|group| group.parse::<u32>().is_err());
    let groups = read_list(root, "etc/group", needs_group)?;
    find(&passwd, &groups, user, group)
}

fn find(passwd: &str, groups: &str, user: &str, group: Option<&str>) -> Result<User> {
    let wanted = if user.is_empty() { "0" } else { user };
    let entry = passwd.lines().filter_map(Entry::parse).find(|entry| entry.matches(wanted));
    let (name, uid, mut gid, home) = match entry {
        Some(Entry { name, uid, gid, home }) => (Some(name), uid, gid, home),
        None => (None, numeric("user", wanted)?, 0, ""),
    };
    let mut supplementary = Vec::new();
    let listed = groups.lines().filter_map(Group::parse);
    match (group, name) {
        (Some(group), _) => {
            let mut listed = listed;
            let found = listed.find(|entry| entry.name == group).map(|entry| Ok(entry.gid));
            gid = found.unwrap_or_else(|| numeric("group", group))?;
        }
        (None, Some(name)) => {
            let member = listed.filter(|entry| entry.members.split(',').any(|member| member == name));
            supplementary.extend(member.map(|entry| entry.gid));
        }
        (None, None) => {}
    }
    supplementary.insert(0, gid);
    let mut seen = std::collections::BTreeSet::new();
    supplementary.retain(|gid| seen.insert(*gid));
    let home = if home.is_empty() { "/" } else { home };
    Ok(User { uid, gid, groups: supplementary, home: home.to_owned() })
}

fn numeric(kind: &'static str, spelling: &str) -> Result<u32> {
    match spelling.parse::<u32>() {
        Ok(id) if id <= MAX_ID => Ok(id),
        Ok(_) => Err(Error::invalid("id", spelling, format!("ids go from 0 to {MAX_ID}"))),
        Err(_) => Err(Error::Unsupported(format!(
            "unable to find {kind} {}: no matching entries in the container's {kind_file} file",
            spelling.escape_debug(),
            kind_file = if kind == "user" { "passwd" } else { "group" },
        ))),
    }
}

/// A line of `/etc/passwd`: `name:password:uid:gid:comment:home:shell`.
struct Entry<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

impl<'a> Entry<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.trim().split(':');
        let name = fields.next()?;
        let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
        if uid > MAX_ID || gid > MAX_ID {
            return None;
        }
        Some(Entry { name, uid, gid, home: fields.nth(1).unwrap_or_default() })
    }

    fn matches(&self, wanted: &str) -> bool {
        self.name == wanted || wanted.parse() == Ok(self.uid)
    }
}

/// A line of `/etc/group`: `name:password:gid:members`.
struct Group<'a> {
    name: &'a str,
    gid: u32,
    members: &'a str,
}

impl<'a> Group<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.trim().split(':');
        let (name, gid) = (fields.next()?, fields.nth(1)?.parse().ok()?);
        (gid <= MAX_ID).then_some(Group { name, gid, members: fields.next().unwrap_or_default() })
    }
}

/// Reads a file of the root; one that isn't there or can't be used is empty, unless it is `needed`.
fn read_list(root: &Path, file: &str, needed: bool) -> Result<String> {
    match read_regular(root, file) {
        Ok(text) => Ok(text),
        Err(_) if !needed => Ok(String::new()),
        Err(error) => Err(error),
    }
}

fn read_regular(root: &Path, file: &str) -> Result<String> {
    let inside = Root::open(root).map_err(|error| unusable(file, &error))?;
    let handle = inside.resolve(file).map_err(|error| unusable(file, &error))?;
    let metadata = rustix::fs::fstat(&handle).on("look up", root.join(file))?;
    if !rustix::fs::FileType::from_raw_mode(metadata.st_mode).is_file() {
        return Err(Error::invalid(FILE, file, "it is no regular file"));
    }
    let flags = OpenFlags::O_RDONLY | OpenFlags::O_NONBLOCK | OpenFlags::O_CLOEXEC | OpenFlags::O_NOCTTY;
    let opened = handle.reopen(flags).map_err(|error| unusable(file, &error))?;
    let mut bytes = Vec::new();
    opened.take(LIMIT + 1).read_to_end(&mut bytes).on("read", root.join(file))?;
    if bytes.len() as u64 > LIMIT {
        return Err(Error::invalid(FILE, file, format!("it is larger than {LIMIT} bytes")));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn unusable(file: &str, error: &pathrs::error::Error) -> Error {
    Error::invalid(FILE, file, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nbroken\n:x:y\nweb:x:33:34::/srv:/bin/false\n77:x:5:6::/odd:\n";
    const GROUP: &str = "root:x:0:\nstaff:x:50:web,root\nweb:x:34:\nwide:x:99:nobody,web\nbad:x:-1:web\n";

    fn found(user: &str, group: Option<&str>) -> (u32, u32, Vec<u32>, String) {
        let user = find(PASSWD, GROUP, user, group).unwrap();
        (user.uid, user.gid, user.groups, user.home)
    }

    #[test]
    fn users_are_found_as_docker_finds_them() {
        assert_eq!(found("", None), (0, 0, vec![0, 50], "/root".into()));
        assert_eq!(found("web", None), (33, 34, vec![34, 50, 99], "/srv".into()));
        assert_eq!(found("33", None), (33, 34, vec![34, 50, 99], "/srv".into()));
        assert_eq!(found("web", Some("staff")), (33, 50, vec![50], "/srv".into()));
        assert_eq!(found("web", Some("4711")), (33, 4711, vec![4711], "/srv".into()));
        assert_eq!(found("1234", None), (1234, 0, vec![0], "/".into()));
        assert_eq!(found("1234", Some("99")), (1234, 99, vec![99], "/".into()));
        assert_eq!(found("77", None), (5, 6, vec![6], "/odd".into()));
    }

    #[test]
    fn unknown_names_and_impossible_ids_are_refused() {
        for (user, group) in
            [("nobody", None), ("web", Some("nogroup")), ("4294967295", None), ("0", Some("2147483648")), ("-1", None)]
        {
            assert!(find(PASSWD, GROUP, user, group).is_err(), "{user} {group:?}");
        }
    }

    #[test]
    fn a_hostile_passwd_file_neither_hangs_nor_leaves_the_root() {
        let root = tempfile::tempdir().unwrap();
        let etc = root.path().join("etc");
        std::fs::create_dir(&etc).unwrap();
        let passwd = etc.join("passwd");

        assert_eq!(resolve(root.path(), "12").unwrap().uid, 12);
        assert!(resolve(root.path(), "root").is_err());

        rustix::fs::mknodat(rustix::fs::CWD, &passwd, rustix::fs::FileType::Fifo, 0o644.into(), 0).unwrap();
        assert_eq!(resolve(root.path(), "").unwrap().uid, 0);
        assert!(resolve(root.path(), "root").unwrap_err().to_string().contains("no regular file"));
        std::fs::remove_file(&passwd).unwrap();

        std::os::unix::fs::symlink("passwd", &passwd).unwrap();
        assert!(resolve(root.path(), "root").is_err());
        std::fs::remove_file(&passwd).unwrap();

        // The host has a root user; this root has not.
        std::os::unix::fs::symlink("../../../../../../../../etc/passwd", &passwd).unwrap();
        assert!(resolve(root.path(), "root").is_err());
        std::fs::remove_file(&passwd).unwrap();

        std::fs::File::create(&passwd).unwrap().set_len(10 << 30).unwrap();
        assert!(resolve(root.path(), "root").unwrap_err().to_string().contains("larger"));
        assert_eq!(resolve(root.path(), "").unwrap().uid, 0);
    }
}

//! Reading a real folder: names, attributes and contents of its entries, by descriptors and without following a link.
//!
//! Nothing here opens a device or a pipe, and nothing changes the access time of what it reads where the
//! kernel allows that. The files may belong to somebody hostile who changes them meanwhile: the worst is an error.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use gix::bstr::{BStr, BString, ByteSlice};
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::root::{Attrs, Kind, Leaf, Time};
use crate::store::{Batch, Contents};
use crate::{Error, Result};

/// Files up to this size are read into memory before they are stored.
const SMALL: u64 = 1 << 20;

/// How often a file that shrinks while it is read is tried.
const TRIES: usize = 5;

/// A folder opened for reading.
#[derive(Debug)]
pub struct OpenDir {
    fd: OwnedFd,
    path: PathBuf,
}

/// What stat(2) says of an entry, in the types of a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// What it is.
    pub file_type: FileType,
    /// Permission bits with setuid, setgid and sticky.
    pub mode: u32,
    /// Numeric owner.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
    /// Modification time.
    pub mtime: Time,
    /// Change time: with size, mtime and inode it tells whether a file may have changed.
    pub ctime: Time,
    /// Size in bytes.
    pub size: u64,
    /// Number of the device that it is, where it is one: major and minor.
    pub device: (u32, u32),
    /// Filesystem and inode: two names with the same are one file.
    pub inode: (u64, u64),
    /// Number of names.
    pub links: u64,
}

impl Stat {
    fn new(stat: &rustix::fs::Stat) -> Self {
        let time = |sec: i64, nsec: u64| Time { sec, nsec: u32::try_from(nsec).unwrap_or(0) };
        Self {
            file_type: FileType::from_raw_mode(stat.st_mode),
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            mtime: time(stat.st_mtime, stat.st_mtime_nsec),
            ctime: time(stat.st_ctime, stat.st_ctime_nsec),
            size: u64::try_from(stat.st_size).unwrap_or(0),
            device: (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev)),
            inode: (stat.st_dev, stat.st_ino),
            links: stat.st_nlink,
        }
    }

    /// Whether it is a folder.
    pub fn is_dir(&self) -> bool {
        self.file_type == FileType::Directory
    }

    /// Whether it is what overlayfs leaves for a removed entry: the character device 0:0.
    pub fn is_whiteout(&self) -> bool {
        self.file_type == FileType::CharacterDevice && self.device == (0, 0)
    }

    /// Mode and owner, with the `xattrs` that were read for it.
    pub fn attrs(&self, xattrs: BTreeMap<BString, BString>) -> Attrs {
        Attrs { mode: self.mode, uid: self.uid, gid: self.gid, xattrs }
    }
}

impl OpenDir {
    /// Open the folder at `path`, following links up to it.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let fd = open_at(rustix::fs::CWD, path.as_os_str().as_bytes().as_bstr(), OFlags::DIRECTORY)
            .map_err(|errno| Error::io("open", &path)(errno.into()))?;
        Ok(Self { fd, path })
    }

    /// Open the folder `name` in this one; a link is not followed.
    pub fn open_dir(&self, name: &BStr) -> Result<Self> {
        let fd = open_at(self.fd.as_fd(), name, OFlags::DIRECTORY | OFlags::NOFOLLOW)
            .map_err(|errno| self.failed("open", name)(errno))?;
        Ok(Self { fd, path: self.path_of(name) })
    }

    /// The path by which it was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of the entry `name`, for messages.
    pub fn path_of(&self, name: &BStr) -> PathBuf {
        self.path.join(std::ffi::OsStr::from_bytes(name))
    }

    fn failed(&self, verb: &'static str, name: &BStr) -> impl Fn(Errno) -> Error {
        let path = self.path_of(name);
        move |errno| Error::io(verb, path.clone())(errno.into())
    }

    /// The names of the entries, in byte order.
    pub fn names(&self) -> Result<Vec<BString>> {
        let list = Error::io("list", &self.path);
        let read = || -> rustix::io::Result<Vec<BString>> {
            let mut names = Vec::new();
            for entry in rustix::fs::Dir::read_from(&self.fd)? {
                let entry = entry?;
                let name = entry.file_name().to_bytes();
                if name != b"." && name != b".." {
                    names.push(BString::from(name));
                }
            }
            Ok(names)
        };
        let mut names = read().map_err(|errno| list(errno.into()))?;
        names.sort_unstable();
        Ok(names)
    }

    /// What the folder itself is.
    pub fn own_stat(&self) -> Result<Stat> {
        let stat = rustix::fs::fstat(&self.fd).map_err(|errno| Error::io("stat", &self.path)(errno.into()))?;
        Ok(Stat::new(&stat))
    }

    /// The folder's own mode, owner and extended attributes.
    pub fn own_attrs(&self) -> Result<Attrs> {
        let xattrs = read_xattrs(&Target::Open(self.fd.as_fd()))
            .map_err(|errno| Error::io("read the extended attributes of", &self.path)(errno.into()))?;
        Ok(self.own_stat()?.attrs(xattrs))
    }

    /// What the entry `name` is; a link is not followed.
    pub fn stat(&self, name: &BStr) -> Result<Stat> {
        let stat = rustix::fs::statat(&self.fd, c_name(name).as_c_str(), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(self.failed("stat", name))?;
        Ok(Stat::new(&stat))
    }

    /// Mode, owner and extended attributes of the entry `name`, of whatever type, without opening it.
    pub fn attrs(&self, name: &BStr, stat: &Stat) -> Result<Attrs> {
        // Through the descriptor's entry in /proc no component but the last is looked up, and l*xattr(2) don't follow that.
        let mut path = format!("/proc/self/fd/{}/", self.fd.as_raw_fd()).into_bytes();
        path.extend_from_slice(name);
        let xattrs = read_xattrs(&Target::Path(&c_name(path.as_bstr())))
            .map_err(self.failed("read the extended attributes of", name))?;
        Ok(stat.attrs(xattrs))
    }

    /// Read the entry `name`, which is no folder: a file's bytes go to `contents`, a link's target to `batch`.
    pub fn leaf(&self, name: &BStr, stat: &Stat, contents: &Contents, batch: &mut Batch<'_>) -> Result<Leaf> {
        let kind = match self.special(name, stat)? {
            Some(kind) => kind,
            None if stat.file_type == FileType::Symlink => {
                Kind::Symlink { id: batch.write_blob(&self.link_target(name)?)? }
            }
            None => self.file(name, contents)?,
        };
        Ok(Leaf { kind, attrs: self.attrs(name, stat)?, mtime: stat.mtime })
    }

    /// The kind of an entry that has no bytes: a device, a pipe, a socket. `None` for a file or link.
    pub fn special(&self, name: &BStr, stat: &Stat) -> Result<Option<Kind>> {
        let (major, minor) = stat.device;
        Ok(match stat.file_type {
            FileType::CharacterDevice => Some(Kind::Char { major, minor }),
            FileType::BlockDevice => Some(Kind::Block { major, minor }),
            FileType::Fifo => Some(Kind::Fifo),
            FileType::Socket => Some(Kind::Socket),
            FileType::RegularFile | FileType::Symlink => None,
            _ => {
                return Err(Error::Unsupported {
                    what: format!("entry '{}'", self.path_of(name).display()),
                    why: "it is neither file, folder, link, device, pipe nor socket".into(),
                });
            }
        })
    }

    /// Where the symbolic link `name` points.
    pub fn link_target(&self, name: &BStr) -> Result<BString> {
        let target = rustix::fs::readlinkat(&self.fd, c_name(name).as_c_str(), Vec::new());
        target.map(|target| target.into_bytes().into()).map_err(self.failed("read the link", name))
    }

    /// Store the bytes of the regular file `name`. A file that grows meanwhile is stored as long as it was when it was
    /// opened; one that shrinks is read again.
    pub fn file(&self, name: &BStr, contents: &Contents) -> Result<Kind> {
        let mut last = None;
        for _ in 0..TRIES {
            let (file, size) = self.open_file(name)?;
            match store_file(file, size, contents, &self.path_of(name)) {
                Ok(id) => return Ok(Kind::File { id, size }),
                Err(Error::Io { source, verb, path }) if source.kind() == std::io::ErrorKind::UnexpectedEof => {
                    last = Some(Error::Io { verb, path, source });
                }
                Err(error) => return Err(error),
            }
        }
        Err(last.expect("because the loop ran at least once"))
    }

    fn open_file(&self, name: &BStr) -> Result<(std::fs::File, u64)> {
        // NONBLOCK: whoever put a pipe there after the stat doesn't stop us.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = open_at(self.fd.as_fd(), name, flags).map_err(self.failed("open", name))?;
        let stat = Stat::new(&rustix::fs::fstat(&file).map_err(self.failed("stat", name))?);
        if stat.file_type != FileType::RegularFile {
            return Err(Error::Raced { name: self.path_of(name).display().to_string() });
        }
        Ok((file.into(), stat.size))
    }
}

fn store_file(mut file: std::fs::File, size: u64, contents: &Contents, path: &Path) -> Result<crate::Id> {
    use std::io::Read;
    if size > SMALL {
        return contents.copy(size, &mut file);
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    file.by_ref().take(size).read_to_end(&mut bytes).map_err(Error::io("read", path))?;
    if (bytes.len() as u64) < size {
        return Err(Error::io("read", path)(std::io::ErrorKind::UnexpectedEof.into()));
    }
    contents.put(&bytes)
}

/// Open for reading, leaving the access time alone where that is allowed.
fn open_at(dir: BorrowedFd<'_>, name: &BStr, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let flags = flags | OFlags::RDONLY | OFlags::CLOEXEC;
    let name = c_name(name);
    match rustix::fs::openat(dir, name.as_c_str(), flags | OFlags::NOATIME, Mode::empty()) {
        Err(Errno::PERM) => rustix::fs::openat(dir, name.as_c_str(), flags, Mode::empty()),
        other => other,
    }
}

/// A name for the kernel; one with a zero byte, which no entry has, becomes one that no entry has either.
fn c_name(name: &BStr) -> CString {
    CString::new(name.to_vec()).unwrap_or_default()
}

/// Whose extended attributes.
enum Target<'a> {
    Open(BorrowedFd<'a>),
    Path(&'a CString),
}

impl Target<'_> {
    fn list(&self, into: &mut [u8]) -> rustix::io::Result<usize> {
        match self {
            Target::Open(fd) => rustix::fs::flistxattr(fd, into),
            Target::Path(path) => rustix::fs::llistxattr(path.as_c_str(), into),
        }
    }

    fn get(&self, name: &CString, into: &mut [u8]) -> rustix::io::Result<usize> {
        match self {
            Target::Open(fd) => rustix::fs::fgetxattr(fd, name.as_c_str(), into),
            Target::Path(path) => rustix::fs::lgetxattr(path.as_c_str(), name.as_c_str(), into),
        }
    }
}

/// All extended attributes; none where the filesystem has no such thing.
fn read_xattrs(target: &Target<'_>) -> rustix::io::Result<BTreeMap<BString, BString>> {
    let names = match whole(|buffer| target.list(buffer)) {
        Err(Errno::OPNOTSUPP) => return Ok(BTreeMap::new()),
        other => other?,
    };
    let mut xattrs = BTreeMap::new();
    for name in names.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let c_name = c_name(name.as_bstr());
        match whole(|buffer| target.get(&c_name, buffer)) {
            // It was removed since it was listed.
            Err(Errno::NODATA) => {}
            value => {
                xattrs.insert(name.into(), value?.into());
            }
        }
    }
    Ok(xattrs)
}

/// What `read` puts into a buffer that is large enough for it.
fn whole(read: impl Fn(&mut [u8]) -> rustix::io::Result<usize>) -> rustix::io::Result<Vec<u8>> {
    let mut buffer = [0; 1024];
    match read(&mut buffer) {
        Ok(length) => return Ok(buffer[..length].to_vec()),
        Err(Errno::RANGE) => {}
        Err(errno) => return Err(errno),
    }
    // The kernel's limit for a list and for a value (xattr(7)).
    let mut buffer = vec![0; 64 * 1024];
    let length = read(&mut buffer)?;
    buffer.truncate(length);
    Ok(buffer)
}

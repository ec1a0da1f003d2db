//! A small filesystem for one test: memory of a fixed size, in a mount namespace of the test's own thread, so that it
//! is gone with the test whatever happens.

use std::ffi::CString;
use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

/// A filesystem that fills up.
pub struct Arena {
    dir: tempfile::TempDir,
}

impl Arena {
    /// Mount a filesystem of `size` bytes, which only this thread and the processes that it starts see.
    pub fn new(size: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        unshare(CloneFlags::CLONE_NEWNS).expect("the fault tests need root");
        mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>).unwrap();
        let options = CString::new(format!("size={size},mode=0700")).unwrap();
        mount(Some("rd-faults"), dir.path(), Some("tmpfs"), MsFlags::empty(), Some(options.as_c_str())).unwrap();
        Self { dir }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    fn ballast(&self) -> PathBuf {
        self.path().join("ballast")
    }

    /// How many bytes are left.
    pub fn free(&self) -> u64 {
        let room = nix::sys::statvfs::statvfs(self.path()).unwrap();
        room.blocks_available() * room.fragment_size()
    }

    /// Leave only `free` bytes.
    pub fn fill(&self, free: u64) {
        let ballast = std::fs::File::create(self.ballast()).unwrap();
        let length = i64::try_from(self.free().saturating_sub(free)).unwrap();
        nix::fcntl::fallocate(&ballast, nix::fcntl::FallocateFlags::empty(), 0, length.max(1)).unwrap();
    }

    /// Give the room back.
    pub fn empty(&self) {
        let _ = std::fs::remove_file(self.ballast());
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // What is mounted on it would keep the folder from being removed.
        let _ = nix::mount::umount2(self.path(), nix::mount::MntFlags::MNT_DETACH);
    }
}

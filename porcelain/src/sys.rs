//! The system calls for which no kept crate has a safe function: the only `unsafe` code of rd.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use nix::libc;
use nix::sys::signal::SigSet;

use crate::{IoResultExt, Result};

/// Whether somebody beside us has `file`, which is opened for reading, open: a process, a mounted filesystem or a loop
/// device, in whatever namespace. `None` where the filesystem can't tell.
///
/// A write lease (fcntl_locking(2)) is given only to the sole user of a file; it is given back at once.
pub(crate) fn is_open_elsewhere(file: &File) -> Option<bool> {
    const F_SETSIG: libc::c_int = 10;
    let control = |command, value: libc::c_int| {
        // SAFETY: these commands of fcntl take an integer and touch no memory of ours.
        let result = unsafe { libc::fcntl(file.as_raw_fd(), command, value) };
        if result < 0 { Err(io::Error::last_os_error().raw_os_error()) } else { Ok(()) }
    };
    // Whoever opens the file meanwhile sends the holder of the lease a signal: one that does nothing, in place of SIGIO.
    control(F_SETSIG, libc::SIGURG).ok()?;
    match control(libc::F_SETLEASE, libc::F_WRLCK) {
        Ok(()) => control(libc::F_SETLEASE, libc::F_UNLCK).is_ok().then_some(false),
        Err(Some(libc::EAGAIN)) => Some(true),
        Err(_) => None,
    }
}

const LOOP_CTL_GET_FREE: libc::c_ulong = 0x4C82;
const LOOP_CONFIGURE: libc::c_ulong = 0x4C0A;
const LO_FLAGS_READ_ONLY: u32 = 1;
const LO_FLAGS_AUTOCLEAR: u32 = 4;

/// `struct loop_config` of `linux/loop.h`: everything but the descriptor and the flags stays zero.
#[repr(C)]
struct LoopConfig {
    fd: u32,
    block_size: u32,
    info: LoopInfo,
    reserved: [u64; 8],
}

/// `struct loop_info64` of `linux/loop.h`.
#[repr(C)]
struct LoopInfo {
    device: u64,
    inode: u64,
    rdevice: u64,
    offset: u64,
    size_limit: u64,
    number: u32,
    encrypt_type: u32,
    encrypt_key_size: u32,
    flags: u32,
    file_name: [u8; 64],
    crypt_name: [u8; 64],
    encrypt_key: [u8; 32],
    init: [u64; 2],
}

/// A read-only loop device on `image` which the kernel frees with its last user.
pub(crate) fn loop_device(image: &OwnedFd) -> Result<OwnedFd> {
    let control = File::options().read(true).write(true).open("/dev/loop-control").on("open", "/dev/loop-control")?;
    loop {
        // SAFETY: LOOP_CTL_GET_FREE takes no argument and touches no memory of ours.
        let number = unsafe { libc::ioctl(control.as_raw_fd(), LOOP_CTL_GET_FREE) };
        if number < 0 {
            return Err(io::Error::last_os_error()).on("find a free loop device with", "/dev/loop-control");
        }
        let path = format!("/dev/loop{number}");
        let device = File::open(&path).on("open", &path)?;
        match configure_loop(&device, image) {
            Ok(()) => return Ok(device.into()),
            // Another process took the device between the two calls.
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => continue,
            Err(error) => return Err(error).on("set up", &path),
        }
    }
}

fn configure_loop(device: &File, image: &OwnedFd) -> io::Result<()> {
    // SAFETY: all fields of LoopConfig are integers or arrays of integers, for which zero is a valid value.
    let mut config: LoopConfig = unsafe { std::mem::zeroed() };
    config.fd = image.as_raw_fd().cast_unsigned();
    config.info.flags = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR;
    // SAFETY: the kernel reads one struct loop_config, whose layout LoopConfig has, and keeps no pointer to it.
    let result = unsafe { libc::ioctl(device.as_raw_fd(), LOOP_CONFIGURE, &raw const config) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Gives every signal its default action and an empty mask, as a new program expects them.
///
/// Rust ignores `SIGPIPE` at start, and what is ignored stays so across `execve`. The C library refuses to touch the two
/// signals that it uses itself, so this asks the kernel.
pub(crate) fn default_signals() {
    // A kernel's struct sigaction of zeros is the default action without flags; no architecture's has more words.
    let default = [0u64; 8];
    let mask_size = 8;
    for signal in 1..=64 {
        // SAFETY: the kernel reads a struct sigaction from `default`, which is at least as large, and writes nothing. The
        // default action runs no code of ours. SIGKILL and SIGSTOP are refused, which changes nothing.
        unsafe {
            libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), std::ptr::null_mut::<u64>(), mask_size)
        };
    }
    let _ = SigSet::empty().thread_set_mask();
}

/// Brings the loopback device of the current network namespace up.
pub(crate) fn loopback_up() -> io::Result<()> {
    let socket = rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::DGRAM, None)?;
    // SAFETY: all fields of ifreq are integers or arrays and unions of them, for which zero is a valid value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: SIOCSIFFLAGS reads one ifreq and keeps no pointer to it.
    let result = unsafe { libc::ioctl(socket.as_fd().as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

const SECCOMP_SET_MODE_FILTER: libc::c_uint = 1;

/// `struct sock_fprog` of `linux/filter.h`.
#[repr(C)]
struct FilterProgram {
    length: u16,
    code: *const u64,
}

/// Lets `program` decide which system calls this process and those that it starts may make.
pub(crate) fn load_call_filter(program: &[u64]) -> io::Result<()> {
    let length = u16::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let program = FilterProgram { length, code: program.as_ptr() };
    // SAFETY: the kernel reads a struct sock_fprog, whose layout FilterProgram has, and through it `length` instructions of
    // eight bytes, which the slice has; it copies them and keeps no pointer.
    let result = unsafe { libc::syscall(libc::SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &raw const program) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

const BPF_PROG_LOAD: libc::c_int = 5;
const BPF_PROG_ATTACH: libc::c_int = 8;
const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const BPF_CGROUP_DEVICE: u32 = 6;
const BPF_F_ALLOW_MULTI: u32 = 2;

/// `union bpf_attr` of `linux/bpf.h` for `BPF_PROG_LOAD`, as far as it is used.
#[repr(C)]
struct LoadProgram {
    kind: u32,
    instructions: u32,
    code: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
}

/// `union bpf_attr` of `linux/bpf.h` for `BPF_PROG_ATTACH`.
#[repr(C)]
struct AttachProgram {
    target: u32,
    program: u32,
    kind: u32,
    flags: u32,
}

/// Lets `program` decide which devices the processes of `cgroup` may use; it goes away with the cgroup.
pub(crate) fn attach_device_program(cgroup: &OwnedFd, program: &[u64]) -> io::Result<()> {
    let load = LoadProgram {
        kind: BPF_PROG_TYPE_CGROUP_DEVICE,
        instructions: u32::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?,
        code: program.as_ptr().addr() as u64,
        license: c"Apache-2.0".as_ptr().addr() as u64,
        log_level: 0,
        log_size: 0,
        log: 0,
    };
    // SAFETY: the kernel reads LoadProgram, whose layout is that of bpf_attr's beginning, and through it `program` and the
    // license, both alive; it copies them and keeps no pointer.
    let loaded = unsafe { libc::syscall(libc::SYS_bpf, BPF_PROG_LOAD, &raw const load, size_of::<LoadProgram>()) };
    let loaded = i32::try_from(loaded).ok().filter(|fd| *fd >= 0).ok_or_else(io::Error::last_os_error)?;
    // SAFETY: the call gave us this new descriptor, and nobody else knows it.
    let loaded = unsafe { OwnedFd::from_raw_fd(loaded) };
    let attach = AttachProgram {
        target: cgroup.as_raw_fd().cast_unsigned(),
        program: loaded.as_raw_fd().cast_unsigned(),
        kind: BPF_CGROUP_DEVICE,
        flags: BPF_F_ALLOW_MULTI,
    };
    // SAFETY: the kernel reads AttachProgram, whose layout is that of bpf_attr's beginning, and keeps no pointer to it.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, BPF_PROG_ATTACH, &raw const attach, size_of::<AttachProgram>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

//! Which devices a container may use on a host with cgroups of version 2, where a program in the kernel decides.
//!
//! With version 1 libcontainer writes the same rules into the `devices` controller.

use std::os::fd::OwnedFd;
use std::path::Path;

use crate::{Error, IoResultExt, Result, sys};

/// The devices that every container may read and write, all of them character devices: major number and minor, if
/// it matters. Null, zero, full, random, urandom, tty, console, ptmx, and the terminals below `/dev/pts`.
const ALLOWED: [(i32, Option<i32>); 9] = [
    (1, Some(3)),
    (1, Some(5)),
    (1, Some(7)),
    (1, Some(8)),
    (1, Some(9)),
    (5, Some(0)),
    (5, Some(1)),
    (5, Some(2)),
    (136, None),
];

/// Restricts the processes of the cgroup at `folder` to those devices; making nodes of others stays allowed.
pub(super) fn restrict(folder: &Path) -> Result<()> {
    let cgroup: OwnedFd = std::fs::File::open(folder).on("open", folder)?.into();
    sys::attach_device_program(&cgroup, &program()).map_err(|error| {
        Error::runtime(
            "this kernel doesn't let rd restrict a container's devices (--privileged does without)",
            [error.to_string()],
        )
    })
}

// Instructions of linux/bpf.h: class, size or operation, and source of the operand in one byte.
const LOAD_WORD: u8 = 0x61;
const COPY: u8 = 0xbf;
const SET: u8 = 0xb7;
const AND: u8 = 0x57;
const SHIFT_RIGHT: u8 = 0x77;
const SKIP_UNLESS_EQUAL: u8 = 0x55;
const EXIT: u8 = 0x95;

/// `linux/bpf.h`: what is done, in the upper half of the first word of the context.
const ACCESS_MKNOD: i32 = 1;
/// The kind of device, in its lower half.
const KIND_CHARACTER: i32 = 2;

/// The program: the result in register 0 is 1 where the access is allowed.
fn program() -> Vec<u64> {
    const CONTEXT: u8 = 1;
    const KIND: u8 = 2;
    const ACCESS: u8 = 3;
    const MAJOR: u8 = 4;
    const MINOR: u8 = 5;
    let mut code = vec![
        instruction(LOAD_WORD, KIND, CONTEXT, 0, 0),
        instruction(COPY, ACCESS, KIND, 0, 0),
        instruction(AND, KIND, 0, 0, 0xffff),
        instruction(SHIFT_RIGHT, ACCESS, 0, 0, 16),
        instruction(LOAD_WORD, MAJOR, CONTEXT, 4, 0),
        instruction(LOAD_WORD, MINOR, CONTEXT, 8, 0),
    ];
    let mut allow_if = |conditions: &[(u8, i32)]| {
        for (place, (register, value)) in conditions.iter().enumerate() {
            // Over the rest of the conditions and the two instructions that allow.
            let rest = i16::try_from(conditions.len() - place + 1).expect("because conditions are few");
            code.push(instruction(SKIP_UNLESS_EQUAL, *register, 0, rest, *value));
        }
        code.push(instruction(SET, 0, 0, 0, 1));
        code.push(instruction(EXIT, 0, 0, 0, 0));
    };
    allow_if(&[(ACCESS, ACCESS_MKNOD)]);
    for (major, minor) in ALLOWED {
        let mut conditions = vec![(KIND, KIND_CHARACTER), (MAJOR, major)];
        conditions.extend(minor.map(|minor| (MINOR, minor)));
        allow_if(&conditions);
    }
    code.push(instruction(SET, 0, 0, 0, 0));
    code.push(instruction(EXIT, 0, 0, 0, 0));
    code
}

/// One `struct bpf_insn`.
fn instruction(operation: u8, to: u8, from: u8, offset: i16, value: i32) -> u64 {
    let registers = if cfg!(target_endian = "little") { from << 4 | to } else { to << 4 | from };
    let mut bytes = [operation, registers, 0, 0, 0, 0, 0, 0];
    bytes[2..4].copy_from_slice(&offset.to_ne_bytes());
    bytes[4..].copy_from_slice(&value.to_ne_bytes());
    u64::from_ne_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the program for one access.
    fn allows(access: u32, kind: u32, major: u32, minor: u32) -> bool {
        let context = [access << 16 | kind, major, minor];
        let mut registers = [0u64; 11];
        let (program, mut at) = (program(), 0);
        loop {
            let bytes = program[at].to_ne_bytes();
            let (to, from) = ((bytes[1] & 15) as usize, (bytes[1] >> 4) as usize);
            let offset = i16::from_ne_bytes([bytes[2], bytes[3]]);
            let value = i32::from_ne_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]) as u64;
            at += 1;
            match bytes[0] {
                LOAD_WORD => registers[to] = u64::from(context[offset as usize / 4]),
                COPY => registers[to] = registers[from],
                SET => registers[to] = value,
                AND => registers[to] &= value,
                SHIFT_RIGHT => registers[to] >>= value,
                SKIP_UNLESS_EQUAL if registers[to] != value => at += offset as usize,
                SKIP_UNLESS_EQUAL => {}
                EXIT => return registers[0] == 1,
                other => panic!("{other:#x}"),
            }
        }
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn the_program_allows_what_docker_allows() {
        let (mknod, read, write, block, character) = (1, 2, 4, 1, 2);
        assert!(allows(mknod, block, 8, 0) && allows(mknod, character, 1, 1));
        for (major, minor) in [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2), (136, 0), (136, 77)] {
            assert!(allows(read, character, major, minor) && allows(read | write, character, major, minor));
            assert!(!allows(read, block, major, minor));
        }
        for (kind, major, minor) in
            [(block, 8, 0), (block, 254, 0), (character, 1, 1), (character, 10, 200), (character, 5, 3)]
        {
            assert!(!allows(read, kind, major, minor) && !allows(write, kind, major, minor));
            assert!(!allows(read | mknod, kind, major, minor));
        }
    }
}

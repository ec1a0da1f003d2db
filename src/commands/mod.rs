//! The commands, one file each: `struct Args`, whose comment is the help, and `fn run`.

pub mod import;
pub mod init;

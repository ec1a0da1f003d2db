//! The commands, one file each: `struct Args`, whose comment is the help, and `fn run`.

pub mod create;
pub mod init;
pub mod monitor;
pub mod ps;
pub mod rm;
pub mod run;
pub mod start;

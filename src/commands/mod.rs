//! The commands, one file each: `struct Args`, whose comment is the help, and `fn run`.

pub mod commit;
pub mod diff;
pub mod history;
pub mod images;
pub mod init;
pub mod inspect;
pub mod log;
pub mod rmi;
pub mod tag;

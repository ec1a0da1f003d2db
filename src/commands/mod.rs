//! The commands, one file each: `struct Args`, whose comment is the help, and `fn run`.

pub mod commit;
pub mod completion;
pub mod create;
pub mod diff;
pub mod history;
pub mod images;
pub mod info;
pub mod init;
pub mod inspect;
pub mod monitor;
pub mod ps;
pub mod rm;
pub mod rmi;
pub mod run;
pub mod start;
pub mod tag;
pub mod version;

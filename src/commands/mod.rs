//! The commands, one file each: `struct Args`, whose comment is the help, and `fn run`.

pub mod cat_file;
pub mod commit;
pub mod commit_tree;
pub mod create;
pub mod diff;
pub mod fsck;
pub mod hash_object;
pub mod history;
pub mod images;
pub mod import;
pub mod init;
pub mod inspect;
pub mod ls_tree;
pub mod mktree;
pub mod monitor;
pub mod ps;
pub mod rev_parse;
pub mod rm;
pub mod rmi;
pub mod run;
pub mod show_ref;
pub mod start;
pub mod tag;
pub mod update_ref;
pub mod upload_pack;

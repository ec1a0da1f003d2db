//! The commands, one file each: `struct Args`, whose comment is the help, and `fn run`.

pub mod cat_file;
pub mod commit_tree;
pub mod hash_object;
pub mod init;
pub mod ls_tree;
pub mod mktree;
pub mod rev_parse;
pub mod show_ref;
pub mod update_ref;
pub mod history;
pub mod images;
pub mod init;
pub mod inspect;
pub mod rmi;
pub mod tag;

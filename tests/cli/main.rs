//! The rd command as a user sees it: one module a command, each test with a store of its own.

mod cat_file;
mod commit_tree;
mod completion;
mod container;
mod diff;
mod fsck;
mod hash_object;
mod history;
mod images;
mod info;
mod init;
mod inspect;
mod judge;
mod log;
mod ls_tree;
mod mktree;
mod ordinary;
mod rev_parse;
mod rmi;
mod sandbox;
mod show;
mod show_ref;
mod tag;
mod update_ref;
mod upload_pack;
mod version;

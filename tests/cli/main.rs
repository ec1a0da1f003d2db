//! The rd command as a user sees it: one module a command, each test with a store of its own.

mod diff;
mod export;
mod history;
mod images;
mod import;
mod init;
mod inspect;
mod load;
mod rmi;
mod sandbox;
mod tag;
mod write_tree;

//! The rd command as a user sees it: one module a command, each test with a store of its own.

mod completion;
mod diff;
mod history;
mod images;
mod info;
mod init;
mod inspect;
mod rmi;
mod sandbox;
mod tag;
mod version;

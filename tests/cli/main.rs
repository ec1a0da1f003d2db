//! The rd command as a user sees it: one module a command, each test with a store of its own.

mod diff;
mod history;
mod images;
mod init;
mod inspect;
mod rmi;
mod sandbox;
mod tag;

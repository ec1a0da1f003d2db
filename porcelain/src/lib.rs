//! Containers, images and networks on top of `plumbing`: Linux and registries.
//!
//! The library prints nothing and never exits: results and errors are values, and the words are the binary's.

#![warn(missing_docs)]

pub mod container;
pub mod download;
mod error;
pub mod fsck;
pub mod housekeeping;
pub mod image;
pub mod info;
pub mod mounts;
pub mod registry;
pub mod remote;
pub mod rootfs;
pub mod serve;
mod sys;

pub use error::{Error, IoResultExt, Result};

//! Containers, images and networks on top of `plumbing`: Linux and registries.

pub mod error;

pub use error::{Error, Result};

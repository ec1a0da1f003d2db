//! The one error type of this crate.

use std::path::PathBuf;

/// What every fallible function of this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something about containers or images failed. `Display` never repeats its source: print the chain.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is nothing of that name.
    #[error("no such {what}: '{name}'")]
    NotFound { what: &'static str, name: String },
    /// The input can't be what it is said to be.
    #[error("invalid {what} '{input}': {why}")]
    Invalid { what: &'static str, input: String, why: String },
    /// Something else needs it.
    #[error("{what} '{name}' is in use: {why}")]
    InUse { what: &'static str, name: String, why: String },
    /// The store refused.
    #[error(transparent)]
    Store(#[from] plumbing::Error),
    /// The operating system refused.
    #[error("can't {verb} '{}'", path.display())]
    Io { verb: &'static str, path: PathBuf, source: std::io::Error },
}

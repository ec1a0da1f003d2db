//! The one error type of this crate, its variants sorted by what a caller can do about them.

use std::path::PathBuf;

/// What every fallible function of this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation on a store failed.
///
/// `Display` never repeats its source: print the chain.
#[expect(missing_docs, reason = "because the names of the fields and the messages say it")]
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is nothing of that name.
    #[error("no such {what}: '{name}'")]
    NotFound { what: &'static str, name: String },
    /// The spelling fits more than one thing.
    #[error("{what} '{name}' is ambiguous: {}", candidates.join(", "))]
    Ambiguous { what: &'static str, name: String, candidates: Vec<String> },
    /// The input can't be what it is said to be.
    #[error("invalid {what} '{input}': {why}")]
    Invalid { what: &'static str, input: String, why: String },
    /// An archive holds an entry that is refused.
    #[error("refused entry '{entry}': {why}")]
    Refused { entry: String, why: String },
    /// Something in the store is not as it was written.
    #[error("damaged {what}: {why}")]
    Damaged { what: String, why: String },
    /// Somebody else changed the name first.
    #[error("'{name}' was changed by another command in the meantime")]
    Raced { name: String },
    /// The thing is valid, but this version or this host can't do it.
    #[error("unsupported {what}: {why}")]
    Unsupported { what: String, why: String },
    /// The other side of a connection refused, or failed.
    #[error("the other side says: {why}")]
    Told { why: String },
    /// The operating system refused.
    #[error("can't {verb} '{}'", path.display())]
    Io { verb: &'static str, path: PathBuf, source: std::io::Error },
    /// The object database or the refs refused.
    #[error("can't {doing}")]
    Git { doing: String, source: gix::Error },
}

impl Error {
    /// A closure for `map_err` that adds the verb and the path to an I/O error.
    pub fn io(verb: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.into();
        move |source| Error::Io { verb, path, source }
    }

    /// A closure for `map_err` that says what git was asked to do.
    pub fn git<E: Into<gix::Error>>(doing: impl Into<String>) -> impl FnOnce(E) -> Error {
        let doing = doing.into();
        move |source| Error::Git { doing, source: source.into() }
    }

    /// The damage `why` to `what`.
    pub fn damaged(what: impl Into<String>, why: impl Into<String>) -> Error {
        Error::Damaged { what: what.into(), why: why.into() }
    }
}

//! The crate's error, its variants sorted by what the caller can do about them.

use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong in this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such thing; the caller can list what there is.
    #[error("no such {what}: '{name}'")]
    NotFound {
        /// What was looked for, as a word for people: `container`, `image`.
        what: &'static str,
        /// The spelling that was given.
        name: String,
    },
    /// A spelling that names several things; the caller can be more precise.
    #[error("'{name}' is ambiguous: {}", candidates.join(", "))]
    Ambiguous {
        /// The spelling that was given.
        name: String,
        /// What it could mean.
        candidates: Vec<String>,
    },
    /// Input that can't be used; the caller has to change it.
    #[error("invalid {what} '{input}': {why}")]
    Invalid {
        /// What is invalid.
        what: &'static str,
        /// What was given, escaped for a terminal.
        input: String,
        /// The rule it breaks.
        why: String,
    },
    /// Something else needs it.
    #[error("{what} '{name}' is in use: {why}")]
    InUse {
        /// What is in use.
        what: &'static str,
        /// Its name.
        name: String,
        /// By whom, or for what.
        why: String,
    },
    /// The store refused.
    #[error(transparent)]
    Store(#[from] plumbing::Error),
    /// Stored state that can't be read back.
    #[error("damaged {what} '{path}'")]
    Damaged {
        /// What the file is.
        what: &'static str,
        /// Where it is.
        path: PathBuf,
        /// Why it can't be read.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// This host, kernel or version of rd can't do it.
    #[error("{0}")]
    Unsupported(String),
    /// A container's command can't be started: exit status 126 or 127.
    #[error("can't run '{command}': {why}")]
    Command {
        /// The command as it was given.
        command: String,
        /// What the kernel or the search through `PATH` said.
        why: String,
        /// True where there is no such file (127), false where it can't be executed (126).
        missing: bool,
    },
    /// A container couldn't be set up; `causes` go from the general to the particular.
    #[error("{message}")]
    Runtime {
        /// What failed.
        message: String,
        /// Its cause, if one is known.
        #[source]
        cause: Option<Box<Error>>,
    },
    /// The kernel refused a mount.
    #[error("can't mount {what} on '{}'{}", target.display(), kernel_words(details))]
    Mount {
        /// The kind of file system.
        what: &'static str,
        /// Where it should have been mounted.
        target: PathBuf,
        /// The kernel's own log of this mount.
        details: String,
        /// The error of the system call.
        #[source]
        source: io::Error,
    },
    /// A server that doesn't answer, or refuses.
    #[error("can't download '{url}'")]
    Download {
        /// The address.
        url: String,
        /// What the server said, or why there is no answer.
        #[source]
        source: io::Error,
    },
    /// A registry doesn't let us; the caller can log in, as somebody else if need be.
    #[error("{registry} denies access to '{what}': {why}")]
    Denied {
        /// The registry, as image names spell it.
        registry: String,
        /// The repository, or what else was asked for.
        what: String,
        /// What the registry says.
        why: String,
    },
    /// A server gives no answer.
    #[error("can't reach {server}")]
    Unreachable {
        /// Its host and port.
        server: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A server answers that it can't or won't.
    #[error("{server} answers {status} to {request}{}", said(why))]
    Answer {
        /// Its host and port.
        server: String,
        /// What was asked: `GET /v2/a/manifests/latest`.
        request: String,
        /// The status of the answer.
        status: u16,
        /// What it says of the cause; may be empty.
        why: String,
    },
    /// A server sends what it must not.
    #[error("refused what {server} sends: {why}")]
    Untrusted {
        /// Its host and port.
        server: String,
        /// The rule it breaks.
        why: String,
    },
    /// An operating system error, with what was tried and where.
    #[error("can't {verb} '{}'", path.display())]
    Io {
        /// What was tried: `open`, `create`, `rename`.
        verb: &'static str,
        /// On which path.
        path: PathBuf,
        /// The error itself.
        #[source]
        source: io::Error,
    },
}

fn said(why: &str) -> String {
    if why.is_empty() { String::new() } else { format!(": {why}") }
}

fn kernel_words(details: &str) -> String {
    if details.is_empty() { String::new() } else { format!(" (kernel: {details})") }
}

impl Error {
    /// An [`Error::Invalid`] from anything that displays.
    pub fn invalid(what: &'static str, input: impl Display, why: impl Display) -> Self {
        Error::Invalid { what, input: input.to_string().escape_debug().to_string(), why: why.to_string() }
    }

    /// An [`Error::Io`] from anything that converts into an I/O error.
    pub fn io(verb: &'static str, path: impl AsRef<Path>, source: impl Into<io::Error>) -> Self {
        Error::Io { verb, path: path.as_ref().to_owned(), source: source.into() }
    }

    /// An [`Error::Runtime`] with a chain of causes made of plain words.
    pub fn runtime(message: impl Into<String>, causes: impl IntoIterator<Item = String>) -> Self {
        let mut words: Vec<String> = causes.into_iter().collect();
        let mut cause = None;
        while let Some(message) = words.pop() {
            cause = Some(Box::new(Error::Runtime { message, cause }));
        }
        Error::Runtime { message: message.into(), cause }
    }

    /// The words of this error and of each of its causes, outermost first.
    pub fn chain(&self) -> Vec<String> {
        let mut words = vec![self.to_string()];
        let mut source = std::error::Error::source(self);
        while let Some(error) = source {
            words.push(error.to_string());
            source = error.source();
        }
        words
    }
}

/// Attaches verb and path to I/O results.
pub trait IoResultExt<T> {
    /// Turns the error into [`Error::Io`].
    fn on(self, verb: &'static str, path: impl AsRef<Path>) -> Result<T>;
}

impl<T, E: Into<io::Error>> IoResultExt<T> for std::result::Result<T, E> {
    fn on(self, verb: &'static str, path: impl AsRef<Path>) -> Result<T> {
        self.map_err(|error| Error::io(verb, path, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_goes_from_the_general_to_the_particular() {
        let error = Error::runtime("a", ["b".to_owned(), "c".to_owned()]);
        assert_eq!(error.chain(), ["a", "b", "c"]);
    }
}

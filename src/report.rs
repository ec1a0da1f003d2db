//! An error as the user sees it: the only place with hints and exit statuses.

use std::error::Error;
use std::process::ExitCode;

/// Exit status of a command that failed.
pub const FAILED: u8 = 2;

/// Exit status that SIGPIPE would have given.
const SIGPIPE: u8 = 141;

/// A failed command: what failed, the causes, at most one hint, and the exit status.
#[derive(Debug)]
pub struct Failure {
    what: Box<dyn Error + Send + Sync>,
    hint: Option<String>,
    status: u8,
}

impl Failure {
    /// A failure that is not an error of a library.
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into().into(), hint: None, status: FAILED }
    }

    /// Add what the user can do about it.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// End with another exit status than 2.
    pub fn status(mut self, status: u8) -> Self {
        self.status = status;
        self
    }
}

impl Failure {
    /// End with `status`, unless the error is one that says more: a container's command that can't be started.
    pub fn or_status(self, status: u8) -> Self {
        let status = match self.what.downcast_ref() {
            Some(porcelain::Error::Command { missing, .. }) => 126 + u8::from(*missing),
            _ => status,
        };
        self.status(status)
    }
}

impl From<plumbing::Error> for Failure {
    fn from(error: plumbing::Error) -> Self {
        let hint = hint_for(&error);
        Self { what: Box::new(error), hint, status: FAILED }
    }
}

impl From<porcelain::Error> for Failure {
    fn from(error: porcelain::Error) -> Self {
        match error {
            porcelain::Error::Store(error) => error.into(),
            error => {
                let hint = hint_for_porcelain(&error);
                Self { what: Box::new(error), hint, status: FAILED }
            }
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self { what: Box::new(error), hint: None, status: FAILED }
    }
}

/// What the user can do about an error of the store.
fn hint_for(error: &plumbing::Error) -> Option<String> {
    use plumbing::Error as E;
    Some(match error {
        E::NotFound { what: "revision" | "image", .. } => "`rd images` lists images, `rd ps -a` containers".into(),
        E::NotFound { what: "store", .. } => "`rd init DIR` creates one".into(),
        E::Damaged { .. } => "`rd fsck` lists all that is damaged, and what it belongs to".into(),
        E::Raced { .. } => "look at what it is now, and try again".into(),
        E::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
            "the filesystem is full: make room and run the command again; nothing was changed".into()
        }
        E::Io { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => "run it as root".into(),
        _ => return None,
    })
}

/// What the user can do about an error of containers and images.
fn hint_for_porcelain(error: &porcelain::Error) -> Option<String> {
    use porcelain::Error as E;
    Some(match error {
        E::NotFound { what: "container", .. } => "`rd ps -a` lists containers".into(),
        E::Ambiguous { .. } => "give more of the id".into(),
        E::InUse { what: "container name", .. } => "`rd rm NAME` removes a container".into(),
        E::InUse { what: "container", name, .. } => format!("`rd rm -f {name}` kills and removes it"),
        E::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
            "the filesystem is full: make room and run the command again".into()
        }
        _ => return None,
    })
}

/// Whether the reader of our output has gone, which is no reason to say anything.
fn is_broken_pipe(failure: &Failure) -> bool {
    failure.what.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

/// Print the failure on stderr; the exit status to end with.
pub fn print(failure: &Failure) -> ExitCode {
    if is_broken_pipe(failure) {
        return ExitCode::from(SIGPIPE);
    }
    eprintln!("error: {}", crate::output::printable(&failure.what.to_string()));
    let mut source = failure.what.source();
    while let Some(cause) = source {
        eprintln!("caused by: {}", crate::output::printable(&cause.to_string()));
        source = cause.source();
    }
    if let Some(hint) = &failure.hint {
        eprintln!("hint: {hint}");
    }
    ExitCode::from(failure.status)
}

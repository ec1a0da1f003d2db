//! An error as the user sees it: the only place with hints and exit statuses.

use std::error::Error;
use std::process::ExitCode;

/// Exit status of a command that failed.
pub const FAILED: u8 = 2;

/// Exit status of an object command that failed, as git's.
pub const FATAL: u8 = 128;

/// Exit status of an object command that was used wrongly, as git's.
pub const USAGE: u8 = 129;

/// Exit status when the reader of our output has gone: that of a process that SIGPIPE ended.
const BROKEN_PIPE: u8 = 141;

/// A failed command: what failed, the causes, at most one hint, and the exit status.
#[derive(Debug)]
pub struct Failure {
    what: Box<dyn Error + Send + Sync>,
    hint: Option<String>,
    status: u8,
    voice: Voice,
    /// The name of an image or container that there is none of: similar ones are suggested.
    misspelt: Option<String>,
}

/// What failed, and the error that led to it.
#[derive(Debug)]
struct Caused {
    what: String,
    cause: Box<dyn Error + Send + Sync>,
}

impl std::fmt::Display for Caused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.what)
    }
}

impl Error for Caused {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self.cause.as_ref())
    }
}

/// How a failure is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Voice {
    /// As rd's other failures: `error: …`.
    Error,
    /// As git's: `fatal: …`, without a hint.
    Fatal,
    /// Not at all: everything is said.
    Silent,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.what.fmt(f)
    }
}

impl Failure {
    /// A failure that is not an error of a library.
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into().into(), hint: None, status: FAILED, voice: Voice::Error, misspelt: None }
    }

    /// An object command's failure in git's words, with git's status 128.
    pub fn fatal(what: impl Into<String>) -> Self {
        Self { status: FATAL, voice: Voice::Fatal, ..Self::new(what) }
    }

    /// Wrong usage of an object command, with git's status 129.
    pub fn usage(what: impl Into<String>) -> Self {
        Self::new(what).status(USAGE)
    }

    /// The exit status alone: the answer is no, or all has been said.
    pub fn silent(status: u8) -> Self {
        Self { status, voice: Voice::Silent, ..Self::new(String::new()) }
    }

    /// Add the error that led to it.
    pub fn caused_by(mut self, cause: impl Error + Send + Sync + 'static) -> Self {
        self.what = Box::new(Caused { what: self.what.to_string(), cause: Box::new(cause) });
        self
    }

    /// Add the failure that led to it, without that one's hint.
    pub fn because(mut self, failure: Failure) -> Self {
        self.what = Box::new(Caused { what: self.what.to_string(), cause: failure.what });
        self
    }

    /// Add what the user can do about it.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// End with `status` where the arguments are wrong.
    pub fn or_usage_status(self, status: u8) -> Self {
        if self.status == USAGE { self.status(status) } else { self }
    }

    /// End with another exit status than 2.
    pub fn status(mut self, status: u8) -> Self {
        self.status = status;
        self
    }
}

impl Failure {
    /// The failure of an object command: where nothing else was said, git's word and status.
    pub fn of_git(self) -> Self {
        match (self.status, self.voice) {
            (FAILED, Voice::Error) => Self { status: FATAL, voice: Voice::Fatal, ..self },
            _ => self,
        }
    }

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
        if let plumbing::Error::Io { verb: "write", source, .. } = &error
            && source.kind() == std::io::ErrorKind::BrokenPipe
        {
            return Self::silent(BROKEN_PIPE);
        }
        let hint = hint_for(&error);
        let misspelt = match &error {
            plumbing::Error::NotFound { what: "image" | "revision" | "container" | "image or container", name } => {
                Some(name.clone())
            }
            _ => None,
        };
        Self { what: Box::new(error), hint, status: FAILED, voice: Voice::Error, misspelt }
    }
}

impl From<porcelain::Error> for Failure {
    fn from(error: porcelain::Error) -> Self {
        match error {
            porcelain::Error::Store(error) => error.into(),
            error => {
                let hint = hint_for_porcelain(&error);
                Self { what: Box::new(error), hint, ..Self::new(String::new()) }
            }
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            return Self::silent(BROKEN_PIPE);
        }
        Self { what: Box::new(error), ..Self::new(String::new()) }
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
        E::Denied { registry, .. } => format!("`rd login {registry}` says who you are there"),
        E::Unreachable { source, .. } if source.to_string().contains("certificate") => {
            "--cert-dir names a folder with the certificate to believe, --tls-verify=false believes any".into()
        }
        E::Ambiguous { .. } => "give more of the id".into(),
        E::InUse { what: "container name", .. } => "`rd rm NAME` removes a container".into(),
        E::InUse { what: "container", name, .. } => format!("`rd rm -f {name}` kills and removes it"),
        E::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
            "the filesystem is full: make room and run the command again".into()
        }
        _ => return None,
    })
}

/// Print the failure on stderr; the exit status to end with.
pub fn print(failure: &Failure) -> ExitCode {
    print_with(failure, |_| Vec::new())
}

/// As [`print`]; `similar` gives the names that a misspelt one is nearly.
pub fn print_with(failure: &Failure, similar: impl FnOnce(&str) -> Vec<String>) -> ExitCode {
    let word = match failure.voice {
        Voice::Silent => return ExitCode::from(failure.status),
        Voice::Fatal => "fatal",
        Voice::Error => "error",
    };
    eprintln!("{word}: {}", crate::output::printable(&failure.what.to_string()));
    let mut source = failure.what.source();
    while let Some(cause) = source {
        eprintln!("caused by: {}", crate::output::printable(&cause.to_string()));
        source = cause.source();
    }
    let near = failure.misspelt.as_deref().map(similar).unwrap_or_default();
    let near = near.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ");
    match &failure.hint {
        Some(hint) if !near.is_empty() => eprintln!("hint: did you mean {near}? {hint}"),
        Some(hint) => eprintln!("hint: {hint}"),
        None if !near.is_empty() => eprintln!("hint: did you mean {near}?"),
        None => {}
    }
    ExitCode::from(failure.status)
}

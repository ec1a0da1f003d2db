//! What is to happen to a ref.

use gix::bstr::{BStr, BString};
use gix::refs::Target;
use gix::refs::transaction::{Change, PreviousValue, RefEdit, RefLog};

use super::place::is_full_name;
use crate::{Error, Id, Result};

/// What a ref becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum New {
    /// What it is: it is only compared.
    Same,
    /// Nothing.
    Nothing,
    /// This id.
    Id(Id),
    /// Symbolic for the ref of this name.
    Symbolic(BString),
    /// What it is, and its log tells of a move to this id.
    Logged(Id),
}

/// What a ref must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Old {
    /// Anything, also nothing.
    Any,
    /// Something.
    Something,
    /// Nothing.
    Nothing,
    /// This id, perhaps by way of other refs.
    Id(Id),
    /// Symbolic for the ref of this name.
    Symbolic(BString),
    /// What is in it, or nothing.
    NothingOr(Box<Old>),
}

/// The change of one ref.
#[derive(Debug, Clone)]
pub struct RefChange {
    /// The full name.
    pub name: BString,
    /// What it becomes.
    pub new: New,
    /// What it must be.
    pub old: Old,
    /// Whether a symbolic ref stands for the one that it names.
    pub deref: bool,
    /// Whether a log is begun where the ref would get none.
    pub begin_log: bool,
    /// Why, for the log.
    pub message: BString,
}

impl RefChange {
    /// Refuse names that no ref can have, or only one of git's own that is written otherwise. Outside of `refs/` names are of
    /// capitals: others could be files of the repository.
    pub fn check_name(&self) -> Result<()> {
        let name: &BStr = self.name.as_ref();
        let is_capital = |byte: &u8| byte.is_ascii_uppercase() || *byte == b'_';
        let is_valid = match name.strip_prefix(b"refs/") {
            None => !name.is_empty() && name.iter().all(is_capital),
            // What can't exist by its name may be compared with nothing, or deleted, as long as it stays below `refs/`.
            Some(rest) => {
                let is_safe = rest.split(|byte| *byte == b'/').all(|part| !matches!(part, b"" | b"." | b".."));
                is_safe && (matches!(self.new, New::Nothing | New::Same) || is_full_name(name))
            }
        };
        if is_valid && name != "FETCH_HEAD" && name != "MERGE_HEAD" {
            return Ok(());
        }
        let why = "no ref can be made or moved by this name".into();
        Err(Error::Invalid { what: "ref name", input: name.to_string(), why })
    }
}

impl From<Target> for New {
    fn from(target: Target) -> Self {
        match target {
            Target::Object(id) => New::Id(id),
            Target::Symbolic(name) => New::Symbolic(name.as_bstr().into()),
        }
    }
}

impl From<PreviousValue> for Old {
    fn from(expected: PreviousValue) -> Self {
        let at = |target| match target {
            Target::Object(id) => Old::Id(id),
            Target::Symbolic(name) => Old::Symbolic(name.as_bstr().into()),
        };
        match expected {
            PreviousValue::Any => Old::Any,
            PreviousValue::MustExist => Old::Something,
            PreviousValue::MustNotExist => Old::Nothing,
            PreviousValue::MustExistAndMatch(target) => at(target),
            PreviousValue::ExistingMustMatch(target) => Old::NothingOr(Box::new(at(target))),
        }
    }
}

impl From<RefEdit> for RefChange {
    fn from(edit: RefEdit) -> Self {
        let name = edit.name.as_bstr().into();
        let (new, old, begin_log, message) = match edit.change {
            Change::Delete { expected, .. } => (New::Nothing, expected.into(), false, BString::default()),
            Change::Update { log, expected, new } => {
                let new = match (log.mode, New::from(new)) {
                    (RefLog::Only, New::Id(id)) => New::Logged(id),
                    (_, new) => new,
                };
                (new, expected.into(), log.force_create_reflog, log.message)
            }
        };
        Self { name, new, old, deref: edit.deref, begin_log, message }
    }
}

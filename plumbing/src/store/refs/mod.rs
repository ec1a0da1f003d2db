//! Names: refs that move by compare-and-swap, each move a line in a reflog, durable when the call returns.

mod change;
mod list;
mod lock;
mod log;
mod pack;
mod packed;
mod place;
mod transaction;

use gix::refs::transaction::{Change, LogChange, PreviousValue, RefEdit, RefLog};
use gix::refs::{FullName, Target};

pub use change::{New, Old, RefChange};
pub use list::Ref;
pub use log::{LogLine, Pruning};
pub use pack::Packing;
pub use place::{Value, is_full_name};
pub use transaction::PreparedRefs;

use super::Store;
use crate::{Error, Id, Result};

/// Folder of the refs of images.
pub const IMAGES: &str = "refs/images/";
/// Folder of the refs of containers.
pub const CONTAINERS: &str = "refs/containers/";
/// Folder of the refs that remember what remotes had.
pub const REMOTES: &str = "refs/remotes/";

/// What a ref must be before it moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Anything, also nothing.
    Any,
    /// Nothing: the ref is created.
    Missing,
    /// This id.
    Id(Id),
}

impl From<Expect> for PreviousValue {
    fn from(expect: Expect) -> Self {
        match expect {
            Expect::Any => PreviousValue::Any,
            Expect::Missing => PreviousValue::MustNotExist,
            Expect::Id(id) => PreviousValue::MustExistAndMatch(Target::Object(id)),
        }
    }
}

impl Store {
    /// The id that the ref `name` (full, `refs/…`) points at; `None` for a symbolic one.
    pub fn get_ref(&self, name: &str) -> Result<Option<Id>> {
        match self.read_ref(name.into())? {
            Some(Value::Id(id)) => Ok(Some(id)),
            Some(Value::Broken) => Err(Error::damaged(format!("ref '{name}'"), "its file holds no id")),
            _ => Ok(None),
        }
    }

    /// All refs whose full name starts with `prefix` (which ends in `/`), sorted by name, with what they point at.
    pub fn list_refs(&self, prefix: &str) -> Result<Vec<(String, Id)>> {
        let mut list = Vec::new();
        for found in self.refs_below(prefix)? {
            match found.value {
                Value::Id(id) => list.push((found.name.to_string(), id)),
                Value::Symbolic(_) => {}
                Value::Broken => return Err(Error::damaged(format!("ref '{}'", found.name), "its file holds no id")),
            }
        }
        Ok(list)
    }

    /// Point the ref `name` at `id`, if it is what `expect` says; `Raced` where it isn't.
    pub fn update_ref(&self, name: &str, id: Id, expect: Expect, message: &str) -> Result<()> {
        self.update_refs([(name, expect)], id, message)
    }

    /// Point several refs at `id`, all of them or, where one isn't what is expected, none.
    pub fn update_refs<'a>(
        &self,
        refs: impl IntoIterator<Item = (&'a str, Expect)>,
        id: Id,
        message: &str,
    ) -> Result<()> {
        let edit =
            |(name, expect)| Ok(RefEdit { change: update(id, expect, message), name: full_name(name)?, deref: false });
        let edits = refs.into_iter().map(edit).collect::<Result<_>>()?;
        self.prepare_refs(edits)?.commit()
    }

    /// Remove the ref `name`, which must be at `id`. Where it was is remembered ([`removed`](Self::removed)).
    pub fn delete_ref(&self, name: &str, id: Id) -> Result<()> {
        let change = Change::Delete { expected: Expect::Id(id).into(), log: RefLog::AndReference };
        let edit = RefEdit { change, name: full_name(name)?, deref: false };
        self.prepare_refs(vec![edit])?.commit()
    }
}

/// The change that points a ref at `id`.
fn update(id: Id, expect: Expect, message: &str) -> Change {
    let log = LogChange { mode: RefLog::AndReference, force_create_reflog: false, message: message.into() };
    Change::Update { log, expected: expect.into(), new: Target::Object(id) }
}

/// `name` as the full name of a ref; `Invalid` where it can't be one.
pub fn full_name(name: &str) -> Result<FullName> {
    name.try_into().map_err(|error: gix::refs::name::Error| Error::Invalid {
        what: "ref name",
        input: name.into(),
        why: error.to_string(),
    })
}

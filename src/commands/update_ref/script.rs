//! `update-ref --stdin`: commands that change refs, in transactions (git-update-ref(1)).

use std::process::ExitCode;

use plumbing::store::refs::{New, Old, PreparedRefs, RefChange};
use plumbing::{Store, bstr::ByteSlice};

use super::input::{self, Command};
use super::{Options, cause, check, check_name, in_gits_words, named, new_id, old_id};
use crate::git::lines::Lines;
use crate::git::{self, ident};
use crate::report::Failure;

/// How far a transaction is; the order matters, as it never goes back.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// None was asked for: all happens at the end.
    Open,
    Started,
    Prepared,
    Closed,
}

struct Script<'s> {
    store: &'s Store,
    options: Options,
    /// `option no-deref` holds for the next change.
    deref: bool,
    stage: Stage,
    changes: Vec<RefChange>,
    prepared: Option<PreparedRefs<'s>>,
}

pub fn run(store: &Store, options: Options, nul: bool) -> Result<ExitCode, Failure> {
    let mut lines = Lines::of_stdin(if nul { b'\0' } else { b'\n' });
    let deref = options.deref;
    let mut script = Script { store, options, deref, stage: Stage::Open, changes: Vec::new(), prepared: None };
    while let Some(command) = input::read(&mut lines, nul)? {
        script.command(command)?;
    }
    if script.stage == Stage::Open {
        script.prepare()?;
        script.commit()?;
    }
    Ok(ExitCode::SUCCESS)
}

impl Script<'_> {
    fn command(&mut self, mut command: Command) -> Result<(), Failure> {
        self.enter(command.name)?;
        match command.name {
            "prepare" => self.prepare()?,
            "abort" => {
                self.prepared = None;
                self.changes.clear();
            }
            "commit" => {
                if self.prepared.is_none() {
                    self.prepare()?;
                }
                self.commit()?;
            }
            "start" => {}
            "option" => match command.option() {
                option if option == "no-deref" => {
                    self.deref = false;
                    return Ok(());
                }
                other => return Err(Failure::fatal(format!("option unknown: {other}"))),
            },
            _ => return self.change(&mut command),
        }
        git::print_line(format!("{}: ok", command.name))
    }

    /// Move to the stage that a command leads to, if it may come now.
    fn enter(&mut self, command: &str) -> Result<(), Failure> {
        let next = match command {
            "start" => Stage::Started,
            "prepare" => Stage::Prepared,
            "abort" | "commit" => Stage::Closed,
            _ => Stage::Open,
        };
        match (self.stage, next) {
            (Stage::Started, Stage::Started) => Err(Failure::fatal("cannot restart ongoing transaction")),
            (Stage::Prepared, next) if next != Stage::Closed => {
                Err(Failure::fatal("prepared transactions can only be closed"))
            }
            (Stage::Closed, next) if next != Stage::Started => Err(Failure::fatal("transaction is closed")),
            (Stage::Closed, _) => {
                self.stage = next;
                Ok(())
            }
            _ => {
                self.stage = self.stage.max(next);
                Ok(())
            }
        }
    }

    fn change(&mut self, command: &mut Command) -> Result<(), Failure> {
        // These two are about symbolic refs themselves.
        if self.deref && matches!(command.name, "symref-delete" | "symref-verify") {
            return Err(Failure::fatal(format!("{}: cannot operate with deref mode", command.name)));
        }
        let store = self.store;
        let name = command.reference()?;
        let missing =
            |command: &Command, what: &str| Failure::fatal(format!("{} {name}: missing {what}", command.name));
        let (new, old) = match command.name {
            "update" => {
                let new = command.id(store, true)?.ok_or_else(|| missing(command, "<new-oid>"))?;
                (new_id(new), command.id(store, false)?.map_or(Old::Any, old_id))
            }
            "create" => match command.id(store, true)?.ok_or_else(|| missing(command, "<new-oid>"))? {
                new if new.is_null() => return Err(missing(command, "an id that isn't zero")),
                new => (New::Id(new), Old::Nothing),
            },
            "delete" => match command.id(store, false)? {
                Some(old) if old.is_null() => return Err(missing(command, "an id that isn't zero")),
                old => (New::Nothing, old.map_or(Old::Any, Old::Id)),
            },
            "verify" => (New::Same, command.id(store, false)?.map_or(Old::Nothing, old_id)),
            "symref-update" => {
                let target = command.target()?.ok_or_else(|| missing(command, "<new-target>"))?;
                (New::Symbolic(target.into()), self.old_of_symref(command, &name)?)
            }
            "symref-create" => {
                let target = command.target()?.ok_or_else(|| missing(command, "<new-target>"))?;
                (New::Symbolic(target.into()), Old::Nothing)
            }
            "symref-delete" => {
                (New::Nothing, command.target()?.map_or(Old::Any, |target| Old::Symbolic(target.into())))
            }
            _ => (New::Same, command.target()?.map_or(Old::Nothing, |target| Old::Symbolic(target.into()))),
        };
        command.end()?;
        let options = Options { deref: self.deref, ..self.options.clone() };
        let change = options.change(&name, new, old);
        check_name(&change).map_err(Failure::fatal)?;
        self.changes.push(change);
        self.deref = self.options.deref;
        Ok(())
    }

    /// `oid ID` or `ref NAME`, what a symbolic ref must be.
    fn old_of_symref(&self, command: &mut Command, name: &str) -> Result<Old, Failure> {
        let bad = |what: String| Err(Failure::fatal(format!("symref-update {name}: {what}")));
        let Some(kind) = command.word()? else { return Ok(Old::Any) };
        let Some(value) = command.word()? else { return bad("expected old value".into()) };
        match kind.as_bytes() {
            b"oid" => named(self.store, &value.to_str_lossy(), "invalid oid").map(old_id),
            b"ref" if plumbing::gix::validate::reference::name_partial(value.as_bstr()).is_ok() => {
                Ok(Old::Symbolic(value))
            }
            b"ref" => bad(format!("invalid ref: {value}")),
            _ => bad(format!("invalid arg '{kind}' for old value")),
        }
    }

    fn prepare(&mut self) -> Result<(), Failure> {
        let changes = std::mem::take(&mut self.changes);
        check(self.store, &changes).map_err(Failure::fatal)?;
        let prepared = self.store.prepare_changes(changes.clone());
        self.prepared = Some(prepared.map_err(|error| Failure::fatal(in_gits_words(self.store, &changes, &error)))?);
        Ok(())
    }

    fn commit(&mut self) -> Result<(), Failure> {
        let prepared = self.prepared.take().expect("because it was prepared just now");
        prepared.commit_as(&ident::committer(self.store), true).map_err(|error| Failure::fatal(cause(&error)))
    }
}

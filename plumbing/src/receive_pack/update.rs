//! What becomes of each ref that a client wants changed.

use gix::refs::Target;
use gix::refs::transaction::{Change, LogChange, PreviousValue, RefEdit, RefLog};

use super::adopt::Adoption;
use super::command::{Command, Request};
use super::connect::Connectivity;
use super::image::{Checker, keep_contents};
use super::one_line;
use super::quarantine::Quarantine;
use crate::store::Batch;
use crate::store::refs::{Expect, IMAGES};
use crate::view::{Scope, View};
use crate::{Error, Id, ImageName, Result};

/// What the reflogs say.
const MESSAGE: &str = "push";

/// Refs that rd itself keeps.
const KEPT: [&str; 4] = ["refs/containers/", "refs/volumes/", "refs/builds/", "refs/remotes/"];

/// What a client's name for a ref stands for.
enum Place {
    /// A branch that shows an image: commits of files become the image's.
    Shown(ImageName),
    /// An image's ref: commits must be the image's already.
    Image(String),
    /// Any other ref.
    Plain(String),
}

/// A ref that is to be changed, in the store's own terms.
struct Move {
    name: String,
    old: Option<Id>,
    new: Option<Id>,
}

/// Check and take what the commands need, then change the refs. What became of each command.
pub(super) fn run(view: &View<'_>, quarantine: Option<&Quarantine>, request: &Request) -> Vec<Result<(), String>> {
    // What the store has already and the refs will need must not be collected before they move.
    let _hold = match view.store().hold() {
        Ok(hold) => hold,
        Err(error) => return request.commands.iter().map(|_| Err(one_line(&error))).collect(),
    };
    let mut batch = view.store().batch();
    let mut updates = Updates {
        view,
        quarantine,
        adoption: Adoption::new(view, quarantine),
        connectivity: Connectivity::new(view.store(), quarantine),
        checker: Checker::new(quarantine.map_or(view.store(), Quarantine::store)),
    };
    let moves: Vec<Result<Move>> =
        request.commands.iter().map(|command| updates.prepare(command, &mut batch)).collect();
    let failed = moves.iter().any(Result::is_err);
    if failed && (request.atomic || moves.iter().all(Result::is_err)) {
        return moves.iter().map(|outcome| Err(reason(outcome))).collect();
    }
    if let Err(error) = batch.finish() {
        return moves.iter().map(|_| Err(one_line(&error))).collect();
    }
    if request.atomic {
        let moves: Vec<Move> = moves.into_iter().filter_map(Result::ok).collect();
        let outcome = move_all(view, &moves).map_err(|error| one_line(&error));
        return moves.iter().map(|_| outcome.clone()).collect();
    }
    let moved = moves.into_iter().map(|outcome| outcome.and_then(|step| move_one(view, &step)));
    moved.map(|outcome| outcome.map_err(|error| one_line(&error))).collect()
}

/// Why a command isn't carried out when another one fails.
fn reason(outcome: &Result<Move>) -> String {
    outcome.as_ref().err().map_or_else(|| "another ref of this atomic push was refused".to_owned(), one_line)
}

struct Updates<'a, 's> {
    view: &'a View<'s>,
    quarantine: Option<&'a Quarantine>,
    adoption: Adoption<'a, 's>,
    connectivity: Connectivity<'a>,
    checker: Checker<'a>,
}

impl Updates<'_, '_> {
    /// Write what a command needs into `batch`.
    fn prepare(&mut self, command: &Command, batch: &mut Batch<'_>) -> Result<Move> {
        let place = place(self.view, &command.name)?;
        let name = match &place {
            Place::Shown(image) => image.to_ref(),
            Place::Image(name) | Place::Plain(name) => name.clone(),
        };
        let old = self.view.store().get_ref(&name)?;
        let shown = match (&place, old) {
            (Place::Shown(_), Some(id)) => Some(self.view.project(id)?),
            _ => old,
        };
        if shown != command.old {
            return Err(Error::Raced { name: command.name.clone() });
        }
        let Some(tip) = command.new else {
            let missing = || Error::NotFound { what: "ref", name: command.name.clone() };
            return Ok(Move { name, old: Some(old.ok_or_else(missing)?), new: None });
        };
        let new = match place {
            Place::Shown(_) => self.adoption.adopt(tip, batch)?,
            Place::Image(_) => self.take(tip, true, batch)?,
            Place::Plain(_) => self.take(tip, false, batch)?,
        };
        Ok(Move { name, old, new: Some(new) })
    }

    /// Take a commit as it is, with all that it needs.
    fn take(&mut self, tip: Id, is_image: bool, batch: &mut Batch<'_>) -> Result<Id> {
        let store = self.view.store();
        let source = self.quarantine.map_or(store, Quarantine::store);
        if let Some(image) = self.view.image_commit(&tip) {
            let why = format!("it shows the files of {image}; push it to a branch such as 'name@tag'");
            return Err(super::connect::refused(&tip, &why));
        }
        let needed = self.connectivity.check(tip)?;
        if is_image {
            let kind = source.find_header(&tip)?.map(|(kind, _)| kind);
            if kind != Some(gix::objs::Kind::Commit) {
                return Err(super::connect::refused(&tip, "an image is a commit"));
            }
            // The tip too where the store has it already, under a name that isn't an image's.
            for commit in needed.commits.iter().chain([&tip]) {
                self.checker.check(commit)?;
            }
            keep_contents(source, store, self.checker.contents.iter(), batch)?;
        }
        for id in needed.objects.iter().filter(|id| !self.checker.contents.contains(*id)) {
            let object = source.repo().find_object(*id).map_err(Error::git(format!("read object {id}")))?;
            batch.write(object.kind, &object.data)?;
        }
        Ok(tip)
    }
}

/// Which ref of the store a client's name stands for.
fn place(view: &View<'_>, name: &str) -> Result<Place> {
    let refused = |why: &str| Error::Invalid { what: "ref", input: name.into(), why: why.into() };
    // A branch of the store's own goes before what it could show.
    let is_own = *view.scope() == Scope::Store && view.store().get_ref(name).is_ok_and(|found| found.is_some());
    if let Some(image) = view.image_of(name).filter(|_| !is_own) {
        return Ok(Place::Shown(image));
    }
    if *view.scope() != Scope::Store {
        return Err(refused("only branches named like tags can be pushed to an image"));
    }
    if !name.starts_with("refs/") || gix::refs::FullName::try_from(name).is_err() {
        return Err(refused("it is no name of a ref"));
    }
    if KEPT.iter().any(|prefix| name.starts_with(prefix)) {
        return Err(refused("rd keeps it by itself"));
    }
    match name.starts_with(IMAGES) {
        true if ImageName::from_ref(name).is_some_and(|image| image.to_ref() == name) => Ok(Place::Image(name.into())),
        true => Err(refused("it is no name of an image")),
        false => Ok(Place::Plain(name.into())),
    }
}

fn move_one(view: &View<'_>, step: &Move) -> Result<()> {
    match (step.new, step.old) {
        (Some(new), None) => view.store().update_ref(&step.name, new, Expect::Missing, MESSAGE),
        (Some(new), Some(old)) => view.store().update_ref(&step.name, new, Expect::Id(old), MESSAGE),
        (None, Some(old)) => view.store().delete_ref(&step.name, old),
        (None, None) => Ok(()),
    }
}

/// All refs at once.
fn move_all(view: &View<'_>, moves: &[Move]) -> Result<()> {
    let edit = |step: &Move| {
        let expected =
            step.old.map_or(PreviousValue::MustNotExist, |old| PreviousValue::MustExistAndMatch(Target::Object(old)));
        let log = LogChange { mode: RefLog::AndReference, force_create_reflog: false, message: MESSAGE.into() };
        let change = match step.new {
            Some(new) => Change::Update { log, expected, new: Target::Object(new) },
            None => Change::Delete { expected, log: RefLog::AndReference },
        };
        let name = gix::refs::FullName::try_from(step.name.as_str()).map_err(|error| Error::Invalid {
            what: "ref name",
            input: step.name.clone(),
            why: error.to_string(),
        })?;
        Ok(RefEdit { change, name, deref: false })
    };
    let edits = moves.iter().map(edit).collect::<Result<Vec<_>>>()?;
    view.store().prepare_refs(edits)?.commit()
}

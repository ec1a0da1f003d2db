//! Taking a pack that comes without a push, as that of a bundle.

use std::io::BufRead;

use gix::objs::Kind;

use super::connect::Connectivity;
use super::image::{Checker, keep_contents};
use super::quarantine::Quarantine;
use crate::commit::State;
use crate::{Error, Id, Result, Store};

/// Take from a pack what `tips` need and the store lacks. Every object is checked, and all that the tips lead to must be
/// there, before anything of it can be seen. Files of images become contents.
pub(crate) fn take_pack(store: &Store, input: impl BufRead, tips: &[Id]) -> Result<()> {
    // What is found in the store now must not be removed before the rest is there.
    let _hold = store.hold()?;
    let quarantine = Quarantine::receive(store, input)?;
    let source = quarantine.store();
    let mut connectivity = Connectivity::new(store, Some(&quarantine));
    let mut checker = Checker::new(source);
    let mut objects = Vec::new();
    for tip in tips {
        let needed = connectivity.check(*tip)?;
        for commit in &needed.commits {
            if !store.is_ordinary() && is_image(source, commit)? {
                checker.check(commit)?;
            }
        }
        objects.extend(needed.objects);
    }
    let mut batch = store.batch();
    keep_contents(source, store, checker.contents.iter(), &mut batch)?;
    for id in objects.iter().filter(|id| !checker.contents.contains(*id)) {
        let object = source.repo().find_object(*id).map_err(Error::git(format!("read object {id}")))?;
        batch.write(object.kind, &object.data)?;
    }
    batch.finish()
}

/// Whether the commit's tree is made like an image's; others are any history of git's.
fn is_image(source: &Store, commit: &Id) -> Result<bool> {
    let tree = source.read_header(commit)?.tree;
    Ok(State::decode(&tree, &source.read_object(&tree, Kind::Tree)?).is_ok())
}

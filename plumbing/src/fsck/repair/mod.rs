//! Repairing what a check found: what another copy holds comes back, what can be made again is made again, and what is
//! damaged goes aside, into `lost-found/`. Nothing is deleted, and nothing goes that isn't shown to be damaged.

mod aside;
mod contents;
mod layers;
mod packs;
mod refs;
mod scan;

pub use aside::Aside;

use super::objects::Objects;
use super::{Finding, Issues, Report};
use crate::{Result, Store};

/// A repair under way.
struct Repair<'a> {
    store: &'a Store,
    aside: &'a Aside,
    findings: &'a [Finding],
    /// What was done about each finding.
    done: Vec<Option<String>>,
}

/// Repair what `report` tells of; what was done about each of its findings, none where nothing could be.
///
/// The store should be checked again afterwards: what was hidden by other damage shows then.
pub fn repair(store: &Store, report: &Report, aside: &Aside) -> Result<Vec<Option<String>>> {
    let findings = &report.findings;
    let mut repair = Repair { store, aside, findings, done: vec![None; findings.len()] };
    if findings.iter().any(|finding| finding.path.as_ref().is_some_and(|path| path.starts_with("objects"))) {
        repair.packs()?;
    }
    if findings.iter().any(|finding| finding.id.is_some()) {
        repair.unindexed_packs()?;
        // As the objects are now.
        let objects = Objects::load(store, true, &mut Issues::default())?;
        repair.objects(&objects)?;
        repair.contents(&objects)?;
    }
    repair.refs()?;
    repair.blobs()?;
    Ok(repair.done)
}

impl Repair<'_> {
    /// The findings that nothing was done about, of these kinds.
    fn open(&self, kinds: &[&str]) -> Vec<(usize, Finding)> {
        let open = self.findings.iter().enumerate().filter(|(number, _)| self.done[*number].is_none());
        open.filter(|(_, finding)| kinds.contains(&finding.kind.as_str()))
            .map(|(number, finding)| (number, finding.clone()))
            .collect()
    }

    /// A compressed layer that is none goes aside: it can be pulled again, and all else of the image is whole.
    fn blobs(&mut self) -> Result<()> {
        for (number, finding) in self.open(&["compressed-layer"]) {
            if let Some(path) = &finding.path
                && self.aside.take(path)?
            {
                self.did(number, "moved aside; a pull of the image brings it back");
            }
        }
        Ok(())
    }

    fn did(&mut self, number: usize, what: impl Into<String>) {
        self.done[number] = Some(what.into());
    }
}

//! Checking and repairing what lies beside the store proper: containers, and caches.
//!
//! Findings are those of [`plumbing::fsck`], with the kinds `container` and `cache`.

mod caches;

use plumbing::Store;
use plumbing::fsck::{Aside, Finding, Options};

use crate::Result;
use crate::container::check as containers;

/// What a check came to.
#[derive(Debug, Default)]
pub struct Beside {
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// What is odd but harms nothing.
    pub notes: Vec<String>,
}

/// Check containers and caches. Nothing is changed.
pub fn check(store: &Store, options: Options) -> Result<Beside> {
    let mut found = Beside::default();
    containers::check(store, &mut found)?;
    if !options.connectivity_only {
        caches::check(store, &mut found)?;
    }
    Ok(found)
}

/// Repair those of `findings` that are about containers and caches; says in `outcomes`, which has one for each, what was done.
pub fn repair(store: &Store, findings: &[Finding], outcomes: &mut [Option<String>], aside: &Aside) -> Result<()> {
    for (finding, outcome) in findings.iter().zip(outcomes) {
        let done = match finding.kind.as_str() {
            "container" => containers::repair(store, finding, aside)?,
            "cache" => caches::repair(store, finding, aside)?,
            _ => continue,
        };
        *outcome = done;
    }
    Ok(())
}

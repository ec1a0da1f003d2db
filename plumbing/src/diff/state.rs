//! The states of two commits: their files and their configurations.

use super::config::{self, ConfigChange};
use super::{Change, Options, Side, compare};
use crate::commit::State;
use crate::{Result, Store};

/// All that differs between two states.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// Fields of the image configuration, sorted by name.
    pub config: Vec<ConfigChange>,
    /// Files, sorted by path.
    pub files: Vec<Change>,
}

impl Difference {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.config.is_empty() && self.files.is_empty()
    }

    /// Leave out folders of which nothing but the modification time differs, where that follows from another change: an
    /// entry of the folder came, went or was replaced.
    pub fn drop_implied_times(&mut self) {
        let causes: std::collections::HashSet<_> = self
            .files
            .iter()
            .filter(|change| !change.is_time_alone() && !change.path.is_empty())
            .map(|change| crate::root::split_path(change.path.as_ref()).0.to_owned())
            .collect();
        self.files
            .retain(|change| !(change.is_time_alone() && change.entry().is_folder() && causes.contains(&change.path)));
    }
}

/// What differs from `before`, or from nothing at all, to `after`.
///
/// Where `options` limit the paths, configurations are not compared.
pub fn compare_states(store: &Store, before: Option<&State>, after: &State, options: &Options) -> Result<Difference> {
    let old = before.map_or(Side::Empty, |state| Side::Stored(state.root));
    let files = compare(store, old, Side::Stored(after.root), options)?;
    let old_config = before.map(|state| state.config);
    let config = if options.paths.is_some() || old_config == Some(after.config) {
        Vec::new()
    } else {
        let old = old_config.map_or_else(|| Ok(b"{}".to_vec()), |id| store.read_blob(&id))?;
        config::compare(&old, &store.read_blob(&after.config)?, options.ignore_times)?
    };
    Ok(Difference { config, files })
}

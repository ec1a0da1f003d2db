//! Which way of mounting works on this kernel, remembered so that a start doesn't try what failed before.

use std::fs;
use std::path::PathBuf;

/// A way of mounting a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// An EROFS image straight from its file below one overlay (Linux 6.16 and later).
    Single,
    /// An EROFS image on a loop device below two overlays (Linux 6.5 and later).
    Stacked,
    /// A checked-out folder below one overlay.
    Folder,
}

impl Strategy {
    /// The name in the cache and in `rd info`.
    pub fn name(self) -> &'static str {
        match self {
            Strategy::Single => "erofs",
            Strategy::Stacked => "erofs-loop",
            Strategy::Folder => "folder",
        }
    }
}

/// The file that remembers the strategy that worked last: kernel release, a tab, the strategy's name.
///
/// It is a hint: it may be deleted or hold anything, and the other strategies are tried when the remembered one fails.
#[derive(Debug, Clone)]
pub struct StrategyCache {
    file: PathBuf,
}

impl StrategyCache {
    /// The cache kept in `file`, whose folder has to exist for anything to be remembered.
    pub fn new(file: impl Into<PathBuf>) -> Self {
        StrategyCache { file: file.into() }
    }

    /// The strategies for an EROFS image, the one to try first in front.
    pub fn candidates(&self) -> Vec<Strategy> {
        let mut strategies = vec![Strategy::Single, Strategy::Stacked];
        if self.remembered() == Some(Strategy::Stacked) {
            strategies.reverse();
        }
        strategies
    }

    /// The strategy that worked last on the running kernel.
    pub fn remembered(&self) -> Option<Strategy> {
        let text = fs::read_to_string(&self.file).ok()?;
        let (release, name) = text.trim_end().split_once('\t')?;
        if release != kernel_release() {
            return None;
        }
        [Strategy::Single, Strategy::Stacked].into_iter().find(|strategy| strategy.name() == name)
    }

    /// Remembers `strategy`; a hint that can't be written is worth no error.
    pub(super) fn remember(&self, strategy: Strategy) {
        if self.remembered() == Some(strategy) {
            return;
        }
        let draft = self.file.with_extension(format!("{}", std::process::id()));
        if fs::write(&draft, format!("{}\t{}\n", kernel_release(), strategy.name())).is_ok() {
            let _ = fs::rename(&draft, &self.file);
        }
    }
}

fn kernel_release() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_is_a_hint_for_one_kernel() {
        let folder = tempfile::tempdir().unwrap();
        let cache = StrategyCache::new(folder.path().join("strategy"));
        assert_eq!(cache.candidates(), [Strategy::Single, Strategy::Stacked]);
        cache.remember(Strategy::Stacked);
        assert_eq!(cache.candidates(), [Strategy::Stacked, Strategy::Single]);
        for nonsense in ["", "5.4.0\terofs-loop\n", "\t\t\n"] {
            fs::write(folder.path().join("strategy"), nonsense).unwrap();
            assert_eq!(cache.remembered(), None, "{nonsense:?}");
        }
    }
}

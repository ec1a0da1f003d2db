//! Path filters: git's pathspecs (gitglossary(7)), also with a leading `/`, as paths in a container are written.

use std::path::Path;
use std::sync::Mutex;

use gix::bstr::{BStr, ByteSlice};
use gix::pathspec::Search;

use crate::{Error, Result};

/// Which paths a comparison is limited to.
#[derive(Debug)]
pub struct Paths {
    // Matching needs `&mut` for attribute patterns, which are refused.
    search: Mutex<Search>,
}

impl Paths {
    /// Read `specs`; `None` where there are none, which matches everything.
    ///
    /// A spec without wildcards matches a path and all that is below it; `*` matches across slashes; `:!spec` excludes.
    pub fn parse<S: AsRef<[u8]>>(specs: &[S]) -> Result<Option<Self>> {
        if specs.is_empty() {
            return Ok(None);
        }
        let patterns = specs.iter().map(|spec| parse_one(spec.as_ref())).collect::<Result<Vec<_>>>()?;
        let search = Search::from_specs(patterns, None, Path::new("/")).map_err(|error| Error::Invalid {
            what: "path",
            input: specs.iter().map(|spec| spec.as_ref().to_str_lossy()).collect::<Vec<_>>().join(" "),
            why: error.to_string(),
        })?;
        Ok(Some(Self { search: Mutex::new(search) }))
    }

    fn search(&self) -> std::sync::MutexGuard<'_, Search> {
        self.search.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Whether the entry at `path` is meant.
    pub fn matches(&self, path: &BStr, is_folder: bool) -> bool {
        let mut search = self.search();
        if path.is_empty() {
            return search.patterns().any(|pattern| !pattern.is_excluded() && pattern.always_matches());
        }
        let found = search.pattern_matching_relative_path(path, Some(is_folder), &mut |_, _, _, _| false);
        found.is_some_and(|found| !found.is_excluded())
    }

    /// Whether something below the folder `path` may be meant.
    pub fn may_match_below(&self, path: &BStr) -> bool {
        self.search().can_match_relative_path(path, Some(true))
    }
}

fn parse_one(spec: &[u8]) -> Result<gix::pathspec::Pattern> {
    let invalid = |why: String| Error::Invalid { what: "path", input: spec.to_str_lossy().into_owned(), why };
    let pattern = gix::pathspec::parse(spec, Default::default()).map_err(|error| invalid(error.to_string()))?;
    if pattern.attributes.is_empty() { Ok(pattern) } else { Err(invalid("images have no git attributes".into())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specs_match_as_git_does() {
        for (specs, path, is_folder, matches, below) in [
            (&["etc"][..], "etc", true, true, true),
            (&["etc"], "etc/passwd", false, true, true),
            (&["/etc/"], "etc/passwd", false, true, true),
            (&["etc"], "etcetera", false, false, false),
            (&["etc/ssh"], "etc", true, false, true),
            (&["etc/ssh"], "etc/apt", true, false, false),
            (&["*.conf"], "etc/a/b.conf", false, true, true),
            (&["etc/*.conf"], "etc/a/b.conf", false, true, true),
            (&[":(glob)etc/*.conf"], "etc/a/b.conf", false, false, true),
            (&["usr", "etc"], "etc", true, true, true),
            (&["etc", ":!etc/ssh"], "etc/ssh/x", false, false, true),
            (&["/"], "etc", true, true, true),
            (&["."], "", true, true, true),
        ] {
            let paths = Paths::parse(specs).unwrap().unwrap();
            assert_eq!(paths.matches(path.into(), is_folder), matches, "{specs:?} {path}");
            if is_folder {
                assert_eq!(paths.may_match_below(path.into()), below, "below: {specs:?} {path}");
            }
        }
    }

    #[test]
    fn impossible_specs_are_refused() {
        for spec in ["", "../x", ":(attr:a)x", ":(nonsense)x"] {
            assert!(matches!(Paths::parse(&[spec]), Err(Error::Invalid { .. })), "{spec}");
        }
    }
}

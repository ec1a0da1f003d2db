//! Which images a listing shows: docker's `--filter`.

use plumbing::gix::glob::wildmatch::Mode;
use plumbing::{ImageName, Store, gix::glob::wildmatch};

use super::facts::Facts;
use super::{Image, find};
use crate::{Error, Result};

/// Filters as the user gave them: those of one kind are alternatives, all kinds must hold.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    references: Vec<String>,
    labels: Vec<String>,
    before: Vec<i64>,
    since: Vec<i64>,
    /// Images that lost their name, and no others.
    pub dangling: Option<bool>,
}

impl Filter {
    /// Add one `key=value`. `before` and `since` name images, which are looked up in the store.
    pub fn add(&mut self, store: &Store, facts: &mut Facts<'_>, filter: &str) -> Result<()> {
        let invalid = |why: &str| -> Error {
            plumbing::Error::Invalid { what: "filter", input: filter.into(), why: why.into() }.into()
        };
        let (key, value) = filter.split_once('=').ok_or_else(|| invalid("it is not of the form KEY=VALUE"))?;
        let mut created = || Ok::<_, Error>(facts.get(&find::find_commit(store, value)?)?.created);
        match key {
            "reference" => self.add_reference(value),
            "label" => self.labels.push(value.into()),
            "before" => self.before.push(created()?),
            "since" => self.since.push(created()?),
            "dangling" => match value {
                "true" | "1" => self.dangling = Some(true),
                "false" | "0" => self.dangling = Some(false),
                _ => return Err(invalid("dangling is true or false")),
            },
            _ => return Err(invalid("there are reference, label, before, since and dangling")),
        }
        Ok(())
    }

    /// Show only what `pattern` matches: `REPOSITORY` or `REPOSITORY:TAG`, with `*`, `?` and `[…]` that match no `/`.
    pub fn add_reference(&mut self, pattern: &str) {
        let short = pattern.strip_prefix("docker.io/").unwrap_or(pattern);
        self.references.push(short.strip_prefix("library/").unwrap_or(short).to_owned());
    }

    /// Whether a name passes; without patterns every one does.
    pub fn shows_name(&self, name: &ImageName) -> bool {
        let matches = |pattern: &String| {
            let matches = |text: &str| wildmatch(pattern.as_str().into(), text.into(), Mode::NO_MATCH_SLASH_LITERAL);
            matches(&name.familiar_repository()) || matches(&name.to_string())
        };
        self.references.is_empty() || self.references.iter().any(matches)
    }

    /// Whether a commit without a name can pass.
    pub fn shows_unnamed(&self) -> bool {
        self.references.is_empty() && self.dangling != Some(false)
    }

    /// Whether the image passes, its names aside. Configurations are read only where labels are asked for.
    pub fn shows(&self, store: &Store, image: &Image) -> Result<bool> {
        let created = image.fact.created;
        let before = self.before.is_empty() || self.before.iter().any(|limit| created < *limit);
        let since = self.since.is_empty() || self.since.iter().any(|limit| created > *limit);
        Ok(before && since && (self.labels.is_empty() || self.has_labels(store, image)?))
    }

    /// docker wants all the labels that are given.
    fn has_labels(&self, store: &Store, image: &Image) -> Result<bool> {
        let config = super::config(store, &image.id)?;
        let labels = config.execution().labels();
        let holds = |wanted: &String| match wanted.split_once('=') {
            Some((key, value)) => labels.contains(&(key, value)),
            None => labels.iter().any(|(key, _)| key == wanted),
        };
        Ok(self.labels.iter().all(holds))
    }
}

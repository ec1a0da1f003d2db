//! The steps that made an image, as docker tells them.

use plumbing::commit::Commit;
use plumbing::config::ImageConfig;
use plumbing::{Id, Store, bstr::ByteSlice};
use serde_json::{Map, Value};

use super::size;
use crate::Result;

/// The message of the commit that holds a pulled image's configuration begins so; its files are its parent's.
const IMAGE_MESSAGE: &[u8] = b"image sha256:";

/// One step of an image's history: a commit and what it added.
#[derive(Debug, Clone)]
pub struct Step {
    /// The commit; for the newest step of a pulled image the one that holds its configuration.
    pub id: Id,
    /// When it was made, in seconds since 1970.
    pub created: i64,
    /// The command that made it: the commit's message.
    pub created_by: String,
    /// The sum of the sizes of the files that it added or changed, in bytes.
    pub size: u64,
    /// What the image's configuration remarks on the step.
    pub comment: String,
}

/// The steps that made the commit `id`, the newest first: its first parents.
pub fn steps(store: &Store, id: &Id) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    let mut next = Some(store.read_commit(id)?);
    let mut holder = None;
    while let Some(commit) = next {
        let parent = commit.parents.first().map(|id| store.read_commit(id)).transpose()?;
        if let (None, Some(below)) = (holder, &parent)
            && steps.is_empty()
            && is_image_commit(&commit, below)
        {
            holder = Some(commit.id);
        } else {
            steps.push(step(store, &commit, parent.as_ref(), holder.take())?);
        }
        next = parent;
    }
    add_comments(store, id, &mut steps)?;
    Ok(steps)
}

/// Whether the commit only adds a configuration to what `below` holds.
pub(super) fn is_image_commit(commit: &Commit, below: &Commit) -> bool {
    commit.message.starts_with(IMAGE_MESSAGE) && commit.state.root == below.state.root
}

fn step(store: &Store, commit: &Commit, parent: Option<&Commit>, shown: Option<Id>) -> Result<Step> {
    let below = parent.map(|parent| &parent.state.root);
    Ok(Step {
        id: shown.unwrap_or(commit.id),
        created: commit.committer.time.seconds,
        created_by: commit.message.trim_end().to_str_lossy().into_owned(),
        size: size::added(store, below, &commit.state.root)?,
        comment: String::new(),
    })
}

/// What a configuration says of the steps that made its image, the oldest first; those that are no objects are left out.
pub(super) fn entries(config: &ImageConfig) -> Vec<&Map<String, Value>> {
    let list = config.fields().get("history").and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_object).collect()
}

/// The configuration of a pulled image has one entry a step; what it says of others isn't known to fit.
fn add_comments(store: &Store, id: &Id, steps: &mut [Step]) -> Result<()> {
    let config = super::config(store, id)?;
    let history = entries(&config);
    if history.len() == steps.len() {
        for (step, entry) in steps.iter_mut().rev().zip(history) {
            step.comment = entry.get("comment").and_then(Value::as_str).unwrap_or_default().to_owned();
        }
    }
    Ok(())
}

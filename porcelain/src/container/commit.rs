//! `rd commit`: a container's state becomes a commit.

use plumbing::bstr::BString;
use plumbing::commit::{NewCommit, State, host_signature, signature};
use plumbing::config::ImageConfig;
use plumbing::store::refs::Expect;
use plumbing::{Id, ImageName, Store};
use serde_json::{Map, Value, json};

use super::{Config, Container, Containers, changes, history};
use crate::{Error, Result};

/// How often a commit is tried again when another commit of the same container was faster.
const TRIES: usize = 10;

/// What `rd commit` was told.
#[derive(Debug, Clone)]
pub struct Request {
    /// The image to make or move.
    pub name: Option<ImageName>,
    /// The message; without one, the container's command.
    pub message: Option<String>,
    /// Who made the change, `Name <email>`; without one, the user.
    pub author: Option<String>,
    /// Instructions that change the image's configuration (`ENV A=b`).
    pub changes: Vec<String>,
    /// Freeze the container while its files are read.
    pub pause: bool,
}

/// Commit the container's state; gives the commit's id.
pub fn commit(store: &Store, container: &Container, request: &Request) -> Result<Id> {
    // One after the other: of many at once all but one would do their work in vain, again and again.
    let turn = container.folder.commit_turn();
    Containers::at(store).check_whole(container)?;
    let _turn = turn?;
    for _ in 0..TRIES {
        match attempt(store, container, request) {
            Err(Error::Store(plumbing::Error::Raced { .. })) => {}
            result => return result,
        }
    }
    Err(Error::InUse {
        what: "container",
        name: container.config.name.clone(),
        why: "too many others commit it at the same time".into(),
    })
}

fn attempt(store: &Store, container: &Container, request: &Request) -> Result<Id> {
    let _hold = store.hold()?;
    let (head, expect) = history::head_and_ref(store, container)?;
    let parent = store.read_commit(&head)?;
    let mut batch = store.batch();
    let frozen = if request.pause { container.freeze()? } else { None };
    let (mut root, cache) = changes::current_root(store, container, &mut batch)?;
    drop(frozen);

    let committer = host_signature()?;
    let author = request.author.as_deref().map_or_else(|| committer.clone(), |a| author(a, committer.time.seconds));
    let root = root.write(&mut batch)?;
    let config = image_config(store, &parent.state, &container.config, request, committer.time.seconds)?;
    let config = batch.write_blob(&config)?;
    let container_config = Some(history::write_config(&mut batch, &container.config)?);
    let state = State { root, config, manifest: None, layer: None, container: container_config };
    let message = message(container, request)?;
    let log = format!("commit: {}", message.to_string().lines().next().unwrap_or_default());
    let id = batch.write_commit(&state, NewCommit { parents: vec![head], author, committer, message })?;
    batch.finish()?;
    cache.save()?;

    // Both at once: it costs one flush instead of two, and nobody sees one without the other.
    let head = history::ref_name(&container.config.name);
    let image = request.name.as_ref().map(ImageName::to_ref);
    let refs = [(head.as_str(), expect)].into_iter().chain(image.as_deref().map(|image| (image, Expect::Any)));
    store.update_refs(refs, id, &log)?;
    Ok(id)
}

/// `Name <email>`, or a name alone.
fn author(text: &str, seconds: i64) -> plumbing::gix::actor::Signature {
    let (name, rest) = text.split_once('<').unwrap_or((text, ""));
    signature(name, rest.split('>').next().unwrap_or_default(), seconds)
}

fn message(container: &Container, request: &Request) -> Result<BString> {
    Ok(match &request.message {
        Some(message) => message.as_str().into(),
        None => container.state()?.command.join(" ").into(),
    })
}

/// The image's configuration with what the container was created with, as docker does it, then with what was asked for.
///
/// The layers and the history of an image that rd makes are its commits, so that the blob has the size of the change.
fn image_config(store: &Store, parent: &State, container: &Config, request: &Request, now: i64) -> Result<Vec<u8>> {
    let mut image = ImageConfig::parse(&store.read_blob(&parent.config)?)?;
    for derived in ["rootfs", "history", "container", "container_config", "docker_version"] {
        image.fields_mut().remove(derived);
    }
    image.set_created(now);
    if let Some(author) = &request.author {
        image.fields_mut().insert("author".into(), author.as_str().into());
    }
    overlay(image.execution_mut(), container);
    request.changes.iter().try_for_each(|change| image.change(change))?;
    Ok(image.encode())
}

/// What the container was created with, over what the image says.
pub(super) fn overlay(run: &mut Map<String, Value>, container: &Config) {
    if let Some(entrypoint) = &container.entrypoint {
        run.insert("Entrypoint".into(), json!(entrypoint));
        run.insert("Cmd".into(), Value::Null);
    }
    if !container.cmd.is_empty() {
        run.insert("Cmd".into(), json!(container.cmd));
    }
    for (key, value) in
        [("WorkingDir", &container.working_dir), ("User", &container.user), ("StopSignal", &container.stop_signal)]
    {
        if let Some(value) = value {
            run.insert(key.into(), value.as_str().into());
        }
    }
    if !container.env.is_empty() {
        let known = run.get("Env").and_then(Value::as_array).cloned().unwrap_or_default();
        let known =
            known.iter().filter_map(Value::as_str).filter(|line| !container.env.iter().any(|new| same_name(line, new)));
        let env: Vec<&str> = known.chain(container.env.iter().map(String::as_str)).collect();
        run.insert("Env".into(), json!(env));
    }
    if !container.labels.is_empty() {
        let mut labels = run.get("Labels").and_then(Value::as_object).cloned().unwrap_or_default();
        labels.extend(container.labels.iter().map(|(key, value)| (key.clone(), value.as_str().into())));
        run.insert("Labels".into(), labels.into());
    }
}

fn same_name(one: &str, other: &str) -> bool {
    one.split('=').next() == other.split('=').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_container_overrides_the_image() {
        let mut run = json!({"Env": ["A=1", "B=2"], "Cmd": ["bash"], "Labels": {"x": "1"}});
        let mut config = Config::new(super::super::Id::random().unwrap(), "c", "i", "b");
        config.env = vec!["B=3".into(), "C=4".into()];
        config.entrypoint = Some(vec!["/e".into()]);
        config.labels = [("y".to_owned(), "2".to_owned())].into();
        overlay(run.as_object_mut().unwrap(), &config);
        let want =
            json!({"Env": ["A=1", "B=3", "C=4"], "Cmd": null, "Labels": {"x": "1", "y": "2"}, "Entrypoint": ["/e"]});
        assert_eq!(run, want);
    }
}

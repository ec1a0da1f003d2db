//! Whether containers are whole: their names, folders, configurations, states and refs; and what can be done where not.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use plumbing::Store;
use plumbing::fsck::{Aside, Finding};

use super::config::{Config, Id};
use super::folder::Folder;
use super::history::ref_name;
use super::state::{State, Status};
use crate::fsck::Beside;
use crate::{Error, IoResultExt, Result};

/// What is said of a container whose state was lost.
const LOST: &str = "its state was damaged, and made again by fsck";

/// The folder of containers, in the store.
const CONTAINERS: &str = "containers";

/// Check all containers.
pub(crate) fn check(store: &Store, found: &mut Beside) -> Result<()> {
    let names = store.containers_dir().join("names");
    let mut named = Vec::new();
    for name in list(&names)? {
        let target = fs::read_link(names.join(&name)).unwrap_or_default();
        let finding = match Id::try_from(target.to_string_lossy().into_owned()) {
            Ok(id) if named.contains(&id) => Some(("wrong", "another name is of the same container".to_owned())),
            Ok(id) => {
                let folder = Folder::new(&store.containers_dir(), &id);
                let is_left = folder.is_left_of_a_power_cut() && has_no_ref(store, &name);
                let problems = if is_left { Vec::new() } else { problems(store, &name, &id) };
                if is_left && folder.path().is_dir() {
                    found.notes.push(format!("container '{name}' is left of a run with --rm that was cut off"));
                }
                named.push(id);
                // One that was removed meanwhile has no problems.
                if names.join(&name).symlink_metadata().is_ok() {
                    found.findings.extend(problems);
                }
                None
            }
            Err(_) => Some(("wrong", "its name is no link to a container's id".to_owned())),
        };
        found.findings.extend(finding.map(|(state, why)| about(&name, state, why, name_path(&name))));
    }
    for folder in list(&store.containers_dir())? {
        let Ok(id) = Id::try_from(folder.clone()) else { continue };
        let is_busy = store.containers_dir().join("running").join(&folder).exists();
        if !named.contains(&id) && !is_busy {
            found.notes.push(format!("'{CONTAINERS}/{folder}' is of no container: `rd gc` removes it"));
        }
    }
    Ok(())
}

/// Whether the container was never committed, not even when it was made.
pub(super) fn has_no_ref(store: &Store, name: &str) -> bool {
    store.get_ref(&ref_name(name)).is_ok_and(|id| id.is_none())
}

/// What is wrong with one container.
fn problems(store: &Store, name: &str, id: &Id) -> Vec<Finding> {
    let folder = Folder::new(&store.containers_dir(), id);
    let path = |file: &str| Path::new(CONTAINERS).join(id.as_str()).join(file);
    if !folder.path().is_dir() {
        return vec![about(name, "missing", "its folder is not there".into(), name_path(name))];
    }
    let config = match folder.config() {
        Ok(config) if config.name == name && config.id == *id => config,
        Ok(_) => {
            let why = "its configuration is another container's".to_owned();
            return vec![about(name, "wrong", why, path("config.json"))];
        }
        Err(error) => {
            let why = format!("its configuration can't be read: {}", error.chain().join(": "));
            return vec![about(name, "damaged", why, path("config.json"))];
        }
    };
    let mut problems = Vec::new();
    match State::read(&folder.state_file()) {
        Ok(state) if state.started_at.is_some() && !folder.upper().is_dir() => {
            problems.push(about(
                name,
                "missing",
                "it has run, and its upper folder is not there".into(),
                path("upper"),
            ));
        }
        Ok(_) => {}
        Err(error) => {
            let why = format!("its state can't be read: {}", error.chain().join(": "));
            problems.push(about(name, "damaged", why, path("state.json")));
        }
    }
    match config.base().map(|base| store.read_commit(&base).map_err(Error::from)) {
        Ok(Ok(_)) => {}
        Ok(Err(error)) | Err(error) => {
            let why = format!("the commit that it started from can't be read: {}", error.chain().join(": "));
            problems.push(about(name, "missing", why, path("config.json")));
        }
    }
    problems
}

fn about(name: &str, state: &'static str, why: String, path: impl Into<PathBuf>) -> Finding {
    Finding::new(state, format!("container '{name}'"), why).at(path)
}

fn name_path(name: &str) -> PathBuf {
    Path::new(CONTAINERS).join("names").join(name)
}

fn list(folder: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.on("read", folder)?,
    };
    let names = entries.map(|entry| Ok(entry.on("read", folder)?.file_name().to_string_lossy().into_owned()));
    let mut names = names.collect::<Result<Vec<String>>>()?;
    names.sort();
    Ok(names)
}

/// Do something about a finding of [`check`]: says what, none where nothing can be done.
pub(crate) fn repair(store: &Store, finding: &Finding, aside: &Aside) -> Result<Option<String>> {
    let Some(path) = &finding.path else { return Ok(None) };
    let Some(name) = finding.what.strip_prefix("container '").and_then(|rest| rest.strip_suffix('\'')) else {
        return Ok(None);
    };
    let link = store.containers_dir().join("names").join(name);
    let target = fs::read_link(&link).unwrap_or_default();
    let Ok(id) = Id::try_from(target.to_string_lossy().into_owned()) else {
        return Ok(aside.take(&name_path(name))?.then(|| "its name moved aside".to_owned()));
    };
    let folder = Folder::new(&store.containers_dir(), &id);
    if !folder.path().is_dir() {
        return Ok(aside.take(&name_path(name))?.then(|| "its name moved aside".to_owned()));
    }
    let Some(_lock) = folder.try_lock()? else { return Ok(Some("it is in use: nothing was done".into())) };
    match path.file_name().and_then(|file| file.to_str()) {
        Some("config.json") if finding.state != "missing" => restore_config(store, name, &id, path, aside),
        Some("state.json") => {
            let mut state = State::created(Vec::new());
            if folder.upper().is_dir() {
                state = State { status: Status::Exited, started_at: Some(jiff::Timestamp::now()), ..state }
                    .ended(255, LOST);
            }
            let draft = aside.draft()?;
            state.write(&draft, true)?;
            aside.replace(&draft, path)?;
            Ok(Some("made again; how it ended is lost".into()))
        }
        _ => Ok(None),
    }
}

/// A container's commits hold its configuration.
fn restore_config(store: &Store, name: &str, id: &Id, path: &Path, aside: &Aside) -> Result<Option<String>> {
    let Some(head) = store.get_ref(&ref_name(name))? else { return Ok(None) };
    let Some(blob) = store.read_commit(&head)?.state.container else { return Ok(None) };
    let bytes = store.read_blob(&blob)?;
    let Ok(config) = serde_json::from_slice::<Config>(&bytes) else { return Ok(None) };
    if config.name != name || config.id != *id {
        return Ok(None);
    }
    let draft = aside.draft()?;
    let bytes = serde_json::to_vec(&config).expect("because a configuration holds nothing that JSON lacks");
    fs::write(&draft, bytes).on("write", &draft)?;
    aside.replace(&draft, path)?;
    Ok(Some(format!("restored from commit {head}")))
}

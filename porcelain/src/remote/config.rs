//! The remotes that a store knows: sections `[remote "NAME"]` of its configuration, which git reads as its own.

use plumbing::bstr::ByteSlice;
use plumbing::gix::config::File;
use plumbing::tracking::is_remote_name;
use plumbing::{Error as StoreError, Store};

use super::Url;
use crate::{Error, Result};

/// The remote that a store is of itself, for git's sake (`docs/format.md`, "Configuration").
const OWN: &str = "rd";

/// A remote that was configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub url: Url,
    /// What `rd` is called there, where it isn't found by that name.
    pub program: Option<String>,
}

/// All remotes, by name.
pub fn list(store: &Store) -> Result<Vec<Remote>> {
    let config = store.repo().config_snapshot();
    let sections = config.plumbing().sections_by_name("remote");
    let names = sections
        .into_iter()
        .flatten()
        .filter_map(|section| Some(section.header().subsection_name()?.to_str().ok()?.to_owned()));
    let mut names: Vec<String> = names.collect();
    names.sort();
    names.dedup();
    names.iter().filter_map(|name| find(store, name).transpose()).collect()
}

/// The remote of this name.
pub fn find(store: &Store, name: &str) -> Result<Option<Remote>> {
    if !is_free(name) {
        return Ok(None);
    }
    let config = store.repo().config_snapshot();
    let value =
        |key: &str| config.string(&format!("remote.{name}.{key}")).map(|value| value.to_str_lossy().into_owned());
    let Some(url) = value("url") else { return Ok(None) };
    Ok(Some(Remote { name: name.to_owned(), url: Url::parse(&url)?, program: value("program") }))
}

/// The remote of this name, which must be there.
pub fn get(store: &Store, name: &str) -> Result<Remote> {
    find(store, name)?.ok_or_else(|| Error::NotFound { what: "remote", name: name.to_owned() })
}

/// Add a remote.
pub fn add(store: &Store, remote: &Remote) -> Result<()> {
    check_name(&remote.name)?;
    edit(store, |file| {
        must_be_new(file, &remote.name)?;
        set(file, &remote.name, "url", &remote.url.to_string())?;
        remote.program.iter().try_for_each(|program| set(file, &remote.name, "program", program))
    })
}

/// Let a remote be somewhere else.
pub fn set_url(store: &Store, name: &str, url: &Url) -> Result<()> {
    get(store, name)?;
    edit(store, |file| set(file, name, "url", &url.to_string()))
}

/// Forget a remote. What is remembered of its images stays.
pub fn remove(store: &Store, name: &str) -> Result<()> {
    get(store, name)?;
    edit(store, |file| {
        while file.remove_section("remote", name).is_some() {}
        Ok(())
    })
}

/// Give a remote another name. What is remembered of its images stays where it is.
pub fn rename(store: &Store, old: &str, new: &str) -> Result<()> {
    get(store, old)?;
    check_name(new)?;
    edit(store, |file| {
        must_be_new(file, new)?;
        file.rename_section("remote", old, "remote", new.to_owned()).map_err(cant_write())
    })
}

fn edit(store: &Store, change: impl FnOnce(&mut File) -> plumbing::Result<()>) -> Result<()> {
    Ok(store.edit_config(change)?)
}

fn set(file: &mut File, name: &str, key: &str, value: &str) -> plumbing::Result<()> {
    file.set_raw_value_by("remote", name, key, value).map(drop).map_err(cant_write())
}

fn cant_write<E: Into<plumbing::gix::Error>>() -> impl FnOnce(E) -> StoreError {
    StoreError::git("change the store's configuration")
}

fn must_be_new(file: &File, name: &str) -> plumbing::Result<()> {
    let why = "there is a remote of this name".to_owned();
    match file.section("remote", name) {
        Ok(_) => Err(StoreError::Invalid { what: "remote name", input: name.into(), why }),
        Err(_) => Ok(()),
    }
}

fn is_free(name: &str) -> bool {
    is_remote_name(name) && name != OWN
}

fn check_name(name: &str) -> Result<()> {
    let why = "it is made of letters, digits, '-' and '_', and is neither 'rd' nor 'localhost'";
    if is_free(name) { Ok(()) } else { Err(Error::invalid("remote name", name, why)) }
}

//! Where a container comes from: its image's configuration and root, out of the store, and its ref in it.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use oci_spec::image::Config as ImageConfig;
use plumbing::root::Part;
use plumbing::{Id as CommitId, Store};
use serde_json::Value;

use super::config::Config;
use super::folder::Lock;
use super::{Container, Containers, history, spec};
use crate::rootfs::{self, Lower};
use crate::{Error, IoResultExt, Result};

impl Containers {
    /// Makes a container of the commit `config.base`, with a first commit of its own.
    ///
    /// A container that is removed at its end has none, so that starting it writes nothing into the store.
    pub fn create_from_store(&self, store: &Store, config: Config) -> Result<(Container, Lock, ImageConfig)> {
        let base = config.base()?;
        let image = image_config(store, &base)?;
        let command = spec::command_line(&config, &image)?;
        let (container, lock) = self.make(config, command)?;
        if !container.config.auto_remove
            && let Err(error) = history::begin(store, &container.config)
        {
            self.remove_locked(&container, &lock)?;
            return Err(error);
        }
        self.made(&container.config)?;
        Ok((container, lock, image))
    }
}

/// The part of a commit's image configuration that containers are run with. Images are hostile: a field of another type
/// than it should have counts as missing.
pub fn image_config(store: &Store, commit: &CommitId) -> Result<ImageConfig> {
    let blob = store.read_commit(commit)?.state.config;
    let whole: Value = serde_json::from_slice(&store.read_blob(&blob)?).map_err(|error| Error::Damaged {
        what: "image configuration",
        path: PathBuf::from(blob.to_string()),
        source: error.into(),
    })?;
    Ok(from_json(&whole["config"]))
}

fn from_json(config: &Value) -> ImageConfig {
    let text = |name: &str| config[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let list = |name: &str| -> Option<Vec<String>> {
        config[name].as_array()?.iter().map(|item| item.as_str().map(str::to_owned)).collect()
    };
    let mut image = ImageConfig::default();
    image.set_user(text("User"));
    image.set_env(list("Env"));
    image.set_entrypoint(list("Entrypoint"));
    image.set_cmd(list("Cmd"));
    image.set_working_dir(text("WorkingDir"));
    image.set_stop_signal(text("StopSignal"));
    image
}

/// What to mount as the root of `commit`: a metadata image, made if the store has none yet; or, on a kernel that can't
/// mount such, a folder. All contents of the root are there then; the caller keeps them there by holding off collections
/// ([`Store::hold`]) until a container with this root runs.
pub fn lower(store: &Store, commit: &CommitId) -> Result<Lower> {
    lower_of(store, &Part::whole(store, store.read_commit(commit)?.state.root)?)
}

/// The commits that containers started from.
pub(crate) fn bases(store: &Store) -> Result<Vec<CommitId>> {
    let containers = Containers::open(store.dir())?;
    Ok(containers.list()?.iter().filter_map(|(container, _)| container.config.base().ok()).collect())
}

/// As [`lower`], of any root or folder of one.
pub fn lower_of(store: &Store, part: &Part) -> Result<Lower> {
    let key = part.name(store)?.to_string();
    let image = store.mounts_dir().join(format!("{key}.erofs"));
    let content = store.content_dir();
    if !rootfs::can_mount_images() {
        return folder(store, part, &key);
    }
    if image.exists() {
        note_use(&image);
        return Ok(Lower::Erofs { image, content });
    }
    // Contents may be packed away only where there is no mountable image of them.
    plumbing::cold::thaw(store, &part.ids.rootfs)?;
    match plumbing::mount_image::encode_part(store, part) {
        Ok(bytes) => write_image(&image, &bytes)?,
        Err(plumbing::Error::Unsupported { .. }) => return folder(store, part, &key),
        Err(error) => return Err(error.into()),
    }
    Ok(Lower::Erofs { image, content })
}

/// How many seconds old the time of a mountable image may be that is in use.
const USED: u64 = 3600;

/// The image's modification time tells when the root was last used. That it can't be set keeps nobody from running.
fn note_use(image: &Path) {
    let age = fs::metadata(image).ok().and_then(|about| about.modified().ok()?.elapsed().ok());
    if age.is_some_and(|age| age.as_secs() > USED) {
        let file = fs::File::open(image);
        drop(file.and_then(|file| file.set_modified(std::time::SystemTime::now())));
    }
}

/// The image appears under its name only when it is complete and on the disk: nobody checks it later.
fn write_image(image: &Path, bytes: &[u8]) -> Result<()> {
    let parent = image.parent().expect("because the image has a folder in its path");
    fs::create_dir_all(parent).on("create", parent)?;
    let mut draft = tempfile::NamedTempFile::new_in(parent).on("create a file in", parent)?;
    draft.write_all(bytes).on("write", draft.path())?;
    draft.as_file().sync_data().on("sync", draft.path())?;
    draft.persist(image).map_err(|error| Error::io("create", image, error.error))?;
    Ok(())
}

fn folder(store: &Store, part: &Part, key: &str) -> Result<Lower> {
    let folder = store.mounts_dir().join(key);
    if folder.is_dir() {
        return Ok(Lower::Folder(folder));
    }
    let parent = store.mounts_dir();
    fs::create_dir_all(&parent).on("create", &parent)?;
    let draft = tempfile::TempDir::new_in(&parent).on("create a folder in", &parent)?;
    plumbing::checkout::checkout(store, part, draft.path())?;
    let opened = fs::File::open(draft.path()).on("open", draft.path())?;
    rustix::fs::syncfs(&opened).on("sync", draft.path())?;
    match fs::rename(draft.path(), &folder) {
        Ok(()) => drop(draft.keep()),
        // Another command was faster.
        Err(_) if folder.is_dir() => {}
        Err(error) => return Err(error).on("rename", folder),
    }
    Ok(Lower::Folder(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_the_wrong_type_count_as_missing() {
        let config = from_json(&serde_json::json!({
            "User": "web", "Env": ["A=1", 2], "Cmd": "sh", "Entrypoint": null, "WorkingDir": 7, "Labels": [],
        }));
        assert_eq!(config.user().as_deref(), Some("web"));
        assert!(config.env().is_none() && config.cmd().is_none() && config.entrypoint().is_none());
        assert!(config.working_dir().is_none());
        assert_eq!(from_json(&Value::Null), ImageConfig::default());
    }
}

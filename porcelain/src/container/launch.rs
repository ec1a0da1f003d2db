//! Containers out of commits: creating one from a commit, and starting it with the commit's root below it.

use std::ffi::OsString;

use oci_spec::image::Config as ImageConfig;
use plumbing::Store;
use plumbing::commit::State;

use super::{Attached, Config, Container, Containers, Io, Launch, Lock, history, spec};
use crate::rootfs::{self, Lower};
use crate::{Error, Result};

/// Make a container that starts from the commit `config.base`. It is locked on return.
///
/// One that is removed when it ends has no commit of its own, so that starting it writes nothing into the store.
pub fn create(store: &Store, config: Config) -> Result<(Container, Lock)> {
    let from = store.read_commit(&history::base(&config)?)?;
    let command = spec::command_line(&config, &image_config(store, &from.state)?)?;
    let containers = Containers::open(store.dir())?;
    let (container, lock) = containers.create(config, command)?;
    if !container.config.auto_remove
        && let Err(error) = history::begin(store, &container.config, &from)
    {
        containers.remove_locked(&container, &lock)?;
        return Err(error);
    }
    Ok((container, lock))
}

/// Start a container whose lock the caller holds. `monitor` is the command that runs [`super::run_monitor`].
pub fn start(store: &Store, container: &Container, lock: Lock, io: Io, monitor: Vec<OsString>) -> Result<Attached> {
    let containers = Containers::open(store.dir())?;
    let from = store.read_commit(&history::base(&container.config)?)?;
    let cache = rootfs::strategy_cache(store);
    let launch = Launch {
        lower: rootfs::lower(store, &from.state.root)?,
        image: image_config(store, &from.state)?,
        strategy_cache: cache.file().to_owned(),
        io,
        monitor,
    };
    let is_image = matches!(launch.lower, Lower::Erofs { .. });
    match containers.start(container, lock, launch.clone()) {
        // The first start on a kernel that can't mount images: from now on folders take their place.
        Err(_) if is_image && cache.needs_folder() => {
            let lower = rootfs::folder(store, &from.state.root)?;
            containers.start(container, containers.lock(container)?, Launch { lower, ..launch })
        }
        started => started,
    }
}

/// What the image says about running it.
fn image_config(store: &Store, state: &State) -> Result<ImageConfig> {
    let bytes = store.read_blob(&state.config)?;
    let image = plumbing::config::ImageConfig::parse(&bytes)?;
    let Some(run) = image.fields().get("config").filter(|run| !run.is_null()) else {
        return Ok(ImageConfig::default());
    };
    serde_json::from_value(run.clone()).map_err(|error| Error::invalid("image configuration", state.config, error))
}

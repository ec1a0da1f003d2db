//! What `rd inspect` says of a container: docker's fields, and rd's own under `Rd`.

use std::path::Path;

use plumbing::Store;
use serde_json::{Map, Value, json};

use super::config::{Bind, Config, Network};
use super::history::ref_name;
use super::{Container, State, Status, commit, spec};
use crate::image::{self, describe, facts::Facts};
use crate::{IoResultExt, Result};

/// Go's zero time.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// Describe a container; with `sizes` also how much it wrote, for which its files are counted.
pub fn describe(store: &Store, container: &Container, sizes: bool) -> Result<Value> {
    let config = &container.config;
    let state = container.state()?;
    let folder = &container.folder;
    let (path, args) = state.command.split_first().map_or(("", &[][..]), |(path, args)| (path.as_str(), args));
    let mut value = json!({
        "Id": config.id.as_str(),
        "Created": config.created.to_string(),
        "Path": path,
        "Args": args,
        "State": describe_state(&state),
        "Image": format!("sha256:{}", config.base),
        "ResolvConfPath": folder.etc("resolv.conf"),
        "HostnamePath": folder.etc("hostname"),
        "HostsPath": folder.etc("hosts"),
        "LogPath": "",
        "Name": format!("/{}", config.name),
        "RestartCount": 0,
        "Driver": describe::driver(store),
        "Platform": "linux",
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": null,
        "HostConfig": host_config(config),
        "GraphDriver": graph_driver(store, container)?,
        "Mounts": config.binds.iter().map(mount).collect::<Vec<_>>(),
        "Config": run_config(store, config)?,
        "NetworkSettings": network_settings(config),
        "Rd": {
            "Ref": ref_name(&config.name),
            "Head": container.head(store)?.to_string(),
            "Base": config.base,
        },
    });
    if sizes {
        let written = written(&folder.upper())?;
        let below = Facts::open(store).get(&config.base()?)?.size;
        value["SizeRw"] = written.into();
        value["SizeRootFs"] = (below + written).into();
    }
    Ok(value)
}

fn describe_state(state: &State) -> Value {
    let time = |time: Option<jiff::Timestamp>| time.map_or_else(|| NEVER.to_owned(), |time| time.to_string());
    json!({
        "Status": state.status.as_str(),
        "Running": state.status.is_alive(),
        "Paused": state.status == Status::Paused,
        "Restarting": false,
        "OOMKilled": false,
        "Dead": state.status == Status::Dead,
        "Pid": state.process.filter(|_| state.status.is_alive()).map_or(0, |process| process.pid),
        "ExitCode": state.exit_code,
        "Error": state.error,
        "StartedAt": time(state.started_at),
        "FinishedAt": time(state.finished_at),
    })
}

/// docker writes lists that nobody gave as `null`.
fn list(words: &[String]) -> Value {
    if words.is_empty() { Value::Null } else { json!(words) }
}

fn host_config(config: &Config) -> Value {
    let binds: Vec<String> = config.binds.iter().cloned().map(String::from).collect();
    let tmpfs: Map<String, Value> = config
        .tmpfs
        .iter()
        .map(|tmpfs| (tmpfs.destination.display().to_string(), tmpfs.options.join(",").into()))
        .collect();
    let paths = |paths: &[&str]| if config.privileged { Value::Null } else { json!(paths) };
    json!({
        "Binds": list(&binds),
        "ContainerIDFile": "",
        "LogConfig": {"Type": "none", "Config": {}},
        "NetworkMode": network(config),
        "PortBindings": {},
        "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
        "AutoRemove": config.auto_remove,
        "VolumeDriver": "",
        "VolumesFrom": null,
        "CapAdd": list(&config.cap_add),
        "CapDrop": list(&config.cap_drop),
        "Dns": [],
        "DnsOptions": [],
        "DnsSearch": [],
        "ExtraHosts": null,
        "GroupAdd": null,
        "IpcMode": "private",
        "Links": null,
        "OomScoreAdj": 0,
        "PidMode": "",
        "Privileged": config.privileged,
        "PublishAllPorts": false,
        "ReadonlyRootfs": config.read_only,
        "SecurityOpt": null,
        "Tmpfs": if tmpfs.is_empty() { Value::Null } else { Value::Object(tmpfs) },
        "UTSMode": "",
        "UsernsMode": "",
        "ShmSize": spec::SHARED_MEMORY,
        "Runtime": "libcontainer",
        "CpuShares": 0,
        "Memory": 0,
        "NanoCpus": 0,
        "Devices": [],
        "PidsLimit": null,
        "Ulimits": null,
        "MaskedPaths": paths(&spec::MASKED),
        "ReadonlyPaths": paths(&spec::READ_ONLY),
    })
}

fn network(config: &Config) -> &'static str {
    match config.network {
        Network::None => "none",
        Network::Host => "host",
    }
}

fn network_settings(config: &Config) -> Value {
    let none = json!({"Aliases": null, "Gateway": "", "IPAddress": "", "IPPrefixLen": 0, "MacAddress": ""});
    json!({"Ports": {}, "Gateway": "", "IPAddress": "", "MacAddress": "", "Networks": {network(config): none}})
}

/// The overlay's folders, as docker's overlay2 has them; the upper one is missing until the first start.
fn graph_driver(store: &Store, container: &Container) -> Result<Value> {
    let root = store.read_commit(&container.config.base()?)?.state.root;
    let folder = &container.folder;
    let data = json!({
        "LowerDir": store.mounts_dir().join(format!("{}.erofs", root.name())),
        "MergedDir": folder.rootfs(),
        "UpperDir": folder.upper(),
        "WorkDir": folder.work(),
    });
    Ok(json!({"Data": data, "Name": describe::driver(store)}))
}

fn mount(bind: &Bind) -> Value {
    let propagation = bind.options.iter().find(|option| option.ends_with("slave") || option.ends_with("private"));
    json!({
        "Type": "bind",
        "Source": bind.source,
        "Destination": bind.destination,
        "Mode": bind.options.join(","),
        "RW": !bind.read_only(),
        "Propagation": propagation.map_or("rprivate", String::as_str),
    })
}

/// The image's configuration with what the container was created with, as a commit would have it.
fn run_config(store: &Store, config: &Config) -> Result<Value> {
    let image = image::config(store, &config.base()?)?;
    let mut run = describe::run_config(&image);
    commit::overlay(&mut run, config);
    for (key, value) in [
        ("Hostname", json!(config.hostname.as_deref().unwrap_or_else(|| config.id.short()))),
        ("AttachStdin", json!(config.open_stdin)),
        ("AttachStdout", json!(true)),
        ("AttachStderr", json!(true)),
        ("Tty", json!(config.tty)),
        ("OpenStdin", json!(config.open_stdin)),
        ("StdinOnce", json!(config.open_stdin)),
        ("Image", json!(config.image)),
    ] {
        run.insert(key.to_owned(), value);
    }
    Ok(Value::Object(run))
}

/// The sum of the sizes of the files below `folder`, which may be missing and may change meanwhile.
fn written(folder: &Path) -> Result<u64> {
    let mut size = 0;
    let mut pending = vec![folder.to_owned()];
    while let Some(folder) = pending.pop() {
        let entries = match std::fs::read_dir(&folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            entries => entries.on("read", &folder)?,
        };
        for entry in entries {
            let entry = entry.on("read", &folder)?;
            // Of the entry itself: a link may point anywhere.
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() {
                pending.push(entry.path());
            } else if metadata.is_file() {
                size += metadata.len();
            }
        }
    }
    Ok(size)
}

//! What `rd inspect` says of an image: docker's fields, and rd's own under `Rd`.

use plumbing::commit::Commit;
use plumbing::config::{ImageConfig, format_time};
use plumbing::{Id, ImageName, Store, bstr::ByteSlice, layer};
use serde_json::{Map, Value, json};

use super::facts::Facts;
use super::{find, history, names};
use crate::Result;
use crate::rootfs::{Strategy, StrategyCache};

/// The `Config` of a docker image, in its order; what an image's own configuration says replaces it.
const CONFIG: [(&str, Value); 17] = [
    ("Hostname", Value::String(String::new())),
    ("Domainname", Value::String(String::new())),
    ("User", Value::String(String::new())),
    ("AttachStdin", Value::Bool(false)),
    ("AttachStdout", Value::Bool(false)),
    ("AttachStderr", Value::Bool(false)),
    ("Tty", Value::Bool(false)),
    ("OpenStdin", Value::Bool(false)),
    ("StdinOnce", Value::Bool(false)),
    ("Env", Value::Null),
    ("Cmd", Value::Null),
    ("Image", Value::String(String::new())),
    ("Volumes", Value::Null),
    ("WorkingDir", Value::String(String::new())),
    ("Entrypoint", Value::Null),
    ("OnBuild", Value::Null),
    ("Labels", Value::Null),
];

/// Describe the commit `id` as an image.
pub fn describe(store: &Store, id: &Id) -> Result<Value> {
    let commit = store.read_commit(id)?;
    let config = ImageConfig::parse(&store.read_blob(&commit.state.config)?)?;
    let mut facts = Facts::open(store);
    let fact = facts.get(id)?;
    let named: Vec<ImageName> =
        names(store)?.into_iter().filter(|(_, named)| named == id).map(|(name, _)| name).collect();
    let mut repositories: Vec<String> = named.iter().map(ImageName::familiar_repository).collect();
    repositories.dedup();
    let digests = fact.digest.iter().flat_map(|digest| repositories.iter().map(move |name| format!("{name}@{digest}")));
    let mut image = json!({
        "Id": format!("sha256:{id}"),
        "RepoTags": named.iter().map(ImageName::to_string).collect::<Vec<_>>(),
        "RepoDigests": digests.collect::<Vec<_>>(),
        "Parent": commit.parents.first().map(|parent| format!("sha256:{parent}")).unwrap_or_default(),
        "Comment": comment(store, &commit, &config)?,
        "Created": created(&config, format_time(fact.created)),
        "DockerVersion": text(&config, "docker_version"),
        "Author": author(&commit, &config),
        "Config": run_config(&config),
        "Architecture": config.architecture(),
        "Os": config.os(),
        "Size": fact.size,
        "VirtualSize": fact.size,
        "GraphDriver": {"Data": null, "Name": driver(store)},
        "RootFS": {"Type": "layers", "Layers": layers(store, &commit)?},
        "Metadata": {"LastTagTime": last_tagged(store, &named)?.map_or_else(|| NEVER.to_owned(), format_time)},
        "Rd": own(&commit, &named),
    });
    add_platform(&mut image, &config);
    Ok(image)
}

/// What docker calls the graph driver: how roots are mounted here, as far as it was found out.
pub(crate) fn driver(store: &Store) -> &'static str {
    let remembered = StrategyCache::new(store.mounts_dir().join("strategy")).remembered();
    remembered.map_or("rd", Strategy::name)
}

/// Go's zero time.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// A text at the top of a configuration; empty where there is none.
fn text<'c>(config: &'c ImageConfig, key: &str) -> &'c str {
    config.fields().get(key).and_then(Value::as_str).unwrap_or_default()
}

/// The digests of the uncompressed layers, the lowest first: those that the nearest configuration lists, and those of
/// the commits above it. A layer that rd made has no digest before it is packed.
fn layers(store: &Store, commit: &Commit) -> Result<Vec<String>> {
    let mut above = Vec::new();
    let mut next = Some(commit.clone());
    while let Some(commit) = next {
        let config = ImageConfig::parse(&store.read_blob(&commit.state.config)?)?;
        if let Some(listed) = diff_ids(&config) {
            above.extend(listed.into_iter().rev());
            break;
        }
        above.extend(
            commit
                .state
                .layer
                .map(|layer| layer::head(store, &layer))
                .transpose()?
                .map(|head| head.diff_id.to_string()),
        );
        next = commit.parents.first().map(|parent| store.read_commit(parent)).transpose()?;
    }
    above.reverse();
    Ok(above)
}

/// The layers that a configuration lists.
fn diff_ids(config: &ImageConfig) -> Option<Vec<String>> {
    let list = config.fields().get("rootfs")?.get("diff_ids")?.as_array()?;
    Some(list.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}

/// A commit that only holds a pulled image's configuration has nothing to say itself: its last step has.
fn comment(store: &Store, commit: &Commit, config: &ImageConfig) -> Result<String> {
    let below = commit.parents.first().map(|parent| store.read_commit(parent)).transpose()?;
    if below.is_some_and(|below| history::is_image_commit(commit, &below)) {
        let last = history::entries(config).pop().and_then(|entry| entry.get("comment")).and_then(Value::as_str);
        return Ok(last.unwrap_or_default().to_owned());
    }
    Ok(commit.message.trim_end().to_str_lossy().into_owned())
}

fn created(config: &ImageConfig, committed: String) -> String {
    let stated = text(config, "created");
    if stated.is_empty() { committed } else { stated.to_owned() }
}

fn author(commit: &Commit, config: &ImageConfig) -> String {
    let stated = text(config, "author");
    if !stated.is_empty() || commit.author.email == plumbing::commit::neutral_signature(0).email {
        return stated.to_owned();
    }
    format!("{} <{}>", commit.author.name, commit.author.email)
}

/// What containers of the image are run with, with all of docker's fields.
pub(crate) fn run_config(config: &ImageConfig) -> Map<String, Value> {
    let mut fields: Map<String, Value> = CONFIG.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    let stated = config.fields().get("config").and_then(Value::as_object);
    fields.extend(stated.cloned().unwrap_or_default());
    fields
}

/// docker shows these only where they are given.
fn add_platform(image: &mut Value, config: &ImageConfig) {
    for (key, field) in [("variant", "Variant"), ("os.version", "OsVersion")] {
        if !text(config, key).is_empty() {
            image[field] = Value::from(text(config, key));
        }
    }
}

fn last_tagged(store: &Store, named: &[ImageName]) -> Result<Option<i64>> {
    let mut last = None;
    for name in named {
        last = last.max(find::reflog(store, &name.to_ref())?.last().map(|(_, when)| *when));
    }
    Ok(last)
}

/// What git would say of the commit.
fn own(commit: &Commit, named: &[ImageName]) -> Value {
    let id = |id: &Id| id.to_string();
    json!({
        "Commit": id(&commit.id),
        "Tree": id(&commit.tree),
        "Parents": commit.parents.iter().map(id).collect::<Vec<_>>(),
        "Rootfs": id(&commit.state.root.rootfs),
        "Meta": id(&commit.state.root.meta),
        "Times": id(&commit.state.root.times),
        "Config": id(&commit.state.config),
        "Manifest": commit.state.manifest.as_ref().map(id),
        "Layer": commit.state.layer.as_ref().map(id),
        "Message": commit.message.to_str_lossy(),
        "Refs": named.iter().map(ImageName::to_ref).collect::<Vec<_>>(),
    })
}

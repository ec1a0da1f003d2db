//! `rd info`

use std::process::ExitCode;

use porcelain::info::{HostInfo, StoreInfo, Usage};
use serde_json::{Value, json};

use super::version;
use crate::cli::Globals;
use crate::output::table::unescape;
use crate::output::template::Template;
use crate::output::{emit, size};
use crate::report::Failure;

/// Show the store in numbers, and what this host offers to containers
///
/// Contents are counted file by file, which takes a moment in a large store.
///
/// Exit status: 0 done; 2 failed.
#[derive(clap::Args)]
pub struct Args {
    /// `json` (on one line) or a TEMPLATE of Go's text/template; fields are docker's where docker has them
    #[arg(short, long, value_name = "FORMAT", conflicts_with = "json")]
    format: Option<String>,
    /// Everything as JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let store = globals.store()?;
    let (info, host) = (StoreInfo::read(&store)?, HostInfo::read());
    let dir = store.dir().canonicalize()?.display().to_string();
    match args.format.as_deref() {
        _ if args.json => println!("{:#}", to_json(&dir, &info, &host)),
        None | Some("") => emit(&layout(&dir, &info, &host)),
        Some("json") => println!("{}", to_json(&dir, &info, &host)),
        Some(format) => {
            let text = Template::parse(&unescape(format))?.render(&to_json(&dir, &info, &host))?;
            emit(&(text + "\n"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn layout(dir: &str, info: &StoreInfo, host: &HostInfo) -> String {
    let usage = |usage: &Usage| format!("{} ({})", usage.files, size::decimal(usage.bytes));
    let mut lines = vec![
        format!("Containers: {}", info.running + info.paused + info.stopped),
        format!(" Running: {}", info.running),
        format!(" Paused: {}", info.paused),
        format!(" Stopped: {}", info.stopped),
        format!("Images: {}", info.images),
        format!("Commits: {}", info.commits),
        format!("Version: {}", env!("CARGO_PKG_VERSION")),
        format!("Store: {dir}"),
        format!(" Format: {}", plumbing::store::FORMAT),
        " Object Format: sha256".into(),
        format!(" Contents: {}", usage(&info.contents)),
        format!(" Compressed Layers: {}", usage(&info.blobs)),
        format!("  As They Came: {}", usage(&info.raw_blobs)),
        format!(" Packs: {}", usage(&info.packs)),
        format!(" Caches: {}", usage(&info.caches)),
        format!(" Container Files: {}", usage(&info.containers)),
        format!("Roots: {}", info.roots.unwrap_or(UNKNOWN)),
        format!("Runtime: libcontainer {}", version::LIBCONTAINER),
        format!("Cgroup Version: {}", host.cgroups),
        "Security Options:".into(),
    ];
    lines.extend(host.security.iter().map(|option| format!(" {}", option.trim_start_matches("name="))));
    lines.extend([
        format!("Kernel Version: {}", host.kernel),
        format!("Operating System: {}", host.system),
        format!("OSType: {}", std::env::consts::OS),
        format!("Architecture: {}", host.architecture),
        format!("CPUs: {}", host.cores),
        format!("Total Memory: {}", size::binary(host.memory)),
        format!("Name: {}", host.name),
    ]);
    lines.join("\n") + "\n"
}

/// Where nothing has been mounted yet.
const UNKNOWN: &str = "not tried yet";

/// docker's fields, and rd's own under `Rd`.
fn to_json(dir: &str, info: &StoreInfo, host: &HostInfo) -> Value {
    let usage = |usage: &Usage| json!({"Files": usage.files, "Bytes": usage.bytes});
    json!({
        "Containers": info.running + info.paused + info.stopped,
        "ContainersRunning": info.running,
        "ContainersPaused": info.paused,
        "ContainersStopped": info.stopped,
        "Images": info.images,
        "Driver": info.roots.unwrap_or_default(),
        "DockerRootDir": dir,
        "CgroupDriver": "cgroupfs",
        // As docker has it: a hybrid host's controllers are those of version 1.
        "CgroupVersion": if host.cgroups == "hybrid" { "1" } else { host.cgroups },
        "SecurityOptions": host.security,
        "KernelVersion": host.kernel,
        "OperatingSystem": host.system,
        "OSType": std::env::consts::OS,
        "Architecture": host.architecture,
        "NCPU": host.cores,
        "MemTotal": host.memory,
        "Name": host.name,
        "ServerVersion": env!("CARGO_PKG_VERSION"),
        "DefaultRuntime": "libcontainer",
        "Rd": {
            "Store": dir,
            "Format": plumbing::store::FORMAT,
            "ObjectFormat": "sha256",
            "Commits": info.commits,
            "Contents": usage(&info.contents),
            "CompressedLayers": usage(&info.blobs),
            "CompressedLayersAsTheyCame": usage(&info.raw_blobs),
            "Packs": usage(&info.packs),
            "Caches": usage(&info.caches),
            "ContainerFiles": usage(&info.containers),
            "Roots": info.roots,
            "Cgroups": host.cgroups,
            "Libcontainer": version::LIBCONTAINER,
        },
    })
}

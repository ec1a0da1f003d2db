//! `rd serve`

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use plumbing::Store;
use porcelain::housekeeping::auto::start_if_due;
use porcelain::serve::{Answered, LARGEST_BLOB, Options, Server};

use crate::cli::{Globals, collector};
use crate::report::Failure;

/// Serve the store as a registry, for docker, podman, skopeo and any other client
///
/// The registry speaks the OCI distribution specification 1.1 both ways: what the store has can be pulled, and what is pushed
/// becomes images of the store, each layer a commit. Repositories are called as images are: `debian` is docker.io's
/// `library/debian`, `quay.io/team/app` that registry's. Manifests, configurations and layers keep their digests.
/// Signatures, attestations and indexes for several platforms are kept beside the images that they are about, as are images
/// that can't be unpacked. Another rd also gets the very commits that an image was made of, in either direction.
///
/// Nobody is asked who they are: whoever reaches the address may pull, push and remove. So it listens on the loopback only,
/// unless told otherwise. In front of others belongs a server that knows them and speaks TLS, or --read-only.
///
/// Serves until Ctrl-C or SIGTERM; requests that are under way then have ten seconds to end. --debug tells of each request.
///
/// Uploads that no manifest needs go after a day.
///
/// Examples: `rd serve`; `docker pull localhost:5000/web:1`; `rd serve --listen 0.0.0.0:5000 --read-only`.
///
/// Exit status: 0 after Ctrl-C; 2 where it can't listen.
#[derive(clap::Args)]
pub struct Args {
    /// Where to listen; the port 0 is any free one
    #[arg(short, long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:5000")]
    listen: SocketAddr,
    /// Take nothing and remove nothing
    #[arg(long)]
    read_only: bool,
    /// The largest blob to take, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = LARGEST_BLOB)]
    max_blob: u64,
}

pub fn run(args: Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let store = globals.store()?;
    let options = Options { listen: args.listen, read_only: args.read_only, largest_blob: args.max_blob };
    let server = Server::bind(store.dir(), options)?;
    if !args.listen.ip().is_loopback() && !args.read_only {
        eprintln!("warning: whoever reaches {} can change this store: nobody is asked for a password", args.listen);
    }
    eprintln!("serving '{}' at http://{}", store.dir().display(), server.address()?);
    let (debug, collector) = (globals.debug, collector(&store));
    let dir = store.dir().to_owned();
    server.run(Arc::new(move |answered| {
        if debug {
            eprintln!("{}", line(answered));
        }
        let is_manifest = answered.request.starts_with("PUT ") && answered.request.contains("/manifests/");
        if is_manifest && answered.status == 201 {
            collect_if_due(&dir, &collector);
        }
    }))?;
    globals.collect_if_due(&store);
    Ok(ExitCode::SUCCESS)
}

/// As after any command that writes; but this process lives on, and has to wait for the one that it started.
fn collect_if_due(dir: &Path, collector: &[OsString]) {
    let Ok(store) = Store::open(dir) else { return };
    if let Some(mut child) = start_if_due(&store, collector) {
        std::thread::spawn(move || child.wait());
    }
}

/// What is told of a request: `debug: 127.0.0.1:40000 GET /v2/ 200 2`.
fn line(answered: &Answered) -> String {
    let Answered { client, request, status, length, problem } = answered;
    let problem = problem.as_ref().map(|problem| format!(": {problem}")).unwrap_or_default();
    crate::output::printable(&format!("debug: {client} {request} {status} {length}{problem}")).to_string()
}

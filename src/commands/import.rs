//! `rd import`

use std::io::{IsTerminal, Read};
use std::path::PathBuf;
use std::process::ExitCode;

use plumbing::ImageName;
use plumbing::import::{Wishes, import};
use plumbing::store::refs::Expect;

use crate::cli::Globals;
use crate::report::Failure;

/// Make an image of a root file system in a tar archive
///
/// The archive may be plain, or compressed with gzip, xz or zstd. Everything in it is kept: owners, modes, times to the
/// nanosecond, extended attributes, hard links, devices, and the archive itself, bit for bit. The same archive gives the
/// same image id on every machine and on every day.
///
/// Prints the image's id.
///
/// Examples: `rd import root.tar debian:12`; `rd import -c 'CMD ["bash"]' https://example.org/root.tar.xz web`;
/// `tar -c -C root . | rd import - mine`
#[derive(clap::Args)]
pub struct Args {
    /// The archive: a file, a http or https URL, or `-` for standard input
    #[arg(value_name = "FILE|URL|-")]
    source: String,
    /// The image's name; without one it is found by its id
    #[arg(value_name = "NAME[:TAG]")]
    name: Option<String>,
    /// The commit's message [default: Imported from sha256:…]
    #[arg(short, long)]
    message: Option<String>,
    /// Apply a Dockerfile instruction: CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD, STOPSIGNAL, USER,
    /// VOLUME or WORKDIR
    #[arg(short, long = "change", value_name = "INSTRUCTION")]
    changes: Vec<String>,
}

pub fn run(args: Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let name = args.name.as_deref().map(ImageName::parse).transpose()?;
    let store = globals.store()?;
    let source = open(&args.source)?;
    let _hold = store.hold()?;
    let wishes = Wishes { message: args.message, changes: args.changes };
    let imported = import(&store, source, &wishes)?;
    if let Some(name) = name {
        let message = format!("import: {}", imported.ending.diff_id);
        store.update_ref(&name.to_ref(), imported.commit, Expect::Any, &message)?;
    }
    println!("sha256:{}", imported.commit);
    globals.collect_if_due(&store);
    Ok(ExitCode::SUCCESS)
}

fn open(source: &str) -> Result<Box<dyn Read + Send>, Failure> {
    if source == "-" {
        if std::io::stdin().is_terminal() {
            return Err(
                Failure::new("standard input is a terminal, not an archive").hint("pipe a tar into rd import -")
            );
        }
        return Ok(Box::new(std::io::stdin()));
    }
    if porcelain::download::is_url(source) {
        return Ok(porcelain::download::open(source)?);
    }
    let path = PathBuf::from(source);
    Ok(Box::new(std::fs::File::open(&path).map_err(plumbing::Error::io("open", path))?))
}

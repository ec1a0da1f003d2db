//! `rd load`

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use plumbing::archive::{Blobs, Platform, load};
use plumbing::store::refs::Expect;

use crate::cli::Globals;
use crate::report::Failure;

/// Load images from an archive: docker's, OCI's, or an OCI layout folder
///
/// Reads what `docker save`, `podman save`, `skopeo copy` and others write, plain or compressed with gzip, xz or zstd. Each
/// image becomes a chain of commits, one for each step of its history, and gets the names that the archive gives it. All
/// digests are checked before a name is given.
///
/// Of an image for several platforms that of this machine is taken; --platform takes another.
///
/// Prints a line for each name: `Loaded image: NAME:TAG`.
///
/// Examples: `rd load -i image.tar.gz`; `docker save web:1 | rd load`; `rd load -i layout/`.
#[derive(clap::Args)]
pub struct Args {
    /// The archive or folder [default: standard input]
    #[arg(short, long, value_name = "ARCHIVE|DIR")]
    input: Option<PathBuf>,
    /// Take the image for this platform, where there are several
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Option<String>,
    /// Print nothing
    #[arg(short, long)]
    quiet: bool,
}

pub fn run(args: Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let platform = args.platform.as_deref().map_or_else(|| Ok(Platform::host()), Platform::parse)?;
    let store = globals.store()?;
    let blobs = match &args.input {
        Some(path) => Blobs::open(&store, path)?,
        None if std::io::stdin().is_terminal() => {
            return Err(
                Failure::new("requested load from stdin, but stdin is a terminal").hint("name the archive with -i")
            );
        }
        None => Blobs::read(&store, Box::new(std::io::stdin()))?,
    };
    let _hold = store.hold()?;
    for image in load(&store, &blobs, &platform)? {
        for name in &image.names {
            store.update_ref(&name.to_ref(), image.commit, Expect::Any, "load")?;
            say(&args, format_args!("Loaded image: {name}"));
        }
        if image.names.is_empty() {
            say(&args, format_args!("Loaded image ID: sha256:{}", image.commit));
        }
    }
    globals.collect_if_due(&store);
    Ok(ExitCode::SUCCESS)
}

fn say(args: &Args, line: std::fmt::Arguments<'_>) {
    if !args.quiet {
        println!("{line}");
    }
}

//! `rd export`

use std::path::PathBuf;
use std::process::ExitCode;

use plumbing::Store;
use plumbing::layer::pack_part;
use plumbing::root::Part;
use porcelain::container::Containers;
use porcelain::container::changes::current_root;

use crate::cli::Globals;
use crate::output::file;
use crate::report::Failure;
use crate::revisions;

/// Write the files of a container, image or commit as a tar archive
///
/// A container's are those that it has now, running or not; a running one stands still while they are read. The archive is one
/// that every tar reads (POSIX pax) and has everything: owners, modes, times to the nanosecond, extended attributes, hard links,
/// devices. `rd import` of it gives the same root again. Sockets are empty files to other programs. `REV:/FOLDER` writes one folder,
/// as it was last committed.
///
/// Examples: `rd export web -o web.tar`; `rd export debian:12~1 | tar -t`; `rd export debian:12:/etc | tar -x -C DIR`.
#[derive(clap::Args)]
pub struct Args {
    /// A container, a revision, or a folder in one
    #[arg(value_name = "CONTAINER|REV")]
    what: String,
    /// Write to a file, not to standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub fn run(args: Args, globals: &Globals) -> Result<ExitCode, Failure> {
    if args.output.is_none() {
        file::refuse_terminal()?;
    }
    let store = globals.store()?;
    // What is written of a container has no name.
    let _hold = store.hold()?;
    let part = find(&store, &args.what)?;
    file::write(args.output.as_deref(), |out| Ok(pack_part(&store, &part, out)?))?;
    Ok(ExitCode::SUCCESS)
}

/// The root of a container as it is now, or what a revision names.
fn find(store: &Store, what: &str) -> Result<Part, Failure> {
    match Containers::open(store.dir())?.find(what) {
        Ok(container) => {
            let mut batch = store.batch();
            let frozen = container.freeze()?;
            let (mut root, _) = current_root(store, &container, &mut batch)?;
            drop(frozen);
            let ids = root.write(&mut batch)?;
            // No name points at it; it need not outlive a power cut.
            batch.finish()?;
            Ok(Part::whole(store, ids)?)
        }
        Err(porcelain::Error::NotFound { .. }) => revisions::part(store, what.as_bytes()),
        Err(error) => Err(error.into()),
    }
}

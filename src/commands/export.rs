//! `rd export`

use std::io::{BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use plumbing::layer::pack_root;
use plumbing::revision::{self, Lookup, Prefer};
use plumbing::root::RootIds;
use plumbing::{Error, Store};
use porcelain::container::Containers;
use porcelain::container::changes::current_root;

use crate::cli::Globals;
use crate::report::Failure;

/// Write the files of a container, image or commit as a tar archive
///
/// A container's are those that it has now, running or not; a running one stands still while they are read. The archive is one
/// that every tar reads (POSIX pax) and has everything: owners, modes, times to the nanosecond, extended attributes, hard links,
/// devices. `rd import` of it gives the same root again. Sockets are empty files to other programs.
///
/// Examples: `rd export web -o web.tar`; `rd export debian:12~1 | tar -t`.
#[derive(clap::Args)]
pub struct Args {
    /// A container, or a revision
    #[arg(value_name = "CONTAINER|REV")]
    what: String,
    /// Write to a file, not to standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub fn run(args: Args, globals: &Globals) -> Result<ExitCode, Failure> {
    if args.output.is_none() && std::io::stdout().is_terminal() {
        return Err(Failure::new("cowardly refusing to save to a terminal").hint("use the -o flag or redirect"));
    }
    let store = globals.store()?;
    // What is written of a container has no name.
    let _hold = store.hold()?;
    let root = find(&store, &args.what)?;
    match &args.output {
        None => pack_root(&store, &root, buffered(std::io::stdout().lock()))?,
        Some(path) => write_file(&store, &root, path)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn buffered<W: Write>(out: W) -> BufWriter<W> {
    BufWriter::with_capacity(128 * 1024, out)
}

/// The root of a container as it is now, or of a revision.
fn find(store: &Store, what: &str) -> Result<RootIds, Failure> {
    match Containers::open(store.dir())?.find(what) {
        Ok(container) => {
            let mut batch = store.batch();
            let frozen = container.freeze()?;
            let (mut root, _) = current_root(store, &container, &mut batch)?;
            drop(frozen);
            let ids = root.write(&mut batch)?;
            // No name points at it; it need not outlive a power cut.
            batch.finish()?;
            Ok(ids)
        }
        Err(porcelain::Error::NotFound { .. }) => {
            let lookup = Lookup { prefer: Prefer::Containers, aliases: None };
            let commit = revision::resolve_commit_with(store, what, lookup)?;
            Ok(store.read_commit(&commit)?.state.root)
        }
        Err(error) => Err(error.into()),
    }
}

/// Write beside the file and rename, so that nobody takes half an archive for a whole one; devices and pipes are written to.
fn write_file(store: &Store, root: &RootIds, path: &Path) -> Result<(), Failure> {
    if std::fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        let file = std::fs::OpenOptions::new().write(true).open(path).map_err(Error::io("open", path))?;
        return Ok(pack_root(store, root, buffered(file))?);
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let file = tempfile::Builder::new()
        .prefix(".rd-export-")
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .tempfile_in(folder)
        .map_err(Error::io("create a file in", folder))?;
    pack_root(store, root, buffered(file.as_file()))?;
    file.persist(path).map_err(|error| Error::io("create", path)(error.error))?;
    Ok(())
}

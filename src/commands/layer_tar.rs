//! `rd layer-tar`

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::ExitCode;

use plumbing::layer::{pack_changes, replay};

use crate::cli::Globals;
use crate::output::file;
use crate::report::Failure;
use crate::revisions;

/// Write the layer of a commit as a tar
///
/// What an archive brought comes out bit for bit as it was: the layer of a commit that `rd load` made, the whole archive of one
/// that `rd import` made. Of any other commit the layer is made of what differs from its first parent, with whiteouts
/// (`.wh.NAME`) for what is gone, as the OCI image specification says; equal commits give equal bytes. A changed entry comes with the
/// folders above it, a file with several names with all of them.
///
/// Exit status: 0; 2 where rd failed.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  rd layer-tar web:1 | tar -tv                what the last commit brought
  rd layer-tar debian:12~3 | sha256sum        the layer's diff id
  rd layer-tar box -o layer.tar")]
pub struct Args {
    /// Write to a file, not to standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// A revision
    #[arg(value_name = "COMMIT")]
    commit: OsString,
}

pub fn run(args: Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let store = globals.store()?;
    let commit = store.read_commit(&revisions::commit(&store, args.commit.as_bytes())?)?;
    file::write(args.output.as_deref(), |out| {
        if let Some(layer) = &commit.state.layer {
            replay(&store, layer, out)?;
            return Ok(());
        }
        let parent = commit.parents.first().map(|id| store.read_commit(id)).transpose()?;
        Ok(pack_changes(&store, parent.map(|parent| parent.state.root), commit.state.root, out)?)
    })?;
    Ok(ExitCode::SUCCESS)
}

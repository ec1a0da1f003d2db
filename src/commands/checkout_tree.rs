//! `rd checkout-tree`

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::ExitCode;

use plumbing::Error;
use plumbing::checkout::checkout_tree;

use crate::cli::Globals;
use crate::report::Failure;
use crate::revisions;

/// Write the files of an image, container or commit into a folder
///
/// The folder gets everything that the root has: owners, modes, times to the nanosecond, extended attributes, hard links, devices,
/// pipes, sockets, names of any bytes; `rd write-tree` of it gives the same tree again. (Linux gives all symbolic links the mode
/// 0777.) `REV:/FOLDER` and trees can be checked out like revisions. Bytes are shared with the store where the filesystem can
/// (reflink), else copied.
///
/// DIR must be missing or empty, or --force be given. No link and no mount in it is followed. A missing DIR appears only when it is
/// complete. In a DIR that is there a file `.rd-checkout-unfinished` lies until it is.
///
/// Exit status: 0; 2 where rd failed.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  rd checkout-tree debian:12 /srv/debian
  rd checkout-tree web:1:/etc/nginx nginx
  test $(rd write-tree DIR) = $(rd write-tree OTHER)      whether two folders are the same")]
pub struct Args {
    /// Fill a DIR that has something in it: what is in the way is replaced, everything else stays
    #[arg(short, long)]
    force: bool,
    /// A revision, a tree, or a folder in one
    #[arg(value_name = "TREEISH")]
    tree: OsString,
    /// The folder
    dir: PathBuf,
}

pub fn run(args: Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let store = globals.store()?;
    let part = revisions::part(&store, args.tree.as_bytes())?;
    checkout_tree(&store, &part, &args.dir, args.force).map_err(|error| {
        let in_the_way = matches!(&error, Error::Invalid { what: "folder", .. });
        let failure = Failure::from(error);
        if in_the_way { failure.hint("empty it, or let --force replace what is in the way") } else { failure }
    })?;
    Ok(ExitCode::SUCCESS)
}

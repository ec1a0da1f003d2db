//! `rd mount`

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::ExitCode;

use porcelain::mounts::{self, Mounted, Request};

use crate::cli::Globals;
use crate::output::table::{Listing, Row, Style};
use crate::report::Failure;
use crate::revisions;

/// Mount the files of an image, container or commit on a folder, or list what is mounted
///
/// The mount is read-only, takes milliseconds whatever the image's size, and is one of the mount namespace that rd is called in.
/// Devices and setuid bits in it have no effect. It is there until `rd umount`, or the namespace or the machine ends; as long as
/// it is, `rd gc` keeps what it needs, whatever becomes of its name.
///
/// Without arguments, the mounts that rd made from this store are listed: where, of what, and the tree it had then.
///
/// Exit status: 0; 2 where rd failed.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  rd mount debian:12 /mnt && ls /mnt && rd umount /mnt
  rd mount web~1:/etc/nginx before && diff -r before /etc/nginx
  rd umount $(rd mount -q)                       unmount all")]
pub struct Args {
    /// Print the folders alone, one a line
    #[arg(short, long, conflicts_with = "revision")]
    quiet: bool,
    /// Print a JSON object for each mount, one a line
    #[arg(long, conflicts_with_all = ["quiet", "revision"])]
    json: bool,
    /// A revision, a tree, or a folder in one
    #[arg(value_name = "REV", requires = "dir")]
    revision: Option<OsString>,
    /// The folder
    dir: Option<PathBuf>,
}

const LISTING: Listing = Listing {
    headers: &[("Target", "TARGET"), ("Revision", "REVISION"), ("Tree", "TREE")],
    columns: &["Target", "Revision", "Tree"],
    quiet: "Target",
};

pub fn run(args: Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let store = globals.store()?;
    if let (Some(revision), Some(dir)) = (&args.revision, &args.dir) {
        // Until the note says that it is in use, nobody may remove it.
        let _hold = store.hold()?;
        let (tree, part) = revisions::tree_and_part(&store, revision.as_bytes())?;
        let request = Request { tree, part: &part, revision: revision.as_bytes().into() };
        mounts::mount(&store, &request, dir)?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<Row> = mounts::list(&store)?.iter().map(|mounted| row(mounted, args.json)).collect();
    let style = Style { format: args.json.then_some("json"), quiet: args.quiet };
    crate::output::emit(&LISTING.render(&style, &rows)?);
    Ok(ExitCode::SUCCESS)
}

fn row(mounted: &Mounted, whole: bool) -> Row {
    let tree = mounted.tree.to_string();
    let tree = if whole { &tree } else { crate::output::short(&tree) };
    Row::from_iter([
        ("Target".to_owned(), mounted.target.to_string_lossy().into()),
        ("Revision".to_owned(), mounted.revision.to_string().into()),
        ("Tree".to_owned(), tree.into()),
    ])
}

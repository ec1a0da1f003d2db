//! `rd write-tree`

use std::path::PathBuf;
use std::process::ExitCode;

use plumbing::disk::OpenDir;
use plumbing::gix::objs::Tree;
use plumbing::gix::objs::tree::{Entry, EntryKind};
use plumbing::write_tree::write_tree;

use crate::cli::Globals;
use crate::report::Failure;

/// Store a folder with all that is in it as a tree
///
/// The tree has three parts: `rootfs` (names and contents), `meta` (owners, modes, extended attributes, devices) and `times`.
/// Nothing in the folder is followed or changed. Prints the tree's id; `rd commit-tree` makes a commit of it once it has a
/// `config`.
///
/// Example: `rd ls-tree -r $(rd write-tree /etc)`.
#[derive(clap::Args)]
pub struct Args {
    /// The folder
    dir: PathBuf,
}

pub fn run(args: Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let store = globals.store()?;
    let dir = OpenDir::open(args.dir)?;
    let mut batch = store.batch();
    let ids = write_tree(&mut batch, dir)?;
    let entry = |name: &str, oid| Entry { mode: EntryKind::Tree.into(), filename: name.into(), oid };
    let mut entries = vec![entry("rootfs", ids.rootfs), entry("meta", ids.meta), entry("times", ids.times)];
    entries.sort();
    let id = batch.write_object(&Tree { entries })?;
    batch.finish()?;
    println!("{id}");
    Ok(ExitCode::SUCCESS)
}

//! `rd ls-tree`

mod format;
mod list;
mod pathspec;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use plumbing::bstr::{BString, ByteSlice};
use plumbing::gix::objs::Kind;

use crate::cli::Globals;
use crate::git::{self, Abbrev};
use crate::report::Failure;
use format::{Columns, Format};
use list::List;
use pathspec::Pathspec;

/// List the entries of a tree
///
/// Output and exit status are those of git-ls-tree(1). An image's files are in the tree `REV:rootfs`, under the names
/// that git allows; their sizes (-l) come from the contents that rd keeps.
///
/// FORMAT takes %(objectmode) %(objecttype) %(objectname) %(objectsize) %(objectsize:padded) %(path) %n %% and %xNN.
///
/// Examples: `rd ls-tree debian:12`, `rd ls-tree -r -l debian:12:rootfs/etc`,
/// `rd ls-tree -r --format='%(objectsize) %(path)' debian:12:rootfs`.
///
/// Exit status: 0; 1 a tree on the way can't be read; 128 failed.
#[derive(clap::Args)]
#[command(args_override_self = true, infer_long_args = true)]
#[command(args(git::options::negations(&NEGATIONS)))]
#[group(skip)]
pub struct Args {
    /// Show trees only
    #[arg(short = 'd')]
    trees_only: bool,
    /// Go into subtrees
    #[arg(short = 'r')]
    recursive: bool,
    /// Show subtrees while going into them
    #[arg(short = 't')]
    show_trees: bool,
    /// Show the sizes of blobs
    #[arg(short = 'l', long = "long", group = "mode")]
    long: bool,
    /// End lines with NUL and quote nothing
    #[arg(short = 'z')]
    nul: bool,
    /// Show names only
    #[arg(long, group = "mode")]
    name_only: bool,
    /// Show names only, too
    #[arg(long, group = "mode")]
    name_status: bool,
    /// Show ids only
    #[arg(long, group = "mode")]
    object_only: bool,
    /// Accepted for git's sake: a store has no folder that one could be in
    #[arg(long)]
    full_name: bool,
    /// Accepted for git's sake: a store has no folder that one could be in
    #[arg(long)]
    full_tree: bool,
    /// Show of each entry what FORMAT says
    #[arg(long, value_name = "FORMAT", conflicts_with = "mode", allow_hyphen_values = true)]
    format: Option<OsString>,
    /// Cut ids to N digits, or as many as needed
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, default_missing_value = "auto")]
    abbrev: Option<String>,
    /// The tree, or what leads to one
    #[arg(value_name = "TREEISH")]
    tree: OsString,
    /// Show these entries only; `:/PATH` and `:(literal)PATH` are paths too
    #[arg(value_name = "PATH")]
    paths: Vec<OsString>,
}

const NEGATIONS: [(&str, &str); 3] =
    [("no-abbrev", "abbrev"), ("no-full-name", "full_name"), ("no-full-tree", "full_tree")];

pub fn run(args: Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let abbrev = match args.abbrev.as_deref() {
        None => Abbrev::Full,
        Some("auto") => Abbrev::Auto,
        Some(number) => Abbrev::parse(number)?,
    };
    let store = globals.repository()?;
    let id = git::object(&store, args.tree.as_encoded_bytes())?;
    let paths = args.paths.iter().map(|path| path.as_encoded_bytes().as_bstr());
    let paths = Pathspec::parse(paths)?;
    let tree = git::peel(&store, id, Kind::Tree)?.ok_or_else(|| Failure::fatal("not a tree object"))?;
    let mut list = List {
        store: &store,
        objects: store.objects().into(),
        columns: columns(&args),
        abbrev,
        paths,
        trees_only: args.trees_only,
        recursive: args.recursive,
        // Folders are shown on the way where nothing else is.
        show_trees: args.show_trees || (args.trees_only && args.recursive),
        nul: args.nul,
        out: git::stdout(),
        line: Vec::new(),
    };
    let complete = list.walk(&tree, &mut BString::default(), 0);
    // What was found before a failure is shown.
    list.out.flush()?;
    Ok(if complete? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn columns(args: &Args) -> Columns {
    match &args.format {
        Some(format) => Format::parse(format.as_encoded_bytes()),
        None if args.long => Columns::Long,
        None if args.name_only || args.name_status => Columns::Name,
        None if args.object_only => Columns::Id,
        None => Columns::All,
    }
}

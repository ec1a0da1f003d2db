//! `rd ls-tree`

use std::io::Write;
use std::process::ExitCode;

use plumbing::bstr::{BStr, BString, ByteSlice};
use plumbing::gix::objs::Kind;
use plumbing::{Id, Store};

use crate::cli::Globals;
use crate::git::{self, Abbrev, tree};
use crate::report::Failure;

/// List the entries of a tree
///
/// Output and exit status are those of git-ls-tree(1). An image's files are in the tree `REV:rootfs`, under the names
/// that git allows; their sizes (-l) come from the contents that rd keeps.
///
/// Examples: `rd ls-tree debian:12`, `rd ls-tree -r -l debian:12:rootfs/etc`.
#[derive(clap::Args)]
#[command(args_override_self = true, infer_long_args = true)]
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
    #[arg(short = 'l', long = "long")]
    long: bool,
    /// End lines with NUL and quote nothing
    #[arg(short = 'z')]
    nul: bool,
    /// Show names only
    #[arg(long, alias = "name-status")]
    name_only: bool,
    /// Show ids only
    #[arg(long)]
    object_only: bool,
    /// Accepted for git's sake: a store has no folder that one could be in
    #[arg(long)]
    full_name: bool,
    /// Accepted for git's sake: a store has no folder that one could be in
    #[arg(long)]
    full_tree: bool,
    /// Cut ids to N digits, or as many as needed
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, default_missing_value = "auto")]
    abbrev: Option<String>,
    /// The tree, or what leads to one
    #[arg(value_name = "TREEISH")]
    tree: String,
    /// Show these entries only
    #[arg(value_name = "PATH")]
    paths: Vec<std::ffi::OsString>,
}

/// What of an entry is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Columns {
    All,
    Long,
    Name,
    Id,
}

pub fn run(args: Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let columns = columns(&args)?;
    let abbrev = match args.abbrev.as_deref() {
        None => Abbrev::Full,
        Some("auto") => Abbrev::Auto,
        Some(number) => Abbrev::parse(number)?,
    };
    let store = globals.repository()?;
    let id = git::object(&store, &args.tree)?;
    let tree = git::peel(&store, id, Kind::Tree)?.ok_or_else(|| Failure::fatal("not a tree object"))?;
    let paths = args.paths.iter().map(|path| normalize(path.as_encoded_bytes().as_bstr())).collect::<Result<_, _>>()?;
    let mut list = List { store: &store, args: &args, columns, abbrev, paths, out: git::stdout() };
    list.walk(&tree, &mut BString::default())?;
    list.out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn columns(args: &Args) -> Result<Columns, Failure> {
    match (args.long, args.name_only, args.object_only) {
        (false, false, false) => Ok(Columns::All),
        (true, false, false) => Ok(Columns::Long),
        (false, true, false) => Ok(Columns::Name),
        (false, false, true) => Ok(Columns::Id),
        _ => Err(Failure::usage("-l, --name-only and --object-only can't be used together")),
    }
}

/// A path as git compares it: without `.` and empty components, `..` resolved; a slash at the end stays.
fn normalize(path: &BStr) -> Result<BString, Failure> {
    if path.is_empty() {
        let why = "empty string is not a valid pathspec. please use . instead if you meant to match all paths";
        return Err(Failure::fatal(why));
    }
    let outside = || Failure::fatal(format!("{path}: '{path}' is outside repository"));
    if path.starts_with(b"/") {
        return Err(outside());
    }
    let mut kept: Vec<&[u8]> = Vec::new();
    for component in path.split_str("/") {
        match component {
            b"" | b"." => {}
            b".." => drop(kept.pop().ok_or_else(outside)?),
            name => kept.push(name),
        }
    }
    let mut out = BString::from(kept.join(&b'/'));
    if !out.is_empty() && (path.ends_with(b"/") || path.ends_with(b"/.") || path.ends_with(b"/..")) {
        out.push(b'/');
    }
    Ok(out)
}

struct List<'a> {
    store: &'a Store,
    args: &'a Args,
    columns: Columns,
    abbrev: Abbrev,
    paths: Vec<BString>,
    out: std::io::BufWriter<std::io::StdoutLock<'static>>,
}

impl List<'_> {
    /// List the tree `id`, whose path with a slash at its end is `base`.
    fn walk(&mut self, id: &Id, base: &mut BString) -> Result<(), Failure> {
        for entry in tree::read(self.store, id)? {
            let kind = tree::kind_of(entry.mode);
            if !self.is_wanted(base, entry.name.as_bstr(), kind) {
                continue;
            }
            let descend = kind == Kind::Tree && self.descends(base, entry.name.as_bstr());
            let length = base.len();
            base.extend_from_slice(&entry.name);
            let shown = match kind {
                Kind::Blob => !self.args.trees_only,
                Kind::Tree if descend => self.args.show_trees || (self.args.trees_only && self.args.recursive),
                _ => true,
            };
            if shown {
                self.print(&entry, kind, base.as_bstr())?;
            }
            if descend {
                base.push(b'/');
                self.walk(&entry.id, base)?;
            }
            base.truncate(length);
        }
        Ok(())
    }

    /// Whether an entry is, lies in, or leads to one of the paths that were asked for.
    fn is_wanted(&self, base: &BString, name: &BStr, kind: Kind) -> bool {
        self.paths.is_empty()
            || self.paths.iter().any(|path| is_interesting(path.as_bstr(), base.as_bstr(), name, kind))
    }

    /// Whether the folder `name` is gone into: always with -r, else on the way to a path.
    fn descends(&self, base: &BString, name: &BStr) -> bool {
        self.args.recursive
            || self.paths.iter().any(|path| {
                let rest = path.strip_prefix(base.as_slice()).and_then(|rest| rest.strip_prefix(name.as_bytes()));
                rest.is_some_and(|rest| rest.starts_with(b"/"))
            })
    }

    fn print(&mut self, entry: &tree::Entry, kind: Kind, path: &BStr) -> Result<(), Failure> {
        match self.columns {
            Columns::Name => {}
            Columns::Id => {
                let end = if self.args.nul { "\0" } else { "\n" };
                write!(self.out, "{}{end}", git::abbreviate(self.store, &entry.id, self.abbrev)?)?;
                return Ok(());
            }
            Columns::All | Columns::Long => {
                let id = git::abbreviate(self.store, &entry.id, self.abbrev)?;
                write!(self.out, "{} {kind} {id}", tree::octal(entry.mode))?;
                if self.columns == Columns::Long {
                    write!(self.out, " {:>7}", self.size(&entry.id, kind)?)?;
                }
                self.out.write_all(b"\t")?;
            }
        }
        Ok(tree::write_path(&mut self.out, path, self.args.nul)?)
    }

    fn size(&self, id: &Id, kind: Kind) -> Result<String, Failure> {
        if kind != Kind::Blob {
            return Ok("-".into());
        }
        let header = self.store.find_header(id)?;
        header
            .map(|(_, size)| size.to_string())
            .ok_or_else(|| Failure::fatal(format!("could not get object info about '{id}'")))
    }
}

/// git's `tree_entry_interesting` for a path without wildcards.
fn is_interesting(path: &BStr, base: &BStr, name: &BStr, kind: Kind) -> bool {
    if base.len() >= path.len() {
        let inside = path.is_empty() || path.ends_with(b"/") || base.get(path.len()) == Some(&b'/');
        return inside && base.starts_with(path);
    }
    let Some(rest) = path.strip_prefix(base.as_bytes()).and_then(|rest| rest.strip_prefix(name.as_bytes())) else {
        return false;
    };
    match (rest, kind) {
        (b"", _) => true,
        (b"/", Kind::Commit) => true,
        _ => rest.starts_with(b"/") && kind == Kind::Tree,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_normalized_as_git_does() {
        for (path, want) in [("a//b/", "a/b/"), ("./a", "a"), (".", ""), ("a/../b", "b"), ("a/.", "a/"), ("./", "")] {
            assert_eq!(normalize(path.into()).ok().unwrap(), want, "{path}");
        }
        for path in ["", "..", "a/../..", "/a"] {
            assert!(normalize(path.into()).is_err(), "{path}");
        }
    }
}

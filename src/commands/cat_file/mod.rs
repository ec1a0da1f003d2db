//! `rd cat-file`

mod batch;
mod format;
mod links;

use std::ffi::OsString;
use std::io::{BufWriter, Write};
use std::process::ExitCode;

use plumbing::bstr::{BStr, ByteSlice};
use plumbing::gix::objs::Kind;
use plumbing::store::{Found, Objects};
use plumbing::{Id, Store};

use crate::cli::Globals;
use crate::git;
use crate::report::Failure;

/// Show an object's content, type or size
///
/// The object is any revision, `REV:/PATH` for a file of an image among them. Output and exit status are those of
/// git-cat-file(1). Contents of files are blobs like any other, found where rd keeps them and copied without being held in
/// memory; --batch-all-objects shows them too.
///
/// The batch modes read a name a line and answer each as soon as it is read. FORMAT takes %(objectname) %(objecttype)
/// %(objectsize) %(objectsize:disk) %(deltabase) %(rest); the disk size of a content is that of its file. --batch-command
/// reads `info NAME`, `contents NAME` and, with --buffer, `flush`.
///
/// Examples: `rd cat-file -p debian:12`, `rd cat-file -p debian:12:/etc/os-release`, `rd cat-file -t 3f2a91`,
/// `rd cat-file --batch-all-objects --batch-check='%(objectsize) %(objectname)' | sort -n | tail`.
///
/// Exit status: 0; with -e 1 where there is no such object; 128 failed.
#[derive(clap::Args)]
#[command(args_override_self = true, infer_long_args = true)]
#[command(args(git::options::negations(&NEGATIONS)))]
#[group(skip)]
pub struct Args {
    /// Print the object's type
    #[arg(short = 't', group = "mode")]
    kind: bool,
    /// Print the object's size in bytes
    #[arg(short = 's', group = "mode")]
    size: bool,
    /// Print the object as its type demands
    #[arg(short = 'p', group = "mode")]
    pretty: bool,
    /// Print nothing; succeed if the object exists
    #[arg(short = 'e', group = "mode")]
    exists: bool,
    #[command(flatten)]
    batch: batch::Args,
    /// [TYPE] OBJECT: without -t, -s, -p or -e the type that is wanted, and a revision that leads to it
    #[arg(value_names = ["TYPE", "OBJECT"], num_args = 0..)]
    object: Vec<OsString>,
}

const NEGATIONS: [(&str, &str); 2] = [("no-follow-symlinks", "follow_symlinks"), ("no-unordered", "unordered")];

pub fn run(args: Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let has_mode = args.kind || args.size || args.pretty || args.exists;
    if let Some(batch) = args.batch.checked()? {
        if has_mode || !args.object.is_empty() {
            return Err(Failure::usage("batch modes take neither objects nor -t, -s, -p or -e"));
        }
        return batch::run(batch, &globals.repository()?);
    }
    let names: Vec<&BStr> = args.object.iter().map(|name| name.as_encoded_bytes().as_bstr()).collect();
    let (wanted, name) = match (names.as_slice(), has_mode) {
        ([name], true) => (None, *name),
        ([kind, name], false) => (Some(*kind), *name),
        ([..], true) => return Err(Failure::usage("one object is needed")),
        (names, false) => {
            let why = format!("only two arguments allowed in <type> <object> mode, not {}", names.len());
            return Err(Failure::usage(why));
        }
    };
    let store = globals.repository()?;
    let id = git::object(&store, name)?;
    let mut objects = store.objects();
    if let Some(kind) = wanted {
        return print_as(&store, &mut objects, &id, parse_kind(&kind.to_str_lossy())?, name);
    }
    let found = objects.find(&id)?;
    if args.exists {
        return Ok(if found.is_some() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let missing = match args.pretty {
        true => format!("Not a valid object name {name}"),
        false => "git cat-file: could not get object info".to_owned(),
    };
    let found = found.ok_or_else(|| Failure::fatal(missing))?;
    match (args.kind, args.size) {
        (true, _) => git::print_line(found.kind)?,
        (_, true) => git::print_line(found.size)?,
        _ if found.kind == Kind::Tree => {
            let mut out = git::stdout();
            git::tree::print(&store, &id, &mut out)?;
            out.flush()?;
        }
        _ => print_raw(&mut objects, &found)?,
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn parse_kind(text: &str) -> Result<Kind, Failure> {
    Kind::from_bytes(text.as_bytes()).map_err(|_| Failure::fatal(format!("invalid object type \"{text}\"")))
}

/// Print the object of `kind` that `id` leads to.
fn print_as(store: &Store, objects: &mut Objects<'_>, id: &Id, kind: Kind, name: &BStr) -> Result<ExitCode, Failure> {
    let led = git::peel(store, *id, kind)?.map(|id| objects.find(&id)).transpose()?.flatten();
    let found = led.ok_or_else(|| Failure::fatal(format!("git cat-file {name}: bad file")))?;
    print_raw(objects, &found)?;
    Ok(ExitCode::SUCCESS)
}

/// The object's bytes; what is large goes from file to file without passing through memory.
fn print_raw(objects: &mut Objects<'_>, found: &Found) -> Result<(), Failure> {
    let mut out = BufWriter::with_capacity(64 * 1024, git::stdout_file()?);
    objects.copy(found, &mut out)?;
    Ok(out.flush()?)
}

//! `rd cat-file`

use std::io::Write;
use std::process::ExitCode;

use plumbing::gix::objs::Kind;
use plumbing::{Error, Id, Store};

use crate::cli::Globals;
use crate::git;
use crate::report::Failure;

/// Show an object's content, type or size
///
/// The object is any revision, `REV:/PATH` for a file of an image among them. Output and exit status are those of
/// git-cat-file(1). Contents of files are found where rd keeps them.
///
/// Examples: `rd cat-file -p debian:12`, `rd cat-file -p debian:12:/etc/os-release`, `rd cat-file -t 3f2a91`.
///
/// Exit status: 0; with -e 1 where there is no such object; 128 failed.
#[derive(clap::Args)]
#[command(args_override_self = true, infer_long_args = true)]
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
    /// [TYPE] OBJECT: without -t, -s, -p or -e the type that is wanted, and a revision that leads to it
    #[arg(required = true, num_args = 1..=2, value_names = ["TYPE", "OBJECT"])]
    object: Vec<String>,
}

pub fn run(args: Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let has_mode = args.kind || args.size || args.pretty || args.exists;
    let store = globals.repository()?;
    let (wanted, name) = match (args.object.as_slice(), has_mode) {
        ([name], true) => (None, name),
        ([kind, name], false) => (Some(parse_kind(kind)?), name),
        ([..], true) => return Err(Failure::usage("too many arguments")),
        ([..], false) => return Err(Failure::usage("only two arguments allowed in <type> <object> mode, not 1")),
    };
    let id = git::name_to_id(&store, name)?.ok_or_else(|| Failure::fatal(format!("Not a valid object name {name}")))?;
    if let Some(kind) = wanted {
        let bad = || Failure::fatal(format!("git cat-file {name}: bad file"));
        print_raw(&store, &git::peel(&store, id, kind)?.ok_or_else(bad)?, kind)?;
        return Ok(ExitCode::SUCCESS);
    }
    let header = store.find_header(&id)?;
    if args.exists {
        return Ok(if header.is_some() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let missing = match args.pretty {
        true => format!("Not a valid object name {name}"),
        false => "git cat-file: could not get object info".to_owned(),
    };
    let (kind, size) = header.ok_or_else(|| Failure::fatal(missing))?;
    match (args.kind, args.size) {
        (true, _) => git::print_line(kind)?,
        (_, true) => git::print_line(size)?,
        _ if kind == Kind::Tree => {
            let mut out = git::stdout();
            git::tree::print(&store, &id, &mut out)?;
            out.flush()?;
        }
        _ => print_raw(&store, &id, kind)?,
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn parse_kind(text: &str) -> Result<Kind, Failure> {
    Kind::from_bytes(text.as_bytes()).map_err(|_| Failure::fatal(format!("invalid object type \"{text}\"")))
}

/// The object's bytes; a raw content goes from file to file without passing through memory.
fn print_raw(store: &Store, id: &Id, kind: Kind) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    if kind == Kind::Blob
        && let Some(mut file) = store.open_content(id)?
    {
        std::io::copy(&mut file, &mut out)?;
    } else {
        let object = store.repo().find_object(*id).map_err(Error::git(format!("read object {id}")))?;
        out.write_all(&object.data)?;
    }
    Ok(out.flush()?)
}

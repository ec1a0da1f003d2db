//! `rd hash-object`

use std::fs::File;
use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use plumbing::bstr::{BString, ByteSlice};
use plumbing::gix::hash::Kind as Hash;
use plumbing::gix::objs::{Kind, ObjectRef, compute_hash};
use plumbing::store::Batch;
use plumbing::{Error, Id};

use crate::cli::Globals;
use crate::git;
use crate::report::Failure;

/// Compute the id that git gives a file's bytes, and keep them in the store with -w
///
/// Output and exit status are those of git-hash-object(1); ids are SHA-256. Filters are never applied: an
/// image's files are kept as they are. A blob is kept as a raw content, anything else in git's object database.
///
/// Examples: `rd hash-object /etc/passwd`, `printf hello | rd hash-object -w --stdin`.
#[derive(clap::Args)]
#[command(args_override_self = true, infer_long_args = true)]
pub struct Args {
    /// The object's type
    #[arg(short = 't', value_name = "TYPE", default_value = "blob")]
    kind: String,
    /// Keep the object in the store
    #[arg(short = 'w')]
    write: bool,
    /// Read the object from standard input
    #[arg(long, action = clap::ArgAction::Count)]
    stdin: u8,
    /// Read the names of files from standard input, one a line
    #[arg(long)]
    stdin_paths: bool,
    /// Accepted for git's sake: no filters are ever applied
    #[arg(long)]
    no_filters: bool,
    /// Accepted for git's sake: no filters are ever applied
    #[arg(long, value_name = "FILE")]
    path: Option<PathBuf>,
    /// Refused: objects that git can't read would damage a store
    #[arg(long, hide = true)]
    literally: bool,
    /// The files
    files: Vec<PathBuf>,
}

pub fn run(args: Args, globals: &Globals) -> Result<ExitCode, Failure> {
    check(&args)?;
    let kind = super::cat_file::parse_kind(&args.kind)?;
    let store = args.write.then(|| globals.repository()).transpose()?;
    let hash = |source: Source<'_>| -> Result<(), Failure> {
        let mut batch = store.as_ref().map(|store| store.batch());
        let id = source.hash(kind, batch.as_mut())?;
        batch.map_or(Ok(()), Batch::finish)?;
        git::print_line(id)
    };
    if args.stdin > 0 {
        hash(Source::Stdin)?;
    }
    for file in &args.files {
        hash(Source::File(file))?;
    }
    if args.stdin_paths {
        for path in paths_from_stdin()? {
            hash(Source::File(&path?))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn check(args: &Args) -> Result<(), Failure> {
    if args.literally {
        let why = "--literally would write objects that neither git nor rd can read";
        return Err(Failure::usage(why).hint("hash them without -w by other means: `sha256sum`"));
    }
    let clash = match args {
        Args { stdin_paths: true, stdin: 1.., .. } => "Can't use --stdin-paths with --stdin",
        Args { stdin_paths: true, files, .. } if !files.is_empty() => "Can't specify files with --stdin-paths",
        Args { stdin_paths: true, path: Some(_), .. } => "Can't use --stdin-paths with --path",
        Args { path: Some(_), no_filters: true, .. } => "Can't use --path with --no-filters",
        Args { stdin: 2.., .. } => "Multiple --stdin arguments are not supported",
        _ => return Ok(()),
    };
    Err(Failure::usage(clash))
}

/// The lines of standard input as paths; quoted ones are unquoted.
fn paths_from_stdin() -> Result<impl Iterator<Item = Result<PathBuf, Failure>>, Failure> {
    use std::os::unix::ffi::OsStringExt;
    let lines = std::io::BufReader::new(std::io::stdin()).split(b'\n');
    Ok(lines.map(|line| {
        let line = BString::from(line?);
        let unquoted = plumbing::gix::quote::ansi_c::undo(line.as_bstr());
        let (path, _) = unquoted.map_err(|_| Failure::fatal("line is badly quoted"))?;
        Ok(PathBuf::from(std::ffi::OsString::from_vec(path.into_owned().into())))
    }))
}

/// Where an object comes from.
enum Source<'a> {
    Stdin,
    File(&'a Path),
}

impl Source<'_> {
    /// The id of the source's bytes, which are added to `batch`.
    fn hash(&self, kind: Kind, batch: Option<&mut Batch<'_>>) -> Result<Id, Failure> {
        match self {
            Source::File(path) => {
                let cant_open = |error: std::io::Error| {
                    Failure::fatal(format!("could not open '{}' for reading: {}", path.display(), os_text(&error)))
                };
                let mut file = File::open(path).map_err(cant_open)?;
                let about = file.metadata().map_err(cant_open)?;
                if about.is_file() && kind == Kind::Blob {
                    return stream(about.len(), &mut file, batch);
                }
                if about.is_dir() {
                    return Err(Failure::fatal(format!("Unable to hash {}", path.display())));
                }
                whole(&mut file, kind, batch)
            }
            Source::Stdin => whole(&mut std::io::stdin().lock(), kind, batch),
        }
    }
}

/// What the system says, without Rust's number behind it.
fn os_text(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

/// A blob whose size is known: never in memory as a whole.
fn stream(size: u64, reader: &mut dyn Read, batch: Option<&mut Batch<'_>>) -> Result<Id, Failure> {
    if let Some(batch) = batch {
        return Ok(batch.write_content(size, reader)?);
    }
    let mut hasher = plumbing::store::content_hasher(size);
    let mut buffer = vec![0; 256 * 1024];
    let mut left = size;
    while left > 0 {
        let got = reader.read(&mut buffer)?;
        let got = got.min(usize::try_from(left).unwrap_or(usize::MAX));
        if got == 0 {
            return Err(Failure::fatal("the file became shorter while it was read"));
        }
        hasher.update(&buffer[..got]);
        left -= got as u64;
    }
    hasher.try_finalize().map_err(|error| Failure::fatal(error.to_string()))
}

/// An object that has to be read to its end before its size is known, or before it can be checked.
fn whole(reader: &mut dyn Read, kind: Kind, batch: Option<&mut Batch<'_>>) -> Result<Id, Failure> {
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes)?;
    // The id of a malformed object can't be asked for either: git refuses it too.
    let valid = kind == Kind::Blob || ObjectRef::from_bytes(&bytes, kind, Hash::Sha256).is_ok();
    if !valid {
        return Err(Failure::fatal("refusing to create malformed object"));
    }
    match batch {
        Some(batch) if kind == Kind::Blob => Ok(batch.write_content(bytes.len() as u64, &mut bytes.as_slice())?),
        Some(batch) => Ok(batch.write(kind, &bytes)?),
        None => Ok(compute_hash(Hash::Sha256, kind, &bytes).map_err(Error::git("hash an object"))?),
    }
}

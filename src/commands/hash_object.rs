//! `rd hash-object`

use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use plumbing::gix::hash::Kind as Hash;
use plumbing::gix::objs::{Kind, compute_hash};
use plumbing::store::Batch;
use plumbing::{Error, Id, Store, well_formed};

use crate::cli::Globals;
use crate::git;
use crate::git::lines::Lines;
use crate::report::Failure;

/// Compute the id that git gives a file's bytes, and keep them in the store with -w
///
/// Output and exit status are those of git-hash-object(1); ids are SHA-256. Filters are never applied: an
/// image's files are kept as they are. A blob is kept as a raw content, anything else in git's object database. Trees,
/// commits and tags must be such that `git fsck --strict` accepts them.
///
/// Examples: `rd hash-object /etc/passwd`, `printf hello | rd hash-object -w --stdin`.
#[derive(clap::Args)]
#[command(args_override_self = true, infer_long_args = true)]
#[command(args(git::options::negations(&NEGATIONS)))]
pub struct Args {
    /// The object's type
    #[arg(short = 't', value_name = "TYPE", default_value = "blob", allow_hyphen_values = true)]
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
    #[arg(long, value_name = "FILE", allow_hyphen_values = true)]
    path: Option<PathBuf>,
    /// Refused: objects that git can't read would damage a store
    #[arg(long, hide = true)]
    literally: bool,
    /// The files
    files: Vec<PathBuf>,
}

const NEGATIONS: [(&str, &str); 4] =
    [("no-stdin", "stdin"), ("no-stdin-paths", "stdin_paths"), ("no-path", "path"), ("filters", "no_filters")];

pub fn run(args: Args, globals: &Globals) -> Result<ExitCode, Failure> {
    check(&args)?;
    let store = args.write.then(|| globals.repository()).transpose()?;
    let hasher = Hasher { store: store.as_ref(), kind: &args.kind };
    if args.stdin > 0 {
        hasher.stdin()?;
    }
    args.files.iter().try_for_each(|file| hasher.file(file))?;
    if args.stdin_paths {
        let mut lines = Lines::of_stdin(b'\n');
        while let Some(line) = lines.next_of_any_system()? {
            let unquoted = match line.starts_with(b"\"") {
                true => plumbing::gix::quote::ansi_c::undo(line).map_err(|_| Failure::fatal("line is badly quoted"))?.0,
                false => line.into(),
            };
            hasher.file(Path::new(std::ffi::OsStr::from_bytes(&unquoted)))?;
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
        Args { stdin_paths: true, .. } => return Ok(()),
        Args { path: Some(_), no_filters: true, .. } => "Can't use --path with --no-filters",
        Args { stdin: 2.., .. } => "Multiple --stdin arguments are not supported",
        _ => return Ok(()),
    };
    Err(Failure::usage(clash))
}

/// Standard input that is no file is held in memory up to this size, then in a file without a name.
const IN_MEMORY: usize = 1 << 20;

struct Hasher<'a> {
    /// Where objects are kept, if they are.
    store: Option<&'a Store>,
    kind: &'a str,
}

impl Hasher<'_> {
    fn file(&self, path: &Path) -> Result<(), Failure> {
        let cant_open = |error: std::io::Error| {
            Failure::fatal(format!("could not open '{}' for reading: {}", path.display(), os_text(&error)))
        };
        let mut file = File::open(path).map_err(cant_open)?;
        let about = file.metadata().map_err(cant_open)?;
        let cant_hash = |why: &str| Failure::fatal(format!("Unable to hash {}{why}", path.display()));
        match super::cat_file::parse_kind(self.kind)? {
            _ if about.is_dir() => Err(cant_hash("")),
            Kind::Blob if about.is_file() => self.blob(about.len(), &mut file),
            kind => self.other(kind, &mut file),
        }
    }

    fn stdin(&self) -> Result<(), Failure> {
        let mut input = std::io::stdin().lock();
        let kind = super::cat_file::parse_kind(self.kind)?;
        if kind == Kind::Blob && self.store.is_some() {
            let mut file = File::from(input.as_fd().try_clone_to_owned()?);
            let about = file.metadata()?;
            if about.is_file() {
                let left = about.len().saturating_sub(file.stream_position()?);
                return self.blob(left, &mut file);
            }
        }
        self.other(kind, &mut input)
    }

    /// A blob whose size is known: never in memory as a whole.
    fn blob(&self, size: u64, reader: &mut dyn Read) -> Result<(), Failure> {
        if let Some(store) = self.store {
            let mut batch = store.batch();
            let id = batch.write_content(size, reader)?;
            return finish(batch, id);
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
        let id = hasher.try_finalize().map_err(|error| Failure::fatal(error.to_string()))?;
        git::print_line(id)
    }

    /// What has to be read to its end before its size is known, or before it can be checked.
    fn other(&self, kind: Kind, reader: &mut dyn Read) -> Result<(), Failure> {
        if kind == Kind::Blob {
            let mut spool = tempfile::spooled_tempfile(IN_MEMORY);
            let size = std::io::copy(reader, &mut spool)?;
            spool.rewind()?;
            return self.blob(size, &mut spool);
        }
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes)?;
        // The id of a malformed object can't be asked for either: git refuses it too.
        if let Err(why) = well_formed::check(kind, &bytes) {
            return Err(Failure::fatal(format!("refusing to create malformed object: {why}")));
        }
        match self.store {
            Some(store) => {
                let mut batch = store.batch();
                let id = batch.write(kind, &bytes)?;
                finish(batch, id)
            }
            None => {
                let id = compute_hash(Hash::Sha256, kind, &bytes).map_err(Error::git("hash an object"))?;
                git::print_line(id)
            }
        }
    }
}

fn finish(batch: Batch<'_>, id: Id) -> Result<(), Failure> {
    batch.finish()?;
    git::print_line(id)
}

/// What the system says, without Rust's number behind it.
fn os_text(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

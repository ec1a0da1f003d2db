//! `rd mktree`

use std::ffi::OsString;
use std::process::ExitCode;

use plumbing::bstr::{BStr, BString, ByteSlice};
use plumbing::gix::objs::Kind;
use plumbing::{Id, Store};

use crate::cli::Globals;
use crate::git;
use crate::git::lines::Lines;
use crate::report::Failure;

/// Make a tree of lines as `ls-tree` prints them
///
/// Input, output and exit status are those of git-mktree(1). The entries may come in any order. With --batch a tree's id is
/// printed as soon as the empty line behind it was read.
///
/// Example: `rd ls-tree debian:12 | grep -v layer | rd mktree`.
#[derive(clap::Args)]
#[command(args_override_self = true, infer_long_args = true)]
#[command(args(git::options::negations(&[("no-missing", "missing"), ("no-batch", "batch")])))]
pub struct Args {
    /// Lines end with NUL, and names are not quoted
    #[arg(short = 'z')]
    nul: bool,
    /// Objects that aren't there are fine
    #[arg(long)]
    missing: bool,
    /// Make several trees, parted by empty lines
    #[arg(long)]
    batch: bool,
    /// git takes no notice of operands, so scripts may have them
    #[arg(hide = true)]
    _operands: Vec<OsString>,
}

pub fn run(args: Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let store = globals.repository()?;
    let mut lines = Lines::of_stdin(if args.nul { b'\0' } else { b'\n' });
    let mut entries = Vec::new();
    while let Some(line) = lines.next()? {
        // In git a line is a C string.
        let line = line.split(|byte| *byte == 0).next().unwrap_or_default().as_bstr();
        if !line.is_empty() {
            entries.push(entry(&store, line, &args)?);
        } else if args.batch {
            write(&store, std::mem::take(&mut entries))?;
        } else {
            return Err(Failure::fatal("input format error: (blank line only valid in batch mode)"));
        }
    }
    if !args.batch || !entries.is_empty() {
        write(&store, entries)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// An entry of a tree; its mode may be one that no other command would write.
struct Entry {
    mode: u32,
    name: BString,
    id: Id,
}

impl Entry {
    /// The kind of object that the mode speaks of.
    fn kind(&self) -> Kind {
        match self.mode & 0o170_000 {
            0o040_000 => Kind::Tree,
            0o160_000 => Kind::Commit,
            _ => Kind::Blob,
        }
    }

    /// Trees are sorted as if a slash ended the names of folders.
    fn sort_key(&self) -> impl Iterator<Item = u8> {
        let end = (self.kind() == Kind::Tree).then_some(b'/');
        self.name.iter().copied().chain(end)
    }
}

/// Write a tree and print its id.
fn write(store: &Store, mut entries: Vec<Entry>) -> Result<(), Failure> {
    entries.sort_by(|one, other| one.sort_key().cmp(other.sort_key()));
    let mut data = Vec::new();
    for entry in &entries {
        data.extend_from_slice(format!("{:o} ", entry.mode).as_bytes());
        data.extend_from_slice(&entry.name);
        data.push(0);
        data.extend_from_slice(entry.id.as_slice());
    }
    let mut batch = store.batch();
    let id = batch.write(Kind::Tree, &data)?;
    batch.finish()?;
    git::print_line(id)
}

/// `MODE SP TYPE SP ID TAB NAME`, as far as the store allows it.
fn entry(store: &Store, line: &BStr, args: &Args) -> Result<Entry, Failure> {
    let bad = || Failure::fatal(format!("input format error: {line}"));
    let (mode, rest) = mode(line).ok_or_else(bad)?;
    let (kind, rest) = rest.split_once_str(" ").ok_or_else(bad)?;
    let (id, name) = rest.split_at_checked(64).ok_or_else(bad)?;
    let id = Id::from_hex(id).map_err(|_| bad())?;
    let name = name.strip_prefix(b"\t").ok_or_else(bad)?;
    let name = match args.nul || !name.starts_with(b"\"") {
        true => name.into(),
        false => {
            let unquoted = plumbing::gix::quote::ansi_c::undo(name.as_bstr());
            unquoted.map_err(|_| Failure::fatal("invalid quoting"))?.0.into_owned()
        }
    };
    let entry = Entry { mode, name, id };
    check(store, &entry, &kind.to_str_lossy(), args.missing)?;
    Ok(entry)
}

/// An octal number as C reads it, with what follows the space behind it.
fn mode(line: &BStr) -> Option<(u32, &[u8])> {
    let start = line.trim_start();
    let digits = start.strip_prefix(b"+").unwrap_or(start);
    let count = digits.iter().take_while(|byte| matches!(byte, b'0'..=b'7')).count();
    let number = u64::from_str_radix(digits[..count].to_str().ok()?, 8).ok()?;
    // An `unsigned` takes the lower half.
    Some((number as u32, digits[count..].strip_prefix(b" ")?))
}

fn check(store: &Store, entry: &Entry, kind: &str, missing: bool) -> Result<(), Failure> {
    let Entry { name, id, .. } = entry;
    let wanted = entry.kind();
    if super::cat_file::parse_kind(kind)? != wanted {
        let why = format!("entry '{name}' object type ({kind}) doesn't match mode type ({wanted})");
        return Err(Failure::fatal(why));
    }
    match store.find_header(id)? {
        Some((found, _)) if found != wanted => {
            Err(Failure::fatal(format!("entry '{name}' object {id} is a {found} but specified type was ({wanted})")))
        }
        // A submodule's commit is somewhere else.
        None if !missing && wanted != Kind::Commit => {
            Err(Failure::fatal(format!("entry '{name}' object {id} is unavailable")))
        }
        _ if name.contains(&b'/') => Err(Failure::fatal(format!("path {name} contains slash"))),
        _ => Ok(()),
    }
}

//! `rd mktree`

use std::io::Read;
use std::process::ExitCode;

use plumbing::bstr::{BStr, BString, ByteSlice};
use plumbing::gix::objs::tree::{Entry, EntryMode};
use plumbing::gix::objs::{Kind, Tree};
use plumbing::{Id, Store};

use crate::cli::Globals;
use crate::git::{self, tree};
use crate::report::Failure;

/// Make a tree of lines as `ls-tree` prints them
///
/// Input, output and exit status are those of git-mktree(1). The entries may come in any order.
///
/// Example: `rd ls-tree debian:12 | grep -v layer | rd mktree`.
#[derive(clap::Args)]
#[command(args_override_self = true, infer_long_args = true)]
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
}

pub fn run(args: Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let store = globals.repository()?;
    let mut input = Vec::new();
    std::io::stdin().lock().read_to_end(&mut input)?;
    let end = if args.nul { b'\0' } else { b'\n' };
    let mut lines: Vec<&[u8]> = input.split(|byte| *byte == end).collect();
    // What follows the last line end is a line only if it isn't empty.
    if lines.last().is_some_and(|last| last.is_empty()) {
        lines.pop();
    }
    let mut entries = Vec::new();
    for line in lines {
        if line.is_empty() {
            if !args.batch {
                return Err(Failure::fatal("input format error: (blank line only valid in batch mode)"));
            }
            write(&store, std::mem::take(&mut entries))?;
            continue;
        }
        let entry = parse(line.as_bstr(), args.nul)?;
        if !args.missing {
            check_exists(&store, &entry)?;
        } else {
            check_kind(&store, &entry)?;
        }
        entries.push(entry);
    }
    if !args.batch || !entries.is_empty() {
        write(&store, entries)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Write a tree and print its id.
fn write(store: &Store, mut entries: Vec<Entry>) -> Result<(), Failure> {
    entries.sort();
    let mut batch = store.batch();
    let id = batch.write_object(&Tree { entries })?;
    batch.finish()?;
    git::print_line(id)
}

/// `MODE SP TYPE SP ID TAB NAME`
fn parse(line: &BStr, nul: bool) -> Result<Entry, Failure> {
    let bad = || Failure::fatal(format!("input format error: {line}"));
    let (before, name) = line.split_once_str("\t").ok_or_else(bad)?;
    let mut words = before.splitn_str(3, " ");
    let (mode, kind, id) = match (words.next(), words.next(), words.next()) {
        (Some(mode), Some(kind), Some(id)) => (mode, kind, id),
        _ => return Err(bad()),
    };
    let id = Id::from_hex(id).ok().filter(|id| id.kind() == plumbing::gix::hash::Kind::Sha256).ok_or_else(bad)?;
    let name = match nul {
        true => name.into(),
        // Without -z a NUL ends the name, as in git, where it is a C string.
        false => plumbing::gix::quote::ansi_c::undo(name.split(|b| *b == 0).next().unwrap_or_default().as_bstr())
            .map_err(|_| Failure::fatal("invalid quoting"))?
            .0
            .into_owned(),
    };
    entry(mode, kind, id, name, bad)
}

fn entry(mode: &[u8], kind: &[u8], oid: Id, filename: BString, bad: impl Fn() -> Failure) -> Result<Entry, Failure> {
    let number = mode.to_str().ok().and_then(|mode| u32::from_str_radix(mode, 8).ok()).ok_or_else(&bad)?;
    if filename.contains(&b'/') {
        return Err(Failure::fatal(format!("path {filename} contains slash")));
    }
    let mode = EntryMode::try_from(number).ok().filter(|mode| u32::from(mode.value()) == number);
    let mode = mode.ok_or_else(|| Failure::fatal(format!("{filename}: {number:o} is no mode that git has")))?;
    let kind = super::cat_file::parse_kind(&kind.to_str_lossy())?;
    if kind != tree::kind_of(mode) {
        return Err(Failure::fatal(format!(
            "entry '{filename}' object type ({kind}) doesn't match mode type ({})",
            tree::kind_of(mode)
        )));
    }
    Ok(Entry { mode, filename, oid })
}

fn check_exists(store: &Store, entry: &Entry) -> Result<(), Failure> {
    if entry.mode.is_commit() || store.find_header(&entry.oid)?.is_some() {
        return check_kind(store, entry);
    }
    Err(Failure::fatal(format!("entry '{}' object {} is unavailable", entry.filename, entry.oid)))
}

/// An object that is there must be of the kind that the line says.
fn check_kind(store: &Store, entry: &Entry) -> Result<(), Failure> {
    let wanted: Kind = tree::kind_of(entry.mode);
    match store.find_header(&entry.oid)? {
        Some((found, _)) if found != wanted => Err(Failure::fatal(format!(
            "entry '{}' object {} is a {found} but specified type was ({wanted})",
            entry.filename, entry.oid
        ))),
        _ => Ok(()),
    }
}

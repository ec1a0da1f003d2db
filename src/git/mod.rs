//! Git's manners, for the object commands: its words for failures, its names, abbreviations and lines.

pub mod date;
pub mod diff;
pub mod grep;
pub mod ident;
pub mod lines;
pub mod message;
pub mod options;
pub mod refs;
pub mod revisions;
pub mod tree;

use std::fs::File;
use std::io::{BufWriter, StdoutLock, Write};
use std::os::fd::AsFd;

use plumbing::bstr::{BStr, ByteSlice};
use plumbing::gix::hash::Prefix;
use plumbing::gix::objs::Kind;
use plumbing::{Error, Id, Store, revision};

use crate::report::Failure;

/// The object commands: what they print and end with is git's.
pub const COMMANDS: &[&str] = &[
    "bundle",
    "cat-file",
    "commit-tree",
    "count-objects",
    "describe",
    "diff-tree",
    "for-each-ref",
    "hash-object",
    "ls-tree",
    "merge-base",
    "mktree",
    "name-rev",
    "pack-refs",
    "reflog",
    "rev-list",
    "rev-parse",
    "show-ref",
    "symbolic-ref",
    "update-ref",
];

/// Where an object command prints: buffered, since an image has tens of thousands of lines.
pub fn stdout() -> BufWriter<StdoutLock<'static>> {
    BufWriter::with_capacity(64 * 1024, std::io::stdout().lock())
}

/// Standard output as a file, for those who buffer by themselves and for bytes that go from file to file.
pub fn stdout_file() -> Result<File, Failure> {
    Ok(std::io::stdout().as_fd().try_clone_to_owned()?.into())
}

/// The failure where the folder that was given holds no repository.
pub fn no_repository(error: Error) -> Failure {
    match error {
        Error::NotFound { what: "git repository", name } => Failure::fatal(format!("not a git repository: '{name}'")),
        error => error.into(),
    }
}

/// What a name stands for.
pub enum Named {
    /// The object of this id.
    Object(Id),
    /// None.
    Nothing,
    /// More than one; that has been said.
    Several,
}

/// What `text` names. A complete id names an object whether or not there is one.
pub fn lookup(store: &Store, text: impl AsRef<[u8]>) -> Result<Named, Failure> {
    let text = text.as_ref();
    if text.len() == 64
        && let Ok(id) = Id::from_hex(text)
    {
        return Ok(Named::Object(id));
    }
    // Without a name only the operators of reflogs are about `HEAD`.
    if matches!(text.first(), None | Some(b'^' | b'~')) {
        return Ok(Named::Nothing);
    }
    match revision::resolve(store, text) {
        Ok(id) => Ok(Named::Object(id)),
        Err(Error::NotFound { .. }) if has_relative_path(store, text.as_bstr()) => {
            Err(Failure::fatal("relative path syntax can't be used outside working tree"))
        }
        Err(Error::NotFound { .. }) => Ok(Named::Nothing),
        // An entry that a reflog doesn't have ends git at once, and so does a branch that follows none.
        Err(error @ Error::Invalid { what: "reflog entry" | "upstream" | "relative path", .. }) => {
            Err(Failure::fatal(error.to_string()))
        }
        Err(error @ (Error::Ambiguous { .. } | Error::Invalid { .. })) => {
            eprintln!("error: {}", crate::output::printable(&error.to_string()));
            Ok(if matches!(error, Error::Ambiguous { .. }) { Named::Several } else { Named::Nothing })
        }
        Err(error) => Err(error.into()),
    }
}

/// Whether `text` is a path relative to the folder that one is in, which a repository without files doesn't have.
fn has_relative_path(store: &Store, text: &BStr) -> bool {
    let starts = |path: &BStr| path.starts_with(b"./") || path.starts_with(b"../");
    text.contains_str(":.") && matches!(revision::tree_and_path(store, text), Ok(Some((_, path))) if starts(path))
}

/// The id that `text` names, if it names one.
pub fn name_to_id(store: &Store, text: impl AsRef<[u8]>) -> Result<Option<Id>, Failure> {
    Ok(match lookup(store, text)? {
        Named::Object(id) => Some(id),
        Named::Nothing | Named::Several => None,
    })
}

/// The id that `text` names, else git's failure.
pub fn object(store: &Store, text: impl AsRef<[u8]>) -> Result<Id, Failure> {
    let missing = |text: &[u8]| Failure::fatal(format!("Not a valid object name {}", text.as_bstr()));
    name_to_id(store, &text)?.ok_or_else(|| missing(text.as_ref()))
}

/// Follow tags, and a commit to its tree, until an object of `kind`; `None` where that leads nowhere.
pub fn peel(store: &Store, id: Id, kind: Kind) -> Result<Option<Id>, Failure> {
    match store.find_header(&id)? {
        None => Ok(None),
        Some((found, _)) if found == kind => Ok(Some(id)),
        Some((Kind::Tree | Kind::Blob, _)) => Ok(None),
        Some(_) => {
            let object = store.repo().find_object(id).map_err(Error::git(format!("read object {id}")))?;
            Ok(object.peel_to_kind(kind).ok().map(|object| object.id))
        }
    }
}

/// How many refs have this name, by the rules that git completes names with.
pub fn refs_named(store: &Store, name: &str) -> usize {
    let places = ["", "refs/", "refs/tags/", "refs/heads/", "refs/remotes/"].map(|prefix| format!("{prefix}{name}"));
    let is_full = |place: &String| place.starts_with("refs/") || place == "HEAD";
    let exists = |place: &&String| store.repo().try_find_reference(place.as_str()).ok().flatten().is_some();
    places.iter().filter(|place| is_full(place)).filter(exists).count()
}

/// How long an abbreviated id is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Abbrev {
    /// Complete.
    Full,
    /// As long as git finds fit for the number of objects.
    Auto,
    /// At least so long.
    AtLeast(usize),
}

impl Abbrev {
    /// The value of `--abbrev[=N]` as git reads it: 0 is complete, fewer than four digits are four.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let numeric = text.trim_start_matches([' ', '\t', '\n', '\r', '\u{b}', '\u{c}']).parse::<i128>();
        let number = numeric.map_err(|_| Failure::usage("option `abbrev' expects a numerical value".to_owned()))?;
        // A C `long` keeps to its limits, of which an `int` takes the lower half.
        let number = number.clamp(i64::MIN.into(), i64::MAX.into()) as i32;
        Ok(match number {
            0 => Abbrev::Full,
            number => Abbrev::AtLeast(usize::try_from(number).unwrap_or(0).max(4)),
        })
    }
}

/// A decimal number as C's strtol(3) reads it: with blanks and a sign before it, and nothing after it.
pub fn number(text: &str) -> Option<i64> {
    text.trim_start_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']).parse().ok()
}

/// Shortest automatic abbreviation.
const AUTO_MIN: u32 = 7;

/// The id in hex, cut to the length at which no other git object has the same digits.
pub fn abbreviate(store: &Store, id: &Id, abbrev: Abbrev) -> Result<String, Failure> {
    let hex = id.to_hex().to_string();
    let doing = || Error::git(format!("abbreviate {id}"));
    let start = match abbrev {
        Abbrev::Full => return Ok(hex),
        Abbrev::AtLeast(length) => length,
        Abbrev::Auto => {
            let count = store.repo().objects.packed_object_count().map_err(doing())?;
            ((64 - count.leading_zeros()).div_ceil(2)).max(AUTO_MIN) as usize
        }
    };
    for length in start..hex.len() {
        let prefix = Prefix::new(id, length).map_err(doing())?;
        let other = match store.repo().objects.lookup_prefix(prefix, None).map_err(doing())? {
            None => false,
            Some(Ok(found)) => found != *id,
            Some(Err(())) => true,
        };
        if !other {
            return Ok(hex[..length].to_owned());
        }
    }
    Ok(hex)
}

/// The same for an id that there may be none of; then as many zeros.
pub fn abbreviate_or_zeros(store: &Store, id: Option<&Id>, abbrev: Abbrev) -> Result<String, Failure> {
    let null = Id::null(plumbing::gix::hash::Kind::Sha256);
    abbreviate(store, id.unwrap_or(&null), abbrev)
}

/// Print `text` and a line end.
pub fn print_line(text: impl std::fmt::Display) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")?;
    Ok(out.flush()?)
}

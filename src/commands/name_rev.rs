//! `rd name-rev`

use std::io::{BufRead, Write};
use std::process::ExitCode;

use plumbing::ancestry::Ancestry;
use plumbing::bstr::{BStr, BString, ByteSlice};
use plumbing::gix::glob::wildmatch;
use plumbing::gix::objs::Kind;
use plumbing::name_rev::{Names, Tip};
use plumbing::revision::Shorten;
use plumbing::{Error, Id, Store};

use crate::cli::Globals;
use crate::git::refs::{Listed, Shortener};
use crate::git::{self, Abbrev, message};
use crate::report::Failure;

/// Name commits after the refs that reach them
///
/// Options, output and exit status are those of git-name-rev(1): `web@latest~3^2` is the way from a ref to the commit. The
/// lines of --all are in the order of ids; git's come in none.
///
/// Examples: `rd name-rev 3f2a91`, `rd rev-list web | rd name-rev --annotate-stdin`.
///
/// Exit status: 0; 128 failed, or with --no-undefined a name wasn't found.
#[derive(clap::Args)]
#[command(args_override_self = true, infer_long_args = true)]
pub struct Args {
    /// Print the name alone
    #[arg(long)]
    name_only: bool,
    /// Only tags
    #[arg(long)]
    tags: bool,
    /// Only refs that match
    #[arg(long, value_name = "PATTERN")]
    refs: Vec<String>,
    /// Not refs that match
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<String>,
    /// Every commit that a ref reaches
    #[arg(long)]
    all: bool,
    /// Copy standard input, with the names of ids in it added
    #[arg(long, alias = "stdin")]
    annotate_stdin: bool,
    /// Print 'undefined' for what has no name [default]
    #[arg(long, overrides_with = "no_undefined")]
    undefined: bool,
    /// Fail where something has no name
    #[arg(long)]
    no_undefined: bool,
    /// Print the short id of what has no name
    #[arg(long)]
    always: bool,
    #[arg(long, hide = true)]
    peel_tag: bool,
    /// What to name
    #[arg(value_name = "COMMIT")]
    commits: Vec<String>,
}

/// How names are made and printed.
pub struct Options {
    pub tags: bool,
    pub refs: Vec<String>,
    pub exclude: Vec<String>,
    pub name_only: bool,
    /// Print `undefined` rather than fail.
    pub undefined: bool,
    pub always: bool,
    /// Follow tags to commits first.
    pub peel: bool,
}

/// Clocks are wrong by a day at most.
const SLOP: i64 = 86_400;

pub fn run(args: Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let ways = [args.all, args.annotate_stdin, !args.commits.is_empty()];
    if ways.iter().filter(|set| **set).count() > 1 {
        return Err(Failure::usage("Specify either a list, or --all, not both!"));
    }
    let options = Options {
        tags: args.tags,
        refs: args.refs,
        exclude: args.exclude,
        name_only: args.name_only,
        undefined: !args.no_undefined,
        always: args.always,
        peel: args.peel_tag,
    };
    let store = globals.repository()?;
    if args.annotate_stdin {
        return annotate(&store, &options);
    }
    if args.all {
        return print_all(&store, &options);
    }
    print(&store, &options, &args.commits)
}

/// Print the names of `texts`.
pub fn print(store: &Store, options: &Options, texts: &[String]) -> Result<ExitCode, Failure> {
    let mut ancestry = Ancestry::new(store);
    let mut wanted = Vec::new();
    let mut oldest = i64::MAX;
    for text in texts {
        let skip = |what: &str| eprintln!("Could not get {what} for {}. Skipping.", crate::output::printable(text));
        let Some(id) = git::name_to_id(store, text)? else {
            skip("sha1");
            continue;
        };
        let Some((kind, _)) = store.find_header(&id)? else {
            skip("object");
            continue;
        };
        let commit = match kind {
            Kind::Commit | Kind::Tag => git::peel(store, id, Kind::Commit)?,
            _ => None,
        };
        if let Some(commit) = &commit {
            oldest = oldest.min(ancestry.node(commit)?.seconds);
        }
        match (options.peel, commit) {
            (true, None) => skip("commit"),
            (true, Some(commit)) => wanted.push((text, commit, Kind::Commit)),
            (false, _) => wanted.push((text, id, kind)),
        }
    }
    let names = names(store, options, &mut ancestry, oldest.saturating_sub(SLOP))?;
    let mut out = git::stdout();
    for (text, id, kind) in wanted {
        if let Err(failure) = show(store, options, &names, &mut out, Some(text), id, kind) {
            out.flush()?;
            return Err(failure);
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn print_all(store: &Store, options: &Options) -> Result<ExitCode, Failure> {
    let names = names(store, options, &mut Ancestry::new(store), i64::MIN)?;
    // Git looks at all commits that it had to read, which are those that any ref reaches.
    let mut tips = Vec::new();
    for listed in git::refs::list(store, "", false)? {
        tips.extend(git::peel(store, listed.id, Kind::Commit)?);
    }
    let mut ids: Vec<Id> = match options.tags || !options.refs.is_empty() || !options.exclude.is_empty() {
        true => names.commits().copied().chain(tips).collect(),
        false => names.commits().copied().collect(),
    };
    ids.sort();
    ids.dedup();
    let mut out = git::stdout();
    for id in ids {
        show(store, options, &names, &mut out, None, id, Kind::Commit)?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn show(
    store: &Store,
    options: &Options,
    names: &Names,
    out: &mut impl Write,
    text: Option<&str>,
    id: Id,
    kind: Kind,
) -> Result<(), Failure> {
    if !options.name_only {
        write!(out, "{} ", text.map_or_else(|| id.to_string(), str::to_owned))?;
    }
    match name(names, &id, kind) {
        Some(name) => {
            out.write_all(&name)?;
            writeln!(out)?;
        }
        None if options.undefined => writeln!(out, "undefined")?,
        None if options.always => writeln!(out, "{}", git::abbreviate(store, &id, Abbrev::Auto)?)?,
        None => return Err(Failure::fatal(format!("cannot describe '{id}'"))),
    }
    Ok(())
}

fn name(names: &Names, id: &Id, kind: Kind) -> Option<BString> {
    match kind {
        Kind::Commit => names.of_commit(id),
        _ => names.of_other(id).cloned(),
    }
}

fn names(store: &Store, options: &Options, ancestry: &mut Ancestry<'_>, oldest: i64) -> Result<Names, Failure> {
    let shortener = Shortener::new(store)?;
    let mut tips = Vec::new();
    for listed in git::refs::list(store, "", false)? {
        tips.extend(tip(store, options, &shortener, ancestry, listed)?);
    }
    Ok(Names::new(ancestry, tips, oldest)?)
}

/// The ref as one that commits are named after, if the options take it.
fn tip(
    store: &Store,
    options: &Options,
    shortener: &Shortener,
    ancestry: &mut Ancestry<'_>,
    listed: Listed,
) -> Result<Option<Tip>, Failure> {
    let path = listed.name.as_bstr();
    let is_tag = path.starts_with(b"refs/tags/");
    if (options.tags && !is_tag) || options.exclude.iter().any(|pattern| matching_end(path, pattern).is_some()) {
        return Ok(None);
    }
    let mut abbreviates = options.tags && options.name_only;
    if !options.refs.is_empty() {
        let ends: Vec<usize> = options.refs.iter().filter_map(|pattern| matching_end(path, pattern)).collect();
        if ends.is_empty() {
            return Ok(None);
        }
        abbreviates |= ends.iter().any(|at| *at > 0);
    }
    let (commit, tagged) = follow(store, listed.id)?;
    let seconds = match (tagged, commit) {
        (Some(seconds), _) => seconds,
        (None, Some(commit)) => ancestry.node(&commit)?.seconds,
        (None, None) => i64::MAX,
    };
    let name: BString = match abbreviates {
        true => shortener.shorten(path, Shorten::Loose).into(),
        false => path.strip_prefix(b"refs/heads/").or(path.strip_prefix(b"refs/")).unwrap_or(path).into(),
    };
    Ok(Some(Tip { name, id: listed.id, commit, seconds, is_tag, is_annotated: tagged.is_some() }))
}

/// Where the name, or what follows one of its slashes, matches the pattern.
fn matching_end(path: &BStr, pattern: &str) -> Option<usize> {
    let starts = std::iter::once(0).chain(path.find_iter("/").map(|at| at + 1));
    starts.into_iter().find(|at| wildmatch(pattern.into(), path[*at..].as_bstr(), wildmatch::Mode::empty()))
}

/// The commit at the end of tags, and when the last of these was made.
fn follow(store: &Store, id: Id) -> Result<(Option<Id>, Option<i64>), Failure> {
    let (mut id, mut tagged) = (id, None);
    loop {
        match store.find_header(&id)? {
            Some((Kind::Commit, _)) => return Ok((Some(id), tagged)),
            Some((Kind::Tag, _)) => {
                let data = store.read_object(&id, Kind::Tag)?;
                let time = message::header(&data, "tagger").and_then(message::time);
                tagged = Some(time.map_or(0, |time| time.seconds));
                let next = message::header(&data, "object").and_then(|hex| Id::from_hex(hex).ok());
                id = next.ok_or_else(|| Error::damaged(format!("tag {id}"), "it names no object"))?;
            }
            _ => return Ok((None, tagged)),
        }
    }
}

/// Copy standard input with the names of the ids in it.
fn annotate(store: &Store, options: &Options) -> Result<ExitCode, Failure> {
    let names = names(store, options, &mut Ancestry::new(store), i64::MIN)?;
    let mut out = git::stdout();
    let mut input = std::io::stdin().lock();
    let mut line = Vec::new();
    while input.read_until(b'\n', &mut line)? > 0 {
        let mut copied = 0;
        for (start, end) in ids_in(&line) {
            let Ok(id) = Id::from_hex(&line[start..end]) else { continue };
            let kind = store.find_header(&id)?.map(|(kind, _)| kind);
            let Some(found) = kind.and_then(|kind| name(&names, &id, kind)) else { continue };
            if options.name_only {
                out.write_all(&line[copied..start])?;
                out.write_all(&found)?;
            } else {
                out.write_all(&line[copied..end])?;
                write!(out, " ({found})")?;
            }
            copied = end;
        }
        out.write_all(line[copied..].strip_suffix(b"\n").unwrap_or(&line[copied..]))?;
        writeln!(out)?;
        line.clear();
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// Where whole ids stand in a line: runs of so many digits.
fn ids_in(line: &[u8]) -> Vec<(usize, usize)> {
    let is_digit = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
    let mut found = Vec::new();
    let mut start = 0;
    for run in line.chunk_by(|a, b| is_digit(a) == is_digit(b)) {
        if is_digit(&run[0]) && run.len() == 64 {
            found.push((start, start + 64));
        }
        start += run.len();
    }
    found
}

//! `rd bundle`

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use plumbing::bstr::{BString, ByteSlice};
use plumbing::bundle::{self, Contents, Header};
use plumbing::gix::objs::{Kind, TagRefIter};
use plumbing::walk::flag;
use plumbing::walk::objects::Filter;
use plumbing::{Error, Id, Store};

use crate::cli::Globals;
use crate::git::revisions::{Arguments, Named, Objects};
use crate::output::commits;
use crate::report::Failure;

/// Carry images and histories in a file, without a network
///
/// Files, output and exit status are those of git-bundle(1): `git bundle verify` and `git clone FILE DIR` read them. A bundle
/// holds the files of images too, so that nothing else is needed; with a range it holds what is new alone.
///
/// rd bundle create [-q] FILE REVISION…: the arguments of `rd rev-list`; `-` is standard output. Refs that are named
/// (images, containers, --all) are in the bundle.
///
/// rd bundle verify [-q] FILE: say what is in it, and whether this store has what it builds on.
///
/// rd bundle list-heads FILE [REF…]: list its refs.
///
/// rd bundle unbundle FILE [REF…]: take its objects and list its refs, which `rd update-ref` can then create. All objects
/// are checked, and all that the refs need must be there, before anything can be seen.
///
/// Examples: `rd bundle create web.bundle web`, `rd bundle create update.bundle web:1..web:2`,
/// `rd bundle unbundle web.bundle | while read id ref; do rd update-ref "$ref" "$id"; done`.
///
/// Exit status: 0; 1 it is no bundle, or can't be taken; 128 failed; 129 wrong usage.
#[derive(clap::Args)]
pub struct Args {
    /// create, verify, list-heads or unbundle, and its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

pub fn run(args: Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let (command, rest) = args.args.split_first().ok_or_else(|| Failure::usage("need a subcommand"))?;
    let flags = rest.iter().take_while(|arg| arg.starts_with('-') && *arg != "-").count();
    let (flags, rest) = rest.split_at(flags);
    let allowed: &[&str] = match command.as_str() {
        "create" => &["-q", "--quiet", "--progress", "--all-progress", "--all-progress-implied", "--version=3"],
        "verify" => &["-q", "--quiet"],
        "unbundle" => &["--progress"],
        "list-heads" => &[],
        _ => return Err(Failure::usage(format!("unknown subcommand: `{command}'"))),
    };
    if let Some(flag) = flags.iter().find(|flag| !allowed.contains(&flag.as_str())) {
        if let Some(version) = flag.strip_prefix("--version=").filter(|_| command == "create") {
            let why = match version {
                "2" => "cannot write bundle version 2 with algorithm sha256".to_owned(),
                _ => format!("unsupported bundle version {version}"),
            };
            return Err(Failure::fatal(why));
        }
        return Err(Failure::usage(format!("unknown option: {flag}")));
    }
    let (file, rest) = rest.split_first().ok_or_else(|| Failure::usage("need a <file> argument"))?;
    let quiet = flags.iter().any(|flag| flag == "-q" || flag == "--quiet");
    let store = globals.repository()?;
    match command.as_str() {
        "create" => create(&store, file, rest),
        "verify" => verify(&store, file, quiet),
        "list-heads" => read(file).and_then(|(header, _)| list(&header, rest)),
        _ => unbundle(&store, file, rest),
    }
}

fn create(store: &Store, file: &str, rest: &[String]) -> Result<ExitCode, Failure> {
    let mut arguments = Arguments::new(store);
    arguments.objects = Objects::All;
    arguments.take(rest, &mut |_, _| Ok(false)).map_err(|failure| failure.or_usage_status(1))?;
    let Arguments { options, tips, named, filter, .. } = arguments;
    let (since, until) = (options.since, options.until);
    let contents = Contents::of(store, options, &tips)?;
    let hidden = |id: &Id| tips.iter().any(|tip| tip.id == *id && tip.flags & flag::UNINTERESTING != 0);
    let mut header = Header { filter: filter_words(&filter), ..Header::default() };
    for id in &contents.prerequisites {
        let commit = store.read_header(id)?;
        header.prerequisites.push((*id, commits::subject(&commit)));
    }
    let mut too_old = Vec::new();
    for named in named.iter().filter(|named| !hidden(&named.id)) {
        let Some(name) = shown_name(store, named)? else { continue };
        let is_listed = header.references.iter().any(|(_, listed)| *listed == name);
        if is_listed {
            continue;
        }
        if !is_tag_of_time(store, &named.id, since, until)? {
            too_old.push(named.id);
            continue;
        }
        let is_commit = matches!(store.find_header(&named.id)?, Some((Kind::Commit, _)));
        if is_commit && !contents.commits.contains(&named.id) {
            eprintln!("warning: ref '{}' is excluded by the rev-list options", named.name);
            continue;
        }
        header.references.push((named.id, name));
    }
    if header.references.is_empty() {
        return Err(Failure::fatal("Refusing to create empty bundle."));
    }
    let negative = tips.iter().filter(|tip| tip.flags & flag::UNINTERESTING != 0).map(|tip| tip.id);
    let hidden: Vec<Id> = contents.prerequisites.iter().copied().chain(negative).chain(too_old).collect();
    let shown: Vec<Id> = tips.iter().map(|tip| tip.id).filter(|id| !hidden.contains(id)).collect();
    write(file, |out| {
        out.write_all(&header.encode())?;
        Ok(bundle::write_pack(store, &shown, &hidden, &filter, &mut Out(out))?)
    })?;
    Ok(ExitCode::SUCCESS)
}

/// A writer behind a reference.
struct Out<'o>(&'o mut dyn Write);

impl Write for Out<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

/// Write the file under a name of its own and rename it, so that nobody finds half of it; or write to standard output.
fn write(file: &str, fill: impl FnOnce(&mut dyn Write) -> Result<(), Failure>) -> Result<(), Failure> {
    if file == "-" {
        let mut out = crate::git::stdout();
        fill(&mut out)?;
        return Ok(out.flush()?);
    }
    let lock = PathBuf::from(format!("{file}.lock"));
    let opened = File::options().write(true).create_new(true).open(&lock);
    let opened =
        opened.map_err(|error| Failure::fatal(format!("Unable to create '{}'", lock.display())).caused_by(error))?;
    let outcome = write_to(opened, &lock, Path::new(file), fill);
    if outcome.is_err() {
        // What can't be removed is named in the message of the next attempt.
        let _ = std::fs::remove_file(&lock);
    }
    outcome
}

fn write_to(
    opened: File,
    lock: &Path,
    file: &Path,
    fill: impl FnOnce(&mut dyn Write) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut out = BufWriter::with_capacity(128 << 10, opened);
    fill(&mut out)?;
    let written = out.into_inner().map_err(|error| error.into_error())?;
    written.sync_all()?;
    std::fs::rename(lock, file)
        .map_err(|error| Failure::fatal(format!("cannot create '{}'", file.display())).caused_by(error))
}

/// The name under which a revision is in the bundle; `None` where it is no ref, or where its name is that of several.
fn shown_name(store: &Store, named: &Named) -> Result<Option<BString>, Failure> {
    let Some(full) = &named.reference else { return Ok(None) };
    if named.name == *full || named.name == "HEAD" || named.name.is_empty() {
        return Ok(Some(if named.name.is_empty() { "HEAD".into() } else { named.name.as_str().into() }));
    }
    if crate::git::refs_named(store, &named.name) > 1 {
        return Ok(None);
    }
    let doing = || Error::git(format!("read ref '{full}'"));
    let reference = store.repo().try_find_reference(full.as_str()).map_err(doing())?;
    let target = reference.and_then(|found| found.target().try_name().map(|name| name.as_bstr().to_owned()));
    Ok(Some(target.unwrap_or_else(|| full.as_str().into())))
}

/// Whether the object is no tag, or one of the time that was asked for.
fn is_tag_of_time(store: &Store, id: &Id, since: Option<i64>, until: Option<i64>) -> Result<bool, Failure> {
    if (since.is_none() && until.is_none()) || !matches!(store.find_header(id)?, Some((Kind::Tag, _))) {
        return Ok(true);
    }
    let data = store.read_object(id, Kind::Tag)?;
    let tagger = TagRefIter::from_bytes(&data, id.kind()).tagger().ok().flatten();
    let seconds = tagger.map(|who| who.seconds());
    Ok(seconds.is_none_or(|at| since.is_none_or(|since| since < at) && until.is_none_or(|until| until > at)))
}

/// The filter as a bundle's header names it.
fn filter_words(filter: &Filter) -> Option<String> {
    Some(match filter {
        Filter::None => return None,
        other => other.to_string(),
    })
}

/// Read the header of a bundle; the pack follows.
fn read(file: &str) -> Result<(Header, Box<dyn BufRead>), Failure> {
    let name = if file == "-" { "<stdin>" } else { file };
    let mut input: Box<dyn BufRead> = match file {
        "-" => Box::new(BufReader::with_capacity(128 << 10, std::io::stdin())),
        _ => {
            let opened = File::open(file);
            let opened =
                opened.map_err(|error| Failure::new(format!("could not open '{file}'")).caused_by(error).status(1))?;
            Box::new(BufReader::with_capacity(128 << 10, opened))
        }
    };
    let header = Header::read(&mut input).map_err(|error| Failure::from(error).status(1))?;
    let no_bundle = || Failure::new(format!("'{name}' does not look like a v2 or v3 bundle file")).status(1);
    Ok((header.ok_or_else(no_bundle)?, input))
}

/// Whether the store has what the bundle builds on; says what is missing.
fn check(store: &Store, header: &Header, quiet: bool) -> Result<bool, Failure> {
    let missing = bundle::missing(store, header);
    if !missing.is_empty() {
        if !quiet {
            eprintln!("error: Repository lacks these prerequisite commits:");
            missing.iter().for_each(|id| eprintln!("error: {id} "));
        }
        return Ok(false);
    }
    Ok(true)
}

fn verify(store: &Store, file: &str, quiet: bool) -> Result<ExitCode, Failure> {
    let (header, _) = read(file)?;
    if !check(store, &header, quiet)? {
        return Ok(ExitCode::FAILURE);
    }
    let connected = bundle::is_connected(store, &header)?;
    if !connected {
        eprintln!(
            "error: some prerequisite commits exist in the object store, but are not connected to the repository's history"
        );
    }
    if !quiet {
        print(&header)?;
    }
    if !connected {
        return Ok(ExitCode::FAILURE);
    }
    eprintln!("{} is okay", if file == "-" { "<stdin>" } else { file });
    Ok(ExitCode::SUCCESS)
}

fn print(header: &Header) -> Result<(), Failure> {
    let mut out = crate::git::stdout();
    let heading = |out: &mut dyn Write, verb: &str, count: usize| match count {
        1 => writeln!(out, "The bundle {verb} this ref:"),
        _ => writeln!(out, "The bundle {verb} these {count} refs:"),
    };
    heading(&mut out, "contains", header.references.len())?;
    for (id, name) in &header.references {
        writeln!(out, "{id} {name}")?;
    }
    if header.prerequisites.is_empty() {
        writeln!(out, "The bundle records a complete history.")?;
    } else {
        heading(&mut out, "requires", header.prerequisites.len())?;
        for (id, _) in &header.prerequisites {
            writeln!(out, "{id} ")?;
        }
    }
    writeln!(out, "The bundle uses this hash algorithm: sha256")?;
    if let Some(filter) = &header.filter {
        writeln!(out, "The bundle uses this filter: {filter}")?;
    }
    Ok(out.flush()?)
}

/// Print the refs, or those that were asked for.
fn list(header: &Header, names: &[String]) -> Result<ExitCode, Failure> {
    let mut out = crate::git::stdout();
    let is_wanted = |name: &BString| names.is_empty() || names.iter().any(|wanted| name.as_bstr() == wanted.as_bytes());
    for (id, name) in header.references.iter().filter(|(_, name)| is_wanted(name)) {
        out.write_all(&[format!("{id} ").as_bytes(), name, b"\n"].concat())?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn unbundle(store: &Store, file: &str, names: &[String]) -> Result<ExitCode, Failure> {
    let (header, input) = read(file)?;
    if !check(store, &header, false)? {
        return Ok(ExitCode::FAILURE);
    }
    bundle::unbundle(store, &header, input).map_err(|error| Failure::from(error).status(1))?;
    list(&header, names)
}

//! `-c` and `--cc`: what a merge has from none of its parents.

use std::io::Write;

use plumbing::Store;
use plumbing::bstr::{BStr, BString, ByteSlice};
use plumbing::diff::combined::{Hunk, combine};
use plumbing::diff::renames::{File, Pair, Status};

use super::lists::octal;
use super::options::Formats;
use super::{Options, quoted, read};
use crate::git::{self, Abbrev};
use crate::report::Failure;

/// A path that differs from all parents.
struct Path {
    path: BString,
    after: Option<File>,
    /// For each parent, how the path came to be as it is.
    pairs: Vec<Pair>,
}

/// Print what `by_parent`, the differences to each parent, have in common.
pub fn combined(
    out: &mut dyn Write,
    store: &Store,
    by_parent: &[Vec<Pair>],
    dense: bool,
    options: &Options,
) -> Result<(), Failure> {
    let Formats { numstat, stat, shortstat, summary, .. } = options.formats;
    let sums = Formats { numstat, stat, shortstat, summary, ..Formats::default() };
    let has_sums = !sums.is_default();
    if let Some(first) = by_parent.first().filter(|_| has_sums) {
        super::print(out, store, first, &Options { formats: sums, ..options.clone() })?;
    }
    let paths = common(by_parent);
    if paths.is_empty() {
        return Ok(());
    }
    if options.formats.has_lists() {
        paths.iter().try_for_each(|path| raw(out, store, path, options))?;
    }
    if options.formats.patch {
        if options.formats.has_lists() || has_sums {
            out.write_all(if options.nul { b"\0" } else { b"\n" })?;
        }
        paths.iter().try_for_each(|path| patch(out, store, path, dense, options))?;
    }
    Ok(())
}

fn common(by_parent: &[Vec<Pair>]) -> Vec<Path> {
    let Some((first, others)) = by_parent.split_first() else { return Vec::new() };
    let mut paths = Vec::new();
    for pair in first {
        let same = |pairs: &Vec<Pair>| pairs.iter().find(|other| other.path() == pair.path()).cloned();
        if let Some(others) = others.iter().map(same).collect::<Option<Vec<_>>>() {
            let (path, after) = (pair.path().to_owned(), pair.after.clone());
            paths.push(Path { path, after, pairs: [vec![pair.clone()], others].concat() });
        }
    }
    paths
}

fn raw(out: &mut dyn Write, store: &Store, path: &Path, options: &Options) -> Result<(), Failure> {
    let between: &[u8] = if options.nul { b"\0" } else { b"\t" };
    if !options.formats.name_only {
        if !options.formats.name_status {
            write!(out, "{}", ":".repeat(path.pairs.len()))?;
            for pair in &path.pairs {
                write!(out, "{} ", octal(pair.before.as_ref()))?;
            }
            write!(out, "{}", octal(path.after.as_ref()))?;
            for file in path.pairs.iter().map(|pair| &pair.before).chain([&path.after]) {
                write!(out, " {}", short(store, file, options.abbrev)?)?;
            }
            out.write_all(b" ")?;
        }
        for pair in &path.pairs {
            let letter = if pair.status == Status::TypeChanged { 'M' } else { pair.status.letter() };
            write!(out, "{letter}")?;
        }
        out.write_all(between)?;
    }
    if options.nul {
        out.write_all(&path.path)?;
        return Ok(out.write_all(b"\0")?);
    }
    line(out, b"", path.path.as_bstr())
}

fn short(store: &Store, file: &Option<File>, abbrev: Abbrev) -> Result<String, Failure> {
    git::abbreviate_or_zeros(store, file.as_ref().map(|file| &file.version.id), abbrev)
}

/// Print a line that ends with a path.
fn line(out: &mut dyn Write, start: &[u8], path: &BStr) -> Result<(), Failure> {
    Ok(out.write_all(&[start, &quoted(path), b"\n"].concat())?)
}

fn patch(out: &mut dyn Write, store: &Store, path: &Path, dense: bool, options: &Options) -> Result<(), Failure> {
    // git asks nothing of --text here.
    let plain = Options { text: false, ..options.clone() };
    let side = |file: &Option<File>| Ok::<_, Failure>(read(store, file.as_ref(), &plain)?.text);
    let result = side(&path.after)?;
    let befores = path.pairs.iter().map(|pair| side(&pair.before)).collect::<Result<Option<Vec<_>>, _>>()?;
    let mode = octal(path.after.as_ref());
    let mode_differs = path.pairs.iter().any(|pair| octal(pair.before.as_ref()) != mode);
    let (Some(result), Some(befores)) = (result, befores) else {
        header(out, store, path, dense, mode_differs, options)?;
        return Ok(out.write_all(b"Binary files differ\n")?);
    };
    let befores: Vec<&[u8]> = befores.iter().map(Vec::as_slice).collect();
    let hunks = combine(&befores, &result, options.context, dense);
    if hunks.is_empty() && !mode_differs {
        return Ok(());
    }
    let added = header(out, store, path, dense, mode_differs, options)?;
    let side = |prefix: &BString, exists: bool| -> BString {
        if exists { [prefix.as_slice(), &path.path].concat().into() } else { "/dev/null".into() }
    };
    line(out, b"--- ", side(&options.prefixes[0], !added).as_bstr())?;
    line(out, b"+++ ", side(&options.prefixes[1], path.after.is_some()).as_bstr())?;
    hunks.iter().try_for_each(|hunk| print_hunk(out, hunk))
}

/// Print what stands above the lines; whether no parent has the path.
fn header(
    out: &mut dyn Write,
    store: &Store,
    path: &Path,
    dense: bool,
    mode_differs: bool,
    options: &Options,
) -> Result<bool, Failure> {
    line(out, if dense { b"diff --cc " } else { b"diff --combined " }, path.path.as_bstr())?;
    let abbrev = if options.full_index { Abbrev::Full } else { Abbrev::Auto };
    let ids = path.pairs.iter().map(|pair| short(store, &pair.before, abbrev)).collect::<Result<Vec<_>, _>>()?;
    writeln!(out, "index {}..{}", ids.join(","), short(store, &path.after, abbrev)?)?;
    if !mode_differs {
        return Ok(false);
    }
    let added = path.after.is_some() && path.pairs.iter().all(|pair| pair.status == Status::Added);
    if added {
        writeln!(out, "new file mode {}", octal(path.after.as_ref()))?;
        return Ok(true);
    }
    let modes: Vec<String> = path.pairs.iter().map(|pair| octal(pair.before.as_ref())).collect();
    match &path.after {
        None => writeln!(out, "deleted file mode {}", modes.join(","))?,
        after => writeln!(out, "mode {}..{}", modes.join(","), octal(after.as_ref()))?,
    }
    Ok(false)
}

fn print_hunk(out: &mut dyn Write, hunk: &Hunk<'_>) -> Result<(), Failure> {
    let marker = "@".repeat(hunk.before.len() + 1);
    write!(out, "{marker}")?;
    for (start, length) in &hunk.before {
        write!(out, " -{start},{length}")?;
    }
    write!(out, " +{},{} {marker}", hunk.after.0, hunk.after.1)?;
    if let Some(heading) = hunk.heading {
        out.write_all(b" ")?;
        out.write_all(heading)?;
    }
    out.write_all(b"\n")?;
    for (signs, line) in &hunk.lines {
        out.write_all(&[signs.as_slice(), line, b"\n"].concat())?;
    }
    Ok(())
}

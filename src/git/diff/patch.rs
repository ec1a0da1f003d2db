//! `-p`: the lines that changed.

use std::io::Write;

use plumbing::bstr::{BStr, BString, ByteSlice};
use plumbing::diff::renames::{File, Pair, Status};
use plumbing::diff::text::{self, Hunk, Line};
use plumbing::{Id, Store};

use super::lists::octal;
use super::{Options, has_tree, quoted, read, similarity};
use crate::git::{self, Abbrev};
use crate::report::Failure;

/// Print the pair as a patch.
pub(super) fn print(out: &mut dyn Write, store: &Store, pair: &Pair, options: &Options) -> Result<(), Failure> {
    if has_tree(pair) {
        return Ok(());
    }
    if pair.status != Status::TypeChanged {
        return one(out, store, pair, options);
    }
    // Things of different kinds are not compared: one goes, another comes.
    let gone = Pair { after: None, ..pair.clone() };
    let come = Pair { before: None, ..pair.clone() };
    one(out, store, &gone, options)?;
    one(out, store, &come, options)
}

fn one(out: &mut dyn Write, store: &Store, pair: &Pair, options: &Options) -> Result<(), Failure> {
    let [a, b] = &options.prefixes;
    let [a, b] = if options.reverse { [b, a] } else { [a, b] };
    let label = |prefix: &BString, path: &BStr| quoted([prefix.as_slice(), path].concat().as_bstr());
    let (old, new) = (label(a, pair.old_path()), label(b, pair.path()));
    let (header, must_show) = header(store, pair, [&old, &new], options)?;
    let none = BString::from("/dev/null");
    let old = if pair.before.is_some() { &old } else { &none };
    let new = if pair.after.is_some() { &new } else { &none };
    let same = id(&pair.before) == id(&pair.after);
    let before = read(store, pair.before.as_ref(), options)?;
    let after = read(store, pair.after.as_ref(), options)?;
    let hunks = match (&before.text, &after.text) {
        _ if same => Vec::new(),
        (Some(before), Some(after)) => text::hunks(before, after, options.context),
        _ => {
            out.write_all(&header)?;
            return Ok(out.write_all(&[b"Binary files ", old.as_slice(), b" and ", new, b" differ\n"].concat())?);
        }
    };
    if must_show || !hunks.is_empty() {
        out.write_all(&header)?;
    }
    if !hunks.is_empty() {
        out.write_all(&[b"--- ", in_header(old).as_slice(), b"\n+++ ", &in_header(new), b"\n"].concat())?;
    }
    hunks.iter().try_for_each(|hunk| print_hunk(out, hunk))
}

/// What stands above the lines, and whether it says something by itself.
fn header(store: &Store, pair: &Pair, names: [&BString; 2], options: &Options) -> Result<(Vec<u8>, bool), Failure> {
    let [old, new] = names;
    let mut header = [b"diff --git ", old.as_slice(), b" ", new, b"\n"].concat();
    let (mode_a, mode_b) = (octal(pair.before.as_ref()), octal(pair.after.as_ref()));
    let mut must_show = true;
    match (&pair.before, &pair.after) {
        (None, _) => header.extend(format!("new file mode {mode_b}\n").bytes()),
        (_, None) => header.extend(format!("deleted file mode {mode_a}\n").bytes()),
        _ if mode_a != mode_b => header.extend(format!("old mode {mode_a}\nnew mode {mode_b}\n").bytes()),
        _ => must_show = false,
    }
    if let Status::Renamed | Status::Copied = pair.status {
        must_show = true;
        let word: &[u8] = if pair.status == Status::Renamed { b"rename" } else { b"copy" };
        header.extend(format!("similarity index {}%\n", similarity(pair)).bytes());
        header.extend([word, b" from ", &quoted(pair.old_path()), b"\n"].concat());
        header.extend([word, b" to ", &quoted(pair.path()), b"\n"].concat());
    }
    if id(&pair.before) != id(&pair.after) {
        let abbrev = match options.abbrev {
            _ if options.full_index => Abbrev::Full,
            Abbrev::Full => Abbrev::Auto,
            other => other,
        };
        let (a, b) = (short(store, &pair.before, abbrev)?, short(store, &pair.after, abbrev)?);
        header.extend(format!("index {a}..{b}").bytes());
        if mode_a == mode_b {
            header.extend(format!(" {mode_a}").bytes());
        }
        header.push(b'\n');
    }
    Ok((header, must_show))
}

fn id(file: &Option<File>) -> Option<Id> {
    file.as_ref().map(|file| file.version.id)
}

fn short(store: &Store, file: &Option<File>, abbrev: Abbrev) -> Result<String, Failure> {
    git::abbreviate_or_zeros(store, file.as_ref().map(|file| &file.version.id), abbrev)
}

/// git ends a name that has a blank with a tab, so that patch(1) finds its end.
fn in_header(name: &BString) -> Vec<u8> {
    let tab: &[u8] = if name.contains(&b' ') { b"\t" } else { b"" };
    [name.as_slice(), tab].concat()
}

fn print_hunk(out: &mut dyn Write, hunk: &Hunk<'_>) -> Result<(), Failure> {
    let range = |(start, len): (u32, u32)| if len == 1 { start.to_string() } else { format!("{start},{len}") };
    write!(out, "@@ -{} +{} @@", range(hunk.before), range(hunk.after))?;
    if let Some(heading) = hunk.heading {
        out.write_all(b" ")?;
        out.write_all(heading)?;
    }
    out.write_all(b"\n")?;
    for (kind, line) in &hunk.lines {
        out.write_all(match kind {
            Line::Kept => b" ",
            Line::Added => b"+",
            Line::Removed => b"-",
        })?;
        out.write_all(line)?;
        if !line.ends_with(b"\n") {
            out.write_all(b"\n\\ No newline at end of file\n")?;
        }
    }
    Ok(())
}

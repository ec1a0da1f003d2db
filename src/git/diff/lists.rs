//! Forms with a line for each file: raw, names, summary.

use std::io::Write;

use plumbing::Store;
use plumbing::bstr::{BStr, ByteSlice};
use plumbing::diff::renames::{File, Pair, Status};
use plumbing::gix::objs::tree::EntryMode;

use super::{Options, is_moved, quoted, similarity};
use crate::git::abbreviate_or_zeros;
use crate::report::Failure;

/// Print the pair as `--raw`, `--name-status` or `--name-only` has it.
pub(super) fn print(out: &mut dyn Write, store: &Store, pair: &Pair, options: &Options) -> Result<(), Failure> {
    let between: &[u8] = if options.nul { b"\0" } else { b"\t" };
    if options.formats.name_only {
        return name(out, pair.path(), options);
    }
    if !options.formats.name_status {
        write!(out, ":{} {} ", octal(pair.before.as_ref()), octal(pair.after.as_ref()))?;
        for file in [&pair.before, &pair.after] {
            write!(
                out,
                "{} ",
                abbreviate_or_zeros(store, file.as_ref().map(|file| &file.version.id), options.abbrev)?
            )?;
        }
    }
    match pair.score {
        0 => write!(out, "{}", pair.status.letter())?,
        _ => write!(out, "{}{:03}", pair.status.letter(), similarity(pair))?,
    }
    out.write_all(between)?;
    if is_moved(pair) {
        match options.nul {
            true => out.write_all(pair.old_path())?,
            false => out.write_all(&quoted(pair.old_path()))?,
        }
        out.write_all(between)?;
    }
    name(out, pair.path(), options)
}

fn name(out: &mut dyn Write, name: &BStr, options: &Options) -> Result<(), Failure> {
    if options.nul {
        out.write_all(name)?;
    } else {
        out.write_all(&quoted(name))?;
    }
    Ok(out.write_all(if options.nul { b"\0" } else { b"\n" })?)
}

/// The mode as git prints it; zeros where there is no file.
pub(super) fn octal(file: Option<&File>) -> String {
    format!("{:06o}", file.map_or(0, |file| file.version.mode.value()))
}

/// Print what came, went, moved or changed its mode; whether anything did.
pub(super) fn summary(out: &mut dyn Write, pairs: &[Pair]) -> Result<bool, Failure> {
    let mut any = false;
    for pair in pairs {
        let mode = |file: &Option<File>| octal(file.as_ref());
        let changed = mode_change(pair);
        match pair.status {
            Status::Added => write!(out, " create mode {} ", mode(&pair.after))?,
            Status::Deleted => write!(out, " delete mode {} ", mode(&pair.before))?,
            Status::Renamed | Status::Copied => {
                let word = if pair.status == Status::Renamed { "rename" } else { "copy" };
                write!(out, " {word} ")?;
                out.write_all(&moved(pair.old_path(), pair.path()))?;
                writeln!(out, " ({}%)", similarity(pair))?;
                if changed.is_some() {
                    writeln!(out, " mode change {} => {}", mode(&pair.before), mode(&pair.after))?;
                }
                any = true;
                continue;
            }
            Status::Modified | Status::TypeChanged if changed.is_some() => {
                write!(out, " mode change {} => {} ", mode(&pair.before), mode(&pair.after))?;
            }
            Status::Modified | Status::TypeChanged => continue,
        }
        any = true;
        out.write_all(&quoted(pair.path()))?;
        out.write_all(b"\n")?;
    }
    Ok(any)
}

/// Both modes, where they differ.
fn mode_change(pair: &Pair) -> Option<(EntryMode, EntryMode)> {
    let (before, after) = (pair.before.as_ref()?.version.mode, pair.after.as_ref()?.version.mode);
    (before != after).then_some((before, after))
}

/// `dir/{old => new}/file`: both paths with what they have in common once.
pub(super) fn moved(old: &BStr, new: &BStr) -> Vec<u8> {
    let (quoted_old, quoted_new) = (quoted(old), quoted(new));
    if quoted_old != old || quoted_new != new {
        return [&quoted_old, b" => ".as_slice(), &quoted_new].concat();
    }
    let same = old.iter().zip(new.iter()).take_while(|(a, b)| a == b).count();
    let prefix = old[..same].rfind_byte(b'/').map_or(0, |slash| slash + 1);
    // The slash before the suffix may be the one that ends the prefix.
    let least = prefix.saturating_sub(1);
    let mut suffix = 0;
    let (a, b) = (&old[least..], &new[least..]);
    for length in 1..=a.len().min(b.len()) {
        let (x, y) = (a[a.len() - length], b[b.len() - length]);
        if x != y {
            break;
        }
        if x == b'/' {
            suffix = length;
        }
    }
    let middle = |path: &BStr| -> Vec<u8> {
        let end = path.len() - suffix;
        if end > prefix { path[prefix..end].to_vec() } else { Vec::new() }
    };
    let (from, to) = (middle(old), middle(new));
    if prefix + suffix == 0 {
        return [&from, b" => ".as_slice(), &to].concat();
    }
    let (start, end) = (old[..prefix].as_bytes(), old[old.len() - suffix..].as_bytes());
    [start, b"{", &from, b" => ", &to, b"}", end].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moved_files_show_what_changed_in_their_path() {
        for (old, new, wanted) in [
            ("a", "b", "a => b"),
            ("dir/a", "dir/b", "dir/{a => b}"),
            ("dir/a", "a", "dir/a => a"),
            ("x/a", "y/a", "{x => y}/a"),
            ("d/x/a", "d/y/a", "d/{x => y}/a"),
            ("d/a", "d/s/a", "d/{ => s}/a"),
            ("d/s/a", "d/a", "d/{s => }/a"),
            ("\u{e4}", "b", "\"\\303\\244\" => b"),
        ] {
            assert_eq!(moved(old.into(), new.into()).as_bstr(), wanted, "{old} {new}");
        }
    }
}

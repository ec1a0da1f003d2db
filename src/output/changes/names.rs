//! `--name-only` and `--name-status`.

use plumbing::bstr::{BStr, ByteSlice};
use plumbing::diff::{ChangeKind, Difference};

use super::{CONFIG, Printer, Style};
use crate::output::quote::c_style;
use crate::report::Failure;

/// Print the lists that were asked for.
pub(super) fn print(printer: &mut Printer<'_>, difference: &Difference, style: &Style) -> Result<(), Failure> {
    if !style.name_only && !style.name_status {
        return Ok(());
    }
    for change in &difference.config {
        let kind = match (&change.before, &change.after) {
            (None, _) => ChangeKind::Added,
            (_, None) => ChangeKind::Deleted,
            _ => ChangeKind::Modified,
        };
        line(printer, kind, format!("{CONFIG}/{}", change.field).as_bytes().as_bstr(), style)?;
    }
    for change in &difference.files {
        line(printer, change.kind(), shown(change.path.as_bstr()), style)?;
    }
    Ok(())
}

/// The path as it is printed: the top folder is `.`.
pub(super) fn shown(path: &BStr) -> &BStr {
    if path.is_empty() { b".".as_bstr() } else { path }
}

fn line(printer: &mut Printer<'_>, kind: ChangeKind, path: &BStr, style: &Style) -> Result<(), Failure> {
    let end = if style.z { "\0" } else { "\n" };
    if style.name_status {
        let separator = if style.z { '\0' } else { '\t' };
        printer.screen.put(format!("{}{separator}", kind.letter()))?;
    }
    let name = if style.z { path.into() } else { c_style(path) };
    printer.screen.put(name.as_ref())?;
    printer.screen.put(end)?;
    Ok(())
}

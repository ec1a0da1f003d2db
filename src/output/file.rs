//! A command's one product: on stdout, or in a file that appears when it is complete.

use std::io::{BufWriter, IsTerminal, Write};
use std::path::Path;

use plumbing::Error;

use crate::report::Failure;

const BUFFER: usize = 128 * 1024;

/// Let `write` write to the file `output`, or to stdout, which must be no terminal.
///
/// A file is written beside its place and renamed, so that nobody takes half of it for the whole; devices and pipes are
/// written to.
pub fn write(output: Option<&Path>, write: impl FnOnce(&mut dyn Write) -> Result<(), Failure>) -> Result<(), Failure> {
    let Some(path) = output else {
        refuse_terminal()?;
        return buffered(std::io::stdout().lock(), write, Path::new("standard output"));
    };
    if std::fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        let file = std::fs::OpenOptions::new().write(true).open(path).map_err(Error::io("open", path))?;
        return buffered(file, write, path);
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let file = tempfile::Builder::new()
        .prefix(".rd-output-")
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .tempfile_in(folder)
        .map_err(Error::io("create a file in", folder))?;
    buffered(file.as_file(), write, path)?;
    file.persist(path).map_err(|error| Error::io("create", path)(error.error))?;
    Ok(())
}

/// Fail where stdout is a terminal, which takes no archive.
pub fn refuse_terminal() -> Result<(), Failure> {
    if std::io::stdout().is_terminal() {
        return Err(Failure::new("cowardly refusing to save to a terminal").hint("use the -o flag or redirect"));
    }
    Ok(())
}

fn buffered(
    out: impl Write,
    write: impl FnOnce(&mut dyn Write) -> Result<(), Failure>,
    path: &Path,
) -> Result<(), Failure> {
    let mut out = BufWriter::with_capacity(BUFFER, out);
    write(&mut out)?;
    Ok(out.flush().map_err(Error::io("write", path))?)
}

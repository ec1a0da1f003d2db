//! `rd mkfs`

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::ExitCode;

use plumbing::mount_image;

use crate::cli::Globals;
use crate::output::file;
use crate::report::Failure;
use crate::revisions;

/// Write the files of an image, container or commit as an EROFS image of metadata
///
/// The image holds names, attributes, links and files of up to 64 bytes; of larger files it names the contents in the store's
/// folder `content`, in the encoding of composefs. overlayfs brings both together: the image below, `content` as a data-only
/// layer. That is how `rd run` and `rd mount` mount roots. Equal roots give equal bytes.
///
/// Exit status: 0; 2 where rd failed.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  rd mkfs debian:12 -o debian.erofs
  rd mkfs debian:12 | sha256sum
  mount -t erofs -o ro debian.erofs image &&
    mount -t overlay -o ro,metacopy=on,redirect_dir=on,lowerdir=image::/var/lib/rd/content overlay files")]
pub struct Args {
    /// Write to a file, not to standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// A revision, a tree, or a folder in one
    #[arg(value_name = "REV")]
    revision: OsString,
}

pub fn run(args: Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let store = globals.store()?;
    let part = revisions::part(&store, args.revision.as_bytes())?;
    file::write(args.output.as_deref(), |out| {
        let image = mount_image::encode_part(&store, &part)?;
        Ok(out.write_all(&image).map_err(plumbing::Error::io("write", "the image"))?)
    })?;
    Ok(ExitCode::SUCCESS)
}

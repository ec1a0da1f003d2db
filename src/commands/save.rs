//! `rd save`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;
use plumbing::archive::{self, Named, Shape};
use plumbing::oci::{Encoding, Image};
use plumbing::{Id, ImageName, Store};
use porcelain::image;

use crate::cli::Globals;
use crate::output::file;
use crate::report::Failure;

/// Save images to an archive that every engine loads
///
/// An image that came from a registry or an OCI archive goes out as it came: manifest, configuration and layers byte for byte,
/// digests included. Any other commit, also one in the middle of an image's history, becomes an image of its own: the
/// layers of the image below it, and one for each commit that changed files; the same commit gives the same bytes everywhere.
///
/// The archive is an OCI layout in a tar. That of the format `docker` also has docker's list of images, so that docker, podman and
/// skopeo of any age read it; that of the format `oci` is the layout alone. The format `oci-dir` puts the images into a layout in a
/// folder: what else is there stays, but for images of the same name.
///
/// A repository's name without a tag stands for all its tags; what is no image's name (an id, a revision) is saved without one.
/// A layer whose compressed bytes the store doesn't have is compressed anew, with a warning: the image then has another digest.
///
/// Exit status: 0; 2 where rd failed.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  rd save -o web.tar web:1
  rd save web:1 web:2 | ssh host rd load
  rd save --format oci -o before.tar web:1~2
  rd save --format oci-dir -o layout web:1")]
pub struct Args {
    /// Write to a file or, with the format oci-dir, a folder, not to standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The archive's format
    #[arg(long, value_name = "FORMAT", default_value = "docker")]
    format: Format,
    /// Images, repositories or any revisions
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// docker's list of images in an OCI layout
    #[value(alias = "docker-archive")]
    Docker,
    /// an OCI layout
    #[value(alias = "oci-archive")]
    Oci,
    /// an OCI layout in a folder, which may be there already and have other images
    OciDir,
}

pub fn run(args: Args, globals: &Globals) -> Result<ExitCode, Failure> {
    match (&args.output, args.format) {
        (None, Format::OciDir) => return Err(Failure::new("a folder needs a name").hint("give it with -o")),
        (None, _) => file::refuse_terminal()?,
        (Some(_), _) => {}
    }
    let store = globals.store()?;
    let _hold = store.hold()?;
    let images = find_all(&store, &args.images)?;
    let shape = match (args.format, &args.output) {
        (Format::OciDir, Some(dir)) => {
            archive::save_layout(&store, &images, dir)?;
            return Ok(ExitCode::SUCCESS);
        }
        (Format::Docker, _) => Shape::Docker,
        (Format::Oci | Format::OciDir, _) => Shape::Oci,
    };
    file::write(args.output.as_deref(), |out| Ok(archive::save(&store, &images, shape, out)?))?;
    Ok(ExitCode::SUCCESS)
}

/// The images that were asked for, each once, in the order in which they were.
fn find_all(store: &Store, spellings: &[String]) -> Result<Vec<Named>, Failure> {
    let mut found: Vec<(Id, Vec<ImageName>)> = Vec::new();
    for spelling in spellings {
        for (id, name) in find(store, spelling)? {
            match found.iter_mut().find(|(known, _)| *known == id) {
                Some((_, names)) => names.extend(name.filter(|name| !names.contains(name))),
                None => found.push((id, name.into_iter().collect())),
            }
        }
    }
    found.into_iter().map(|(id, names)| Ok(Named { image: to_save(store, &id)?, names })).collect()
}

/// What a spelling stands for: an image, all images of a repository, or a commit without a name.
fn find(store: &Store, spelling: &str) -> Result<Vec<(Id, Option<ImageName>)>, Failure> {
    if let Ok(name) = ImageName::parse(spelling) {
        let is_repository = !spelling.rsplit('/').next().unwrap_or_default().contains(':');
        let names = image::names(store)?.into_iter().filter(|(other, _)| match is_repository {
            true => other.familiar_repository() == name.familiar_repository(),
            false => *other == name,
        });
        let named: Vec<_> = names.map(|(name, id)| (id, Some(name))).collect();
        if !named.is_empty() {
            return Ok(named);
        }
    }
    Ok(vec![(image::find_commit(store, spelling)?, None)])
}

/// The image of a commit, with what can't be had as it came compressed anew.
fn to_save(store: &Store, id: &Id) -> Result<Image, Failure> {
    let image = Image::of(store, id, None)?;
    let missing = image.missing(store)?;
    if missing.is_empty() {
        return Ok(image);
    }
    for digest in missing {
        eprintln!(
            "warning: the store doesn't have the layer {digest} as it came; it is compressed anew, and the image's digest changes"
        );
    }
    Ok(Image::of(store, id, Some(Encoding::default()))?)
}

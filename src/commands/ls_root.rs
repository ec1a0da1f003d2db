//! `rd ls-root`

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

use plumbing::Store;
use plumbing::bstr::ByteSlice;
use plumbing::diff::{Paths, What};
use plumbing::list::{Listed, Options, list};
use plumbing::root::Kind;

use crate::cli::Globals;
use crate::output::changes::json_entry;
use crate::output::fields::Format;
use crate::output::mtree::{self, KEYWORDS, shown_path};
use crate::output::screen::Screen;
use crate::report::Failure;
use crate::revisions;

/// List the files of an image, container or commit with all that is known of them
///
/// One line an entry, folders before what is in them, names in byte order: words `keyword=value` in the terms of mtree(5), a
/// tab, the path. The words, in this order and where the entry has them: `type` (file, dir, link, char, block, fifo, socket),
/// `mode`, `uid`, `gid`, `size` (of a folder: of all files in and below it), `device`, `time` (modification, nanoseconds), `link`
/// (the target), `id` (of the content, for `rd cat-file`), `nlink` and `hardlink` (of a file with several names: their number and
/// the first of them), `xattr.NAME` (in base64). Values are escaped as in the store's metadata lines (`\040` for a blank).
///
/// All of the root is listed, or what is at and below the paths. `REV:/FOLDER` is listed as a root of its own. A container is
/// listed as it was when it was created or last committed.
///
/// Exit status: 0; 2 where rd failed.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  rd ls-root debian:12 etc/apt '*.conf'
  rd ls-root debian:12 | grep ' mode=4'                    setuid files
  rd ls-root --format '%(size)%x09%(path)' debian:12 | sort -rn | head
  rd ls-root --depth 1 debian:12:/var                      what is in /var, and how large it is")]
pub struct Args {
    /// End lines with NUL instead of a line end, and quote no path
    #[arg(short)]
    z: bool,
    /// Show the paths alone
    #[arg(long, conflicts_with_all = ["format", "json"])]
    name_only: bool,
    /// Show these fields: `%(path)`, any keyword as `%(size)`, `%(xattrs)` for all of them
    #[arg(long, value_name = "FORMAT", conflicts_with = "json")]
    format: Option<String>,
    /// Print a JSON object for each entry, one a line
    #[arg(long)]
    json: bool,
    /// Go only so many folders deep; 0 is the top folder alone
    #[arg(long, value_name = "N")]
    depth: Option<usize>,
    /// A revision, a tree, or a folder in one
    #[arg(value_name = "REV")]
    revision: OsString,
    /// Only what is at or below these paths; `*` matches anything, `:!PATH` leaves out
    #[arg(value_name = "PATH")]
    paths: Vec<OsString>,
}

pub fn run(args: Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let is_field =
        |name: &str| KEYWORDS.contains(&name) || ["path", "xattrs"].contains(&name) || name.starts_with("xattr.");
    let form = match &args.format {
        _ if args.json => Form::Json,
        _ if args.name_only => Form::Name,
        Some(format) => Form::Format(Format::parse(format, is_field)?),
        None => Form::Words,
    };
    let store = globals.repository()?;
    let part = revisions::part(&store, args.revision.as_bytes())?;
    let paths: Vec<&[u8]> = args.paths.iter().map(|path| path.as_bytes()).collect();
    let options = Options { paths: Paths::parse(&paths)?, depth: args.depth };
    let mut screen = Screen::new();
    list(&store, &part, &options, |listed| -> Result<(), Failure> {
        let mut line = form.line(&store, &listed, args.z)?;
        line.push(if args.z { 0 } else { b'\n' });
        Ok(screen.put(line)?)
    })?;
    screen.finish()?;
    Ok(ExitCode::SUCCESS)
}

/// What of an entry is shown.
enum Form {
    Words,
    Name,
    Format(Format),
    Json,
}

impl Form {
    fn line(&self, store: &Store, listed: &Listed, nul: bool) -> Result<Vec<u8>, Failure> {
        let path = shown_path(listed.path.as_bstr(), nul);
        match self {
            Form::Name => return Ok(path.to_vec()),
            Form::Json => return json(store, listed),
            Form::Words | Form::Format(_) => {}
        }
        let words = mtree::words(store, &listed.entry, listed.size)?;
        let Form::Format(format) = self else {
            let mut line = mtree::join("", &words);
            line.push(b'\t');
            line.extend_from_slice(&path);
            return Ok(line);
        };
        Ok(format.render(|name| match name {
            "path" => path.as_bytes().into(),
            "xattrs" => {
                let xattrs: Vec<_> = words.iter().filter(|word| word.key.starts_with("xattr.")).cloned().collect();
                mtree::join("", &xattrs).into()
            }
            name => {
                let word = words.iter().find(|word| word.key == name);
                word.map_or(&b""[..], |word| word.value.as_bytes()).into()
            }
        }))
    }
}

fn json(store: &Store, listed: &Listed) -> Result<Vec<u8>, Failure> {
    let mut object = json_entry(shown_path(listed.path.as_bstr(), true).as_ref(), &listed.entry);
    if let What::Leaf(Kind::Symlink { id }) = &listed.entry.what {
        let target = mtree::target(store, id)?;
        object.insert("target".into(), target.to_str_lossy().into());
    }
    if let (What::Folder, Some(size)) = (&listed.entry.what, listed.size) {
        object.insert("size".into(), size.into());
    }
    Ok(serde_json::Value::Object(object).to_string().into_bytes())
}

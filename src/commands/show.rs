//! `rd show`

use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

use plumbing::bstr::{BString, ByteSlice};
use plumbing::diff::{Difference, Options, Side, compare};
use plumbing::gix::objs::Kind as ObjectKind;
use plumbing::history::Header;
use plumbing::revision::{self, Found, Revision};
use plumbing::root::{Kind, read_folder};
use plumbing::{Error, Id, Store};

use crate::cli::Globals;
use crate::output::changes;
use crate::output::commits::date::Style as DateStyle;
use crate::output::screen::{Part, Screen};
use crate::output::size;
use crate::report::Failure;
use crate::revisions;

use super::log::{CommitStyle, Shower};

/// Show a commit and what it changed, a file or folder of an image, or any object
///
/// A commit is shown with its changes against its first parent; of one without parents, a whole image, the
/// configuration and the number of files, unless -p, --stat or the like asks for all of them. `REV:/PATH` prints the
/// bytes of a file, the target of a link or the names in a folder; links are not followed. Tags, trees and blobs
/// are shown as git does.
///
/// Exit status: 0 done; 2 failed.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  rd show web                     the container's last commit
  rd show debian:12:/etc/passwd   a file of an image
  rd show web~2:/etc              the names in a folder, two commits ago
  rd show --stat web:1            what the last commit of an image changed")]
pub struct Args {
    /// Images, containers, other revisions, or paths in them
    #[arg(required = true, value_name = "REV[:/PATH]")]
    objects: Vec<std::ffi::OsString>,
    #[command(flatten)]
    commits: CommitStyle,
    #[command(flatten)]
    changes: changes::Style,
    /// Print a JSON object for each commit, one a line, with its changes
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let store = globals.store()?;
    let mut screen = Screen::new();
    let style = args.changes.clone().or_patch();
    let mut shower = Shower::new(&store, &screen, &args.commits, &style, args.json)?;
    shower.merges = true;
    let mut shown = Show { store: &store, args: &args, shower, any: false };
    for object in &args.objects {
        let revision = revisions::parse(&store, object.as_bytes())?;
        match &revision.path {
            Some(path) => shown.path(&mut screen, &revision, path, object.as_bytes())?,
            None => shown.object(&mut screen, revision.id, object.as_bytes())?,
        }
    }
    screen.finish()?;
    Ok(ExitCode::SUCCESS)
}

struct Show<'a> {
    store: &'a Store,
    args: &'a Args,
    shower: Shower<'a>,
    /// Whether something was shown that the next thing must be parted from.
    any: bool,
}

impl Show<'_> {
    fn object(&mut self, screen: &mut Screen, id: Id, spelling: &[u8]) -> Result<(), Failure> {
        let kind = self.store.repo().try_find_header(id).map_err(Error::git(format!("read object {id}")))?;
        match kind.map(|header| header.kind()) {
            Some(ObjectKind::Commit) => self.commit(screen, &self.store.read_header(&id)?),
            Some(ObjectKind::Tag) => self.tag(screen, &id),
            Some(ObjectKind::Tree) => self.tree(screen, &id, spelling),
            Some(ObjectKind::Blob) | None => self.blob(screen, &id),
        }
    }

    fn commit(&mut self, screen: &mut Screen, commit: &Header) -> Result<(), Failure> {
        if self.args.json {
            return self.shower.json(screen, commit);
        }
        let whole_image = commit.parents.is_empty() && !self.args.changes.is_chosen() && !self.args.changes.no_patch;
        if whole_image {
            self.shower.header(screen, commit)?;
            self.image(screen, commit)?;
        } else {
            self.shower.print(screen, commit)?;
        }
        self.any = true;
        Ok(())
    }

    /// What a whole image is made of, in few lines.
    fn image(&self, screen: &mut Screen, commit: &Header) -> Result<(), Failure> {
        if let Some(artifact) = plumbing::artifact::read(self.store, &commit.id)? {
            self.shower.part(screen)?;
            let manifest = self.store.read_blob(&artifact.manifest)?;
            return Ok(screen.put(format!("{}\n", String::from_utf8_lossy(&manifest).trim_end()))?);
        }
        let state = self.store.read_state(&commit.tree)?;
        let config = plumbing::diff::config::compare(b"{}", &self.store.read_blob(&state.config)?, false)?;
        self.shower.part(screen)?;
        changes::print(
            screen,
            self.store,
            &Difference { config, files: Vec::new() },
            &self.args.changes.clone().or_patch(),
        )?;
        let entries = compare(self.store, Side::Empty, Side::Stored(state.root), &Options::default())?;
        let folders = entries.iter().filter(|change| change.entry().is_folder()).count();
        let total = read_folder(self.store, &state.root)?.total;
        let text = format!(
            "{} files in {folders} folders, {} ({total} bytes)\n",
            entries.len() - folders,
            size::decimal(total)
        );
        Ok(screen.put(text)?)
    }

    /// A tag, then what it names.
    fn tag(&mut self, screen: &mut Screen, id: &Id) -> Result<(), Failure> {
        let data = self.store.read_object(id, ObjectKind::Tag)?;
        let bad = |error: &dyn std::fmt::Display| Error::damaged(format!("tag {id}"), error.to_string());
        let tag = plumbing::gix::objs::TagRef::from_bytes(&data, id.kind()).map_err(|error| bad(&error))?;
        self.part(screen)?;
        screen.paint(Part::Commit, [b"tag ", tag.name.as_bytes(), b"\n"].concat())?;
        if let Some(tagger) = tag.tagger().map_err(|error| bad(&error))? {
            let who = tagger.to_owned().map_err(|error| bad(&error))?;
            screen.put([b"Tagger: ", who.name.as_slice(), b" <", who.email.as_slice(), b">\n"].concat())?;
            screen.put(format!("Date:   {}\n", DateStyle::default().format(who.time)))?;
        }
        screen.put([b"\n", tag.message.as_bytes()].concat())?;
        if !tag.message.is_empty() && !tag.message.ends_with(b"\n") {
            screen.put("\n")?;
        }
        self.any = true;
        let target = tag.target();
        screen.put("\n")?;
        self.shower.restart();
        self.object(screen, target, target.to_string().as_bytes())
    }

    /// The names in a git tree, as git shows it.
    fn tree(&mut self, screen: &mut Screen, id: &Id, spelling: &[u8]) -> Result<(), Failure> {
        let entries = crate::git::tree::read(self.store, id)?;
        let names = entries.iter().map(|entry| {
            let slash = if entry.mode.is_tree() { "/" } else { "" };
            BString::from([entry.name.as_slice(), slash.as_bytes()].concat())
        });
        self.names(screen, spelling, names)
    }

    fn names(
        &mut self,
        screen: &mut Screen,
        spelling: &[u8],
        names: impl Iterator<Item = BString>,
    ) -> Result<(), Failure> {
        self.part(screen)?;
        screen.paint(Part::Commit, [b"tree ", spelling, b"\n"].concat())?;
        screen.put("\n")?;
        for name in names {
            screen.put([name.as_slice(), b"\n"].concat())?;
        }
        self.any = true;
        Ok(())
    }

    fn blob(&mut self, screen: &mut Screen, id: &Id) -> Result<(), Failure> {
        let (mut reader, _) = self.store.blob_reader(id)?;
        copy(screen, &mut reader)
    }

    /// What is at a path of an image.
    fn path(
        &mut self,
        screen: &mut Screen,
        revision: &Revision,
        path: &BString,
        spelling: &[u8],
    ) -> Result<(), Failure> {
        let root = self.store.read_commit(&revision::resolve_commit(self.store, revision.id.to_string())?)?.state.root;
        let missing = || Error::NotFound { what: "path", name: spelling.to_str_lossy().into_owned() };
        match revision::find(self.store, &root, path.as_ref())?.ok_or_else(missing)? {
            Found::Dir(ids) => {
                let folder = read_folder(self.store, &ids)?;
                let leaves = folder.leaves.into_keys().map(|name| (name, ""));
                let mut all: Vec<_> = leaves.chain(folder.dirs.into_keys().map(|name| (name, "/"))).collect();
                all.sort();
                self.names(
                    screen,
                    spelling,
                    all.into_iter().map(|(name, slash)| [&name, slash.as_bytes()].concat().into()),
                )
            }
            Found::Leaf(leaf) => match leaf.kind {
                Kind::File { id, .. } => self.blob(screen, &id),
                Kind::Symlink { id } => {
                    self.blob(screen, &id)?;
                    Ok(screen.put("\n")?)
                }
                Kind::Char { major, minor } => Ok(screen.put(format!("character device {major},{minor}\n"))?),
                Kind::Block { major, minor } => Ok(screen.put(format!("block device {major},{minor}\n"))?),
                Kind::Fifo => Ok(screen.put("fifo\n")?),
                Kind::Socket => Ok(screen.put("socket\n")?),
            },
        }
    }

    /// Part what comes from what was shown before.
    fn part(&self, screen: &mut Screen) -> Result<(), Failure> {
        if self.any {
            screen.put("\n")?;
        }
        Ok(())
    }
}

/// Hand on the bytes of a file, whatever its size. A terminal gets no control characters, as with all that is shown.
fn copy(screen: &mut Screen, reader: &mut dyn Read) -> Result<(), Failure> {
    let mut buffer = vec![0; 128 << 10];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => screen.put(&buffer[..length])?,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
}

//! Which commits the steps of images became: what the store read once needn't come again.
//!
//! Only what this store itself made of layers that it checked is noted in `cache/steps`. A commit that came from elsewhere
//! may look like a step and hold other files.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;

use gix::objs::Kind;

use crate::digest::Digest;
use crate::{Error, Id, Result, Store};

/// A longer file loses the lines of commits that are gone.
const LONG: u64 = 8 << 20;

/// All that determines the commit of a step.
#[derive(Debug)]
pub(super) struct Step<'m> {
    /// The commit of the step before.
    pub(super) parent: Option<Id>,
    /// The configuration that is its own.
    pub(super) config: &'m str,
    pub(super) message: &'m str,
    pub(super) seconds: i64,
    /// The digest of its layer's tar, where it has a layer.
    pub(super) diff_id: Option<Digest>,
}

impl Step<'_> {
    fn key(&self) -> Digest {
        let parent = self.parent.map_or_else(|| "-".into(), |id| id.to_string());
        let diff_id = self.diff_id.map_or_else(|| "-".into(), |id| id.to_string());
        let Self { config, message, seconds, .. } = self;
        Digest::of(format!("{parent}\n{diff_id}\n{seconds}\n{config}\n{message}").as_bytes())
    }
}

/// The notes.
pub(super) struct Known {
    file: PathBuf,
    commits: HashMap<Digest, Id>,
    fresh: String,
}

impl Known {
    /// Read them. A line of another form is ignored.
    pub(super) fn open(store: &Store) -> Result<Self> {
        let file = store.dir().join("cache/steps");
        let text = match fs::read(&file) {
            Ok(text) => String::from_utf8_lossy(&text).into_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(Error::io("read", file)(error)),
        };
        let mut known = Self { file, commits: text.lines().filter_map(parse).collect(), fresh: String::new() };
        if text.len() as u64 > LONG {
            known.shorten(store)?;
        }
        Ok(known)
    }

    /// The commit of `step`, where the store has it.
    pub(super) fn get(&self, store: &Store, step: &Step<'_>) -> Result<Option<Id>> {
        let Some(id) = self.commits.get(&step.key()) else { return Ok(None) };
        Ok(store.find_header(id)?.filter(|(kind, _)| *kind == Kind::Commit).map(|_| *id))
    }

    /// Note what `step` became.
    pub(super) fn add(&mut self, step: &Step<'_>, commit: Id) {
        let _ = writeln!(self.fresh, "{} {commit}", step.key().hex());
    }

    /// Write the new notes. They may be lost: then a layer is read again.
    pub(super) fn save(&self) -> Result<()> {
        if self.fresh.is_empty() {
            return Ok(());
        }
        let folder = self.file.parent().expect("because it is in the store");
        fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        let file = OpenOptions::new().append(true).create(true).open(&self.file);
        let mut file = file.map_err(Error::io("open", &self.file))?;
        file.write_all(self.fresh.as_bytes()).map_err(Error::io("write", &self.file))
    }

    fn shorten(&mut self, store: &Store) -> Result<()> {
        self.commits.retain(|_, id| store.has(id));
        let mut text = String::new();
        for (key, id) in &self.commits {
            let _ = writeln!(text, "{} {id}", key.hex());
        }
        let draft = self.file.with_extension(format!("{}", std::process::id()));
        fs::write(&draft, text).map_err(Error::io("write", &draft))?;
        fs::rename(&draft, &self.file).map_err(Error::io("rename", &draft))
    }
}

fn parse(line: &str) -> Option<(Digest, Id)> {
    let (key, id) = line.split_once(' ')?;
    Some((format!("sha256:{key}").parse().ok()?, Id::from_hex(id.as_bytes()).ok()?))
}

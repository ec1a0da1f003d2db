//! Refs and reflogs: a ref comes back from its reflog, a reflog keeps the lines that can be read.

use std::path::Path;

use gix::bstr::{BString, ByteSlice};

use super::Repair;
use crate::fsck::refs::{is_sound_packed_line, parse_log_line};
use crate::store::refs::Expect;
use crate::{Error, Id, Result};

impl Repair<'_> {
    pub(super) fn refs(&mut self) -> Result<()> {
        for (number, _) in self.open(&["packed-refs"]) {
            if !self.done.iter().zip(self.findings).any(|(done, other)| done.is_some() && other.kind == "packed-refs") {
                self.filter_lines(Path::new("packed-refs"), is_sound_packed_line)?;
            }
            self.did(number, "the other lines are kept");
        }
        for (number, finding) in self.open(&["ref"]) {
            let Some(path) = finding.path else { continue };
            self.done[number] = self.reference(&path, finding.state)?;
        }
        for (number, finding) in self.open(&["reflog"]) {
            let Some(path) = finding.path else { continue };
            self.done[number] = self.reflog(&path, finding.state)?;
        }
        Ok(())
    }

    /// A ref that is lost or holds no id goes where its reflog ends.
    fn reference(&mut self, name: &Path, state: &str) -> Result<Option<String>> {
        let text = std::fs::read(self.store.dir().join("logs").join(name)).unwrap_or_default();
        let mut moves = text.lines_with_terminator().rev().filter_map(|line| parse_log_line(line.as_bstr()));
        let Some(last) = moves.next().map(|line| line.new).filter(|id| !id.is_null()) else { return Ok(None) };
        let Some(name) = name.to_str().filter(|name| name.starts_with("refs/")) else { return Ok(None) };
        let is_readable = self.store.get_ref(name).is_ok_and(|id| id.is_some());
        // One that has an id is where somebody put it: git without reflogs, perhaps.
        if is_readable || self.store.read_commit(&last).is_err() && !self.store.has(&last) {
            return Ok(None);
        }
        if state == "damaged" {
            self.aside.take(Path::new(name))?;
        }
        self.store.update_ref(name, last, Expect::Missing, "fsck: restore")?;
        Ok(Some(format!("restored from its reflog, at {last}")))
    }

    fn reflog(&mut self, path: &Path, state: &str) -> Result<Option<String>> {
        let file = self.store.dir().join(path);
        if state == "damaged" && file.metadata().is_ok_and(|about| about.len() > 0) {
            self.filter_lines(path, |line| parse_log_line(line.as_bstr()).is_some())?;
            return Ok(Some("the other lines are kept".into()));
        }
        let name = path.strip_prefix("logs").unwrap_or(path).to_string_lossy().into_owned();
        let Some(id) = self.store.get_ref(&name)? else { return Ok(None) };
        let who = crate::commit::host_signature()?;
        let null = Id::null(gix::hash::Kind::Sha256);
        let mut line: BString =
            format!("{null} {id} {} <{}> {} +0000\tfsck: the reflog was lost\n", who.name, who.email, who.time.seconds)
                .into();
        let draft = self.aside.draft()?;
        std::fs::write(&draft, line.as_mut_slice()).map_err(Error::io("write", &draft))?;
        self.aside.replace(&draft, path)?;
        Ok(Some("begun anew".into()))
    }

    /// Keep the lines of a file that can be read.
    fn filter_lines(&mut self, path: &Path, is_good: impl Fn(&[u8]) -> bool) -> Result<()> {
        let file = self.store.dir().join(path);
        let text = std::fs::read(&file).map_err(Error::io("read", &file))?;
        let good: Vec<u8> = text.lines_with_terminator().filter(|line| is_good(line)).flatten().copied().collect();
        if good == text {
            return Ok(());
        }
        let draft = self.aside.draft()?;
        std::fs::write(&draft, good).map_err(Error::io("write", &draft))?;
        self.aside.replace(&draft, path)
    }
}

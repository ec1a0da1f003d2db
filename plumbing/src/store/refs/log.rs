//! Reflogs: a line a move, appended under the ref's lock (gitrepository-layout(5)).

use std::io::{ErrorKind, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;

use gix::actor::Signature;
use gix::bstr::{BStr, BString, ByteSlice, ByteVec};

use super::lock::{Lock, with_suffix};
use super::place::{Value, is_shared};
use crate::store::{Store, sync};
use crate::{Error, Id, Result};

/// A line of a reflog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Where the ref was; null where it was made.
    pub old: Id,
    /// Where it went.
    pub new: Id,
    /// Who moved it, and when: `Name <email>`, seconds since 1970, and the offset as it is written (`+0200`).
    pub who: BString,
    /// Seconds since 1970.
    pub seconds: i64,
    /// The offset from UTC as it is written.
    pub zone: BString,
    /// Why; may be empty.
    pub message: BString,
}

/// How lines are left out of a log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pruning {
    /// Let each line begin where the one before it, of those that stay, ends.
    pub chain: bool,
    /// Move the ref to where the last line that stays ends.
    pub update_ref: bool,
    /// Only find out what would go.
    pub dry_run: bool,
}

impl LogLine {
    /// Read a line without its end; `None` where it isn't one.
    pub fn decode(line: &BStr) -> Option<Self> {
        let id = |bytes: &[u8]| Id::from_hex(bytes).ok();
        let (old, rest) = (id(line.get(..64)?)?, line.get(64..)?.strip_prefix(b" ")?);
        let (new, rest) = (id(rest.get(..64)?)?, rest.get(64..)?.strip_prefix(b" ")?);
        let (person, message) = rest.split_once_str("\t").unwrap_or((rest, b""));
        let end = person.rfind_byte(b'>')? + 1;
        let mut words = person[end..].split_str(" ").filter(|word| !word.is_empty());
        let seconds = words.next()?.to_str().ok()?.parse().ok()?;
        let zone = words.next()?;
        Some(Self { old, new, who: person[..end].into(), seconds, zone: zone.into(), message: message.into() })
    }

    /// The line with its end.
    pub fn encode(&self) -> Vec<u8> {
        let mut line = format!("{} {} ", self.old, self.new).into_bytes();
        line.push_str(&self.who);
        line.push_str(format!(" {} ", self.seconds));
        line.push_str(&self.zone);
        if !self.message.is_empty() {
            line.push(b'\t');
            line.push_str(&self.message);
        }
        line.push(b'\n');
        line
    }

    /// As [`encode`](Self::encode), with the tab before a message that is empty, as git has it where it writes a log anew.
    fn encode_with_tab(&self) -> Vec<u8> {
        let mut line = self.encode();
        if self.message.is_empty() {
            line.insert(line.len() - 1, b'\t');
        }
        line
    }

    pub(super) fn new(old: Id, new: Id, who: &Signature, message: &BStr) -> Self {
        let mut zone = Vec::new();
        let offset = who.time.offset;
        let (sign, minutes) = (if offset < 0 { '-' } else { '+' }, offset.unsigned_abs() / 60);
        zone.push_str(format!("{sign}{:02}{:02}", minutes / 60, minutes % 60));
        let person = [who.name.as_bytes(), b" <", who.email.as_bytes(), b">"].concat();
        let message = one_line(message);
        Self { old, new, who: person.into(), seconds: who.time.seconds, zone: zone.into(), message }
    }
}

/// Add a line to a log: whole or not at all. What a command that was killed left of a line goes.
fn append(file: &mut std::fs::File, line: &[u8]) -> std::io::Result<()> {
    let mut size = file.metadata()?.len();
    while size > 0 {
        let mut last = [0; 256];
        let from = size.saturating_sub(last.len() as u64);
        let last = &mut last[..(size - from) as usize];
        file.read_exact_at(last, from)?;
        let end = last.rfind_byte(b'\n').map_or(from, |at| from + at as u64 + 1);
        if end == size {
            break;
        }
        file.set_len(end)?;
        size = end;
    }
    file.write_all(line).inspect_err(|_| drop(file.set_len(size)))
}

/// A message with each run of blanks and line ends as one blank, as git writes it.
fn one_line(message: &BStr) -> BString {
    let words = message.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(&b' ').into()
}

impl Store {
    /// The lines of the reflog of `name`, the oldest first; `None` where it has none. Lines that a crash cut short are
    /// left out.
    pub fn read_log(&self, name: &BStr) -> Result<Option<Vec<LogLine>>> {
        let path = self.log_file(name);
        match std::fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes.lines().filter_map(|line| LogLine::decode(line.as_bstr())).collect())),
            Err(error) => match error.kind() {
                ErrorKind::NotFound | ErrorKind::IsADirectory | ErrorKind::NotADirectory => Ok(None),
                _ => Err(Error::io("read", path)(error)),
            },
        }
    }

    /// Whether the ref has a reflog.
    pub fn has_log(&self, name: &BStr) -> bool {
        self.log_file(name).is_file()
    }

    /// Whether a ref of this name gets a reflog when it is made (git-config(1), `core.logAllRefUpdates`).
    pub(super) fn begins_log(&self, name: &BStr) -> bool {
        let config = self.repo().config_snapshot();
        let value = config.string("core.logAllRefUpdates").map(|value| value.to_string().to_lowercase());
        let some = match value.as_deref() {
            Some("always") => return true,
            Some(_) => config.boolean("core.logAllRefUpdates").unwrap_or(false),
            None => !self.repo().is_bare(),
        };
        let usual = ["refs/heads/", "refs/remotes/", "refs/notes/"];
        some && (name == "HEAD" || usual.iter().any(|prefix| name.starts_with(prefix.as_bytes())))
    }

    /// Append a line to the log of `name`, if it has one or gets one.
    pub(super) fn append_log(&self, name: &BStr, line: &LogLine, begin: bool, durable: bool) -> Result<()> {
        let path = self.log_file(name);
        let begin = begin || self.begins_log(name);
        for _ in 0..8 {
            let opened = std::fs::File::options().read(true).append(true).create(begin).open(&path);
            let error = match opened {
                Ok(mut file) => {
                    append(&mut file, &line.encode()).map_err(Error::io("write", &path))?;
                    return if durable { file.sync_data().map_err(Error::io("sync", &path)) } else { Ok(()) };
                }
                Err(error) => error,
            };
            match error.kind() {
                ErrorKind::NotFound if !begin => return Ok(()),
                ErrorKind::NotFound => {
                    // Folders that became empty are removed by others while we make them.
                    let folder = path.parent().unwrap_or(Path::new("."));
                    match std::fs::create_dir_all(folder) {
                        Err(error) if error.kind() != ErrorKind::NotFound => {
                            return Err(Error::io("create", folder)(error));
                        }
                        _ => {}
                    }
                }
                ErrorKind::IsADirectory => remove_empty_folders(&path),
                _ => return Err(Error::io("open", path)(error)),
            }
        }
        Err(Error::io("open", path)(ErrorKind::NotFound.into()))
    }

    /// Take back the last line of the log of `name` where it tells of a move that didn't happen: the ref, whose lock must be
    /// held, is still at `now`.
    pub(super) fn settle_log(&self, name: &BStr, now: Option<Id>) -> Result<()> {
        let path = self.log_file(name);
        let Ok(bytes) = std::fs::read(&path) else { return Ok(()) };
        let Some(last) = bytes.lines_with_terminator().next_back() else { return Ok(()) };
        let Some(line) = LogLine::decode(last.trim_end_with(|c| c == '\n').as_bstr()) else { return Ok(()) };
        let place = |id: Id| Some(id).filter(|id| !id.is_null());
        if place(line.new) == now || place(line.old) != now {
            return Ok(());
        }
        let size = (bytes.len() - last.len()) as u64;
        if size == 0 && now.is_none() {
            return self.remove_log(name);
        }
        let cut = std::fs::File::options().write(true).open(&path).and_then(|file| file.set_len(size));
        cut.map_err(Error::io("shorten", path))
    }

    /// Remove the log of a ref that is removed.
    pub(super) fn remove_log(&self, name: &BStr) -> Result<()> {
        let path = self.log_file(name);
        match std::fs::remove_file(&path) {
            Ok(()) => {}
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::IsADirectory => return Ok(()),
            Err(error) => return Err(Error::io("remove", path)(error)),
        }
        if is_shared(name) {
            remove_empty_parents(&path, &self.repo().common_dir().join("logs/refs"));
        }
        Ok(())
    }

    /// Leave out those lines of a log for which `prune` says so, the oldest first; all lines come back, each with whether it
    /// was to go. `None` where the ref has no log.
    pub fn prune_log(
        &self,
        name: &BStr,
        how: Pruning,
        mut prune: impl FnMut(&LogLine) -> Result<bool>,
    ) -> Result<Option<Vec<(LogLine, bool)>>> {
        let lock = Lock::acquire(&self.ref_file(name))?;
        let Some(lines) = self.read_log(name)? else { return Ok(None) };
        let null = Id::null(gix::hash::Kind::Sha256);
        let mut last = null;
        let mut all = Vec::with_capacity(lines.len());
        for mut line in lines {
            if how.chain {
                line.old = last;
            }
            let goes = prune(&line)?;
            if !goes {
                last = line.new;
            }
            all.push((line, goes));
        }
        if !how.dry_run {
            self.replace_log(name, all.iter().filter(|(_, goes)| !goes).map(|(line, _)| line))?;
            let is_direct = !matches!(self.read_loose(name)?, Some(Value::Symbolic(_)));
            if how.update_ref && is_direct && !last.is_null() {
                self.put_loose(name, &Value::Id(last))?;
            }
        }
        drop(lock);
        Ok(Some(all))
    }

    /// Replace the lines of a log; the ref's lock must be held.
    fn replace_log<'l>(&self, name: &BStr, lines: impl Iterator<Item = &'l LogLine>) -> Result<()> {
        let path = self.log_file(name);
        let new = with_suffix(&path, ".lock");
        let bytes: Vec<u8> = lines.flat_map(LogLine::encode_with_tab).collect();
        std::fs::write(&new, bytes).map_err(Error::io("write", &new))?;
        sync::sync_file(&new)?;
        std::fs::rename(&new, &path).map_err(Error::io("replace", &path))?;
        sync::sync_folder(path.parent().unwrap_or(Path::new(".")))
    }

    /// Write a loose ref; its lock must be held.
    fn put_loose(&self, name: &BStr, value: &Value) -> Result<()> {
        let path = self.ref_file(name);
        let new = with_suffix(&path, ".lock.lock");
        std::fs::write(&new, value.encode()).map_err(Error::io("write", &new))?;
        sync::sync_file(&new)?;
        std::fs::rename(&new, &path).map_err(Error::io("replace", &path))?;
        sync::sync_folder(path.parent().unwrap_or(Path::new(".")))
    }

    /// The names of all refs that have a reflog, whether or not they exist themselves, sorted.
    pub fn logged_refs(&self) -> Result<Vec<BString>> {
        let mut found = Vec::new();
        let bases = [self.repo().git_dir(), self.repo().common_dir()];
        for base in bases.iter().take(if bases[0] == bases[1] { 1 } else { 2 }) {
            let logs = base.join("logs");
            for entry in walkdir::WalkDir::new(&logs).min_depth(1) {
                let Ok(entry) = entry else { continue };
                let name = entry.path().strip_prefix(&logs).map(|path| BString::from(path.as_os_str().as_bytes()));
                if let Ok(name) = name
                    && entry.file_type().is_file()
                    && super::place::is_full_name(name.as_bstr())
                {
                    found.push(name);
                }
            }
        }
        found.sort();
        found.dedup();
        Ok(found)
    }
}

/// Remove `folder` if nothing but empty folders is in it.
pub(super) fn remove_empty_folders(folder: &Path) {
    let found = walkdir::WalkDir::new(folder).contents_first(true).into_iter().filter_map(|entry| entry.ok());
    found.filter(|entry| entry.file_type().is_dir()).for_each(|entry| drop(std::fs::remove_dir(entry.path())));
}

/// Remove the folders above `path` that are empty, below the folders in `top`.
pub(super) fn remove_empty_parents(path: &Path, top: &Path) {
    for folder in path.ancestors().skip(1) {
        let is_kind = folder.parent().is_none_or(|parent| parent == top);
        if !folder.starts_with(top) || folder == top || is_kind || std::fs::remove_dir(folder).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_back() {
        let (a, b) = ("a".repeat(64), "b".repeat(64));
        for line in [
            format!("{a} {b} A U Thor <a@b> 1714559400 +0200\tcommit: x y"),
            format!("{a} {b} A <a@b> 0 -0130"),
            format!("{a} {b}  <> -5 +0000\tm"),
        ] {
            let read = LogLine::decode(line.as_str().into()).unwrap();
            assert_eq!(read.encode().as_bstr(), format!("{line}\n").as_bytes().as_bstr());
            for cut in 0..line.len() - 16 {
                assert_eq!(LogLine::decode(line[..cut].into()), None, "{cut} of {line}");
            }
        }
    }

    #[test]
    fn messages_become_one_line() {
        assert_eq!(one_line(" a\n\n b\t ".into()), "a b");
        assert_eq!(one_line("\n".into()), "");
    }
}

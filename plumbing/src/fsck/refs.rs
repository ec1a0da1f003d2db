//! Refs and reflogs, read as text: what they point at, and what of them is lost.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use gix::bstr::{BStr, ByteSlice};

use super::Issues;
use super::objects::list;
use crate::artifact::ARTIFACTS;
use crate::store::refs::{CONTAINERS, IMAGES};
use crate::{Error, Id, ImageName, Result, Store, Tracking};

/// Something that keeps an object alive.
pub(super) struct Tip {
    /// How a user would spell it: `debian:12`, `web@{1}`.
    pub(super) label: String,
    pub(super) id: Id,
    /// Whether rd put it there, so that it must be a commit of rd's.
    pub(super) is_rds: bool,
}

/// What refs and reflogs point at: the refs first, so that damage is named by them.
pub(super) fn load(store: &Store, issues: &mut Issues) -> Result<Vec<Tip>> {
    let refs = Refs::load(store.dir(), issues)?;
    let mut named: Vec<(&String, &Id)> = refs.ids.iter().collect();
    named.sort_by_key(|(name, _)| (!name.starts_with(IMAGES), !is_rds(name)));
    let tip = |(name, id): (&String, &Id)| Tip { label: label(name), id: *id, is_rds: is_rds(name) };
    let mut tips: Vec<Tip> = named.into_iter().map(tip).collect();
    let logs = store.dir().join("logs");
    let mut files = Vec::new();
    collect_files(&logs, &mut files)?;
    for file in &files {
        let name = file.strip_prefix(&logs).unwrap_or(file).to_string_lossy().into_owned();
        let lines = load_log(file, &name, refs.is_locked(&name), issues)?;
        refs.compare_with_log(&name, &lines, issues);
        for (age, id) in lines.iter().rev().map(|line| line.new).enumerate().skip(1) {
            tips.push(Tip { label: format!("{}@{{{age}}}", label(&name)), id, is_rds: is_rds(&name) });
        }
        if let Some(old) = lines.first().map(|line| line.old).filter(|id| !id.is_null()) {
            tips.push(Tip { label: format!("{}@{{{}}}", label(&name), lines.len()), id: old, is_rds: is_rds(&name) });
        }
    }
    for name in refs.ids.keys().filter(|name| name.starts_with("refs/") && !store.is_ordinary()) {
        if !logs.join(name).is_file() && !refs.is_locked(name) {
            let why = format!("'logs/{name}' is not there");
            issues.add_at(Path::new("logs").join(name), "missing", format!("reflog of '{}'", label(name)), why);
        }
    }
    tips.retain(|tip| !tip.id.is_null());
    Ok(tips)
}

/// The name of a ref as a user spells it.
pub(super) fn label(name: &str) -> String {
    let container = name.strip_prefix(CONTAINERS).map(str::to_owned);
    let image = || Some(ImageName::from_ref(name)?.to_string());
    let tracking = || Some(Tracking::from_ref(name)?.to_string());
    container.or_else(image).or_else(tracking).unwrap_or_else(|| name.to_owned())
}

fn is_rds(name: &str) -> bool {
    [IMAGES, ARTIFACTS, CONTAINERS, "refs/volumes/", "refs/builds/"].iter().any(|prefix| name.starts_with(prefix))
}

/// All refs by full name.
struct Refs {
    ids: BTreeMap<String, Id>,
    /// Refs that can't be read, and symbolic ones.
    others: Vec<String>,
    /// Refs that are locked: something is being done about them, or a command was killed that did.
    locked: Vec<String>,
}

impl Refs {
    fn load(dir: &Path, issues: &mut Issues) -> Result<Self> {
        let mut refs = Self { ids: BTreeMap::new(), others: Vec::new(), locked: Vec::new() };
        refs.load_packed(&dir.join("packed-refs"), issues)?;
        let mut files = vec![dir.join("HEAD")];
        collect_files(&dir.join("refs"), &mut files)?;
        for file in &files {
            let name = file.strip_prefix(dir).unwrap_or(file).to_string_lossy().into_owned();
            refs.load_loose(file, name, issues)?;
        }
        Ok(refs)
    }

    fn load_loose(&mut self, file: &Path, name: String, issues: &mut Issues) -> Result<()> {
        if name.ends_with(".lock") {
            issues.note(format!("'{name}' locks a ref: a command is at it, or was killed"));
            self.locked.push(name.trim_end_matches(".lock").to_owned());
            return Ok(());
        }
        let text = match std::fs::read(file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                issues.add_at(&name, "missing", format!("'{name}'"), "git needs it".into());
                return Ok(());
            }
            Err(error) => return Err(Error::io("read", file)(error)),
        };
        match (text.strip_prefix(b"ref: "), parse_id(text.trim_end().as_bstr())) {
            (Some(target), _) if is_ref_name(&target.trim_end().to_str_lossy()) => self.others.push(name),
            (_, Some(id)) if text.ends_with(b"\n") => {
                self.ids.insert(name, id);
            }
            _ => {
                let shown = text[..text.len().min(80)].as_bstr().to_string();
                let why = format!("'{name}' holds no id but {shown:?}");
                issues.add_at(&name, "damaged", format!("ref '{}'", label(&name)), why);
                self.others.push(name);
            }
        }
        Ok(())
    }

    fn load_packed(&mut self, file: &Path, issues: &mut Issues) -> Result<()> {
        let text = match std::fs::read(file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(Error::io("read", file)(error)),
        };
        let mut last = String::new();
        for (number, line) in text.lines_with_terminator().enumerate() {
            let bad = |why: &str| format!("line {}: {why}", number + 1);
            let whole = line.strip_suffix(b"\n");
            let line = whole.unwrap_or(line);
            let outcome = match line.strip_prefix(b"^") {
                _ if line.starts_with(b"#") => continue,
                Some(peeled) => parse_id(peeled.as_bstr()).map(drop).ok_or_else(|| bad("it has no id")),
                None => match parse_packed(line).filter(|_| whole.is_some()) {
                    Some((id, name)) if name > last => {
                        last.clone_from(&name);
                        self.ids.insert(name, id);
                        Ok(())
                    }
                    Some(_) => Err(bad("names are out of order")),
                    None => Err(bad("it is no id and name")),
                },
            };
            if let Err(why) = outcome {
                issues.add_at("packed-refs", "damaged", "packed-refs".into(), why);
            }
        }
        Ok(())
    }

    /// While a ref is locked, its log may be ahead of it or behind; the next command that takes the lock puts that right.
    fn is_locked(&self, name: &str) -> bool {
        self.locked.iter().any(|locked| locked == name)
    }

    /// A ref and its reflog must tell the same; a log without a ref tells of a lost one.
    fn compare_with_log(&self, name: &str, lines: &[Line], issues: &mut Issues) {
        // `reflog expire` leaves an empty log where all is old.
        let Some(last) = lines.last() else { return };
        if self.is_locked(name) {
            return;
        }
        match self.ids.get(name) {
            Some(id) if *id == last.old => {
                issues.note(format!("a move of '{}' was begun and didn't happen: its reflog tells of it", label(name)));
            }
            Some(id) if *id != last.new => {
                let why = format!("it is at {id}, its reflog ends at {}", last.new);
                issues.add_at(name, "damaged", format!("ref '{}'", label(name)), why);
            }
            None if !self.others.iter().any(|other| other == name) && !last.new.is_null() && name != "HEAD" => {
                let why = format!("its reflog is there and ends at {}", last.new);
                issues.add_at(name, "missing", format!("ref '{}'", label(name)), why);
            }
            _ => {}
        }
    }
}

/// Whether a line of `packed-refs`, with its end, is one.
pub(super) fn is_sound_packed_line(line: &[u8]) -> bool {
    let Some(line) = line.strip_suffix(b"\n") else { return false };
    match line.strip_prefix(b"^") {
        _ if line.starts_with(b"#") => true,
        Some(peeled) => parse_id(peeled.as_bstr()).is_some(),
        None => parse_packed(line).is_some(),
    }
}

fn parse_packed(line: &[u8]) -> Option<(Id, String)> {
    let (id, name) = line.split_once_str(" ")?;
    let name = name.to_str().ok().filter(|name| is_ref_name(name))?;
    Some((parse_id(id.as_bstr())?, name.to_owned()))
}

fn is_ref_name(name: &str) -> bool {
    gix::refs::FullName::try_from(name).is_ok()
}

fn parse_id(text: &BStr) -> Option<Id> {
    Id::from_hex(text).ok().filter(|id| id.kind() == gix::hash::Kind::Sha256)
}

/// A line of a reflog.
pub(super) struct Line {
    old: Id,
    pub(super) new: Id,
}

/// The lines of a reflog, the oldest first. Each should begin where the one before ended.
fn load_log(file: &Path, name: &str, is_locked: bool, issues: &mut Issues) -> Result<Vec<Line>> {
    let text = std::fs::read(file).map_err(Error::io("read", file))?;
    let mut lines: Vec<Line> = Vec::new();
    for (number, text) in text.lines_with_terminator().enumerate() {
        match parse_log_line(text.as_bstr()) {
            // Its writer was killed, or the power failed.
            None if is_locked && !text.ends_with(b"\n") => {}
            None => {
                let why = format!("'logs/{name}' line {}: it is no entry", number + 1);
                issues.add_at(Path::new("logs").join(name), "damaged", format!("reflog of '{}'", label(name)), why);
            }
            Some(line) => {
                // A ref that was removed and made again begins anew.
                if lines.last().is_some_and(|last| last.new != line.old && !line.old.is_null() && !last.new.is_null()) {
                    let line = number + 1;
                    issues.note(format!("'logs/{name}' line {line} doesn't begin where the line before ends: one in between expired, or a move didn't happen"));
                }
                lines.push(line);
            }
        }
    }
    Ok(lines)
}

/// `OLD NEW NAME <EMAIL> SECONDS OFFSET [TAB MESSAGE] LF`
pub(super) fn parse_log_line(text: &BStr) -> Option<Line> {
    let text = text.strip_suffix(b"\n")?;
    let who = text.split_str("\t").next().unwrap_or(text);
    let mut words = who.splitn_str(3, " ");
    let (old, new, who) = (words.next()?, words.next()?, words.next()?);
    let (_, time) = who.rsplit_once_str("> ")?;
    let (seconds, offset) = time.split_once_str(" ")?;
    let is_time = seconds.to_str().ok()?.parse::<i64>().is_ok()
        && offset.len() == 5
        && offset[1..].iter().all(u8::is_ascii_digit);
    is_time.then_some(Line { old: parse_id(old.as_bstr())?, new: parse_id(new.as_bstr())? })
}

/// All files below a folder, sorted.
fn collect_files(dir: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let mut waiting = vec![dir.to_owned()];
    let from = files.len();
    while let Some(dir) = waiting.pop() {
        for path in list(&dir)? {
            let about = path.symlink_metadata().map_err(Error::io("stat", &path))?;
            if about.is_dir() { waiting.push(path) } else { files.push(path) }
        }
    }
    files[from..].sort();
    Ok(())
}

//! `rd reflog expire` and `rd reflog delete`.

use std::collections::HashSet;
use std::process::ExitCode;

use plumbing::ancestry::Ancestry;
use plumbing::bstr::ByteSlice;
use plumbing::gix::glob::wildmatch;
use plumbing::gix::objs::Kind;
use plumbing::store::refs::{LogLine, Pruning};
use plumbing::{Id, Store};

use super::NO;
use crate::git;
use crate::report::Failure;

#[derive(clap::Args)]
#[command(args_override_self = true, infer_long_args = true)]
pub struct ExpireArgs {
    /// Remove entries older than this [default: gc.reflogExpire, else 90 days]; `all`, `never`
    #[arg(long, value_name = "TIME")]
    expire: Option<String>,
    /// Remove those older than this that the ref doesn't reach [default: gc.reflogExpireUnreachable, else 30 days]
    #[arg(long, value_name = "TIME")]
    expire_unreachable: Option<String>,
    /// The logs of all refs
    #[arg(long)]
    all: bool,
    /// With --all, only the logs of this working tree: a store has no other
    #[arg(long)]
    single_worktree: bool,
    /// Also remove entries of which a commit, its tree or a commit before it is missing
    #[arg(long)]
    stale_fix: bool,
    #[command(flatten)]
    how: How,
    /// The refs
    #[arg(value_name = "REF")]
    refs: Vec<String>,
}

#[derive(clap::Args)]
#[command(args_override_self = true, infer_long_args = true)]
pub struct DeleteArgs {
    #[command(flatten)]
    how: How,
    /// The entries: REF@{NUMBER}
    #[arg(value_name = "ENTRY")]
    entries: Vec<String>,
}

/// What both have in common.
#[derive(clap::Args)]
struct How {
    /// Remove nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Let each entry begin where the one before it ends, of those that stay
    #[arg(long)]
    rewrite: bool,
    /// Move the ref to the last entry that stays
    #[arg(long)]
    updateref: bool,
    /// Say what goes and what stays
    #[arg(long)]
    verbose: bool,
}

const DAY: i64 = 86_400;

pub fn run(args: &ExpireArgs, store: &Store) -> Result<ExitCode, Failure> {
    let date = |text: &Option<String>, flag: &str| text.as_deref().map(|text| parse(text, flag)).transpose();
    let (total, unreachable) = (date(&args.expire, "expire")?, date(&args.expire_unreachable, "expire-unreachable")?);
    let mut names = Vec::new();
    if args.all {
        names.extend(store.logged_refs()?.into_iter().map(|name| name.to_string()));
    }
    let mut complete = true;
    for text in &args.refs {
        match super::logged(store, text)? {
            Some(name) => names.push(name),
            None => {
                eprintln!("error: reflog could not be found: '{}'", crate::output::printable(text));
                complete = false;
            }
        }
    }
    for name in &names {
        let limits = Limits::of(store, name, total, unreachable);
        let mut judge = Judge::new(store, name, limits, args.stale_fix)?;
        // Of logs that were named git says of entries that would go that they went.
        let would = args.how.dry_run && args.all;
        prune(store, name, &args.how, would, |line| judge.goes(line))?;
    }
    Ok(if complete { ExitCode::SUCCESS } else { ExitCode::from(NO) })
}

/// A point in time before which entries go: git's words for always and never, else a date.
fn parse(text: &str, flag: &str) -> Result<i64, Failure> {
    match text {
        "never" | "false" => Ok(0),
        "all" | "now" => Ok(i64::MAX),
        _ => {
            let now = plumbing::gix::date::Zoned::now();
            let date = plumbing::gix::date::parse(&text.replace('.', " "), Some(now.clone()))
                .or_else(|_| plumbing::gix::date::parse(&format!("{} ago", text.replace('.', " ")), Some(now)));
            let bad = |_| Failure::fatal(format!("invalid timestamp '{text}' given to '--{flag}'"));
            Ok(date.map_err(bad)?.seconds)
        }
    }
}

fn prune(
    store: &Store,
    name: &str,
    how: &How,
    would: bool,
    mut goes: impl FnMut(&LogLine) -> Result<bool, Failure>,
) -> Result<(), Failure> {
    let pruning = Pruning { chain: how.rewrite, update_ref: how.updateref, dry_run: how.dry_run };
    let mut failed = None;
    let lines = store.prune_log(name.into(), pruning, |line| match goes(line) {
        Ok(goes) => Ok(goes),
        Err(failure) => {
            failed.get_or_insert(failure);
            Ok(false)
        }
    })?;
    if let Some(failure) = failed {
        return Err(failure);
    }
    for (line, goes) in lines.iter().flatten().filter(|_| how.verbose) {
        let word = match (goes, would) {
            (true, true) => "would prune",
            (true, false) => "prune",
            (false, _) => "keep",
        };
        git::print_line(format!("{word} {}", line.message))?;
    }
    Ok(())
}

/// Before when entries go: all, and those that the ref doesn't reach.
#[derive(Clone, Copy)]
struct Limits {
    total: i64,
    unreachable: i64,
}

impl Limits {
    /// What was asked for, else what the configuration says of such refs, else git's own.
    fn of(store: &Store, name: &str, total: Option<i64>, unreachable: Option<i64>) -> Self {
        let now = plumbing::commit::now();
        let is_stash = name == "refs/stash";
        let usual = |days: i64| if is_stash { 0 } else { now - days * DAY };
        let read = |key: &str, days| configured(store, name, key).unwrap_or_else(|| usual(days));
        Self {
            total: total.unwrap_or_else(|| read("reflogExpire", 90)),
            unreachable: unreachable.unwrap_or_else(|| read("reflogExpireUnreachable", 30)),
        }
    }
}

/// `gc.PATTERN.KEY` for a pattern that matches the ref, else `gc.KEY`.
fn configured(store: &Store, name: &str, key: &str) -> Option<i64> {
    let snapshot = store.repo().config_snapshot();
    let mut general = None;
    for section in snapshot.plumbing().sections_by_name("gc")? {
        let Some(value) = section.value(key).and_then(|value| parse(&value.to_str_lossy(), key).ok()) else { continue };
        match section.header().subsection_name() {
            None => general = Some(value),
            Some(pattern) if wildmatch(pattern, name.into(), wildmatch::Mode::NO_MATCH_SLASH_LITERAL) => {
                return Some(value);
            }
            Some(_) => {}
        }
    }
    general
}

/// Which entries of a log go.
struct Judge<'s> {
    store: &'s Store,
    limits: Limits,
    stale_fix: bool,
    reach: Reach,
    ancestry: Ancestry<'s>,
}

/// What an entry's commits have to be in to stay.
enum Reach {
    /// Nothing: all go that are older than the limit for those that aren't reached.
    Nothing,
    /// What these reach, worked out when it is needed.
    Of(Vec<Id>),
    Known(HashSet<Id>),
}

impl<'s> Judge<'s> {
    fn new(store: &'s Store, name: &str, limits: Limits, stale_fix: bool) -> Result<Self, Failure> {
        let commit = |id: Id| git::peel(store, id, Kind::Commit).ok().flatten();
        let tips = match name == "HEAD" || limits.unreachable == 0 {
            true => git::refs::list(store, "", false)?.into_iter().filter_map(|listed| commit(listed.id)).collect(),
            false => store.follow_ref(name.into())?.and_then(|(_, id)| commit(id)).into_iter().collect::<Vec<_>>(),
        };
        let reach = match tips.is_empty() || limits.unreachable <= limits.total {
            true => Reach::Nothing,
            false => Reach::Of(tips),
        };
        Ok(Self { store, limits, stale_fix, reach, ancestry: Ancestry::new(store) })
    }

    fn goes(&mut self, line: &LogLine) -> Result<bool, Failure> {
        if line.seconds < self.limits.total {
            return Ok(true);
        }
        if self.stale_fix && !(self.is_complete(line.old) && self.is_complete(line.new)) {
            return Ok(true);
        }
        if line.seconds >= self.limits.unreachable {
            return Ok(false);
        }
        match self.reach {
            Reach::Nothing => Ok(true),
            _ => Ok(self.is_lost(line.old)? || self.is_lost(line.new)?),
        }
    }

    /// Whether it is a commit that isn't reached.
    fn is_lost(&mut self, id: Id) -> Result<bool, Failure> {
        if id.is_null() {
            return Ok(false);
        }
        let Some(commit) = git::peel(self.store, id, Kind::Commit)? else { return Ok(false) };
        if let Reach::Of(tips) = &self.reach {
            self.reach = Reach::Known(self.ancestry.reachable(tips.iter().copied())?);
        }
        Ok(!matches!(&self.reach, Reach::Known(known) if known.contains(&commit)))
    }

    /// Whether the commit, its tree and all commits before it are there.
    fn is_complete(&mut self, id: Id) -> bool {
        if id.is_null() {
            return true;
        }
        let Ok(Some(commit)) = git::peel(self.store, id, Kind::Commit) else { return false };
        let Ok(all) = self.ancestry.reachable([commit]) else { return false };
        all.iter().all(|id| self.store.read_header(id).is_ok_and(|header| self.store.has(&header.tree)))
    }
}

pub fn delete(args: &DeleteArgs, store: &Store) -> Result<ExitCode, Failure> {
    if args.entries.is_empty() {
        return Err(Failure::new("no reflog specified to delete").status(NO));
    }
    let mut complete = true;
    for text in &args.entries {
        if let Err(why) = delete_one(store, text, &args.how)? {
            eprintln!("error: {}", crate::output::printable(&why));
            complete = false;
        }
    }
    Ok(if complete { ExitCode::SUCCESS } else { ExitCode::from(NO) })
}

fn delete_one(store: &Store, text: &str, how: &How) -> Result<Result<(), String>, Failure> {
    let Some((name, entry)) = text.split_once("@{") else { return Ok(Err(format!("not a reflog: {text}"))) };
    let Some(full) = super::logged(store, name)? else { return Ok(Err(format!("no reflog for '{text}'"))) };
    let lines = store.read_log(full.as_str().into())?.unwrap_or_default();
    let entry = entry.strip_suffix('}').unwrap_or(entry);
    let at = match entry.parse::<usize>() {
        Ok(number) => lines.len().checked_sub(number + 1),
        Err(_) => {
            let seconds = parse(entry, "expire")?;
            lines.iter().filter(|line| line.seconds < seconds).count().checked_sub(1)
        }
    };
    let mut index = 0;
    prune(store, &full, how, how.dry_run, |_| {
        index += 1;
        Ok(at == Some(index - 1))
    })?;
    Ok(Ok(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_git_reads_them() {
        assert_eq!(parse("never", "expire").unwrap(), 0);
        assert_eq!(parse("now", "expire").unwrap(), i64::MAX);
        let now = plumbing::commit::now();
        for text in ["90.days", "90.days.ago", "90 days ago", "90 days"] {
            let parsed = parse(text, "expire").unwrap();
            assert!((parsed - (now - 90 * DAY)).abs() < DAY, "{text}: {parsed}");
        }
        assert!(parse("gibberish", "expire").is_err());
    }
}

//! `rd rev-parse`

mod facts;
mod parseopt;
mod show;

use std::process::ExitCode;

use plumbing::gix::objs::Kind;
use plumbing::{Error, Id, Store, revision};

use crate::cli::Globals;
use crate::git::{self, Abbrev};
use crate::report::Failure;
use plumbing::revision::Shorten;
use show::{Sign, State, Symbolic};

/// Turn names into ids, and say what scripts ask of a repository
///
/// Options, output and exit status are those of git-rev-parse(1), with names of images and containers: --verify -q
/// --short[=N] --symbolic --symbolic-full-name --abbrev-ref[=strict|loose] --not --revs-only --no-revs --flags --no-flags
/// --default REV --all --branches[=GLOB] --tags[=GLOB] --remotes[=GLOB] --glob=GLOB --exclude=GLOB --disambiguate=PREFIX
/// --since=DATE --until=DATE --sq --git-dir --absolute-git-dir --git-common-dir --git-path PATH
/// --is-bare-repository --is-inside-git-dir --is-inside-work-tree --is-shallow-repository --show-object-format
/// --show-ref-format --show-prefix --show-cdup --show-toplevel --resolve-git-dir PATH --local-env-vars; and as the first
/// --sq-quote and --parseopt.
///
/// Examples: `rd rev-parse debian:12`, `rd rev-parse --short web~2`, `rd rev-parse --verify -q web:latest`.
///
/// Exit status: 0; with --verify -q 1 where the name is none; 128 failed.
#[derive(clap::Args)]
pub struct Args {
    /// Options and revisions
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "REV|OPTION")]
    args: Vec<String>,
}

pub fn run(mut args: Args, globals: &Globals) -> Result<ExitCode, Failure> {
    args.args = with_dashes(args.args);
    match args.args.first().map(String::as_str) {
        Some("--sq-quote") => {
            let quoted: String = args.args[1..].iter().map(|word| format!(" {}", show::shell_quoted(word))).collect();
            git::print_line(quoted)?;
            return Ok(ExitCode::SUCCESS);
        }
        Some("--parseopt") => return parseopt::run(&args.args[1..]),
        _ => {}
    }
    let store = globals.repository()?;
    let mut parse = Parse { state: State::new(&store), paths_from_here: None, has_dashes: false };
    parse.has_dashes = args.args.iter().any(|arg| arg == "--");
    let mut rest = args.args.iter().map(String::as_str);
    while let Some(arg) = rest.next() {
        if !parse.argument(arg, &mut rest)? {
            break;
        }
    }
    parse.finish()?;
    Ok(ExitCode::SUCCESS)
}

/// What follows is a list of paths: after `--` they needn't exist.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Paths {
    Existing,
    Any,
}

struct Parse<'a> {
    state: State<'a>,
    paths_from_here: Option<Paths>,
    has_dashes: bool,
}

impl Parse<'_> {
    /// Deal with one argument, and with the values that follow it; false where nothing more is to be done.
    fn argument<'i>(&mut self, arg: &'i str, rest: &mut impl Iterator<Item = &'i str>) -> Result<bool, Failure> {
        if let Some(paths) = self.paths_from_here {
            if self.state.show_file(arg)? && paths == Paths::Existing {
                verify_path(arg)?;
            }
            return Ok(true);
        }
        match arg {
            "--" => {
                self.paths_from_here = Some(Paths::Any);
                if self.state.filter.flags || self.state.filter.revs {
                    self.state.show_file(arg)?;
                }
            }
            _ if arg.starts_with('-') => {
                let known = self.option(arg, rest)? || facts::answer(self.state.store, arg, rest)?;
                if !known && self.state.show_flag(arg)? && self.state.verify {
                    return Err(self.state.no_single_revision());
                }
            }
            _ => return self.revision(arg),
        }
        Ok(true)
    }

    /// An option that steers what is shown; false where it is none.
    fn option<'i>(&mut self, arg: &'i str, rest: &mut impl Iterator<Item = &'i str>) -> Result<bool, Failure> {
        let state = &mut self.state;
        let (name, value) = arg.split_once('=').map_or((arg, None), |(name, value)| (name, Some(value)));
        match (name, value) {
            ("--verify", None) => state.want_one(),
            ("-q" | "--quiet", None) => state.quiet = true,
            ("--short", None) => {
                state.want_one();
                state.abbrev = Some(Abbrev::Auto);
            }
            ("--short", Some(digits)) => {
                state.want_one();
                state.abbrev = Some(Abbrev::AtLeast(usize::try_from(leading_number(digits)).unwrap_or(0).max(4)));
            }
            ("--symbolic", None) => state.symbolic = Some(Symbolic::AsIs),
            ("--symbolic-full-name", None) => state.symbolic = Some(Symbolic::Full),
            ("--abbrev-ref", None | Some("strict")) => state.abbrev_ref = Some(Shorten::Strict),
            ("--abbrev-ref", Some("loose")) => state.abbrev_ref = Some(Shorten::Loose),
            ("--abbrev-ref", Some(mode)) => {
                return Err(Failure::fatal(format!("unknown mode for --abbrev-ref: {mode}")));
            }
            ("--sq", None) => state.shell_quote = true,
            ("--not", None) => state.negate = !state.negate,
            ("--revs-only", None) => state.filter.others = false,
            ("--no-revs", None) => state.filter.revs = false,
            ("--flags", None) => state.filter.nonflags = false,
            ("--no-flags", None) => state.filter.flags = false,
            ("--default", None) => {
                let name = rest.next().ok_or_else(|| Failure::fatal("--default requires an argument"))?;
                state.default = Some(name.to_owned());
            }
            ("-n", None) => {
                let count = rest.next().ok_or_else(|| Failure::fatal("-n requires an argument"))?;
                state.show_count(&["-n", count])?;
            }
            _ if arg.starts_with("-n") => state.show_count(&[arg])?,
            ("--since" | "--after", Some(date)) => state.show_age("--max-age=", date)?,
            ("--until" | "--before", Some(date)) => state.show_age("--min-age=", date)?,
            ("--all", None) => state.show_refs("refs/", None)?,
            ("--branches", glob) => state.show_refs("refs/heads/", glob)?,
            ("--tags", glob) => state.show_refs("refs/tags/", glob)?,
            ("--remotes", glob) => state.show_refs("refs/remotes/", glob)?,
            ("--glob", Some(glob)) => {
                let full = if glob.starts_with("refs/") { glob.to_owned() } else { format!("refs/{glob}") };
                state.show_refs("", Some(&full))?;
            }
            ("--exclude", Some(glob)) => state.exclude.push(glob.to_owned()),
            ("--disambiguate", Some(prefix)) => state.show_candidates(prefix)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn revision(&mut self, arg: &str) -> Result<bool, Failure> {
        if self.difference(arg)? || self.parents(arg)? {
            return Ok(true);
        }
        let (sign, name) = arg.strip_prefix('^').map_or((Sign::Plain, arg), |name| (Sign::Reversed, name));
        if self.state.quiet && self.state.verify && follows_none(self.state.store, name) {
            return Err(self.state.no_single_revision());
        }
        if let Some(id) = git::name_to_id(self.state.store, name)? {
            match self.state.verify {
                true => self.state.found.push((sign, id, name.to_owned())),
                false => self.state.show_rev(sign, &id, Some(name))?,
            }
            return Ok(true);
        }
        if self.state.verify {
            return Err(self.state.no_single_revision());
        }
        if self.has_dashes {
            return Err(Failure::fatal(format!("bad revision '{arg}'")));
        }
        self.paths_from_here = Some(Paths::Existing);
        if !self.state.show_file(arg)? {
            return Ok(false);
        }
        verify_path(arg)?;
        Ok(true)
    }

    /// `A..B` and `A...B`
    fn difference(&mut self, arg: &str) -> Result<bool, Failure> {
        if arg == ".." || !arg.contains("..") || git::name_to_id(self.state.store, arg)?.is_some() {
            return Ok(false);
        }
        let store = self.state.store;
        let or_head = |side: &str| if side.is_empty() { "HEAD".to_owned() } else { side.to_owned() };
        for (left, right, symmetric) in revision::sides(arg.into()) {
            let (left, right) = (or_head(&left.to_string()), or_head(&right.to_string()));
            let (Some(from), Some(to)) = (git::name_to_id(store, &left)?, git::name_to_id(store, &right)?) else {
                continue;
            };
            self.state.show_rev(Sign::Plain, &to, Some(&right))?;
            let sign = if symmetric { Sign::Plain } else { Sign::Reversed };
            self.state.show_rev(sign, &from, Some(&left))?;
            if symmetric {
                let Some(bases) = merge_bases(store, from, to)? else { return Ok(false) };
                for base in bases {
                    self.state.show_rev(Sign::Reversed, &base, None)?;
                }
            }
            return Ok(true);
        }
        Ok(false)
    }

    /// `A^!`, `A^@`, `A^-`, `A^-N`
    fn parents(&mut self, arg: &str) -> Result<bool, Failure> {
        let Some((name, operator)) = split_parents(arg) else { return Ok(false) };
        let store = self.state.store;
        let Some(id) = git::name_to_id(store, name)? else { return Ok(false) };
        let Some(commit) = git::peel(store, id, Kind::Commit)? else { return Ok(false) };
        let commit = store.repo().find_commit(commit).map_err(Error::git(format!("read commit {commit}")))?;
        let parents: Vec<Id> = commit.parent_ids().map(|parent| parent.detach()).collect();
        if matches!(operator, Parents::Exclude(number) if number == 0 || number > parents.len()) {
            return Ok(false);
        }
        if operator != Parents::Only {
            self.state.show_rev(Sign::Plain, &id, Some(name))?;
        }
        let sign = if operator == Parents::Only { Sign::Plain } else { Sign::Reversed };
        for (index, parent) in parents.iter().enumerate() {
            if !matches!(operator, Parents::Exclude(number) if number != index + 1) {
                let symbolic = self.state.symbolic.map(|_| format!("{name}^{}", index + 1));
                self.state.show_rev(sign, parent, symbolic.as_deref())?;
            }
        }
        Ok(true)
    }

    fn finish(mut self) -> Result<(), Failure> {
        if !self.state.verify {
            self.state.show_default()?;
            return Ok(());
        }
        let found = std::mem::take(&mut self.state.found);
        match found.as_slice() {
            [(sign, id, name)] => self.state.show_rev(*sign, id, Some(name)),
            [] if self.state.show_default()? => Ok(()),
            _ => Err(self.state.no_single_revision()),
        }
    }
}

/// Whether it could match paths without being one: it has an unescaped sign of a pattern.
fn is_pathspec(arg: &str) -> bool {
    let mut escaped = false;
    let sign = arg.chars().any(|c| {
        let is_sign = !escaped && matches!(c, '*' | '?' | '[');
        escaped = !escaped && c == '\\';
        is_sign
    });
    sign || arg.starts_with(":(")
}

/// What git makes of the value of `--short`: the number that it begins with, cut to what C's int holds.
fn leading_number(text: &str) -> i32 {
    let text = text.trim_start();
    let (negative, rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let rest = if negative { rest } else { rest.strip_prefix('+').unwrap_or(rest) };
    let digits = rest.bytes().take_while(u8::is_ascii_digit);
    let number = digits.fold(0_u64, |number, digit| number.saturating_mul(10).saturating_add(u64::from(digit - b'0')));
    let number = if negative { number.wrapping_neg() } else { number };
    number as i32
}

/// The arguments, with the dashes before the first of them that clap takes for its own.
fn with_dashes(mut args: Vec<String>) -> Vec<String> {
    let given: Vec<_> = std::env::args_os().collect();
    let before = given.len().checked_sub(args.len() + 1).and_then(|at| given.get(at));
    if before.is_some_and(|word| word == "--") {
        args.insert(0, "--".into());
    }
    args
}

/// Whether `name` is the upstream of a branch that has none.
fn follows_none(store: &Store, name: &str) -> bool {
    matches!(revision::resolve(store, name), Err(Error::Invalid { what: "upstream", .. }))
}

/// What of a commit's parents is meant.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Parents {
    /// `^@`: they alone.
    Only,
    /// `^!`: the commit without them.
    ExcludeAll,
    /// `^-N`: the commit without one of them.
    Exclude(usize),
}

fn split_parents(arg: &str) -> Option<(&str, Parents)> {
    if let Some(name) = arg.strip_suffix("^!") {
        return Some((name, Parents::ExcludeAll));
    }
    if let Some(name) = arg.strip_suffix("^@") {
        return Some((name, Parents::Only));
    }
    let (name, number) = arg.split_once("^-")?;
    let number = if number.is_empty() { 1 } else { number.parse().ok()? };
    Some((name, Parents::Exclude(number)))
}

/// Those of the commits that two tags or commits lead to; `None` where one leads to something else.
fn merge_bases(store: &Store, one: Id, two: Id) -> Result<Option<Vec<Id>>, Failure> {
    let (Some(one), Some(two)) = (git::peel(store, one, Kind::Commit)?, git::peel(store, two, Kind::Commit)?) else {
        return Ok(None);
    };
    let bases = store.repo().merge_bases_many(one, &[two]);
    let bases = bases.map_err(Error::git(format!("find the merge bases of {one} and {two}")))?;
    Ok(Some(bases.into_iter().map(|base| base.detach()).collect()))
}

/// An argument that is no revision must be a path that exists.
pub fn verify_path(arg: &str) -> Result<(), Failure> {
    if arg.starts_with('-') {
        return Err(Failure::fatal(format!("option '{arg}' must come before non-option arguments")));
    }
    // What git's magic says of the top or of what is left out goes before a path, which may be empty.
    let plain = [":/", ":!", ":^"].iter().find_map(|magic| arg.strip_prefix(magic));
    if plain == Some("") || std::fs::symlink_metadata(plain.unwrap_or(arg)).is_ok() || is_pathspec(arg) {
        return Ok(());
    }
    Err(Failure::fatal(format!(
        "ambiguous argument '{arg}': unknown revision or path not in the working tree.\n\
         Use '--' to separate paths from revisions, like this:\n\
         'git <command> [<revision>...] -- [<file>...]'"
    )))
}

//! What `rev-parse` prints: revisions, flags and paths, as the options so far say.

use std::io::Write;

use plumbing::gix::glob::{wildmatch, wildmatch::Mode};
use plumbing::revision::{RULES, Shorten};
use plumbing::store::refs::is_full_name;
use plumbing::{Id, Store, revision};

use crate::git::{self, Abbrev};
use crate::report::Failure;

/// Whether a revision is wanted or, with `^` before it, unwanted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    Plain,
    Reversed,
}

/// How names are shown in place of ids.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Symbolic {
    AsIs,
    Full,
}

/// Which arguments are shown.
pub struct Filter {
    pub revs: bool,
    pub others: bool,
    pub flags: bool,
    pub nonflags: bool,
}

/// What the options so far say.
pub struct State<'a> {
    pub store: &'a Store,
    pub filter: Filter,
    pub verify: bool,
    pub quiet: bool,
    pub symbolic: Option<Symbolic>,
    pub abbrev_ref: Option<Shorten>,
    pub abbrev: Option<Abbrev>,
    pub negate: bool,
    pub shell_quote: bool,
    pub default: Option<String>,
    pub exclude: Vec<String>,
    /// With `verify`, the revisions so far.
    pub found: Vec<(Sign, Id, String)>,
}

impl<'a> State<'a> {
    pub fn new(store: &'a Store) -> Self {
        Self {
            store,
            filter: Filter { revs: true, others: true, flags: true, nonflags: true },
            verify: false,
            quiet: false,
            symbolic: None,
            abbrev_ref: None,
            abbrev: None,
            negate: false,
            shell_quote: false,
            default: None,
            exclude: Vec::new(),
            found: Vec::new(),
        }
    }

    /// `--verify`, which `--short` implies: exactly one revision is wanted.
    pub fn want_one(&mut self) {
        self.verify = true;
        self.filter.flags = false;
        self.filter.others = false;
    }

    pub fn no_single_revision(&self) -> Failure {
        if self.quiet { Failure::silent(1) } else { Failure::fatal("Needed a single revision") }
    }

    /// Print one word.
    fn show(&self, text: &str) -> Result<(), Failure> {
        let mut out = std::io::stdout().lock();
        if self.shell_quote {
            write!(out, "{} ", shell_quoted(text))?;
        } else {
            writeln!(out, "{text}")?;
        }
        Ok(out.flush()?)
    }

    fn show_signed(&self, sign: Sign, text: &str) -> Result<(), Failure> {
        if (sign == Sign::Reversed) != self.negate {
            write!(std::io::stdout().lock(), "^")?;
        }
        self.show(text)
    }

    /// Show a revision, by its name where names are wanted.
    pub fn show_rev(&mut self, sign: Sign, id: &Id, name: Option<&str>) -> Result<(), Failure> {
        if !self.filter.revs {
            return Ok(());
        }
        self.default = None;
        match name {
            Some(name) if self.symbolic == Some(Symbolic::Full) || self.abbrev_ref.is_some() => {
                match self.full_names(name).as_slice() {
                    [] => Ok(()),
                    [full] => {
                        let shown = self
                            .abbrev_ref
                            .map_or_else(|| full.clone(), |mode| git::refs::shorten(self.store, full, mode));
                        self.show_signed(sign, &shown)
                    }
                    _ => {
                        eprintln!("error: refname '{name}' is ambiguous");
                        Ok(())
                    }
                }
            }
            Some(name) if self.symbolic.is_some() => self.show_signed(sign, name),
            _ => {
                let text = git::abbreviate(self.store, id, self.abbrev.unwrap_or(Abbrev::Full))?;
                self.show_signed(sign, &text)
            }
        }
    }

    /// The full names of the refs that `name` could be, symbolic ones followed: by git's rules, else rd's.
    fn full_names(&self, name: &str) -> Vec<String> {
        let name = if name == "@" { "HEAD" } else { name };
        let by_rules: Vec<String> = RULES.iter().filter_map(|rule| self.existing(&rule.replace('*', name))).collect();
        if !by_rules.is_empty() {
            return by_rules;
        }
        revision::parse(self.store, name).ok().and_then(|found| found.name).into_iter().collect()
    }

    /// The ref of this full name, or the one that it is symbolic for.
    fn existing(&self, full: &str) -> Option<String> {
        let found = is_full_name(full.into()).then(|| self.store.follow_ref(full.into()));
        Some(found?.ok()??.0.to_string())
    }

    /// Show the default if nothing was shown for it; whether it was.
    pub fn show_default(&mut self) -> Result<bool, Failure> {
        let Some(name) = self.default.take() else { return Ok(false) };
        let Some(id) = git::name_to_id(self.store, &name)? else { return Ok(false) };
        self.show_rev(Sign::Plain, &id, Some(&name))?;
        Ok(true)
    }

    /// Show a path; whether it was wanted.
    pub fn show_file(&mut self, arg: &str) -> Result<bool, Failure> {
        self.show_default()?;
        let wanted = self.filter.nonflags && self.filter.others;
        if wanted {
            self.show(arg)?;
        }
        Ok(wanted)
    }

    /// Show an option that isn't ours; whether it was wanted.
    pub fn show_flag(&self, arg: &str) -> Result<bool, Failure> {
        let of_revisions = REVISION_FLAGS.iter().any(|flag| match flag.strip_suffix('=') {
            Some(_) => arg.starts_with(flag),
            None => arg == *flag,
        });
        let wanted = self.filter.flags && if of_revisions { self.filter.revs } else { self.filter.others };
        if wanted {
            self.show(arg)?;
        }
        Ok(wanted)
    }

    /// `-n NUMBER`, which goes to commands that list revisions.
    pub fn show_count(&self, words: &[&str]) -> Result<(), Failure> {
        if self.filter.flags && self.filter.revs {
            words.iter().try_for_each(|word| self.show(word))?;
        }
        Ok(())
    }

    /// `--since` and `--until` as seconds.
    pub fn show_age(&self, flag: &str, date: &str) -> Result<(), Failure> {
        let now = plumbing::gix::date::Zoned::now();
        let time = plumbing::gix::date::parse(date, Some(now));
        let time = time.map_err(|_| Failure::fatal(format!("invalid date format: {date}")))?;
        self.show_flag(&format!("{flag}{}", time.seconds)).map(drop)
    }

    /// All refs below `prefix`, or those of them that match a pattern.
    pub fn show_refs(&mut self, prefix: &str, glob: Option<&str>) -> Result<(), Failure> {
        let pattern = glob.map(|glob| match glob.contains(['*', '?', '[']) {
            true => format!("{prefix}{glob}"),
            false => format!("{prefix}{}/*", glob.trim_end_matches('/')),
        });
        let is_match = |pattern: &str, name: &str| wildmatch(pattern.into(), name.into(), Mode::empty());
        let exclude = std::mem::take(&mut self.exclude);
        for (name, id) in super::super::show_ref::all_refs(self.store)? {
            let Some(short) = name.strip_prefix(prefix) else { continue };
            let excluded = exclude
                .iter()
                .any(|pattern| is_match(pattern, if glob.is_none() && prefix == "refs/" { &name } else { short }));
            if !excluded && pattern.as_ref().is_none_or(|pattern| is_match(pattern, &name)) {
                // Of one kind, git gives the names without what they have in common.
                let shown = if prefix == "refs/" { name.as_str() } else { short };
                self.show_rev(Sign::Plain, &id, Some(shown))?;
            }
        }
        Ok(())
    }

    /// All objects whose id begins so.
    pub fn show_candidates(&mut self, prefix: &str) -> Result<(), Failure> {
        let Some(prefix) = revision::prefix_of(prefix) else { return Ok(()) };
        for id in revision::candidates_of_prefix(self.store, prefix)? {
            self.show_rev(Sign::Plain, &id, None)?;
        }
        Ok(())
    }
}

/// A word as a shell's, as git quotes it.
pub fn shell_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''").replace('!', "'\\!'"))
}

/// Options of commands that list revisions (git's builtin/rev-parse.c, `is_rev_argument`).
const REVISION_FLAGS: &[&str] = &[
    "--all",
    "--bisect",
    "--dense",
    "--branches",
    "--branches=",
    "--header",
    "--ignore-missing",
    "--max-age=",
    "--max-count=",
    "--min-age=",
    "--no-merges",
    "--min-parents=",
    "--no-min-parents",
    "--max-parents=",
    "--no-max-parents",
    "--objects",
    "--objects-edge",
    "--parents",
    "--pretty",
    "--remotes",
    "--remotes=",
    "--glob=",
    "--sparse",
    "--tags",
    "--tags=",
    "--topo-order",
    "--date-order",
    "--unpacked",
];

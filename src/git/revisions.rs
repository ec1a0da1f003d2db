//! The arguments of commands that walk history, as git's have them: revisions, ranges, sets of refs, and options that
//! say which commits are meant (git-rev-list(1)).

use std::io::BufRead;

use plumbing::bstr::BString;
use plumbing::gix::glob::wildmatch::Mode;
use plumbing::gix::objs::Kind;
use plumbing::pathspec::Pathspec;
use plumbing::revision::{self, Range, Revision};
use plumbing::walk::objects::Filter;
use plumbing::walk::{Options, Order, Tip, bases, flag};
use plumbing::{Error, Id, Store, date};

use super::grep::Grep;
use crate::report::Failure;

/// The arguments so far.
pub struct Arguments<'s> {
    pub store: &'s Store,
    pub options: Options,
    pub tips: Vec<Tip>,
    /// What was named, by the name that was given: for what goes by names.
    pub named: Vec<Named>,
    /// Whether revisions were asked for, even if there are none.
    pub given: bool,
    pub objects: Objects,
    pub filter: Filter,
    pub left_right: bool,
    pub print_parents: bool,
    grep: Grep,
    paths: Vec<String>,
    /// What `--not` makes of what follows.
    negated: u16,
    exclude: Vec<String>,
    /// `--stdin` means revisions.
    pub reads_stdin: bool,
    read_stdin: bool,
}

/// Takes an option that isn't about revisions, and its value from what follows; false where it is none.
pub type Other<'o, 'a> = dyn FnMut(&'a str, &mut dyn Iterator<Item = &'a str>) -> Result<bool, Failure> + 'o;

/// A revision and its spelling.
pub struct Named {
    pub id: Id,
    /// The name without `^`; that of a ref where a set of refs was asked for.
    pub name: String,
    /// The full name of the ref that it is.
    pub reference: Option<String>,
}

/// Which objects beside commits are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Objects {
    #[default]
    None,
    All,
    /// All, and the commits at the edge.
    Edge,
}

const HIDDEN: u16 = flag::UNINTERESTING | flag::BOTTOM;

impl<'s> Arguments<'s> {
    pub fn new(store: &'s Store) -> Self {
        Self {
            store,
            options: Options::default(),
            tips: Vec::new(),
            named: Vec::new(),
            given: false,
            objects: Objects::None,
            filter: Filter::None,
            left_right: false,
            print_parents: false,
            grep: Grep::default(),
            paths: Vec::new(),
            negated: 0,
            exclude: Vec::new(),
            reads_stdin: true,
            read_stdin: false,
        }
    }

    /// Take all of `args`; what `other` doesn't know either is wrong usage.
    pub fn take<'a>(&mut self, args: &'a [String], other: &mut Other<'_, 'a>) -> Result<(), Failure> {
        let dashes = args.iter().position(|arg| arg == "--");
        let end = dashes.unwrap_or(args.len());
        let mut rest = args[..end].iter().map(String::as_str);
        let (mut only_revisions, mut unknown) = (false, None);
        while let Some(arg) = rest.next() {
            if arg.starts_with('-') && !only_revisions {
                match arg {
                    "--end-of-options" => only_revisions = true,
                    "--stdin" if self.reads_stdin => self.stdin()?,
                    _ if self.set(arg)? || self.option(arg, &mut rest)? || other(arg, &mut rest)? => {}
                    // What is wrong with revisions goes first.
                    _ => drop(unknown.get_or_insert(arg)),
                }
            } else if !self.revision(arg)? {
                if dashes.is_some() || arg.starts_with('^') {
                    return Err(Failure::fatal(format!("bad revision '{arg}'")));
                }
                self.paths.push(arg.to_owned());
                self.paths.extend(rest.map(str::to_owned));
                self.paths.iter().try_for_each(|path| crate::commands::rev_parse::verify_path(path))?;
                break;
            }
        }
        self.paths.extend(args.get(end + 1..).unwrap_or_default().iter().cloned());
        self.finish()?;
        unknown.map_or(Ok(()), |arg| Err(Failure::usage(format!("unknown option: {arg}"))))
    }

    fn finish(&mut self) -> Result<(), Failure> {
        self.options.paths = pathspec(&self.paths)?;
        self.options.objects = self.objects != Objects::None;
        self.options.filter = std::mem::take(&mut self.grep).compile()?;
        if self.options.rewrite_parents && self.options.children {
            return Err(Failure::fatal("options '--parents' and '--children' cannot be used together"));
        }
        if self.filter != Filter::None && self.objects == Objects::None {
            return Err(Failure::fatal("object filtering requires --objects"));
        }
        Ok(())
    }

    /// An option that stands for revisions, or changes what revisions after it stand for; false where it is none.
    fn set(&mut self, arg: &str) -> Result<bool, Failure> {
        let (name, value) = arg.split_once('=').map_or((arg, None), |(name, value)| (name, Some(value)));
        match (name, value) {
            ("--all", None) => {
                self.refs("refs/", None)?;
                self.head()?;
            }
            ("--branches", glob) => self.refs("refs/heads/", glob)?,
            ("--tags", glob) => self.refs("refs/tags/", glob)?,
            ("--remotes", glob) => self.refs("refs/remotes/", glob)?,
            ("--glob", Some(glob)) => self.refs("", Some(glob.strip_prefix("refs/").unwrap_or(glob)))?,
            ("--exclude", Some(glob)) => self.exclude.push(glob.to_owned()),
            ("--not", None) => self.negated ^= HIDDEN,
            ("--no-walk", None) => self.options.no_walk = true,
            ("--no-walk", Some("sorted")) => (self.options.no_walk, self.options.unsorted) = (true, false),
            ("--no-walk", Some("unsorted")) => (self.options.no_walk, self.options.unsorted) = (true, true),
            ("--no-walk", Some(_)) => return Err(Failure::fatal("invalid argument to --no-walk")),
            ("--do-walk", None) => self.options.no_walk = false,
            ("--filter", Some(spec)) => {
                let filter = Filter::parse(spec);
                let filter = filter.map_err(|_| Failure::fatal(format!("invalid filter-spec '{spec}'")))?;
                self.filter = std::mem::take(&mut self.filter).and(filter);
            }
            ("--no-filter", None) => self.filter = Filter::None,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// An option that says which commits are meant.
    fn option<'a>(&mut self, arg: &'a str, rest: &mut dyn Iterator<Item = &'a str>) -> Result<bool, Failure> {
        Ok(self.number(arg, rest)? || self.switch(arg)? || self.text(arg, rest)?)
    }

    fn number<'a>(&mut self, arg: &'a str, rest: &mut dyn Iterator<Item = &'a str>) -> Result<bool, Failure> {
        let count = |text: &str| text.parse::<i64>().map_err(|_| Failure::fatal(format!("'{text}': not an integer")));
        let (name, value) = arg.split_once('=').map_or((arg, None), |(name, value)| (name, Some(value)));
        let limit = |options: &mut Options, text: &str| {
            options.max_count = usize::try_from(count(text)?).ok();
            options.no_walk = false;
            Ok::<_, Failure>(())
        };
        let mut value_or_next = |name: &str| {
            let value = value.or_else(|| rest.next());
            value.ok_or_else(|| Failure::fatal(format!("Option '{name}' requires a value")))
        };
        match name {
            "--max-count" => limit(&mut self.options, value_or_next(name)?)?,
            "-n" if value.is_none() => {
                let text = rest.next().ok_or_else(|| Failure::fatal("-n requires an argument"))?;
                limit(&mut self.options, text)?;
            }
            "--skip" => self.options.skip = usize::try_from(count(value_or_next(name)?)?).unwrap_or(0),
            "--max-age" => self.options.since = Some(age(value_or_next(name)?)?),
            "--min-age" => self.options.until = Some(age(value_or_next(name)?)?),
            "--since" | "--after" => self.options.since = Some(date::approximate(value_or_next(name)?)),
            "--until" | "--before" => self.options.until = Some(date::approximate(value_or_next(name)?)),
            "--since-as-filter" => self.options.since_as_filter = Some(date::approximate(value_or_next(name)?)),
            "--min-parents" if value.is_some() => {
                self.options.min_parents = usize::try_from(count(value_or_next(name)?)?).unwrap_or(0);
            }
            "--max-parents" if value.is_some() => {
                self.options.max_parents = usize::try_from(count(value_or_next(name)?)?).ok();
            }
            _ => match arg.strip_prefix('-').map(|rest| rest.strip_prefix('n').unwrap_or(rest)) {
                Some(digits) if arg.starts_with("-n") => limit(&mut self.options, digits)?,
                Some(digits) if digits.starts_with(|c: char| c.is_ascii_digit()) => limit(&mut self.options, digits)?,
                _ => return Ok(false),
            },
        }
        Ok(true)
    }

    fn switch(&mut self, arg: &str) -> Result<bool, Failure> {
        let options = &mut self.options;
        let together = |a: &str, b: &str| Failure::fatal(format!("options '{a}' and '{b}' cannot be used together"));
        match arg {
            "--first-parent" => options.first_parent = true,
            "--exclude-first-parent-only" => options.exclude_first_parent = true,
            "--topo-order" => options.order = Order::Topological,
            "--date-order" => options.order = Order::TopologicalDate,
            "--author-date-order" => options.order = Order::TopologicalAuthorDate,
            "--reverse" => options.reverse = !options.reverse,
            "--parents" => (options.rewrite_parents, self.print_parents) = (true, true),
            "--children" => options.children = true,
            "--left-right" => self.left_right = true,
            "--left-only" if options.right_only => return Err(together("--left-only", "--right-only/--cherry")),
            "--left-only" => options.left_only = true,
            "--right-only" if options.left_only => return Err(together("--right-only", "--left-only")),
            "--right-only" => options.right_only = true,
            "--cherry" if options.left_only => return Err(together("--cherry", "--left-only")),
            "--cherry" => {
                (options.cherry_mark, options.right_only, options.max_parents) = (true, true, Some(1));
            }
            "--cherry-mark" if options.cherry_pick => return Err(together("--cherry-mark", "--cherry-pick")),
            "--cherry-mark" => options.cherry_mark = true,
            "--cherry-pick" if options.cherry_mark => return Err(together("--cherry-pick", "--cherry-mark")),
            "--cherry-pick" => options.cherry_pick = true,
            "--boundary" => options.boundary = true,
            "--merges" => options.min_parents = 2,
            "--no-merges" => options.max_parents = Some(1),
            "--no-min-parents" => options.min_parents = 0,
            "--no-max-parents" => options.max_parents = None,
            "--ancestry-path" => {
                options.ancestry_path.get_or_insert_default();
                options.full_history = true;
            }
            "--full-history" => options.full_history = true,
            "--sparse" => options.sparse = true,
            "--dense" => options.sparse = false,
            "--remove-empty" => options.remove_empty = true,
            "--show-pulls" => options.show_pulls = true,
            "--simplify-merges" | "--simplify-by-decoration" => {
                options.simplify_merges = true;
                options.full_history = true;
                options.rewrite_parents = true;
                options.order = if options.order == Order::Date { Order::Topological } else { options.order };
                if arg == "--simplify-by-decoration" {
                    options.decorated = Some(decorated(self.store)?);
                }
            }
            "--ignore-missing" => options.ignore_missing = true,
            "--objects" if self.objects == Objects::Edge => {}
            "--objects" => self.objects = Objects::All,
            "--objects-edge" => self.objects = Objects::Edge,
            _ => return Ok(self.grep.switch(arg)),
        }
        Ok(true)
    }

    fn text<'a>(&mut self, arg: &'a str, rest: &mut dyn Iterator<Item = &'a str>) -> Result<bool, Failure> {
        if let Some(name) = arg.strip_prefix("--ancestry-path=") {
            let id = commit(self.store, name)?;
            let id =
                id.ok_or_else(|| Failure::fatal(format!("could not get commit for --ancestry-path argument {name}")))?;
            self.options.ancestry_path.get_or_insert_default().push(id);
            self.options.full_history = true;
            return Ok(true);
        }
        let (name, value) = arg.split_once('=').map_or((arg, None), |(name, value)| (name, Some(value)));
        if !matches!(name, "--author" | "--committer" | "--grep") {
            return Ok(false);
        }
        let value = value.or_else(|| rest.next());
        let value = value.ok_or_else(|| Failure::fatal(format!("Option '{name}' requires a value")))?;
        self.grep.pattern(name, value);
        Ok(true)
    }

    /// Take the refs below `prefix`, or those of them that match a pattern.
    fn refs(&mut self, prefix: &str, glob: Option<&str>) -> Result<(), Failure> {
        self.given = true;
        let all = if prefix.is_empty() { "refs/" } else { prefix };
        let pattern = glob.map(|glob| match glob.contains(['*', '?', '[']) {
            true => format!("{all}{glob}"),
            false => format!("{all}{}/*", glob.trim_end_matches('/')),
        });
        let is_match =
            |pattern: &str, name: &str| plumbing::gix::glob::wildmatch(pattern.into(), name.into(), Mode::empty());
        let exclude = std::mem::take(&mut self.exclude);
        for (name, id) in crate::commands::show_ref::all_refs(self.store)? {
            let Some(short) = name.strip_prefix(all) else { continue };
            let excluded = if all == "refs/" { name.as_str() } else { short };
            if exclude.iter().any(|exclude| is_match(exclude, excluded))
                || pattern.as_ref().is_some_and(|pattern| !is_match(pattern, &name))
            {
                continue;
            }
            self.push(id, 0, BString::default());
            let named = if glob.is_none() && all != "refs/" { short } else { &name };
            self.named.push(Named { id, name: named.to_owned(), reference: Some(name) });
        }
        Ok(())
    }

    fn head(&mut self) -> Result<(), Failure> {
        let head = self.store.repo().head().map_err(Error::git("read HEAD"))?;
        if let Some(id) = head.id() {
            self.push(id.detach(), 0, BString::default());
            let name = "HEAD".to_owned();
            self.named.push(Named { id: id.detach(), reference: Some(name.clone()), name });
        }
        Ok(())
    }

    fn push(&mut self, id: Id, flags: u16, path: BString) {
        let flags = self.negated ^ flags;
        if flags & flag::UNINTERESTING != 0 {
            self.options.no_walk = false;
        }
        self.tips.push(Tip { id, flags, path });
    }

    fn stdin(&mut self) -> Result<(), Failure> {
        if std::mem::replace(&mut self.read_stdin, true) {
            return Err(Failure::fatal("--stdin given twice?"));
        }
        let (mut paths, mut only_revisions) = (false, false);
        let negated = std::mem::take(&mut self.negated);
        self.given = true;
        for line in std::io::stdin().lock().lines() {
            let line = line?;
            match line.as_str() {
                _ if paths => self.paths.push(line),
                "" => break,
                "--" => paths = true,
                "--end-of-options" => only_revisions = true,
                option if option.starts_with('-') && !only_revisions => {
                    if !self.set(option)? {
                        return Err(Failure::fatal(format!("invalid option '{option}' in --stdin mode")));
                    }
                }
                spelling => {
                    if !self.revision(spelling)? {
                        return Err(Failure::fatal(format!("bad revision '{spelling}'")));
                    }
                }
            }
        }
        self.negated = negated;
        Ok(())
    }

    /// Take a revision or a range; false where it is none.
    fn revision(&mut self, spelling: &str) -> Result<bool, Failure> {
        if spelling == ".." {
            return Ok(false);
        }
        let range = match revision::range(self.store, spelling) {
            Ok(range) => range,
            Err(Error::NotFound { .. }) if self.options.ignore_missing => {
                self.given = true;
                return Ok(true);
            }
            Err(Error::NotFound { .. }) => return self.missing(spelling),
            Err(error @ Error::Invalid { what: "reflog entry", .. }) => return Err(Failure::fatal(error.to_string())),
            Err(error @ (Error::Ambiguous { .. } | Error::Invalid { .. })) => {
                eprintln!("error: {}", crate::output::printable(&error.to_string()));
                return Ok(false);
            }
            Err(error) => return Err(error.into()),
        };
        self.given = true;
        let plain = spelling.strip_prefix('^').unwrap_or(spelling);
        match range {
            Range::Single(revision) => self.single(&revision, 0, plain)?,
            Range::Exclude(revision) => self.single(&revision, HIDDEN, plain)?,
            Range::Between { from, to } => {
                let (left, right) = plain.split_once("..").unwrap_or(("", plain));
                self.single(&from, HIDDEN, left)?;
                self.single(&to, 0, right)?;
            }
            Range::Symmetric { left, right } => self.symmetric(&left, &right, spelling)?,
            Range::Parents(revision) => {
                for parent in self.parents(&revision)? {
                    self.push(parent, 0, BString::default());
                }
            }
            Range::Alone(revision) => {
                for parent in self.parents(&revision)? {
                    self.push(parent, HIDDEN, BString::default());
                }
                self.single(&revision, 0, plain.strip_suffix("^!").unwrap_or(plain))?;
            }
        }
        Ok(true)
    }

    /// A complete id is a revision even if there is no such object.
    fn missing(&mut self, spelling: &str) -> Result<bool, Failure> {
        let (flags, hex) = spelling.strip_prefix('^').map_or((0, spelling), |hex| (HIDDEN, hex));
        match Id::from_hex(hex.as_bytes()) {
            Ok(id) if hex.len() == 64 && self.options.note_missing => {
                self.given = true;
                self.push(id, flags, BString::default());
                Ok(true)
            }
            Ok(_) if hex.len() == 64 => Err(Failure::fatal(format!("bad object {hex}"))),
            _ => Ok(false),
        }
    }

    fn single(&mut self, revision: &Revision, flags: u16, spelling: &str) -> Result<(), Failure> {
        let id = revision.object(self.store)?;
        let path = match &revision.path {
            Some(path) => path.clone(),
            None if revision.name.is_none() => path_in(self.store, spelling),
            None => BString::default(),
        };
        self.push(id, flags, path);
        self.named.push(Named { id, name: spelling.to_owned(), reference: revision.name.clone() });
        Ok(())
    }

    fn symmetric(&mut self, left: &Revision, right: &Revision, spelling: &str) -> Result<(), Failure> {
        let peel = |revision: &Revision| {
            let id = revision.object(self.store)?;
            let found = super::peel(self.store, id, Kind::Commit)?;
            found.ok_or_else(|| Failure::fatal(format!("Invalid symmetric difference expression {spelling}")))
        };
        let (a, b) = (peel(left)?, peel(right)?);
        for base in bases::merge_bases(self.store, a, &[b])? {
            self.push(base, HIDDEN, BString::default());
        }
        let (left_name, right_name) = spelling.split_once("...").unwrap_or((spelling, spelling));
        for (revision, flags, name) in [(left, flag::LEFT, left_name), (right, 0, right_name)] {
            let id = revision.object(self.store)?;
            self.push(id, flags, BString::default());
            self.named.push(Named { id, name: name.to_owned(), reference: revision.name.clone() });
        }
        Ok(())
    }

    fn parents(&self, revision: &Revision) -> Result<Vec<Id>, Failure> {
        let id = revision.object(self.store)?;
        let found = super::peel(self.store, id, Kind::Commit)?;
        let id = found.ok_or_else(|| Failure::fatal(format!("{id} is not a commit")))?;
        Ok(self.store.read_header(&id)?.parents)
    }
}

/// The commit that `name` leads to.
fn commit(store: &Store, name: &str) -> Result<Option<Id>, Failure> {
    let Some(id) = super::name_to_id(store, name)? else { return Ok(None) };
    super::peel(store, id, Kind::Commit)
}

/// The path in a spelling like `REV:path`; empty where it has none.
fn path_in(store: &Store, spelling: &str) -> BString {
    let mut colons = spelling.match_indices(':').map(|(at, _)| at).collect::<Vec<_>>();
    colons.reverse();
    let is_revision = |at: &usize| *at > 0 && revision::resolve(store, &spelling[..*at]).is_ok();
    colons.into_iter().find(is_revision).map_or_else(BString::default, |at| spelling[at + 1..].into())
}

fn age(text: &str) -> Result<i64, Failure> {
    text.parse().map_err(|_| Failure::fatal(format!("'{text}': not a number of seconds since epoch")))
}

/// Pathspecs of the command line.
pub fn pathspec(paths: &[String]) -> Result<Pathspec, Failure> {
    Pathspec::parse(paths).map_err(|error| Failure::fatal(error.to_string()))
}

/// What refs name.
fn decorated(store: &Store) -> Result<std::collections::HashSet<Id>, Failure> {
    let mut ids = std::collections::HashSet::new();
    for (_, id) in crate::commands::show_ref::all_refs(store)? {
        ids.insert(id);
        ids.extend(super::peel(store, id, Kind::Commit)?);
    }
    let head = store.repo().head().map_err(Error::git("read HEAD"))?;
    ids.extend(head.id().map(|id| id.detach()));
    Ok(ids)
}
